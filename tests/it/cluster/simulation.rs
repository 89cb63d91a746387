//! The world of many nodes by chance: each run is one seed, and the script that the seed makes.
//!
//! `METER_SEED=<n>` runs one seed alone, `METER_SEEDS=<n>` that many; a failing one is named by the panic. With `METER_SCRIPT=<file>`
//! the script of `METER_SEED` is written there: as a file of `fuzz/corpus/meter` it stays what it is though seeds make other
//! scripts some day, and `cargo +nightly fuzz tmin meter <file>` makes it short.

use std::ops::Range;
use std::panic::catch_unwind;

use audience_kit::world::{Outcome, Scene, ending_of, run, script_of};

/// How many seeds plain `cargo test` runs, and how many for each way in which events end.
const SEEDS: u64 = 600;
const ENDING_SEEDS: u64 = 150;

/// The seeds that are asked for, or as many as there are by default.
fn seeds(default: u64) -> Range<u64> {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    match number("METER_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("METER_SEEDS").unwrap_or(default),
    }
}

/// Runs the scripts of all seeds, and returns what they came to.
fn run_all(default: u64, script_of: impl Fn(u64) -> Vec<u8>) -> Outcome {
    let mut sum = Outcome::default();
    for seed in seeds(default) {
        let script = script_of(seed);
        if let (true, Ok(file)) = (std::env::var("METER_SEED").is_ok(), std::env::var("METER_SCRIPT")) {
            std::fs::write(file, &script).unwrap();
        }
        let Ok(outcome) = catch_unwind(|| run(&script)) else {
            panic!("run again with METER_SEED={seed}; METER_SCRIPT=<file> keeps its script");
        };
        sum.events += outcome.events;
        sum.reported += outcome.reported;
    }
    sum
}

fn run_endings(scene: Scene) -> Outcome {
    run_all(ENDING_SEEDS, |seed| ending_of(seed, scene))
}

#[test]
fn every_node_knows_the_true_total_whatever_the_network_does() {
    run_all(SEEDS, script_of);
}

#[test]
fn each_event_is_reported_by_one_node_and_truly() {
    let Outcome { events, reported } = run_endings(Scene::AllThere);
    assert!(events > 0 && reported == events, "{reported} of {events}");
}

#[test]
fn a_node_that_departs_before_leaves_the_report_to_the_others() {
    let Outcome { events, reported } = run_endings(Scene::OneGone);
    assert!(events > 0 && reported == events, "{reported} of {events}");
}

#[test]
fn a_report_is_at_most_one_though_a_node_dies_at_any_time() {
    let Outcome { events, reported } = run_endings(Scene::OneDies);
    let lost = events - reported;
    // One of three nodes or so has the report, and five of 30 seconds are those in which it is not missed yet.
    assert!(lost * 5 < events || events < 100, "{lost} of {events} are lost");
}

#[test]
fn nodes_that_end_together_report_once() {
    let Outcome { events, reported } = run_endings(Scene::Together);
    assert!(events > 0 && reported == events, "{reported} of {events}");
}
