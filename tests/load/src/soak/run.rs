//! One daemon from its start to its end.
//!
//! Owns the process, and a thread that reads its log: without it, a full pipe would have the daemon and this process wait
//! for each other. It does not decide what happens to the daemon.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use super::faults::NODE_TIMEOUT;
use crate::daemon::{Daemon, Program};
use crate::{Result, now};

/// The options of the daemons. All delays are short, so that much happens in a round. Nodes may be few: departed ones must
/// not take the slots of new ones, and many depart.
const OPTIONS: [&str; 13] = [
    "--host=127.0.0.1",
    "--enable-uuid",
    "--notify-delta-ratio=0",
    "--notify-min-delay=0.4",
    "--notify-max-delay=3600",
    "--max-conn-duration=0",
    "--namespace-clean-delay=2",
    "--head-timeout=3",
    "--retry-min=1",
    "--retry-max=2",
    "--cluster-notify-interval=0.5",
    "--cluster-max-nodes=16",
    "--cluster-max-namespaces=100000",
];

/// How many of its last lines are kept, for the error if it ends.
const LINES_KEPT: usize = 5;

/// A daemon and its log.
pub(super) struct Run {
    pub(super) daemon: Daemon,
    log: Arc<Mutex<Log>>,
    /// Reads until the daemon ends.
    reader: JoinHandle<()>,
}

/// The log of a daemon.
#[derive(Default)]
struct Log {
    is_ready: bool,
    warnings: u64,
    lines: VecDeque<String>,
    /// The file in which all lines are kept, if there is one.
    file: Option<File>,
}

impl Run {
    /// Starts a daemon. With a file for its log, it logs everything, and each line begins with the seconds since `start`.
    pub(super) fn begin(program: &Program, port: u16, file: Option<&Path>, start: Instant) -> Result<Self> {
        let timeout = format!("--cluster-node-timeout={}", NODE_TIMEOUT.as_secs_f64());
        let mut options = [&OPTIONS[..], &[&timeout]].concat();
        if file.is_some() {
            options.push("--debug");
        }
        let file = file.map(|path| File::create(path).map_err(|error| format!("{}: {error}", path.display())));
        let log = Arc::new(Mutex::new(Log { file: file.transpose()?, ..Log::default() }));
        let daemon = Daemon::begin(program, port, &options)?;
        let pipe = BufReader::new(File::from(daemon.log()?));
        let of_reader = log.clone();
        let reader = thread::spawn(move || {
            for line in pipe.lines().map_while(std::result::Result::ok) {
                lock(&of_reader).take(line, start);
            }
        });
        Ok(Self { daemon, log, reader })
    }

    /// Whether it has logged that it is ready.
    pub(super) fn is_ready(&self) -> bool {
        lock(&self.log).is_ready
    }

    /// How many warnings it has logged.
    pub(super) fn warnings(&self) -> u64 {
        lock(&self.log).warnings
    }

    /// Ends it, if it has not ended; returns its last lines.
    pub(super) fn end(self) -> String {
        let Self { daemon, log, reader } = self;
        drop(daemon);
        // The thread reads to the end, and does not panic on the way.
        let _ = reader.join();
        let lines = &lock(&log).lines;
        lines.iter().map(String::as_str).collect::<Vec<_>>().join("; ")
    }
}

impl Log {
    fn take(&mut self, line: String, start: Instant) {
        self.is_ready |= line.ends_with(" level=info event=ready");
        self.warnings += u64::from(line.contains(" level=warn "));
        if let Some(file) = &mut self.file {
            // A full disk is no reason to stop.
            let _ = writeln!(file, "{:.3} {line}", (now() - start).as_secs_f64());
        }
        if self.lines.len() == LINES_KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }
}

/// A panic leaves no log half done.
fn lock(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}
