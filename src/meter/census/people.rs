//! The people of one event: each by itself while they are few, and then a sketch of them.
//!
//! Owns what is kept of people, and their number. It knows neither their names nor the key of the hashes.
//!
//! Invariant: what is kept follows from the set of all hashes that came, whatever their order, and however often each came.

use super::sketch::{Sketch, mark_of};
use crate::collections::sections::{Reader, Writer};
use crate::meter::digest::mix;
use crate::meter::news::census::{Mark, QUARTER_BYTES};

/// How many people are counted one by one.
pub(in crate::meter) const FEW_MAX: usize = 100;

/// How far an estimate may be off: its standard error, in hundredths of a percent.
const STANDARD_ERROR: u64 = 163;

/// What is kept of the people.
#[derive(Clone, Debug)]
pub(super) enum People {
    /// The hash of each.
    Few(Vec<u64>),
    /// A sketch of them.
    Many(Box<Sketch>),
}

impl Default for People {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl People {
    pub(super) fn write(&self, out: &mut Writer) {
        out.flag(self.many().is_some());
        match self {
            Self::Many(sketch) => out.bytes(sketch.packed()),
            Self::Few(hashes) => {
                out.count(hashes.len());
                for &hash in hashes {
                    out.number(hash);
                }
            }
        }
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        let mut people = Self::default();
        if from.flag() {
            for (number, packed) in (0..).zip(from.bytes().chunks(QUARTER_BYTES)).take(4) {
                people.add_quarter(number, packed);
            }
            return people;
        }
        let mut list = from.list();
        while from.has_next(&mut list) {
            people.add(from.number());
        }
        people
    }

    /// Adds the person of this hash; returns whether anything is new.
    pub(super) fn add(&mut self, hash: u64) -> bool {
        match self {
            Self::Few(hashes) if hashes.contains(&hash) => false,
            Self::Few(hashes) if hashes.len() < FEW_MAX => {
                hashes.push(hash);
                true
            }
            Self::Few(_) => {
                self.sketch().raise(mark_of(hash));
                true
            }
            Self::Many(sketch) => sketch.raise(mark_of(hash)).is_some(),
        }
    }

    /// Adds what another sketch has; returns whether anything is new.
    pub(super) fn add_mark(&mut self, mark: Mark) -> bool {
        let is_first = self.few().is_some();
        self.sketch().raise(mark).is_some() || is_first
    }

    /// Adds a quarter of another sketch; returns whether anything is new.
    pub(super) fn add_quarter(&mut self, number: u8, packed: &[u8]) -> bool {
        let is_first = self.few().is_some();
        self.sketch().raise_quarter(number, packed) || is_first
    }

    /// Whether adding this hash would change nothing.
    pub(super) fn has(&self, hash: u64) -> bool {
        match self {
            Self::Few(hashes) => hashes.contains(&hash),
            Self::Many(sketch) => sketch.has(mark_of(hash)),
        }
    }

    /// The hashes, while they are few.
    pub(super) fn few(&self) -> Option<&[u64]> {
        if let Self::Few(hashes) = self { Some(hashes) } else { None }
    }

    /// The sketch, once there are many.
    pub(super) fn many(&self) -> Option<&Sketch> {
        if let Self::Many(sketch) = self { Some(sketch) } else { None }
    }

    /// The number of people.
    pub(super) fn number(&self) -> u64 {
        match self {
            Self::Few(hashes) => hashes.len() as u64,
            // A sketch is of more than can be counted one by one.
            Self::Many(sketch) => sketch.estimate().max(FEW_MAX as u64 + 1),
        }
    }

    /// By how many people the number may be off.
    pub(super) fn error(&self, number: u64) -> u64 {
        match self {
            Self::Few(_) => 0,
            Self::Many(_) => (number * STANDARD_ERROR).div_ceil(10_000),
        }
    }

    /// A digest of what is kept.
    pub(super) fn digest(&self) -> u64 {
        let sum = |digest: u64, number: u64| digest.wrapping_add(mix(number + 1));
        match self {
            Self::Few(hashes) => hashes.iter().copied().fold(0, sum),
            Self::Many(sketch) => sketch.numbers().fold(1, sum),
        }
    }

    fn sketch(&mut self) -> &mut Sketch {
        if let Self::Few(hashes) = self {
            let mut sketch = Box::new(Sketch::EMPTY);
            for &hash in hashes.iter() {
                sketch.raise(mark_of(hash));
            }
            *self = Self::Many(sketch);
        }
        match self {
            Self::Many(sketch) => sketch,
            Self::Few(_) => unreachable!("it was made just now"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::census::person::Person;
    use crate::meter::news::census::CensusKey;

    fn key(number: u8) -> CensusKey {
        CensusKey { born_unix_ms: 0, bytes: [number; 16] }
    }

    /// The hashes of people with these numbers.
    fn hashes(numbers: impl Iterator<Item = u64>, key: &CensusKey) -> impl Iterator<Item = u64> {
        numbers.map(|number| Person::of_client(u128::from(number).to_le_bytes(), b"browser").hash(key))
    }

    fn people(hashes: impl Iterator<Item = u64>) -> People {
        let mut people = People::default();
        hashes.for_each(|hash| {
            people.add(hash);
        });
        people
    }

    /// Adds all that one knows to the other, as datagrams do.
    fn merge(to: &mut People, from: &People) {
        match from {
            People::Few(hashes) => hashes.iter().for_each(|&hash| {
                to.add(hash);
            }),
            People::Many(sketch) => (0..4).for_each(|number| {
                to.add_quarter(number, &sketch.quarter(number));
            }),
        }
    }

    #[test]
    fn a_hundred_are_counted_one_by_one() {
        let mut people = People::default();
        for (number, hash) in (1..).zip(hashes(0..100, &key(1))) {
            assert!(people.add(hash) && !people.add(hash) && people.has(hash));
            assert_eq!((people.number(), people.error(number)), (number, 0));
        }
        let after = hashes(100..101, &key(1)).next().unwrap();
        assert!(!people.has(after) && people.add(after) && people.has(after));
        assert!((101..=106).contains(&people.number()), "{}", people.number());
        assert_eq!(people.error(1_000), 17);
    }

    /// A set of all names is the naive twin: they are numbered, so the number is known.
    #[test]
    fn an_estimate_is_within_three_standard_errors_from_one_to_ten_million() {
        let mut worst: f64 = 0.0;
        for number in 1..=3 {
            let (mut people, key) = (People::default(), key(number));
            for (count, hash) in (1_u64..).zip(hashes(0..10_000_000, &key)) {
                people.add(hash);
                // Steps of a tenth: 1, 2, ... 10, 11, 12, 13, 14, 16 and so on.
                let is_looked_at = count < 200 || count.is_multiple_of(10_u64.pow(count.ilog10() - 1));
                if is_looked_at {
                    #[expect(clippy::cast_precision_loss, reason = "7 digits")]
                    let off = (people.number() as f64 - count as f64) / count as f64;
                    assert!(off.abs() <= 3.0 * 1.04 / 64.0, "{} of {count}, key {number}", people.number());
                    worst = worst.max(off.abs());
                }
            }
        }
        assert!(worst > 0.005, "it is an estimate: {worst}");
    }

    #[test]
    fn the_error_of_many_keys_is_what_is_claimed() {
        let mut squares = 0.0;
        for number in 0..200 {
            let estimate = people(hashes(0..100_000, &key(number))).number();
            #[expect(clippy::cast_precision_loss, reason = "6 digits")]
            let off = estimate as f64 / 100_000.0 - 1.0;
            squares += off * off;
        }
        let standard_error = (squares / 200.0_f64).sqrt();
        // 1.04 / 64 is 0.0163. Of 200 draws, it is known to 5 % of itself.
        assert!((0.0138..0.0188).contains(&standard_error), "{standard_error}");
    }

    #[test]
    fn parts_merge_in_any_order_and_more_than_once() {
        for total in [3, 90, 100, 101, 130, 5_000] {
            let all = people(hashes(0..total, &key(1)));
            // Parts overlap, and some are few.
            let ranges = [0..total / 2, total / 3..total, 0..3, total - total / 4..total];
            let parts = ranges.map(|range| people(hashes(range, &key(1))));
            for order in 0..24 {
                let mut merged = People::default();
                let mut left: Vec<usize> = (0..4).collect();
                for (place, base) in [(order % 4, 4), (order / 4 % 3, 3), (order / 12, 2), (0, 1)] {
                    let part = &parts[left.remove(place % base)];
                    merge(&mut merged, part);
                    merge(&mut merged, part);
                }
                assert_eq!(merged.digest(), all.digest(), "{total} in order {order}");
                assert_eq!(merged.number(), all.number());
            }
        }
    }

    /// A stranger who knows the program picks names that would be thousands under a key of their own.
    #[test]
    fn names_that_are_crafted_for_one_key_are_ordinary_under_another() {
        let (known, secret) = (key(1), key(2));
        // In each register, the name of the largest rank among a million.
        let mut crafted = vec![(0, 0); crate::meter::news::census::REGISTERS.into()];
        for (number, hash) in (0..1_000_000).zip(hashes(0..1_000_000, &known)) {
            let Mark { register, rank } = mark_of(hash);
            let best = &mut crafted[usize::from(register)];
            *best = (rank, number).max(*best);
        }
        let names = crafted.iter().map(|&(_, number)| number);
        assert!(people(hashes(names.clone(), &known)).number() > 900_000, "they are made for that key");
        let seen = people(hashes(names, &secret)).number();
        assert!((3_850..4_350).contains(&seen), "{seen} of 4,096");
    }
}
