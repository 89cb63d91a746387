//! What several daemons of one audience spend on each other, and how soon they know of changes.
//!
//! Owns the course of a cluster's round: names that are quiet, a newcomer that learns them, names that all change, and a
//! join in a small audience. Each round has daemons of its own, on ports of their own. The kernel picks the daemon of each
//! join; the figures are those of the busiest daemon.
//!
//! After each step the stats of all daemons must agree with the books here, or the run is over.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use super::crowd::Crowd;
use super::daemon::{Daemon, Program};
use super::figures::{Figure, Times};
use super::options::{ClusterOptions, parts_for};
use super::pages::Sums;
use super::ports::free_port;
use super::process::Process;
use super::report::table;
use super::{Result, now, pairs, progress};

/// How many daemons the audience has.
const NODES: usize = 4;

/// How many members are there at a time while quiet names are made: each is the first member of its event, and leaves
/// again.
const BATCH: usize = 5000;

/// How many joins may be on their way: far below the usual backlog of 4,096.
const JOINS_PENDING_MAX: u64 = 1000;

/// Joins that are made between two looks at what has come.
const JOINS_PER_TURN: usize = 16;

/// How many namespaces change: in every second one member joins each of them and another leaves, beside one that stays.
const CHANGING: usize = 1000;

/// How long traffic and CPU are measured, in seconds.
const SPAN_S: usize = 10;

/// How long the changes go on before they are measured, in seconds: longer than the notify interval.
const WARM_UP_S: usize = 3;

/// After this time all changes are announced, and repeated: several notify intervals.
const SETTLE: Duration = Duration::from_secs(6);

/// Longer than the notify interval, which is 2 s by default: after it, a change is announced at once.
const QUIET: Duration = Duration::from_millis(2300);

/// How many joins are timed in the small audience, all rounds together.
const TIMED_JOINS: usize = 20;

/// The time between two readings of a newcomer's stats, each of which takes the newcomer from its work. The time that it
/// took to learn is known to this and the time of one reading.
const LOOK_GAP: Duration = Duration::from_millis(50);

/// How long anything may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// The time between two looks at stats that are not right yet.
const REST: Duration = Duration::from_millis(50);

/// All rounds' figures, as a table.
pub(super) fn measure(options: &ClusterOptions) -> Result<String> {
    if parts_for(BATCH.max(2 * CHANGING))? > 1 {
        return Err("there are too few descriptors for a crowd of one process; raise `ulimit -n`".into());
    }
    let program = options.program.find()?;
    progress("memory");
    let mut memory = Some(pairs::measure(options.namespaces)?);
    let mut rounds = Vec::new();
    for number in 1..=options.rounds {
        let label = format!("round {number} of {}", options.rounds);
        let mut figures =
            Nodes::start(&program, NODES, &label)?.run(|nodes| nodes.measure_names(options.namespaces))?;
        let joins = TIMED_JOINS.div_ceil(options.rounds);
        figures.extend(Nodes::start(&program, 2, &label)?.run(|nodes| nodes.time_joins(joins))?);
        let (bytes, pairs) = memory.take().unzip();
        figures.push(Figure::bytes("memory: user space, per node and namespace", bytes, pairs.unwrap_or(1)));
        rounds.push(figures);
    }
    progress("");
    Ok(table(&format!("nodes={NODES} quiet={} changing={CHANGING}", options.namespaces), &rounds))
}

/// What a daemon has spent so far.
#[derive(Clone, Copy)]
struct Spent {
    at: Instant,
    bytes: u64,
    cpu_ns: u64,
}

/// The daemons of one audience.
struct Nodes<'a> {
    program: &'a Program,
    daemons: Vec<Daemon>,
    port: u16,
    label: &'a str,
    /// What has been done to them, which their stats must agree with.
    truth: Sums,
    /// A crowd without members, which waits and notices signals.
    watch: Crowd,
}

impl<'a> Nodes<'a> {
    fn start(program: &'a Program, count: usize, label: &'a str) -> Result<Self> {
        progress(&format!("{label}: {count} daemons start"));
        let port = free_port()?;
        let watch = Crowd::new(Vec::new(), address(port), 0)?;
        let daemons = (0..count).map(|_| Daemon::start_node(program, port)).collect::<Result<_>>()?;
        Ok(Self { program, daemons, port, label, truth: Sums::default(), watch })
    }

    /// Waits until they know each other, and measures.
    fn run(mut self, measure: impl FnOnce(&mut Self) -> Result<Vec<Figure>>) -> Result<Vec<Figure>> {
        let measured = self.await_nodes().and_then(|()| measure(&mut self));
        measured.map_err(|error| self.daemons.iter_mut().fold(error, |error, daemon| daemon.explain(error)))
    }

    fn measure_names(&mut self, namespaces: usize) -> Result<Vec<Figure>> {
        self.make_quiet(namespaces)?;
        self.show("quiet");
        self.watch.listen(SETTLE)?;
        let before = self.spent()?;
        self.watch.listen(Duration::from_secs(SPAN_S as u64))?;
        let (bytes, cpu) = self.most_since(&before)?;
        let mut figures = vec![
            Figure::rate("quiet: sent per second and node", bytes.0, bytes.1),
            Figure::load("quiet: CPU per node", cpu.0, cpu.1),
        ];
        figures.extend(self.admit_newcomer()?);
        let (bytes, cpu) = self.change()?;
        figures.extend([
            Figure::rate("changing: sent per second and node", bytes.0, bytes.1),
            Figure::load("changing: CPU per node, joins and counts included", cpu.0, cpu.1),
        ]);
        Ok(figures)
    }

    /// A member joins each name, and leaves.
    fn make_quiet(&mut self, namespaces: usize) -> Result<()> {
        for (batch, first) in (0..namespaces).step_by(BATCH).enumerate() {
            self.show(&format!("{first} names so far"));
            let names: Vec<String> =
                (first..namespaces.min(first + BATCH)).map(|number| format!("bench{number}")).collect();
            let count = names.len();
            let mut crowd = Crowd::new(names, address(self.port), part_of(batch))?;
            join_all(&mut crowd, count)?;
            self.truth.namespaces += count as u64;
            self.truth.connections += count as u64;
        }
        self.await_truth("quiet")
    }

    /// One more daemon starts, which knows nothing.
    fn admit_newcomer(&mut self) -> Result<[Figure; 3]> {
        self.show("newcomer");
        let newcomer = Daemon::start_node(self.program, self.port)?;
        let ready = now();
        let (learnt, reading) = loop {
            self.watch.listen(LOOK_GAP)?;
            let look = now();
            let sums = Sums::of(&newcomer.stats()?);
            if sums == self.truth {
                break (now() - ready, now() - look);
            }
            if now() - ready > PATIENCE {
                return Err(format!("newcomer: its stats have {sums}, and there are {}", self.truth).into());
            }
        };
        let lost = newcomer.cluster_page()?.datagrams.and_then(|datagrams| datagrams.overflowed);
        drop(newcomer);
        self.await_nodes()?;
        Ok([
            Figure::time("newcomer: its stats are complete after", Some(learnt)),
            Figure::time("newcomer: a reading of them took of that", Some(reading)),
            Figure::number("newcomer: datagrams that did not fit its buffer", lost),
        ])
    }

    /// At each of some names a member joins and another leaves in every second. Returns the most bytes, and the most time
    /// on the CPU.
    fn change(&mut self) -> Result<((u64, Duration), (u64, Duration))> {
        self.show("changing");
        let names = (0..CHANGING).map(|number| format!("changing{number}")).collect();
        let mut crowd = Crowd::new(names, address(self.port), 0)?;
        join_all(&mut crowd, CHANGING)?;
        let start = now();
        come_and_go(&mut crowd, start, 0..WARM_UP_S * CHANGING)?;
        let before = self.spent()?;
        come_and_go(&mut crowd, start, WARM_UP_S * CHANGING..(WARM_UP_S + SPAN_S) * CHANGING)?;
        let most = self.most_since(&before)?;
        for place in CHANGING..2 * CHANGING {
            crowd.leave(place);
        }
        let (names, changes) = (CHANGING as u64, ((WARM_UP_S + SPAN_S) * CHANGING) as u64);
        self.truth.namespaces += names;
        self.truth.members = names;
        self.truth.connections += names + changes;
        self.await_truth("changing")?;
        Ok(most)
    }

    /// How long it takes until a join at one node is in the stats of the other. The time ends when both know, so it does
    /// not matter which node the join was at.
    fn time_joins(&mut self, joins: usize) -> Result<Vec<Figure>> {
        let mut crowd = Crowd::new(vec!["bench".to_owned()], address(self.port), 0)?;
        let mut times = Times::default();
        self.truth.namespaces = 1;
        for place in 0..joins {
            self.show(&format!("join {place}"));
            crowd.listen(QUIET)?;
            self.truth.members += 1;
            self.truth.connections += 1;
            let start = now();
            crowd.join(place, 0)?;
            self.await_truth_every("join", Duration::ZERO)?;
            times.record(now() - start);
        }
        Ok(vec![
            Figure::time("join: in the stats of the other node after", times.median()),
            Figure::time("join: the slowest", times.longest()),
        ])
    }

    fn await_nodes(&mut self) -> Result<()> {
        let give_up = now() + PATIENCE;
        for daemon in &self.daemons {
            while daemon.cluster_page()?.nodes != self.daemons.len() as u64 {
                if now() > give_up {
                    return Err(format!("a daemon does not know {} nodes", self.daemons.len()).into());
                }
                self.watch.listen(REST)?;
            }
        }
        Ok(())
    }

    /// Waits until all stats agree with the books.
    fn await_truth(&mut self, phase: &str) -> Result<()> {
        self.await_truth_every(phase, REST)
    }

    fn await_truth_every(&mut self, phase: &str, gap: Duration) -> Result<()> {
        let give_up = now() + PATIENCE;
        for (number, daemon) in self.daemons.iter().enumerate() {
            loop {
                let sums = Sums::of(&daemon.stats()?);
                if sums == self.truth {
                    break;
                }
                if now() > give_up {
                    let number = number + 1;
                    return Err(format!("{phase}: stats {number} have {sums}, and there are {}", self.truth).into());
                }
                self.watch.turn(gap)?;
            }
        }
        Ok(())
    }

    /// What each daemon has spent so far.
    fn spent(&self) -> Result<Vec<Spent>> {
        let of = |daemon: &Daemon| {
            let datagrams = daemon.cluster_page()?.datagrams;
            let at = now();
            let bytes = datagrams.map(|datagrams| datagrams.bytes_sent);
            let cpu_ns = daemon.process.as_ref().map(Process::cpu_ns).transpose()?;
            let (bytes, cpu_ns) = bytes.zip(cpu_ns).ok_or("a daemon does not say what it has spent")?;
            Ok(Spent { at, bytes, cpu_ns })
        };
        self.daemons.iter().map(of).collect()
    }

    /// The most bytes that one daemon has sent since, and the most time that one was on the CPU; each with the span.
    fn most_since(&self, before: &[Spent]) -> Result<((u64, Duration), (u64, Duration))> {
        let after = self.spent()?;
        let spent = || {
            let both = before.iter().zip(&after);
            both.map(|(before, after)| (after.bytes - before.bytes, after.cpu_ns - before.cpu_ns, after.at - before.at))
        };
        let bytes = spent().map(|(bytes, _, span)| (bytes, span)).max();
        let cpu = spent().map(|(_, cpu_ns, span)| (cpu_ns, span)).max();
        Ok(bytes.zip(cpu).ok_or("there is no daemon")?)
    }

    fn show(&self, phase: &str) {
        progress(&format!("{}: {phase}", self.label));
    }
}

fn address(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// The part of a batch, whose addresses no other batch has used: the port of a closed stream stays taken for a minute.
fn part_of(batch: usize) -> u8 {
    u8::try_from(batch % 256).unwrap_or(0)
}

/// Has a member join in each of the first `places` places, until all have received their first count.
fn join_all(crowd: &mut Crowd, places: usize) -> Result<()> {
    let give_up = now() + PATIENCE;
    for place in 0..places {
        crowd.join(place, place)?;
        if place % JOINS_PER_TURN == 0 {
            crowd.turn(Duration::ZERO)?;
        }
        let most = if place + 1 == places { 0 } else { JOINS_PENDING_MAX };
        while crowd.waiting_count() > most {
            if now() > give_up {
                return Err(format!("{} members wait in vain for their first count", crowd.waiting_count()).into());
            }
            crowd.turn(REST)?;
        }
    }
    Ok(())
}

/// One after the other a second member joins each name, and leaves half a second later.
fn come_and_go(crowd: &mut Crowd, start: Instant, numbers: std::ops::Range<usize>) -> Result<()> {
    for number in numbers {
        let due = start + Duration::from_secs(1) * u32::try_from(number)? / u32::try_from(CHANGING)?;
        while let Some(left) = due.checked_duration_since(now()).filter(|left| !left.is_zero()) {
            crowd.turn(left)?;
        }
        crowd.leave(CHANGING + (number + CHANGING / 2) % CHANGING);
        crowd.join(CHANGING + number % CHANGING, number % CHANGING)?;
    }
    Ok(())
}
