//! The daemon beside the floor, in turn: what it spends beyond the least that is possible. Or beside another daemon: what
//! a change to the program costs.
//!
//! Owns which figures are compared, and the target of each. A round of the one side is followed by a round of the other,
//! so that whatever slows the machine slows both; a ratio is taken within such a pair.

use std::net::Ipv4Addr;
use std::num::NonZeroU64;
use std::process::Stdio;
use std::time::Duration;

use super::daemon::{Counts, Program};
use super::figures::{Figure, Times};
use super::options::{self, CompareOptions, GrowthOptions};
use super::part::PATIENCE;
use super::ports::free_port;
use super::report::{Against, Comparison, Growth, Report, Row, Target};
use super::round::{Plan, Round};
use super::server::Server;
use super::stream::Stream;
use super::{Result, now, progress};

/// How often the time of a start is taken; it is short, and the machine has other things to do.
const STARTS: usize = 5;

/// The names of what is measured apart from rounds.
const START: &str = "from exec to the first count";
const BINARY: &str = "size of the program, stripped";

/// What is compared of many members of one event.
const ROWS: [Row; 13] = [
    row("join_cpu", "join: CPU per join", "CPU per join", Target::Ratio(1.15)),
    row("join_time", "join: all have received their first count after", "all have joined after", Target::None),
    row("delivery_cpu", "message: CPU per delivery, its request included", "CPU per delivery", Target::Ratio(1.10)),
    row("first_delivery", "message: first delivery after", "first delivery after", Target::None),
    row("last_delivery", "message: last delivery after", "last delivery after", Target::Ratio(1.15)),
    row("leave_join_cpu", "churn: CPU per leave-and-join", "CPU per leave-and-join", Target::Ratio(1.15)),
    row("leave_cpu", "leave: CPU per leave", "CPU per leave", Target::None),
    row("member_memory", "memory: user space, per member", "user-space memory per member", Target::AtMost(128.0)),
    row("kernel_memory", "memory: kernel, per member, both ends of a stream", KERNEL_MEMORY, Target::None),
    row("counts_told", "join: counts pushed meanwhile, their cost taken off", COUNTS_PUSHED, Target::AtMost(0.0)),
    row("empty_pss", "memory: Pss, without members", "memory without members (Pss)", Target::AtMost(1.5 * MIB)),
    row("start", START, START, Target::AtMost(10.0)),
    row("binary", BINARY, BINARY, Target::AtMost(MIB)),
];

const KERNEL_MEMORY: &str = "kernel memory per member, both ends";

const COUNTS_PUSHED: &str = "counts pushed beside the first ones";

const MIB: f64 = 1024.0 * 1024.0;

const fn row(key: &'static str, figure: &'static str, name: &'static str, target: Target) -> Row {
    Row { key, figure, name, target }
}

/// The rows with a meaning where each member has an event to itself: a push has one receiver, and the floor has no events.
const ROWS_MANY_EVENTS: [&str; 6] =
    ["join_cpu", "join_time", "leave_join_cpu", "leave_cpu", "member_memory", "counts_told"];

/// The target of a join that creates a namespace, as each does where each member has an event to itself.
const JOIN_TARGET_MANY_EVENTS: f64 = 1.3;

/// A side of the comparison: a daemon, or the floor.
type Side = Option<Program>;

/// Compares, and returns the result as a table and as a report.
pub(super) fn measure(options: &CompareOptions) -> Result<(String, Report)> {
    let &CompareOptions { members, events, processes, rounds, .. } = options;
    let daemon: Side = Some(options.program.find()?);
    let other: Side = options.against_program.as_deref().map(Program::at).transpose()?;
    let against = if other.is_some() { Against::Daemon } else { Against::Floor };
    let mut compared = Comparison { daemon: Vec::new(), other: Vec::new(), against };
    for number in 1..=rounds {
        let sides = [(&daemon, "daemon", &mut compared.daemon), (&other, "other side", &mut compared.other)];
        for (side, name, figures) in sides {
            let label = format!("{members} members, {processes} processes, round {number} of {rounds}, {name}");
            progress(&label);
            figures.push(measure_round(side, options, label)?);
        }
    }
    progress("");
    let rows = rows(events, processes, against);
    let report = Report {
        benchmark: "compare".to_owned(),
        events,
        figures: compared.figures(&rows),
        members: NonZeroU64::new(members as u64).ok_or("a comparison takes members")?,
        processes: NonZeroU64::new(processes as u64).ok_or("a comparison takes processes")?,
        rounds,
    };
    let mut title = format!("members={members} events={events} processes={processes}");
    if let (Some(daemon), Some(other)) = (&daemon, &other) {
        title = format!("program={} against={} {title}", daemon.file().display(), other.file().display());
    }
    Ok((compared.table(&title, &rows), report))
}

/// A round of one side, on a server of its own.
fn measure_round(side: &Side, options: &CompareOptions, label: String) -> Result<Vec<Figure>> {
    let &CompareOptions { members, events, processes, .. } = options;
    let parts = options::parts_for(members)?;
    // With an event to itself, a member receives its first count alone.
    let counts = if events >= members { Counts::Pushed } else { Counts::Withheld };
    let mut server = match side {
        Some(program) => Server::start_daemons(program, processes, counts)?,
        None => Server::start_floor(processes)?,
    };
    let plan = Plan {
        members,
        events: if side.is_some() { events } else { 1 },
        prefix: "bench".to_owned(),
        pace: Duration::ZERO,
        hold: Duration::ZERO,
        counts: false,
        stats: side.is_some(),
        watchers: 0,
    };
    let before = server.anonymous_bytes()?;
    let round = Round::begin(&plan, &server, parts, label).and_then(|mut round| round.run(before));
    let mut figures = round.map_err(|error| server.explain(error))?;
    if let Some(program) = side {
        figures.push(Figure::time(START, time_start(program)?));
        figures.push(Figure::bytes(BINARY, Some(std::fs::metadata(program.file())?.len()), 1));
    }
    Ok(figures)
}

/// Compares at several sizes of the audience, and with several processes.
pub(super) fn measure_growth(options: &GrowthOptions) -> Result<(String, Growth)> {
    let sizes = [1000, 3000, 10_000, 19_000].map(|members| (members, 1));
    let spreads = [2, 4, 8].map(|processes| (10_000, processes));
    let (mut text, mut runs) = (String::new(), Vec::new());
    for (members, processes) in sizes.into_iter().chain(spreads) {
        let (rounds, program) = (options.rounds, options.program.clone());
        let (table, report) = measure(&CompareOptions {
            members,
            events: 1,
            processes,
            rounds,
            program,
            against_program: None,
            json: None,
        })?;
        text.push_str(&table);
        text.push('\n');
        runs.push(report);
    }
    Ok((text, Growth { benchmark: "growth".to_owned(), runs }))
}

/// The rows with a meaning, with their targets. The targets are those of one process with one event beside the floor.
fn rows(events: usize, processes: usize, against: Against) -> Vec<Row> {
    let means_something = |row: &Row| events == 1 || ROWS_MANY_EVENTS.contains(&row.key);
    let mut rows: Vec<Row> = ROWS.into_iter().filter(means_something).collect();
    if against == Against::Floor && events == 1 && processes == 1 {
        return rows;
    }
    for row in &mut rows {
        row.target = match row.key {
            "join_cpu" if processes == 1 && against == Against::Floor => Target::Ratio(JOIN_TARGET_MANY_EVENTS),
            "counts_told" => Target::AtMost(0.0),
            _ => Target::None,
        };
    }
    rows
}

/// The time from the start of a daemon's program until a member has joined it and received the first count; the middle of
/// several.
fn time_start(program: &Program) -> Result<Option<Duration>> {
    let mut times = Times::default();
    for _ in 0..STARTS {
        let port = free_port()?;
        let start = now();
        let mut child = program.command(port, 0, 0).stderr(Stdio::null()).spawn()?;
        let joined = join_once(port);
        let time = now() - start;
        child.kill()?;
        child.wait()?;
        joined?;
        times.record(time);
    }
    Ok(times.median())
}

fn join_once(port: u16) -> Result<()> {
    let give_up = now() + PATIENCE;
    loop {
        match Stream::join((Ipv4Addr::LOCALHOST, port).into(), "bench") {
            Ok(_) => return Ok(()),
            Err(error) if now() > give_up => return Err(error),
            Err(_) => std::thread::yield_now(),
        }
    }
}
