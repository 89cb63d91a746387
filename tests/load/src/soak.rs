//! Several daemons that are one audience, for a long time, with everything at once: members come and go, some without a
//! word, uuids are claimed anew, messages are sent, daemons are killed, stopped and replaced, and datagrams get lost.
//!
//! Owns the course: rounds in which all that happens, each followed by a quiet point at which every number has to be
//! exact; at every third one and at the end everybody leaves, events have to be forgotten, and descriptors and memory to
//! be back. It does not know how streams are held (`churn`) nor how daemons are kept (`nodes`).
//!
//! A run is repeated by its seed, as far as a real system allows: what is done and when comes from it, what meets what
//! does not.

mod check;
mod churn;
mod faults;
mod network;
mod nodes;
mod random;
mod run;

use std::fs::File;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use super::daemon::{Notified, free_port};
use super::options::{SoakOptions, parts_for};
use super::report::{Figure, list};
use super::{Result, now, progress, say};
use churn::{Churn, EVENTS};
use network::Network;
use nodes::Nodes;
use random::Random;

/// How long things happen between two quiet points.
const ROUND: Duration = Duration::from_secs(20);

/// After so many rounds everybody leaves.
const ROUNDS_TO_EMPTY: u64 = 3;

/// How long it may take until all is as it has to be, once nothing happens any more: several node timeouts.
const SETTLE_MAX: Duration = Duration::from_secs(30);

/// How long it then has to stay so: longer than what was told is told again.
const SETTLED: Duration = Duration::from_secs(1);

/// The time between two looks at numbers that are not right yet.
const REST: Duration = Duration::from_millis(100);

/// A turn ends after this, for something else may be due.
const TURN: Duration = Duration::from_millis(10);

/// The time between two messages.
const MESSAGE_GAP: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(350));

/// The sequences of chance that are not a round's, whose are counted from 1.
const CROWD: u64 = u64::MAX;
const MESSAGES: u64 = u64::MAX - 1;

/// What has come of it, as a table.
pub(super) fn measure(options: &SoakOptions) -> Result<String> {
    if options.loss > 0 && !options.is_inside {
        let inside = Network::enter(&options.args())?;
        match inside {}
    }
    let SoakOptions { span, members, processes, loss, seed, .. } = options;
    let title = format!("seed={seed} minutes={} members={members} daemons={processes} loss={loss}%", minutes(*span));
    let network = if options.is_inside { Some(Network::lose(*loss)?) } else { None };
    say(format_args!("{title}\n"));
    let mut soak = Soak::start(options, network).map_err(|error| format!("{error}; seed {seed}"))?;
    let soaked = soak.run();
    soaked.and_then(|()| soak.figures()).map(|figures| list(&title, &figures)).map_err(|error| {
        let _ = soak.note(&format!("failed: {error}"));
        format!("{}: {error}; seed {seed}", soak.label()).into()
    })
}

/// What there was at the beginning, before anybody joined.
struct Before {
    /// Of each daemon, for all have the same.
    descriptors: u64,
    /// Of the first daemon.
    bytes: u64,
}

struct Soak<'a> {
    options: &'a SoakOptions,
    network: Option<Network>,
    churn: Churn,
    nodes: Nodes,
    before: Before,
    messages: Random,
    message_at: Instant,
    sent: u64,
    passed: u64,
    /// The longest it took until all numbers were exact.
    slowest: Duration,
    start: Instant,
    round: u64,
    phase: &'static str,
    shown_at: Instant,
    /// Where what is done is written down, if it is.
    file: Option<File>,
}

impl<'a> Soak<'a> {
    fn start(options: &'a SoakOptions, network: Option<Network>) -> Result<Self> {
        // Half heads and what is on its way come on top.
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
        let churn = Churn::new(options.members, audience, Random::new(options.seed, CROWD))?;
        let nodes = Nodes::start(options.processes, port, options.log.clone())?;
        let start = now();
        Ok(Self {
            options,
            network,
            churn,
            nodes,
            before: Before { descriptors: 0, bytes: 0 },
            messages: Random::new(options.seed, MESSAGES),
            message_at: start,
            sent: 0,
            passed: 0,
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
        self.before = self.look_around()?;
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
                self.note("all leave")?;
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
        let mut faults = faults::draw(self.options.seed, self.round, self.options.processes, span);
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
                self.note(&format!("daemon {}: {:?}", planned.daemon + 1, planned.fault))?;
            }
            faults = left;
            self.send_message()?;
            self.turn(TURN)?;
            if since >= span && faults.is_empty() && self.nodes.are_up() {
                break;
            }
        }
        self.churn.pause();
        self.note("quiet")
    }

    /// Sends a message to an event, if it is time for one, by way of a daemon that serves.
    fn send_message(&mut self) -> Result<()> {
        let moment = now();
        if moment < self.message_at {
            return Ok(());
        }
        self.message_at = moment + self.messages.between(MESSAGE_GAP.0, MESSAGE_GAP.1);
        let up = self.nodes.up().count();
        if up > 0
            && let Some((number, daemon)) = self.nodes.up().nth(self.messages.below(up))
        {
            let event = churn::name(self.messages.below(EVENTS));
            let taken = daemon.notify(&event, &self.sent.to_string()).and_then(Notified::confirm);
            taken.map_err(|error| format!("daemon {number} does not take a message to {event}: {error}"))?;
            self.sent += 1;
        }
        Ok(())
    }

    fn turn(&mut self, wait: Duration) -> Result<()> {
        self.churn.turn(wait)?;
        self.nodes.tend()?;
        self.churn.note_stopped(self.nodes.is_one_stopped());
        if let Some(what) = self.churn.take_lost()
            && !self.nodes.are_ending()
        {
            return Err(format!("{what}, and no daemon has").into());
        }
        if now() - self.shown_at > REST {
            self.shown_at = now();
            let members = self.churn.members();
            progress(&format!("{}: {members} members, {} daemons up", self.label(), self.nodes.up().count()));
        }
        Ok(())
    }

    fn await_up(&mut self) -> Result<()> {
        // Who does not get ready is found out by the daemons' keeper.
        while !self.nodes.are_up() {
            self.turn(REST)?;
        }
        Ok(())
    }

    /// Waits until nothing is wrong any more, and sees that it stays so. Returns how long it took.
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
        self.note("right")?;
        self.listen(SETTLED)?;
        if let Some(wrong) = find(self)? {
            return Err(format!("{wrong}, after it was right").into());
        }
        self.passed += 1;
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
        if let Some(grown) = self.nodes.note_empty(|before, after| check::has_grown(before, after, members))? {
            return Err(grown.into());
        }
        self.passed += 1;
        let last = self.nodes.empty_bytes().map_or(0, |(_, last)| last);
        self.note(&format!("the first daemon has {last} B"))
    }

    /// What there is before anybody has joined.
    fn look_around(&self) -> Result<Before> {
        let descriptors = self.nodes.processes().map(|(_, process)| process.descriptors());
        let descriptors = descriptors.collect::<Result<Vec<u64>>>()?;
        if descriptors.iter().any(|open| Some(open) != descriptors.first()) {
            return Err(format!("the daemons start with different numbers of descriptors: {descriptors:?}").into());
        }
        let bytes = self.nodes.processes().next().map(|(_, process)| process.anonymous_bytes()).transpose()?;
        let (descriptors, bytes) = descriptors.first().copied().zip(bytes).ok_or("no daemon is up")?;
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
            .map(|(_, process)| process.descriptors())
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
            number("messages sent", self.sent),
            number("messages heard", self.churn.heard.messages),
            number("counts heard", self.churn.heard.firsts + self.churn.heard.counts),
            number("checks passed", self.passed),
            Figure::time("all numbers exact after, at most", Some(self.slowest)),
            bytes("user-space memory of the first daemon: at its start", Some(self.before.bytes)),
            bytes("with nobody there for the first time", self.nodes.empty_bytes().map(|(first, _)| first)),
            bytes("with nobody there in the end", self.nodes.empty_bytes().map(|(_, last)| last)),
            number("descriptors of a daemon: at its start", self.before.descriptors),
            Figure::number("in the end, the most", last.transpose()?),
        ])
    }

    /// Where in the run this is.
    fn label(&self) -> String {
        format!("{} s, round {}, {}", self.start.elapsed().as_secs(), self.round, self.phase)
    }

    /// Writes down what is done.
    fn note(&mut self, what: &str) -> Result<()> {
        let since_start = self.start.elapsed().as_secs_f64();
        if let Some(file) = &mut self.file {
            writeln!(file, "{since_start:.3} {what}, round {}, {} members", self.round, self.churn.members())?;
        }
        Ok(())
    }
}

fn minutes(span: Duration) -> f64 {
    span.as_secs_f64() / 60.0
}
