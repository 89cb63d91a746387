//! The daemons of the audience, and their faults.
//!
//! Owns their processes, those that are about to end included, and the state of each. It does not know the members.
//!
//! Invariant: a daemon that ends without an order is an error, and so is one that does not follow an order in time.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::faults::Fault;
use super::log::Log;
use super::reports::Disturbance;
use super::run::Run;
use super::surroundings::CATCHING_UP;
use crate::daemon::{Daemon, Program};
use crate::host::Host;
use crate::process::Process;
use crate::{Result, now};

/// How long a daemon may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long after the end of a daemon the ends of its streams may be noticed, for some connections are just being made.
const AFTERMATH: Duration = Duration::from_secs(3);

impl Fault {
    /// What it is to the reports, and for how long it lasts.
    pub(super) fn disturbance(self) -> (Disturbance, Duration) {
        match self {
            Self::Stop(long) => (Disturbance::Cut, long),
            Self::Kill(down) => (Disturbance::Kill, down),
            Self::Restart(down) => (Disturbance::Restart, down),
        }
    }
}

/// How often all streams are looked at until the ends of those of a daemon have been noticed, however slow a busy machine is:
/// what came before the end is read first.
const LOOKS: u32 = 2;

/// Their faults so far.
#[derive(Clone, Copy, Default)]
pub(super) struct Befallen {
    pub(super) kills: u64,
    pub(super) stops: u64,
    pub(super) restarts: u64,
    /// Lines of warning in the logs of those that have ended, and all bytes.
    pub(super) warnings: u64,
    pub(super) log_bytes: u64,
}

impl Befallen {
    fn count(&mut self, log: &Log) {
        self.warnings += log.warnings;
        self.log_bytes += log.bytes;
    }
}

/// What a daemon is started with.
pub(super) struct Plan {
    /// The index of its host.
    pub(super) host: usize,
    pub(super) options: Vec<String>,
}

/// The daemons of one audience.
pub(super) struct Nodes {
    program: Program,
    port: u16,
    hosts: Vec<Host>,
    /// The folder in which they write their logs, and one in which these are kept, if there is one.
    folder: PathBuf,
    kept_in: Option<PathBuf>,
    all: Vec<Node>,
    /// Those that are about to end.
    leaving: Vec<Leaving>,
    start: Instant,
    /// How many were ever started.
    started_count: usize,
    last_ended: Option<Instant>,
    /// How often all streams were looked at since then.
    look_count: u32,
    /// Whether daemons may be started: one that finds no interface ends.
    pub(super) may_start: bool,
    pub(super) befallen: Befallen,
}

struct Node {
    plan: Plan,
    /// None while it is down.
    run: Option<Run>,
    state: State,
    /// When it has gone on after it was stopped, the last time.
    woken_at: Option<Instant>,
    /// Its memory without members: the first time, and the last.
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
    /// Starts them, each as planned, on a port that they share.
    pub(super) fn start(
        program: Program,
        port: u16,
        (hosts, plans): (Vec<Host>, Vec<Plan>),
        folder: PathBuf,
        kept_in: Option<PathBuf>,
    ) -> Result<Self> {
        let start = now();
        let node = |plan| Node { plan, run: None, state: State::Down(start), woken_at: None, empty_bytes: None };
        let mut this = Self {
            program,
            port,
            hosts,
            folder,
            kept_in,
            all: plans.into_iter().map(node).collect(),
            leaving: Vec::new(),
            start,
            started_count: 0,
            last_ended: None,
            look_count: 0,
            may_start: true,
            befallen: Befallen::default(),
        };
        this.tend()?;
        Ok(this)
    }

    /// Does what is due, and finds daemons that have ended.
    pub(super) fn tend(&mut self) -> Result<()> {
        for index in 0..self.all.len() {
            self.tend_one(index)?;
        }
        for mut leaving in std::mem::take(&mut self.leaving) {
            let number = leaving.number;
            leaving.run.log.read()?;
            match leaving.run.daemon.ended()? {
                Some(status) if status.success() => {
                    self.record_end();
                    leaving.run.log.read()?;
                    self.befallen.count(&leaving.run.log);
                }
                Some(status) => {
                    let words = leaving.run.end();
                    return Err(
                        format!("daemon {number} was ordered to end, and has ended with {status}: {words}").into()
                    );
                }
                None if now() > leaving.by => {
                    let words = leaving.run.end();
                    return Err(format!("daemon {number} was ordered to end, and does not: {words}").into());
                }
                None => self.leaving.push(leaving),
            }
        }
        Ok(())
    }

    fn tend_one(&mut self, index: usize) -> Result<()> {
        let moment = now();
        let number = index + 1;
        let Node { run, state, woken_at, plan, .. } = &mut self.all[index];
        if let Some(run) = run {
            run.log.read()?;
        }
        match (*state, &mut *run) {
            (State::Down(until), _) if moment >= until && self.may_start => {
                let path = self.folder.join(format!("daemon{number}-{}.log", self.started_count));
                let log = Log::new(path, self.kept_in.as_deref(), self.start)?;
                *run = Some(Run::begin(&self.program, self.port, &plan.options, &self.hosts[plan.host], log)?);
                *state = State::Starting(moment + PATIENCE);
                self.started_count += 1;
            }
            (State::Starting(_), Some(run)) if run.daemon.is_ready() => *state = State::Up,
            (State::Stopped(until), Some(run)) if moment >= until => {
                run.daemon.signal(Signal::SIGCONT)?;
                (*state, *woken_at) = (State::Up, Some(moment));
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

    /// Has a fault happen to a daemon if it is up. Returns false if the fault has to wait.
    pub(super) fn suffer(&mut self, index: usize, fault: Fault) -> Result<bool> {
        let moment = now();
        let node = &mut self.all[index];
        // What a daemon could not write while it was stopped would go with it.
        let is_behind = node.woken_at.is_some_and(|at| moment - at < CATCHING_UP);
        if is_behind && !matches!(fault, Fault::Stop(_)) {
            return Ok(false);
        }
        let Some(run) = node.run.take_if(|_| node.state == State::Up) else { return Ok(false) };
        match fault {
            Fault::Kill(down) => {
                self.befallen.kills += 1;
                self.befallen.count(&run.log);
                node.state = State::Down(moment + down);
                node.empty_bytes = None;
                // It is killed, and waited for.
                drop(run);
                self.record_end();
            }
            Fault::Stop(long) => {
                self.befallen.stops += 1;
                run.daemon.signal(Signal::SIGSTOP)?;
                node.state = State::Stopped(moment + long);
                node.run = Some(run);
            }
            Fault::Restart(down) => {
                self.befallen.restarts += 1;
                run.daemon.signal(Signal::SIGTERM)?;
                node.state = State::Down(moment + down);
                node.empty_bytes = None;
                self.leaving.push(Leaving { run, number: index + 1, by: moment + PATIENCE });
            }
        }
        Ok(true)
    }

    /// How many daemons the audience has.
    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    /// Whether all serve, and none is about to end.
    pub(super) fn are_up(&self) -> bool {
        self.leaving.is_empty() && self.all.iter().all(|node| node.state == State::Up)
    }

    /// Whether a daemon takes members at a host.
    pub(super) fn serve(&self, host: usize) -> bool {
        let serves = |node: &Node| matches!(node.state, State::Up | State::Stopped(_));
        self.all.iter().any(|node| node.plan.host == host && serves(node))
    }

    /// Whether one of them has begun to start, and is not ready.
    pub(super) fn is_one_starting(&self) -> bool {
        self.all.iter().any(|node| matches!(node.state, State::Starting(_)))
    }

    /// Whether one of them is about to end.
    pub(super) fn is_one_leaving(&self) -> bool {
        !self.leaving.is_empty()
    }

    /// Whether one of them is stopped.
    pub(super) fn is_one_stopped(&self) -> bool {
        self.all.iter().any(|node| matches!(node.state, State::Stopped(_)))
    }

    /// Whether streams may end: a daemon is about to end, or has just ended.
    pub(super) fn are_ending(&self) -> bool {
        let is_aftermath = |at| self.look_count < LOOKS || now() - at < AFTERMATH;
        !self.leaving.is_empty() || self.last_ended.is_some_and(is_aftermath)
    }

    /// All streams that had something to read were read from.
    pub(super) fn record_look(&mut self) {
        self.look_count = self.look_count.saturating_add(1);
    }

    fn record_end(&mut self) {
        (self.last_ended, self.look_count) = (Some(now()), 0);
    }

    /// The daemons that serve, with their numbers, which count from 1.
    pub(super) fn up(&self) -> impl Iterator<Item = (usize, &Daemon)> {
        let up = self.all.iter().enumerate().filter(|(_, node)| node.state == State::Up);
        up.filter_map(|(index, node)| Some((index + 1, &node.run.as_ref()?.daemon)))
    }

    /// The number of warnings in their logs, and of all bytes.
    pub(super) fn logged(&self) -> (u64, u64) {
        let mut all = self.befallen;
        self.all.iter().filter_map(|node| node.run.as_ref()).for_each(|run| all.count(&run.log));
        (all.warnings, all.log_bytes)
    }

    /// The processes of the daemons that serve.
    pub(super) fn processes(&self) -> impl Iterator<Item = (usize, &Process)> {
        self.up().filter_map(|(number, daemon)| Some((number, daemon.process.as_ref()?)))
    }

    /// Records the memory of all daemons, now that there are no members. Returns one that has more than this, if there is one.
    pub(super) fn record_empty(&mut self, most: u64) -> Result<Option<String>> {
        let levels = self.processes().map(|(number, process)| Ok((number, process.anonymous_bytes()?)));
        for (number, bytes) in levels.collect::<Result<Vec<_>>>()? {
            let known = &mut self.all[number - 1].empty_bytes;
            *known = Some((known.map_or(bytes, |(first, _)| first), bytes));
            if bytes > most {
                return Ok(Some(format!("daemon {number} has {bytes} B of memory without members, more than {most}")));
            }
        }
        Ok(None)
    }

    /// The memory of the first daemon without members: the first time, and the last.
    pub(super) fn empty_bytes(&self) -> Option<(u64, u64)> {
        self.all.first()?.empty_bytes
    }
}
