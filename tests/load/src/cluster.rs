//! What several daemons of one audience spend on each other, and how soon they know of changes.
//!
//! Owns the course of a cluster's round: joins in a small audience; then names that are quiet, a newcomer that learns them,
//! names that all change, and a broker that is away. Each round has daemons of its own. The figures are those of the busiest
//! daemon.
//!
//! After each step the stats of all daemons must agree with the books here, or the run is over.
//!
//! | file | owns |
//! |---|---|
//! | `joins` | what a crowd does |
//! | `nodes` | the daemons of a round, and what their stats must say |
//! | `outage` | a broker that is away for a while |
//! | `site` | where the daemons are, and what carries their datagrams |
//! | `spent` | what daemons have spent |
//! | `switch` | hosts in network namespaces |

mod joins;
mod nodes;
mod outage;
mod site;
mod spent;
mod switch;

use std::time::Duration;

use super::daemon::{Daemon, Program};
use super::figures::{Figure, Times};
use super::options::{ClusterOptions, parts_for};
use super::pages::Sums;
use super::report::table;
use super::{Result, now, pairs, progress};
use joins::{come_and_go, join_all, part_of};
use nodes::Nodes;
use outage::Length;
use site::Site;

/// How many members are there at a time while quiet names are made: each is the first member of its event, and leaves
/// again.
const BATCH: usize = 5000;

/// How many namespaces change: in every second one member joins each of them and another leaves, beside one that stays.
const CHANGING: usize = 1000;

/// How long the changes go on before they are measured, in seconds: longer than the notify interval.
const WARM_UP_S: usize = 3;

/// After this time all changes are announced, and repeated: several notify intervals.
const SETTLE: Duration = Duration::from_secs(6);

/// Longer than changes are gathered, which is 5 ms for each daemon, and 50 ms at least: after it, a change is announced at
/// once.
const QUIET: Duration = Duration::from_millis(300);

/// The time between two readings of a newcomer's stats, each of which takes the newcomer from its work. The time that it
/// took to learn is known to this and the time of one reading.
const LOOK_GAP: Duration = Duration::from_millis(50);

/// How long anything may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// The time between two looks at what is not right yet.
const REST: Duration = Duration::from_millis(50);

/// All rounds' figures, as a table.
pub(super) fn measure(options: &ClusterOptions) -> Result<String> {
    if parts_for(BATCH.max(2 * CHANGING))? > 1 {
        return Err("there are too few descriptors for a crowd of one process; raise `ulimit -n`".into());
    }
    let ClusterOptions { bus, processes, namespaces, .. } = *options;
    site::check(bus)?;
    let program = options.program.find()?;
    progress("memory");
    let mut memory = Some(pairs::measure(namespaces)?);
    let mut site = Site::build(bus, processes)?;
    let mut rounds = Vec::new();
    for number in 1..=options.rounds {
        let label = format!("round {number} of {}", options.rounds);
        let mut figures = measure_round(&mut site, &program, options, &label)?;
        let (bytes, pairs) = memory.take().unzip();
        figures.push(Figure::bytes("memory: user space, per node and namespace", bytes, pairs.unwrap_or(1)));
        rounds.push(figures);
    }
    progress("");
    Ok(table(&format!("bus={bus} nodes={processes} quiet={namespaces} changing={CHANGING}"), &rounds))
}

fn measure_round(site: &mut Site, program: &Program, options: &ClusterOptions, label: &str) -> Result<Vec<Figure>> {
    // Where the kernel picks the daemon of a join, there are two, and both must know of it.
    let timing_count = if site.is_apart() { options.processes } else { 2 };
    let mut figures =
        Nodes::start(site, program, timing_count, label)?.run(|nodes| time_joins(nodes, options.joins))?;
    figures.extend(Nodes::start(site, program, options.processes, label)?.run(|nodes| {
        let mut figures = make_quiet(nodes, options.namespaces, options.span_s)?;
        figures.extend(admit_newcomer(nodes)?);
        figures.extend(change(nodes, options.span_s)?);
        for length in [Length::Short, Length::Long] {
            figures.extend(outage::measure(nodes, length)?);
        }
        Ok(figures)
    })?);
    Ok(figures)
}

/// How long it takes until a join at one daemon is in the stats of another.
fn time_joins(nodes: &mut Nodes<'_>, joins: usize) -> Result<Vec<Figure>> {
    let mut crowd = nodes.crowd(vec!["bench".to_owned()], 0)?;
    let mut times = Times::default();
    nodes.truth.namespaces = 1;
    for place in 0..joins {
        nodes.show(&format!("join {place}"));
        crowd.listen(QUIET)?;
        nodes.truth.members += 1;
        nodes.truth.connections += 1;
        let start = now();
        crowd.join(place, 0)?;
        nodes.await_join(place)?;
        times.record(now() - start);
    }
    nodes.await_truth("joins")?;
    Ok(vec![
        Figure::time("join: in the stats of another node after", times.median()),
        Figure::time("join: 99 of 100 after", times.percentile(99.0)),
        Figure::time("join: the slowest", times.longest()),
    ])
}

/// A member joins each name, and leaves; then nothing happens.
fn make_quiet(nodes: &mut Nodes<'_>, namespaces: usize, span_s: usize) -> Result<Vec<Figure>> {
    for (batch, first) in (0..namespaces).step_by(BATCH).enumerate() {
        nodes.show(&format!("{first} names so far"));
        let names: Vec<String> =
            (first..namespaces.min(first + BATCH)).map(|number| format!("bench{number}")).collect();
        let count = names.len();
        let mut crowd = nodes.crowd(names, part_of(batch))?;
        join_all(&mut crowd, count)?;
        nodes.truth.namespaces += count as u64;
        nodes.truth.connections += count as u64;
    }
    nodes.await_truth("quiet")?;
    nodes.show("quiet");
    nodes.watch.listen(SETTLE)?;
    let before = nodes.spent()?;
    nodes.watch.listen(Duration::from_secs(span_s as u64))?;
    let most = nodes.most_since(&before)?;
    Ok(vec![
        Figure::rate("quiet: sent per second and node", most.sent),
        Figure::rate("quiet: received per second and node", most.received),
        Figure::load("quiet: CPU per node", most.cpu_ns),
    ])
}

/// One more daemon starts, which knows nothing.
fn admit_newcomer(nodes: &mut Nodes<'_>) -> Result<[Figure; 3]> {
    nodes.show("newcomer");
    let mut newcomer = nodes.start_newcomer()?;
    let figures = time_newcomer(nodes, &newcomer).map_err(|error| newcomer.explain(error))?;
    drop(newcomer);
    nodes.await_nodes()?;
    Ok(figures)
}

fn time_newcomer(nodes: &mut Nodes<'_>, newcomer: &Daemon) -> Result<[Figure; 3]> {
    let ready = now();
    let (learnt, reading) = loop {
        nodes.watch.listen(LOOK_GAP)?;
        let look = now();
        let sums = Sums::of(&newcomer.stats()?);
        if sums == nodes.truth {
            break (now() - ready, now() - look);
        }
        if now() - ready > PATIENCE {
            return Err(format!("newcomer: its stats have {sums}, and there are {}", nodes.truth).into());
        }
    };
    let lost = newcomer.cluster_page()?.datagrams.and_then(|datagrams| datagrams.overflowed);
    Ok([
        Figure::time("newcomer: its stats are complete after", Some(learnt)),
        Figure::time("newcomer: a reading of them took of that", Some(reading)),
        Figure::number("newcomer: datagrams that did not fit its buffer", lost),
    ])
}

/// At each of some names a member joins and another leaves in every second.
fn change(nodes: &mut Nodes<'_>, span_s: usize) -> Result<[Figure; 3]> {
    nodes.show("changing");
    let names = (0..CHANGING).map(|number| format!("changing{number}")).collect();
    let mut crowd = nodes.crowd(names, 0)?;
    join_all(&mut crowd, CHANGING)?;
    let start = now();
    come_and_go(&mut crowd, start, 0..WARM_UP_S * CHANGING)?;
    let before = nodes.spent()?;
    come_and_go(&mut crowd, start, WARM_UP_S * CHANGING..(WARM_UP_S + span_s) * CHANGING)?;
    let most = nodes.most_since(&before)?;
    for place in CHANGING..2 * CHANGING {
        crowd.leave(place);
    }
    let (names, changes) = (CHANGING as u64, ((WARM_UP_S + span_s) * CHANGING) as u64);
    nodes.truth.namespaces += names;
    nodes.truth.members = names;
    nodes.truth.connections += names + changes;
    nodes.await_truth("changing")?;
    nodes.truth.members = 0;
    Ok([
        Figure::rate("changing: sent per second and node", most.sent),
        Figure::rate("changing: received per second and node", most.received),
        Figure::load("changing: CPU per node, joins and counts included", most.cpu_ns),
    ])
}
