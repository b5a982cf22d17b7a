//! A stirred or stored reactive liquid with cooling: an exothermic batch, polymerising ethylene
//! oxide, methyl isocyanate with water in it.
//!
//! Heat: Semenov's balance, with the loss proportional to the coolant's flow. Pressure: an inert pad
//! that is compressed by nothing, plus vapour by Clausius–Clapeyron, p = p₀ exp[−ΔH/R (1/T − 1/T_b)],
//! plus the gas that the reaction makes, n R T / V, less what the relief valve lets go.

use super::saturation::ATMOSPHERE_MPA;
use super::self_heating::{R, SelfHeating};
use super::{Given, Process};
use crate::random::Seeded;

#[derive(Debug)]
pub(super) struct Reactor {
    body: SelfHeating,
    coolant_c: f64,
    coolant_percent: f64,
    full_loss: f64,
    idle_loss: f64,
    ambient_c: f64,
    faster: f64,
    boils_c: f64,
    vaporisation: f64,
    pad_mpa: f64,
    gas_mol_per_j: f64,
    gas_mol: f64,
    head_m3: f64,
    relief_mpa: f64,
    relief_mol_s: f64,
    relieving: bool,
    level_percent: f64,
    before_c: f64,
    slope_ch: f64,
}

impl Reactor {
    pub(super) fn new(given: &mut Given) -> Reactor {
        let mass = given.or("mass_kg", 40_000.0);
        let temperature_c = given.or("temperature_c", 0.0);
        let total = given.or("heat_kj_kg", 2000.0) * 1000.0 * mass;
        Reactor {
            body: SelfHeating {
                capacity: mass * given.or("capacity_kj_kg", 2.0) * 1000.0,
                loss: 0.0,
                power: given.or("power_w", 500.0),
                reference_c: given.or("reference_c", 0.0),
                activation: given.or("activation_kj_mol", 80.0) * 1000.0,
                total,
                left: 1.0,
                temperature_c,
                released: 0.0,
            },
            coolant_c: given.or("coolant_c", temperature_c - 2.0),
            coolant_percent: given.or("coolant_percent", 100.0),
            full_loss: given.or("cooling_w_k", 3000.0),
            idle_loss: given.or("insulation_w_k", 50.0),
            ambient_c: given.or("ambient_c", 20.0),
            faster: 1.0,
            boils_c: given.or("boils_c", 10.6),
            vaporisation: given.or("vaporisation_kj_mol", 25.5) * 1000.0,
            pad_mpa: given.or("pad_mpa", 0.2),
            gas_mol_per_j: given.or("gas_mol_per_mj", 0.0) / 1e6,
            gas_mol: 0.0,
            head_m3: given.or("head_m3", 20.0),
            relief_mpa: given.or("relief_mpa", 0.6),
            relief_mol_s: given.or("relief_mol_s", 40.0),
            relieving: false,
            level_percent: given.or("level_percent", 60.0),
            before_c: temperature_c,
            slope_ch: 0.0,
        }
    }

    fn pressure_mpa(&self) -> f64 {
        let kelvin = self.body.temperature_c + 273.15;
        let vapour = ATMOSPHERE_MPA
            * (self.vaporisation / R * (1.0 / (self.boils_c + 273.15) - 1.0 / kelvin)).exp();
        let gas = self.gas_mol * R * kelvin / self.head_m3 / 1e6;
        self.pad_mpa + vapour + gas - ATMOSPHERE_MPA
    }
}

impl Process for Reactor {
    fn input(&mut self, name: &str) -> Option<&mut f64> {
        Some(match name {
            "coolant_percent" => &mut self.coolant_percent,
            "coolant_c" => &mut self.coolant_c,
            "ambient_c" => &mut self.ambient_c,
            "pad_mpa" => &mut self.pad_mpa,
            "level_percent" => &mut self.level_percent,
            // water, rust, an acid: how many times faster than the pure liquid
            "contamination" => &mut self.faster,
            _ => return None,
        })
    }

    fn quantity(&self, name: &str) -> Option<f64> {
        Some(match name {
            "temperature_c" => self.body.temperature_c,
            "pressure_mpa" => self.pressure_mpa(),
            "pressure_kpa" => self.pressure_mpa() * 1000.0,
            "coolant_percent" => self.coolant_percent,
            "level_percent" => self.level_percent,
            "slope_ch" => self.slope_ch,
            "relieving" => f64::from(u8::from(self.relieving)),
            "vent_kgs" => {
                if self.relieving {
                    self.relief_mol_s * 0.05
                } else {
                    0.0
                }
            }
            _ => return None,
        })
    }

    fn step(&mut self, seconds: f64, _: &mut Seeded) {
        let share = (self.coolant_percent / 100.0).clamp(0.0, 1.5);
        let cooling = self.full_loss * share;
        self.body.loss = cooling + self.idle_loss;
        let surroundings =
            (cooling * self.coolant_c + self.idle_loss * self.ambient_c) / self.body.loss.max(1e-9);
        let before = self.body.released;
        self.body
            .step(seconds, surroundings, self.faster.max(0.0), 0.0);
        self.gas_mol += (self.body.released - before) * self.gas_mol_per_j;
        if self.pressure_mpa() >= self.relief_mpa {
            self.relieving = true;
        } else if self.pressure_mpa() < self.relief_mpa * 0.9 {
            self.relieving = false;
        }
        if self.relieving {
            self.gas_mol = (self.gas_mol - self.relief_mol_s * seconds).max(0.0);
        }
        if seconds > 0.0 {
            self.slope_ch = (self.body.temperature_c - self.before_c) / seconds * 3600.0;
        }
        self.before_c = self.body.temperature_c;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn cooled_it_stays_without_brine_it_runs_away_and_pressure_follows_temperature() {
        let mut r = Reactor::new(&mut Given::new(&BTreeMap::new()));
        let mut chance = Seeded::new(0);
        for _ in 0..24 * 60 {
            r.step(60.0, &mut chance);
        }
        let rest = r.quantity("temperature_c").unwrap();
        assert!((-2.5..2.0).contains(&rest), "{rest}");
        *r.input("coolant_percent").unwrap() = 0.0;
        *r.input("contamination").unwrap() = 200.0;
        let (mut t, mut p) = (rest, r.quantity("pressure_mpa").unwrap());
        for _ in 0..12 * 60 {
            r.step(60.0, &mut chance);
            let (t2, p2) = (
                r.quantity("temperature_c").unwrap(),
                r.quantity("pressure_mpa").unwrap(),
            );
            assert!(t2 >= t && p2 >= p - 1e-9, "both only rise");
            (t, p) = (t2, p2);
            if r.relieving {
                break;
            }
        }
        assert!(t > rest + 10.0, "{t}");
    }
}
