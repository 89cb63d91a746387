//! What a process of the instrument waits for: its sockets and pipes, and the two signals that end a run.
//!
//! Owns an epoll in level mode, apart from the daemon's reactor: that one is measured. It reads from no source but its
//! signals.
//!
//! Invariant: SIGTERM and SIGINT end a run like any error, so that no process that was started outlives it.

use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::Result;

/// The token of the signals, which no source may have.
const SIGNALS: usize = usize::MAX;

/// Events that one wait takes. A read is about 2 us, so a batch is over within 0.2 ms.
const EVENTS_PER_WAIT: usize = 64;

/// Sources that are watched.
pub(super) struct Poll {
    epoll: Epoll,
    signals: SignalFd,
    events: [EpollEvent; EVENTS_PER_WAIT],
}

impl Poll {
    /// Takes both signals out of their usual course. Call it before there are threads.
    pub(super) fn new() -> Result<Self> {
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGTERM);
        mask.add(Signal::SIGINT);
        mask.thread_block()?;
        let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&signals, EpollEvent::new(EpollFlags::EPOLLIN, SIGNALS as u64))?;
        Ok(Self { epoll, signals, events: [EpollEvent::empty(); EVENTS_PER_WAIT] })
    }

    /// Watches a source for bytes to read, until its last descriptor is closed. The token is less than `usize::MAX`.
    pub(super) fn add(&self, source: impl AsFd, token: usize) -> Result<()> {
        debug_assert_ne!(token, SIGNALS, "the signals have this token");
        Ok(self.epoll.add(source, EpollEvent::new(EpollFlags::EPOLLIN, token as u64))?)
    }

    /// Replaces `ready` by the tokens of the sources that have bytes to read. It waits for one at most `wait`, rounded up
    /// to milliseconds. Returns whether these are all.
    ///
    /// # Errors
    /// A signal has come, or the kernel fails.
    pub(super) fn wait(&mut self, wait: Duration, ready: &mut Vec<usize>) -> Result<bool> {
        let wait_ms = i32::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX);
        ready.clear();
        let count = match self.epoll.wait(&mut self.events, EpollTimeout::try_from(wait_ms)?) {
            Ok(count) => count,
            // The process was stopped and goes on.
            Err(Errno::EINTR) => 0,
            Err(error) => return Err(error.into()),
        };
        for event in &self.events[..count] {
            let token = usize::try_from(event.data())?;
            if token == SIGNALS {
                let signal = self.signals.read_signal()?.map_or(0, |signal| signal.ssi_signo);
                return Err(format!("ended by signal {signal}").into());
            }
            ready.push(token);
        }
        Ok(count < EVENTS_PER_WAIT)
    }
}
