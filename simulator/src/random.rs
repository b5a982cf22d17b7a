//! The one source of chance in the simulator: seeded, so that a run can be told again.
//!
//! Lives here: a generator and the few distributions that the models and faults draw from. May not
//! live here: entropy of the machine. Read first: [`Seeded`].

/// SplitMix64 (Steele, Lea, Flood 2014): small, seedable by any number, good enough for noise.
#[derive(Debug, Clone)]
pub struct Seeded(u64);

impl Seeded {
    /// A generator of this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Seeded {
        Seeded(seed)
    }

    /// A generator of its own for one name, so that adding an instrument changes no other.
    #[must_use]
    pub fn for_name(seed: u64, name: &str) -> Seeded {
        // FNV-1a
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in name.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Seeded(seed ^ hash)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In `[0, 1)`.
    #[allow(clippy::cast_precision_loss)] // 53 bits fit
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// In `[low, high)`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// In `0..n`; 0 where `n` is 0.
    #[allow(clippy::cast_possible_truncation)] // below n
    pub fn below(&mut self, n: usize) -> usize {
        if n == 0 {
            0
        } else {
            (self.bits() % n as u64) as usize
        }
    }

    /// Mean 0, deviation 1, never beyond ±6 (sum of twelve uniforms).
    pub fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_tells_the_same_story() {
        let draw = |seed| {
            let mut r = Seeded::for_name(seed, "LT-101A");
            (0..8).map(|_| r.bits()).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn noise_is_centred_and_bounded() {
        let mut r = Seeded::new(1);
        let sum: f64 = (0..10_000)
            .map(|_| {
                let n = r.normal();
                assert!(n.abs() <= 6.0);
                n
            })
            .sum();
        assert!((sum / 10_000.0).abs() < 0.05, "{sum}");
    }
}
