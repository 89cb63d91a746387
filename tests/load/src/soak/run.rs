//! One daemon from its start to its end.
//!
//! Owns the process and its log. It does not decide what happens to the daemon.

use super::log::Log;
use crate::Result;
use crate::daemon::{Daemon, Program};
use crate::host::Host;

/// A daemon and its log.
pub(super) struct Run {
    pub(super) daemon: Daemon,
    pub(super) log: Log,
}

impl Run {
    /// Starts a daemon at a host.
    pub(super) fn begin(
        program: &Program,
        port: u16,
        options: &[String],
        host: &Host,
        (log, file): (Log, std::fs::File),
    ) -> Result<Self> {
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        Ok(Self { daemon: Daemon::begin_at(host, file, program, port, &options)?, log })
    }

    /// Ends it, if it has not ended; returns its last lines.
    pub(super) fn end(self) -> String {
        drop(self.daemon);
        self.log.end()
    }
}
