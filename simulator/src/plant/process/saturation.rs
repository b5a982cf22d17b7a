//! Vapour pressure of liquefied gases by the Antoine equation, log10 p = A − B/(T + C), p in bar, T in
//! kelvin; coefficients of the NIST Chemistry WebBook, where not said otherwise.

/// Atmospheric pressure, MPa.
pub(super) const ATMOSPHERE_MPA: f64 = 0.1013;

/// A pure substance.
#[derive(Debug, Clone, Copy)]
pub(super) struct Antoine {
    a: f64,
    b: f64,
    c: f64,
}

pub(super) const PROPANE: Antoine = Antoine {
    a: 4.536_78,
    b: 1149.36,
    c: 24.906,
};
pub(super) const BUTANE: Antoine = Antoine {
    a: 4.355_76,
    b: 1175.581,
    c: -2.071,
};
pub(super) const AMMONIA: Antoine = Antoine {
    a: 4.868_86,
    b: 1113.928,
    c: -10.409,
};
/// Fitted to −34.0 °C, 20 °C and 40 °C (1.013, 6.73, 11.3 bar).
pub(super) const CHLORINE: Antoine = Antoine {
    a: 3.9944,
    b: 830.1,
    c: -31.0,
};

impl Antoine {
    /// Saturation pressure at a temperature, MPa absolute.
    pub(super) fn mpa(self, celsius: f64) -> f64 {
        10_f64.powf(self.a - self.b / (celsius + 273.15 + self.c)) / 10.0
    }

    /// Saturation pressure, MPa above atmosphere.
    pub(super) fn gauge_mpa(self, celsius: f64) -> f64 {
        self.mpa(celsius) - ATMOSPHERE_MPA
    }
}

/// Mass flow of a liquid out of a hole, kg/s: Bernoulli with Cd = 0.61.
pub(super) fn liquid_leak_kgs(hole_mm: f64, gauge_mpa: f64, density: f64) -> f64 {
    let area = std::f64::consts::FRAC_PI_4 * (hole_mm.max(0.0) / 1000.0).powi(2);
    0.61 * area * (2.0 * density * gauge_mpa.max(0.0) * 1e6).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boiling_points_and_known_pressures_are_met() {
        for (what, substance, celsius, bar) in [
            ("ammonia boils at -33.3", AMMONIA, -33.3, 1.013),
            ("ammonia at 30", AMMONIA, 30.0, 11.67),
            ("propane at 20", PROPANE, 20.0, 8.36),
            ("n-butane at 20", BUTANE, 20.0, 2.08),
            ("chlorine boils at -34", CHLORINE, -34.0, 1.013),
            ("chlorine at 20", CHLORINE, 20.0, 6.8),
        ] {
            let is = substance.mpa(celsius) * 10.0;
            assert!((is - bar).abs() < bar * 0.08, "{what}: {is} bar");
        }
    }
}
