//! Chance, to keep crowds apart: members that came together shall not come back, or leave, together.
//!
//! Owns a keyed hash of a counter: std's `RandomState` is seeded by the system and differs in every process. Nothing here
//! is a secret.

use std::hash::{BuildHasher as _, RandomState};
use std::ops::RangeInclusive;
use std::time::Duration;

/// The part of `--max-conn-duration` that is left to chance.
const DURATION_JITTER: f64 = 0.1;

/// A source of chance.
#[derive(Default)]
pub(super) struct Jitter {
    hasher: RandomState,
    draws: u64,
}

impl Jitter {
    /// A number of this range, each as likely as the others.
    pub(super) fn within(&mut self, range: &RangeInclusive<u64>) -> u64 {
        let (start, span) = (*range.start(), range.end() - range.start() + 1);
        self.draws += 1;
        // Multiply and shift instead of a remainder: as even, and no division.
        let drawn = u128::from(self.hasher.hash_one(self.draws)) * u128::from(span);
        start + u64::try_from(drawn >> 64).unwrap_or(0)
    }

    /// A duration of the last tenth up to the longest.
    pub(super) fn shorten(&mut self, longest: Duration) -> Duration {
        let permille = u32::try_from(self.within(&(0..=1000))).unwrap_or(0);
        longest.mul_f64(1.0 - DURATION_JITTER * f64::from(permille) / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_stay_within_their_range_and_reach_all_of_it() {
        let mut jitter = Jitter::default();
        let mut seen = [false; 5];
        for _ in 0..1000 {
            let drawn = jitter.within(&(10..=14));
            seen[usize::try_from(drawn).unwrap() - 10] = true;
        }
        assert_eq!(seen, [true; 5]);
        assert_eq!(jitter.within(&(7..=7)), 7);
    }

    #[test]
    fn a_shortened_duration_is_the_last_tenth_of_it() {
        let mut jitter = Jitter::default();
        for _ in 0..1000 {
            let shortened = jitter.shorten(Duration::from_secs(100));
            assert!((90.0..=100.0).contains(&shortened.as_secs_f64()), "{shortened:?}");
        }
    }
}
