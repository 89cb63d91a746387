//! Child processes: what is below them, their end, and the environment that a daemon must not inherit.

use std::process::{Child, Command, Stdio};

/// Ends a process that a test has started, and all that there is below it: behind a tool such as `script` or `unshare` it is
/// the daemon that is below, and the end of the tool need not be its own.
pub fn end(child: &mut Child) {
    // Once it is buried, its number says nothing.
    let below = if child.try_wait().unwrap().is_none() { below(child.id()) } else { Vec::new() };
    let _ = child.kill();
    child.wait().unwrap();
    for (process, started) in below {
        // By then the number may be another's.
        if is_there(process) && stat_field(process, STARTED) == Some(started) {
            let _ = Command::new("kill").args(["-KILL", &process.to_string()]).stderr(Stdio::null()).status();
        }
    }
}

/// The processes that a process has started, and those that they have, each with when that was.
fn below(process: u32) -> Vec<(u32, String)> {
    let mut all = Vec::new();
    for child in children(process) {
        all.extend(stat_field(child, STARTED).map(|started| (child, started)));
        all.extend(below(child));
    }
    all
}

/// The processes that a process with one thread has started; none once it is gone.
pub fn children(process: u32) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    children.split_whitespace().map(|child| child.parse().unwrap()).collect()
}

/// Whether a process is there, and not only waits to be buried.
pub fn is_there(process: u32) -> bool {
    stat_field(process, STATE).is_some_and(|state| !["Z", "X"].contains(&state.as_str()))
}

/// A field of a process's `/proc/<id>/stat`, counted from the one after its name.
fn stat_field(process: u32, field: usize) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    Some(stat.rsplit_once(") ")?.1.split_whitespace().nth(field)?.to_owned())
}

const STATE: usize = 0;
const STARTED: usize = 19;

/// Sends a signal to a process that this test has started.
#[track_caller]
pub fn tell(process: u32, signal: &str) {
    let status = Command::new("kill").args([&format!("-{signal}"), &process.to_string()]).status();
    assert!(status.unwrap().success(), "{signal} to {process}");
}

/// Says more about a test that fails, or whose figures are asked for (`--nocapture`).
#[expect(clippy::print_stderr, reason = "a test shows the daemon's own words, and figures")]
pub fn show(text: &str) {
    eprintln!("{text}");
}

/// Keeps what is set around the tests out of the daemon.
pub fn isolate(command: &mut Command) -> &mut Command {
    for name in ["PORT", "HOST"] {
        let given = command.get_envs().any(|(key, value)| key == name && value.is_some());
        if !given {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null())
}
