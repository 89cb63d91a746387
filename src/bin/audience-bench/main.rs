//! Measures what a daemon spends on a member, and checks that it counts right while it does.
//!
//! Heir of the 2011 bench.js, whose flags it keeps. Owns the course of a run (rounds, each from nobody to nobody), the
//! clock and what is printed. One thread, the library's own reactor: what a member costs here is close to what it costs
//! there, so the two share the machine fairly.
//!
//! It is no test: it asserts no figure. But a figure of a daemon that miscounts is worth nothing, so a wrong count at
//! the end of any phase ends the run with exit code 1.

mod cluster;
mod crowd;
mod daemon;
mod member;
mod options;
mod pairs;
mod process;
mod report;
mod round;

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Instant;

use audience_meter::log;
use daemon::Daemon;
use options::{Command, Options, Target};
use process::Process;
use round::Round;

/// What goes wrong is told to a person, and nothing is done about it but ending.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let measured = match options::parse(std::env::args_os().skip(1).collect()) {
        Ok(Command::Help) => Ok(options::USAGE.to_owned()),
        Ok(Command::Run(options)) => measure(&options),
        Ok(Command::Cluster(options)) => cluster::measure(&options),
        Err(error) => {
            say(format_args!("audience-bench: {error}\n"));
            return ExitCode::from(2);
        }
    };
    match measured {
        Ok(text) => log::answer(&text),
        Err(error) => {
            progress("");
            say(format_args!("audience-bench: {error}\n"));
            return ExitCode::from(1);
        }
    }
    ExitCode::SUCCESS
}

/// All rounds' figures, as a table.
fn measure(options: &Options) -> Result<String> {
    options::check_descriptors(options.members)?;
    let mut rounds = Vec::new();
    let mut memory_of_nobody = None;
    for number in 1..=options.rounds {
        // A daemon of our own is a new one each time: the second audience of an old one finds its tables grown already.
        let mut daemon = match &options.target {
            Target::Own => Daemon::start()?,
            Target::Running(running) => Daemon::at(running),
        };
        if daemon.is_own() || number == 1 {
            memory_of_nobody = daemon.process.as_ref().map(Process::anonymous_bytes).transpose()?;
        }
        let label = format!("round {number} of {}", options.rounds);
        let figures = Round::begin(options, &daemon, label).and_then(|mut round| round.run(memory_of_nobody));
        rounds.push(figures.map_err(|error| daemon.explain(error))?);
    }
    progress("");
    let Options { members, events, .. } = options;
    Ok(report::table(&format!("members={members} events={events}"), &rounds))
}

/// The only look at a clock.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn now() -> Instant {
    Instant::now()
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
