//! `-w N`: starts N copies of this program and sees to it that there are N that serve.
//!
//! Owns the worker processes: their start, the end of each, and the end of all. It judges a worker by two things: whether
//! the process exists, and whether it beats each second through the channel that is its standard input. It does not
//! know what the workers serve; they find each other without it.
//!
//! What was good at the start is not judged anew when a worker is replaced. The sockets of each post are bound once, of a name
//! that is not found any more the last addresses are handed on, and of a secret that cannot be read any more the last content. Once a worker has
//! served, the supervisor never gives up: it has a reason to end only while there is none that ever did.
//!
//! Time here is time in which this process was awake. A machine or a supervisor that was suspended has received no beat
//! while it slept, and that says nothing about the workers.
//!
//! | file | owns |
//! |---|---|
//! | `launcher` | how a worker is started |
//! | `child` | a child process, and the channel that its beats come through |
//! | `post` | the place of a worker: its sockets, and when the next one starts |
//! | `time` | time awake, and how long to wait |
//!
//! Invariant: no worker outlives the supervisor. It returns when all are gone; if it is killed, the kernel signals them.

mod child;
mod launcher;
mod post;
mod time;

use std::error::Error;
use std::io;
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

use crate::collections::tick::Tick;
use crate::config::{Config, Secrets, WORKERS_MAX};
use crate::log::{self, Value::Shown};
use crate::reactor::sys::{self, Signals};
use crate::reactor::{Interest, Reactor, Registered, Token};
use crate::reports::ReportFile;
use crate::server::Names;
use crate::service::ServiceManager;
use crate::wire::handover::{self, Frame, Served, Supervision};
use child::Child;
use launcher::Launcher;
use post::{Post, PostSockets, Worker};
use time::Awake;

/// The interval at which the workers' beats are read.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Most workers that start at once. Each start takes some milliseconds of CPU from the workers that already serve.
const STARTING_MAX: usize = 16;

/// How often the log says that workers get no processor.
const STARVED_LOG_GAP: Duration = Duration::from_secs(10);

/// How long all workers may take to end once their members have been let go. Each takes a second for its last words.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// How long the workers may take when they end at once. They notice within a twentieth of it.
const STOP_NOW_WITHIN: Duration = Duration::from_secs(1);

/// Posts have the tokens below.
const SIGNALS_TOKEN: Token = Token(WORKERS_MAX);
const NAMES_TOKEN: Token = Token(WORKERS_MAX + 1);

/// Serves with the number of workers that the settings ask for, until a signal stops it. While none has ever served, the
/// first failure ends it.
///
/// # Errors
/// What keeps this process itself from working, or the settings from being right.
pub fn run(config: &mut Config) -> Result<ExitCode, Box<dyn Error>> {
    sys::raise_descriptor_limit()?;
    let launcher = Launcher::new(config)?;
    let secrets = Secrets::read(config)?;
    // A worker warns of it; at the start it is an error.
    config.accounts.report_file.as_deref().map(|path| ReportFile::open(path, false)).transpose()?;
    Ok(Supervisor::new(launcher, config, secrets)?.run()?)
}

/// How all this ends.
struct Ending {
    code: u8,
    /// When the workers that are left are killed.
    by: Tick,
    /// Whether a signal has asked for it. A second signal ends the workers at once.
    is_asked_for: bool,
}

struct Supervisor<'a> {
    config: &'a mut Config,
    secrets: Secrets,
    /// The names of other hosts: a worker that starts while no name server answers gets the addresses that were found last.
    names: Names,
    reactor: Reactor,
    signals: Registered<Signals>,
    launcher: Launcher,
    /// Who has started this process, if it wants to know how the service is.
    manager: Option<ServiceManager>,
    /// At first there is one post alone, until its worker has been ready: else each worker would have the same error.
    posts: Vec<Post>,
    /// Whether a worker has ever been ready.
    has_served: bool,
    time: Awake,
    /// When the beats are read next.
    look_at: Tick,
    /// The workers that were started in the place of others, and the posts without a worker that serves, as last sent.
    figures: Supervision,
    restarts: u64,
    /// When a worker without a processor was logged last.
    starved_at: Option<Tick>,
    ending: Option<Ending>,
}

impl<'a> Supervisor<'a> {
    fn new(launcher: Launcher, config: &'a mut Config, secrets: Secrets) -> io::Result<Self> {
        let reactor = Reactor::new()?;
        let signals = Registered::new(&reactor, Signals::open_with_children()?, SIGNALS_TOKEN, Interest::Read)?;
        let time = Awake::since(reactor.now().tick);
        Ok(Self {
            names: Names::of(config, NAMES_TOKEN, time.tick),
            config,
            secrets,
            reactor,
            signals,
            launcher,
            manager: ServiceManager::find(),
            posts: vec![Post::default()],
            has_served: false,
            time,
            look_at: Tick(0),
            figures: Supervision::default(),
            restarts: 0,
            starved_at: None,
            ending: None,
        })
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
                    NAMES_TOKEN => {}
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
        let said_at = self.manager.as_ref().map(ServiceManager::next_deadline);
        [due, self.names.next_deadline(), said_at].into_iter().flatten().fold(self.look_at, Tick::min)
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
        if let Some(manager) = self.manager.as_mut().filter(|_| self.ending.is_none()) {
            manager.stopping();
        }
        let workers = self.posts.iter().filter_map(|post| post.worker.as_ref());
        workers.for_each(|worker| worker.child.signal(sys::SIGTERM));
        let by = self.time.tick.after(self.config.drain_delay + STOP_WITHIN);
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
        if let Some(name) = self.names.advance(&self.reactor, self.time.tick) {
            self.config.set_addresses(&name, self.names.addresses(&name));
        }
        if self.look_at <= self.time.tick {
            self.look_at = self.time.tick.after(LOOK_EVERY);
            (0..self.posts.len()).for_each(|index| self.judge(index));
            self.send_figures();
        }
        if let Some(manager) = self.manager.as_mut().filter(|_| self.has_served) {
            let served = || Self::served(&self.posts);
            manager.advance(served, self.time.tick);
        }
        if self.ending.as_ref().is_some_and(|ending| ending.by <= self.time.tick) {
            self.kill_all();
        }
    }

    /// The audience of the workers. Each knows of all members; one that has just begun knows less.
    fn served(posts: &[Post]) -> Served {
        let workers = posts.iter().filter_map(|post| post.worker.as_ref());
        let served = workers.map(|worker| worker.child.served());
        served.max_by_key(|served| (served.nodes, served.members)).unwrap_or_default()
    }

    /// Kills a worker whose beat is overdue.
    fn judge(&mut self, index: usize) {
        // The beats of the time in which we slept are in the channel.
        self.read_beats(index);
        let Some(worker) = &mut self.posts[index].worker else { return };
        if worker.is_killed || self.ending.is_some() || !worker.is_hung(self.time.tick) {
            return;
        }
        let pid = worker.child.id();
        if worker.is_starved() {
            if self.starved_at.is_none_or(|at| at.after(STARVED_LOG_GAP) <= self.time.tick) {
                self.starved_at = Some(self.time.tick);
                log::warn("worker_starved", &[("pid", pid.into())]);
            }
            return;
        }
        log::warn("worker_hung", &[("pid", pid.into())]);
        worker.child.kill();
        worker.is_killed = true;
    }

    /// Reads a worker's beats. The first one says that it is ready.
    fn read_beats(&mut self, index: usize) {
        let post = &mut self.posts[index];
        let Some(worker) = &mut post.worker else { return };
        if !worker.child.read_beats() || !worker.record_beat(self.time.tick) {
            return;
        }
        let pid = worker.child.id();
        log::info("worker_started", &[("pid", pid.into())]);
        // From now on one look a second is enough; otherwise each of a thousand beats would be a turn.
        if let Err(error) = worker.child.hush(&self.reactor, Token(index)) {
            log::warn("worker_not_hushed", &[("pid", pid.into()), ("error", Shown(&error))]);
        }
        if !std::mem::replace(&mut self.has_served, true)
            && let Some(manager) = &mut self.manager
        {
            manager.ready();
        }
        self.posts.resize_with(self.config.workers, Post::default);
    }

    /// Sends all workers the figures of the supervisor, if they have changed: with each look, so at most once a second.
    fn send_figures(&mut self) {
        let serving = self.posts.iter().filter(|post| post.is_served()).count();
        let posts_empty = self.config.workers.saturating_sub(serving) as u64;
        let figures = Supervision { restarts: self.restarts, posts_empty };
        if figures == self.figures {
            return;
        }
        self.figures = figures;
        let mut frame = Vec::new();
        handover::push(&mut frame, &Frame::Figures(figures));
        self.posts.iter().filter_map(|post| post.worker.as_ref()).for_each(|worker| worker.child.send(&frame));
    }

    fn collect_ended(&mut self) {
        for index in 0..self.posts.len() {
            let Some(worker) = &mut self.posts[index].worker else { continue };
            if let Some(status) = worker.child.try_wait() {
                // It may have become ready since its channel was last read, or have said why it ends.
                self.read_beats(index);
                self.vacate(index, status);
            }
        }
    }

    /// Takes an ended worker from its post, and decides what follows.
    fn vacate(&mut self, index: usize, status: ExitStatus) {
        let Some(Worker { child, started, .. }) = self.posts[index].worker.take() else { return };
        let pid = child.id();
        if self.ending.is_some() {
            log::info("worker_stopped", &[("pid", pid.into()), ("status", Shown(&status))]);
            return;
        }
        if !self.has_served {
            let code = status.code().and_then(|code| u8::try_from(code).ok());
            match child.error() {
                Some(error) => log::fatal(&error),
                // One that has a code has printed its error.
                None if code.is_some() => {}
                None => log::fatal(&format_args!("a worker ended before it was ready ({status})")),
            }
            self.end(code.unwrap_or(1));
            return;
        }
        let lived = Duration::from_millis(self.time.tick.ms_since(started));
        let delay_ms = self.posts[index].put_off(lived, self.time.tick);
        let fields = [
            ("pid", pid.into()),
            ("status", Shown(&status)),
            ("restart_in_ms", delay_ms.into()),
            ("error", child.error().unwrap_or_default().into()),
        ];
        log::warn("worker_died", &fields[..3 + usize::from(child.error().is_some())]);
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
        match self.try_to_start(index) {
            Ok(child) => {
                let post = &mut self.posts[index];
                self.restarts += u64::from(std::mem::replace(&mut post.is_used, true));
                post.worker = Some(Worker::new(child, self.time.tick));
            }
            Err(error) if self.has_served => {
                let delay_ms = self.posts[index].put_off(Duration::ZERO, self.time.tick);
                log::warn("worker_not_started", &[("error", Shown(&error)), ("restart_in_ms", delay_ms.into())]);
            }
            Err(error) => {
                log::fatal(&self.config.rename(&error.to_string()));
                self.end(1);
            }
        }
    }

    fn try_to_start(&mut self, index: usize) -> Result<Child, Box<dyn Error>> {
        let sockets = match &mut self.posts[index].sockets {
            Some(sockets) => sockets,
            none => none.insert(PostSockets::open(self.config, self.launcher.port)?),
        };
        let mut handed_on = Vec::new();
        sockets.push(&mut handed_on);
        if self.has_served {
            self.secrets.reread(self.config);
        }
        self.secrets.push(&mut handed_on);
        self.config.push_peers(&mut handed_on);
        handover::push(&mut handed_on, &Frame::Figures(self.figures));
        handover::push(&mut handed_on, &Frame::Begin(self.has_served));
        sockets.set_inherited(true)?;
        let child = Child::start(&self.reactor, Token(index), self.launcher.command(), &handed_on);
        sockets.set_inherited(false)?;
        child.map_err(|error| format!("cannot start a worker: {error}").into())
    }
}
