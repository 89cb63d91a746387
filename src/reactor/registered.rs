//! What the kernel watches: a source, for as long as it lives.
//!
//! Owns the source and with it the registration: the two cannot be separated, which makes the unsafe call sound. It does
//! not read or write.
//!
//! Invariant: `interest` is what the kernel watches for.

#![expect(unsafe_code, reason = "polling asks for a promise about a source's lifetime")]

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use polling::{Event, PollMode};

use super::{Reactor, Token};

/// What a source is watched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Nothing; hang-ups and errors come all the same.
    Nothing,
    /// Bytes, connections or signals to read.
    Read,
    /// Also room to write.
    ReadWrite,
    /// Room to write alone: the peer has said its last word, and would be ready to say nothing for ever.
    Write,
}

impl Interest {
    fn event(self, token: Token) -> Event {
        let reads = matches!(self, Self::Read | Self::ReadWrite);
        let writes = matches!(self, Self::ReadWrite | Self::Write);
        Event::new(token.0, reads, writes)
    }
}

/// A source and its registration.
#[derive(Debug)]
pub struct Registered<S> {
    source: S,
    interest: Interest,
}

impl<S: AsFd + AsRawFd> Registered<S> {
    /// Has the reactor watch a source.
    ///
    /// # Errors
    /// What the kernel says, for lack of memory or watches.
    pub fn new(reactor: &Reactor, source: S, token: Token, interest: Interest) -> io::Result<Self> {
        // SAFETY: the source must be deleted from the poller before it is dropped, or be forgotten by the kernel with it.
        // epoll forgets a socket when its last descriptor is closed (epoll(7), question 6). `Registered` owns the source,
        // never hands it out by value and duplicates nothing, so that descriptor is this one; and polling keeps no list
        // of sources for epoll. Deleting it first would cost a system call for every member that leaves. A socket that
        // another process has, too, is [deleted](Self::release) first.
        unsafe { reactor.poller.add_with_mode(&source, interest.event(token), PollMode::Level)? };
        Ok(Self { source, interest })
    }
}

impl<S: AsFd> Registered<S> {
    /// Has the source called by another name from now on.
    ///
    /// # Errors
    /// As [`set_interest`](Self::set_interest).
    pub fn rename(&mut self, reactor: &Reactor, token: Token) -> io::Result<()> {
        reactor.poller.modify_with_mode(&self.source, self.interest.event(token), PollMode::Level)
    }

    /// Changes what the source is watched for; free if that is no change.
    ///
    /// # Errors
    /// What the kernel says, for lack of memory.
    pub fn set_interest(&mut self, reactor: &Reactor, token: Token, interest: Interest) -> io::Result<()> {
        if self.interest != interest {
            reactor.poller.modify_with_mode(&self.source, interest.event(token), PollMode::Level)?;
            self.interest = interest;
        }
        Ok(())
    }
}

impl<S: AsFd> Registered<S> {
    /// Closes a source that another process may have, too: to the kernel it is open, and would be watched for ever.
    pub fn release(self, reactor: &Reactor) {
        // It is registered, so there is nothing to go wrong.
        let _ = reactor.poller.delete(&self.source);
    }
}

impl<S> Registered<S> {
    /// The source.
    pub fn source(&self) -> &S {
        &self.source
    }
}
