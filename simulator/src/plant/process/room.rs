//! Gas in a room: a well mixed volume with ventilation, and heads near to and far from the leak.
//!
//! V dC/dt = G − (Q + q) C, with Q the fans and q the natural exchange. A near head sees the mixed air
//! and a share of the fresh plume; a far head sees the mixed air after the time that it takes to cross
//! the hall.

use super::head::Head;
use super::{Given, Process, lag};
use crate::random::Seeded;

#[derive(Debug)]
pub(super) struct Room {
    volume_m3: f64,
    exchange_m3h: f64,
    crossing_s: f64,
    pub(super) source_kgs: f64,
    pub(super) fans_m3h: f64,
    pub(super) mixed_kg: f64,
    vented_kg: f64,
    crossed_mgm3: f64,
    near: Head,
    far: Head,
}

/// The share of the release that reaches the near head beyond the mixed air, as mg/m³ for each kg/s:
/// a jet entrains some 20 m³/s on its first metres.
const JET_M3S: f64 = 20.0;

impl Room {
    pub(super) fn new(given: &mut Given) -> Room {
        let molar = given.or("molar_g", 17.03);
        let lel = given.or("lel_vol", 15.0);
        Room {
            volume_m3: given.or("volume_m3", 1200.0),
            exchange_m3h: given.or("exchange_m3h", 600.0),
            crossing_s: given.or("crossing_s", 40.0),
            source_kgs: given.or("source_kgs", 0.0),
            fans_m3h: given.or("fans_m3h", 0.0),
            mixed_kg: 0.0,
            vented_kg: 0.0,
            crossed_mgm3: 0.0,
            near: Head::new(molar, lel),
            far: Head::new(molar, lel),
        }
    }

    fn mixed_mgm3(&self) -> f64 {
        self.mixed_kg / self.volume_m3 * 1e6
    }
}

impl Process for Room {
    fn input(&mut self, name: &str) -> Option<&mut f64> {
        Some(match name {
            "source_kgs" => &mut self.source_kgs,
            "fans_m3h" => &mut self.fans_m3h,
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
        let source = self.source_kgs.max(0.0);
        let flow = (self.exchange_m3h + self.fans_m3h.max(0.0)) / 3600.0;
        // exact for constant inputs: steady state G·V/Q, time constant V/Q
        let before = self.mixed_kg;
        self.mixed_kg = lag(
            before,
            source * self.volume_m3 / flow,
            seconds,
            self.volume_m3 / flow,
        );
        self.vented_kg += source * seconds - (self.mixed_kg - before);
        let mixed = self.mixed_mgm3();
        self.crossed_mgm3 = lag(self.crossed_mgm3, mixed, seconds, self.crossing_s);
        self.near.step(mixed + source * 1e6 / JET_M3S, seconds);
        self.far.step(self.crossed_mgm3, seconds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn gas_is_in_the_room_or_vented_and_fans_clear_it() {
        let mut room = Room::new(&mut Given::new(&BTreeMap::new()));
        room.source_kgs = 0.002;
        let mut chance = Seeded::new(0);
        let mut far_before = 0.0;
        for second in 0..1800 {
            room.step(1.0, &mut chance);
            let far = room.quantity("far_ppm").unwrap();
            assert!(far >= far_before, "it only rises, second {second}");
            assert!(room.quantity("near_ppm").unwrap() >= far);
            far_before = far;
        }
        assert!((room.mixed_kg + room.vented_kg - 0.002 * 1800.0).abs() < 1e-9);
        assert!(far_before > 150.0, "{far_before}");
        room.source_kgs = 0.0;
        room.fans_m3h = 14_400.0;
        for _ in 0..1800 {
            room.step(1.0, &mut chance);
        }
        assert!(room.quantity("far_ppm").unwrap() < 28.0);
    }
}
