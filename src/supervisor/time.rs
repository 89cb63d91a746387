//! The supervisor's time: how much of it has passed, and how long to wait.
//!
//! Owns the difference between time and time awake. A supervisor or a machine that was suspended has received no beat while
//! it slept, and that says nothing about the workers.
//!
//! Invariant: from one turn to the next no more passes than the supervisor asked to sleep, whatever the clock says.

use std::time::Duration;

use crate::collections::tick::{TICK_MS, Tick};

/// How much of the time from one turn to the next this process was awake for, at most: it asks to be woken for the next
/// look. What is longer than that, and a tenth for a busy machine, was not waited but slept through.
pub(super) const AWAKE_MAX: Duration = Duration::from_millis(1100);

/// How long to wait before a worker is replaced: the first time, at most, and after how long a life it is a first time
/// again. A thousand that die at once again and again are a hundred starts a second.
const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(10);
const LIVED_LONG: Duration = Duration::from_secs(30);

/// Time in which this process was awake.
pub(super) struct Awake {
    /// The time of the last turn, by the reactor's clock.
    turned: Tick,
    /// How much has passed.
    pub(super) tick: Tick,
}

impl Awake {
    pub(super) fn since(now: Tick) -> Self {
        Self { turned: now, tick: Tick(0) }
    }

    pub(super) fn advance(&mut self, now: Tick) {
        let passed = Duration::from_millis(now.ms_since(self.turned)).min(AWAKE_MAX);
        self.tick.0 += u64::try_from(passed.as_millis()).unwrap_or(u64::MAX) / TICK_MS;
        self.turned = now;
    }

    /// When the reactor's clock will show that it is `due`.
    pub(super) fn deadline(&self, due: Tick) -> Tick {
        Tick(self.turned.0.saturating_add(due.0.saturating_sub(self.tick.0)))
    }
}

/// How long to wait before the next start.
#[derive(Default)]
pub(super) struct Backoff {
    last: Option<Duration>,
}

impl Backoff {
    /// After a worker that has lived this long.
    pub(super) fn next(&mut self, lived: Duration) -> Duration {
        let delay = match self.last {
            Some(last) if lived < LIVED_LONG => (last * 2).min(BACKOFF_MAX),
            _ => BACKOFF_MIN,
        };
        self.last = Some(delay);
        delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_with_short_lives_and_begin_again_after_a_long_one() {
        let mut backoff = Backoff::default();
        let mut next = |lived_s| backoff.next(Duration::from_secs(lived_s)).as_millis();
        assert_eq!([1, 1, 1, 1].map(&mut next), [100, 200, 400, 800]);
        assert_eq!([29, 1, 1, 1, 1].map(&mut next), [1600, 3200, 6400, 10_000, 10_000]);
        assert_eq!([30, 29].map(&mut next), [100, 200]);
        assert_eq!([600, 600].map(&mut next), [100, 100]);
    }

    #[test]
    fn time_slept_through_is_not_time() {
        let mut time = Awake::since(Tick(500));
        assert_eq!(time.deadline(Tick(30)), Tick(530));
        time.advance(Tick(520));
        assert_eq!((time.tick, time.deadline(Tick(30)), time.deadline(Tick(7))), (Tick(20), Tick(530), Tick(520)));
        time.advance(Tick(100_000));
        assert_eq!((time.tick, time.deadline(Tick(131))), (Tick(20 + 110), Tick(100_001)));
        // A tick is a tick again.
        time.advance(Tick(100_001));
        assert_eq!(time.tick, Tick(131));
        assert_eq!(time.deadline(Tick(u64::MAX)), Tick(u64::MAX));
    }
}
