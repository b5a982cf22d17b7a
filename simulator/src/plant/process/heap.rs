//! A heap, a container, a bag store that heats itself: the core by Semenov's balance, the surface with
//! a lag and a share of the excess, smoke when the core chars.
//!
//! Nitrated waste and nitrocellulose decompose above some 120 °C with visible fumes; a fire beside a
//! container heats it from outside (`fire_kw`).

use super::self_heating::SelfHeating;
use super::{Given, Process, lag};
use crate::random::Seeded;

#[derive(Debug)]
pub(super) struct Heap {
    body: SelfHeating,
    ambient_c: f64,
    /// How many times faster it reacts than when it was laid: dried out, wetted, compacted.
    faster: f64,
    fire_kw: f64,
    depth_s: f64,
    share: f64,
    surface_c: f64,
    smokes_c: f64,
}

impl Heap {
    pub(super) fn new(given: &mut Given) -> Heap {
        let mass = given.or("mass_kg", 20_000.0);
        let temperature_c = given.or("temperature_c", 25.0);
        Heap {
            body: SelfHeating {
                capacity: mass * given.or("capacity_kj_kg", 1.4) * 1000.0,
                loss: given.or("loss_w_k", 60.0),
                power: given.or("power_w", 90.0),
                reference_c: given.or("reference_c", 25.0),
                activation: given.or("activation_kj_mol", 85.0) * 1000.0,
                total: mass * given.or("heat_kj_kg", 1500.0) * 1000.0,
                left: 1.0,
                temperature_c,
                released: 0.0,
            },
            ambient_c: given.or("ambient_c", 20.0),
            faster: given.or("faster", 1.0),
            fire_kw: 0.0,
            depth_s: given.or("depth_s", 7200.0),
            share: given.or("surface_share", 0.35),
            surface_c: temperature_c,
            smokes_c: given.or("smokes_c", 120.0),
        }
    }
}

impl Process for Heap {
    fn input(&mut self, name: &str) -> Option<&mut f64> {
        Some(match name {
            "ambient_c" => &mut self.ambient_c,
            "faster" => &mut self.faster,
            "fire_kw" => &mut self.fire_kw,
            _ => return None,
        })
    }

    fn quantity(&self, name: &str) -> Option<f64> {
        Some(match name {
            "core_c" => self.body.temperature_c,
            "surface_c" => self.surface_c,
            "smoke" => f64::from(u8::from(self.body.temperature_c >= self.smokes_c)),
            "burning" => f64::from(u8::from(self.body.temperature_c >= 300.0)),
            _ => return None,
        })
    }

    fn step(&mut self, seconds: f64, _: &mut Seeded) {
        self.body
            .step(seconds, self.ambient_c, self.faster, self.fire_kw * 1000.0);
        let toward = self.ambient_c + self.share * (self.body.temperature_c - self.ambient_c);
        self.surface_c = lag(self.surface_c, toward, seconds, self.depth_s);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_heap_at_rest_stays_and_one_that_reacts_faster_chars_after_days() {
        let mut quiet = Heap::new(&mut Given::new(&BTreeMap::new()));
        let mut bad = Heap::new(&mut Given::new(&BTreeMap::new()));
        *bad.input("faster").unwrap() = 8.0;
        let mut chance = Seeded::new(0);
        let mut smoked = None;
        for hour in 0..24 * 40 {
            quiet.step(3600.0, &mut chance);
            let before = bad.quantity("core_c").unwrap();
            bad.step(3600.0, &mut chance);
            if smoked.is_none() {
                assert!(bad.quantity("core_c").unwrap() >= before);
                assert!(bad.quantity("core_c") >= bad.quantity("surface_c"));
                if bad.quantity("smoke") == Some(1.0) {
                    smoked = Some(hour);
                }
            }
        }
        assert!(quiet.quantity("core_c").unwrap() < 35.0);
        let smoked = smoked.expect("it chars");
        assert!((48..24 * 40).contains(&smoked), "{smoked} h");
    }
}
