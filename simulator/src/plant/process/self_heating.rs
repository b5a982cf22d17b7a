//! A body that heats itself: Semenov's balance, whose two ends are a settled warmth and a runaway.
//!
//! C dT/dt = w·q(T) + P − S (T − Tₐ), q(T) = q₀ exp[E/R (1/T₀ − 1/T)], with w the share of reactant
//! that is left (dw/dt = −w·q / Q). Below a critical ambient temperature losses win and T settles; above
//! it nothing holds it (Semenov 1928; Babrauskas, Ignition Handbook, ch. 9). The step is divided so
//! that no part of it warms by more than half a kelvin.

/// Gas constant, J/(mol K).
pub(super) const R: f64 = 8.314;
/// Hotter than this nothing here stays what it was: the model ends in fire.
const FIRE_C: f64 = 900.0;

#[derive(Debug, Clone)]
pub(super) struct SelfHeating {
    /// C, J/K.
    pub(super) capacity: f64,
    /// S, W/K.
    pub(super) loss: f64,
    /// q₀, W, at `reference_c`.
    pub(super) power: f64,
    pub(super) reference_c: f64,
    /// E, J/mol.
    pub(super) activation: f64,
    /// Q, J: all that the reactant can give.
    pub(super) total: f64,
    /// w.
    pub(super) left: f64,
    pub(super) temperature_c: f64,
    /// Given off so far, J.
    pub(super) released: f64,
}

impl SelfHeating {
    /// W that the reaction gives now.
    pub(super) fn heat(&self) -> f64 {
        let kelvin = self.temperature_c + 273.15;
        let reference = self.reference_c + 273.15;
        self.left * self.power * (self.activation / R * (1.0 / reference - 1.0 / kelvin)).exp()
    }

    /// `faster` multiplies the reaction (moisture, a catalyst), `power` is heat from elsewhere, W.
    pub(super) fn step(&mut self, seconds: f64, ambient_c: f64, faster: f64, power: f64) {
        let mut rest = seconds;
        let mut parts = 0;
        while rest > 0.0 {
            let heat = self.heat() * faster;
            let slope =
                (heat + power - self.loss * (self.temperature_c - ambient_c)) / self.capacity;
            // half a kelvin, a hundredth of the reactant, a fifth of the body's own time
            let mut dt = rest
                .min(0.5 / slope.abs().max(1e-12))
                .min(0.2 * self.capacity / self.loss.max(1e-12));
            if heat > 0.0 {
                dt = dt.min((0.01 * self.total / heat).max(1e-3));
            }
            parts += 1;
            if parts > 20_000 {
                dt = rest;
            }
            let given = (heat * dt).min(self.left * self.total);
            self.left -= given / self.total;
            self.released += given;
            let balance = given + (power - self.loss * (self.temperature_c - ambient_c)) * dt;
            self.temperature_c = (self.temperature_c + balance / self.capacity).min(FIRE_C);
            rest -= dt;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn body() -> SelfHeating {
        SelfHeating {
            capacity: 1.0e6,
            loss: 20.0,
            power: 50.0,
            reference_c: 25.0,
            activation: 90_000.0,
            total: 2.0e9,
            left: 1.0,
            temperature_c: 25.0,
            released: 0.0,
        }
    }

    /// Hours until 150 °C, if that is within 60 days.
    fn runaway(ambient_c: f64) -> Option<u32> {
        let mut b = body();
        b.temperature_c = ambient_c;
        for hour in 0..1440 {
            b.step(3600.0, ambient_c, 1.0, 0.0);
            if b.temperature_c > 150.0 {
                return Some(hour);
            }
        }
        None
    }

    #[test]
    fn below_the_critical_temperature_it_settles_above_it_runs_away_and_sooner_the_warmer() {
        assert_eq!(runaway(15.0), None);
        let (warm, hot) = (runaway(40.0).unwrap(), runaway(60.0).unwrap());
        assert!(hot < warm, "{hot} {warm}");
    }

    /// Semenov's criterion: at the critical point the body is warmer than its surroundings by R T²/E.
    #[test]
    fn the_critical_excess_is_that_of_semenov() {
        let settled = |ambient: f64| {
            let mut b = body();
            b.total = 1e15; // no reactant is used up: the criterion's own assumption
            b.temperature_c = ambient;
            for _ in 0..8000 {
                b.step(36_000.0, ambient, 1.0, 0.0);
                if b.temperature_c > 150.0 {
                    return None;
                }
            }
            Some(b.temperature_c - ambient)
        };
        let (mut low, mut high) = (0.0, 60.0);
        for _ in 0..11 {
            let middle = (low + high) / 2.0;
            if settled(middle).is_some() {
                low = middle;
            } else {
                high = middle;
            }
        }
        let critical = low + 273.15;
        let excess = settled(low).unwrap();
        let theory = R * critical * critical / 90_000.0;
        assert!(
            (excess / theory - 1.0).abs() < 0.25,
            "{excess} against {theory}"
        );
    }

    proptest! {
        #[test]
        fn heat_is_conserved_without_losses(power in 0.0_f64..1e5, hours in 1_u32..48) {
            let mut b = body();
            b.loss = 0.0;
            b.total = 1e8; // cannot reach the fire's temperature
            for _ in 0..hours {
                b.step(3600.0, 0.0, 1.0, 0.0);
            }
            let warmed = (b.temperature_c - 25.0) * b.capacity;
            prop_assert!((warmed - b.released).abs() < 1.0);
            prop_assert!((0.0..=1.0).contains(&b.left));
            b.step(60.0, 0.0, 1.0, power);
            prop_assert!(b.temperature_c.is_finite());
        }
    }
}
