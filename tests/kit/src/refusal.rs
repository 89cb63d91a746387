//! A daemon that ends by itself: what it printed, its exit code, and how soon.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::{Deadline, SOON, isolate, now, wait_for};

/// What came of a process that ended by itself.
#[derive(Debug)]
pub struct Exit {
    /// The exit code, none if a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// All of its standard output.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
    /// From its start to its end.
    pub took: Duration,
}

/// Runs a command until it ends by itself; fails if it serves instead.
#[track_caller]
pub fn run_to_end(command: &mut Command) -> Exit {
    let begun = now();
    let mut child = isolate(command).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Deadline::after(SOON / 2);
    let is_late = wait_for("the exit", || match child.try_wait().unwrap() {
        Some(_) => Some(false),
        None if deadline.left().is_none() => Some(child.kill().is_ok()),
        None => None,
    });
    let took = now() - begun;
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    assert!(!is_late, "{command:?} serves: {stderr}");
    Exit { code: output.status.code(), signal: output.status.signal(), stdout, stderr, took }
}

impl Exit {
    /// Fails unless the process ended with this code and one whole line, which has all of `parts` in it.
    #[track_caller]
    pub fn expect_refusal(&self, code: i32, parts: &[&str]) {
        assert_eq!((self.code, self.signal), (Some(code), None), "{self:?}");
        assert_eq!((self.stdout.as_str(), self.stderr.lines().count()), ("", 1), "{self:?}");
        assert!(self.stderr.ends_with('\n') && !self.stderr.contains("panicked"), "{self:?}");
        for part in parts {
            assert!(self.stderr.contains(part), "no {part:?} in {self:?}");
        }
    }
}
