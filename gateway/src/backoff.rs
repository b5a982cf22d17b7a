//! How long to wait before the next attempt.
//!
//! Lives here: the delays, as values. May not live here: clocks, sleeping, what is attempted.

use std::time::Duration;

/// Delays that grow by half from a first to a longest, with ±50 % jitter.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
    random: u64,
}

impl Backoff {
    /// Half a second up to half a minute, for a peer at the end of a wire: a broker, a store, a
    /// device. `seed` as in [`Backoff::new`].
    pub(crate) fn of_a_peer(seed: u64) -> Backoff {
        Backoff::new(Duration::from_millis(500), Duration::from_secs(30), seed)
    }

    /// `seed` keeps the devices of a site from dialling in step.
    pub(crate) fn new(first: Duration, longest: Duration, seed: u64) -> Backoff {
        Backoff {
            first,
            longest,
            failures: 0,
            random: seed | 1,
        }
    }

    /// It went well: the next delay is the first again.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// How long to wait after one more failure.
    pub(crate) fn next_delay(&mut self) -> Duration {
        let exponent = i32::try_from(self.failures.min(40)).unwrap_or(40);
        self.failures = self.failures.saturating_add(1);
        let delay =
            (self.first.as_secs_f64() * 1.5f64.powi(exponent)).min(self.longest.as_secs_f64());
        // xorshift64: jitter needs no more
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        #[allow(clippy::cast_precision_loss)] // 53 bits are plenty
        let unit = (self.random >> 11) as f64 / (1u64 << 53) as f64;
        Duration::from_secs_f64(delay * (0.5 + unit)).min(self.longest)
    }
}

/// A seed that differs by process and by call; nothing here needs to be unguessable.
pub(crate) fn any_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    // A hasher's random keys are all the randomness that jitter needs.
    std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_the_longest_with_jitter_and_fall_back() {
        let mut b = Backoff::new(Duration::from_millis(500), Duration::from_secs(30), 3);
        let mut center = 0.5f64;
        for _ in 0..40 {
            let d = b.next_delay().as_secs_f64();
            assert!(
                d >= center * 0.5 && d <= (center * 1.5).min(30.0),
                "{d} {center}"
            );
            center = (center * 1.5).min(30.0);
        }
        b.reset();
        assert!(b.next_delay() <= Duration::from_millis(750));
    }
}
