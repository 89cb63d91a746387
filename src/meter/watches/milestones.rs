//! What a total has come to since the last round: the number, and what it passed on the way.
//!
//! Owns the thresholds, and their hysteresis: one that was crossed upwards is crossed downwards when a tenth of it is missing.
//! So an audience that wavers around a number crosses it once.
//!
//! Invariant: crossings of a threshold alternate, upwards first.

use std::fmt;

use crate::collections::sections::{Reader, Writer};

/// How many thresholds there may be.
pub const THRESHOLDS_MAX: usize = 16;

/// The part of a threshold that has to be missing until it is crossed downwards.
const HYSTERESIS_PART: u64 = 10;

/// The totals whose crossing is a milestone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thresholds(Vec<u64>);

impl Thresholds {
    /// These numbers; `None` if they are too many, or 0 is one of them, for nothing can fall below that.
    #[must_use]
    pub fn new(numbers: impl IntoIterator<Item = u64>) -> Option<Self> {
        let mut ascending: Vec<u64> = Vec::new();
        for number in numbers {
            if let Err(place) = ascending.binary_search(&number) {
                ascending.insert(place, number);
            }
        }
        (ascending.len() <= THRESHOLDS_MAX && ascending.first() != Some(&0)).then_some(Self(ascending))
    }

    pub(super) fn write(&self, out: &mut Writer) {
        let Self(numbers) = self;
        out.count(numbers.len());
        for &number in numbers {
            out.number(number);
        }
    }

    /// Whether these are the thresholds that were written.
    pub(super) fn are_those_of(&self, from: &mut Reader<'_>) -> bool {
        let (mut numbers, mut list) = (Vec::new(), from.list());
        while from.has_next(&mut list) {
            numbers.push(from.number());
        }
        numbers == self.0
    }

    /// Which of them a total is above, as bits, if it was above those of `before`.
    fn above(&self, total: u64, before: u16) -> u16 {
        let is_above = |(index, &threshold): (usize, &u64)| {
            let least = if before & 1 << index == 0 { threshold } else { threshold - threshold / HYSTERESIS_PART };
            u16::from(total >= least) << index
        };
        self.0.iter().enumerate().map(is_above).fold(0, |above, bit| above | bit)
    }

    /// Those of these bits.
    fn of(&self, bits: u16) -> impl Iterator<Item = u64> {
        self.0.iter().enumerate().filter(move |(index, _)| bits & 1 << index != 0).map(|(_, &threshold)| threshold)
    }
}

/// What a total has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Milestone {
    /// It was 0, and is not.
    Occupied,
    /// It was not 0, and is.
    Vacated,
    /// It has never been as large before.
    Peak,
    /// This threshold: upwards if the total is at least as large, else downwards.
    Crossed(u64),
}

impl fmt::Display for Milestone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Occupied => f.write_str("occupied"),
            Self::Vacated => f.write_str("vacated"),
            Self::Peak => f.write_str("peak"),
            Self::Crossed(threshold) => write!(f, "crossed {threshold}"),
        }
    }
}

/// A total, and what became of it in the last round that changed it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Figures {
    pub(super) total: u64,
    peak: u64,
    /// The round in which the total became what it is.
    pub(super) version: u32,
    /// The round of the milestones.
    passed_in: u32,
    /// The thresholds that it is above, as bits.
    above: u16,
    /// Those that it has crossed in that round.
    crossed: u16,
    /// What else it has passed.
    passed: Passed,
}

#[derive(Clone, Copy, Debug, Default)]
struct Passed {
    occupied: bool,
    vacated: bool,
    peak: bool,
}

impl Figures {
    pub(super) fn write(self, out: &mut Writer) {
        let Self {
            total,
            peak,
            version,
            passed_in,
            above,
            crossed,
            passed: Passed { occupied, vacated, peak: is_peak },
        } = self;
        let bits = [version, passed_in, above.into(), crossed.into()];
        [total, peak].into_iter().chain(bits.map(u64::from)).for_each(|number| out.number(number));
        for flag in [occupied, vacated, is_peak] {
            out.flag(flag);
        }
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        let (total, peak, version, passed_in) = (from.number(), from.number(), from.small(), from.small());
        let (above, crossed) = (from.short(), from.short());
        let passed = Passed { occupied: from.flag(), vacated: from.flag(), peak: from.flag() };
        Self { total, peak, version, passed_in, above, crossed, passed }
    }

    /// Other thresholds hold from now on. To be above them already is no milestone.
    pub(super) fn measure(&mut self, thresholds: &Thresholds) {
        (self.above, self.crossed) = (thresholds.above(self.total, 0), 0);
    }

    /// A total that was found: how it came to that is no milestone.
    pub(super) fn found(total: u64, peak: u64, thresholds: &Thresholds, round: u32) -> Self {
        Self { total, peak, version: round, above: thresholds.above(total, 0), ..Self::default() }
    }

    /// The namespace was forgotten: its members now make another event, whose peak is its own.
    pub(super) fn begin_anew(&mut self, total: u64, peak: u64) {
        // If the total is known already, so is what it has passed.
        self.peak = if total == self.total { peak } else { 0 };
    }

    /// The total has become this, and was this much at most. Returns whether there is news.
    pub(super) fn change(&mut self, total: u64, peak: u64, thresholds: &Thresholds, round: u32) -> bool {
        let before = *self;
        if total == before.total && peak <= before.peak {
            // Its milestones of this round stay: a namespace that was forgotten and made anew is taken over twice.
            return false;
        }
        let above = thresholds.above(total, before.above);
        *self = Self {
            total,
            peak: peak.max(before.peak),
            version: if total == before.total { before.version } else { round },
            passed_in: round,
            above,
            crossed: above ^ before.above,
            passed: Passed {
                occupied: before.total == 0 && total > 0,
                vacated: before.total > 0 && total == 0,
                // The first members do not make a record.
                peak: peak > before.peak && before.peak > 0,
            },
        };
        total != before.total || self.passed.peak
    }

    /// What was passed in a round, each with the number that goes with it.
    pub(super) fn milestones(&self, thresholds: &Thresholds, round: u32) -> impl Iterator<Item = (Milestone, u64)> {
        let Self { total, peak, passed, .. } = *self;
        let is_of_round = self.passed_in == round;
        let one = move |is_passed: bool, milestone, number| (is_of_round && is_passed).then_some((milestone, number));
        let crossed = thresholds.of(if is_of_round { self.crossed } else { 0 });
        [
            one(passed.occupied, Milestone::Occupied, total),
            one(passed.vacated, Milestone::Vacated, 0),
            one(passed.peak, Milestone::Peak, peak),
        ]
        .into_iter()
        .flatten()
        .chain(crossed.map(move |threshold| (Milestone::Crossed(threshold), total)))
    }
}

const _: () = assert!(size_of::<Figures>() <= 32);

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(thresholds: &[u64], totals: &[u64], expected: &[&str]) {
        let thresholds = Thresholds::new(thresholds.iter().copied()).unwrap();
        let (mut figures, mut peak, mut passed) = (Figures::default(), 0, Vec::new());
        for (round, &total) in (1..).zip(totals) {
            peak = total.max(peak);
            figures.change(total, peak, &thresholds, round);
            let news = figures.milestones(&thresholds, round);
            passed.extend(news.map(|(milestone, number)| format!("{milestone}={number}")));
            assert_eq!(figures.milestones(&thresholds, round + 1).count(), 0, "a milestone is of its round");
        }
        assert_eq!(passed, expected, "{totals:?}");
    }

    #[test]
    fn the_first_to_come_the_last_to_leave_and_records_but_the_first_are_milestones() {
        check(&[], &[0, 1, 1, 3, 2, 3, 4, 0, 0, 2], &["occupied=1", "peak=3", "peak=4", "vacated=0", "occupied=2"]);
    }

    #[test]
    fn thresholds_are_crossed_with_hysteresis() {
        check(
            &[100, 10],
            &[99, 100, 91, 90, 100, 89, 99, 100],
            &["occupied=99", "crossed 10=99", "peak=100", "crossed 100=100", "crossed 100=89", "crossed 100=100"],
        );
        check(
            &[1, 9, 10],
            &[10, 9, 8, 0],
            &[
                "occupied=10",
                "crossed 1=10",
                "crossed 9=10",
                "crossed 10=10",
                "crossed 9=8",
                "crossed 10=8",
                "vacated=0",
                "crossed 1=0",
            ],
        );
    }

    #[test]
    fn a_peak_between_two_rounds_is_a_milestone_though_the_total_is_the_same() {
        let thresholds = Thresholds::new([]).unwrap();
        let mut figures = Figures::found(5, 7, &thresholds, 1);
        assert!(!figures.change(5, 7, &thresholds, 2));
        assert!(figures.change(5, 8, &thresholds, 3));
        assert_eq!(figures.version, 1, "the count is known");
        assert_eq!(figures.milestones(&thresholds, 3).collect::<Vec<_>>(), [(Milestone::Peak, 8)]);
    }

    #[test]
    fn thresholds_have_their_limits() {
        assert_eq!(Thresholds::new([0]), None);
        assert_eq!(Thresholds::new(1..=17), None);
        assert!(Thresholds::new((1..=16).chain(1..=16)).is_some());
    }
}
