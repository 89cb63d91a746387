//! Chance that comes out the same for the same seed.
//!
//! Owns a sequence of numbers. A seed has several, and draws from one do not disturb another: how often members draw
//! depends on the machine, and the faults of the daemons must not.

use std::time::Duration;

use audience_kit::Chance as Sequence;

/// The sequences of chance beside those of the rounds, which count from 1.
pub(super) const CROWD: u64 = u64::MAX;
pub(super) const MESSAGES: u64 = u64::MAX - 1;
pub(super) const KEYS: u64 = u64::MAX - 2;
pub(super) const WATCHERS: u64 = u64::MAX - 3;
pub(super) const SCRAPES: u64 = u64::MAX - 4;

/// A sequence of numbers.
pub(super) struct Chance(Sequence);

impl Chance {
    /// One of the sequences of a seed.
    pub(super) fn new(seed: u64, sequence: u64) -> Self {
        Self(Sequence::new(Sequence::new(seed).draw() ^ sequence.wrapping_mul(0xd1b5_4a32_d192_ed03)))
    }

    /// A number below `end`, which is not 0; small numbers are a bit likelier, which does not matter.
    pub(super) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX);
        usize::try_from(self.0.draw() % end).unwrap_or(0)
    }

    /// Whether the one case of `cases` is this one.
    pub(super) fn one_in(&mut self, cases: usize) -> bool {
        self.below(cases) == 0
    }

    /// How many coins show heads before the first tails.
    pub(super) fn heads(&mut self) -> usize {
        usize::try_from(self.0.draw().trailing_zeros()).unwrap_or(0)
    }

    /// A time from `least` to `most`, which is not less.
    pub(super) fn between(&mut self, (least, most): (Duration, Duration)) -> Duration {
        let span_us = u64::try_from(most.saturating_sub(least).as_micros()).unwrap_or(u64::MAX - 1);
        least + Duration::from_micros(self.0.draw() % (span_us + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_has_sequences_that_are_always_the_same_and_differ_from_each_other() {
        let draw = |seed, sequence| {
            let mut chance = Chance::new(seed, sequence);
            [(); 4].map(|()| chance.below(usize::MAX))
        };
        assert_eq!(draw(7, 1), draw(7, 1));
        assert_ne!(draw(7, 1), draw(7, 2));
        assert_ne!(draw(7, 1), draw(8, 1));
    }

    #[test]
    fn times_are_within_their_bounds() {
        let (mut chance, bounds) = (Chance::new(1, 0), (Duration::from_millis(3), Duration::from_millis(6)));
        assert!((0..200).map(|_| chance.between(bounds)).all(|time| bounds.0 <= time && time <= bounds.1));
        assert_eq!(chance.between((bounds.0, bounds.0)), bounds.0);
    }
}
