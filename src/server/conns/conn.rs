//! One connection: its socket, where it is in its life, and what is still to be written to it.
//!
//! Owns the write path: write first, keep what did not fit, and only then ask to be told of room. It does not know what
//! the bytes mean, and it never frees itself: [`Conns::close`](crate::server::conns::Conns::close) marks, `reap` frees.
//!
//! Invariant: there is an outbox exactly while something is unwritten.

use std::fmt;
use std::io::{self, ErrorKind, IoSlice};
use std::net::{Shutdown, TcpStream};

use crate::collections::key::Key as _;
use crate::key_type;
use crate::meter::MemberId;
use crate::meter::watches::WatcherId;
use crate::reactor::{Interest, Reactor, Registered, Token};
use crate::server::answers::cursor::Cursor;
use crate::server::conns::torture;
use crate::server::figures::tally::PushKind;
use crate::wire::outbox::{GATHER_MAX, Outbox};
use crate::wire::session::Session;
use crate::wire::sse::Frame;

key_type! {
    /// A connection's key. A member and a watcher have the same one in the meter.
    pub(in crate::server) ConnId
}

impl From<ConnId> for MemberId {
    fn from(id: ConnId) -> Self {
        Self::of(id.place())
    }
}

impl From<MemberId> for ConnId {
    fn from(id: MemberId) -> Self {
        Self::of(id.place())
    }
}

impl From<ConnId> for WatcherId {
    fn from(id: ConnId) -> Self {
        Self::of(id.place())
    }
}

impl From<WatcherId> for ConnId {
    fn from(id: WatcherId) -> Self {
        Self::of(id.place())
    }
}

/// The port that a connection came in on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Port {
    Audience,
    Stats,
    Notification,
    Demo,
}

impl Port {
    /// How many kinds there are.
    pub(in crate::server) const COUNT: usize = 4;

    /// What they are called, in the order of their numbers.
    pub(in crate::server) const NAMES: [&str; Self::COUNT] = ["audience", "stats", "notification", "demo"];
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::NAMES[*self as usize])
    }
}

/// Why a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum CloseReason {
    /// The peer has closed its side, or all of it.
    PeerClosed,
    /// The connection broke.
    PeerReset,
    /// The peer's machine answers nothing: `--peer-timeout`, or what the kernel knows of the way there.
    PeerTimeout,
    /// The stream has lasted for `--max-conn-duration`.
    MaxDuration,
    /// The peer was told its last word and did not close in time.
    Lingered,
    /// More messages wait for the member than may.
    TooSlow,
    /// The peer keeps talking.
    TooMuch,
    /// The process is ending.
    Shutdown,
    /// The kernel has no memory to watch the socket.
    NoMemory,
    /// More heads are waited for than may be, or more of them is held.
    NoHeadRoom,
    /// A trusted proxy has begun with what is like a PROXY head, and none.
    ProxyHead,
}

impl CloseReason {
    /// Each of them, in the order of their numbers.
    pub(in crate::server) const ALL: [Self; 11] = [
        Self::PeerClosed,
        Self::PeerReset,
        Self::PeerTimeout,
        Self::MaxDuration,
        Self::Lingered,
        Self::TooSlow,
        Self::TooMuch,
        Self::Shutdown,
        Self::NoMemory,
        Self::NoHeadRoom,
        Self::ProxyHead,
    ];

    /// What figures call them, in that order.
    pub(in crate::server) const NAMES: [&str; Self::ALL.len()] = {
        let (mut names, mut index) = ([""; Self::ALL.len()], 0);
        while index < names.len() {
            names[index] = Self::ALL[index].name();
            index += 1;
        }
        names
    };

    /// What figures call it.
    const fn name(self) -> &'static str {
        match self {
            Self::PeerClosed => "peer_closed",
            Self::PeerReset => "peer_reset",
            Self::PeerTimeout => "peer_timeout",
            Self::MaxDuration => "max_duration",
            Self::Lingered => "lingered",
            Self::TooSlow => "too_slow",
            Self::TooMuch => "too_much",
            Self::Shutdown => "shutdown",
            Self::NoMemory => "no_memory",
            Self::NoHeadRoom => "no_head_room",
            Self::ProxyHead => "proxy_head",
        }
    }

    /// What an error of the socket says of the peer. The kernel tells it once, to whichever call comes first.
    fn of(error: ErrorKind) -> Self {
        match error {
            ErrorKind::TimedOut | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Self::PeerTimeout,
            _ => Self::PeerReset,
        }
    }
}

/// One connection.
#[derive(Debug)]
pub(in crate::server) struct Conn {
    socket: Registered<TcpStream>,
    pub(in crate::server) session: Session,
    outbox: Option<Box<Outbox>>,
    /// Where a reply that did not fit into one piece goes on.
    pub(in crate::server) rest: Option<Box<Cursor>>,
    pub(in crate::server) port: Port,
    /// Set once: the connection is freed at the end of a turn.
    pub(in crate::server) closing: Option<CloseReason>,
    /// The peer will say no more; there is nothing left to read.
    peer_finished: bool,
    /// We have said our last word.
    shut: bool,
}

/// What came of reading.
pub(in crate::server) enum ReadOutcome {
    /// This many bytes.
    Bytes(usize),
    /// Nothing yet.
    Nothing,
    /// The peer will say no more.
    End,
}

impl Conn {
    /// Takes over an accepted connection.
    pub(in crate::server) fn new(socket: Registered<TcpStream>, port: Port) -> Self {
        Self {
            socket,
            session: Session::default(),
            outbox: None,
            rest: None,
            port,
            closing: None,
            peer_finished: false,
            shut: false,
        }
    }

    /// Reads once. Level mode brings back what is left, so that one peer cannot hold the turn.
    pub(in crate::server) fn read(&mut self, scratch: &mut [u8]) -> Result<ReadOutcome, CloseReason> {
        if self.peer_finished {
            // There is nothing to read. Should it be a hang-up, writing will tell.
            return Ok(ReadOutcome::Nothing);
        }
        match torture::read(self.socket.source(), scratch) {
            Ok(0) => Ok(ReadOutcome::End),
            Ok(count) => Ok(ReadOutcome::Bytes(count)),
            Err(error) if is_transient(error.kind()) => Ok(ReadOutcome::Nothing),
            Err(error) => Err(CloseReason::of(error.kind())),
        }
    }

    /// Takes note that the peer will say no more while there is still something to write to it.
    pub(in crate::server) fn note_peer_finished(&mut self) {
        self.peer_finished = true;
    }

    /// Whether something is unwritten.
    pub(in crate::server) fn is_behind(&self) -> bool {
        self.outbox.is_some() || self.rest.is_some()
    }

    /// Whether the kernel has not taken all that was written.
    pub(in crate::server) fn has_outbox(&self) -> bool {
        self.outbox.is_some()
    }

    /// Writes bytes for this peer alone, and keeps what does not fit. Nothing may be unwritten before.
    pub(in crate::server) fn write(&mut self, bytes: &[u8]) -> Result<(), CloseReason> {
        debug_assert!(self.outbox.is_none(), "bytes are written in order");
        let written = self.try_write(bytes)?;
        if let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            self.outbox = Some(Box::new(Outbox::with_bytes(rest.to_vec())));
        }
        Ok(())
    }

    /// Tells a member something: at once if it keeps up, else when it can hear again.
    pub(in crate::server) fn push(&mut self, kind: PushKind, frame: &Frame) -> Result<(), CloseReason> {
        if let Some(outbox) = &mut self.outbox {
            match kind {
                PushKind::Count => outbox.put_count(frame.clone()),
                PushKind::Message => outbox.put_message(frame.clone()).map_err(|_| CloseReason::TooSlow)?,
            }
            return Ok(());
        }
        let written = self.try_write(frame)?;
        if written < frame.len() {
            self.outbox = Some(Box::new(Outbox::with_frame(frame.clone(), written)));
        }
        Ok(())
    }

    /// Ends with these bytes, after what has been begun.
    pub(in crate::server) fn end_with(&mut self, bytes: &[u8]) -> Result<(), CloseReason> {
        match &mut self.outbox {
            Some(outbox) => outbox.end_with(bytes),
            None => self.write(bytes)?,
        }
        Ok(())
    }

    /// Writes what is in the outbox, once. Level mode brings back what is left.
    pub(in crate::server) fn flush(&mut self) -> Result<(), CloseReason> {
        let Some(mut outbox) = self.outbox.take() else { return Ok(()) };
        let mut slices = [IoSlice::new(&[]); GATHER_MAX];
        for (slice, piece) in slices.iter_mut().zip(outbox.pieces()) {
            *slice = IoSlice::new(piece);
        }
        let written = took(torture::write_vectored(self.socket.source(), &slices))?;
        outbox.advance(written);
        let is_left = outbox.pieces().next().is_some();
        self.outbox = is_left.then_some(outbox);
        Ok(())
    }

    /// Says that we will say no more, if all is said: the peer reads to the end, and a reset does not eat the reply.
    pub(in crate::server) fn shut_when_written(&mut self) -> Result<(), CloseReason> {
        if self.shut || self.is_behind() || !matches!(self.session, Session::Drain { .. }) {
            return Ok(());
        }
        self.shut = true;
        if self.peer_finished {
            return Err(CloseReason::PeerClosed);
        }
        self.socket.source().shutdown(Shutdown::Write).map_err(|_| CloseReason::PeerReset)
    }

    /// Has the reactor watch for what can come next.
    pub(in crate::server) fn watch(&mut self, reactor: &Reactor, token: Token) -> Result<(), CloseReason> {
        let interest = match (self.peer_finished, self.is_behind()) {
            (false, false) => Interest::Read,
            (false, true) => Interest::ReadWrite,
            (true, _) => Interest::Write,
        };
        self.socket.set_interest(reactor, token, interest).map_err(|_| CloseReason::NoMemory)
    }

    /// How many bytes the kernel took: 0 if it takes none now.
    fn try_write(&self, bytes: &[u8]) -> Result<usize, CloseReason> {
        took(torture::write(self.socket.source(), bytes))
    }
}

/// How many bytes the kernel took, by what it said.
fn took(written: io::Result<usize>) -> Result<usize, CloseReason> {
    match written {
        Ok(written) => Ok(written),
        Err(error) if is_transient(error.kind()) => Ok(0),
        Err(error) => Err(CloseReason::of(error.kind())),
    }
}

/// Errors that say nothing about the connection.
fn is_transient(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// A member costs this, a timer and its record in the meter: together under 128 bytes.
const _: () = assert!(size_of::<Conn>() <= 64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_place() {
        for (place, reason) in CloseReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, place, "{}", reason.name());
        }
    }
}
