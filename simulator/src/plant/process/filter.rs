//! A bag filter: cake that pulses blow off, bags that blind when the pulses fail, suction only while
//! the fan runs.
//!
//! Δp = (clean + cake)·(Q/Q₀): Darcy's law through cloth and cake. Cake grows linearly; a pulse takes
//! off all but a share.

use super::{Given, Process, lag};
use crate::random::Seeded;

/// Seconds in which the suction follows the fan.
const RUN_DOWN_S: f64 = 4.0;

#[derive(Debug)]
pub(super) struct Filter {
    clean_kpa: f64,
    cake_kpa: f64,
    cake_kpa_h: f64,
    pulse_s: f64,
    since_s: f64,
    pulse_mpa: f64,
    fan: f64,
    draught: f64,
    current_a: f64,
    ground_kpa: f64,
}

impl Filter {
    pub(super) fn new(given: &mut Given) -> Filter {
        Filter {
            clean_kpa: given.or("clean_kpa", 0.8),
            cake_kpa: 0.0,
            cake_kpa_h: given.or("cake_kpa_h", 6.0),
            pulse_s: given.or("pulse_s", 60.0),
            since_s: 0.0,
            pulse_mpa: given.or("pulse_mpa", 0.5),
            fan: given.or("fan", 1.0),
            draught: 1.0,
            current_a: given.or("current_a", 85.0),
            ground_kpa: given.or("cake_at_start_kpa", 0.0),
        }
    }
}

impl Process for Filter {
    fn input(&mut self, name: &str) -> Option<&mut f64> {
        Some(match name {
            "fan" => &mut self.fan,
            "pulse_mpa" => &mut self.pulse_mpa,
            "cake_kpa_h" => &mut self.cake_kpa_h,
            // cake that pulses no longer take off: never cleaned, or moist
            "ground_kpa" => &mut self.ground_kpa,
            _ => return None,
        })
    }

    fn quantity(&self, name: &str) -> Option<f64> {
        Some(match name {
            "drop_kpa" => (self.clean_kpa + self.ground_kpa + self.cake_kpa) * self.draught,
            "fan" => self.fan,
            "pulse_mpa" => self.pulse_mpa,
            "current_a" => self.current_a * self.draught,
            _ => return None,
        })
    }

    fn step(&mut self, seconds: f64, _: &mut Seeded) {
        let target = f64::from(u8::from(self.fan >= 0.5));
        self.draught = lag(self.draught, target, seconds, RUN_DOWN_S);
        self.cake_kpa += self.cake_kpa_h * self.draught * seconds / 3600.0;
        self.since_s += seconds;
        // below 0.3 MPa of air a pulse takes nothing off
        if self.since_s >= self.pulse_s && self.pulse_mpa >= 0.3 {
            self.since_s = 0.0;
            self.cake_kpa *= 0.1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn pulses_keep_the_drop_low_their_failure_does_not_and_a_still_fan_has_none() {
        let mut f = Filter::new(&mut Given::new(&BTreeMap::new()));
        let mut chance = Seeded::new(0);
        let mut top = 0.0_f64;
        for _ in 0..3600 {
            f.step(1.0, &mut chance);
            top = top.max(f.quantity("drop_kpa").unwrap());
        }
        assert!(top < 1.2, "{top}");
        *f.input("pulse_mpa").unwrap() = 0.1;
        for _ in 0..1800 {
            f.step(1.0, &mut chance);
        }
        assert!(f.quantity("drop_kpa").unwrap() > 2.0);
        *f.input("fan").unwrap() = 0.0;
        for _ in 0..60 {
            f.step(1.0, &mut chance);
        }
        assert!(f.quantity("drop_kpa").unwrap() < 0.01);
        assert!(f.quantity("current_a").unwrap() < 1.0);
    }
}
