//! What others wait for while a large audience is being told something all the time.
//!
//! Owns the course of a round: everybody of a large event is told one message after the other, and meanwhile, on another
//! thread, members join and leave another event, and a small event is told messages of its own. Of the floor, which has one
//! event, only the joins are timed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::daemon::{Notified, Telling};
use super::options::{FairnessOptions, parts_for};
use super::order::{Places, Sound};
use super::parts::Parts;
use super::report::{Comparison, Figure, Row, Target, percentile};
use super::server::{Kind, Server};
use super::stream::Stream;
use super::{Result, now, progress};

/// The large event is the crowd's one event.
const PREFIX: &str = "large";

/// The small event, and how many are there.
const SMALL: &str = "small";
const SMALL_MEMBERS: usize = 10;

/// The time between two joins, and two messages to the small event.
const GAP: Duration = Duration::from_millis(10);

/// What is looked at, in the order in which a round tells it.
const ROWS: [Row; 9] = [
    row("told", "large event: the last of all has heard after", Target::None),
    row("join_p50", "join: half have their first count after", Target::None),
    row("join_p99", "join: 99 of 100 have their first count after", Target::AtMost(10.0)),
    row("join_max", "join: the slowest", Target::None),
    row("push_p50", "small event: half of the messages are heard after", Target::None),
    row("push_p99", "small event: 99 of 100 are heard after", Target::AtMost(10.0)),
    row("push_max", "small event: the slowest", Target::None),
    row("turn_p999", "turn: 999 of 1000 are shorter than", Target::AtMost(5.0)),
    row("turn_max", "turn: the longest, waiting for a core included", Target::None),
];

const fn row(key: &'static str, name: &'static str, target: Target) -> Row {
    Row { key, figure: name, name, target }
}

/// Compares, and returns what was found as a table and for programs.
pub(super) fn measure(options: &FairnessOptions) -> Result<(String, Value)> {
    let &FairnessOptions { members, rounds, .. } = options;
    let mut compared = Comparison { daemon: Vec::new(), floor: Vec::new() };
    for number in 1..=rounds {
        for (kind, figures) in [(Kind::Daemon, &mut compared.daemon), (Kind::Floor, &mut compared.floor)] {
            progress(&format!("{members} members, round {number} of {rounds}, {kind:?}"));
            let mut server = Server::start(kind, 1, Telling::Never)?;
            let round = measure_round(&server, options, kind == Kind::Daemon);
            figures.push(round.map_err(|error| server.explain(error))?);
        }
    }
    progress("");
    let json = json!({
        "benchmark": "fairness", "members": members, "rounds": rounds, "figures": compared.json(&ROWS),
    });
    Ok((compared.table(&format!("members={members}"), &ROWS), json))
}

fn measure_round(server: &Server, options: &FairnessOptions, is_daemon: bool) -> Result<Vec<Figure>> {
    let &FairnessOptions { members, span, .. } = options;
    let mut parts = Parts::start(parts_for(members)?, server.audience(), PREFIX, 1)?;
    parts.join(&Places::first(members), Duration::ZERO, |_| ())?;
    let is_over = AtomicBool::new(false);
    let (told, probed) = thread::scope(|scope| {
        let prober = scope.spawn(|| probe(server, is_daemon, &is_over).map_err(|error| error.to_string()));
        let told = tell_everybody(server, &mut parts, span);
        is_over.store(true, Ordering::Relaxed);
        (told, prober.join())
    });
    let mut told = told?;
    let Times { mut joins, mut pushes } = probed.map_err(|_| "the thread that joins has died")??;
    for times in [&mut told, &mut joins, &mut pushes] {
        times.sort_unstable();
    }
    let (most_us, longest_us) = if is_daemon { Some(server.turns_us()?).unzip() } else { (None, None) };
    let values = [
        percentile(&told, 50),
        percentile(&joins, 50),
        percentile(&joins, 99),
        percentile(&joins, 100),
        percentile(&pushes, 50),
        percentile(&pushes, 99),
        percentile(&pushes, 100),
        most_us.map(Duration::from_micros),
        longest_us.map(Duration::from_micros),
    ];
    Ok(ROWS.iter().zip(values).map(|(row, value)| Figure::time(row.name, value)).collect())
}

/// Tells all members of the large event one message after the other. Returns how long the last of them waited for each.
fn tell_everybody(server: &Server, parts: &mut Parts, span: Duration) -> Result<Vec<Duration>> {
    let (end, mut times) = (now() + span, Vec::new());
    while now() < end {
        let mut notified = Vec::new();
        let (_, _, last) = parts.hear(Sound::Message, 0, 1, |_| {
            notified = server.notify(&format!("{PREFIX}0"), "x")?;
            Ok(())
        })?;
        notified.into_iter().try_for_each(Notified::confirm)?;
        times.push(last);
    }
    Ok(times)
}

/// How long each of those waited who came meanwhile.
#[derive(Default)]
struct Times {
    joins: Vec<Duration>,
    pushes: Vec<Duration>,
}

fn probe(server: &Server, is_daemon: bool, is_over: &AtomicBool) -> Result<Times> {
    let mut times = Times::default();
    let mut small = Vec::new();
    if is_daemon {
        for _ in 0..SMALL_MEMBERS {
            small.push(Stream::join(server.audience(), SMALL)?);
        }
    }
    let mut due = now();
    while !is_over.load(Ordering::Relaxed) {
        let start = now();
        let newcomer = Stream::join(server.audience(), "other")?;
        times.joins.push(now() - start);
        drop(newcomer);
        rest_until(&mut due);
        if is_daemon {
            let start = now();
            let notified = server.notify(SMALL, "x")?;
            small.iter_mut().try_for_each(|member| member.hear("data: bench=x"))?;
            times.pushes.push(now() - start);
            notified.into_iter().try_for_each(Notified::confirm)?;
            rest_until(&mut due);
        }
    }
    Ok(times)
}

#[expect(clippy::disallowed_methods, reason = "the benchmark's pace")]
fn rest_until(due: &mut Instant) {
    *due += GAP;
    thread::sleep(due.saturating_duration_since(now()));
}
