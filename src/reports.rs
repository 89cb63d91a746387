//! The file of event reports (`--report-file`): a line for each event that is over.
//!
//! Owns the way of a line to the file. The file is opened anew for every few lines, so it may be moved away at any time, as
//! `logrotate` does; and several processes may append to it.
//!
//! - A line is there whole or not at all. It is one write at the end of the file (`O_APPEND`), under a lock that all our
//!   processes take, into room that was allocated before (fallocate(2)), so that no reader sees a part of it. Where a file
//!   system cannot allocate, and the disk is full in the middle of a line, the file is cut back to its old length. A pipe
//!   takes a line whole or not at all by itself (`PIPE_BUF`).
//! - No line is waited for: not for the lock, not for room in a pipe. A line that cannot be written is kept, up to a bound,
//!   and tried again once a second. The log says when that begins; when it ends, the log gives the number of lost lines.
//! - A write to a file goes to the kernel's memory and does not wait for the disk. But a disk that hangs, or a file server
//!   that does not answer, may keep the kernel waiting, and us with it. There, give a pipe (`mkfifo`), with a program at its
//!   other end that waits in our place.
//!
//! Invariant: what becomes of the file has no effect on the count.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::collections::tick::Tick;
use crate::log::{self, Value::Shown};
use crate::reactor::sys;

/// Most lines that wait: 400 kB of them.
const WAITING_MAX: usize = 1024;

/// Lines written in one turn, at some 5 us each: 0.1 ms.
const LINES_PER_TURN: usize = 16;

/// The delay until the next try after a failed write, and after another process held the lock.
const RETRY: Duration = Duration::from_secs(1);
const RETRY_LOCKED: Duration = Duration::from_millis(10);

/// The file, and what is on its way to it.
#[derive(Debug)]
pub struct ReportFile {
    path: PathBuf,
    waiting: VecDeque<Vec<u8>>,
    retry_at: Option<Tick>,
    has_failed: bool,
    lost: u64,
}

impl ReportFile {
    /// A file that can be written to now; it is made if there is none.
    ///
    /// # Errors
    /// The reason, as a line for a person.
    pub fn open(path: &Path) -> Result<Self, String> {
        open(path).map_err(|error| format!("--report-file {}: {error}", path.display()))?;
        let path = path.to_owned();
        Ok(Self { path, waiting: VecDeque::new(), retry_at: None, has_failed: false, lost: 0 })
    }

    /// Queues a line, its line end included.
    pub fn push(&mut self, line: Vec<u8>) {
        if self.waiting.len() < WAITING_MAX {
            self.waiting.push_back(line);
        } else {
            self.lost += 1;
        }
    }

    /// When there is something to write.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Tick> {
        if self.waiting.is_empty() { None } else { Some(self.retry_at.unwrap_or(Tick(0))) }
    }

    /// Writes some of the lines that wait, if it is time; returns whether there may be more to write now.
    pub fn write(&mut self, now: Tick) -> bool {
        if self.waiting.is_empty() || self.retry_at.is_some_and(|at| at > now) {
            return false;
        }
        match self.write_some() {
            Ok(()) => {
                self.retry_at = None;
                if std::mem::take(&mut self.has_failed) {
                    let lost = std::mem::take(&mut self.lost);
                    log::info("report_file_written", &[("lost", lost.into())]);
                }
                !self.waiting.is_empty()
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.retry_at = Some(now.after(RETRY_LOCKED));
                false
            }
            Err(error) => {
                self.retry_at = Some(now.after(RETRY));
                if !std::mem::replace(&mut self.has_failed, true) {
                    let path = self.path.display().to_string();
                    log::warn("report_file_failed", &[("path", path[..].into()), ("error", Shown(&error))]);
                }
                false
            }
        }
    }

    /// The number of lines that are lost if the process ends now.
    #[must_use]
    pub fn unwritten(&self) -> u64 {
        self.lost + self.waiting.len() as u64
    }

    fn write_some(&mut self) -> io::Result<()> {
        let file = open(&self.path)?;
        let is_regular = file.metadata()?.is_file();
        // A file system without locks has to do without.
        if is_regular && matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        for _ in 0..LINES_PER_TURN {
            let Some(line) = self.waiting.front() else { break };
            append(&file, line, is_regular)?;
            self.waiting.pop_front();
        }
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    // Without waiting for a reader, if it is a pipe.
    OpenOptions::new().append(true).create(true).custom_flags(sys::O_NONBLOCK | sys::O_NOCTTY).open(path)
}

fn append(mut file: &File, line: &[u8], is_regular: bool) -> io::Result<()> {
    if is_regular {
        sys::allocate(file, file.metadata()?.len(), line.len())?;
    } else if !sys::has_room(file) {
        return Err(io::Error::other("the pipe is full or has no reader"));
    }
    let written = file.write(line)?;
    if written == line.len() {
        return Ok(());
    }
    if is_regular {
        let end = file.stream_position()?;
        file.set_len(end.saturating_sub(written as u64))?;
    }
    Err(io::ErrorKind::StorageFull.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("audience-meter-{}-{name}", std::process::id()));
        let _ = fs::remove_file(&path);
        path
    }

    fn lines(numbers: std::ops::Range<usize>) -> String {
        numbers.map(|number| number.to_string() + "\n").collect()
    }

    fn push(file: &mut ReportFile, numbers: std::ops::Range<usize>) {
        numbers.for_each(|number| file.push(format!("{number}\n").into_bytes()));
    }

    #[test]
    fn lines_are_appended_some_in_a_turn_and_the_file_may_be_moved() {
        let (path, moved) = (scratch("moved"), scratch("moved.1"));
        fs::write(&path, "before\n").unwrap();
        let mut file = ReportFile::open(&path).unwrap();
        assert_eq!(file.next_deadline(), None);
        push(&mut file, 0..20);
        assert_eq!(file.next_deadline(), Some(Tick(0)));
        assert!(file.write(Tick(5)));
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("before\n{}", lines(0..16)));
        fs::rename(&path, &moved).unwrap();
        assert!(!file.write(Tick(5)));
        assert_eq!(fs::read_to_string(&path).unwrap(), lines(16..20));
        fs::remove_file(&path).unwrap();
        fs::remove_file(&moved).unwrap();
    }

    #[test]
    fn who_has_the_lock_is_not_waited_for() {
        let path = scratch("locked");
        let mut file = ReportFile::open(&path).unwrap();
        let other = open(&path).unwrap();
        other.lock().unwrap();
        push(&mut file, 0..1);
        assert!(!file.write(Tick(5)));
        let retry_at = file.next_deadline().unwrap();
        assert!(retry_at > Tick(5));
        drop(other);
        file.write(retry_at);
        assert_eq!(fs::read_to_string(&path).unwrap(), "0\n");
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_full_disk_keeps_lines_waiting_and_only_so_many() {
        let mut file = ReportFile::open(Path::new("/dev/full")).unwrap();
        push(&mut file, 0..WAITING_MAX + 3);
        assert!(!file.write(Tick(5)));
        assert_eq!((file.waiting.len(), file.lost, file.unwritten()), (WAITING_MAX, 3, WAITING_MAX as u64 + 3));
        let path = scratch("full");
        file.path.clone_from(&path);
        assert!(!file.write(Tick(6)));
        assert!(!path.exists(), "not yet again");
        let mut now = file.next_deadline().unwrap();
        while file.write(now) {
            now.0 += 1;
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), lines(0..WAITING_MAX));
        assert_eq!((file.unwritten(), file.next_deadline()), (0, None));
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn what_cannot_be_opened_is_refused_with_its_name() {
        let error = ReportFile::open(Path::new("/no/such/folder/x")).unwrap_err();
        assert_eq!(error, "--report-file /no/such/folder/x: No such file or directory (os error 2)");
    }
}
