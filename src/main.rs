//! The daemon's entry: arguments in, exit code out.
//!
//! Owns the exit codes: 0 after a signal or an answer, 2 when the arguments are wrong, 1 for everything else. It knows
//! nothing of how serving is done, only whether this process does it or its workers.

use std::error::Error;
use std::process::ExitCode;

use audience_meter::config::{self, Command, Config};
use audience_meter::server::Server;
use audience_meter::{log, supervisor};

fn main() -> ExitCode {
    match config::parse(std::env::args_os().skip(1).collect(), |name| std::env::var_os(name)) {
        Ok(Command::Help) => log::answer(&config::usage::all()),
        Ok(Command::ShortHelp) => log::answer(&config::usage::common_only()),
        Ok(Command::Version) => log::answer(concat!(env!("CARGO_PKG_VERSION"), "\n")),
        Ok(Command::Run(config)) => {
            return run(&config).unwrap_or_else(|error| {
                log::fatal(&error);
                ExitCode::from(1)
            });
        }
        Err(error) => {
            log::fatal(&error);
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

fn run(config: &Config) -> Result<ExitCode, Box<dyn Error>> {
    if config.debug {
        log::enable_debug();
    }
    if config.workers > 1 {
        return supervisor::run(config);
    }
    Server::bind(config)?.run()?;
    Ok(ExitCode::SUCCESS)
}
