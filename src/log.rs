//! The only place that prints.
//!
//! Owns what a process says: events on stderr, a line each, and what goes to stdout because it was asked for. An event is a
//! name and fields with typed values, never a format string, so that each reader gets it whole:
//! `log::info("signal", &[("number", number.into())])`.
//!
//! | file | owns |
//! |---|---|
//! | `line` | the form of a line, logfmt or JSON |
//! | `printer` | the way of a line to stderr |
//!
//! Invariant: no line is waited for, and no text of a stranger can end a line or look like a field of ours.

mod line;
mod printer;

use std::fmt::Display;
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use line::Level;
pub use line::{Field, Format, Value};
use printer::Printer;

static DEBUG: AtomicBool = AtomicBool::new(false);

static PRINTER: LazyLock<Mutex<Printer>> = LazyLock::new(|| Mutex::new(Printer::to_stderr()));

/// Turns the lines of level `debug` on (`--debug`).
pub fn enable_debug() {
    DEBUG.store(true, Ordering::Relaxed);
}

/// Sets the form of all lines from now on (`--log-format`).
pub fn set_format(format: Format) {
    printer().set_format(format);
}

/// What an operator wants to know.
pub fn info(event: &str, fields: &[Field<'_>]) {
    printer().event(Level::Info, event, fields);
}

/// What an operator has to look into.
pub fn warn(event: &str, fields: &[Field<'_>]) {
    printer().event(Level::Warn, event, fields);
}

/// What helps to find a cause.
pub fn debug(event: &str, fields: &[Field<'_>]) {
    if DEBUG.load(Ordering::Relaxed) {
        printer().event(Level::Debug, event, fields);
    }
}

/// Why the process ends: one line for a person, on stderr.
pub fn fatal(why: &dyn Display) {
    printer().fatal(&why.to_string());
}

/// What the command line asked for, on stdout.
pub fn answer(text: &str) {
    // A closed pipe (`audience-meter --help | head`) is no reason to panic, as `print!` would.
    let _ = io::stdout().lock().write_all(text.as_bytes());
}

fn printer() -> MutexGuard<'static, Printer> {
    PRINTER.lock().unwrap_or_else(PoisonError::into_inner)
}
