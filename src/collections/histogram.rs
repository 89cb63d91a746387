//! Durations, counted by powers of two.
//!
//! Owns the buckets and the longest duration. It reads no clock. Recording allocates nothing and costs a few instructions, so
//! it can always be on.
//!
//! Invariant: everything recorded is in exactly one bucket.

/// The first bucket is below 2^4 us: shorter durations need not be distinguished.
const FIRST_BITS: u32 = 4;

/// The last bucket with a bound is below 2^14 us; one more takes the rest.
const LAST_BITS: u32 = 14;

/// Durations in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    counts: [u64; Self::BUCKETS],
    sum_us: u64,
    longest_us: u64,
}

impl Histogram {
    /// The number of buckets.
    pub const BUCKETS: usize = (LAST_BITS - FIRST_BITS) as usize + 2;

    /// Records one duration.
    pub fn record(&mut self, us: u64) {
        // The number of bits that the duration takes: 2^n is the first that takes n + 1.
        let bits = u64::BITS - us.leading_zeros();
        let bucket = bits.clamp(FIRST_BITS, LAST_BITS + 1) - FIRST_BITS;
        if let Some(count) = self.counts.get_mut(bucket as usize) {
            *count += 1;
        }
        self.sum_us = self.sum_us.saturating_add(us);
        self.longest_us = self.longest_us.max(us);
    }

    /// The number of durations that were recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The sum of all.
    #[must_use]
    pub fn sum_us(&self) -> u64 {
        self.sum_us
    }

    /// The longest; 0 before anything was recorded.
    #[must_use]
    pub fn longest_us(&self) -> u64 {
        self.longest_us
    }

    /// The bound of each bucket in microseconds, from short to long; the last bucket has none.
    pub fn bounds() -> impl Iterator<Item = Option<u64>> {
        (FIRST_BITS..=LAST_BITS).map(|bits| Some(1 << bits)).chain([None])
    }

    /// The buckets: their bounds, and their counts.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<u64>, u64)> {
        Self::bounds().zip(self.counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_below_what_it_says() {
        let mut histogram = Histogram::default();
        let bounds: Vec<Option<u64>> = histogram.buckets().map(|(below_us, _)| below_us).collect();
        assert_eq!((bounds.len(), bounds[0], bounds[10], bounds[11]), (12, Some(16), Some(16_384), None));
        for us in [0, 1, 15, 16, 17, 31, 32, 8_191, 8_192, 16_383, 16_384, 1 << 40, u64::MAX] {
            let before: Vec<u64> = histogram.buckets().map(|(_, count)| count).collect();
            histogram.record(us);
            for ((index, (below_us, count)), before) in histogram.buckets().enumerate().zip(before) {
                let least = if index == 0 { 0 } else { bounds[index - 1].unwrap() };
                let is_its = us >= least && below_us.is_none_or(|below_us| us < below_us);
                assert_eq!(count, before + u64::from(is_its), "{us} us and the bucket below {below_us:?}");
            }
        }
    }

    #[test]
    fn all_are_counted_and_the_longest_stays() {
        let mut histogram = Histogram::default();
        assert_eq!((histogram.count(), histogram.longest_us()), (0, 0));
        for us in [3, 20_000, 70] {
            histogram.record(us);
        }
        assert_eq!((histogram.count(), histogram.sum_us(), histogram.longest_us()), (3, 20_073, 20_000));
    }
}
