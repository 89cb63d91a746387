//! Several daemons of one audience, for a long time, with everything at once: members come and go, some without a word,
//! uuids are claimed and given up, storms of new events come, messages are sent, pages are read and events watched, daemons
//! are killed, stopped and replaced, datagrams get lost, the disk is full, keys and interfaces are made anew.
//!
//! Owns the course: rounds in which all that happens, each followed by a quiet point at which every number must be exact.
//! At every third one and at the end all members leave, after one more storm; then events must be forgotten and their
//! reports there, and descriptors, timers and memory back. It does not know how streams are held (`churn`, `visits`) nor how
//! daemons are kept (`nodes`, `run`).
//!
//! A seed decides what is done and when; the timing of the machine decides what meets what.
//!
//! | file | owns |
//! |---|---|
//! | `chance` | chance that comes out the same for the same seed |
//! | `check` | what must be true when it is quiet |
//! | `churn` | members that come and go by chance, with half heads among them |
//! | `claims` | uuids that are claimed and given up |
//! | `disk` | the disk of the daemons, which is full at times |
//! | `events` | the events, and which is visited next |
//! | `faults` | what befalls the audience, and when |
//! | `levels` | what daemons use while they have no members |
//! | `log` | the log of one daemon |
//! | `messages` | messages to the events, and their answers |
//! | `network` | a network of the soak's own, on which datagrams are lost |
//! | `nodes` | the daemons of the audience, and their faults |
//! | `outcome` | the figures of a run, and the line of progress |
//! | `pace` | how fast visits begin |
//! | `reports` | the reports of events, and the lives that they are of |
//! | `run` | one daemon from its start to its end |
//! | `scrapes` | readers of the pages of the stats ports |
//! | `secrets` | the keys of the network, and their replacement |
//! | `settings` | the options of the daemons |
//! | `sources` | the hosts and addresses that visitors come from |
//! | `surroundings` | disk, network and keys, and what befalls them |
//! | `tail` | what others append to a file |
//! | `visits` | the visitors of the audience |
//! | `watching` | streams that watch the events |

mod chance;
mod check;
mod churn;
mod claims;
mod disk;
mod events;
mod faults;
mod levels;
mod log;
mod messages;
mod network;
mod nodes;
mod outcome;
mod pace;
mod reports;
mod run;
mod scrapes;
mod secrets;
mod settings;
mod sources;
mod surroundings;
mod tail;
mod visits;
mod watching;

use std::fs::File;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use super::options::{SoakOptions, parts_for};
use super::poll::Poll;
use super::ports::free_port;
use super::report::list;
use super::{Result, now, say, unix_ns};
use chance::Chance;
use churn::Churn;
use faults::{Act, Fault};
use levels::Levels;
use messages::Messages;
use network::Network;
use nodes::{Nodes, Plan};
use reports::{Disturbance, Reports};
use scrapes::Scrapes;
use surroundings::Surroundings;
use watching::Watching;

/// How long a round is, from one quiet point to the next.
const ROUND: Duration = Duration::from_secs(20);

/// All members leave after each of this number of rounds.
const ROUNDS_TO_EMPTY: u64 = 3;

/// How long it may take until all numbers are right, once nothing happens any more: several node timeouts.
const SETTLE_MAX: Duration = Duration::from_secs(30);

/// The end of a run, which the last round leaves time for: the last storm, and a clean delay.
const ENDING: Duration = Duration::from_secs(10);

/// From one line of progress to the next.
const PROGRESS: Duration = Duration::from_mins(1);

/// How long they must then stay so: longer than announcements are repeated.
const SETTLED: Duration = Duration::from_secs(1);

/// The time between two looks at numbers that are not right yet.
const REST: Duration = Duration::from_millis(100);

/// The longest turn.
const TURN: Duration = Duration::from_millis(10);

/// Seeds that are drawn have up to six digits, so that a person can type them.
const SEEDS: u64 = 1_000_000;

/// Soaks, and returns what has happened as a table.
pub(super) fn measure(options: &SoakOptions) -> Result<String> {
    let seed = options.seed.unwrap_or_else(|| unix_ns() % SEEDS);
    if options.loss > 0 && !options.is_inside {
        options.program.find()?;
        let repeated = ["--inside".into(), "--seed".into(), seed.to_string().into()];
        let args: Vec<_> = std::env::args_os().skip(1).chain(repeated).collect();
        match Network::enter(&args)? {}
    }
    let SoakOptions { span, members, processes, loss, .. } = options;
    let seconds = span.as_secs_f64();
    let title = format!("seed={seed} duration={seconds}s members={members} daemons={processes} loss={loss}%");
    // Before the first thread.
    let poll = Poll::new()?;
    let network = if options.is_inside { Some(Network::build(*loss)?) } else { None };
    say(format_args!("{title}\n"));
    let mut soak = Soak::start(options, seed, poll, network).map_err(|error| format!("{error}; seed {seed}"))?;
    let soaked = soak.run();
    soaked.and_then(|()| outcome::figures(&soak)).map(|figures| list(&title, &figures)).map_err(|error| {
        let _ = soak.write_log(&format!("failed: {error}"));
        format!("{}: {error}{}; seed {seed}", outcome::label(&soak), outcome::closings(&soak)).into()
    })
}

struct Soak<'a> {
    options: &'a SoakOptions,
    seed: u64,
    churn: Churn,
    watching: Watching,
    scrapes: Scrapes,
    messages: Messages,
    nodes: Nodes,
    /// The daemons before the first join.
    before: Levels,
    passed_count: u64,
    /// The longest it took until all numbers were exact.
    slowest: Duration,
    start: Instant,
    round: u64,
    phase: &'static str,
    shown_at: Instant,
    /// When the last line of progress was written.
    written_at: Instant,
    /// The log of what is done, if it is kept.
    file: Option<File>,
    /// The daemons' disk: it goes after the daemons.
    surroundings: Surroundings,
}

impl<'a> Soak<'a> {
    fn start(options: &'a SoakOptions, seed: u64, poll: Poll, network: Option<Network>) -> Result<Self> {
        // Half heads, connections on their way and a storm come on top.
        if parts_for(2 * options.members)? > 1 {
            return Err("there are too few descriptors for a crowd of one process; raise `ulimit -n`".into());
        }
        let file = options.log.as_ref().map(|folder| {
            std::fs::create_dir_all(folder)
                .and_then(|()| File::create(folder.join("soak.log")))
                .map_err(|error| format!("cannot write to {}: {error}", folder.display()))
        });
        let port = free_port()?;
        let audience = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        let surroundings = Surroundings::new(network, Chance::new(seed, chance::KEYS))?;
        let hosts = surroundings.hosts();
        let plan = |index| {
            let host = settings::host_of(index, options.processes, hosts.len());
            Plan { host, options: settings::options(&surroundings, host, options.members, options.log.is_some()) }
        };
        let plans = (0..options.processes).map(plan).collect();
        let reports = Reports::new(surroundings.disk.path("reports"));
        let chance = Chance::new(seed, chance::CROWD);
        let churn = Churn::new(poll, options.members, audience, hosts.clone(), reports, chance);
        let folder = surroundings.disk.folder().to_owned();
        let nodes = Nodes::start(options.program.find()?, port, (hosts, plans), folder, options.log.clone())?;
        let start = now();
        Ok(Self {
            options,
            seed,
            churn,
            watching: Watching::new(Chance::new(seed, chance::WATCHERS)),
            scrapes: Scrapes::new(Chance::new(seed, chance::SCRAPES)),
            messages: Messages::new(Chance::new(seed, chance::MESSAGES)),
            nodes,
            before: Levels::default(),
            passed_count: 0,
            slowest: Duration::ZERO,
            start,
            round: 0,
            phase: "start",
            shown_at: start,
            written_at: start,
            file: file.transpose()?,
            surroundings,
        })
    }

    fn run(&mut self) -> Result<()> {
        // A daemon that does not get ready is an error of `tend`.
        while !self.nodes.are_up() {
            self.turn(REST)?;
        }
        // Daemons that have just met may have a stream between them, until multicast has passed for a while.
        while let Err(error) = self.await_right(&|soak| levels::find_unequal(&soak.nodes)) {
            (self.start.elapsed() < SETTLE_MAX).then_some(()).ok_or(error)?;
        }
        self.before = Levels::of(&self.nodes)?;
        self.start = now();
        loop {
            self.round += 1;
            self.phase = "churn";
            self.go_through_round()?;
            self.phase = "quiet";
            let settled = self.await_numbers()?;
            self.slowest = self.slowest.max(settled);
            let is_last = self.left().is_zero();
            if self.round.is_multiple_of(ROUNDS_TO_EMPTY) || is_last {
                self.empty()?;
            }
            if is_last {
                return Ok(());
            }
        }
    }

    /// How long rounds still go on. A short run is one round.
    fn left(&self) -> Duration {
        let span = self.options.span.checked_sub(ENDING).unwrap_or(self.options.span);
        span.saturating_sub(self.start.elapsed())
    }

    fn await_numbers(&mut self) -> Result<Duration> {
        let settled = self.await_right(&|soak| check::find_wrong(&soak.churn, &soak.nodes, &soak.watching))?;
        self.churn.reports.settle()?;
        Ok(settled)
    }

    /// A storm comes, and all leave. What there was of them must go.
    fn empty(&mut self) -> Result<()> {
        self.phase = "storm";
        self.churn.pace.begin_storm(self.options.members);
        self.churn.go_on();
        while !self.churn.pace.is_calm() {
            self.turn(TURN)?;
        }
        self.churn.pause();
        self.await_numbers()?;
        self.phase = "empty";
        self.watching.leave_all();
        self.scrapes.leave_all(&self.nodes);
        self.churn.leave_all();
        self.write_log("all leave")?;
        self.await_numbers()?;
        self.await_right(&|soak| check::find_remembered(&soak.nodes))?;
        self.await_right(&|soak| Ok(soak.churn.reports.find_missing()))?;
        self.await_right(&|soak| check::find_lost_report(&soak.nodes))?;
        self.churn.reports.close()?;
        self.await_right(&|soak| soak.before.find_timers(&soak.nodes))?;
        self.await_right(&|soak| soak.before.find_open(&soak.nodes))?;
        self.check_memory()
    }

    /// Everything happens, until all daemons are up again.
    fn go_through_round(&mut self) -> Result<()> {
        let span = self.left().min(ROUND);
        let mut planned = faults::draw(self.seed, self.round, self.options.processes, span);
        let begun = now();
        self.churn.go_on();
        loop {
            let since = now() - begun;
            let mut left = Vec::new();
            for next in planned {
                if next.at > since || !self.suffer(next.act)? {
                    left.push(next);
                    continue;
                }
                self.write_log(&format!("{:?}", next.act))?;
            }
            planned = left;
            self.messages.send(&self.nodes)?;
            self.watching.come_and_go(&self.nodes)?;
            self.scrapes.ask(&self.nodes)?;
            self.turn(TURN)?;
            let is_over = since >= span && planned.is_empty() && self.churn.pace.is_calm();
            if is_over && self.nodes.are_up() && self.surroundings.are_whole() {
                break;
            }
        }
        self.churn.pause();
        self.write_log("quiet")
    }

    /// Has something happen. Returns false if it has to wait.
    fn suffer(&mut self, act: Act) -> Result<bool> {
        match act {
            // What waits for the disk goes with a daemon that ends.
            Act::Daemon(_, Fault::Kill(_) | Fault::Restart(_)) if self.surroundings.is_disk_awaited() => {
                return Ok(false);
            }
            Act::FillDisk(_) if self.nodes.is_one_leaving() => return Ok(false),
            Act::Daemon(index, fault) => {
                let has_happened = self.nodes.suffer(index, fault)?;
                if has_happened {
                    let (what, long) = fault.disturbance();
                    self.churn.reports.disturb(what, now() + long);
                }
                return Ok(has_happened);
            }
            Act::Storm => self.churn.begin_long_storm(),
            // One that starts ends if it finds no interface.
            Act::CutCable(_) if self.nodes.is_one_starting() => return Ok(false),
            Act::CutCable(long) if self.surroundings.network.is_some() => {
                self.churn.reports.disturb(Disturbance::Cut, now() + long);
            }
            Act::FillDisk(_) | Act::CutCable(_) | Act::ReplaceKeys => {}
        }
        self.surroundings.suffer(act)
    }

    fn turn(&mut self, wait: Duration) -> Result<()> {
        if self.churn.turn(wait)? {
            self.nodes.record_look();
        }
        self.surroundings.tend()?;
        self.nodes.may_start = self.surroundings.is_connected();
        self.nodes.tend()?;
        self.churn.reports.tend()?;
        self.messages.receive_answers(&self.nodes)?;
        let lost = [self.churn.take_lost(), self.watching.receive(), self.scrapes.receive(&self.nodes)?];
        self.churn.set_stopped(self.nodes.is_one_stopped());
        self.churn.sources.set_serving(|host| self.nodes.serve(host));
        if let Some(what) = lost.into_iter().flatten().next()
            && !self.nodes.are_ending()
        {
            return Err(format!("{what}, and no daemon has").into());
        }
        outcome::show(self);
        Ok(())
    }

    /// Waits until nothing is wrong any more, and checks that it stays so. Returns how long it took.
    fn await_right(&mut self, find: &dyn Fn(&Self) -> Result<Option<String>>) -> Result<Duration> {
        let begun = now();
        let give_up = begun + SETTLE_MAX;
        while let Some(wrong) = find(self)? {
            if now() > give_up {
                return Err(format!("{wrong}, {} s after all was quiet", SETTLE_MAX.as_secs()).into());
            }
            self.listen(REST)?;
        }
        let settled = now() - begun;
        self.write_log("right")?;
        self.listen(SETTLED)?;
        if let Some(wrong) = find(self)? {
            return Err(format!("{wrong}, after it was right").into());
        }
        self.passed_count += 1;
        Ok(settled)
    }

    fn listen(&mut self, duration: Duration) -> Result<()> {
        let end = now() + duration;
        while let Some(left) = end.checked_duration_since(now()).filter(|left| !left.is_zero()) {
            self.turn(left)?;
        }
        Ok(())
    }

    fn check_memory(&mut self) -> Result<()> {
        let grown = self.nodes.record_empty(self.before.bytes + levels::KEPT_MAX)?;
        let log =
            self.options.log.is_none().then(|| levels::find_long_log(&self.nodes, self.start.elapsed())).flatten();
        if let Some(wrong) = grown.or(log) {
            return Err(wrong.into());
        }
        self.passed_count += 1;
        self.write_log(&format!("memory of the first daemon, first and last: {:?}", self.nodes.empty_bytes()))
    }

    /// Writes what is done to the log.
    fn write_log(&mut self, what: &str) -> Result<()> {
        let since_start = self.start.elapsed().as_secs_f64();
        if let Some(file) = &mut self.file {
            writeln!(file, "{since_start:.3} {what}, round {}, {} members", self.round, self.churn.member_count())?;
        }
        Ok(())
    }
}
