//! A sphere of liquefied gas: level by the geometry of a spherical cap, pressure by the vapour of a
//! propane–butane mixture, leaks by Bernoulli.
//!
//! V(h) = π h² (3R − h)/3. p = x p_propane + (1 − x) p_butane (Raoult), by Antoine. Heat of sun or fire
//! warms the liquid: m c dT/dt = Q − U (T − Tₐ). A leak below the liquid is liquid, and evaporates.

use std::f64::consts::PI;

use super::saturation::{ATMOSPHERE_MPA, BUTANE, PROPANE, liquid_leak_kgs};
use super::{Given, Process};
use crate::random::Seeded;

const DENSITY_KG_M3: f64 = 540.0;
const CAPACITY_J_KG: f64 = 2500.0;

#[derive(Debug)]
pub(super) struct Sphere {
    diameter_m: f64,
    propane: f64,
    mass_kg: f64,
    leaked_kg: f64,
    temperature_c: f64,
    ambient_c: f64,
    loss_w_k: f64,
    inflow_m3h: f64,
    outflow_m3h: f64,
    hole_mm: f64,
    fire_kw: f64,
    switch_m: f64,
    spray: f64,
}

impl Sphere {
    pub(super) fn new(given: &mut Given) -> Sphere {
        let diameter_m = given.or("diameter_m", 15.7);
        let level_m = given.or("level_m", 8.0);
        let temperature_c = given.or("temperature_c", 22.0);
        Sphere {
            diameter_m,
            propane: given.or("propane", 0.5),
            mass_kg: volume(diameter_m, level_m) * DENSITY_KG_M3,
            leaked_kg: 0.0,
            temperature_c,
            ambient_c: given.or("ambient_c", temperature_c),
            loss_w_k: given.or("loss_w_k", 4000.0),
            inflow_m3h: given.or("inflow_m3h", 0.0),
            outflow_m3h: given.or("outflow_m3h", 0.0),
            hole_mm: 0.0,
            fire_kw: 0.0,
            switch_m: given.or("switch_m", 12.9),
            spray: 0.0,
        }
    }

    fn level_m(&self) -> f64 {
        level(self.diameter_m, self.mass_kg / DENSITY_KG_M3)
    }

    fn pressure_mpa(&self) -> f64 {
        let x = self.propane;
        x * PROPANE.mpa(self.temperature_c) + (1.0 - x) * BUTANE.mpa(self.temperature_c)
            - ATMOSPHERE_MPA
    }

    fn leak_kgs(&self) -> f64 {
        // the head of the liquid adds a little; none once it is empty
        if self.mass_kg <= 0.0 {
            return 0.0;
        }
        let head = DENSITY_KG_M3 * 9.81 * self.level_m() / 1e6;
        liquid_leak_kgs(self.hole_mm, self.pressure_mpa() + head, DENSITY_KG_M3)
    }
}

/// Volume up to a level, m³.
fn volume(diameter_m: f64, level_m: f64) -> f64 {
    let h = level_m.clamp(0.0, diameter_m);
    PI * h * h * (1.5 * diameter_m - h) / 3.0
}

/// Level of a volume, by halving: monotone, so that it always ends right.
fn level(diameter_m: f64, volume_m3: f64) -> f64 {
    let (mut low, mut high) = (0.0, diameter_m);
    for _ in 0..40 {
        let middle = (low + high) / 2.0;
        if volume(diameter_m, middle) < volume_m3 {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low + high) / 2.0
}

impl Process for Sphere {
    fn input(&mut self, name: &str) -> Option<&mut f64> {
        Some(match name {
            "inflow_m3h" => &mut self.inflow_m3h,
            "outflow_m3h" => &mut self.outflow_m3h,
            "ambient_c" => &mut self.ambient_c,
            "hole_mm" => &mut self.hole_mm,
            "fire_kw" => &mut self.fire_kw,
            "spray" => &mut self.spray,
            _ => return None,
        })
    }

    fn quantity(&self, name: &str) -> Option<f64> {
        let contact = |holds: bool| f64::from(u8::from(holds));
        Some(match name {
            "level_m" => self.level_m(),
            "level_percent" => {
                self.mass_kg / DENSITY_KG_M3 / volume(self.diameter_m, self.diameter_m) * 100.0
            }
            "pressure_mpa" => self.pressure_mpa(),
            "temperature_c" => self.temperature_c,
            "inflow_m3h" => self.inflow_m3h,
            "outflow_m3h" => self.outflow_m3h,
            "leak_kgs" => self.leak_kgs(),
            "feeding" => contact(self.inflow_m3h > 0.0),
            "discharging" => contact(self.outflow_m3h > 0.0),
            "high_switch" => contact(self.level_m() >= self.switch_m),
            "spray" => contact(self.spray > 0.0),
            _ => return None,
        })
    }

    fn step(&mut self, seconds: f64, _: &mut Seeded) {
        let leak = (self.leak_kgs() * seconds).min(self.mass_kg);
        self.leaked_kg += leak;
        let moved = (self.inflow_m3h - self.outflow_m3h) * DENSITY_KG_M3 * seconds / 3600.0;
        self.mass_kg = (self.mass_kg - leak + moved).max(0.0);
        let full = volume(self.diameter_m, self.diameter_m) * DENSITY_KG_M3;
        self.mass_kg = self.mass_kg.min(full);
        let capacity = (self.mass_kg * CAPACITY_J_KG).max(1e7);
        let loss = self.loss_w_k * (1.0 + 3.0 * self.spray.max(0.0));
        let heat = self.fire_kw * 1000.0 - loss * (self.temperature_c - self.ambient_c);
        self.temperature_c = (self.temperature_c + heat * seconds / capacity).min(95.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn sphere() -> Sphere {
        Sphere::new(&mut Given::new(&BTreeMap::new()))
    }

    proptest! {
        #[test]
        fn level_and_volume_are_each_others_inverse(h in 0.01_f64..15.69) {
            prop_assert!((level(15.7, volume(15.7, h)) - h).abs() < 1e-6);
        }
    }

    #[test]
    fn limits_of_the_table_are_the_shares_of_the_volume_that_it_says() {
        let full = volume(15.7, 15.7);
        assert!((full - 2026.0).abs() < 10.0, "{full}");
        for (level, share) in [(11.9, 0.85), (12.6, 0.90)] {
            assert!((volume(15.7, level) / full - share).abs() < 0.015);
        }
    }

    #[test]
    fn what_leaks_is_missing_and_fire_presses() {
        let mut s = sphere();
        let (mass, pressure) = (s.mass_kg, s.pressure_mpa());
        assert!((0.3..1.0).contains(&pressure), "{pressure}");
        *s.input("hole_mm").unwrap() = 25.0;
        for _ in 0..600 {
            s.step(1.0, &mut Seeded::new(0));
        }
        assert!((mass - s.mass_kg - s.leaked_kg).abs() < 1e-6);
        let rate = s.leaked_kg / 600.0;
        assert!((3.0..12.0).contains(&rate), "{rate} kg/s through 25 mm");
        *s.input("fire_kw").unwrap() = 20_000.0;
        let mut before = s.pressure_mpa();
        for _ in 0..3600 {
            s.step(1.0, &mut Seeded::new(0));
            assert!(s.pressure_mpa() >= before);
            before = s.pressure_mpa();
        }
        assert!(before > 1.42, "{before}");
    }
}
