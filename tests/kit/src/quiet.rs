//! Tests that judge time, kept apart from tests that take the machine for themselves.
//!
//! A bound of a second holds on a busy machine, but not while two thousand connections are opened at once. Tests with such a
//! bound take `timed`: they run one at a time, and never beside a test that takes `heavy`. All others take neither and run
//! beside both. So plain `cargo test` is right at any number of threads, and no test waits without need.
//!
//! The lock is one on the executable of the tests: it holds for all processes that run it, and goes with them.

use std::env;
use std::fs::File;

/// Keeps tests of the other kind away while the value lives.
pub struct Quiet(#[expect(dead_code, reason = "the lock is given up when the file is closed")] File);

/// Waits until no other test judges time and no heavy one runs, and keeps them away.
#[must_use = "it ends with the value"]
pub fn timed() -> Quiet {
    let executable = open();
    executable.lock().unwrap();
    Quiet(executable)
}

/// Waits until no test judges time, and keeps those away.
#[must_use = "it ends with the value"]
pub fn heavy() -> Quiet {
    let executable = open();
    executable.lock_shared().unwrap();
    Quiet(executable)
}

/// Opened for each lock: two locks of one open file would be the same.
fn open() -> File {
    File::open(env::current_exe().unwrap()).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_judges_time_is_alone_and_heavy_ones_are_together() {
        let heavy_ones = [heavy(), heavy()];
        assert!(open().try_lock().is_err());
        drop(heavy_ones);
        let judges = timed();
        assert!(open().try_lock().is_err() && open().try_lock_shared().is_err());
        drop(judges);
        drop(timed());
    }
}
