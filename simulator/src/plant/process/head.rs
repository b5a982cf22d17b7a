//! What a gas head shows of the gas that reaches it, in the units that heads have.

use super::lag;

/// Molar volume at 25 °C and 1 atm, l/mol (the 24.45 of `ppm = mg/m³ · 24.45 / M`).
const MOLAR_L: f64 = 24.45;

/// A catalytic or electrochemical head answers within some 10 s (T50; GB/T 50493 asks T90 < 60 s).
const HEAD_TAU_S: f64 = 10.0;

/// Gas at one head.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) molar_g: f64,
    pub(super) lel_vol: f64,
    shown_mgm3: f64,
}

impl Head {
    pub(super) fn new(molar_g: f64, lel_vol: f64) -> Head {
        Head {
            molar_g,
            lel_vol,
            shown_mgm3: 0.0,
        }
    }

    pub(super) fn step(&mut self, mgm3: f64, seconds: f64) {
        self.shown_mgm3 = lag(self.shown_mgm3, mgm3, seconds, HEAD_TAU_S);
    }

    /// By the end of the name: `_mgm3`, `_ppm`, `_vol`, `_lel`.
    pub(super) fn quantity(&self, name: &str) -> Option<f64> {
        let ppm = self.shown_mgm3 * MOLAR_L / self.molar_g;
        Some(match name {
            "mgm3" => self.shown_mgm3,
            "ppm" => ppm,
            "vol" => ppm / 10_000.0,
            "lel" => ppm / 10_000.0 / self.lel_vol * 100.0,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_agree_with_the_table_of_limits() {
        // NH3 20 mg/m³ is 28.7 ppm, Cl2 1 mg/m³ is 0.34 ppm (domain.md 1.3)
        for (molar, lel, mgm3, ppm) in [(17.03, 15.0, 20.0, 28.7), (70.9, 100.0, 1.0, 0.345)] {
            let mut head = Head::new(molar, lel);
            head.step(mgm3, 1e9);
            let shown = head.quantity("ppm").unwrap();
            assert!((shown - ppm).abs() < ppm * 0.01, "{shown}");
        }
        let mut propane = Head::new(44.1, 2.1);
        // 2.1 %vol
        propane.step(21_000.0 * 44.1 / 24.45, 1e9);
        assert!((propane.quantity("lel").unwrap() - 100.0).abs() < 1e-9);
    }
}
