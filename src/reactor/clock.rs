//! The only place that reads a clock.
//!
//! Owns the moment from which ticks are counted. Everything above is handed the time of its turn and cannot ask for
//! another, so that a turn is one moment and tests can make time up.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::collections::tick::{Now, TICK_MS, Tick};

/// How far the wall clock may be from where it was, beside the ticks, until it is followed, in milliseconds.
const JUMP_MS: i64 = 500;

/// What the wall clock shows, in milliseconds since 1970, for what carries a time and is of no turn.
///
/// Before 1970 it is 0: a wrong date is no reason not to count.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the place that the lint points to")]
pub fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX).cast_unsigned()
}

/// Counts ticks since it was started.
#[derive(Clone, Copy)]
pub(super) struct Clock {
    start: Instant,
    /// What the wall clock showed at tick 0, in milliseconds since 1970. It is kept until the clock is set, or a
    /// moment would be shown under one second now and under the next one then.
    epoch_ms: i64,
}

#[expect(clippy::disallowed_methods, reason = "this is the place that the lint points to")]
impl Clock {
    pub(super) fn start() -> Self {
        let mut clock = Self { start: Instant::now(), epoch_ms: 0 };
        clock.now(clock.since_start());
        clock
    }

    /// How long ago it was started.
    pub(super) fn since_start(&self) -> Duration {
        self.start.elapsed()
    }

    /// The tick that had begun last this long after the start, which is now, and the wall-clock time.
    pub(super) fn now(&mut self, since_start: Duration) -> Now {
        let clamp = |number: u128| i64::try_from(number).unwrap_or(i64::MAX);
        self.at(clamp(since_start.as_millis()), unix_ms().cast_signed())
    }

    /// The time this many milliseconds after the start, when the wall clock shows that.
    fn at(&mut self, since_start_ms: i64, unix_ms: i64) -> Now {
        let ticks = since_start_ms.cast_unsigned() / TICK_MS;
        let epoch_ms = unix_ms.saturating_sub(since_start_ms);
        if epoch_ms.saturating_sub(self.epoch_ms).saturating_abs() > JUMP_MS {
            self.epoch_ms = epoch_ms;
        }
        let unix_ms = self.epoch_ms.saturating_add_unsigned(ticks.saturating_mul(TICK_MS)).max(0);
        Now { tick: Tick(ticks), unix_ms: unix_ms.cast_unsigned() }
    }

    /// When a tick begins. One that is too far away to be an instant is a year away.
    pub(super) fn instant(&self, tick: Tick) -> Instant {
        const FAR: Duration = Duration::from_hours(365 * 24);
        let since_start = Duration::from_millis(tick.0.saturating_mul(TICK_MS));
        self.start.checked_add(since_start).unwrap_or_else(|| Instant::now() + FAR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn now_rounds_down_and_an_instant_is_where_its_tick_begins() {
        let mut clock = Clock::start();
        let now = clock.now(clock.since_start());
        assert!(clock.instant(now.tick) <= clock.start + clock.start.elapsed());
        assert_eq!(clock.instant(Tick(7)) - clock.start, Duration::from_millis(70));
        assert!(clock.instant(Tick(u64::MAX)) > clock.start);
        assert!(now.unix_s() > 1_700_000_000);
    }

    #[test]
    fn the_wall_clock_goes_with_the_ticks_until_it_is_set() {
        let mut clock = Clock { epoch_ms: 1_300_000_000_000, ..Clock::start() };
        // It trembles by less than half a second, is set to the next day, and to a time before 1970.
        for (since_start_ms, unix_ms, shown_ms) in [
            (0, 1_300_000_000_000, 1_300_000_000_000),
            (19, 1_300_000_000_400, 1_300_000_000_010),
            (30, 1_299_999_999_700, 1_300_000_000_030),
            (40, 1_300_086_400_040, 1_300_086_400_040),
            (55, 1_300_086_400_055, 1_300_086_400_050),
            (70_000, 0, 0),
            (70_400, 0, 400),
            (70_600, 0, 0),
            (80_000, 1_300_000_080_000, 1_300_000_080_000),
        ] {
            let now = clock.at(since_start_ms, unix_ms);
            assert_eq!((now.tick.0, now.unix_ms), (since_start_ms.cast_unsigned() / 10, shown_ms));
        }
    }
}
