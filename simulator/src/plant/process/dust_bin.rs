//! The bin under a dust collector: a layer that grows until it is cleaned away, heats itself, faster
//! when damp, and gives hydrogen where the dust is aluminium or magnesium.
//!
//! Heat: Semenov's balance; power goes with the thickness of the layer, its losses against the square
//! of it (Frank-Kamenetskii: δ ∝ r²). Damp metal: 2 Al + 3 H₂O → Al₂O₃ + 3 H₂ gives 0.82 MJ and three
//! moles of hydrogen, 7.3 g/MJ. Smouldering wood gives CO in proportion to its heat.

use super::head::Head;
use super::self_heating::SelfHeating;
use super::{Given, Process, lag};
use crate::random::Seeded;

/// Hydrogen of wetted aluminium, kg/J.
const HYDROGEN_KG_J: f64 = 7.3e-9;
/// Carbon monoxide of smouldering wood, kg/J: some 0.1 kg for each kg burnt of 15 MJ.
const CO_KG_J: f64 = 6.5e-9;
/// The layer that the numbers of the body are for.
const LAYER_MM: f64 = 20.0;

#[derive(Debug)]
pub(super) struct DustBin {
    body: SelfHeating,
    loss: f64,
    layer_mm: f64,
    deposit_mm_h: f64,
    cleaning_mm_h: f64,
    moisture_rh: f64,
    ambient_c: f64,
    ember_w: f64,
    draught_m3h: f64,
    volume_m3: f64,
    hydrogen_kg: f64,
    co_kg: f64,
    hydrogen: Head,
    co: Head,
}

impl DustBin {
    pub(super) fn new(given: &mut Given) -> DustBin {
        let temperature_c = given.or("temperature_c", 30.0);
        let mass = given.or("mass_kg", 60.0);
        DustBin {
            body: SelfHeating {
                capacity: mass * given.or("capacity_kj_kg", 0.9) * 1000.0,
                loss: 1.0,
                power: given.or("power_w", 4.0),
                reference_c: given.or("reference_c", 25.0),
                activation: given.or("activation_kj_mol", 60.0) * 1000.0,
                total: mass * given.or("heat_kj_kg", 15_000.0) * 1000.0,
                left: 1.0,
                temperature_c,
                released: 0.0,
            },
            loss: given.or("loss_w_k", 12.0),
            layer_mm: given.or("layer_mm", 8.0),
            deposit_mm_h: given.or("deposit_mm_h", 0.0),
            cleaning_mm_h: 0.0,
            moisture_rh: given.or("moisture_rh", 40.0),
            ambient_c: given.or("ambient_c", 28.0),
            ember_w: 0.0,
            draught_m3h: given.or("draught_m3h", 200.0),
            volume_m3: given.or("volume_m3", 2.0),
            hydrogen_kg: 0.0,
            co_kg: 0.0,
            hydrogen: Head::new(2.016, 4.0),
            co: Head::new(28.0, 12.5),
        }
    }

    /// Damp metal reacts faster: nothing below 50 %RH, ten times at 75.
    fn damp(&self) -> f64 {
        10_f64.powf(((self.moisture_rh - 50.0) / 25.0).clamp(0.0, 2.0))
    }
}

impl Process for DustBin {
    fn input(&mut self, name: &str) -> Option<&mut f64> {
        Some(match name {
            "deposit_mm_h" => &mut self.deposit_mm_h,
            "cleaning_mm_h" => &mut self.cleaning_mm_h,
            "moisture_rh" => &mut self.moisture_rh,
            "ambient_c" => &mut self.ambient_c,
            // an ember or a foreign body that came with the dust
            "ember_w" => &mut self.ember_w,
            "draught_m3h" => &mut self.draught_m3h,
            _ => return None,
        })
    }

    fn quantity(&self, name: &str) -> Option<f64> {
        Some(match name {
            "layer_mm" => self.layer_mm,
            "temperature_c" => self.body.temperature_c,
            "moisture_rh" => self.moisture_rh,
            "hydrogen_lel" => self.hydrogen.quantity("lel")?,
            "co_ppm" => self.co.quantity("ppm")?,
            "burning" => f64::from(u8::from(self.body.temperature_c >= 300.0)),
            _ => return None,
        })
    }

    fn step(&mut self, seconds: f64, _: &mut Seeded) {
        let grown = (self.deposit_mm_h - self.cleaning_mm_h) * seconds / 3600.0;
        self.layer_mm = (self.layer_mm + grown).max(0.0);
        let thick = self.layer_mm / LAYER_MM;
        self.body.loss = self.loss / (thick * thick).max(0.05);
        let faster = thick * self.damp();
        let before = self.body.released;
        self.body
            .step(seconds, self.ambient_c, faster, self.ember_w);
        let heat = self.body.released - before;
        let burnt = heat + self.ember_w.max(0.0) * seconds;
        let wet = 1.0 - 1.0 / self.damp();
        let draught = (self.draught_m3h.max(20.0)) / 3600.0;
        let rate = |joules: f64, kg_j: f64| {
            if seconds > 0.0 {
                joules * kg_j / seconds
            } else {
                0.0
            }
        };
        let tau = self.volume_m3 / draught;
        let settled = |kg_s: f64| kg_s * tau;
        self.hydrogen_kg = lag(
            self.hydrogen_kg,
            settled(rate(heat, HYDROGEN_KG_J) * wet),
            seconds,
            tau,
        );
        self.co_kg = lag(self.co_kg, settled(rate(burnt, CO_KG_J)), seconds, tau);
        self.hydrogen
            .step(self.hydrogen_kg / self.volume_m3 * 1e6, seconds);
        self.co.step(self.co_kg / self.volume_m3 * 1e6, seconds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn run(layer: f64, moisture: f64) -> (f64, f64) {
        let with = BTreeMap::from([
            ("layer_mm".to_owned(), layer),
            ("moisture_rh".to_owned(), moisture),
        ]);
        let mut bin = DustBin::new(&mut Given::new(&with));
        for _ in 0..3600 {
            bin.step(1.0, &mut Seeded::new(0));
        }
        (
            bin.quantity("temperature_c").unwrap(),
            bin.quantity("hydrogen_lel").unwrap(),
        )
    }

    #[test]
    fn a_clean_dry_bin_stays_cool_a_thick_damp_one_burns_and_gives_hydrogen() {
        let (clean, none) = run(5.0, 40.0);
        assert!(clean < 35.0 && none < 1.0, "{clean} {none}");
        let (dry, _) = run(80.0, 40.0);
        let (damp, gas) = run(80.0, 85.0);
        assert!(dry >= clean && damp > dry, "{clean} {dry} {damp}");
        assert!(gas > none, "{gas}");
    }

    #[test]
    fn cleaning_takes_the_layer_away_and_no_more() {
        let mut bin = DustBin::new(&mut Given::new(&BTreeMap::new()));
        *bin.input("deposit_mm_h").unwrap() = 4.0;
        for _ in 0..3600 {
            bin.step(1.0, &mut Seeded::new(0));
        }
        assert!((bin.quantity("layer_mm").unwrap() - 12.0).abs() < 1e-9);
        *bin.input("cleaning_mm_h").unwrap() = 100.0;
        for _ in 0..3600 {
            bin.step(1.0, &mut Seeded::new(0));
        }
        assert_eq!(bin.quantity("layer_mm"), Some(0.0));
    }
}
