//! Which records are with the centre, which are on the way, and what goes next. Sans-IO.
//!
//! The cursor is the centre's `acked`, never a broker's PUBACK (`formats.md` section 3).

use std::time::{Duration, Instant};

/// Records sent and not acknowledged by the centre, at most.
pub(crate) const IN_FLIGHT_MAX: u64 = 256;
/// Without progress for so long, everything after `acked` is sent again; doubled each time in
/// vain, so that a centre that is away does not fill the broker's queue.
const STALL: Duration = Duration::from_secs(15);
const STALL_MAX: Duration = Duration::from_secs(240);

/// Where the alarm lane stands.
#[derive(Debug)]
pub(crate) struct Window {
    /// The centre has committed all up to here.
    acked: u64,
    /// Sent on this connection up to here.
    sent: u64,
    /// Since when records are on the way without any progress.
    waiting_since: Option<Instant>,
    stall: Duration,
}

/// What an `acked` of the centre meant.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Acked {
    /// Forward, or nothing new.
    Forward,
    /// The centre has less than it had: it lost its store, or was restored. Everything after
    /// its word is sent again.
    Back,
    /// The centre has records that this journal does not: the journal is younger.
    Beyond,
}

impl Window {
    pub(crate) const fn new(acked: u64) -> Window {
        Window {
            acked,
            sent: acked,
            waiting_since: None,
            stall: STALL,
        }
    }

    pub(crate) const fn acked(&self) -> u64 {
        self.acked
    }

    pub(crate) const fn sent(&self) -> u64 {
        self.sent
    }

    /// How many more may be sent.
    pub(crate) const fn room(&self) -> u64 {
        IN_FLIGHT_MAX.saturating_sub(self.sent - self.acked)
    }

    /// The record after [`Window::sent`] has been given to the connection.
    pub(crate) fn sent_one(&mut self, seq: u64, now: Instant) {
        self.sent = seq;
        self.waiting_since.get_or_insert(now);
    }

    /// A new connection: what was on the way may be lost.
    pub(crate) fn rewind(&mut self) {
        self.sent = self.acked;
        self.waiting_since = None;
    }

    /// The centre says that it has all up to `seq`; the journal ends at `last`.
    pub(crate) fn acknowledge(&mut self, seq: u64, last: u64, now: Instant) -> Acked {
        if seq > last {
            return Acked::Beyond;
        }
        if seq < self.acked {
            self.acked = seq;
            self.rewind();
            return Acked::Back;
        }
        if seq > self.acked {
            self.acked = seq;
            self.sent = self.sent.max(seq);
            self.stall = STALL;
            self.waiting_since = (self.sent > self.acked).then_some(now);
        }
        Acked::Forward
    }

    /// The centre speaks of another journal's records: of ours it has none.
    pub(crate) fn foreign(&mut self) {
        self.acked = 0;
        self.rewind();
    }

    /// The centre asks for everything after `seq`.
    pub(crate) fn resend(&mut self, seq: u64) {
        self.acked = self.acked.min(seq);
        self.rewind();
    }

    /// True where nothing has moved for too long: the caller sends again.
    pub(crate) fn stalled(&mut self, now: Instant) -> bool {
        let stalled = self
            .waiting_since
            .is_some_and(|since| now.saturating_duration_since(since) >= self.stall);
        if stalled {
            self.stall = (self.stall * 2).min(STALL_MAX);
            self.rewind();
        }
        stalled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_moves_on_the_centres_word_alone() {
        let now = Instant::now();
        let mut w = Window::new(5);
        assert_eq!(w.room(), IN_FLIGHT_MAX);
        for seq in 6..=9 {
            w.sent_one(seq, now);
        }
        assert_eq!((w.acked(), w.sent(), w.room()), (5, 9, IN_FLIGHT_MAX - 4));
        assert_eq!(w.acknowledge(7, 9, now), Acked::Forward);
        w.rewind();
        assert_eq!(
            (w.acked(), w.sent()),
            (7, 7),
            "a new connection begins after acked"
        );
        assert_eq!(w.acknowledge(9, 9, now), Acked::Forward);
        assert_eq!(
            w.sent(),
            9,
            "the centre may know more than this connection sent"
        );
        assert_eq!(w.acknowledge(2, 9, now), Acked::Back);
        assert_eq!((w.acked(), w.sent()), (2, 2));
        assert_eq!(w.acknowledge(12, 9, now), Acked::Beyond);
        assert_eq!(w.acked(), 2);
        w.sent_one(3, now);
        w.resend(1);
        assert_eq!((w.acked(), w.sent()), (1, 1));
    }

    #[test]
    fn what_does_not_move_is_sent_again_ever_more_rarely() {
        let start = Instant::now();
        let mut w = Window::new(0);
        assert!(!w.stalled(start + STALL * 100), "nothing is on the way");
        w.sent_one(1, start);
        assert!(!w.stalled(start + STALL / 2));
        assert!(w.stalled(start + STALL));
        assert_eq!(w.sent(), 0);
        w.sent_one(1, start + STALL);
        assert!(!w.stalled(start + STALL * 2));
        assert!(w.stalled(start + STALL * 3));
        w.sent_one(1, start + STALL * 3);
        w.sent_one(2, start + STALL * 3);
        w.acknowledge(1, 2, start + STALL * 4);
        assert!(!w.stalled(start + STALL * 4));
        assert!(
            w.stalled(start + STALL * 5),
            "progress makes it impatient again"
        );
    }
}
