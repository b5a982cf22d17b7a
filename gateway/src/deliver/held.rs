//! What a sink has acknowledged and may lose all the same: most engines answer before their disk has
//! it, and forget the last seconds when they are killed.
//!
//! Lives here: how far back a cursor is kept, and when it goes back there. A line that is sent twice
//! is one line: series and time are its key.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// An engine that answers before its disk has it, has it after this. VictoriaMetrics flushes every
/// five seconds; twice that for a busy disk.
pub(super) const UNSURE_FOR: Duration = Duration::from_secs(10);

/// The cursors of one sink, and those of the last seconds.
#[derive(Debug)]
pub(super) struct Held {
    unsure_for: Duration,
    /// When something was acknowledged, and the cursors before it: history and mirror of alarms.
    recent: VecDeque<(Instant, (u64, u64))>,
    /// When the cursors last went back.
    went_back: Option<Instant>,
}

impl Held {
    /// Of a sink that is durable when it answers, or only after a while.
    pub(super) fn new(durable: bool) -> Held {
        Held {
            unsure_for: if durable { Duration::ZERO } else { UNSURE_FOR },
            recent: VecDeque::new(),
            went_back: None,
        }
    }

    /// Something was acknowledged; the cursors as they were before it.
    pub(super) fn acknowledged(&mut self, before: (u64, u64), now: Instant) {
        if self.unsure_for > Duration::ZERO {
            self.recent.push_back((now, before));
        }
    }

    /// What surely need not be sent again.
    pub(super) fn sure(&mut self, cursors: (u64, u64), now: Instant) -> (u64, u64) {
        let old = |at: &Instant| now.duration_since(*at) > self.unsure_for;
        while self.recent.front().is_some_and(|(at, _)| old(at)) {
            self.recent.pop_front();
        }
        self.recent.front().map_or(cursors, |(_, before)| *before)
    }

    /// The sink was away and is there again: from where to send. Once in a while only, so that a
    /// sink which breaks every other connection gets on all the same.
    pub(super) fn after_absence(&mut self, cursors: (u64, u64), now: Instant) -> (u64, u64) {
        let lately = |at: Instant| now.duration_since(at) <= self.unsure_for;
        if self.went_back.is_some_and(lately) {
            return cursors;
        }
        let sure = self.sure(cursors, now);
        if sure != cursors {
            self.went_back = Some(now);
        }
        self.recent.clear();
        sure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_durable_sink_is_believed_at_once() {
        let now = Instant::now();
        let mut held = Held::new(true);
        held.acknowledged((3, 0), now);
        assert_eq!(held.sure((4, 1), now), (4, 1));
        assert_eq!(held.after_absence((4, 1), now), (4, 1));
    }

    #[test]
    fn another_is_believed_after_a_while() {
        let start = Instant::now();
        let mut held = Held::new(false);
        for n in 0..20_u32 {
            held.acknowledged((u64::from(n), 0), start + SECOND * n);
        }
        // Acknowledged 11 s ago or earlier: sure.
        assert_eq!(held.sure((20, 0), start + SECOND * 20), (10, 0));
        assert_eq!(held.sure((20, 0), start + SECOND * 60), (20, 0));
    }

    #[test]
    fn after_an_absence_the_last_seconds_are_sent_again_but_not_over_and_over() {
        let start = Instant::now();
        let mut held = Held::new(false);
        held.acknowledged((5, 2), start);
        held.acknowledged((6, 2), start + SECOND);
        assert_eq!(held.after_absence((7, 2), start + SECOND * 2), (5, 2));
        held.acknowledged((5, 2), start + SECOND * 3);
        assert_eq!(held.after_absence((6, 2), start + SECOND * 4), (6, 2));
    }
}
