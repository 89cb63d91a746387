//! What the kernel watches: a source, for as long as it lives, through the poller; or without it, through a bare epoll.
//!
//! Owns the source and with it the registration: the two cannot be separated, which is what makes the unsafe call of the
//! one sound. (The other takes numbers, which may dangle; it never follows them.) It does not read or write.
//!
//! Invariant: `interest` is what the kernel was told last.

#![expect(unsafe_code, reason = "polling asks for a promise about a source's lifetime, and std has no epoll")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use libc::c_int;
use polling::{Event, PollMode};

use super::sys::{check, own};
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
        // of sources for epoll. Deleting it first would cost a system call for every member who leaves.
        unsafe { reactor.poller.add_with_mode(&source, interest.event(token), PollMode::Level)? };
        Ok(Self { source, interest })
    }
}

impl<S: AsFd> Registered<S> {
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

impl<S> Registered<S> {
    /// The source.
    pub fn source(&self) -> &S {
        &self.source
    }
}

/// Readiness with nothing between the caller and the kernel, in level mode: what the poller's price is measured against.
#[derive(Debug)]
pub struct Epoll {
    epoll: OwnedFd,
    events: Vec<libc::epoll_event>,
}

impl Epoll {
    /// Opens one that takes at most `capacity` events at a time.
    ///
    /// # Errors
    /// What the kernel says, for lack of descriptors.
    pub fn new(capacity: usize) -> io::Result<Self> {
        // SAFETY: no pointers are passed.
        let epoll = own(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        Ok(Self { epoll, events: vec![libc::epoll_event { events: 0, u64: 0 }; capacity] })
    }

    /// Watches for bytes or connections to read, until the last descriptor of the source is closed.
    ///
    /// # Errors
    /// What the kernel says, for lack of memory.
    pub fn add(&self, source: &impl AsRawFd, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN.cast_unsigned(), u64: token };
        let (epoll, source) = (self.epoll.as_raw_fd(), source.as_raw_fd());
        // SAFETY: the pointer is valid for the call.
        check(unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, source, &raw mut event) })
    }

    /// Waits until something is ready; returns the tokens of what is.
    ///
    /// # Errors
    /// What the kernel says: a signal has come.
    pub fn wait(&mut self) -> io::Result<impl Iterator<Item = u64>> {
        let room = c_int::try_from(self.events.len()).unwrap_or(c_int::MAX);
        // SAFETY: the pointer is to room for so many events.
        let count = unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), self.events.as_mut_ptr(), room, -1) };
        check(count.min(0))?;
        Ok(self.events.iter().take(usize::try_from(count).unwrap_or(0)).map(|event| event.u64))
    }
}
