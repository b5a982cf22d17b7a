//! A spark detector in a duct: sparks pass by chance, at a rate; each holds the contact for a moment.
//!
//! A Poisson process: the chance of one in dt is 1 − exp(−λ dt).

use super::{Given, Process};
use crate::random::Seeded;

#[derive(Debug)]
pub(super) struct Spark {
    per_hour: f64,
    hold_s: f64,
    shows_s: f64,
    count: f64,
}

impl Spark {
    pub(super) fn new(given: &mut Given) -> Spark {
        Spark {
            per_hour: given.or("per_hour", 0.0),
            hold_s: given.or("hold_s", 0.5),
            shows_s: 0.0,
            count: 0.0,
        }
    }
}

impl Process for Spark {
    fn input(&mut self, name: &str) -> Option<&mut f64> {
        (name == "per_hour").then_some(&mut self.per_hour)
    }

    fn quantity(&self, name: &str) -> Option<f64> {
        Some(match name {
            "spark" => f64::from(u8::from(self.shows_s > 0.0)),
            "count" => self.count,
            _ => return None,
        })
    }

    fn step(&mut self, seconds: f64, chance: &mut Seeded) {
        // drawn in every step, so that a story that changes the rate shifts nothing else
        let strikes = chance.unit() < 1.0 - (-self.per_hour.max(0.0) / 3600.0 * seconds).exp();
        self.shows_s = (self.shows_s - seconds).max(0.0);
        if strikes {
            self.count += 1.0;
            self.shows_s = self.hold_s.max(seconds * 0.5);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn sparks_come_at_their_rate_and_by_the_seed() {
        let count = |seed, rate| {
            let mut s = Spark::new(&mut Given::new(&BTreeMap::from([(
                "per_hour".to_owned(),
                rate,
            )])));
            let mut chance = Seeded::new(seed);
            for _ in 0..36_000 {
                s.step(1.0, &mut chance);
            }
            s.quantity("count").unwrap()
        };
        assert_eq!(count(1, 0.0), 0.0);
        assert_eq!(count(1, 30.0), count(1, 30.0));
        let ten_hours = count(2, 30.0);
        assert!((240.0..360.0).contains(&ten_hours), "{ten_hours}");
    }
}
