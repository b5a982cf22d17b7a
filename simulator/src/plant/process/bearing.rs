//! A bearing: friction heats it, air cools it; once it is damaged its friction grows by itself.
//!
//! C dT/dt = P₀·f − h (T − Tₐ); df/dt = f/τ while damaged. A sound bearing runs some 25 K over the air.

use super::{Given, Process, lag};
use crate::random::Seeded;

#[derive(Debug)]
pub(super) struct Bearing {
    excess_c: f64,
    tau_s: f64,
    doubling_s: f64,
    friction: f64,
    damaged: f64,
    running: f64,
    belt: f64,
    belt_ms: f64,
    ambient_c: f64,
    temperature_c: f64,
}

impl Bearing {
    pub(super) fn new(given: &mut Given) -> Bearing {
        let ambient_c = given.or("ambient_c", 25.0);
        let excess_c = given.or("excess_c", 25.0);
        Bearing {
            excess_c,
            tau_s: given.or("tau_s", 900.0),
            doubling_s: given.or("doubling_s", 1800.0),
            friction: 1.0,
            damaged: 0.0,
            running: 1.0,
            belt: 1.0,
            belt_ms: given.or("belt_ms", 2.5),
            ambient_c,
            temperature_c: ambient_c + excess_c,
        }
    }
}

impl Process for Bearing {
    fn input(&mut self, name: &str) -> Option<&mut f64> {
        Some(match name {
            "damaged" => &mut self.damaged,
            "running" => &mut self.running,
            "ambient_c" => &mut self.ambient_c,
            // the belt's speed as a share of the usual
            "belt" => &mut self.belt,
            _ => return None,
        })
    }

    fn quantity(&self, name: &str) -> Option<f64> {
        Some(match name {
            "temperature_c" => self.temperature_c,
            "running" => self.running,
            "belt_ms" => self.belt_ms * self.belt * self.running,
            "belt_percent" => 100.0 * self.belt * self.running,
            _ => return None,
        })
    }

    fn step(&mut self, seconds: f64, _: &mut Seeded) {
        let turns = self.running >= 0.5;
        if self.damaged >= 0.5 && turns {
            self.friction = (self.friction * 2_f64.powf(seconds / self.doubling_s)).min(40.0);
        }
        let heat = if turns {
            self.excess_c * self.friction
        } else {
            0.0
        };
        self.temperature_c = lag(
            self.temperature_c,
            self.ambient_c + heat,
            seconds,
            self.tau_s,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_sound_bearing_stays_a_damaged_one_only_gets_hotter_and_cools_when_stopped() {
        let mut b = Bearing::new(&mut Given::new(&BTreeMap::new()));
        let mut chance = Seeded::new(0);
        for _ in 0..7200 {
            b.step(1.0, &mut chance);
        }
        assert!((b.quantity("temperature_c").unwrap() - 50.0).abs() < 0.1);
        *b.input("damaged").unwrap() = 1.0;
        let mut before = 50.0 - 1e-6;
        for _ in 0..7200 {
            b.step(1.0, &mut chance);
            let now = b.quantity("temperature_c").unwrap();
            assert!(now >= before);
            before = now;
        }
        assert!(before > 100.0, "{before}");
        *b.input("running").unwrap() = 0.0;
        for _ in 0..7200 {
            b.step(1.0, &mut chance);
        }
        assert!(b.quantity("temperature_c").unwrap() < 30.0);
        assert_eq!(b.quantity("belt_ms"), Some(0.0));
    }
}
