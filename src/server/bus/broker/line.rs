//! A connection to a server of a broker, from its first attempt to its end.
//!
//! Owns the stream, the session in it, and whether the server is there. It does not know what is done when it is not.
//!
//! Invariant: a server that answers nothing is found within [`SILENCE_MAX`] and one [`ASK_INTERVAL`].

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::outgoing::Outgoing;
use crate::collections::tick::Tick;
use crate::reactor::{Interest, Reactor, Registered, Token, dialling};
use crate::server::conns::torture;
use crate::wire::broker::{Event, Refusal, Session};

/// How long a connection may take to be opened, and then the login.
const OPENING_MAX: Duration = Duration::from_secs(5);

/// How often the server is asked whether it is there.
const ASK_INTERVAL: Duration = Duration::from_secs(2);

/// How long a server may be silent that was asked.
const SILENCE_MAX: Duration = Duration::from_secs(3);

/// The bytes that one read takes.
const READ_BYTES: usize = 8_192;

/// A connection.
pub(super) struct Line {
    pub(super) address: SocketAddr,
    stream: Registered<TcpStream>,
    token: Token,
    session: Session,
    outgoing: Outgoing,
    stage: Stage,
    /// Since when it is in its stage.
    since: Tick,
    /// When the server was asked last.
    asked_at: Tick,
    /// Since when a question waits for whatever comes.
    unanswered: Option<Tick>,
    /// Whether the kernel says when there is room to write.
    watches_room: bool,
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Dialling,
    LoggingIn,
    Ready,
}

/// What a turn has taken.
pub(super) struct Taken {
    /// Whether there is no more.
    pub(super) is_all: bool,
    /// Whether the session has become ready.
    pub(super) is_new: bool,
}

/// Why a connection has ended.
#[derive(Debug)]
pub(super) enum Loss {
    /// What the kernel said.
    Kernel(io::Error),
    /// There was no connection in time.
    Unreachable,
    /// What the session said.
    Refused(Refusal),
}

impl Line {
    /// Begins to open a connection.
    pub(super) fn open(
        address: SocketAddr,
        session: Session,
        reactor: &Reactor,
        token: Token,
        now: Tick,
    ) -> Result<Self, Loss> {
        let stream = dialling::dial(address).and_then(|stream| {
            // That the connection has come about is that there is room to write.
            Registered::new(reactor, stream, token, Interest::ReadWrite)
        });
        Ok(Self {
            address,
            stream: stream.map_err(Loss::Kernel)?,
            token,
            session,
            outgoing: Outgoing::default(),
            stage: Stage::Dialling,
            since: now,
            asked_at: now,
            unanswered: None,
            watches_room: true,
        })
    }

    /// Since when datagrams go by it.
    pub(super) fn ready_since(&self) -> Option<Tick> {
        (self.stage == Stage::Ready).then_some(self.since)
    }

    /// Has a datagram sent. Returns how many others were dropped for it; `None` if it is not ready.
    pub(super) fn send(&mut self, datagram: &[u8]) -> Option<usize> {
        self.ready_since()?;
        Some(self.outgoing.push(|out| self.session.publish(datagram, out)))
    }

    /// Takes in what has come, as much as the budget allows, and hands on each datagram.
    pub(super) fn receive(
        &mut self,
        budget: &mut usize,
        datagram_weight: usize,
        now: Tick,
        mut each: impl FnMut(&[u8]),
    ) -> Result<Taken, Loss> {
        let mut is_new = false;
        if self.stage == Stage::Dialling && !self.begin_login(now)? {
            return Ok(Taken { is_all: true, is_new });
        }
        let mut buffer = [0; READ_BYTES];
        while *budget > 0 {
            let count = match torture::read(self.stream.source(), &mut buffer) {
                Ok(0) => return Err(Loss::Refused(self.session.closed())),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Ok(Taken { is_all: true, is_new });
                }
                // A server that wants TLS may cut one off that speaks without.
                Err(error) if is_cut(&error) => return Err(Loss::Refused(self.session.closed())),
                Err(error) => return Err(Loss::Kernel(error)),
            };
            self.unanswered = None;
            let (mut weight, mut is_ready) = (count, false);
            let fed = self.session.feed(buffer.get(..count).unwrap_or_default(), |event| match event {
                Event::Datagram(datagram) => {
                    weight += datagram_weight;
                    each(datagram);
                }
                Event::Ready => is_ready = true,
                Event::Skipped => {}
            });
            *budget = budget.saturating_sub(weight);
            fed.map_err(Loss::Refused)?;
            if is_ready {
                (self.stage, self.since, self.asked_at, is_new) = (Stage::Ready, now, now, true);
            }
            self.queue_control();
        }
        Ok(Taken { is_all: false, is_new })
    }

    /// Asks the server whether it is there, if it is time, and writes what waits.
    pub(super) fn keep(&mut self, is_bus_empty: bool, now: Tick) -> Result<(), Loss> {
        match self.stage {
            Stage::Dialling if now >= self.since.after(OPENING_MAX) => return Err(Loss::Unreachable),
            Stage::LoggingIn if now >= self.since.after(OPENING_MAX) => return Err(Loss::Refused(Refusal::Silent)),
            Stage::Ready => {
                // An answer may lie in what was left waiting.
                let is_silent = self.unanswered.is_some_and(|since| now >= since.after(SILENCE_MAX));
                if is_silent && is_bus_empty {
                    return Err(Loss::Refused(Refusal::Silent));
                }
                if now >= self.asked_at.after(ASK_INTERVAL) {
                    self.asked_at = now;
                    self.unanswered.get_or_insert(now);
                    self.outgoing.push(|out| self.session.ping(out));
                }
            }
            Stage::Dialling | Stage::LoggingIn => {}
        }
        self.flush()
    }

    /// Writes what waits, as much as the kernel takes.
    pub(super) fn flush(&mut self) -> Result<(), Loss> {
        if self.stage == Stage::Dialling || self.outgoing.is_empty() {
            return Ok(());
        }
        match self.outgoing.flush(self.stream.source()) {
            // What the server has said before may lie unread. The end of the connection is behind it, and is read then.
            Err(error) if is_cut(&error) => {
                self.outgoing = Outgoing::default();
                Ok(())
            }
            flushed => flushed.map_err(Loss::Kernel),
        }
    }

    /// Has the kernel say when there is room to write, while something waits for it.
    pub(super) fn watch(&mut self, reactor: &Reactor) -> Result<(), Loss> {
        self.watches_room = self.needs_room();
        let interest = if self.watches_room { Interest::ReadWrite } else { Interest::Read };
        self.stream.set_interest(reactor, self.token, interest).map_err(Loss::Kernel)
    }

    /// When there is something to do.
    pub(super) fn next_deadline(&self) -> Tick {
        if self.watches_room != self.needs_room() {
            return Tick(0);
        }
        match self.stage {
            Stage::Dialling | Stage::LoggingIn => self.since.after(OPENING_MAX),
            Stage::Ready => {
                let silence = self.unanswered.map(|since| since.after(SILENCE_MAX));
                silence.into_iter().fold(self.asked_at.after(ASK_INTERVAL), Tick::min)
            }
        }
    }

    fn needs_room(&self) -> bool {
        self.stage == Stage::Dialling || !self.outgoing.is_empty()
    }

    /// Begins the login once the connection is there; returns whether it is.
    fn begin_login(&mut self, now: Tick) -> Result<bool, Loss> {
        if !dialling::is_open(self.stream.source()).map_err(Loss::Kernel)? {
            return Ok(false);
        }
        (self.stage, self.since) = (Stage::LoggingIn, now);
        self.queue_control();
        Ok(true)
    }

    fn queue_control(&mut self) {
        let control = self.session.take_outgoing();
        self.outgoing.push(|out| out.extend(control));
    }
}

/// Whether the other end has cut the connection off.
fn is_cut(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel(error) if error.kind() == ErrorKind::ConnectionRefused => f.write_str(
                "the broker's host refuses the connection: start the broker there, or correct the port in --cluster-addr",
            ),
            Self::Kernel(error) => write!(f, "{error}: see whether the broker's host is up, and whether a route leads there"),
            Self::Unreachable => {
                f.write_str("the broker's host does not answer: let TCP through to it, or correct --cluster-addr")
            }
            Self::Refused(refusal) => refusal.fmt(f),
        }
    }
}
