//! The file of event reports (`--report-file`): a line for each event that is over.
//!
//! Owns the way of a line to the file. The file is opened anew for every few lines, so it may be moved away at any time, as
//! `logrotate` does; and several processes may append to it.
//!
//! - A line is there whole or not at all. It is one write at the end of the file (`O_APPEND`), under a lock that all our
//!   processes take, into room that was allocated before (fallocate(2)), so that no reader sees a part of it. Where a file
//!   system cannot allocate, and the disk is full in the middle of a line, the file is cut back to its old length. A pipe
//!   takes a line whole or not at all by itself (`PIPE_BUF`), and so does a socket with room for several.
//! - The lock guards that cut alone: the kernel appends one line after the other by itself. Any process that may read the
//!   file can take the lock (flock(2)), so it is waited for only for a moment, and then the lines are
//!   written without it.
//! - No line is waited for: not for the lock, not for room in a pipe. A line that cannot be written is kept, up to a bound,
//!   and tried again once a second. The log says when that begins, and when it ends.
//! - While the bound is reached, events that are over are not forgotten ([`ReportFile::room`]), so their lines are not lost. A
//!   line that is lost all the same is counted, and the log gives the number.
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

/// How long the lock is waited for: our own processes hold it for 0.1 ms.
const LOCK_PATIENCE: Duration = Duration::from_millis(200);

/// How often the log says that lines are lost, or that the lock is held.
const LOG_GAP: Duration = Duration::from_secs(10);

/// The names of the standard output. Where it is a socket, as under systemd, it cannot be opened by them.
const STANDARD_OUTPUT: [&str; 3] = ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];

/// The file, and what is on its way to it.
#[derive(Debug)]
pub struct ReportFile {
    path: PathBuf,
    waiting: VecDeque<Vec<u8>>,
    retry_at: Option<Tick>,
    /// While writes fail: the number of lines that were lost before.
    failed_at: Option<u64>,
    /// Since when another process has held the lock.
    locked_since: Option<Tick>,
    /// When it may be said again that it does.
    log_lock_at: Tick,
    /// The number of lines that were lost, and of those that the log has counted.
    lost: u64,
    logged: u64,
    /// When the log may count more.
    log_at: Tick,
}

impl ReportFile {
    /// A file that can be written to now; it is made if there is none. For a worker, its supervisor has looked, and what is
    /// wrong since then is a warning.
    ///
    /// # Errors
    /// The reason, as a line for a person.
    pub fn open(path: &Path, is_worker: bool) -> Result<Self, String> {
        let opened = open(path);
        let mut file = Self {
            path: path.to_owned(),
            waiting: VecDeque::new(),
            retry_at: None,
            failed_at: None,
            locked_since: None,
            log_lock_at: Tick(0),
            lost: 0,
            logged: 0,
            log_at: Tick(0),
        };
        match opened {
            Err(error) if is_worker => file.warn(&error),
            opened => drop(opened.map_err(|error| format!("--report-file {}: {error}", path.display()))?),
        }
        Ok(file)
    }

    /// Says once that the file cannot be written, until it can.
    fn warn(&mut self, error: &io::Error) {
        if self.failed_at.replace(self.failed_at.unwrap_or(self.lost)).is_none() {
            let path = self.path.display().to_string();
            log::warn("report_file_failed", &[("path", path[..].into()), ("error", Shown(error))]);
        }
    }

    /// Queues a line, its line end included; returns whether there was room for it. If not, it is lost.
    pub fn push(&mut self, line: Vec<u8>) -> bool {
        let has_room = self.room() > 0;
        if has_room {
            self.waiting.push_back(line);
        } else {
            self.lost += 1;
        }
        has_room
    }

    /// The number of lines for which there is room.
    #[must_use]
    pub fn room(&self) -> usize {
        WAITING_MAX - self.waiting.len()
    }

    /// When room may come, if there is none.
    #[must_use]
    pub fn room_at(&self) -> Tick {
        self.retry_at.unwrap_or(Tick(0))
    }

    /// When there is something to write, or to log.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Tick> {
        let write_at = (!self.waiting.is_empty()).then(|| self.room_at());
        let log_at = (self.lost > self.logged).then_some(self.log_at);
        [write_at, log_at].into_iter().flatten().min()
    }

    /// Writes some of the lines that wait, if it is time; returns whether there may be more to write now.
    pub fn write(&mut self, now: Tick) -> bool {
        if self.lost > self.logged && self.log_at <= now {
            self.log_at = now.after(LOG_GAP);
            self.log_lost(0);
        }
        if self.waiting.is_empty() || self.retry_at.is_some_and(|at| at > now) {
            return false;
        }
        match self.write_some(now) {
            Ok(()) => {
                self.retry_at = None;
                if let Some(lost) = self.failed_at.take() {
                    log::info("report_file_written", &[("lost", (self.lost - lost).into())]);
                }
                !self.waiting.is_empty()
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.retry_at = Some(now.after(RETRY_LOCKED));
                false
            }
            Err(error) => {
                self.retry_at = Some(now.after(RETRY));
                self.warn(&error);
                false
            }
        }
    }

    /// Logs the number of all lines that are lost with the end of the process.
    pub fn end(&mut self) {
        let unwritten = self.waiting.len() as u64;
        if unwritten > 0 || self.lost > self.logged {
            self.log_lost(unwritten);
        }
    }

    fn log_lost(&mut self, unwritten: u64) {
        log::warn("reports_lost", &[("number", (self.lost - self.logged + unwritten).into())]);
        self.logged = self.lost;
    }

    fn write_some(&mut self, now: Tick) -> io::Result<()> {
        let file = open(&self.path)?;
        let is_regular = file.metadata()?.is_file();
        if is_regular && !self.has_lock(&file, now) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        for _ in 0..LINES_PER_TURN {
            let Some(line) = self.waiting.front() else { break };
            append(&file, line, is_regular)?;
            self.waiting.pop_front();
        }
        Ok(())
    }

    /// Takes the lock; returns whether the wait for it is over. A file system without locks has to do without.
    fn has_lock(&mut self, file: &File, now: Tick) -> bool {
        if !matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
            self.locked_since = None;
            return true;
        }
        let is_over = self.locked_since.get_or_insert(now).after(LOCK_PATIENCE) <= now;
        if is_over && self.log_lock_at <= now {
            self.log_lock_at = now.after(LOG_GAP);
            let path = self.path.display().to_string();
            log::warn("report_file_locked", &[("path", path[..].into())]);
        }
        is_over
    }
}

fn open(path: &Path) -> io::Result<File> {
    // Without waiting for a reader, if it is a pipe.
    let opened = OpenOptions::new().append(true).create(true).custom_flags(sys::O_NONBLOCK | sys::O_NOCTTY).open(path);
    match opened {
        Err(_) if STANDARD_OUTPUT.iter().any(|name| path == Path::new(name)) => Ok(sys::standard_output()?.into()),
        opened => opened,
    }
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
        // Without the lock, a line of another process may stand behind it.
        if file.metadata()?.len() == end {
            file.set_len(end.saturating_sub(written as u64))?;
        }
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
        numbers.for_each(|number| assert!(file.push(format!("{number}\n").into_bytes())));
    }

    #[test]
    fn lines_are_appended_some_in_a_turn_and_the_file_may_be_moved() {
        let (path, moved) = (scratch("moved"), scratch("moved.1"));
        fs::write(&path, "before\n").unwrap();
        let mut file = ReportFile::open(&path, false).unwrap();
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
    fn the_lock_is_waited_for_a_moment_and_no_longer() {
        let path = scratch("locked");
        let mut file = ReportFile::open(&path, false).unwrap();
        let other = open(&path).unwrap();
        other.lock().unwrap();
        push(&mut file, 0..1);
        assert!(!file.write(Tick(5)));
        let mut tries = 0;
        while file.waiting.len() == 1 {
            let retry_at = file.next_deadline().unwrap();
            file.write(retry_at);
            tries += 1;
        }
        assert_eq!((tries, file.retry_at), (11, None), "one every 20 ms, for 200 ms");
        push(&mut file, 1..40);
        while file.write(Tick(30)) {}
        assert_eq!(fs::read_to_string(&path).unwrap(), lines(0..40), "it is not waited for again");
        drop(other);
        push(&mut file, 40..41);
        file.write(Tick(31));
        assert_eq!((file.locked_since, fs::read_to_string(&path).unwrap()), (None, lines(0..41)));
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_full_disk_keeps_lines_waiting_and_only_so_many() {
        let mut file = ReportFile::open(Path::new("/dev/full"), false).unwrap();
        push(&mut file, 0..WAITING_MAX);
        assert!(!file.push(vec![]) && !file.push(vec![]), "there is no room");
        assert!(!file.write(Tick(5)));
        assert_eq!((file.room(), file.room_at()), (0, Tick(5).after(RETRY)));
        assert_eq!((file.lost, file.logged), (2, 2));
        file.push(vec![]);
        assert!(!file.write(Tick(6)));
        assert_eq!((file.lost, file.logged), (3, 2), "the log says so later");
        let path = scratch("full");
        file.path.clone_from(&path);
        assert!(!file.write(Tick(7)) && !path.exists(), "not yet again");
        let mut now = file.next_deadline().unwrap();
        while file.write(now) {
            now.0 += 1;
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), lines(0..WAITING_MAX));
        assert_eq!((file.room(), file.next_deadline()), (WAITING_MAX, Some(Tick(5).after(LOG_GAP))));
        file.write(Tick(5).after(LOG_GAP));
        assert_eq!((file.lost, file.logged, file.next_deadline()), (3, 3, None));
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn what_cannot_be_opened_is_refused_with_its_name() {
        let error = ReportFile::open(Path::new("/no/such/folder/x"), false).unwrap_err();
        assert_eq!(error, "--report-file /no/such/folder/x: No such file or directory (os error 2)");
    }
}
