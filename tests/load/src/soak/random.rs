//! Chance that comes out the same for the same seed (splitmix64, by Steele, Lea and Flood).
//!
//! Owns a sequence of numbers. Who draws from one sequence does not disturb another: how often members draw depends on
//! the machine, and what befalls the daemons is not to depend on that.

use std::time::Duration;

/// A sequence of numbers.
pub(super) struct Random(u64);

impl Random {
    /// One of the sequences of a seed.
    pub(super) fn new(seed: u64, sequence: u64) -> Self {
        let mut of_seed = Self(seed);
        Self(of_seed.draw() ^ sequence.wrapping_mul(0xd1b5_4a32_d192_ed03))
    }

    /// The next number.
    pub(super) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0; that small ones are a bit likelier does not matter.
    pub(super) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX);
        usize::try_from(self.draw() % end).unwrap_or(0)
    }

    /// Whether the one case in so many is this one.
    pub(super) fn one_in(&mut self, cases: usize) -> bool {
        self.below(cases) == 0
    }

    /// A time between two.
    pub(super) fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let span = u64::try_from(most.saturating_sub(least).as_micros()).unwrap_or(u64::MAX - 1);
        least + Duration::from_micros(self.draw() % (span + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_has_sequences_that_are_always_the_same_and_differ_from_each_other() {
        let draw = |seed, sequence| {
            let mut random = Random::new(seed, sequence);
            [(); 4].map(|()| random.draw())
        };
        assert_eq!(draw(7, 1), draw(7, 1));
        assert_ne!(draw(7, 1), draw(7, 2));
        assert_ne!(draw(7, 1), draw(8, 1));
    }

    #[test]
    fn numbers_and_times_are_within_their_bounds_and_reach_them() {
        let mut random = Random::new(1, 0);
        let numbers: std::collections::BTreeSet<usize> = (0..200).map(|_| random.below(5)).collect();
        assert!(numbers.into_iter().eq(0..5));
        let (least, most) = (Duration::from_micros(3), Duration::from_micros(6));
        let times: std::collections::BTreeSet<u128> =
            (0..200).map(|_| random.between(least, most).as_micros()).collect();
        assert!(times.into_iter().eq(3..=6));
    }
}
