//! How long a device waits before it dials again.

use std::time::Duration;

use crate::random::Seeded;

/// 0.2 s, doubling to 5 s, each ±50 %, so that many devices do not dial in step.
#[derive(Debug)]
pub(crate) struct Backoff {
    next_ms: f64,
    chance: Seeded,
}

const FIRST_MS: f64 = 200.0;
const LAST_MS: f64 = 5000.0;

impl Backoff {
    pub(crate) fn new(name: &str) -> Backoff {
        Backoff {
            next_ms: FIRST_MS,
            chance: Seeded::for_name(0, name),
        }
    }

    pub(crate) fn next(&mut self) -> Duration {
        let wait = self.next_ms * self.chance.between(0.5, 1.5);
        self.next_ms = (self.next_ms * 2.0).min(LAST_MS);
        Duration::from_secs_f64(wait / 1000.0)
    }

    pub(crate) fn reset(&mut self) {
        self.next_ms = FIRST_MS;
    }
}
