//! An ammonia plant: receiver, low-pressure vessel, compressor; a leak; a fire.
//!
//! Mass: receiver ← condenser, → feed valve; vessel ← feed valve, → evaporation. The condensing
//! temperature stands above the wet bulb by the load; discharge pressure is its vapour pressure. The
//! discharge gas is hot by an isentropic exponent of 1.31. A leak takes liquid from the receiver.

use super::saturation::{AMMONIA, ATMOSPHERE_MPA, liquid_leak_kgs};
use super::{Given, Process, lag};
use crate::random::Seeded;

const DENSITY_KG_M3: f64 = 610.0;

#[derive(Debug)]
pub(super) struct Refrigeration {
    receiver_m3: f64,
    vessel_m3: f64,
    receiver_kg: f64,
    vessel_kg: f64,
    leaked_kg: f64,
    /// Ammonia that evaporates, kg/s.
    load_kgs: f64,
    /// Feed valve against the load; 1 holds the vessel's level.
    feed: f64,
    wet_bulb_c: f64,
    condenser: f64,
    condensing_c: f64,
    evaporating_c: f64,
    hole_mm: f64,
    fire_kw: f64,
    fire_c: f64,
    oil_mpa: f64,
    compressor: f64,
}

impl Refrigeration {
    pub(super) fn new(given: &mut Given) -> Refrigeration {
        let receiver_m3 = given.or("receiver_m3", 5.0);
        let vessel_m3 = given.or("vessel_m3", 4.0);
        let wet_bulb_c = given.or("wet_bulb_c", 21.0);
        Refrigeration {
            receiver_m3,
            vessel_m3,
            receiver_kg: receiver_m3 * DENSITY_KG_M3 * given.or("receiver_percent", 50.0) / 100.0,
            vessel_kg: vessel_m3 * DENSITY_KG_M3 * given.or("vessel_percent", 40.0) / 100.0,
            leaked_kg: 0.0,
            load_kgs: given.or("load_kgs", 0.25),
            feed: 1.0,
            wet_bulb_c,
            condenser: 1.0,
            condensing_c: wet_bulb_c + 10.0,
            evaporating_c: given.or("evaporating_c", -22.0),
            hole_mm: 0.0,
            fire_kw: 0.0,
            fire_c: 0.0,
            oil_mpa: given.or("oil_mpa", 0.25),
            compressor: 1.0,
        }
    }

    fn receiver_percent(&self) -> f64 {
        self.receiver_kg / DENSITY_KG_M3 / self.receiver_m3 * 100.0
    }

    fn vessel_percent(&self) -> f64 {
        self.vessel_kg / DENSITY_KG_M3 / self.vessel_m3 * 100.0
    }

    fn discharge_mpa(&self) -> f64 {
        AMMONIA.gauge_mpa(self.condensing_c)
    }

    /// A check valve parts the compressor from a receiver in a fire.
    fn receiver_mpa(&self) -> f64 {
        AMMONIA.gauge_mpa(self.condensing_c + self.fire_c)
    }

    fn suction_mpa(&self) -> f64 {
        AMMONIA.gauge_mpa(self.evaporating_c)
    }

    fn leak_kgs(&self) -> f64 {
        if self.receiver_kg <= 0.0 {
            return 0.0;
        }
        liquid_leak_kgs(self.hole_mm, self.receiver_mpa(), DENSITY_KG_M3)
    }
}

impl Process for Refrigeration {
    fn input(&mut self, name: &str) -> Option<&mut f64> {
        Some(match name {
            "load_kgs" => &mut self.load_kgs,
            "feed" => &mut self.feed,
            "wet_bulb_c" => &mut self.wet_bulb_c,
            "condenser" => &mut self.condenser,
            "evaporating_c" => &mut self.evaporating_c,
            "hole_mm" => &mut self.hole_mm,
            "fire_kw" => &mut self.fire_kw,
            "oil_mpa" => &mut self.oil_mpa,
            "compressor" => &mut self.compressor,
            _ => return None,
        })
    }

    fn quantity(&self, name: &str) -> Option<f64> {
        Some(match name {
            "receiver_percent" => self.receiver_percent(),
            "vessel_percent" => self.vessel_percent(),
            "discharge_mpa" => self.discharge_mpa(),
            "receiver_mpa" => self.receiver_mpa(),
            "suction_mpa" => self.suction_mpa(),
            "oil_mpa" => self.oil_mpa,
            "compressor" => self.compressor,
            "leak_kgs" => self.leak_kgs(),
            "discharge_c" => {
                let ratio = (self.discharge_mpa() + ATMOSPHERE_MPA)
                    / (self.suction_mpa() + ATMOSPHERE_MPA).max(0.02);
                // water-cooled heads and liquid injection take more than half of the heat
                let isentropic = (self.evaporating_c + 278.15) * ratio.powf(0.31 / 1.31) - 273.15;
                self.evaporating_c + 0.75 * (isentropic - self.evaporating_c)
            }
            _ => return None,
        })
    }

    fn step(&mut self, seconds: f64, _: &mut Seeded) {
        let runs = f64::from(u8::from(self.compressor >= 0.5));
        let evaporated = (self.load_kgs * runs * seconds).min(self.vessel_kg);
        let fed = (self.load_kgs * runs * self.feed.max(0.0) * seconds).min(self.receiver_kg);
        let leak = (self.leak_kgs() * seconds).min(self.receiver_kg - fed);
        self.receiver_kg += evaporated - fed - leak;
        self.vessel_kg += fed - evaporated;
        self.leaked_kg += leak;
        let over = 10.0 * self.load_kgs / 0.25 * runs / self.condenser.max(0.1);
        self.condensing_c = lag(self.condensing_c, self.wet_bulb_c + over, seconds, 300.0);
        let capacity = (self.receiver_kg * 4700.0).max(1e5);
        self.fire_c = (self.fire_c + self.fire_kw * 1000.0 * seconds / capacity).min(90.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn plant() -> Refrigeration {
        Refrigeration::new(&mut Given::new(&BTreeMap::new()))
    }

    #[test]
    fn at_rest_it_is_within_the_limits_of_the_table() {
        let mut p = plant();
        for _ in 0..7200 {
            p.step(1.0, &mut Seeded::new(0));
        }
        for (name, low, high) in [
            ("receiver_percent", 30.0, 70.0),
            ("vessel_percent", 20.0, 60.0),
            ("discharge_mpa", 0.8, 1.35),
            ("suction_mpa", 0.0, 0.2),
            ("discharge_c", 60.0, 105.0),
            ("oil_mpa", 0.15, 0.6),
        ] {
            let is = p.quantity(name).unwrap();
            assert!(is > low && is < high, "{name} {is}");
        }
    }

    #[test]
    fn ammonia_is_conserved_and_a_weak_condenser_presses() {
        let mut p = plant();
        let all = p.receiver_kg + p.vessel_kg;
        *p.input("hole_mm").unwrap() = 4.0;
        *p.input("feed").unwrap() = 1.2;
        *p.input("condenser").unwrap() = 0.5;
        for _ in 0..1800 {
            p.step(1.0, &mut Seeded::new(0));
        }
        assert!((all - p.receiver_kg - p.vessel_kg - p.leaked_kg).abs() < 1e-6);
        assert!(p.leaked_kg > 10.0);
        assert!(p.quantity("discharge_mpa").unwrap() > 1.4);
    }
}
