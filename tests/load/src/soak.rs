//! Several daemons of one audience, for a long time, with everything at once: members come and go, some without a word,
//! uuids are claimed anew, messages are sent, daemons are killed, stopped and replaced, and datagrams get lost.
//!
//! Owns the course: rounds in which all that happens, each followed by a quiet point at which every number must be exact.
//! At every third one and at the end all members leave; then events must be forgotten, and descriptors and memory back. It
//! does not know how streams are held (`churn`, `visits`) nor how daemons are kept (`nodes`, `run`).
//!
//! A seed repeats a run as far as a real system allows. It decides what is done and when; the timing of the machine decides
//! what meets what.
//!
//! | file | owns |
//! |---|---|
//! | `chance` | chance that comes out the same for the same seed |
//! | `check` | what must be true when it is quiet |
//! | `churn` | members that come and go by chance, with half heads among them |
//! | `faults` | the faults of the daemons, and when they happen |
//! | `messages` | messages to the events, and their answers |
//! | `network` | a network of the soak's own, on which datagrams are lost |
//! | `nodes` | the daemons of the audience, and their faults |
//! | `run` | one daemon from its start to its end |
//! | `visits` | the visitors of the audience |

mod chance;
mod check;
mod churn;
mod faults;
mod messages;
mod network;
mod nodes;
mod run;
mod visits;

use std::fs::File;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use super::daemon::free_port;
use super::figures::Figure;
use super::options::{SoakOptions, parts_for};
use super::report::list;
use super::{Result, now, progress, say, unix_ns};
use chance::Chance;
use churn::Churn;
use messages::Messages;
use network::Network;
use nodes::Nodes;

/// How long a round is, from one quiet point to the next.
const ROUND: Duration = Duration::from_secs(20);

/// All members leave after each of this number of rounds.
const ROUNDS_TO_EMPTY: u64 = 3;

/// How long it may take until all numbers are right, once nothing happens any more: several node timeouts.
const SETTLE_MAX: Duration = Duration::from_secs(30);

/// How long they must then stay so: longer than announcements are repeated.
const SETTLED: Duration = Duration::from_secs(1);

/// The time between two looks at numbers that are not right yet.
const REST: Duration = Duration::from_millis(100);

/// The longest turn, for something else may be due.
const TURN: Duration = Duration::from_millis(10);

/// Seeds that are drawn have up to six digits, so that a person can type them.
const SEEDS: u64 = 1_000_000;

/// The sequences of chance beside those of the rounds, which count from 1.
const CROWD: u64 = u64::MAX;
const MESSAGES: u64 = u64::MAX - 1;

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
    let title = format!("seed={seed} minutes={} members={members} daemons={processes} loss={loss}%", minutes(*span));
    let network = if options.is_inside { Some(Network::lose(*loss)?) } else { None };
    say(format_args!("{title}\n"));
    let mut soak = Soak::start(options, seed, network).map_err(|error| format!("{error}; seed {seed}"))?;
    let soaked = soak.run();
    soaked.and_then(|()| soak.figures()).map(|figures| list(&title, &figures)).map_err(|error| {
        let _ = soak.write_log(&format!("failed: {error}"));
        format!("{}: {error}; seed {seed}", soak.label()).into()
    })
}

/// The daemons before the first join.
struct Before {
    /// Of each daemon: all have the same number.
    descriptors: u64,
    /// Of the first daemon.
    bytes: u64,
}

struct Soak<'a> {
    options: &'a SoakOptions,
    seed: u64,
    network: Option<Network>,
    churn: Churn,
    nodes: Nodes,
    before: Before,
    messages: Messages,
    passed_count: u64,
    /// The longest it took until all numbers were exact.
    slowest: Duration,
    start: Instant,
    round: u64,
    phase: &'static str,
    shown_at: Instant,
    /// The log of what is done, if it is kept.
    file: Option<File>,
}

impl<'a> Soak<'a> {
    fn start(options: &'a SoakOptions, seed: u64, network: Option<Network>) -> Result<Self> {
        // Half heads and connections on their way come on top.
        if parts_for(options.members + options.members / 4)? > 1 {
            return Err("there are too few descriptors for a crowd of one process; raise `ulimit -n`".into());
        }
        let file = options.log.as_ref().map(|folder| {
            std::fs::create_dir_all(folder)
                .and_then(|()| File::create(folder.join("soak.log")))
                .map_err(|error| format!("cannot write to {}: {error}", folder.display()))
        });
        let port = free_port()?;
        let audience = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        let churn = Churn::new(options.members, audience, Chance::new(seed, CROWD))?;
        let nodes = Nodes::start(options.program.find()?, options.processes, port, options.log.clone())?;
        let start = now();
        Ok(Self {
            options,
            seed,
            network,
            churn,
            nodes,
            before: Before { descriptors: 0, bytes: 0 },
            messages: Messages::new(Chance::new(seed, MESSAGES)),
            passed_count: 0,
            slowest: Duration::ZERO,
            start,
            round: 0,
            phase: "start",
            shown_at: start,
            file: file.transpose()?,
        })
    }

    fn run(&mut self) -> Result<()> {
        self.await_up()?;
        // Daemons that have just met may have a stream between them, until multicast has passed for a while.
        self.await_right(&|soak| check::find_open(&soak.nodes, soak.look_around()?.descriptors))?;
        self.before = self.look_around()?;
        self.start = now();
        while self.start.elapsed() < self.options.span {
            self.round += 1;
            self.phase = "churn";
            self.go_through_round()?;
            self.phase = "quiet";
            let settled = self.await_right(&|soak| check::find_wrong(&soak.churn, &soak.nodes))?;
            self.slowest = self.slowest.max(settled);
            if self.round.is_multiple_of(ROUNDS_TO_EMPTY) || self.start.elapsed() >= self.options.span {
                self.phase = "empty";
                self.churn.leave_all();
                self.write_log("all leave")?;
                self.await_right(&|soak| check::find_wrong(&soak.churn, &soak.nodes))?;
                self.await_right(&|soak| check::find_remembered(&soak.nodes))?;
                self.await_right(&|soak| check::find_open(&soak.nodes, soak.before.descriptors))?;
                self.check_memory()?;
            }
        }
        Ok(())
    }

    /// Everything happens, until all daemons are up again.
    fn go_through_round(&mut self) -> Result<()> {
        let span = self.options.span.saturating_sub(self.start.elapsed()).min(ROUND);
        let mut faults = faults::draw(self.seed, self.round, self.options.processes, span);
        let begun = now();
        self.churn.go_on();
        loop {
            let since = now() - begun;
            let mut left = Vec::new();
            for planned in faults {
                if planned.at > since || !self.nodes.suffer(planned.daemon, planned.fault)? {
                    left.push(planned);
                    continue;
                }
                self.write_log(&format!("daemon {}: {:?}", planned.daemon + 1, planned.fault))?;
            }
            faults = left;
            self.messages.send(&self.nodes)?;
            self.turn(TURN)?;
            if since >= span && faults.is_empty() && self.nodes.are_up() {
                break;
            }
        }
        self.churn.pause();
        self.write_log("quiet")
    }

    fn turn(&mut self, wait: Duration) -> Result<()> {
        if self.churn.turn(wait)? {
            self.nodes.record_look();
        }
        self.nodes.tend()?;
        self.messages.receive_answers(&self.nodes)?;
        self.churn.set_stopped(self.nodes.is_one_stopped());
        if let Some(what) = self.churn.take_lost()
            && !self.nodes.are_ending()
        {
            return Err(format!("{what}, and no daemon has").into());
        }
        if now() - self.shown_at > REST {
            self.shown_at = now();
            let members = self.churn.member_count();
            progress(&format!("{}: {members} members, {} daemons up", self.label(), self.nodes.up().count()));
        }
        Ok(())
    }

    fn await_up(&mut self) -> Result<()> {
        // A daemon that does not get ready is an error of `tend`.
        while !self.nodes.are_up() {
            self.turn(REST)?;
        }
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
        let members = self.options.members;
        if let Some(grown) = self.nodes.record_empty(|before, after| check::has_grown(before, after, members))? {
            return Err(grown.into());
        }
        self.passed_count += 1;
        let last = self.nodes.empty_bytes().map_or(0, |(_, last)| last);
        self.write_log(&format!("the first daemon has {last} B"))
    }

    /// The daemons as they are now: the fewest descriptors of one, and the memory of the first.
    fn look_around(&self) -> Result<Before> {
        let descriptors = self.nodes.processes().map(|(_, process)| process.descriptor_count());
        let descriptors = descriptors.collect::<Result<Vec<u64>>>()?;
        let bytes = self.nodes.processes().next().map(|(_, process)| process.anonymous_bytes()).transpose()?;
        let (descriptors, bytes) = descriptors.into_iter().min().zip(bytes).ok_or("no daemon is up")?;
        Ok(Before { descriptors, bytes })
    }

    fn figures(&self) -> Result<Vec<Figure>> {
        progress("");
        let number = |name, number| Figure::number(name, Some(number));
        let bytes = |name, bytes| Figure::bytes(name, bytes, 1);
        let (happened, befallen) = (&self.churn.happened, &self.nodes.befallen);
        let last = self
            .nodes
            .processes()
            .map(|(_, process)| process.descriptor_count())
            .max_by_key(|open| open.as_ref().ok().copied());
        Ok(vec![
            number("seconds", self.start.elapsed().as_secs()),
            number("joins", happened.joins),
            number("leaves", happened.leaves),
            number("resets", happened.resets),
            number("half heads", happened.halves),
            number("members whose uuid was claimed anew", happened.dismissed),
            number("streams and connections that ended with their daemon", happened.cut),
            number("daemons killed", befallen.kills),
            number("daemons stopped for longer than the node timeout", befallen.stops),
            number("daemons restarted", befallen.restarts),
            number("warnings that daemons logged", self.nodes.warnings()),
            Figure::number("datagrams lost", self.network.as_ref().map(Network::lost).transpose()?),
            number("messages sent", self.messages.sent_count),
            number("messages delivered", self.messages.delivered_count),
            number("messages received", self.churn.received.messages),
            number("counts received", self.churn.received.firsts + self.churn.received.counts),
            number("checks passed", self.passed_count),
            Figure::time("all numbers exact after, at most", Some(self.slowest)),
            bytes("user-space memory of the first daemon: at its start", Some(self.before.bytes)),
            bytes("without members for the first time", self.nodes.empty_bytes().map(|(first, _)| first)),
            bytes("without members in the end", self.nodes.empty_bytes().map(|(_, last)| last)),
            number("descriptors of a daemon: at its start", self.before.descriptors),
            Figure::number("in the end, the most", last.transpose()?),
        ])
    }

    /// The place in the run.
    fn label(&self) -> String {
        format!("{} s, round {}, {}", self.start.elapsed().as_secs(), self.round, self.phase)
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

fn minutes(span: Duration) -> f64 {
    span.as_secs_f64() / 60.0
}
