//! The only place that prints.
//!
//! Owns the form of log lines, `level=<level> event=<what> <key>=<value>...`, one line each on stderr, and what goes to
//! stdout because it was asked for. It adds no time: whoever collects the lines (journald, a container) does.
//!
//! A value that a stranger chose is to be passed through `{:?}`, which quotes it, so that nobody can write a line of ours.

use std::fmt::{Arguments, Display};
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

static DEBUG: AtomicBool = AtomicBool::new(false);

/// Turns the lines of level `debug` on (`--debug`).
pub fn enable_debug() {
    DEBUG.store(true, Ordering::Relaxed);
}

/// What an operator wants to know: `log::info(format_args!("event=ready"))`.
pub fn info(fields: Arguments<'_>) {
    line("info", fields);
}

/// What an operator has to look into.
pub fn warn(fields: Arguments<'_>) {
    line("warn", fields);
}

/// What helps to find out why.
pub fn debug(fields: Arguments<'_>) {
    if DEBUG.load(Ordering::Relaxed) {
        line("debug", fields);
    }
}

/// Why the process ends: one line for a person, on stderr.
pub fn fatal(error: &dyn Display) {
    let text = format!("audience-meter: {error}\n");
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// What was asked for on the command line, on stdout.
pub fn answer(text: &str) {
    // A closed pipe (`audience-meter --help | head`) is no reason to panic, as `print!` would.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

fn line(level: &str, fields: Arguments<'_>) {
    // Formatted first and written in one piece, so that lines of several processes do not mix.
    let text = format!("level={level} {fields}\n");
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
