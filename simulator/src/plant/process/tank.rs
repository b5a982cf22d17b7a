//! An atmospheric tank with a fixed roof: what flows in and out moves its level; beyond the top it
//! runs over.
//!
//! dV/dt = (in − out)/3600; h = V/A. The vapour space breathes: filling presses it by the pressure
//! drop of its vent, Δp ∝ flow (API 2000: vent capacity goes with the pump-in rate), with a lag of
//! a minute. The contents take the temperature of the air within days (2000 m³ of benzene, about
//! 3 GJ/K, loses some kW/K through its shell: τ ≈ 3 d).

use super::{Given, Process, lag};
use crate::random::Seeded;

const DENSITY_KG_M3: f64 = 880.0;

#[derive(Debug)]
pub(super) struct Tank {
    area_m2: f64,
    top_m: f64,
    switch_m: f64,
    rest_kpa: f64,
    vent_kpa_per_m3h: f64,
    pub(super) volume_m3: f64,
    pub(super) inflow_m3h: f64,
    pub(super) outflow_m3h: f64,
    ambient_c: f64,
    temperature_c: f64,
    pressure_kpa: f64,
    pub(super) spilled_m3: f64,
    spill_m3h: f64,
}

impl Tank {
    pub(super) fn new(given: &mut Given) -> Tank {
        let area_m2 = given.or("area_m2", 142.86);
        let level_m = given.or("level_m", 6.0);
        let temperature_c = given.or("temperature_c", 20.0);
        let rest_kpa = given.or("rest_kpa", 0.6);
        Tank {
            area_m2,
            top_m: given.or("top_m", 14.0),
            switch_m: given.or("switch_m", 12.4),
            rest_kpa,
            vent_kpa_per_m3h: given.or("vent_kpa_per_m3h", 0.0015),
            volume_m3: level_m * area_m2,
            inflow_m3h: given.or("inflow_m3h", 0.0),
            outflow_m3h: given.or("outflow_m3h", 0.0),
            ambient_c: given.or("ambient_c", temperature_c),
            temperature_c,
            pressure_kpa: rest_kpa,
            spilled_m3: 0.0,
            spill_m3h: 0.0,
        }
    }

    pub(super) fn level_m(&self) -> f64 {
        self.volume_m3 / self.area_m2
    }
}

impl Process for Tank {
    fn input(&mut self, name: &str) -> Option<&mut f64> {
        Some(match name {
            "inflow_m3h" => &mut self.inflow_m3h,
            "outflow_m3h" => &mut self.outflow_m3h,
            "ambient_c" => &mut self.ambient_c,
            _ => return None,
        })
    }

    fn quantity(&self, name: &str) -> Option<f64> {
        let contact = |holds: bool| f64::from(u8::from(holds));
        Some(match name {
            "level_m" => self.level_m(),
            "level_percent" => self.level_m() / self.top_m * 100.0,
            "inflow_m3h" => self.inflow_m3h,
            "outflow_m3h" => self.outflow_m3h,
            "temperature_c" => self.temperature_c,
            "pressure_kpa" => self.pressure_kpa,
            "spill_kgs" => self.spill_m3h / 3600.0 * DENSITY_KG_M3,
            "feeding" => contact(self.inflow_m3h > 0.0),
            "discharging" => contact(self.outflow_m3h > 0.0),
            "high_switch" => contact(self.level_m() >= self.switch_m),
            _ => return None,
        })
    }

    fn step(&mut self, seconds: f64, _: &mut Seeded) {
        let full = self.area_m2 * self.top_m;
        let before = self.volume_m3;
        let wanted = before + (self.inflow_m3h - self.outflow_m3h) * seconds / 3600.0;
        self.volume_m3 = wanted.clamp(0.0, full);
        let over = (wanted - full).max(0.0);
        self.spilled_m3 += over;
        self.spill_m3h = if seconds > 0.0 {
            over / seconds * 3600.0
        } else {
            0.0
        };
        if wanted < 0.0 {
            // the pump draws air
            self.outflow_m3h = 0.0;
        }
        let breath = (self.inflow_m3h - self.outflow_m3h) * self.vent_kpa_per_m3h;
        self.pressure_kpa = lag(self.pressure_kpa, self.rest_kpa + breath, seconds, 60.0);
        self.temperature_c = lag(self.temperature_c, self.ambient_c, seconds, 3.0 * 86_400.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn tank(numbers: &[(&str, f64)]) -> Tank {
        let with: BTreeMap<String, f64> =
            numbers.iter().map(|(n, v)| ((*n).to_owned(), *v)).collect();
        Tank::new(&mut Given::new(&with))
    }

    proptest! {
        #[test]
        fn what_came_in_is_inside_went_out_or_is_spilled(
            flows in proptest::collection::vec((0.0_f64..600.0, 0.0_f64..300.0), 1..50),
            level in 0.5_f64..13.9,
        ) {
            let mut t = tank(&[("level_m", level)]);
            let mut balance = t.volume_m3;
            for (inflow, outflow) in flows {
                t.inflow_m3h = inflow;
                t.outflow_m3h = outflow;
                for _ in 0..60 {
                    let empties = t.volume_m3 + (inflow - t.outflow_m3h) / 60.0 < 0.0;
                    balance += (inflow - t.outflow_m3h) / 60.0;
                    t.step(60.0, &mut Seeded::new(0));
                    if empties {
                        balance = t.volume_m3 + t.spilled_m3;
                    }
                }
            }
            prop_assert!((balance - t.volume_m3 - t.spilled_m3).abs() < 1e-6);
            prop_assert!(t.level_m() <= 14.0 + 1e-12);
        }
    }

    /// T912: 550 m³/h from 19:00 on 10 December to the overflow at 05:20, in a tank of 25 m × 14.3 m.
    #[test]
    fn a_tank_of_buncefield_fills_in_the_hours_that_it_took() {
        let mut t = tank(&[
            ("area_m2", 490.9),
            ("top_m", 14.3),
            ("level_m", 2.5),
            ("switch_m", 13.6),
        ]);
        t.inflow_m3h = 550.0;
        let mut hours = 0.0;
        while t.quantity("spill_kgs") == Some(0.0) {
            t.step(60.0, &mut Seeded::new(0));
            hours += 1.0 / 60.0;
        }
        assert!((10.0..11.0).contains(&hours), "{hours}");
        assert_eq!(t.quantity("high_switch"), Some(1.0));
    }
}
