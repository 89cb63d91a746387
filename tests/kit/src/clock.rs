//! The one clock of the tests: deadlines, and conditions that are awaited under them.
//!
//! Nothing here sleeps to let something happen. What should come is awaited under a deadline (`SOON`, which only a failing
//! test waits out); what should not come is watched for over a stated while.

use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long a test waits for what should come at once. Far above what a busy machine needs.
pub const SOON: Duration = Duration::from_secs(30);

/// How much earlier than its due time something may happen: the daemon counts time in ticks.
pub const TICK: Duration = Duration::from_millis(20);

#[expect(
    clippy::disallowed_methods,
    reason = "the one clock of the tests: deadlines, and the unix time to hold stats against"
)]
fn clock() -> (Instant, SystemTime) {
    (Instant::now(), SystemTime::now())
}

/// The monotonic time.
pub fn now() -> Instant {
    clock().0
}

/// The unix time in whole seconds.
pub fn unix_now() -> u64 {
    let since = clock().1.duration_since(UNIX_EPOCH);
    since.unwrap().as_secs()
}

/// A number of milliseconds, to keep tables short.
pub const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A moment until which a test waits.
#[derive(Clone, Copy)]
pub struct Deadline(Instant);

impl Deadline {
    /// The moment `within` from now.
    pub fn after(within: Duration) -> Self {
        Deadline(now() + within)
    }

    /// The time left, none once it has passed.
    pub fn left(self) -> Option<Duration> {
        let left = self.0.saturating_duration_since(now());
        (!left.is_zero()).then_some(left)
    }
}

/// Waits until `condition` gives a value, looking again every few milliseconds.
#[track_caller]
pub fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Deadline::after(SOON);
    loop {
        if let Some(value) = condition() {
            return value;
        }
        let left = deadline.left();
        assert!(left.is_some(), "{what}: not within {SOON:?}");
        thread::park_timeout(ms(5));
    }
}

/// Waits until `condition` holds.
#[track_caller]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    wait_for(what, || condition().then_some(()));
}
