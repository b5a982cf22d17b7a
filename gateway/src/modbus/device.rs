//! How a unit and its source are doing: circuit breaker, up and down, redial.
//!
//! Lives here: small state machines over outcomes and time. May not live here: sockets, clocks.
//! Read first: [`Breaker`], then [`Health`].

use std::time::Duration;

use davy_points::Mono;

use crate::backoff::Backoff;

/// Misses in a row after which a unit is probed only.
pub const MISSES: u32 = 3;
/// A source that gave nothing for this long, though it was asked, is down.
pub const SILENCE: Duration = Duration::from_secs(3);

/// What may be asked of a unit now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Anything.
    Read,
    /// One small read, to see whether it is back.
    Probe,
    /// Nothing.
    Refuse,
}

/// Circuit breaker of a unit: three misses in a row open it, then one probe at a time with
/// growing delay up to 60 s, until one is answered.
#[derive(Debug)]
pub struct Breaker {
    misses: u32,
    probe_at: Mono,
    backoff: Backoff,
}

impl Breaker {
    /// Closed.
    #[must_use]
    pub fn new(seed: u64) -> Breaker {
        Breaker {
            misses: 0,
            probe_at: Mono(0),
            backoff: Backoff::new(Duration::from_millis(500), Duration::from_secs(60), seed),
        }
    }

    /// What may be asked now.
    #[must_use]
    pub fn admit(&self, now: Mono) -> Admission {
        if self.misses < MISSES {
            Admission::Read
        } else if now >= self.probe_at {
            Admission::Probe
        } else {
            Admission::Refuse
        }
    }

    /// The last thing asked was not answered.
    #[must_use]
    pub fn missing(&self) -> bool {
        self.misses > 0
    }

    /// When a probe is due; none: the breaker is closed.
    #[must_use]
    pub fn probe_at(&self) -> Option<Mono> {
        (self.misses >= MISSES).then_some(self.probe_at)
    }

    /// It answered, be it with an exception of its own.
    pub fn answered(&mut self) {
        self.misses = 0;
        self.backoff.reset();
    }

    /// It did not answer.
    pub fn missed(&mut self, now: Mono) {
        self.misses = self.misses.saturating_add(1);
        if self.misses >= MISSES {
            self.probe_at = now + self.backoff.next_delay();
        }
    }

    /// The link is new: if open, it may be probed at once.
    pub fn link_is_new(&mut self, now: Mono) {
        self.probe_at = self.probe_at.min(now);
    }
}

/// Whether a source gives data: down after three misses or three seconds without any, up with
/// the first answer.
#[derive(Debug, Default)]
pub struct Health {
    state: Option<bool>,
    misses: u32,
    first_miss: Option<Mono>,
}

impl Health {
    /// Data came. True: the source is up as of now.
    pub fn answered(&mut self) -> bool {
        self.misses = 0;
        self.first_miss = None;
        self.state.replace(true) != Some(true)
    }

    /// Nothing came, or there is no link.
    pub fn missed(&mut self, now: Mono) {
        self.misses = self.misses.saturating_add(1);
        self.first_miss.get_or_insert(now);
    }

    /// True: the source is down as of now. `all_missing`: no link, or no unit answered last.
    pub fn check(&mut self, now: Mono, all_missing: bool) -> bool {
        let Some(first) = self.first_miss else {
            return false;
        };
        let down = all_missing && (self.misses >= MISSES || now.since(first) >= SILENCE);
        down && self.state.replace(false) != Some(false)
    }

    /// When [`Health::check`] must be called though nothing happened.
    #[must_use]
    pub fn check_at(&self) -> Option<Mono> {
        match self.state {
            Some(false) => None,
            _ => self.first_miss.map(|m| m + SILENCE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Mono {
        Mono(ms * 1_000_000)
    }

    #[test]
    fn three_misses_open_the_breaker_and_one_answer_closes_it() {
        let mut b = Breaker::new(7);
        for ms in [0, 1, 2] {
            assert_eq!(b.admit(at(ms)), Admission::Read);
            b.missed(at(ms));
        }
        assert_eq!(b.admit(at(3)), Admission::Refuse);
        let probe = b.probe_at().expect("open");
        assert!(probe <= at(2 + 750), "the first probe comes soon");
        assert_eq!(b.admit(probe), Admission::Probe);
        b.missed(probe);
        assert_eq!(b.admit(probe), Admission::Refuse);
        b.link_is_new(probe);
        assert_eq!(b.admit(probe), Admission::Probe);
        b.answered();
        assert_eq!(b.admit(probe), Admission::Read);
    }

    #[test]
    fn a_source_is_down_after_three_misses_or_three_seconds_and_says_so_once() {
        let mut h = Health::default();
        assert!(h.answered(), "the first data bring it up");
        assert!(!h.answered());
        for (ms, down) in [(0, false), (10, false), (20, true), (30, false)] {
            h.missed(at(ms));
            assert_eq!(h.check(at(ms), true), down, "{ms}");
        }
        assert!(h.answered(), "up again");
        h.missed(at(100));
        assert!(!h.check(at(3_099), true));
        assert_eq!(h.check_at(), Some(at(3_100)));
        assert!(!h.check(at(3_100), false), "another unit answers");
        assert!(h.check(at(3_100), true));
    }

    #[test]
    fn a_source_that_never_answered_is_down_too() {
        let mut h = Health::default();
        assert!(!h.check(at(9_000), true), "it was not asked yet");
        h.missed(at(9_000));
        assert!(h.check(at(12_000), true));
    }
}
