//! Weather: a day's temperature, gusts of wind.
//!
//! T = mean + swing·sin(2π(t − 9 h)/24 h), lowest about 03:00, highest about 15:00. Wind is its mean
//! times a lognormal factor whose logarithm is an Ornstein–Uhlenbeck process with τ = 30 s (the
//! gust scale of a surface layer; Kaimal and Finnigan 1994, ch. 2).

use std::f64::consts::TAU;

use super::{Given, Process};
use crate::random::Seeded;

const GUST_TAU_S: f64 = 30.0;

#[derive(Debug)]
pub(super) struct Weather {
    mean_c: f64,
    swing_c: f64,
    mean_ms: f64,
    /// Deviation of the logarithm of the wind.
    gustiness: f64,
    humidity_percent: f64,
    gust: f64,
    /// Seconds since midnight.
    clock_s: f64,
}

impl Weather {
    pub(super) fn new(given: &mut Given) -> Weather {
        Weather {
            mean_c: given.or("mean_c", 20.0),
            swing_c: given.or("swing_c", 6.0),
            mean_ms: given.or("wind_ms", 3.0),
            gustiness: given.or("gustiness", 0.25),
            humidity_percent: given.or("humidity_percent", 55.0),
            gust: 0.0,
            clock_s: given.or("hour", 0.0) * 3600.0,
        }
    }

    fn temperature_c(&self) -> f64 {
        self.mean_c + self.swing_c * ((self.clock_s / 86_400.0 - 0.375) * TAU).sin()
    }
}

impl Process for Weather {
    fn input(&mut self, name: &str) -> Option<&mut f64> {
        Some(match name {
            "mean_c" => &mut self.mean_c,
            "mean_ms" => &mut self.mean_ms,
            "humidity_percent" => &mut self.humidity_percent,
            _ => return None,
        })
    }

    fn quantity(&self, name: &str) -> Option<f64> {
        Some(match name {
            "temperature_c" => self.temperature_c(),
            "wind_ms" => self.mean_ms * self.gust.exp(),
            // warm air of the same vapour content is drier: about 3 % for each K
            "humidity_percent" | "humidity_rh" => (self.humidity_percent
                - 3.0 * (self.temperature_c() - self.mean_c))
                .clamp(5.0, 100.0),
            _ => return None,
        })
    }

    fn step(&mut self, seconds: f64, chance: &mut Seeded) {
        self.clock_s = (self.clock_s + seconds) % 86_400.0;
        let keep = (-seconds / GUST_TAU_S).exp();
        self.gust = self.gust * keep
            + chance.normal() * self.gustiness * (1.0 - keep * keep).max(0.0).sqrt();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn nights_are_cold_afternoons_warm_and_the_wind_gusts_about_its_mean() {
        let mut w = Weather::new(&mut Given::new(&BTreeMap::new()));
        let mut chance = Seeded::new(3);
        let (mut coldest, mut warmest) = ((f64::MAX, 0), (f64::MIN, 0));
        let (mut sum, mut top) = (0.0, 0.0_f64);
        for minute in 0..1440 {
            for _ in 0..60 {
                w.step(1.0, &mut chance);
            }
            let t = w.quantity("temperature_c").unwrap();
            if t < coldest.0 {
                coldest = (t, minute / 60);
            }
            if t > warmest.0 {
                warmest = (t, minute / 60);
            }
            let wind = w.quantity("wind_ms").unwrap();
            assert!(wind > 0.0);
            sum += wind;
            top = top.max(wind);
        }
        assert!((2..=3).contains(&coldest.1) && (14..=15).contains(&warmest.1));
        let mean = sum / 1440.0;
        assert!((2.8..3.4).contains(&mean), "{mean}");
        assert!(top > 1.5 * mean && top < 4.0 * mean, "{top}");
    }
}
