//! The world of many nodes by chance: each run is one seed, and the script that the seed makes.
//!
//! `METER_SEED=<n>` runs one seed alone, `METER_SEEDS=<n>` that many; a failing one is named by the panic. With `METER_SCRIPT=<file>`
//! the script of `METER_SEED` is written there: as a file of `fuzz/corpus/meter` it stays what it is though seeds make other
//! scripts some day, and `cargo +nightly fuzz tmin meter <file>` makes it short.

use std::num::NonZero;
use std::ops::Range;
use std::panic::{catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use audience_kit::world::{Outcome, Scene, brokered_ending_of, brokered_of, ending_of, hung_ear_of, run, script_of};

/// How many seeds plain `cargo test` runs, and how many for each way in which events end.
const SEEDS: u64 = 600;
const ENDING_SEEDS: u64 = 150;

/// How many seeds have a broker between hosts, and how many for each way in which events end there.
const BROKERED_SEEDS: u64 = 300;
const BROKERED_ENDING_SEEDS: u64 = 50;

/// How many seeds have a process that hangs.
const HUNG_SEEDS: u64 = 60;

/// The seeds that are asked for, or as many as there are by default.
fn seeds(default: u64) -> Range<u64> {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    match number("METER_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("METER_SEEDS").unwrap_or(default),
    }
}

/// Runs the scripts of all seeds on all cores, and returns what they came to.
fn run_all(default: u64, script_of: impl Fn(u64) -> Vec<u8> + Sync) -> Outcome {
    let Range { start, end } = seeds(default);
    let next = AtomicU64::new(start);
    let run_some = || {
        let mut sum = Outcome::default();
        let seeds = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed)).take_while(|&seed| seed < end);
        for seed in seeds {
            let outcome = run_seed(seed, &script_of(seed));
            sum = sum.and(outcome);
        }
        sum
    };
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(run_some)).collect();
        workers
            .into_iter()
            .fold(Outcome::default(), |sum, worker| sum.and(worker.join().unwrap_or_else(|panic| resume_unwind(panic))))
    })
}

/// Runs the script of one seed.
fn run_seed(seed: u64, script: &[u8]) -> Outcome {
    if let (true, Ok(file)) = (std::env::var("METER_SEED").is_ok(), std::env::var("METER_SCRIPT")) {
        std::fs::write(file, script).unwrap();
    }
    let outcome = catch_unwind(|| run(script));
    outcome.unwrap_or_else(|_| panic!("run again with METER_SEED={seed}; METER_SCRIPT=<file> keeps its script"))
}

fn run_endings(scene: Scene) -> Outcome {
    run_all(ENDING_SEEDS, |seed| ending_of(seed, scene))
}

#[test]
fn every_node_knows_the_true_total_whatever_the_network_does() {
    run_all(SEEDS, script_of);
}

#[test]
fn every_node_knows_the_true_total_over_a_broker_that_is_slow_or_away_or_doubles() {
    run_all(BROKERED_SEEDS, brokered_of);
}

#[test]
fn each_event_is_reported_by_one_node_over_a_broker() {
    for scene in [Scene::AllThere, Scene::OneGone, Scene::OneDies, Scene::Together] {
        let Outcome { events, reported, .. } = run_all(BROKERED_ENDING_SEEDS, |seed| brokered_ending_of(seed, scene));
        assert!(events > 0 && reported == events, "{scene:?}: {reported} of {events}");
    }
}

#[test]
fn a_process_that_hangs_takes_no_node_but_itself_from_the_others() {
    let Outcome { lost, .. } = run_all(HUNG_SEEDS, hung_ear_of);
    assert_eq!(lost, 1, "the process that hangs is missed once, and misses none");
}

#[test]
fn each_event_is_reported_by_one_node_and_truly() {
    let Outcome { events, reported, .. } = run_endings(Scene::AllThere);
    assert!(events > 0 && reported == events, "{reported} of {events}");
}

#[test]
fn a_node_that_departs_before_leaves_the_report_to_the_others() {
    let Outcome { events, reported, .. } = run_endings(Scene::OneGone);
    assert!(events > 0 && reported == events, "{reported} of {events}");
}

#[test]
fn each_event_is_reported_though_a_node_dies_at_any_time() {
    let Outcome { events, reported, .. } = run_endings(Scene::OneDies);
    assert!(events > 0 && reported == events, "{reported} of {events}");
}

#[test]
fn nodes_that_end_together_report_once() {
    let Outcome { events, reported, .. } = run_endings(Scene::Together);
    assert!(events > 0 && reported == events, "{reported} of {events}");
}
