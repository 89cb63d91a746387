//! The place of a worker: the process that serves there now, and what stays when it is replaced.
//!
//! Owns the sockets of the place, and the time of the next start. The sockets are bound once. While a worker is replaced, the
//! connections that come wait there; but a place that stays empty may not keep clients waiting.
//!
//! Invariant: a post has sockets that listen only while a worker is there, or is expected within moments.

use std::error::Error;
use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use super::child::Child;
use super::time::Backoff;
use crate::collections::tick::Tick;
use crate::config::Config;
use crate::reactor::{proc, sys};
use crate::server::{Sockets, open_loopback};
use crate::wire::handover::{self, Frame};

/// How long a worker may be silent before it counts as hung and is killed: its share of new connections would wait for ever.
///
/// A worker beats each second and its beats are read each second, so a healthy one is silent for up to 2 s. Sleep in between
/// adds [`AWAKE_MAX`](super::time::AWAKE_MAX). That leaves 1.9 s in which a loop whose turns take some milliseconds has to get round once.
const HUNG_AFTER: Duration = Duration::from_secs(5);

/// How much processor time a worker that is overdue may use without a beat, in microseconds. A beat takes 10 us, and a loop that
/// turns comes round to it a hundred times in this time.
const BEAT_CPU_US: u64 = 1_000_000;

/// How long a worker may take to be ready. Receiving the other nodes' state takes a second at most; but the CPU may be
/// busy, and few clients miss a worker that has never been ready.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// How long a post may be empty and listen. That is long enough for a first replacement and a second one, if none died shortly
/// before; while the next one is due later, newcomers go to siblings at once.
const EMPTY_MAX: Duration = Duration::from_millis(200);

/// A process that serves, or is about to.
pub(super) struct Worker {
    pub(super) child: Child,
    pub(super) started: Tick,
    /// When its last beat was read; the first one says that it is ready.
    pub(super) last_beat: Option<Tick>,
    pub(super) is_killed: bool,
    /// The processor time that it had used when its beat was first found overdue, in microseconds.
    overdue_cpu_us: Option<u64>,
}

impl Worker {
    /// A worker whose process exists, and that is not ready yet.
    pub(super) fn new(child: Child, now: Tick) -> Self {
        Self { child, started: now, last_beat: None, is_killed: false, overdue_cpu_us: None }
    }

    /// Records a beat; returns whether it was the first one.
    pub(super) fn record_beat(&mut self, now: Tick) -> bool {
        self.overdue_cpu_us = None;
        self.last_beat.replace(now).is_none()
    }

    /// Whether its beat is overdue because others have the processor: it wants one, and has not got enough for a beat. That
    /// is none of its faults, and a replacement would get no more.
    pub(super) fn is_starved(&mut self) -> bool {
        let Some(used_us) = proc::running_cpu_us(self.child.id()) else { return false };
        let before_us = *self.overdue_cpu_us.get_or_insert(used_us);
        used_us.saturating_sub(before_us) < BEAT_CPU_US
    }

    /// Whether a beat is overdue.
    pub(super) fn is_hung(&self, now: Tick) -> bool {
        let patience =
            self.last_beat.map_or_else(|| self.started.after(READY_WITHIN), |last_beat| last_beat.after(HUNG_AFTER));
        patience <= now
    }
}

/// The sockets of a place.
pub(super) struct PostSockets {
    ports: Sockets,
    /// Datagrams of siblings come by it.
    loopback: UdpSocket,
}

impl PostSockets {
    /// Opens them, with this audience port.
    ///
    /// # Errors
    /// What cannot be opened, by its option.
    pub(super) fn open(config: &Config, audience_port: u16) -> Result<Self, Box<dyn Error>> {
        let ports = Sockets::bind(config, audience_port)?;
        Ok(Self { ports, loopback: open_loopback(config, audience_port)? })
    }

    /// Appends what a worker needs to take them over.
    pub(super) fn push(&self, out: &mut Vec<u8>) {
        self.ports.push(out);
        handover::push(out, &Frame::Loopback(self.loopback.as_raw_fd().cast_unsigned()));
    }

    /// Has children that are started from now on inherit them, or not.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn set_inherited(&self, is_inherited: bool) -> io::Result<()> {
        self.ports.set_inherited(is_inherited)?;
        sys::set_inherited(&self.loopback, is_inherited)
    }
}

/// The place of a worker; its worker may be replaced.
#[derive(Default)]
pub(super) struct Post {
    pub(super) worker: Option<Worker>,
    /// The sockets of its ports, once they are bound.
    pub(super) sockets: Option<PostSockets>,
    /// When the next one is started, if there is none.
    pub(super) start_at: Tick,
    backoff: Backoff,
    /// Whether a worker was ever started here.
    pub(super) is_used: bool,
}

impl Post {
    /// Whether a worker serves here.
    pub(super) fn is_served(&self) -> bool {
        self.worker.as_ref().is_some_and(|worker| worker.last_beat.is_some() && !worker.is_killed)
    }

    /// Sets the time of the next start, after a worker that has lived this long; returns the milliseconds until then.
    pub(super) fn put_off(&mut self, lived: Duration, now: Tick) -> u64 {
        let delay = self.backoff.next(lived);
        self.start_at = now.after(delay);
        if delay > EMPTY_MAX
            && let Some(sockets) = &self.sockets
        {
            sockets.ports.stop();
        }
        u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::reactor::{Reactor, Token};

    fn worker(script: &str) -> Worker {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Worker::new(Child::start(&Reactor::new().unwrap(), Token(0), command, b"").unwrap(), Tick(0))
    }

    #[test]
    fn a_worker_that_uses_the_processor_and_does_not_beat_is_not_starved() {
        let mut worker = worker("while :; do :; done");
        let is_first = worker.is_starved();
        while worker.is_starved() || worker.overdue_cpu_us.is_none() {
            std::thread::yield_now();
        }
        let used_us = proc::running_cpu_us(worker.child.id()).unwrap_or(u64::MAX);
        worker.child.kill();
        assert!(used_us >= BEAT_CPU_US, "{used_us}, {is_first}");
        assert!(worker.record_beat(Tick(1)) && worker.overdue_cpu_us.is_none());
    }

    #[test]
    fn a_worker_that_is_stopped_is_not_starved() {
        let mut worker = worker("kill -STOP $$");
        while worker.is_starved() {
            std::thread::yield_now();
        }
        worker.child.kill();
    }
}
