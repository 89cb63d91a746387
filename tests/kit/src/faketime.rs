//! Time that libfaketime makes up for a daemon.
//!
//! Owns the file from which the daemon's clocks are read. It knows nothing of what the daemon does with them.
//!
//! Invariant: the file is whole whenever it is read.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::{Daemon, output, program};

/// A file that says which time libfaketime makes up.
pub struct Time(PathBuf);

impl Time {
    /// The true time, until it jumps.
    #[must_use]
    pub fn start(name: &str) -> Self {
        let time = Time(std::env::temp_dir().join(format!("audience-meter-{}-{name}", std::process::id())));
        time.jump("+0");
        time
    }

    /// It is off by this from now on, as libfaketime writes it.
    ///
    /// # Panics
    /// If there is no place for a file.
    pub fn jump(&self, offset: &str) {
        // At one blow, because the daemon reads it all the time.
        let draft = self.0.with_extension("draft");
        fs::write(&draft, format!("{offset}\n")).unwrap();
        fs::rename(draft, &self.0).unwrap();
    }

    /// A daemon that lives in it.
    ///
    /// # Errors
    /// Why there is none: libfaketime is not here.
    #[track_caller]
    pub fn daemon(&self, is_monotonic_true: bool, args: &[&str]) -> Result<Daemon, String> {
        let library = output("faketime", &["-f", "+0", "printenv", "LD_PRELOAD"])?;
        let command = || {
            let mut command = Command::new(program());
            command.env("LD_PRELOAD", library.trim()).env("FAKETIME_TIMESTAMP_FILE", &self.0);
            command.env("FAKETIME_NO_CACHE", "1");
            command.env("FAKETIME_DONT_FAKE_MONOTONIC", if is_monotonic_true { "1" } else { "0" });
            command
        };
        Ok(Daemon::start_with(command, args))
    }
}

impl Drop for Time {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
