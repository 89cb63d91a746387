//! The log of one daemon.
//!
//! Owns the file on the daemons' disk: it is read all the time, and cut when it is long. It does not judge what the daemon
//! says, but counts the warnings and the bytes.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::tail::Tail;
use crate::{Result, now};

/// How many of its last lines are kept, for the error if it ends.
const LINES_KEPT: usize = 5;

/// Where the file is cut, once all of it was read.
const LONG: u64 = 256 * 1024;

/// A log that is written.
pub(super) struct Log {
    path: PathBuf,
    tail: Tail,
    /// The file in which all lines are kept, if there is one.
    kept: Option<File>,
    start: Instant,
    lines: VecDeque<String>,
    pub(super) warnings: u64,
    /// All bytes that were written.
    pub(super) bytes: u64,
}

impl Log {
    /// A new log, and the file that the daemon writes to. With a folder, all lines are kept there; each begins with the
    /// seconds since `start`.
    pub(super) fn new(path: PathBuf, kept_in: Option<&Path>, start: Instant) -> Result<(Self, File)> {
        let file = File::options().append(true).create_new(true).open(&path);
        let file = file.map_err(|error| format!("cannot create {}: {error}", path.display()))?;
        let kept = kept_in.zip(path.file_name()).map(|(folder, name)| File::create(folder.join(name))).transpose()?;
        let tail = Tail::new(&path)?;
        Ok((Self { path, tail, kept, start, lines: VecDeque::new(), warnings: 0, bytes: 0 }, file))
    }

    /// Reads what has been written since.
    pub(super) fn read(&mut self) -> Result<()> {
        let Self { tail, kept, start, lines, warnings, bytes, .. } = self;
        tail.read(|line| {
            *bytes += line.len() as u64 + 1;
            *warnings += u64::from(line.contains(" level=warn "));
            if let Some(kept) = kept {
                writeln!(kept, "{:.3} {line}", (now() - *start).as_secs_f64())?;
            }
            if lines.len() == LINES_KEPT {
                lines.pop_front();
            }
            lines.push_back(line.to_owned());
            Ok(())
        })?;
        // A line that comes just now is lost with the others: one in a long time.
        if tail.read_bytes() > LONG && tail.begun().is_empty() {
            File::options().write(true).open(&self.path)?.set_len(0)?;
            tail.rewind()?;
        }
        Ok(())
    }

    /// Its last lines.
    pub(super) fn end(mut self) -> String {
        // What can be read will do.
        let _ = self.read();
        let lines = self.lines.iter().map(String::as_str);
        lines.collect::<Vec<_>>().join("; ")
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        // The disk goes in the end, whatever lies there.
        let _ = std::fs::remove_file(&self.path);
    }
}
