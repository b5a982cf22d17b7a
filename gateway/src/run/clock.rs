//! Which time an envelope carries: the gateway's own clocks, or a recording's.
//!
//! Lives here: the mapping of moments to envelopes. May not live here: waiting.

use std::time::Duration;

use davy_points::{Mono, Timestamp};

use crate::acquire::{Clock, Moment, StepWatch};

/// Envelopes begin here, so that a source time before the start of the process still has its
/// place on the monotonic axis.
const HEADROOM: Duration = Duration::from_secs(30 * 24 * 3600);

/// Wall time now.
pub(crate) fn wall_now() -> Timestamp {
    Clock::start().now().wall
}

/// The clock of the pipeline.
#[derive(Debug)]
pub(super) enum PipelineClock {
    /// The gateway's own.
    Live { clock: Clock, steps: StepWatch },
    /// The recorded time alone moves it (`alarm-engine.md` 3.10).
    Recorded {
        /// Recorded time that stands at the beginning of the axis; none before the first row.
        first: Option<Timestamp>,
        newest: Timestamp,
    },
}

impl PipelineClock {
    pub(super) fn live(clock: Clock) -> PipelineClock {
        PipelineClock::Live {
            clock,
            steps: StepWatch::new(clock.now()),
        }
    }

    /// A recording that goes on where it stopped, or begins with its first row.
    pub(super) fn recorded(stopped_at: Option<Timestamp>) -> PipelineClock {
        PipelineClock::Recorded {
            first: stopped_at,
            newest: stopped_at.unwrap_or_default(),
        }
    }

    /// The moment of an envelope; none: a recording that has not begun.
    pub(super) fn now(&self) -> Option<Moment> {
        match self {
            PipelineClock::Live { clock, .. } => {
                let now = clock.now();
                Some(Moment {
                    mono: now.mono + HEADROOM,
                    wall: now.wall,
                })
            }
            PipelineClock::Recorded { first, newest } => first.map(|first| Moment {
                mono: Mono(newest.since(first).max(0).unsigned_abs()) + HEADROOM,
                wall: *newest,
            }),
        }
    }

    /// A row of this time has been read. Only a recording cares; its time never runs back.
    pub(super) fn row(&mut self, time: Timestamp) {
        if let PipelineClock::Recorded { first, newest } = self {
            if first.is_none() {
                (*first, *newest) = (Some(time), time);
            }
            *newest = (*newest).max(time);
        }
    }

    /// By how much the wall clock was stepped since the last look.
    pub(super) fn stepped(&mut self) -> Option<i64> {
        match self {
            PipelineClock::Live { clock, steps } => steps.look(clock.now()),
            PipelineClock::Recorded { .. } => None,
        }
    }

    /// True where waiting brings time: timers may be waited for.
    pub(super) const fn runs(&self) -> bool {
        matches!(self, PipelineClock::Live { .. })
    }

    /// How long until this moment of the axis.
    pub(super) fn until(&self, wake: Mono) -> Duration {
        match self {
            PipelineClock::Live { clock, .. } => wake.since(clock.mono() + HEADROOM),
            PipelineClock::Recorded { .. } => Duration::MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_moves_by_its_rows_and_never_back() {
        let mut clock = PipelineClock::recorded(None);
        assert_eq!(clock.now(), None);
        let at = |s: i64| Timestamp(1_580_000_000_000_000_000 + s * 1_000_000_000);
        let mut seen = Vec::new();
        for row in [0, 1, 3, 2, 3, 10] {
            clock.row(at(row));
            let now = clock.now().expect("begun");
            seen.push(((now.mono - HEADROOM).ns() / 1_000_000_000, now.wall));
        }
        let expected: Vec<_> = [0, 1, 3, 3, 3, 10].map(|s| (s as u64, at(s))).to_vec();
        assert_eq!(seen, expected);
        assert!(!clock.runs());
    }

    #[test]
    fn a_recording_goes_on_from_where_it_stopped() {
        let mut clock = PipelineClock::recorded(Some(Timestamp(5_000)));
        let stopped = clock.now().expect("known");
        assert_eq!(stopped.wall, Timestamp(5_000));
        clock.row(Timestamp(7_000));
        let now = clock.now().expect("begun");
        assert_eq!(now.mono.since(stopped.mono), Duration::from_nanos(2_000));
    }
}
