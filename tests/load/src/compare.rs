//! The daemon beside the floor, in turn: what it spends beyond the least that is possible.
//!
//! Owns which figures are compared, and what is wanted of each. A round of the one is followed by a round of the other, so
//! that whatever slows the machine slows both; a ratio is taken within such a pair.

use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::daemon::{Daemon, Telling, free_port};
use super::options::{self, CompareOptions, GrowthOptions};
use super::part::PATIENCE;
use super::report::{Comparison, Figure, Row, Target, median};
use super::round::{Plan, Round};
use super::server::{Kind, Server};
use super::stream::Stream;
use super::{Result, now, progress};

/// How often the time of a start is taken; it is short, and the machine has other things to do.
const STARTS: usize = 5;

/// The name of what is measured apart from rounds.
const START: &str = "from exec to the first count";
const BINARY: &str = "size of the program, stripped";

/// What is compared of many members of one event.
const ROWS: [Row; 13] = [
    row("join_cpu", "join: CPU per join", "CPU per join", Target::Ratio(1.15)),
    row("join_time", "join: all have heard their first count after", "all have joined after", Target::None),
    row("delivery_cpu", "message: CPU per delivery, its request included", "CPU per delivery", Target::Ratio(1.10)),
    row("first_delivery", "message: first delivery after", "first delivery after", Target::None),
    row("last_delivery", "message: last delivery after", "last delivery after", Target::Ratio(1.15)),
    row("leave_join_cpu", "churn: CPU per leave-and-join", "CPU per leave-and-join", Target::Ratio(1.15)),
    row("leave_cpu", "leave: CPU per leave", "CPU per leave", Target::None),
    row("member_memory", "memory: user space, per member", "user-space memory per member", Target::AtMost(128.0)),
    row("kernel_memory", "memory: kernel, per member, both ends of a stream", KERNEL_MEMORY, Target::None),
    row("counts_told", "join: counts told meanwhile, their cost taken off", COUNTS_TOLD, Target::AtMost(0.0)),
    row("empty_pss", "memory: Pss, without members", "memory without members (Pss)", Target::AtMost(1.5 * MIB)),
    row("start", START, START, Target::AtMost(10.0)),
    row("binary", BINARY, BINARY, Target::AtMost(MIB)),
];

const KERNEL_MEMORY: &str = "kernel memory per member, both ends";

const COUNTS_TOLD: &str = "counts pushed beside the first ones";

const MIB: f64 = 1024.0 * 1024.0;

const fn row(key: &'static str, figure: &'static str, name: &'static str, target: Target) -> Row {
    Row { key, figure, name, target }
}

/// The rows that mean something where each member has an event to itself: a push is to one, and the floor knows no events.
const ROWS_MANY_EVENTS: [&str; 6] =
    ["join_cpu", "join_time", "leave_join_cpu", "leave_cpu", "member_memory", "counts_told"];

/// Where each member has an event to itself, a namespace is made for each, and the rest is the price of that.
const JOIN_TARGET_MANY_EVENTS: f64 = 1.3;

/// Compares, and returns what was found as a table and for programs.
pub(super) fn measure(options: &CompareOptions) -> Result<(String, Value)> {
    let &CompareOptions { members, events, processes, rounds } = options;
    let parts = options::parts_for(members)?;
    let mut compared = Comparison { daemon: Vec::new(), floor: Vec::new() };
    for number in 1..=rounds {
        for (kind, figures) in [(Kind::Daemon, &mut compared.daemon), (Kind::Floor, &mut compared.floor)] {
            let label = format!("{members} members, {processes} processes, round {number} of {rounds}, {kind:?}");
            progress(&label);
            let is_daemon = kind == Kind::Daemon;
            // Whoever is alone at an event has been told all there is by the first count.
            let telling = if events >= members { Telling::Soon } else { Telling::Never };
            let mut server = Server::start(kind, processes, telling)?;
            let plan = Plan {
                members,
                events: if is_daemon { events } else { 1 },
                prefix: "bench".to_owned(),
                pace: Duration::ZERO,
                hold: Duration::ZERO,
                counts: false,
                stats: is_daemon,
                watchers: 0,
            };
            let before = server.anonymous_bytes()?;
            let round = Round::begin(&plan, &server, parts, label).and_then(|mut round| round.run(before));
            let mut round = round.map_err(|error| server.explain(error))?;
            if is_daemon {
                round.push(Figure::time(START, Some(time_start()?)));
                round.push(Figure::bytes(BINARY, Some(binary_bytes()?), 1));
            }
            figures.push(round);
        }
    }
    progress("");
    let rows = rows(events, processes);
    let title = format!("members={members} events={events} processes={processes}");
    let json = json!({
        "benchmark": "compare", "members": members, "events": events, "processes": processes, "rounds": rounds,
        "figures": compared.json(&rows),
    });
    Ok((compared.table(&title, &rows), json))
}

/// Compares at several sizes of the audience, and with several processes.
pub(super) fn measure_growth(options: &GrowthOptions) -> Result<(String, Value)> {
    let &GrowthOptions { rounds } = options;
    let sizes = [1000, 3000, 10_000, 19_000].map(|members| (members, 1));
    let spreads = [2, 4, 8].map(|processes| (10_000, processes));
    let (mut text, mut runs) = (String::new(), Vec::new());
    for (members, processes) in sizes.into_iter().chain(spreads) {
        let (table, json) = measure(&CompareOptions { members, events: 1, processes, rounds })?;
        text.push_str(&table);
        text.push('\n');
        runs.push(json);
    }
    Ok((text, json!({ "benchmark": "growth", "runs": runs })))
}

fn rows(events: usize, processes: usize) -> Vec<Row> {
    if events == 1 && processes == 1 {
        return ROWS.into();
    }
    let means_something = |row: &Row| events == 1 || ROWS_MANY_EVENTS.contains(&row.key);
    let mut rows: Vec<Row> = ROWS.into_iter().filter(means_something).collect();
    for row in &mut rows {
        row.target = match row.key {
            "join_cpu" if processes == 1 => Target::Ratio(JOIN_TARGET_MANY_EVENTS),
            "counts_told" => Target::AtMost(0.0),
            // The targets are those of one process with one event.
            _ => Target::None,
        };
    }
    rows
}

/// From the start of a daemon's program until somebody has joined there and heard the first count; the middle of several.
fn time_start() -> Result<Duration> {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let port = free_port()?;
        let start = now();
        let mut child = Command::new(Daemon::program()?)
            .args(["-w", "1", "--port", &port.to_string(), "--demo-port", "0"])
            .args(["--stats-port", "0", "--notification-port", "0"])
            .stderr(Stdio::null())
            .spawn()?;
        let joined = join_once(port);
        let time = now() - start;
        child.kill()?;
        child.wait()?;
        joined?;
        times.push(time);
    }
    Ok(median(&mut times).unwrap_or_default())
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

fn binary_bytes() -> Result<u64> {
    Ok(std::fs::metadata(Daemon::program()?)?.len())
}
