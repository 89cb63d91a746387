//! How a connection becomes a stream, goes on being written to, and ends.
//!
//! Owns the transitions. What an answer says is the caller's, and how bytes get out is the connection's.
//!
//! Invariant: every connection has a deadline, but a stream, and one that waits for its answer. A stream lasts no longer than it
//! may.

use std::time::Duration;

use super::books::Books;
use super::close_reason::CloseReason;
use super::conn::{Conn, Stage};
use crate::collections::tick::{Now, Tick};
use crate::meter::Meter;
use crate::reactor::Reactor;
use crate::wire::sse::Frame;
use crate::wire::transfer::Coding;

/// How long a peer may take to close after its last word: a round trip to the other side of the world, with one
/// retransmission.
const LINGER: Duration = Duration::from_secs(2);

/// How long a peer may take none of what is being written to it.
const STALL: Duration = Duration::from_secs(10);

/// How much later a peer may be for each write that it has taken, while its port is crowded: some 8 KB of a long reply in this
/// time are 100 KB a second. Readers that take less would keep all others out.
const PACE: Duration = Duration::from_millis(80);

/// What a connection's further pieces are written with.
pub(in crate::server) struct Writing<'a> {
    pub(in crate::server) reactor: &'a Reactor,
    pub(in crate::server) meter: &'a Meter,
    /// Holds a piece on its way from the cursor to the socket.
    pub(in crate::server) buffer: &'a mut Vec<u8>,
    pub(in crate::server) now: Now,
}

/// What a connection gets that has not asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Unasked {
    /// Nothing.
    Nothing,
    /// The stats, without a head: it was silent, at a port that answers silence.
    RawStats,
    /// That its request is late.
    Timeout {
        /// Whether what it has said of its head begins with the method `HEAD`.
        is_head: bool,
    },
}

/// Makes a stream of a connection whose first bytes are written. Returns whether the peer takes no more for now.
pub(in crate::server) fn begin_stream(
    conn: &mut Conn,
    books: &mut Books,
    reactor: &Reactor,
    surplus: u32,
    coding: Coding,
    until: Option<Tick>,
) -> bool {
    books.stream(conn, coding, surplus);
    books.set_deadline(conn, until);
    go_on_watching(conn, books, reactor, Ok(()));
    conn.is_behind()
}

/// Writes what has a client send the body of its request, if it waits for that. Returns whether the connection is there still.
/// The deadline of the head stays: a request is whole by then, or late.
pub(in crate::server) fn invite_body(conn: &mut Conn, books: &mut Books, reactor: &Reactor, bytes: &[u8]) -> bool {
    if !bytes.is_empty() {
        let written = books.write(conn, bytes);
        go_on_watching(conn, books, reactor, written);
    }
    conn.closing().is_none()
}

/// Keeps a connection whose answer comes later; `surplus` bytes have followed its head. The answer sets the deadline: it comes
/// within about a second.
pub(in crate::server) fn await_answer(conn: &mut Conn, books: &mut Books, surplus: u32) {
    books.await_answer(conn, surplus);
    books.set_deadline(conn, None);
}

/// Ends a connection politely: the rest of its answer, or the last block of its stream, if any; then our side is shut and the
/// peer is waited for.
pub(in crate::server) fn finish(conn: &mut Conn, books: &mut Books, last_block: Option<&[u8]>, with: &mut Writing<'_>) {
    let ended = if conn.stage() == Stage::Stream { books.end_body(conn, last_block) } else { Ok(()) };
    books.drain(conn);
    match ended {
        Ok(()) => drain(conn, books, false, with),
        Err(reason) => books.close(conn, reason),
    }
}

/// Goes on writing to a connection that is being ended; when all is written, shuts our side. `is_going_on` says whether it
/// had been begun before.
fn drain(conn: &mut Conn, books: &mut Books, is_going_on: bool, with: &mut Writing<'_>) {
    let drained = write_next(conn, books, with).and_then(|()| {
        conn.shut_when_written()?;
        conn.watch(with.reactor)
    });
    let is_behind = conn.is_behind();
    match drained {
        // A connection that has its answer makes room. If it still sends, a reset may eat the answer; a whole request is not
        // followed by more.
        Ok(()) if !is_behind && books.is_crowded(conn.port()) => books.close(conn, CloseReason::Lingered),
        Ok(()) if !is_behind => books.set_deadline(conn, Some(with.now.tick.after(LINGER))),
        Ok(()) => {
            let latest = with.now.tick.after(STALL);
            let at_pace = books.deadline(conn).filter(|_| is_going_on && books.is_crowded(conn.port()));
            books.set_deadline(conn, Some(at_pace.map_or(latest, |tick| tick.after(PACE).min(latest))));
        }
        Err(reason) => books.close(conn, reason),
    }
}

/// Writes what waits, and when all of that is written the next piece of a long reply.
fn write_next(conn: &mut Conn, books: &mut Books, with: &mut Writing<'_>) -> Result<(), CloseReason> {
    conn.flush()?;
    let Some(mut cursor) = conn.take_rest() else { return Ok(()) };
    with.buffer.clear();
    let goes_on = cursor.push_piece(with.buffer, with.meter, with.now);
    conn.set_rest(goes_on.then_some(cursor));
    books.write(conn, with.buffer)
}

/// Pushes a count to a member.
pub(in crate::server) fn push_count(conn: &mut Conn, books: &mut Books, reactor: &Reactor, frame: &Frame) {
    let pushed = books.push_count(conn, frame);
    go_on_watching(conn, books, reactor, pushed);
}

/// Pushes a message to a member.
pub(in crate::server) fn push_message(conn: &mut Conn, books: &mut Books, reactor: &Reactor, frame: &Frame) {
    let pushed = books.push_message(conn, frame);
    go_on_watching(conn, books, reactor, pushed);
}

/// Writes an update to a watcher, to which nothing else is unwritten. Returns whether it takes no more for now.
pub(in crate::server) fn push_update(conn: &mut Conn, books: &mut Books, reactor: &Reactor, bytes: &[u8]) -> bool {
    let written = books.write(conn, bytes);
    go_on_watching(conn, books, reactor, written);
    conn.is_behind()
}

/// Has the reactor watch for what can come after a write; or closes the connection, if that has failed.
fn go_on_watching(conn: &mut Conn, books: &mut Books, reactor: &Reactor, written: Result<(), CloseReason>) {
    if let Err(reason) = written.and_then(|()| conn.watch(reactor)) {
        books.close(conn, reason);
    }
}

/// The socket takes bytes again. Returns whether a stream has taken all that waited for it.
pub(in crate::server) fn on_writable(conn: &mut Conn, books: &mut Books, with: &mut Writing<'_>) -> bool {
    if !conn.is_behind() {
        return false;
    }
    if conn.stage() == Stage::Drain {
        drain(conn, books, true, with);
        return false;
    }
    let flushed = conn.flush();
    go_on_watching(conn, books, with.reactor, flushed);
    !conn.is_behind()
}

/// The peer will say no more. Returns what it gets nevertheless.
pub(in crate::server) fn on_peer_finished(conn: &mut Conn, books: &mut Books, reactor: &Reactor) -> Unasked {
    match conn.stage() {
        // `nc localhost 1442 </dev/null`: nothing to say from the start.
        Stage::Head if answers_silence(conn) => {
            conn.finish_peer();
            return Unasked::RawStats;
        }
        // The peer may well read on.
        Stage::Await => {
            conn.finish_peer();
            go_on_watching(conn, books, reactor, Ok(()));
        }
        Stage::Drain if conn.is_behind() => {
            conn.finish_peer();
            go_on_watching(conn, books, reactor, Ok(()));
        }
        _ => books.close(conn, CloseReason::PeerClosed),
    }
    Unasked::Nothing
}

/// The deadline of a connection has come. Returns what it gets for that.
pub(in crate::server) fn on_deadline(conn: &mut Conn, books: &mut Books) -> Unasked {
    match conn.stage() {
        Stage::Head if answers_silence(conn) => return Unasked::RawStats,
        Stage::Head => return Unasked::Timeout { is_head: conn.session().is_head() },
        Stage::Stream => books.cut(conn, CloseReason::MaxDuration),
        Stage::Await | Stage::Drain => books.close(conn, CloseReason::Lingered),
    }
    Unasked::Nothing
}

/// Whether a connection has said nothing, and is answered for that.
fn answers_silence(conn: &Conn) -> bool {
    conn.silence().is_some() && conn.session().is_untouched()
}
