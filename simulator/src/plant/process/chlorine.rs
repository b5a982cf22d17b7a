//! A horizontal tank of liquid chlorine in its hall: pressure by vapour and pad, a leak that flashes,
//! a scrubber that draws the hall's air and uses up its lye.
//!
//! A flashing leak through a hole: Bernoulli with the vapour pressure. 2 NaOH + Cl₂: 1.13 kg of NaOH for
//! each kg. The hall's suction follows the fan; without it the gas stays in the hall.

use super::saturation::{CHLORINE, liquid_leak_kgs};
use super::{Given, Process, lag};
use crate::random::Seeded;

const DENSITY_KG_M3: f64 = 1410.0;

#[derive(Debug)]
pub(super) struct Chlorine {
    volume_m3: f64,
    mass_kg: f64,
    gone_kg: f64,
    temperature_c: f64,
    ambient_c: f64,
    pad_mpa: f64,
    inflow_m3h: f64,
    outflow_m3h: f64,
    hole_mm: f64,
    fan: f64,
    suction_pa: f64,
    lye_kg: f64,
    solution_kg: f64,
    scrubbed_kgs: f64,
}

impl Chlorine {
    pub(super) fn new(given: &mut Given) -> Chlorine {
        let volume_m3 = given.or("volume_m3", 50.0);
        let temperature_c = given.or("temperature_c", 10.0);
        let solution_kg = given.or("solution_kg", 20_000.0);
        Chlorine {
            volume_m3,
            mass_kg: volume_m3 * given.or("level_percent", 45.0) / 100.0 * DENSITY_KG_M3,
            gone_kg: 0.0,
            temperature_c,
            ambient_c: given.or("ambient_c", temperature_c),
            pad_mpa: given.or("pad_mpa", 0.1),
            inflow_m3h: 0.0,
            outflow_m3h: 0.0,
            hole_mm: 0.0,
            fan: 1.0,
            suction_pa: -50.0,
            lye_kg: solution_kg * given.or("lye_percent", 18.0) / 100.0,
            solution_kg,
            scrubbed_kgs: 0.0,
        }
    }

    fn level_percent(&self) -> f64 {
        self.mass_kg / DENSITY_KG_M3 / self.volume_m3 * 100.0
    }

    fn pressure_mpa(&self) -> f64 {
        CHLORINE.gauge_mpa(self.temperature_c) + self.pad_mpa
    }

    fn leak_kgs(&self) -> f64 {
        if self.mass_kg <= 0.0 {
            return 0.0;
        }
        liquid_leak_kgs(self.hole_mm, self.pressure_mpa(), DENSITY_KG_M3)
    }
}

impl Process for Chlorine {
    fn input(&mut self, name: &str) -> Option<&mut f64> {
        Some(match name {
            "inflow_m3h" => &mut self.inflow_m3h,
            "outflow_m3h" => &mut self.outflow_m3h,
            "hole_mm" => &mut self.hole_mm,
            "ambient_c" => &mut self.ambient_c,
            "pad_mpa" => &mut self.pad_mpa,
            "fan" => &mut self.fan,
            _ => return None,
        })
    }

    fn quantity(&self, name: &str) -> Option<f64> {
        Some(match name {
            "level_percent" => self.level_percent(),
            "pressure_mpa" => self.pressure_mpa(),
            "temperature_c" => self.temperature_c,
            "leak_kgs" => self.leak_kgs(),
            "hall_pa" => self.suction_pa,
            "lye_percent" => self.lye_kg / self.solution_kg * 100.0,
            "fan" => self.fan,
            "drawn_m3h" => -self.suction_pa.min(0.0) / 50.0 * 20_000.0,
            _ => return None,
        })
    }

    fn step(&mut self, seconds: f64, _: &mut Seeded) {
        let leak = (self.leak_kgs() * seconds).min(self.mass_kg);
        self.gone_kg += leak;
        let moved = (self.inflow_m3h - self.outflow_m3h) * DENSITY_KG_M3 * seconds / 3600.0;
        self.mass_kg = (self.mass_kg - leak + moved).clamp(0.0, self.volume_m3 * DENSITY_KG_M3);
        self.temperature_c = lag(self.temperature_c, self.ambient_c, seconds, 2.0 * 86_400.0);
        let suction = if self.fan >= 0.5 { -50.0 } else { 0.0 };
        self.suction_pa = lag(self.suction_pa, suction, seconds, 20.0);
        // some of what leaks reaches the scrubber, as far as it draws
        self.scrubbed_kgs = leak / seconds.max(1e-9) * (-self.suction_pa / 50.0).clamp(0.0, 1.0);
        self.lye_kg = (self.lye_kg - self.scrubbed_kgs * seconds * 1.13).max(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn chlorine_is_in_the_tank_or_gone_and_lye_is_used_by_what_is_scrubbed() {
        let mut c = Chlorine::new(&mut Given::new(&BTreeMap::new()));
        let pressure = c.pressure_mpa();
        assert!((0.2..0.8).contains(&pressure), "{pressure}");
        let (mass, lye) = (c.mass_kg, c.lye_kg);
        *c.input("hole_mm").unwrap() = 3.0;
        for _ in 0..600 {
            c.step(1.0, &mut Seeded::new(0));
        }
        assert!((mass - c.mass_kg - c.gone_kg).abs() < 1e-6 && c.gone_kg > 10.0);
        assert!((lye - c.lye_kg - 1.13 * c.gone_kg).abs() < 1e-6 * lye);
        *c.input("fan").unwrap() = 0.0;
        for _ in 0..120 {
            c.step(1.0, &mut Seeded::new(0));
        }
        assert!(c.quantity("hall_pa").unwrap() > -10.0);
    }
}
