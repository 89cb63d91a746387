//! The only place that reads a clock.
//!
//! Owns the moment from which ticks are counted. Everything above is handed the time of its turn and cannot ask for
//! another, so that a turn is one moment and tests can make time up.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::collections::tick::{Now, TICK_MS, Tick};

/// Counts ticks since it was started.
pub(super) struct Clock {
    start: Instant,
}

#[expect(clippy::disallowed_methods, reason = "this is the place that the lint points to")]
impl Clock {
    pub(super) fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// How long ago it was started.
    pub(super) fn since_start(&self) -> Duration {
        self.start.elapsed()
    }

    /// The tick that had begun last this long after the start, which is now, and the wall-clock time.
    pub(super) fn now(since_start: Duration) -> Now {
        let ticks = since_start.as_millis() / u128::from(TICK_MS);
        // Before 1970 it is 0: a wrong date is no reason not to count.
        let unix_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let clamp = |number: u128| u64::try_from(number).unwrap_or(u64::MAX);
        Now { tick: Tick(clamp(ticks)), unix_ms: clamp(unix_ms) }
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
        let clock = Clock::start();
        let now = Clock::now(clock.since_start());
        assert!(clock.instant(now.tick) <= clock.start + clock.start.elapsed());
        assert_eq!(clock.instant(Tick(7)) - clock.start, Duration::from_millis(70));
        assert!(clock.instant(Tick(u64::MAX)) > clock.start);
        assert!(now.unix_s() > 1_700_000_000);
    }
}
