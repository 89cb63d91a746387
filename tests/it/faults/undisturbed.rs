//! What all tests of slow and hostile clients hold against: others come in meanwhile, soon.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use audience_kit::*;

/// Says that it is over when it is dropped, also by a test that fails: the threads beside it end then.
pub(crate) struct Over<'a>(pub(crate) &'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// How long a join may take meanwhile, the first count included: on a busy machine, too.
pub(crate) const UNDISTURBED: Duration = ms(5_000);

/// Joins, hears a count, and leaves.
#[track_caller]
pub(crate) fn join_undisturbed(daemon: &Daemon) {
    let begun = now();
    drop(member(daemon, "/undisturbed"));
    let taken = now() - begun;
    assert!(taken < UNDISTURBED, "a join took {taken:?}");
}
