//! The way of a line to stderr.
//!
//! Owns what becomes of a line that stderr does not take, and how stderr is written to without waiting.
//!
//! Invariant: no line is waited for. The collector may have stopped: a terminal after ^S, a pipe without a reader, a full
//! disk. A line that stderr does not take at once is lost; once it takes lines again, the first one gives the number lost.

use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd as _, AsRawFd};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};

use super::line::{Field, Format, Level, Style};
use crate::reactor::{self, sys};

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

/// Whether stderr leads to the journal: `JOURNAL_STREAM` has the device and the inode of the journal's stream (systemd.exec(5)),
/// and stays in the environment where stderr leads elsewhere.
fn is_journal() -> bool {
    let Ok(stream) = env::var("JOURNAL_STREAM") else { return false };
    let stderr = io::stderr().as_fd().try_clone_to_owned().and_then(|stderr| File::from(stderr).metadata());
    stderr.is_ok_and(|file| stream == format!("{}:{}", file.dev(), file.ino()))
}

/// Writes lines to stderr.
pub(super) struct Printer {
    /// Where to write; `None` is the inherited stderr.
    own: Option<File>,
    style: Style,
    /// Lines that could not be written since the last one that could.
    lost: u64,
    /// Whether only half of the last line was written.
    is_torn: bool,
}

impl Printer {
    pub(super) fn to_stderr() -> Self {
        Self::new(own_stderr(), Style { format: Format::default(), is_journal: is_journal() })
    }

    fn new(own: Option<File>, style: Style) -> Self {
        Self { own, style, lost: 0, is_torn: false }
    }

    pub(super) fn set_format(&mut self, format: Format) {
        self.style.format = format;
    }

    /// Writes an event.
    pub(super) fn event(&mut self, level: Level, event: &str, fields: &[Field<'_>]) {
        let line = self.style.event(level, reactor::unix_ms(), event, fields);
        self.print(line);
    }

    /// Writes why the process ends: text for a person, unless a program wants objects.
    pub(super) fn fatal(&mut self, why: &str) {
        match self.style.format {
            Format::Logfmt => self.print(self.style.text(Level::Error, &format!("audience-meter: {why}"))),
            Format::Json => self.event(Level::Error, "fatal", &[("error", why.into())]),
        }
    }

    /// Writes a line, and before it the number of lines that are missing there.
    fn print(&mut self, line: Vec<u8>) {
        if self.lost > 0 {
            let fields = [("number", self.lost.into())];
            if self.write(self.style.event(Level::Warn, reactor::unix_ms(), "log_lines_lost", &fields)) {
                self.lost = 0;
            }
        }
        // A line must not stand where another is missing.
        if self.lost > 0 || !self.write(line) {
            self.lost += 1;
        }
    }

    /// Whether the line was taken whole.
    fn write(&mut self, mut line: Vec<u8>) -> bool {
        line.push(b'\n');
        if self.is_torn {
            line.insert(0, b'\n');
        }
        let written = match &mut self.own {
            Some(own) => write_now(own, &line),
            None => write_now(&mut io::stderr(), &line),
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
    use crate::log::line::MAX;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    /// A printer to the first, which never blocks. As in the journal there is no time in its lines.
    fn printer(to: impl Into<OwnedFd>) -> Printer {
        Printer::new(Some(File::from(to.into())), Style { is_journal: true, ..Style::default() })
    }

    fn print(printer: &mut Printer, line: &str) {
        printer.print(line.into());
    }

    /// What is written to the second end comes out of the first, and neither waits.
    fn channel() -> (UnixStream, UnixStream) {
        let (reader, writer) = UnixStream::pair().unwrap();
        reader.set_nonblocking(true).unwrap();
        writer.set_nonblocking(true).unwrap();
        (reader, writer)
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
        let (mut reader, writer) = channel();
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
        assert_eq!(read_all(&mut reader), "<4>level=warn event=log_lines_lost number=7\none\ntwo\n");
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
        let (reader, writer) = channel();
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
        let (mut reader, writer) = channel();
        printer.own = Some(File::from(OwnedFd::from(writer)));
        print(&mut printer, "two");
        assert_eq!(read_all(&mut reader), "<4>level=warn event=log_lines_lost number=1\ntwo\n");
    }

    #[test]
    fn the_longest_line_is_one_write_also_after_half_a_line() {
        let (mut reader, writer) = channel();
        let mut printer = printer(writer);
        printer.is_torn = true;
        printer.fatal(&"x".repeat(MAX));
        let text = read_all(&mut reader);
        assert!(
            text.len() == MAX + 2 && text.starts_with("\n<3>audience-meter: x") && text.ends_with("x...\n"),
            "{text}"
        );
    }

    #[test]
    fn why_the_process_ends_is_text_or_an_object() {
        let (mut reader, writer) = channel();
        let mut printer = printer(writer);
        printer.fatal("no \"port\"");
        assert_eq!(read_all(&mut reader), "<3>audience-meter: no \"port\"\n");
        printer.set_format(Format::Json);
        printer.fatal("no \"port\"");
        let object = "{\"level\":\"error\",\"event\":\"fatal\",\"error\":\"no \\\"port\\\"\"}";
        assert_eq!(read_all(&mut reader), format!("<3>{object}\n"));
    }

    /// Writing to it would wait, so this test would hang.
    #[test]
    fn what_was_handed_down_and_would_block_is_not_written_to() {
        let (reader, mut writer) = io::pipe().unwrap();
        while sys::has_room(&writer) {
            writer.write_all(&[0; MAX]).unwrap();
        }
        assert_eq!(write_now(&mut writer, b"x"), 0);
        drop(reader);
        assert!(sys::has_room(&writer));
        assert_eq!(write_now(&mut writer, b"x"), 0);
    }
}
