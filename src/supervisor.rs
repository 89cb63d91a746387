//! `-w N`: starts N copies of this program and sees to it that there are N that serve.
//!
//! Owns the worker processes: their start, the end of each, and the end of all. It judges a worker by two things: whether
//! the process exists, and whether it beats, a byte each second through the pipe that is its standard output. It does not
//! know what the workers serve; they find each other without it.
//!
//! Time here is time in which this process was awake. A machine or a supervisor that was suspended has received no beat
//! while it slept, and that says nothing about the workers.
//!
//! | file | owns |
//! |---|---|
//! | `launcher` | how a worker is started |
//! | `child` | a child process, and the pipe that its beats come through |
//! | `time` | time awake, and how long to wait |
//!
//! Invariant: no worker outlives the supervisor. It returns when all are gone; if it is killed, the kernel signals them.

mod child;
mod launcher;
mod time;

use std::error::Error;
use std::io;
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

use crate::collections::tick::Tick;
use crate::config::{Config, WORKERS_MAX};
use crate::log::{self, Value::Shown};
use crate::reactor::sys::{self, Signals};
use crate::reactor::{Interest, Reactor, Registered, Token};
use child::Child;
use launcher::Launcher;
use time::{Awake, Backoff};

/// The interval at which the workers' beats are read.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long a worker may be silent before it counts as hung and is killed: its share of new connections would wait for ever.
///
/// A worker beats each second and its beats are read each second, so a healthy one is silent for up to 2 s. Sleep in between
/// adds [`time::AWAKE_MAX`]. That leaves 1.9 s in which a loop whose turns take some milliseconds has to get round once.
const HUNG_AFTER: Duration = Duration::from_secs(5);

/// How long a worker may take to be ready. Receiving the other nodes' state takes a second at most; but the CPU may be
/// busy, and few clients miss a worker that has never been ready.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// Most workers that start at once. Each start takes some milliseconds of CPU from the workers that already serve.
const STARTING_MAX: usize = 16;

/// Most replacements in a row that may end without ever having been ready. What they lack (a port, memory, descriptors)
/// will not come by itself, and the operator has to know.
const IN_VAIN_MAX: u32 = 5;

/// How long all workers may take to end once their members have been let go. Each takes a second for its last words.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// How long the workers may take when they end at once. They notice within a twentieth of it.
const STOP_NOW_WITHIN: Duration = Duration::from_secs(1);

/// Posts have the tokens below.
const SIGNALS_TOKEN: Token = Token(WORKERS_MAX);

/// Serves with the number of workers that the settings ask for, until a signal stops it or no worker can start.
///
/// # Errors
/// What keeps this process itself from working. A worker prints its own error; the exit code is then the worker's.
pub fn run(config: &Config) -> Result<ExitCode, Box<dyn Error>> {
    sys::raise_descriptor_limit()?;
    let launcher = Launcher::new(config)?;
    Ok(Supervisor::new(launcher, config)?.run()?)
}

/// A process that serves, or is about to.
struct Worker {
    child: Child,
    started: Tick,
    /// When its last beat was read; the first one says that it is ready.
    last_beat: Option<Tick>,
    is_killed: bool,
}

impl Worker {
    /// Whether a beat is overdue.
    fn is_hung(&self, now: Tick) -> bool {
        let patience =
            self.last_beat.map_or_else(|| self.started.after(READY_WITHIN), |last_beat| last_beat.after(HUNG_AFTER));
        patience <= now
    }
}

/// The place of a worker; its worker may be replaced.
#[derive(Default)]
struct Post {
    worker: Option<Worker>,
    /// When the next one is started, if there is none.
    start_at: Tick,
    backoff: Backoff,
    /// Whether a worker of this post has ever been ready.
    is_proven: bool,
}

/// How all this ends.
struct Ending {
    code: u8,
    /// When the workers that are left are killed.
    by: Tick,
    /// Whether a signal has asked for it. A second signal ends the workers at once.
    is_asked_for: bool,
}

struct Supervisor {
    reactor: Reactor,
    signals: Registered<Signals>,
    launcher: Launcher,
    /// At first there is one post alone, until its worker has been ready: else each worker would print the same error.
    posts: Vec<Post>,
    /// The number of posts once a worker has been ready.
    workers: usize,
    time: Awake,
    /// When the beats are read next.
    look_at: Tick,
    /// Replacements in a row that have ended without ever having been ready.
    in_vain: u32,
    ending: Option<Ending>,
    /// How long the workers take to let their members go.
    drain_delay: Duration,
}

impl Supervisor {
    fn new(launcher: Launcher, config: &Config) -> io::Result<Self> {
        let reactor = Reactor::new()?;
        let signals = Registered::new(&reactor, Signals::open_with_children()?, SIGNALS_TOKEN, Interest::Read)?;
        let time = Awake::since(reactor.now().tick);
        let (posts, look_at) = (vec![Post::default()], Tick(0));
        let &Config { workers, drain_delay, .. } = config;
        Ok(Self { reactor, signals, launcher, posts, workers, time, look_at, in_vain: 0, ending: None, drain_delay })
    }

    fn run(mut self) -> io::Result<ExitCode> {
        let mut ready = Vec::new();
        loop {
            self.start_due();
            if let Some(code) = self.exit_code() {
                return Ok(code);
            }
            let deadline = self.time.deadline(self.next_due());
            let now = self.reactor.wait(Some(deadline), &mut ready)?;
            self.time.advance(now.tick);
            for ready in &ready {
                match ready.token {
                    SIGNALS_TOKEN => self.on_signals(),
                    Token(index) => self.read_beats(index),
                }
            }
            self.expire();
        }
    }

    /// The exit code, once no worker is left.
    fn exit_code(&self) -> Option<ExitCode> {
        let ending = self.ending.as_ref()?;
        self.posts.iter().all(|post| post.worker.is_none()).then(|| ExitCode::from(ending.code))
    }

    fn next_due(&self) -> Tick {
        let due = match &self.ending {
            Some(ending) => Some(ending.by),
            // A worker that becomes ready, or ends, makes room for the next.
            None if self.starting_count() >= STARTING_MAX => None,
            None => self.posts.iter().filter(|post| post.worker.is_none()).map(|post| post.start_at).min(),
        };
        due.map_or(self.look_at, |due| due.min(self.look_at))
    }

    fn on_signals(&mut self) {
        while let Some(signal) = self.signals.source().next() {
            if signal == sys::SIGCHLD {
                self.collect_ended();
                continue;
            }
            let is_again = self.ending.as_ref().is_some_and(|ending| ending.is_asked_for);
            log::info("signal", &[("number", signal.cast_unsigned().into()), ("again", is_again.into())]);
            if is_again {
                self.end_now();
            } else {
                self.end(0).is_asked_for = true;
            }
        }
    }

    /// Has all workers end, and starts no more. The first reason to end is the one that counts.
    fn end(&mut self, code: u8) -> &mut Ending {
        let workers = self.posts.iter().filter_map(|post| post.worker.as_ref());
        workers.for_each(|worker| worker.child.signal(sys::SIGTERM));
        let by = self.time.tick.after(self.drain_delay + STOP_WITHIN);
        self.ending.get_or_insert(Ending { code, by, is_asked_for: false })
    }

    /// Orders the workers to end at once. They announce their departure first; one that hangs is killed.
    fn end_now(&mut self) {
        self.posts.iter_mut().filter_map(|post| post.worker.as_mut()).for_each(|worker| worker.child.hang_up());
        if let Some(ending) = &mut self.ending {
            ending.by = ending.by.min(self.time.tick.after(STOP_NOW_WITHIN));
        }
    }

    fn kill_all(&mut self) {
        let mut killed = 0_u64;
        for worker in self.posts.iter_mut().filter_map(|post| post.worker.as_mut()) {
            worker.child.kill();
            killed += 1;
        }
        log::warn("workers_killed", &[("workers", killed.into())]);
        if let Some(ending) = &mut self.ending {
            ending.code = ending.code.max(1);
            ending.by = Tick(u64::MAX);
        }
    }

    fn expire(&mut self) {
        if self.look_at <= self.time.tick {
            self.look_at = self.time.tick.after(LOOK_EVERY);
            (0..self.posts.len()).for_each(|index| self.judge(index));
        }
        if self.ending.as_ref().is_some_and(|ending| ending.by <= self.time.tick) {
            self.kill_all();
        }
    }

    /// Kills a worker whose beat is overdue.
    fn judge(&mut self, index: usize) {
        // The beats of the time in which we slept are in the pipe.
        self.read_beats(index);
        let Some(worker) = &mut self.posts[index].worker else { return };
        if !worker.is_killed && self.ending.is_none() && worker.is_hung(self.time.tick) {
            log::warn("worker_hung", &[("pid", worker.child.id().into())]);
            worker.child.kill();
            worker.is_killed = true;
        }
    }

    /// Reads a worker's beats. The first one says that it is ready.
    fn read_beats(&mut self, index: usize) {
        let post = &mut self.posts[index];
        let Some(worker) = &mut post.worker else { return };
        if !worker.child.read_beats() || worker.last_beat.replace(self.time.tick).is_some() {
            return;
        }
        let pid = worker.child.id();
        log::info("worker_started", &[("pid", pid.into())]);
        // From now on one look a second is enough; otherwise each of a thousand beats would be a turn.
        if let Err(error) = worker.child.hush(&self.reactor, Token(index)) {
            log::warn("worker_not_hushed", &[("pid", pid.into()), ("error", Shown(&error))]);
        }
        post.is_proven = true;
        self.in_vain = 0;
        self.posts.resize_with(self.workers, Post::default);
    }

    fn collect_ended(&mut self) {
        for index in 0..self.posts.len() {
            let Some(worker) = &mut self.posts[index].worker else { continue };
            if let Some(status) = worker.child.try_wait() {
                // It may have become ready since its pipe was last read.
                self.read_beats(index);
                self.vacate(index, status);
            }
        }
    }

    /// Takes an ended worker from its post, and decides what follows.
    fn vacate(&mut self, index: usize, status: ExitStatus) {
        let Some(Worker { child, started, last_beat, .. }) = self.posts[index].worker.take() else { return };
        let pid = child.id();
        if self.ending.is_some() {
            log::info("worker_stopped", &[("pid", pid.into()), ("status", Shown(&status))]);
        } else if last_beat.is_some() || self.may_fail_again(index) {
            let lived = Duration::from_millis(self.time.tick.ms_since(started));
            let delay_ms = self.put_off(index, lived);
            log::warn(
                "worker_died",
                &[("pid", pid.into()), ("status", Shown(&status)), ("restart_in_ms", delay_ms.into())],
            );
        } else if let Some(code) = status.code() {
            // It has printed its error.
            self.end(u8::try_from(code).unwrap_or(1));
        } else {
            log::fatal(&format_args!("a worker ended before it was ready ({status})"));
            self.end(1);
        }
    }

    /// Counts a failed start, and returns whether another is worth trying.
    fn may_fail_again(&mut self, index: usize) -> bool {
        self.in_vain += 1;
        self.posts[index].is_proven && self.in_vain < IN_VAIN_MAX
    }

    /// Sets the time of the next start; returns the milliseconds until then.
    fn put_off(&mut self, index: usize, lived: Duration) -> u64 {
        let post = &mut self.posts[index];
        let delay = post.backoff.next(lived);
        post.start_at = self.time.tick.after(delay);
        u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)
    }

    /// The number of workers that are not ready yet.
    fn starting_count(&self) -> usize {
        self.posts.iter().filter(|post| post.worker.as_ref().is_some_and(|worker| worker.last_beat.is_none())).count()
    }

    fn start_due(&mut self) {
        let mut room = STARTING_MAX.saturating_sub(self.starting_count());
        for index in 0..self.posts.len() {
            let post = &self.posts[index];
            let is_due = post.worker.is_none() && post.start_at <= self.time.tick;
            if self.ending.is_none() && is_due && room > 0 {
                self.start(index);
                room -= 1;
            }
        }
    }

    fn start(&mut self, index: usize) {
        match Child::start(&self.reactor, Token(index), self.launcher.command()) {
            Ok(child) => {
                let started = self.time.tick;
                self.posts[index].worker = Some(Worker { child, started, last_beat: None, is_killed: false });
            }
            Err(error) if self.may_fail_again(index) => {
                let delay_ms = self.put_off(index, Duration::ZERO);
                log::warn("worker_not_started", &[("error", Shown(&error)), ("restart_in_ms", delay_ms.into())]);
            }
            Err(error) => {
                log::fatal(&format_args!("cannot start a worker: {error}"));
                self.end(1);
            }
        }
    }
}
