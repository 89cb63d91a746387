//! Measures what a daemon spends on a member, and checks that it counts right while it does.
//!
//! Heir of the 2011 bench.js, whose flags it keeps. This file owns the clock and what is printed. The others:
//!
//! | file | owns |
//! |---|---|
//! | `options` | the commands and their flags |
//! | `round` | the course of a round, from nobody to nobody, and the checks between its phases |
//! | `compare`, `fairness`, `cluster`, `pairs` | what is measured beside that, and what is wanted |
//! | `soak` | everything at once, for a long time, and what has to be true each time that it is quiet |
//! | `server`, `daemon`, `process`, `floor` | who is measured: processes, what they say and what they have spent |
//! | `parts`, `order`, `part` | the crowd, in as many processes as it takes, and what it is told to do |
//! | `crowd`, `member` | the streams that one of those processes holds |
//! | `stream` | one stream, for times that are no matter of a crowd |
//! | `watchers` | streams that watch all events meanwhile |
//! | `report`, `plot` | tables, JSON and the picture |
//!
//! Only the soak is a test; all else asserts no figure. But a figure of a daemon that miscounts is worth nothing, so a wrong
//! count at the end of any phase ends the run with exit code 1.

mod cluster;
mod compare;
mod crowd;
mod daemon;
mod fairness;
mod floor;
mod member;
mod options;
mod order;
mod pairs;
mod part;
mod parts;
mod plot;
mod process;
mod report;
mod round;
mod server;
mod soak;
mod stream;
mod watchers;

use std::fs::File;
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Instant, SystemTime};

use audience_meter::log;
use options::{Command, LoadOptions, Target};
use report::Figure;
use round::Round;
use serde_json::Value;
use server::{Kind, Server};
use watchers::Watchers;

/// What goes wrong is told to a person, and nothing is done about it but ending.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let command = match options::parse(std::env::args_os().skip(1).collect()) {
        Ok(command) => command,
        Err(error) => {
            say(format_args!("audience-bench: {error}\n"));
            return ExitCode::from(2);
        }
    };
    match run(&command) {
        Ok(text) => log::answer(&text),
        Err(error) => {
            progress("");
            say(format_args!("audience-bench: {error}\n"));
            return ExitCode::from(1);
        }
    }
    ExitCode::SUCCESS
}

/// Returns what there is to print.
fn run(command: &Command) -> Result<String> {
    match command {
        Command::Help => Ok(options::USAGE.to_owned()),
        Command::Load(options) => measure_load(options),
        Command::Compare(options, json) => keep(json.as_deref(), || compare::measure(options)),
        Command::Fairness(options, json) => keep(json.as_deref(), || fairness::measure(options)),
        Command::Growth(options, json) => keep(json.as_deref(), || compare::measure_growth(options)),
        Command::Plot(growth) => plot(growth),
        Command::Cluster(options) => cluster::measure(options),
        Command::Soak(options) => soak::measure(options),
        Command::Floor(options) => floor::serve(options).map(|()| String::new()),
        Command::Part(options) => part::serve(options).map(|()| String::new()),
    }
}

/// All rounds' figures, as a table.
fn measure_load(options: &LoadOptions) -> Result<String> {
    let LoadOptions { target, plan, parts, rounds } = options;
    let mut all: Vec<Vec<Figure>> = Vec::new();
    let mut memory_of_nobody = None;
    for number in 1..=*rounds {
        // A daemon of our own is a new one each time: the second audience of an old one finds its tables grown already.
        let mut server = match target {
            Target::Own(processes) => Server::start(Kind::Daemon, *processes, daemon::Telling::Soon)?,
            Target::Running(running) => Server::at(running),
        };
        if matches!(target, Target::Own(_)) || number == 1 {
            memory_of_nobody = server.anonymous_bytes()?;
        }
        let _watching = Watchers::start(plan.watchers, &server)?;
        let label = format!("round {number} of {rounds}");
        let figures = Round::begin(plan, &server, *parts, label).and_then(|mut round| round.run(memory_of_nobody));
        all.push(figures.map_err(|error| server.explain(error))?);
    }
    progress("");
    let watched = if plan.watchers > 0 { format!(" watchers={}", plan.watchers) } else { String::new() };
    Ok(report::table(&format!("members={} events={}{watched}", plan.members, plan.events), &all))
}

/// Measures, and writes the figures to a file, if there is to be one; whether there can be is seen before.
fn keep(file: Option<&Path>, measure: impl FnOnce() -> Result<(String, Value)>) -> Result<String> {
    let Some(path) = file else { return Ok(measure()?.0) };
    let cannot_write = |error| format!("cannot write {}: {error}", path.display());
    let mut file = File::create(path).map_err(cannot_write)?;
    let (text, json) = measure()?;
    file.write_all(format!("{json:#}\n").as_bytes()).map_err(cannot_write)?;
    Ok(text)
}

/// The picture of what `growth` wrote into a file.
fn plot(growth: &Path) -> Result<String> {
    let told = |why: &dyn std::fmt::Display| format!("{}: {why}", growth.display());
    let text = std::fs::read_to_string(growth).map_err(|error| told(&error))?;
    let value = serde_json::from_str(&text).map_err(|error| told(&error))?;
    Ok(plot::svg(&value).map_err(|error| told(&error))?)
}

/// The only look at a clock that goes on evenly.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn now() -> Instant {
    Instant::now()
}

/// The only look at a clock that all processes share.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn unix_ns() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// What is being done, for whoever watches; the line replaces the one before.
fn progress(what: &str) {
    if std::io::stderr().is_terminal() {
        say(format_args!("\r\x1b[K{what}"));
    }
}

/// What goes to stderr.
fn say(text: std::fmt::Arguments<'_>) {
    // Nobody listens any more: no reason to panic.
    let _ = std::io::stderr().lock().write_fmt(text);
}
