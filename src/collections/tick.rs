//! Time as the pure floors see it: a count of equal steps, handed in by the owner of the clock.
//!
//! Owns the length of a tick and the rounding. Now rounds down and deadlines round up, so that nothing ever fires early:
//! a delay that must not be undercut (`--notify-min-delay`) is not undercut by rounding either.

use std::time::Duration;

/// The length of a tick in milliseconds.
///
/// Every timer may be this late, twice over. A person does not notice 10 ms on a number. Yet it is coarse enough that
/// thousands of timers, set one by one, expire in one turn.
pub const TICK_MS: u64 = 10;

/// A point in monotonic time, in ticks of [`TICK_MS`] since the process started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tick(pub u64);

impl Tick {
    /// The first tick that is certainly not earlier than `delay` after any instant within this one.
    ///
    /// An instant within tick `t` may be almost `t + 1`; so a delay that is not zero ends one tick later than it would if
    /// it had begun exactly at `t`.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        if delay.is_zero() {
            return self;
        }
        let ticks = delay.as_nanos().div_ceil(u128::from(TICK_MS) * 1_000_000);
        Self(self.0.saturating_add(u64::try_from(ticks).unwrap_or(u64::MAX)).saturating_add(1))
    }
}

impl Tick {
    /// The tick that was there this long ago, or the first one.
    #[must_use]
    pub fn before(self, ago: Duration) -> Self {
        let ticks = ago.as_millis() / u128::from(TICK_MS);
        Self(self.0.saturating_sub(u64::try_from(ticks).unwrap_or(u64::MAX)))
    }

    /// How many milliseconds have passed since `earlier`.
    #[must_use]
    pub fn ms_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0).saturating_mul(TICK_MS)
    }
}

/// The time of one turn: read once, passed down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Monotonic time, for everything that waits.
    pub tick: Tick,
    /// Wall-clock time in milliseconds since 1970, for what people read and other hosts compare. It may jump.
    pub unix_ms: u64,
}

impl Now {
    /// Wall-clock time in seconds since 1970.
    #[must_use]
    pub fn unix_s(self) -> u64 {
        self.unix_ms / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(delay_ms: f64, ticks: u64) {
        let delay = Duration::from_secs_f64(delay_ms / 1000.0);
        assert_eq!(Tick(100).after(delay), Tick(100 + ticks), "{delay_ms} ms");
    }

    #[test]
    fn a_delay_never_ends_early() {
        check(0.0, 0);
        check(0.001, 2);
        check(10.0, 2);
        check(10.001, 3);
        check(2000.0, 201);
    }

    #[test]
    fn the_end_of_time_is_not_passed() {
        assert_eq!(Tick(5).after(Duration::MAX), Tick(u64::MAX));
    }
}
