//! What a daemon writes to its standard error, gathered line by line while it runs, and the times that its lines begin with.

use std::io::{BufRead as _, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use crate::Deadline;
use crate::SOON;

/// What the daemon wrote to its standard error so far, a line each.
#[derive(Default)]
pub(super) struct Log {
    pub(super) lines: Mutex<(Vec<String>, bool)>,
    changed: Condvar,
}

impl Log {
    pub(super) fn collect(self: &Arc<Self>, stderr: impl Read + Send + 'static) {
        let log = Arc::clone(self);
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                log.lines.lock().unwrap().0.push(line);
                log.changed.notify_all();
            }
            log.lines.lock().unwrap().1 = true;
            log.changed.notify_all();
        });
    }

    /// The first line that `matches`, without its time, or nothing if the process closed its log or `SOON` passed.
    pub(super) fn wait_line(&self, matches: impl Fn(&str) -> bool) -> Option<String> {
        let deadline = Deadline::after(SOON);
        let mut lines = self.lines.lock().unwrap();
        loop {
            if let Some(line) = lines.0.iter().map(|line| without_time(line)).find(|line| matches(line)) {
                return Some(line.to_owned());
            }
            if lines.1 {
                return None;
            }
            lines = self.changed.wait_timeout(lines, deadline.left()?).unwrap().0;
        }
    }
}

/// A line of the log without the time that it begins with, if it begins with one.
#[must_use]
pub fn without_time(line: &str) -> &str {
    const FORM: &str = "time=0000-00-00T00:00:00.000Z ";
    let is_alike = |(byte, form): (u8, u8)| if form == b'0' { byte.is_ascii_digit() } else { byte == form };
    match line.split_at_checked(FORM.len()) {
        Some((time, rest)) if time.bytes().zip(FORM.bytes()).all(is_alike) => rest,
        _ => line,
    }
}
