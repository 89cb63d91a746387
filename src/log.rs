//! The only place that prints.
//!
//! Owns the form of log lines, `level=<level> event=<what> <key>=<value>...`, one line each on stderr, and what goes to
//! stdout because it was asked for. It adds no time: the collector of the lines (journald, a container) does.
//!
//! A value that a stranger chose goes through `{:?}`, which quotes it, so that no stranger can write a line of ours.
//!
//! Invariant: no line is waited for. The collector may have stopped: a terminal after ^S, a pipe without a reader, a full
//! disk. A line that stderr does not take at once is lost; once it takes lines again, the first one gives the number lost.

use std::fmt::{Arguments, Display};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};

use crate::reactor::sys;

/// The longest line in bytes: `PIPE_BUF`. A pipe takes up to that whole or not at all, so that lines of several processes
/// do not mix; and a pipe that has room has room for that.
const LINE_MAX: usize = 4096;

/// What a longer line ends with, in place of the rest.
const CUT: &str = "...";

static DEBUG: AtomicBool = AtomicBool::new(false);

static PRINTER: LazyLock<Mutex<Printer>> = LazyLock::new(|| Mutex::new(Printer::new(own_stderr())));

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

/// What helps to find a cause.
pub fn debug(fields: Arguments<'_>) {
    if DEBUG.load(Ordering::Relaxed) {
        line("debug", fields);
    }
}

/// Why the process ends: one line for a person, on stderr.
pub fn fatal(error: &dyn Display) {
    print(format!("audience-meter: {error}"));
}

/// What the command line asked for, on stdout.
pub fn answer(text: &str) {
    // A closed pipe (`audience-meter --help | head`) is no reason to panic, as `print!` would.
    let _ = io::stdout().lock().write_all(text.as_bytes());
}

fn line(level: &str, fields: Arguments<'_>) {
    print(format!("level={level} {fields}"));
}

fn print(line: String) {
    PRINTER.lock().unwrap_or_else(PoisonError::into_inner).print(line);
}

/// The terminal or the pipe that stderr is, opened once more: a write must never wait, and the flag for that would apply to
/// every process that shares the inherited descriptor.
///
/// `None` for a file, where a write never waits and a second offset would overwrite other processes' lines; for a socket;
/// and where opening is forbidden: another user's pipe, or no `/proc`.
fn own_stderr() -> Option<File> {
    const STDERR: &str = "/proc/self/fd/2";
    let is_file = fs::metadata(STDERR).ok()?.is_file();
    let mut options = OpenOptions::new();
    options.write(true).custom_flags(sys::O_NONBLOCK | sys::O_NOCTTY);
    if is_file { None } else { options.open(STDERR).ok() }
}

/// Writes lines to stderr.
struct Printer {
    /// Where to write; `None` is the inherited stderr.
    own: Option<File>,
    /// Lines that could not be written since the last one that could.
    lost: u64,
    /// Whether only half of the last line was written.
    is_torn: bool,
}

impl Printer {
    fn new(own: Option<File>) -> Self {
        Self { own, lost: 0, is_torn: false }
    }

    /// Writes a line, and before it the number of lines that are missing there.
    fn print(&mut self, line: String) {
        if self.lost > 0 && self.write(format!("level=warn event=log_lines_lost number={}", self.lost)) {
            self.lost = 0;
        }
        // A line must not stand where another is missing.
        if self.lost > 0 || !self.write(line) {
            self.lost += 1;
        }
    }

    /// Whether the line was taken whole.
    fn write(&mut self, mut line: String) -> bool {
        let ends = 1 + usize::from(self.is_torn);
        if line.len() > LINE_MAX - ends {
            line.truncate(line.floor_char_boundary(LINE_MAX - ends - CUT.len()));
            line.push_str(CUT);
        }
        line.push('\n');
        if self.is_torn {
            line.insert(0, '\n');
        }
        let written = match &mut self.own {
            Some(own) => write_now(own, line.as_bytes()),
            None => write_now(&mut io::stderr(), line.as_bytes()),
        };
        if written > 0 {
            self.is_torn = written < line.len();
        }
        written == line.len()
    }
}

/// The number of bytes that were taken without waiting.
fn write_now(to: &mut (impl Write + AsRawFd), bytes: &[u8]) -> usize {
    // All errors are alike: there is no other place to report them.
    if sys::has_room(to) { to.write(bytes).unwrap_or(0) } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    /// A printer to the first, which never blocks.
    fn printer(to: impl Into<OwnedFd>) -> Printer {
        Printer::new(Some(File::from(to.into())))
    }

    fn print(printer: &mut Printer, line: &str) {
        printer.print(line.to_owned());
    }

    /// All that there is to read.
    fn read_all(from: &mut impl io::Read) -> String {
        let mut bytes = Vec::new();
        let end = from.read_to_end(&mut bytes);
        assert!(end.is_ok() || end.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock));
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn lines_that_a_full_pipe_does_not_take_are_lost_and_counted() {
        let (mut reader, writer) = sys::pipe().unwrap();
        let mut printer = printer(writer);
        let mut count = 0;
        while printer.lost < 7 {
            print(&mut printer, &format!("number={count} {}", "x".repeat(100)));
            count += 1;
        }
        let text = read_all(&mut reader);
        let numbers = text.lines().enumerate().all(|(at, line)| line.starts_with(&format!("number={at} ")));
        assert!(numbers && text.ends_with("x\n"), "{text}");
        assert_eq!(text.lines().count(), count - 7);

        print(&mut printer, "one");
        print(&mut printer, "two");
        assert_eq!(read_all(&mut reader), "level=warn event=log_lines_lost number=7\none\ntwo\n");
    }

    #[test]
    fn a_line_that_is_taken_in_part_is_ended_before_the_next() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        for socket in [&ours, &theirs] {
            socket.set_nonblocking(true).unwrap();
        }
        let mut printer = printer(ours);
        printer.is_torn = true;
        print(&mut printer, "one");
        print(&mut printer, "two");
        assert_eq!(read_all(&mut theirs), "\none\ntwo\n");
    }

    #[test]
    fn a_closed_pipe_does_no_harm_and_its_lines_are_counted() {
        let (reader, writer) = sys::pipe().unwrap();
        drop(reader);
        let mut printer = printer(writer);
        print(&mut printer, "one");
        print(&mut printer, "two");
        assert_eq!(printer.lost, 2);
    }

    #[test]
    fn a_disk_that_is_full_is_no_harm_and_counted() {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut printer = printer(full);
        print(&mut printer, "one");
        assert_eq!(printer.lost, 1);
        let (mut reader, writer) = sys::pipe().unwrap();
        printer.own = Some(File::from(OwnedFd::from(writer)));
        print(&mut printer, "two");
        assert_eq!(read_all(&mut reader), "level=warn event=log_lines_lost number=1\ntwo\n");
    }

    #[test]
    fn the_longest_line_is_whole_and_a_longer_one_is_cut_between_characters() {
        let (mut reader, writer) = sys::pipe().unwrap();
        let mut printer = printer(writer);
        let longest = "x".repeat(LINE_MAX - 1);
        print(&mut printer, &longest);
        assert_eq!(read_all(&mut reader), longest + "\n");
        for is_torn in [false, true] {
            printer.is_torn = is_torn;
            print(&mut printer, &"\u{e9}".repeat(LINE_MAX));
            let text = read_all(&mut reader);
            assert!((LINE_MAX - 1..=LINE_MAX).contains(&text.len()), "{}", text.len());
            assert!(text.ends_with("\u{e9}...\n"));
        }
    }

    /// Writing to it would wait, so this test would hang.
    #[test]
    fn what_was_handed_down_and_would_block_is_not_written_to() {
        let (reader, mut writer) = io::pipe().unwrap();
        while sys::has_room(&writer) {
            writer.write_all(&[0; LINE_MAX]).unwrap();
        }
        assert_eq!(write_now(&mut writer, b"x"), 0);
        drop(reader);
        assert!(sys::has_room(&writer));
        assert_eq!(write_now(&mut writer, b"x"), 0);
    }
}
