//! A dry gas holder: a piston on gas, guided, sealed; and the compressor that draws from it.
//!
//! dV/dt = in − out − leak; the piston stands at V/V_full and presses with its weight while it floats.
//! On its rests (below 5 %) it no longer presses: the pressure falls with what is drawn, to vacuum. A
//! hole in the seal lets go Q = 0.6 A √(2p/ρ). Suction p_s = p − k Q². A damaged guide tilts the piston.

use super::{Given, Process, lag};
use crate::random::Seeded;

#[derive(Debug)]
pub(super) struct GasHolder {
    full_m3: f64,
    volume_m3: f64,
    leaked_m3: f64,
    density: f64,
    weight_kpa: f64,
    pressure_kpa: f64,
    inflow_m3h: f64,
    drawn_m3h: f64,
    seal_hole_m2: f64,
    tilt_mm: f64,
    rest_tilt_mm: f64,
    damage_mm: f64,
    seal_percent: f64,
    line_kpa: f64,
    full_span_mm: f64,
}

/// The compressor that the loss of the suction line is given for, m³/h.
const DRAWN_M3H: f64 = 6000.0;
/// The piston stands on its rests.
const RESTS_PERCENT: f64 = 5.0;

impl GasHolder {
    pub(super) fn new(given: &mut Given) -> GasHolder {
        let full_m3 = given.or("full_m3", 9000.0);
        let weight_kpa = given.or("weight_kpa", 3.0);
        let rest_tilt_mm = given.or("tilt_mm", 15.0);
        GasHolder {
            full_m3,
            volume_m3: full_m3 * given.or("level_percent", 55.0) / 100.0,
            leaked_m3: 0.0,
            density: given.or("density_kg_m3", 2.6),
            weight_kpa,
            pressure_kpa: weight_kpa,
            inflow_m3h: given.or("inflow_m3h", 5000.0),
            drawn_m3h: given.or("drawn_m3h", 5000.0),
            seal_hole_m2: 0.0,
            tilt_mm: rest_tilt_mm,
            rest_tilt_mm,
            damage_mm: 0.0,
            seal_percent: given.or("seal_percent", 80.0),
            line_kpa: given.or("line_kpa", 1.0),
            full_span_mm: given.or("tilt_span_mm", 300.0),
        }
    }

    fn level_percent(&self) -> f64 {
        self.volume_m3 / self.full_m3 * 100.0
    }

    fn leak_m3h(&self) -> f64 {
        let pressure = self.pressure_kpa.max(0.0) * 1000.0;
        0.6 * self.seal_hole_m2.max(0.0) * (2.0 * pressure / self.density).sqrt() * 3600.0
    }
}

impl Process for GasHolder {
    fn input(&mut self, name: &str) -> Option<&mut f64> {
        Some(match name {
            "inflow_m3h" => &mut self.inflow_m3h,
            "drawn_m3h" => &mut self.drawn_m3h,
            "seal_hole_m2" => &mut self.seal_hole_m2,
            "damage_mm" => &mut self.damage_mm,
            "seal_percent" => &mut self.seal_percent,
            _ => return None,
        })
    }

    fn quantity(&self, name: &str) -> Option<f64> {
        Some(match name {
            "level_percent" => self.level_percent(),
            "pressure_kpa" => self.pressure_kpa,
            "suction_kpa" => {
                self.pressure_kpa - self.line_kpa * (self.drawn_m3h / DRAWN_M3H).powi(2)
            }
            "tilt_mm" => self.tilt_mm,
            "tilt_percent" => self.tilt_mm / self.full_span_mm * 100.0,
            "seal_percent" => self.seal_percent,
            "inflow_m3h" => self.inflow_m3h,
            "drawn_m3h" => self.drawn_m3h,
            "leak_kgs" => self.leak_m3h() / 3600.0 * self.density,
            _ => return None,
        })
    }

    fn step(&mut self, seconds: f64, _: &mut Seeded) {
        let leak = self.leak_m3h() * seconds / 3600.0;
        let moved = (self.inflow_m3h - self.drawn_m3h) * seconds / 3600.0;
        let wanted = self.volume_m3 + moved - leak;
        self.volume_m3 = wanted.clamp(0.0, self.full_m3);
        self.leaked_m3 += leak;
        let level = self.level_percent();
        // on its rests the piston presses only with what the gas below it still carries
        let carried = (level / RESTS_PERCENT).min(1.0);
        let target = if carried >= 1.0 {
            self.weight_kpa
        } else {
            self.weight_kpa * carried - 2.0 * (1.0 - carried) * self.drawn_m3h / DRAWN_M3H
        };
        self.pressure_kpa = lag(self.pressure_kpa, target, seconds, 15.0);
        let tilt = self.rest_tilt_mm + self.damage_mm;
        self.tilt_mm = lag(self.tilt_mm, tilt, seconds, 120.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn gas_is_conserved_and_a_hole_in_the_seal_brings_the_piston_down_to_vacuum() {
        let mut g = GasHolder::new(&mut Given::new(&BTreeMap::new()));
        let start = g.volume_m3;
        *g.input("seal_hole_m2").unwrap() = 0.08;
        let mut level = g.level_percent();
        for _ in 0..1200 {
            g.step(1.0, &mut Seeded::new(0));
            assert!(g.level_percent() <= level, "it only falls");
            level = g.level_percent();
        }
        assert!((start - g.volume_m3 - g.leaked_m3).abs() < 1e-6);
        for _ in 0..6000 {
            g.step(1.0, &mut Seeded::new(0));
        }
        assert!(g.quantity("suction_kpa").unwrap() < 0.5);
        assert!(g.level_percent() < RESTS_PERCENT);
    }
}
