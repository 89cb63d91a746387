//! Floor 3: the only floor that touches the kernel and the clock; it knows no domain.
//!
//! Owns the poller and turns its events into [`Ready`] values. It calls nothing back: the server asks [`Reactor::wait`],
//! and gets what is ready and what time it is. The types of the `polling` crate end here.
//!
//! Level mode always. `polling`'s default is one-shot, which costs an `epoll_ctl` per event; and in edge mode a bounded
//! number of reads per turn would lose what was left.
//!
//! | file | owns |
//! |---|---|
//! | `accepted` | what comes of asking for a connection |
//! | `clock` | the only readings of the clock |
//! | `datagrams` | sockets that datagrams go to other nodes by, and come in by |
//! | `dialling` | connections to other hosts |
//! | `listening` | sockets that connections come in by, and the options of each connection |
//! | `local` | sockets between processes of this host, by abstract names |
//! | `proc` | what the kernel says in `/proc` |
//! | `registered` | sources that the kernel watches while they live |
//! | `sys` | the system calls that std has no safe name for |
//! | `turns` | how long turns were, and what processor time they took |
//!
//! Invariant: a turn has one time, read after the wait. The clock is read once more when the turn is over, to know how long
//! it was.

pub mod accepted;
mod clock;
pub mod datagrams;
pub mod dialling;
pub mod listening;
pub mod local;
pub mod proc;
mod registered;
pub mod sys;
mod turns;

use std::io;
use std::num::NonZeroUsize;
use std::time::Duration;

use polling::{Events, Poller};

use crate::collections::tick::{Now, Tick};
use clock::Clock;
pub use clock::unix_ms;
pub use registered::{Interest, Registered};
pub use turns::Turns;

/// How many events one turn takes from the kernel. At up to 16 us each (a join) that is 0.3 ms; level mode brings the rest
/// in the next turn, and sources that were served go to the end of the kernel's line. Another wait costs 2 us.
const EVENTS_PER_TURN: NonZeroUsize = NonZeroUsize::new(16).unwrap();

/// How many of them may be the poller's own: its timer and its notification.
const OWN_EVENTS: usize = 2;

/// What a source is called when it is ready. `usize::MAX` is taken by `polling`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token(pub usize);

/// A source that is ready.
///
/// Each is worth a read, even one that was registered for nothing: a hang-up or an error comes regardless of interest, in
/// level mode again and again, and only a read shows which it is.
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    /// The name it was registered under.
    pub token: Token,
    /// Whether it takes bytes again.
    pub is_writable: bool,
}

/// The poller, its buffer and the clock.
pub struct Reactor {
    poller: Poller,
    events: Events,
    clock: Clock,
    /// When the last wait was over, from the start of the clock.
    woken_at: Option<Duration>,
    turns: Turns,
    /// Whether the last wait had no room for more events.
    is_full: bool,
}

impl Reactor {
    /// Opens a poller.
    ///
    /// # Errors
    /// What the kernel says, for lack of descriptors or memory.
    pub fn new() -> io::Result<Self> {
        let events = Events::with_capacity(EVENTS_PER_TURN);
        let turns = Turns::default();
        Ok(Self { poller: Poller::new()?, events, clock: Clock::start(), woken_at: None, turns, is_full: false })
    }

    /// Waits until a source is ready or `deadline` is reached (`None`: for ever; a tick that has passed: not at all), and
    /// replaces `ready` by what is.
    ///
    /// # Errors
    /// What the kernel says of the poller itself; there is no going on after that.
    pub fn wait(&mut self, deadline: Option<Tick>, ready: &mut Vec<Ready>) -> io::Result<Now> {
        if let Some(woken_at) = self.woken_at {
            self.turns.record(woken_at, self.clock.since_start());
        }
        // `polling` appends to what is there, and fails once the list is full.
        self.events.clear();
        match deadline {
            Some(tick) => self.poller.wait_deadline(&mut self.events, self.clock.instant(tick))?,
            None => self.poller.wait(&mut self.events, None)?,
        };
        ready.clear();
        ready.extend(self.events.iter().map(|event| Ready { token: Token(event.key), is_writable: event.writable }));
        self.is_full = ready.len() + OWN_EVENTS >= EVENTS_PER_TURN.get();
        let since_start = self.clock.since_start();
        self.woken_at = Some(since_start);
        Ok(self.clock.now(since_start))
    }

    /// Whether more may be ready than the last wait has returned.
    #[must_use]
    pub fn may_have_more(&self) -> bool {
        self.is_full
    }

    /// The time, for before the first wait.
    #[must_use]
    pub fn now(&self) -> Now {
        let mut clock = self.clock;
        clock.now(clock.since_start())
    }

    /// How long the turns were, each from the end of one wait to the beginning of the next.
    #[must_use]
    pub fn turns(&self) -> &Turns {
        &self.turns
    }
}
