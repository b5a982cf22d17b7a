//! The gateway's two clocks, read together.
//!
//! Monotonic time runs delays, wall time labels. May not live here: anything that waits.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use davy_points::{Mono, Timestamp};

/// Both times of one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Since the clock's origin.
    pub mono: Mono,
    /// UTC.
    pub wall: Timestamp,
}

/// Monotonic time from one origin that all parts of a gateway share, and wall time.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// Its origin is now.
    #[must_use]
    pub fn start() -> Clock {
        Clock {
            origin: Instant::now(),
        }
    }

    /// Monotonic time now.
    #[must_use]
    pub fn mono(&self) -> Mono {
        Mono(u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// Both times now.
    #[must_use]
    pub fn now(&self) -> Moment {
        Moment {
            mono: self.mono(),
            wall: wall(),
        }
    }

    /// The timer's word for a monotonic time.
    #[must_use]
    pub fn instant(&self, mono: Mono) -> tokio::time::Instant {
        (self.origin + Duration::from_nanos(mono.ns())).into()
    }
}

fn wall() -> Timestamp {
    let ns = |d: Duration| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX);
    Timestamp(match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => ns(since),
        Err(before) => -ns(before.duration()),
    })
}

/// Sees steps of the wall clock. Slewing (at most 0.5 ms a second) is no step.
#[derive(Debug, Clone, Copy)]
pub struct StepWatch {
    /// Wall minus monotonic when last looked.
    difference: i128,
}

impl StepWatch {
    /// A smaller difference between two looks is slewing, or the time between reading both clocks.
    pub const SMALLEST: Duration = Duration::from_millis(100);

    /// Watches from this moment on.
    #[must_use]
    pub fn new(now: Moment) -> StepWatch {
        StepWatch {
            difference: difference(now),
        }
    }

    /// By how many nanoseconds the wall clock has stepped since the last look, forward or back.
    /// Look at least every few seconds.
    pub fn look(&mut self, now: Moment) -> Option<i64> {
        let new = difference(now);
        let step = new - self.difference;
        self.difference = new;
        (step.unsigned_abs() >= Self::SMALLEST.as_nanos())
            .then(|| i64::try_from(step).unwrap_or(if step < 0 { i64::MIN } else { i64::MAX }))
    }
}

fn difference(now: Moment) -> i128 {
    i128::from(now.wall.ns()) - i128::from(now.mono.ns())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_seen_once_and_slewing_never() {
        let at = |mono_ms: u64, wall_ms: i64| Moment {
            mono: Mono(mono_ms * 1_000_000),
            wall: Timestamp(wall_ms * 1_000_000),
        };
        let mut watch = StepWatch::new(at(0, 5_000));
        assert_eq!(watch.look(at(100, 5_100)), None);
        assert_eq!(watch.look(at(200, 5_201)), None, "slewing");
        assert_eq!(watch.look(at(300, 8_301)), Some(3_000_000_000));
        assert_eq!(watch.look(at(400, 8_401)), None);
        assert_eq!(watch.look(at(500, 1_501)), Some(-7_000_000_000));
    }
}
