//! Deadlines in the order in which they act. An entry is only a hint: whoever owns the deadline
//! checks, when it comes up, whether it still holds.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use davy_points::PointIx;

use super::reload::Moved;
use crate::ruleset::AlarmIx;

/// Within one instant on-delays come first, worst first, then what expires, then re-alarms, then
/// judges; staleness and what
/// follows from silence come after every input of its instant (8.2, 8.19).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Deadline {
    OnDelay {
        badness: u8,
        alarm: AlarmIx,
    },
    /// A shelf, a suppression or out of service ends.
    Expire {
        alarm: AlarmIx,
    },
    Realarm {
        alarm: AlarmIx,
    },
    /// A judge may say something else.
    Judge {
        instance: u32,
    },
    /// Annunciations of ten minutes ago are no longer counted.
    Flood,
    Stale {
        point: PointIx,
    },
    /// What stood for this alarm stands no longer, and its own chance is over.
    Expose {
        alarm: AlarmIx,
    },
    /// A start has taken as long as it may.
    Startup,
}

impl Deadline {
    /// The same for what has another index since a reload; none where it is gone.
    fn moved(self, to: &Moved) -> Option<Deadline> {
        Some(match self {
            Deadline::OnDelay { badness, alarm } => Deadline::OnDelay {
                badness,
                alarm: to.alarm(alarm)?,
            },
            Deadline::Expire { alarm } => Deadline::Expire {
                alarm: to.alarm(alarm)?,
            },
            Deadline::Realarm { alarm } => Deadline::Realarm {
                alarm: to.alarm(alarm)?,
            },
            #[allow(clippy::cast_possible_truncation)] // fewer than 2^32 instances
            Deadline::Judge { instance } => Deadline::Judge {
                instance: to.instance(instance as usize)? as u32,
            },
            // Queued anew.
            Deadline::Stale { .. } => return None,
            Deadline::Expose { alarm } => Deadline::Expose {
                alarm: to.alarm(alarm)?,
            },
            Deadline::Startup => Deadline::Startup,
            Deadline::Flood => Deadline::Flood,
        })
    }
}

#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(i64, Deadline)>>,
}

impl Timers {
    pub(super) fn push(&mut self, due: i64, what: Deadline) {
        if due < i64::MAX {
            self.heap.push(Reverse((due, what)));
        }
    }

    /// What was queued, where it is now.
    pub(super) fn moved(&mut self, to: &Moved) {
        let heap = std::mem::take(&mut self.heap);
        for Reverse((due, what)) in heap.into_sorted_vec().into_iter().rev() {
            if let Some(what) = what.moved(to) {
                self.push(due, what);
            }
        }
    }

    /// The first instant at which something acts. A stale deadline acts strictly later (8.7).
    #[inline]
    pub(super) fn next(&self) -> Option<i64> {
        self.heap
            .peek()
            .map(|Reverse((due, what))| acts_at(*due, *what))
    }

    /// The next deadline that acts at or before `at`.
    pub(super) fn pop_due(&mut self, at: i64) -> Option<(i64, Deadline)> {
        let Reverse((due, what)) = *self.heap.peek()?;
        if acts_at(due, what) > at {
            return None;
        }
        self.heap.pop();
        Some((due, what))
    }

    /// The next of what expires at exactly this instant.
    pub(super) fn pop_expiry(&mut self, at: i64) -> Option<AlarmIx> {
        match self.heap.peek() {
            Some(Reverse((due, Deadline::Expire { alarm }))) if *due == at => {
                let alarm = *alarm;
                self.heap.pop();
                Some(alarm)
            }
            _ => None,
        }
    }
}

fn acts_at(due: i64, what: Deadline) -> i64 {
    match what {
        Deadline::Stale { .. } | Deadline::Expose { .. } | Deadline::Startup => {
            due.saturating_add(1)
        }
        _ => due,
    }
}
