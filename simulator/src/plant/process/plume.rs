//! Gas in the open: what a steady release near the ground makes of the air at heads downwind.
//!
//! Ground-level centre line of a Gaussian plume, C = G / (π u σy σz), with Briggs' open-country
//! curves of stability class D: σy = 0.08 x/√(1 + 0.0001 x), σz = 0.06 x/√(1 + 0.0015 x) (Briggs 1973,
//! in Hanna, Briggs and Hosker, Handbook on Atmospheric Diffusion, 1982). Near heads at 10–40 m it is a
//! fair measure for a light or well mixed release; a heavy cloud in still air is worse.

use super::head::Head;
use super::{Given, Process};
use crate::random::Seeded;

#[derive(Debug)]
pub(super) struct Plume {
    source_kgs: f64,
    wind_ms: f64,
    near_m: f64,
    far_m: f64,
    near: Head,
    far: Head,
    background_mgm3: f64,
}

impl Plume {
    pub(super) fn new(given: &mut Given) -> Plume {
        let molar = given.or("molar_g", 44.1);
        let lel = given.or("lel_vol", 2.1);
        Plume {
            source_kgs: given.or("source_kgs", 0.0),
            wind_ms: given.or("wind_ms", 2.0),
            near_m: given.or("near_m", 12.0),
            far_m: given.or("far_m", 35.0),
            near: Head::new(molar, lel),
            far: Head::new(molar, lel),
            background_mgm3: given.or("background_mgm3", 0.0),
        }
    }

    fn air_mgm3(&self, x: f64) -> f64 {
        let y = 0.08 * x / (1.0 + 0.0001 * x).sqrt();
        let z = 0.06 * x / (1.0 + 0.0015 * x).sqrt();
        let wind = self.wind_ms.max(0.5);
        let pure = 1e9; // no more than undiluted, in mg/m³ of some kg/m³
        (self.source_kgs.max(0.0) * 1e6 / (std::f64::consts::PI * wind * y * z)).min(pure)
            + self.background_mgm3
    }
}

impl Process for Plume {
    fn input(&mut self, name: &str) -> Option<&mut f64> {
        Some(match name {
            "source_kgs" => &mut self.source_kgs,
            "wind_ms" => &mut self.wind_ms,
            "background_mgm3" => &mut self.background_mgm3,
            _ => return None,
        })
    }

    fn quantity(&self, name: &str) -> Option<f64> {
        match name.split_once('_') {
            Some(("near", unit)) => self.near.quantity(unit),
            Some(("far", unit)) => self.far.quantity(unit),
            _ => None,
        }
    }

    fn step(&mut self, seconds: f64, _: &mut Seeded) {
        let (near, far) = (self.air_mgm3(self.near_m), self.air_mgm3(self.far_m));
        self.near.step(near, seconds);
        self.far.step(far, seconds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn more_gas_less_wind_and_nearness_make_more() {
        let at = |source: f64, wind: f64| {
            let mut p = Plume::new(&mut Given::new(&BTreeMap::new()));
            *p.input("source_kgs").unwrap() = source;
            *p.input("wind_ms").unwrap() = wind;
            for _ in 0..300 {
                p.step(1.0, &mut Seeded::new(0));
            }
            (
                p.quantity("near_lel").unwrap(),
                p.quantity("far_lel").unwrap(),
            )
        };
        let (near, far) = at(0.1, 2.0);
        assert!(near > far && far > 1.0, "{near} {far}");
        assert!(at(0.2, 2.0).0 > near && at(0.1, 4.0).0 < near);
        assert!(
            (at(0.2, 2.0).0 / near - 2.0).abs() < 1e-6,
            "it is linear in the source"
        );
        assert_eq!(at(0.0, 2.0), (0.0, 0.0));
    }
}
