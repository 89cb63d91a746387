//! One connection: its socket, where it is in its life, and what is still to be written to it.
//!
//! Owns the write path: write first, keep what did not fit, and only then have the reactor report room. It does not know
//! what the bytes mean. It counts nothing, and it never frees itself: the books mark it as closing, and `reap` frees it. So
//! the calls that change it are for this folder alone.
//!
//! Invariant: there is an outbox exactly while something is unwritten.

use std::io::{self, ErrorKind, IoSlice};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use super::close_reason::CloseReason;
use super::torture;
use crate::collections::key::Key as _;
use crate::collections::key::key_type;
use crate::meter::MemberId;
use crate::meter::watches::WatcherId;
use crate::reactor::{Interest, Reactor, Registered, Token};
use crate::server::answers::cursor::Cursor;
use crate::server::ports::port::Port;
use crate::wire::outbox::{GATHER_MAX, Outbox};
use crate::wire::session::{Session, Step};
use crate::wire::sse::Frame;
use crate::wire::transfer::Coding;

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

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Stage {
    /// Its request head is awaited, or a body that is read.
    Head,
    /// It is a stream: a member's or a watcher's.
    Stream,
    /// It has asked, and its answer comes later.
    Await,
    /// Its last bytes are on their way, or it is waited for to close.
    Drain,
}

/// One connection.
#[derive(Debug)]
pub(in crate::server) struct Conn {
    socket: Registered<TcpStream>,
    session: Session,
    outbox: Option<Box<Outbox>>,
    /// Where a reply that did not fit into one piece goes on.
    rest: Option<Box<Cursor>>,
    id: ConnId,
    port: Port,
    /// How its body is sent, if it is a stream.
    coding: Coding,
    /// Set once: the connection is freed at the end of a turn.
    closing: Option<CloseReason>,
    /// The peer will say no more; there is nothing left to read.
    is_peer_finished: bool,
    /// We have said our last word.
    is_shut: bool,
    /// It is answered if it says nothing.
    answers_silence: bool,
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
    pub(super) fn new(id: ConnId, socket: Registered<TcpStream>, port: Port, answers_silence: bool) -> Self {
        Self {
            socket,
            session: Session::default(),
            outbox: None,
            rest: None,
            id,
            port,
            coding: Coding::default(),
            closing: None,
            is_peer_finished: false,
            is_shut: false,
            answers_silence,
        }
    }

    pub(in crate::server) fn id(&self) -> ConnId {
        self.id
    }

    /// The port that it came in on.
    pub(in crate::server) fn port(&self) -> Port {
        self.port
    }

    /// After how much silence it is answered as if it had asked for the stats, if it is.
    pub(super) fn silence(&self) -> Option<Duration> {
        self.port.policy().silence.filter(|_| self.answers_silence)
    }

    /// How its body is sent, if it is a stream.
    pub(in crate::server) fn coding(&self) -> Coding {
        self.coding
    }

    /// Why it is closing, if it is.
    pub(in crate::server) fn closing(&self) -> Option<CloseReason> {
        self.closing
    }

    pub(in crate::server) fn stage(&self) -> Stage {
        match self.session {
            Session::Head(_) => Stage::Head,
            Session::Stream { .. } => Stage::Stream,
            Session::Await { .. } => Stage::Await,
            Session::Drain { .. } => Stage::Drain,
        }
    }

    /// What it has said so far.
    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    /// Takes bytes that have arrived; what it says of them comes with the socket that they came on. After [`Step::Wait`] the
    /// books have to record what it holds.
    pub(in crate::server) fn feed<'a>(&'a mut self, bytes: &'a [u8]) -> (Step<'a>, &'a TcpStream) {
        (self.session.feed(bytes), self.socket.source())
    }

    /// Has the body read of the request that the bytes last fed have brought, as [`feed`](Self::feed) takes bytes.
    pub(in crate::server) fn read_body<'a>(&'a mut self, bytes: &'a [u8], surplus: u32) -> (Step<'a>, &'a TcpStream) {
        (self.session.read_body(bytes, surplus), self.socket.source())
    }

    /// Makes a stream of it, its body in this coding; `surplus` bytes have followed its head.
    pub(super) fn stream(&mut self, coding: Coding, surplus: u32) {
        self.coding = coding;
        self.session.stream(surplus);
    }

    /// Has it wait for its answer; `surplus` bytes have followed its head.
    pub(super) fn await_answer(&mut self, surplus: u32) {
        self.session.await_answer(surplus);
    }

    /// Ends its part: only its last words are still written.
    pub(super) fn drain(&mut self) {
        self.session.drain();
    }

    /// Marks it to be freed. The first reason stays.
    pub(super) fn close(&mut self, reason: CloseReason) {
        self.closing.get_or_insert(reason);
    }

    /// Reads once. Level mode brings back what is left, so that one peer cannot hold the turn.
    pub(in crate::server) fn read(&mut self, scratch: &mut [u8]) -> Result<ReadOutcome, CloseReason> {
        if self.is_peer_finished && self.stage() == Stage::Await {
            // It is watched for nothing, so this is a hang-up.
            return Err(CloseReason::PeerReset);
        }
        if self.is_peer_finished {
            // There is nothing to read. If the peer has hung up, writing will show it.
            return Ok(ReadOutcome::Nothing);
        }
        match torture::read(self.socket.source(), scratch) {
            Ok(0) => Ok(ReadOutcome::End),
            Ok(count) => Ok(ReadOutcome::Bytes(count)),
            Err(error) if is_transient(error.kind()) => Ok(ReadOutcome::Nothing),
            Err(error) => Err(CloseReason::of(error.kind())),
        }
    }

    /// The peer will say no more, while there is still something to write to it.
    pub(super) fn finish_peer(&mut self) {
        self.is_peer_finished = true;
    }

    /// A long reply goes on from here when the peer has taken what is written.
    pub(in crate::server) fn set_rest(&mut self, rest: Option<Box<Cursor>>) {
        self.rest = rest;
    }

    /// Where a long reply goes on, if the kernel has taken all that was written.
    pub(super) fn take_rest(&mut self) -> Option<Box<Cursor>> {
        if self.outbox.is_some() { None } else { self.rest.take() }
    }

    /// Whether a long reply goes on after what is written.
    pub(in crate::server) fn has_rest(&self) -> bool {
        self.rest.is_some()
    }

    /// Whether something is unwritten.
    pub(in crate::server) fn is_behind(&self) -> bool {
        self.outbox.is_some() || self.rest.is_some()
    }

    /// Writes bytes for this peer alone, and keeps what does not fit. If something is unwritten, these bytes end it.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), CloseReason> {
        if let Some(outbox) = &mut self.outbox {
            outbox.end_with(bytes.to_vec());
            return Ok(());
        }
        let written = self.try_write(bytes)?;
        if let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            self.outbox = Some(Box::new(Outbox::with_bytes(rest.to_vec())));
        }
        Ok(())
    }

    /// Pushes a count: at once if the peer keeps up, else when it takes bytes again. Only the latest waits.
    pub(super) fn push_count(&mut self, frame: &Frame) -> Result<(), CloseReason> {
        let Some(outbox) = &mut self.outbox else { return self.write_frame(frame) };
        outbox.put_count(frame.clone());
        Ok(())
    }

    /// Pushes a message: at once if the peer keeps up, else when it takes bytes again. Each of them waits.
    pub(super) fn push_message(&mut self, frame: &Frame) -> Result<(), CloseReason> {
        let Some(outbox) = &mut self.outbox else { return self.write_frame(frame) };
        outbox.put_message(frame.clone()).map_err(|_| CloseReason::TooSlow)
    }

    fn write_frame(&mut self, frame: &Frame) -> Result<(), CloseReason> {
        let bytes = frame.bytes(self.coding);
        let written = self.try_write(bytes)?;
        if written < bytes.len() {
            self.outbox = Some(Box::new(Outbox::with_frame(frame.clone(), written)));
        }
        Ok(())
    }

    /// Gives up what waits and has not been begun.
    pub(super) fn give_up(&mut self) {
        if let Some(outbox) = &mut self.outbox {
            outbox.give_up();
        }
    }

    /// Writes what is in the outbox, once. Level mode brings back what is left.
    pub(super) fn flush(&mut self) -> Result<(), CloseReason> {
        let Some(mut outbox) = self.outbox.take() else { return Ok(()) };
        let mut slices = [IoSlice::new(&[]); GATHER_MAX];
        for (slice, piece) in slices.iter_mut().zip(outbox.pieces(self.coding)) {
            *slice = IoSlice::new(piece);
        }
        let written = took(torture::write_vectored(self.socket.source(), &slices))?;
        outbox.advance(written, self.coding);
        let is_left = outbox.pieces(self.coding).next().is_some();
        self.outbox = is_left.then_some(outbox);
        Ok(())
    }

    /// Says that we will say no more, if all is said: the peer reads to the end, and a reset does not eat the reply.
    pub(super) fn shut_when_written(&mut self) -> Result<(), CloseReason> {
        if self.is_shut || self.is_behind() || !matches!(self.session, Session::Drain { .. }) {
            return Ok(());
        }
        self.is_shut = true;
        if self.is_peer_finished {
            return Err(CloseReason::PeerClosed);
        }
        self.socket.source().shutdown(Shutdown::Write).map_err(|_| CloseReason::PeerReset)
    }

    /// The name of a connection with the reactor.
    pub(super) fn token(id: ConnId) -> Token {
        Token(id.index())
    }

    /// Has the reactor watch for what can come next.
    pub(super) fn watch(&mut self, reactor: &Reactor) -> Result<(), CloseReason> {
        let interest = match (self.is_peer_finished, self.is_behind()) {
            (false, false) => Interest::Read,
            (false, true) => Interest::ReadWrite,
            (true, _) if self.stage() == Stage::Await => Interest::Nothing,
            (true, _) => Interest::Write,
        };
        self.socket.set_interest(reactor, Self::token(self.id), interest).map_err(|_| CloseReason::NoMemory)
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
