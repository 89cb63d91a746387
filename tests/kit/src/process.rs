//! Child processes: signals, their end with all that is below them, and the environment that a daemon must not inherit.

use std::process::{Child, Command, Stdio};

use crate::proc::{children, is_there, started};

/// A process and when it was started: a number alone may be another's by the time that it is used.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    process: u32,
    started: String,
}

impl Identity {
    /// Ends it, if it is still there.
    pub(crate) fn end(&self) {
        if is_there(self.process) && started(self.process).as_ref() == Some(&self.started) {
            let _ = Command::new("kill").args(["-KILL", &self.process.to_string()]).stderr(Stdio::null()).status();
        }
    }
}

/// Ends a process that a test has started, and all that there is below it: behind a tool such as `script` or `unshare` it is
/// the daemon that is below, and the end of the tool need not be its own.
pub fn end(child: &mut Child) {
    // Once its parent has waited for it, its number says nothing.
    let below = if child.try_wait().unwrap().is_none() { below(child.id()) } else { Vec::new() };
    let _ = child.kill();
    child.wait().unwrap();
    below.iter().for_each(Identity::end);
}

/// A program that ends with this value, and all that there is below it.
pub struct Running(pub Child);

impl Running {
    /// Starts it.
    #[track_caller]
    pub fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        end(&mut self.0);
    }
}

/// The processes that a process has started, and those that they have.
pub(crate) fn below(process: u32) -> Vec<Identity> {
    let mut all = Vec::new();
    for process in children(process) {
        all.extend(started(process).map(|started| Identity { process, started }));
        all.extend(below(process));
    }
    all
}

/// Sends a signal to a process that this test has started.
#[track_caller]
pub fn send_signal(process: u32, signal: &str) {
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
    for name in ["PORT", "HOST", "METER_PROGRAM"] {
        let given = command.get_envs().any(|(key, value)| key == name && value.is_some());
        if !given {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null())
}
