//! Tests that are left out: each says so by its own name and why, on the standard error itself, which is shown even of tests
//! that pass.

use std::io::Write as _;
use std::thread;

/// Says that the test which runs in this thread is left out, and why.
pub fn skip(why: &str) {
    say("SKIPPED", why);
}

/// Whether the test which runs in this thread is left out because the daemons of this run are tortured
/// (`AUDIENCE_METER_TORTURE`). If so, says it with this reason.
#[must_use]
pub fn skip_under_torture(why: &str) -> bool {
    let is_left_out = is_tortured();
    if is_left_out {
        say("SKIPPED under torture", why);
    }
    is_left_out
}

/// Whether all daemons of this run are tortured: what they do takes more calls, and is the same.
pub fn is_tortured() -> bool {
    std::env::var_os("AUDIENCE_METER_TORTURE").is_some()
}

/// One write, so that lines of tests that run at the same time do not mix. The harness names the thread of a test after it.
fn say(what: &str, why: &str) {
    let thread = thread::current();
    let line = format!("{what} {}: {}\n", thread.name().unwrap_or("a test"), why.trim());
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}
