//! What daemons have spent.
//!
//! Owns the difference between two readings, and which daemon has spent most.

use std::time::{Duration, Instant};

use crate::daemon::Daemon;
use crate::process::Process;
use crate::{Result, now};

/// What a daemon has spent so far.
#[derive(Clone, Copy)]
pub(super) struct Spent {
    at: Instant,
    sent: u64,
    received: u64,
    cpu_ns: u64,
}

/// An amount, and the time in which it was spent.
pub(super) type Rate = (u64, Duration);

/// The most that any daemon has spent: bytes of datagrams, and nanoseconds on the CPU.
pub(super) struct Most {
    pub(super) sent: Rate,
    pub(super) received: Rate,
    pub(super) cpu_ns: Rate,
}

impl Spent {
    pub(super) fn of(daemon: &Daemon) -> Result<Self> {
        let datagrams = daemon.cluster_page()?.datagrams;
        let at = now();
        let cpu_ns = daemon.process.as_ref().map(Process::cpu_ns).transpose()?;
        let (datagrams, cpu_ns) = datagrams.zip(cpu_ns).ok_or("a daemon does not say what it has spent")?;
        Ok(Self { at, sent: datagrams.bytes_sent, received: datagrams.bytes_received, cpu_ns })
    }
}

impl Most {
    /// # Errors
    /// There is no daemon.
    pub(super) fn between(before: &[Spent], after: &[Spent]) -> Result<Self> {
        let most = |of: fn(&Spent) -> u64| {
            let rates = before.iter().zip(after).map(|(before, after)| (of(after) - of(before), after.at - before.at));
            rates.max().ok_or("there is no daemon")
        };
        Ok(Self { sent: most(|of| of.sent)?, received: most(|of| of.received)?, cpu_ns: most(|of| of.cpu_ns)? })
    }
}
