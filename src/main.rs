//! The daemon's entry: arguments in, exit code out.
//!
//! Owns the exit codes: 0 after a signal or an answer, 2 when the arguments are wrong, 1 for everything else, such as a probe
//! whose answer is no. It knows nothing of how serving is done, only whether this process does it or its workers, or only looks up a name for one.

use std::env;
use std::error::Error;
use std::process::ExitCode;

use audience_meter::config::{self, Command, Config, Probe};
use audience_meter::server::{LOOK_UP, Server, look_up, report_failure};
use audience_meter::{log, probe, supervisor};

fn main() -> ExitCode {
    if let [_, first, name] = &env::args_os().collect::<Vec<_>>()[..]
        && first == LOOK_UP
    {
        log::answer(&look_up(&name.to_string_lossy()));
        return ExitCode::SUCCESS;
    }
    let arguments = || env::args_os().skip(1).collect();
    let variable = |name: &str| env::var_os(name);
    log::set_format(config::log_format(arguments(), variable));
    match config::parse(arguments(), variable) {
        Ok(Command::Help) => log::answer(&config::usage::all()),
        Ok(Command::ShortHelp) => log::answer(&config::usage::common_only()),
        Ok(Command::Version) => log::answer(concat!(env!("CARGO_PKG_VERSION"), "\n")),
        Ok(Command::Check(config)) => return check(&config),
        Ok(Command::Run(mut config)) => {
            return run(&mut config).unwrap_or_else(|error| {
                let reason = config.rename(&error.to_string());
                // A supervisor says it, for it knows what becomes of that.
                if !report_failure(&config, &reason) {
                    log::fatal(&reason);
                }
                ExitCode::from(1)
            });
        }
        Ok(Command::Probe(question)) => return ask(question),
        Err(error) => {
            log::fatal(&error);
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

fn ask(question: Probe) -> ExitCode {
    match probe::ask(question) {
        Ok((is_yes, answer)) => {
            log::answer(&answer);
            ExitCode::from(u8::from(!is_yes))
        }
        Err(error) => {
            log::fatal(&format_args!("--probe {}: {}: {error}", question.page, question.address));
            ExitCode::from(1)
        }
    }
}

fn run(config: &mut Config) -> Result<ExitCode, Box<dyn Error>> {
    if config.debug {
        log::enable_debug();
    }
    // A supervisor has said it already.
    if config.supervisor.is_none() {
        warn_of_unknown_variables();
    }
    if config.workers > 1 {
        return supervisor::run(config);
    }
    Server::bind(config)?.run()?;
    Ok(ExitCode::SUCCESS)
}

fn check(config: &Config) -> ExitCode {
    warn_of_unknown_variables();
    let problems = config.check_files();
    for problem in &problems {
        log::fatal(&config.rename(problem));
    }
    if !problems.is_empty() {
        return ExitCode::from(2);
    }
    log::answer("the options and their files are right\n");
    ExitCode::SUCCESS
}

fn warn_of_unknown_variables() {
    for config::Unknown { name, nearest } in config::unknown(env::vars_os()) {
        log::warn("unknown_variable", &[("name", name[..].into()), ("nearest", nearest[..].into())]);
    }
}
