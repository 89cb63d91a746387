//! The daemons of the audience, and what befalls them.
//!
//! Owns their processes, those that are on their way out included, and knows which state each is in. It does not know the
//! members, nor what is true of them.
//!
//! Invariant: a daemon that ends without having been told to is an error, and so is one that does not as it is told in time.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use audience_meter::reactor::sys::SIGTERM;

use super::faults::Fault;
use super::run::Run;
use crate::daemon::Daemon;
use crate::process::Process;
use crate::{Result, now};

/// How long a daemon may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long after a daemon has ended its streams may be found to have: as long as a busy machine may take to tell.
const AFTERMATH: Duration = Duration::from_secs(3);

/// What happened to them so far.
#[derive(Clone, Copy, Default)]
pub(super) struct Befallen {
    pub(super) kills: u64,
    pub(super) stops: u64,
    pub(super) restarts: u64,
    /// Lines of warning in their logs.
    pub(super) warnings: u64,
}

/// The daemons of one audience.
pub(super) struct Nodes {
    port: u16,
    /// Where their logs are kept, if they are.
    folder: Option<PathBuf>,
    all: Vec<Node>,
    /// Those that were told to end.
    leaving: Vec<Leaving>,
    start: Instant,
    /// How many were ever started.
    started: usize,
    last_ended: Option<Instant>,
    pub(super) befallen: Befallen,
}

struct Node {
    /// None while it is down.
    run: Option<Run>,
    state: State,
    /// How much memory it had when nobody was there first, and last.
    empty_bytes: Option<(u64, u64)>,
}

/// A daemon that has to end by then.
struct Leaving {
    run: Run,
    number: usize,
    by: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It is started again then.
    Down(Instant),
    /// It has to be ready by then.
    Starting(Instant),
    /// It serves.
    Up,
    /// It goes on then.
    Stopped(Instant),
}

impl Nodes {
    /// Starts so many.
    pub(super) fn start(count: usize, port: u16, folder: Option<PathBuf>) -> Result<Self> {
        let start = now();
        let node = |_| Node { run: None, state: State::Down(start), empty_bytes: None };
        let all = (0..count).map(node).collect();
        let befallen = Befallen::default();
        let mut this = Self { port, folder, all, leaving: Vec::new(), start, started: 0, last_ended: None, befallen };
        this.tend()?;
        Ok(this)
    }

    /// Does what is due, and finds out who has ended.
    pub(super) fn tend(&mut self) -> Result<()> {
        for index in 0..self.all.len() {
            self.tend_one(index)?;
        }
        for mut leaving in std::mem::take(&mut self.leaving) {
            let number = leaving.number;
            match leaving.run.daemon.ended()? {
                Some(status) if status.success() => {
                    self.last_ended = Some(now());
                    self.befallen.warnings += leaving.run.warnings();
                }
                Some(status) => {
                    let words = leaving.run.end();
                    return Err(format!("daemon {number}, told to end, has ended with {status}: {words}").into());
                }
                None if now() > leaving.by => {
                    let words = leaving.run.end();
                    return Err(format!("daemon {number} does not end when told to: {words}").into());
                }
                None => self.leaving.push(leaving),
            }
        }
        Ok(())
    }

    fn tend_one(&mut self, index: usize) -> Result<()> {
        let moment = now();
        let number = index + 1;
        let Node { run, state, .. } = &mut self.all[index];
        match (*state, &mut *run) {
            (State::Down(until), _) if moment >= until => {
                let file =
                    self.folder.as_ref().map(|folder| folder.join(format!("daemon{number}-{}.log", self.started)));
                *run = Some(Run::begin(self.port, file.as_deref(), self.start)?);
                *state = State::Starting(moment + PATIENCE);
                self.started += 1;
            }
            (State::Starting(_), Some(run)) if run.is_ready() => *state = State::Up,
            (State::Stopped(until), Some(run)) if moment >= until => {
                run.daemon.signal(libc::SIGCONT)?;
                *state = State::Up;
            }
            _ => {}
        }
        let is_late = matches!(*state, State::Starting(by) if moment > by);
        let ended = run.as_mut().map(|run| run.daemon.ended()).transpose()?.flatten();
        if let Some(run) = run.take_if(|_| is_late || ended.is_some()) {
            let how = ended
                .map_or_else(|| "does not get ready".to_owned(), |status| format!("has ended by itself ({status})"));
            return Err(format!("daemon {number} {how}: {}", run.end()).into());
        }
        Ok(())
    }

    /// Has something happen to a daemon, if it is up; else that has to wait.
    pub(super) fn suffer(&mut self, index: usize, fault: Fault) -> Result<bool> {
        let moment = now();
        let node = &mut self.all[index];
        let Some(run) = node.run.take_if(|_| node.state == State::Up) else { return Ok(false) };
        match fault {
            Fault::Kill(down) => {
                self.befallen.kills += 1;
                self.befallen.warnings += run.warnings();
                self.last_ended = Some(moment);
                node.state = State::Down(moment + down);
                node.empty_bytes = None;
                // It is killed, and waited for.
                drop(run);
            }
            Fault::Stop(long) => {
                self.befallen.stops += 1;
                run.daemon.signal(libc::SIGSTOP)?;
                node.state = State::Stopped(moment + long);
                node.run = Some(run);
            }
            Fault::Restart(down) => {
                self.befallen.restarts += 1;
                run.daemon.signal(SIGTERM)?;
                node.state = State::Down(moment + down);
                node.empty_bytes = None;
                self.leaving.push(Leaving { run, number: index + 1, by: moment + PATIENCE });
            }
        }
        Ok(true)
    }

    /// How many there are to be.
    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    /// Whether all serve, and nobody is on the way out.
    pub(super) fn are_up(&self) -> bool {
        self.leaving.is_empty() && self.all.iter().all(|node| node.state == State::Up)
    }

    /// Whether one is stopped.
    pub(super) fn is_one_stopped(&self) -> bool {
        self.all.iter().any(|node| matches!(node.state, State::Stopped(_)))
    }

    /// Whether streams may end: daemons do, or have just done.
    pub(super) fn are_ending(&self) -> bool {
        !self.leaving.is_empty() || self.last_ended.is_some_and(|at| now() - at < AFTERMATH)
    }

    /// Those that serve, by their numbers, which count from 1.
    pub(super) fn up(&self) -> impl Iterator<Item = (usize, &Daemon)> {
        let up = self.all.iter().enumerate().filter(|(_, node)| node.state == State::Up);
        up.filter_map(|(index, node)| Some((index + 1, &node.run.as_ref()?.daemon)))
    }

    /// How many warnings are in their logs.
    pub(super) fn warnings(&self) -> u64 {
        let runs = self.all.iter().filter_map(|node| node.run.as_ref());
        self.befallen.warnings + runs.map(Run::warnings).sum::<u64>()
    }

    /// What the kernel knows of those that serve.
    pub(super) fn processes(&self) -> impl Iterator<Item = (usize, &Process)> {
        self.up().filter_map(|(number, daemon)| Some((number, daemon.process.as_ref()?)))
    }

    /// Takes note of the memory of all, now that nobody is there; who has grown, if one has.
    pub(super) fn note_empty(&mut self, grown: impl Fn(u64, u64) -> bool) -> Result<Option<String>> {
        let levels = self.processes().map(|(number, process)| Ok((number, process.anonymous_bytes()?)));
        for (number, bytes) in levels.collect::<Result<Vec<_>>>()? {
            let known = &mut self.all[number - 1].empty_bytes;
            let (first, last) = known.unwrap_or((bytes, bytes));
            *known = Some((first, bytes));
            if let Some(before) = [first, last].into_iter().find(|&before| grown(before, bytes)) {
                return Ok(Some(format!(
                    "daemon {number} has {bytes} B of memory with nobody there, and had {before}"
                )));
            }
        }
        Ok(None)
    }

    /// The memory of the first daemon when nobody was there first, and last.
    pub(super) fn empty_bytes(&self) -> Option<(u64, u64)> {
        self.all.first()?.empty_bytes
    }
}
