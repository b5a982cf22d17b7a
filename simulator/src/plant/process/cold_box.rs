//! The casing of an air separation unit: a small leak of oxygen-rich liquid into perlite, for weeks.
//!
//! The casing is purged with nitrogen. V dC/dt = L (100 − C) − Q (C − C₀), with the leak as gas; its
//! pressure is that of the flow through the breather, p ∝ (Q + L)². A cold spot on the casing follows
//! the leak with a lag of hours. The leak creeps: it grows by a share each day.

use super::{Given, Process, lag};
use crate::random::Seeded;

#[derive(Debug)]
pub(super) struct ColdBox {
    volume_m3: f64,
    purge_m3h: f64,
    leak_m3h: f64,
    creep_per_day: f64,
    ambient_c: f64,
    /// %vol.
    oxygen: f64,
    shell_c: f64,
}

/// What the purge nitrogen holds, %vol.
const PURGE_OXYGEN: f64 = 1.0;
/// Flow for which the breather is 100 Pa.
const BREATHER_M3H: f64 = 120.0;

impl ColdBox {
    pub(super) fn new(given: &mut Given) -> ColdBox {
        let ambient_c = given.or("ambient_c", 25.0);
        ColdBox {
            volume_m3: given.or("volume_m3", 800.0),
            purge_m3h: given.or("purge_m3h", 100.0),
            leak_m3h: given.or("leak_m3h", 0.0),
            creep_per_day: given.or("creep_per_day", 0.0),
            ambient_c,
            oxygen: PURGE_OXYGEN,
            shell_c: ambient_c,
        }
    }
}

impl Process for ColdBox {
    fn input(&mut self, name: &str) -> Option<&mut f64> {
        Some(match name {
            "purge_m3h" => &mut self.purge_m3h,
            "leak_m3h" => &mut self.leak_m3h,
            "creep_per_day" => &mut self.creep_per_day,
            "ambient_c" => &mut self.ambient_c,
            _ => return None,
        })
    }

    fn quantity(&self, name: &str) -> Option<f64> {
        let flow = self.purge_m3h + self.leak_m3h;
        Some(match name {
            "oxygen_vol" => self.oxygen,
            "casing_pa" => 100.0 * (flow / BREATHER_M3H).powi(2),
            "casing_kpa" => 0.1 * (flow / BREATHER_M3H).powi(2),
            "shell_c" => self.shell_c,
            "purge_m3h" => self.purge_m3h,
            _ => return None,
        })
    }

    fn step(&mut self, seconds: f64, _: &mut Seeded) {
        self.leak_m3h *= 1.0 + self.creep_per_day * seconds / 86_400.0;
        let flow = (self.purge_m3h + self.leak_m3h).max(1.0);
        let settled = (self.purge_m3h * PURGE_OXYGEN + self.leak_m3h * 100.0) / flow;
        let tau = self.volume_m3 / flow * 3600.0;
        self.oxygen = lag(self.oxygen, settled.clamp(0.0, 100.0), seconds, tau);
        let cold = self.ambient_c - 1.5 * self.leak_m3h;
        self.shell_c = lag(self.shell_c, cold.max(-150.0), seconds, 6.0 * 3600.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_creeping_leak_enriches_presses_and_cools_for_weeks() {
        let mut box_ = ColdBox::new(&mut Given::new(&BTreeMap::new()));
        let mut chance = Seeded::new(0);
        for _ in 0..48 {
            box_.step(3600.0, &mut chance);
        }
        assert!((box_.quantity("oxygen_vol").unwrap() - 1.0).abs() < 0.01);
        *box_.input("leak_m3h").unwrap() = 2.0;
        *box_.input("creep_per_day").unwrap() = 0.1;
        let (mut oxygen, mut cold) = (0.0, 30.0);
        for _ in 0..23 * 24 {
            box_.step(3600.0, &mut chance);
            let (o, c) = (
                box_.quantity("oxygen_vol").unwrap(),
                box_.quantity("shell_c").unwrap(),
            );
            assert!(o >= oxygen && c <= cold);
            (oxygen, cold) = (o, c);
        }
        assert!(oxygen > 10.0 && cold < 15.0, "{oxygen} {cold}");
    }
}
