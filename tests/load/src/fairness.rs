//! How long others wait while a large audience gets messages all the time.
//!
//! Owns the course of a round. All members of a large event get one message after the other. Meanwhile, on another thread,
//! members join and leave another event, and a small event gets messages of its own. The floor has one event, so only its
//! joins are timed.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::daemon::{Counts, Sent};
use super::figures::{Figure, Times};
use super::options::{FairnessOptions, parts_for};
use super::parts::Parts;
use super::protocol::{Delivery, Places};
use super::report::{Against, Comparison, Report, Row, Target};
use super::server::Server;
use super::stream::Stream;
use super::{Result, now, progress};

/// The large event is the crowd's one event.
const PREFIX: &str = "large";

/// The small event, and how many members it has.
const SMALL: &str = "small";
const SMALL_MEMBERS: usize = 10;

/// The time between two joins, and two messages to the small event.
const GAP: Duration = Duration::from_millis(10);

/// The figures of a round, in their order.
const ROWS: [Row; 9] = [
    row("told", "large event: the last member has it after", Target::None),
    row("join_p50", "join: half have their first count after", Target::None),
    row("join_p99", "join: 99 of 100 have their first count after", Target::AtMost(10.0)),
    row("join_max", "join: the slowest", Target::None),
    row("push_p50", "small event: half of the messages are there after", Target::None),
    row("push_p99", "small event: 99 of 100 are there after", Target::AtMost(10.0)),
    row("push_max", "small event: the slowest", Target::None),
    row("turn_p999", "turn: 999 of 1000 are shorter than", Target::AtMost(5.0)),
    row("turn_max", "turn: the longest, waiting for a core included", Target::None),
];

const fn row(key: &'static str, name: &'static str, target: Target) -> Row {
    Row { key, figure: name, name, target }
}

/// Compares, and returns the result as a table and as a report.
pub(super) fn measure(options: &FairnessOptions) -> Result<(String, Report)> {
    let &FairnessOptions { members, rounds, .. } = options;
    let program = options.program.find()?;
    let mut compared = Comparison { daemon: Vec::new(), other: Vec::new(), against: Against::Floor };
    for number in 1..=rounds {
        for (is_daemon, figures) in [(true, &mut compared.daemon), (false, &mut compared.other)] {
            let side = if is_daemon { "daemon" } else { "floor" };
            progress(&format!("{members} members, round {number} of {rounds}, {side}"));
            let mut server =
                if is_daemon { Server::start_daemons(&program, 1, Counts::Withheld)? } else { Server::start_floor(1)? };
            let round = measure_round(&server, options, is_daemon);
            figures.push(round.map_err(|error| server.explain(error))?);
        }
    }
    progress("");
    let report = Report {
        benchmark: "fairness".to_owned(),
        events: 0,
        figures: compared.figures(&ROWS),
        members: NonZeroU64::new(members as u64).ok_or("fairness takes members")?,
        processes: NonZeroU64::MIN,
        rounds,
    };
    Ok((compared.table(&format!("members={members}"), &ROWS), report))
}

fn measure_round(server: &Server, options: &FairnessOptions, is_daemon: bool) -> Result<Vec<Figure>> {
    let &FairnessOptions { members, span, .. } = options;
    let mut parts = Parts::start(parts_for(members)?, server.audience(), PREFIX, 1)?;
    parts.join(&Places::first(members), Duration::ZERO, |_| ())?;
    let is_over = AtomicBool::new(false);
    let (pushed, probed) = thread::scope(|scope| {
        let prober = scope.spawn(|| probe(server, is_daemon, &is_over).map_err(|error| error.to_string()));
        let pushed = push_all_the_time(server, &mut parts, span);
        is_over.store(true, Ordering::Relaxed);
        (pushed, prober.join())
    });
    let pushed = pushed?;
    let Waits { joins, pushes } = probed.map_err(|_| "the thread that joins has died")??;
    let (most_us, longest_us) = if is_daemon { Some(server.turns_us()?).unzip() } else { (None, None) };
    let values = [
        pushed.median(),
        joins.median(),
        joins.percentile(99.0),
        joins.longest(),
        pushes.median(),
        pushes.percentile(99.0),
        pushes.longest(),
        most_us.map(Duration::from_micros),
        longest_us.map(Duration::from_micros),
    ];
    Ok(ROWS.iter().zip(values).map(|(row, value)| Figure::time(row.name, value)).collect())
}

/// Sends one message after the other to all members of the large event. Returns how long the last member waited for each.
fn push_all_the_time(server: &Server, parts: &mut Parts, span: Duration) -> Result<Times> {
    let (end, mut times) = (now() + span, Times::default());
    while now() < end {
        let mut sent = Vec::new();
        let (_, _, last) = parts.time_deliveries(Delivery::Message, 0, 1, |_| {
            sent = server.send_message(&format!("{PREFIX}0"), "x")?;
            Ok(())
        })?;
        sent.into_iter().try_for_each(Sent::confirm)?;
        times.record(last);
    }
    Ok(times)
}

/// How long others waited meanwhile.
#[derive(Default)]
struct Waits {
    joins: Times,
    pushes: Times,
}

fn probe(server: &Server, is_daemon: bool, is_over: &AtomicBool) -> Result<Waits> {
    let mut waits = Waits::default();
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
        waits.joins.record(now() - start);
        drop(newcomer);
        rest_until(&mut due);
        if is_daemon {
            let start = now();
            let sent = server.send_message(SMALL, "x")?;
            small.iter_mut().try_for_each(|member| member.await_text("data: bench=x"))?;
            waits.pushes.record(now() - start);
            sent.into_iter().try_for_each(Sent::confirm)?;
            rest_until(&mut due);
        }
    }
    Ok(waits)
}

#[expect(clippy::disallowed_methods, reason = "the pace of the benchmark")]
fn rest_until(due: &mut Instant) {
    *due += GAP;
    thread::sleep(due.saturating_duration_since(now()));
}
