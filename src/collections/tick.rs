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
        let of_second = u64::from(delay.subsec_nanos()).div_ceil(TICK_MS * 1_000_000);
        let ticks = delay.as_secs().saturating_mul(1_000 / TICK_MS).saturating_add(of_second);
        Self(self.0.saturating_add(ticks).saturating_add(1))
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

/// How much earlier another moment has to be to be taken for it, in ticks: half a second. An age loses a tick by rounding at
/// each node that passes it on, so without this margin nodes that announce one moment to each other would move it on and on.
const MARGIN_TICKS: i64 = 50;

/// A moment on the same clock as [`Tick`], which may lie before the process started.
///
/// What happened long ago, or at another host, is kept as such a moment and travels as an age. So no clock on a wall has a
/// part in it, and one that is set right shows right what happened before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(i64);

impl From<Tick> for Moment {
    fn from(tick: Tick) -> Self {
        Self(signed(tick.0))
    }
}

impl Moment {
    /// It as a number, for [`from_bits`](Self::from_bits).
    #[must_use]
    pub fn bits(self) -> u64 {
        self.0.cast_unsigned()
    }

    /// The moment of this number.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        Self(bits.cast_signed())
    }

    /// The moment that was there this many milliseconds before.
    #[must_use]
    pub fn before_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_sub(signed(ms / TICK_MS)))
    }

    /// The moment of this tick of another clock, from which this process's differs by `ahead` ticks.
    #[must_use]
    pub fn of_other_clock(clock: u64, ahead: u64) -> Self {
        Self(clock.wrapping_add(ahead).cast_signed())
    }

    /// How many milliseconds have passed since; 0 if it has not come yet.
    #[must_use]
    pub fn age_ms(self, now: Tick) -> u64 {
        signed(now.0).saturating_sub(self.0).max(0).cast_unsigned().saturating_mul(TICK_MS)
    }

    /// When it was, in seconds since 1970 by the wall clock of now.
    #[must_use]
    pub fn unix_s(self, now: Now) -> u64 {
        now.unix_ms.saturating_sub(self.age_ms(now.tick)) / 1000
    }

    /// Whether it is so much earlier that measuring alone does not explain it.
    #[must_use]
    pub fn is_clearly_before(self, other: Self) -> bool {
        self.0.saturating_add(MARGIN_TICKS) < other.0
    }
}

/// The number with a sign; the largest one for any that is larger.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The time of one turn: read once, passed down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Monotonic time, for everything that waits.
    pub tick: Tick,
    /// Wall-clock time in milliseconds since 1970, for what people read. It goes with `tick`, and jumps when the clock is set.
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
    fn a_moment_may_be_older_than_the_process_and_has_one_date() {
        let moment = Moment::from(Tick(100)).before_ms(5_000);
        assert_eq!(
            (moment.age_ms(Tick(100)), moment.age_ms(Tick(103)), Moment::from(Tick(9)).age_ms(Tick(8))),
            (5_000, 5_030, 0)
        );
        for passed in 0..500 {
            let now = Now { tick: Tick(100 + passed), unix_ms: 1_300_000_000_995 + passed * TICK_MS };
            assert_eq!(moment.unix_s(now), 1_299_999_995);
        }
        assert_eq!(moment.unix_s(Now { tick: Tick(100), unix_ms: 7 }), 0, "it was before 1970, the clock says");
    }

    #[test]
    fn ages_without_end_are_moments_too() {
        let moment = Moment::from(Tick(7)).before_ms(u64::MAX).before_ms(u64::MAX);
        assert!(moment < Moment::from(Tick(0)) && moment.age_ms(Tick(u64::MAX)) > 1 << 60);
    }

    #[test]
    fn a_moment_that_goes_round_and_round_stays_where_it_is() {
        // Two nodes whose ticks begin half a tick apart take over from each other what is earlier, in the worst order.
        let now = |half_ticks: u64, phase: u64| Tick((half_ticks + phase) >> 1);
        let first = Moment::from(now(1_000, 0));
        let [mut here, mut there] = [first; 2];
        for half_ticks in (2_000..20_000).step_by(3) {
            let received = Moment::from(now(half_ticks, 1)).before_ms(here.age_ms(now(half_ticks, 0)));
            there = if received.is_clearly_before(there) { received } else { there };
            let received = Moment::from(now(half_ticks + 1, 0)).before_ms(there.age_ms(now(half_ticks + 1, 1)));
            here = if received.is_clearly_before(here) { received } else { here };
        }
        assert_eq!((here, there), (first, first));
    }

    #[test]
    fn the_end_of_time_is_not_passed() {
        assert_eq!(Tick(5).after(Duration::MAX), Tick(u64::MAX));
    }
}
