//! Measures what a daemon spends on a member, and checks at the same time that it counts right.
//!
//! Heir of the 2011 bench.js, whose flags it keeps. This file owns the clock and what is printed. The other files:
//!
//! | file | owns |
//! |---|---|
//! | `options` | the commands and their flags |
//! | `round` | the course of a round, from no member to no member, and the checks between its phases |
//! | `compare`, `fairness`, `cluster`, `pairs` | what else is measured, and the target of each figure |
//! | `soak` | everything at once for a long time, and what must be true at each quiet point |
//! | `turns` | how long the daemon's turns are under loads that touch very much at once |
//! | `server`, `daemon`, `pages`, `process`, `floor` | the measured side: processes, their pages, what they have spent |
//! | `parts`, `protocol`, `part` | the crowd, in several processes, and the lines by which they are ordered |
//! | `crowd`, `member` | the streams that one of those processes holds |
//! | `poll`, `sockets` | the instrument's own epoll, and the floor's sockets |
//! | `host`, `ports` | networks beside that of this process, and ports for daemons |
//! | `stream`, `watchers` | single streams beside the crowd, and streams that watch all events |
//! | `figures`, `report`, `plot` | numbers, tables, JSON and the picture |
//!
//! The instrument shares no code with the daemon's loop: a fault there would hide from its own measurement. Only the soak
//! is a test; the other commands assert no figure. A wrong count at the end of any phase ends the run with exit code 1,
//! for figures of a daemon that miscounts are worthless.

#![forbid(unsafe_code)]

mod cluster;
mod compare;
mod crowd;
mod daemon;
mod fairness;
mod figures;
mod floor;
mod host;
mod member;
mod options;
mod pages;
mod pairs;
mod part;
mod parts;
mod plot;
mod poll;
mod ports;
mod process;
mod protocol;
mod report;
mod round;
mod server;
mod soak;
mod sockets;
mod stream;
mod turns;
mod watchers;

use std::fs::File;
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Instant, SystemTime};

use figures::Figure;
use options::{Command, LoadOptions, ParseFailure};
use round::Round;
use serde::Serialize;
use server::Server;
use watchers::Watchers;

/// An error is a line for a person; nothing is done about it, and the run ends.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let command = match options::parse(std::env::args_os()) {
        Ok(command) => command,
        Err(ParseFailure::Help(text)) => return print(&text),
        Err(ParseFailure::Refusal(line)) => {
            say(format_args!("audience-bench: {line}; see --help\n"));
            return ExitCode::from(2);
        }
    };
    match run(&command) {
        Ok(text) => print(&text),
        Err(error) => {
            progress("");
            say(format_args!("audience-bench: {error}\n"));
            ExitCode::from(1)
        }
    }
}

/// Returns the text to print.
fn run(command: &Command) -> Result<String> {
    match command {
        Command::Load(options) => measure_load(options),
        Command::Compare(options) => keep(options.json.as_deref(), || compare::measure(options)),
        Command::Fairness(options) => keep(options.json.as_deref(), || fairness::measure(options)),
        Command::Growth(options) => keep(options.json.as_deref(), || compare::measure_growth(options)),
        Command::Plot(options) => plot(&options.file),
        Command::Cluster(options) => cluster::measure(options),
        Command::Soak(options) => soak::measure(options),
        Command::Turns(options) => turns::measure(options),
        Command::Floor(options) => floor::serve(options).map(|()| String::new()),
        Command::Part => part::serve().map(|()| String::new()),
    }
}

/// The figures of all rounds, as a table.
fn measure_load(options: &LoadOptions) -> Result<String> {
    let (plan, parts) = (options.plan(), options::parts_for(options.members + 1)?);
    let mut all: Vec<Vec<Figure>> = Vec::new();
    let mut memory_before = None;
    for number in 1..=options.rounds {
        // Each round has a new daemon of its own: the tables of an old one have grown already.
        let mut server = match options.running() {
            Some(running) => Server::at(&running),
            None => Server::start_daemons(&options.program.find()?, options.processes, daemon::Counts::Pushed)?,
        };
        if options.running().is_none() || number == 1 {
            memory_before = server.anonymous_bytes()?;
        }
        let _watching = Watchers::start(plan.watchers, &server)?;
        let label = format!("round {number} of {}", options.rounds);
        let figures = Round::begin(&plan, &server, parts, label).and_then(|mut round| round.run(memory_before));
        all.push(figures.map_err(|error| server.explain(error))?);
    }
    progress("");
    let watched = if plan.watchers > 0 { format!(" watchers={}", plan.watchers) } else { String::new() };
    Ok(report::table(&format!("members={} events={}{watched}", plan.members, plan.events), &all))
}

/// Measures, and writes the figures to a file if one is named. The file is created first, so that a bad path costs no run.
fn keep<T: Serialize>(file: Option<&Path>, measure: impl FnOnce() -> Result<(String, T)>) -> Result<String> {
    let Some(path) = file else { return Ok(measure()?.0) };
    let cannot_write = |error| format!("cannot write {}: {error}", path.display());
    let mut file = File::create(path).map_err(cannot_write)?;
    let (text, figures) = measure()?;
    let json = serde_json::to_string_pretty(&figures)?;
    file.write_all(format!("{json}\n").as_bytes()).map_err(cannot_write)?;
    Ok(text)
}

/// The picture of the figures that `growth` has written to a file.
fn plot(file: &Path) -> Result<String> {
    let in_file = |why: &dyn std::fmt::Display| format!("{}: {why}", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| in_file(&error))?;
    let growth = serde_json::from_str(&text)
        .map_err(|error| in_file(&format_args!("{error}; give what `growth` has written with --json")))?;
    Ok(plot::svg(&growth).map_err(|error| in_file(&error))?)
}

/// The only reading of the monotonic clock.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn now() -> Instant {
    Instant::now()
}

/// The only reading of the clock that all processes share.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn unix_ns() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Shows on a terminal what is being done; the line replaces the one before.
fn progress(what: &str) {
    if std::io::stderr().is_terminal() {
        say(format_args!("\r\x1b[K{what}"));
    }
}

/// Writes to stderr.
fn say(text: std::fmt::Arguments<'_>) {
    // A closed stderr has no reader: no reason to panic.
    let _ = std::io::stderr().lock().write_fmt(text);
}

/// Writes a result to stdout; returns the exit code.
fn print(text: &str) -> ExitCode {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(format_args!("audience-bench: cannot write the result: {error}\n"));
            ExitCode::from(1)
        }
    }
}
