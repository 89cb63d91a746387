//! One connection's part of a turn: bytes in, an answer out.
//!
//! Owns the way of a request: the connection is read, its origin is taken off, the session finds the request, the answers
//! call the audience, and the reply decides what becomes of the connection. What each room does with it is the room's.
//!
//! Invariant: a connection is looked up once for all of this; and a request is answered in the turn in which it is whole, but for
//! messages, which the other nodes confirm first, and pages that come back after a farewell.

use super::answers::answer::{AfterReply, Answer, Asker, Awaited, Confirmation, Returning, Settled, Sources};
use super::answers::{self, Answers};
use super::audience::Audience;
use super::awaiting::Awaiting;
use super::bus::Bus;
use super::conns::books::{Books, HeadState};
use super::conns::close_reason::CloseReason;
use super::conns::conn::{Conn, ReadOutcome, Stage};
use super::conns::lifecycle::{self, Unasked, Writing};
use super::conns::origins::Preface;
use super::figures::announced::Announced;
use super::figures::view::Facts;
use super::overview::process;
use crate::collections::tick::Now;
use crate::log::{self, Value::Shown};
use crate::meter::watches::Piece;
use crate::reactor::Reactor;
use crate::wire::http::Refusal;
use crate::wire::session::Step;
use crate::wire::watch;

/// An open connection, with all that it takes to answer it.
pub(super) struct Exchange<'a> {
    pub(super) conn: &'a mut Conn,
    pub(super) books: &'a mut Books,
    pub(super) audience: &'a mut Audience,
    pub(super) answers: &'a mut Answers,
    pub(super) awaiting: &'a mut Awaiting,
    pub(super) announced: &'a mut Announced,
    pub(super) bus: &'a Bus,
    pub(super) reactor: &'a Reactor,
    pub(super) facts: &'a Facts,
    pub(super) scratch: &'a mut [u8],
    pub(super) buffer: &'a mut Vec<u8>,
    pub(super) is_draining: bool,
    pub(super) now: Now,
}

impl Exchange<'_> {
    /// The socket is ready.
    pub(super) fn on_ready(&mut self, is_writable: bool) {
        if is_writable {
            self.on_writable();
            if self.conn.closing().is_some() {
                return;
            }
        }
        match self.conn.read(self.scratch) {
            Ok(ReadOutcome::Nothing) => {}
            Ok(ReadOutcome::Bytes(count)) => self.on_bytes(count),
            Ok(ReadOutcome::End) => {
                let unasked = lifecycle::on_peer_finished(self.conn, self.books, self.reactor);
                self.answer_unasked(unasked);
            }
            Err(reason) => self.books.close(self.conn, reason),
        }
    }

    /// Whether a long reply goes on when the peer takes bytes.
    pub(super) fn has_rest(&self) -> bool {
        self.conn.has_rest()
    }

    /// The connection has just come. A browser's head is usually here already.
    pub(super) fn on_accepted(&mut self) {
        self.on_ready(false);
        self.books.limit_heads(self.conn);
    }

    /// The connection's deadline has come. A process that was stopped may find a head that came in time, so a head is looked for
    /// once more. `may_read` says whether that is possible now, with nothing left to do for others; else it is in the next tick.
    pub(super) fn on_deadline(&mut self, may_read: bool) {
        if self.conn.stage() == Stage::Head {
            if !may_read {
                return self.books.put_off(self.conn, self.now.tick);
            }
            self.on_ready(false);
            let awaits_head = self.conn.closing().is_none() && self.conn.stage() == Stage::Head;
            if !awaits_head || self.books.deadline(self.conn).is_some() {
                return;
            }
        }
        let unasked = lifecycle::on_deadline(self.conn, self.books);
        self.answer_unasked(unasked);
    }

    fn on_writable(&mut self) {
        let mut with =
            Writing { reactor: self.reactor, meter: &self.audience.meter, buffer: self.buffer, now: self.now };
        if lifecycle::on_writable(self.conn, self.books, &mut with) {
            self.audience.resume(self.conn.id().into());
        }
    }

    /// `count` bytes have arrived in `scratch`.
    fn on_bytes(&mut self, count: usize) {
        let (id, port, before) = (self.conn.id(), self.conn.port(), HeadState::of(self.conn));
        let bytes = match self.books.origins.strip(id, self.scratch.get(..count).unwrap_or_default()) {
            Preface::Wait => return,
            Preface::Request(bytes) => bytes,
            Preface::Malformed(why) => {
                log::debug("proxy_head", &[("conn", Shown(&id)), ("error", Shown(&why))]);
                return self.books.close(self.conn, CloseReason::ProxyHead);
            }
        };
        let (mut step, mut socket) = self.conn.feed(&bytes);
        // Twice, if a body is read: once for what the head says, and once for all.
        loop {
            let (answer, surplus) = match step {
                Step::Wait => return self.books.hold_head(self.conn, before, self.now.tick),
                Step::TooMuch => return self.books.close(self.conn, CloseReason::TooMuch),
                Step::Refuse { refusal, is_head } => {
                    (self.answers.refuse(refusal, port, is_head, self.buffer, self.now), 0)
                }
                Step::Request { request, body, surplus } => {
                    let address = self.books.origins.take(id, &request);
                    // Of watchers the kernel is asked for it. They are few, and members need not wait for that.
                    let address = address.or_else(|| {
                        let peer = watch::is_asked(request.query).then(|| socket.peer_addr().ok()).flatten();
                        peer.map(|peer| peer.ip())
                    });
                    let free_slots = self.books.free_slots(port);
                    let asker = Asker { member: id.into(), watcher: id.into(), port, address, free_slots };
                    let datagrams = || self.bus.datagrams();
                    let (troubles, facts) = (self.bus.troubles(), *self.facts);
                    let process = process(self.books, &datagrams, troubles, self.reactor, facts, self.is_draining);
                    let sources = Sources { audience: self.audience, process: &process, announced: self.announced };
                    (self.answers.answer(&request, body, asker, sources, self.buffer, self.now), surplus)
                }
            };
            if !matches!(answer.after, AfterReply::ReadBody) {
                let written = write(self.conn, self.books, answer);
                return self.after_reply(written, surplus);
            }
            if !lifecycle::invite_body(self.conn, self.books, self.reactor, answer.bytes) {
                return;
            }
            (step, socket) = self.conn.read_body(&bytes, surplus);
        }
    }

    fn answer_unasked(&mut self, unasked: Unasked) {
        let answer = match unasked {
            Unasked::Nothing => return,
            Unasked::RawStats => answers::raw_stats(),
            Unasked::Timeout { is_head } => {
                self.answers.refuse(Refusal::Timeout, self.conn.port(), is_head, self.buffer, self.now)
            }
        };
        let written = write(self.conn, self.books, answer);
        self.after_reply(written, 0);
    }

    /// What this connection has waited for is known: it gets its answer.
    pub(super) fn settle(&mut self, awaited: &Awaited, settled: Settled) {
        match (awaited, settled) {
            (Awaited::Message(confirmation), Settled::Message { unconfirmed, .. }) => {
                self.confirm(confirmation, unconfirmed);
            }
            (Awaited::Return(returning), Settled::Question { is_held, .. }) => self.let_back(returning, is_held),
            _ => {}
        }
    }

    fn confirm(&mut self, confirmation: &Confirmation, unconfirmed: usize) {
        let answer = self.answers.confirm(confirmation, unconfirmed, self.audience, self.buffer, self.now);
        let written = write(self.conn, self.books, answer);
        self.after_reply(written, 0);
    }

    fn let_back(&mut self, returning: &Returning, is_held: bool) {
        let (id, port) = (self.conn.id(), self.conn.port());
        let free_slots = if self.is_draining { 0 } else { self.books.free_slots(port) };
        let asker = Asker { member: id.into(), watcher: id.into(), port, address: returning.address, free_slots };
        let answer = self.answers.let_back(returning, is_held, asker, self.audience, self.buffer, self.now);
        let written = write(self.conn, self.books, answer);
        self.after_reply(written, 0);
    }

    /// Makes of the connection what its answer says.
    fn after_reply(&mut self, written: Result<AfterReply, CloseReason>, surplus: u32) {
        match written {
            Ok(AfterReply::Stream { coding, until }) => {
                if lifecycle::begin_stream(self.conn, self.books, self.reactor, surplus, coding, until) {
                    self.audience.stall(self.conn.id().into());
                }
            }
            Ok(AfterReply::Drain | AfterReply::ReadBody) => self.finish(None),
            Ok(AfterReply::Await(awaited)) => {
                lifecycle::await_answer(self.conn, self.books, surplus);
                self.awaiting.add(self.conn.id(), awaited);
            }
            Ok(AfterReply::DrainPieces(cursor)) => {
                self.conn.set_rest(Some(cursor));
                self.finish(None);
            }
            Err(reason) => self.books.close(self.conn, reason),
        }
    }

    /// Writes an update to a watcher. Returns whether it takes more.
    pub(super) fn update(&mut self, piece: &Piece) -> bool {
        if self.conn.stage() != Stage::Stream {
            return false;
        }
        debug_assert!(!self.conn.is_behind(), "a watcher that is behind gets no update");
        self.buffer.clear();
        let retry_ms = piece.is_first.then(|| self.audience.draw_retry_ms());
        self.conn.coding().push(self.buffer, |out| watch::push_piece(out, piece, retry_ms));
        !lifecycle::push_update(self.conn, self.books, self.reactor, self.buffer)
    }

    /// Ends the connection politely: with this last block of its stream, if any, or the rest of its answer.
    pub(super) fn finish(&mut self, last_block: Option<&[u8]>) {
        let mut with =
            Writing { reactor: self.reactor, meter: &self.audience.meter, buffer: self.buffer, now: self.now };
        lifecycle::finish(self.conn, self.books, last_block, &mut with);
    }
}

fn write(conn: &mut Conn, books: &mut Books, answer: Answer<'_>) -> Result<AfterReply, CloseReason> {
    books.write(conn, answer.bytes)?;
    Ok(answer.after)
}
