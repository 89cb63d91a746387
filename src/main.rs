//! The daemon's entry: arguments in, exit code out.
//!
//! Owns the exit codes: 0 after a signal or an answer, 2 when the arguments are wrong, 1 for everything else. It knows
//! nothing of how serving is done.

use std::process::ExitCode;

use audience_meter::config::{self, Command};
use audience_meter::log;
use audience_meter::server::Server;

fn main() -> ExitCode {
    match config::parse(std::env::args_os().skip(1).collect(), |name| std::env::var_os(name)) {
        Ok(Command::Help) => log::answer(config::USAGE),
        Ok(Command::Version) => log::answer(concat!(env!("CARGO_PKG_VERSION"), "\n")),
        Ok(Command::Run(config)) => {
            if config.debug {
                log::enable_debug();
            }
            let served = Server::bind(*config).and_then(|server| Ok(server.run()?));
            if let Err(error) = served {
                log::fatal(&error);
                return ExitCode::from(1);
            }
        }
        Err(error) => {
            log::fatal(&error);
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
