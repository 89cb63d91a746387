//! Numbers that lie everywhere and are the same in each run: benchmarks that are to be compared draw the same ones.
//!
//! Owns the generator, which costs about a nanosecond a number. It is no source of chance.

/// A linear congruential generator (Knuth, MMIX), of which the upper bits are used.
pub(crate) struct Scatter(u64);

impl Scatter {
    pub(crate) fn new() -> Self {
        Self(1)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let upper = self.0 >> 32;
        u32::try_from((upper * u64::from(end)) >> 32).unwrap_or_default()
    }
}
