//! What was measured: figures of a round, and what several rounds come to.
//!
//! Owns units and medians. It prints nothing, and does not know how anything was measured.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// One number of one round.
#[derive(Clone)]
pub(super) struct Figure {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    /// `None` if it is not known.
    pub(super) value: Option<f64>,
}

impl Figure {
    /// Nanoseconds for each of `parts`.
    pub(super) fn cpu(name: &'static str, ns: Option<f64>, parts: u64) -> Self {
        let value = ns.filter(|_| parts > 0).map(|ns| ns / 1e3 / float(parts));
        Self { name, unit: "us", value }
    }

    /// A span of time.
    pub(super) fn time(name: &'static str, time: Option<Duration>) -> Self {
        Self { name, unit: "ms", value: time.map(|time| time.as_secs_f64() * 1e3) }
    }

    /// Bytes for each of `parts`.
    pub(super) fn bytes(name: &'static str, bytes: Option<u64>, parts: u64) -> Self {
        Self { name, unit: "B", value: bytes.map(|bytes| float(bytes) / float(parts)) }
    }

    /// Nanoseconds on the CPU in a span of time, in percent of one CPU.
    pub(super) fn load(name: &'static str, (ns, span): (u64, Duration)) -> Self {
        Self { name, unit: "%", value: Some(float(ns) / 1e7 / span.as_secs_f64()) }
    }

    /// Bytes a second, in a span of time.
    pub(super) fn rate(name: &'static str, (bytes, span): (u64, Duration)) -> Self {
        Self { name, unit: "B", value: Some(float(bytes) / span.as_secs_f64()) }
    }

    /// A number of things.
    pub(super) fn number(name: &'static str, number: Option<u64>) -> Self {
        Self { name, unit: "", value: number.map(float) }
    }
}

/// A number to calculate with.
#[expect(clippy::cast_precision_loss, reason = "nothing that is measured here comes near 2^53")]
pub(super) fn float(number: u64) -> f64 {
    number as f64
}

/// The longest time that is recorded: far more than anything here may take.
const LONGEST_NS: u64 = 3_600_000_000_000;

/// Spans of time, of which percentiles are asked: to three digits, in nanoseconds.
pub(super) struct Times(Histogram<u64>);

impl Times {
    pub(super) fn record(&mut self, time: Duration) {
        self.0.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    /// The value that this percentage of the times does not exceed; `None` of no times.
    pub(super) fn percentile(&self, percent: f64) -> Option<Duration> {
        (!self.0.is_empty()).then(|| Duration::from_nanos(self.0.value_at_percentile(percent)))
    }

    pub(super) fn median(&self) -> Option<Duration> {
        self.percentile(50.0)
    }

    pub(super) fn longest(&self) -> Option<Duration> {
        self.percentile(100.0)
    }
}

impl Default for Times {
    fn default() -> Self {
        #[expect(clippy::unwrap_used, reason = "0 to 5 digits are possible, of any range from 1 on")]
        Self(Histogram::new_with_bounds(1, LONGEST_NS, 3).unwrap())
    }
}

/// What the values of one figure in all rounds come to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) most: f64,
}

impl Spread {
    pub(super) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        Some(Self { median: *values.get(values.len() / 2)?, least: *values.first()?, most: *values.last()? })
    }

    /// Of the figure at this place in each round.
    pub(super) fn at(rounds: &[Vec<Figure>], index: usize) -> Option<Self> {
        Self::of(rounds.iter().filter_map(|figures| figures.get(index).and_then(|figure| figure.value)))
    }

    /// To the places that are worth writing down.
    pub(super) fn rounded(self) -> Self {
        let Self { median, least, most } = self;
        Self { median: rounded(median), least: rounded(least), most: rounded(most) }
    }
}

/// To three decimals.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_numbers_and_the_percentiles_of_times() {
        assert_eq!(Spread::of([]), None);
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), Some(Spread { median: 2.0, least: 1.0, most: 3.0 }));
        let mut times = Times::default();
        assert_eq!(times.percentile(99.0), None);
        (1..=1000).for_each(|ms| times.record(Duration::from_millis(ms)));
        for (percent, ms) in [(50.0, 500.0), (99.0, 990.0), (100.0, 1000.0)] {
            let found = times.percentile(percent).unwrap().as_secs_f64() * 1e3;
            assert!((found / ms - 1.0).abs() < 2e-3, "{percent}: {found}");
        }
    }

    #[test]
    fn figures_are_for_each_part_and_unknown_ones_stay_so() {
        assert_eq!(Figure::cpu("", Some(9e3), 2).value, Some(4.5));
        assert_eq!(Figure::cpu("", Some(9e3), 0).value, None);
        assert_eq!(Figure::time("", Some(Duration::from_micros(1500))).value, Some(1.5));
        assert_eq!(Figure::bytes("", None, 10).value, None);
    }
}
