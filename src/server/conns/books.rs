//! What is kept of all connections beside the connections themselves.
//!
//! Owns how many there are in each stage and at each port, when each is due, which will be freed, and how much was sent.
//! Nothing changes a connection's stage, or writes to it, but through here; so no caller has to keep a number in step.
//!
//! Invariants: `open`, `streams` and `heads` are the sums over the table. A connection is in `closing` exactly when it is
//! marked, once; so `reap` frees each one once.

use std::collections::VecDeque;
use std::time::Duration;

use super::close_reason::CloseReason;
use super::conn::{Conn, ConnId, Stage};
use super::heads::Heads;
use super::origins::Origins;
use crate::collections::tick::Tick;
use crate::collections::wheel::TimerWheel;
use crate::server::ports::capacity::Capacity;
use crate::server::ports::port::{PerPort, Port};
use crate::wire::sse::Frame;
use crate::wire::transfer::Coding;

/// How often the end of a body is written, piece by piece, when a stream ends at once. It is 5 bytes long, and the kernel
/// takes it whole, unless the peer has taken nothing for long.
const LAST_WRITES: usize = 64;

/// What is kept of all connections.
pub(in crate::server) struct Books {
    capacity: Capacity,
    /// How long a request head may take.
    head_timeout: Duration,
    open: PerPort<usize>,
    streams: PerPort<usize>,
    /// The heads that are not whole. Each port has its own: a crowd at one keeps no client out of another.
    heads: PerPort<Heads>,
    /// Connections that were turned away for that.
    heads_refused: u64,
    /// Connections that were freed, by reason.
    closed: [u64; CloseReason::ALL.len()],
    /// Bytes that were written to clients, or kept for them.
    sent_bytes: u64,
    pub(super) deadlines: TimerWheel<ConnId>,
    pub(super) closing: VecDeque<ConnId>,
    pub(in crate::server) origins: Origins,
}

impl Books {
    /// No connections yet.
    pub(super) fn new(capacity: Capacity, head_timeout: Duration, origins: Origins) -> Self {
        Self {
            capacity,
            head_timeout,
            open: PerPort::default(),
            streams: PerPort::default(),
            heads: PerPort::default(),
            heads_refused: 0,
            closed: [0; CloseReason::ALL.len()],
            sent_bytes: 0,
            deadlines: TimerWheel::default(),
            closing: VecDeque::new(),
            origins,
        }
    }

    /// Connections, in the order of the ports.
    pub(in crate::server) fn open_counts(&self) -> &[usize] {
        self.open.as_slice()
    }

    /// Connections that were freed, in the order of the reasons.
    pub(in crate::server) fn closed_counts(&self) -> &[u64] {
        &self.closed
    }

    /// Connections that were turned away because too many heads were waited for, or too much was held of them.
    pub(in crate::server) fn heads_refused(&self) -> u64 {
        self.heads_refused
    }

    /// Bytes that were written to clients, or kept for them.
    pub(in crate::server) fn sent_bytes(&self) -> u64 {
        self.sent_bytes
    }

    /// Timers that are set.
    pub(in crate::server) fn timer_count(&self) -> usize {
        self.deadlines.len()
    }

    /// Streams of all ports: members and watchers.
    pub(in crate::server) fn stream_count(&self) -> usize {
        self.streams.as_slice().iter().sum()
    }

    /// Connections of a port whose head is not whole.
    pub(in crate::server) fn head_count(&self, port: Port) -> usize {
        self.heads[port].count()
    }

    /// How many slots there are for more members and watchers.
    pub(in crate::server) fn free_slots(&self, port: Port) -> usize {
        self.capacity.free_slots(port, self.streams[port])
    }

    /// Whether one more connection may come in, even if only to be turned away.
    pub(in crate::server) fn may_accept(&self, port: Port) -> bool {
        self.capacity.may_accept(port, self.open[port])
    }

    /// Whether no connection of the port is kept open that has its answer.
    pub(super) fn is_crowded(&self, port: Port) -> bool {
        self.capacity.is_crowded(port, self.open[port])
    }

    /// A connection has come: its head is awaited.
    pub(super) fn open(&mut self, conn: &Conn, now: Tick) {
        let port = conn.port();
        self.open[port] += 1;
        self.heads[port].begin();
        let patience = conn.silence().unwrap_or(self.head_timeout);
        self.set_deadline(conn, Some(now.after(patience)));
    }

    /// Records what an open connection holds of its head now; it held `before` bytes until now. It is turned away if that is
    /// too much beside what others hold.
    pub(in crate::server) fn hold_head(&mut self, conn: &mut Conn, before: HeadState, now: Tick) {
        let port = conn.port();
        let has_begun = before.is_untouched && conn.silence().is_some();
        if has_begun && conn.stage() == Stage::Head {
            // Silence is over: what has begun may take as long as at any port.
            self.set_deadline(conn, Some(now.after(self.head_timeout)));
        }
        if self.heads[port].change(before.held, conn.session()) {
            self.refuse_head(conn);
        }
        if has_begun {
            self.limit_heads(conn);
        }
    }

    /// Turns away a connection that has just come, if its head did not come whole with it and too many others are waited for.
    /// Where silence is answered, a silent connection may stay: it will be answered soon.
    pub(in crate::server) fn limit_heads(&mut self, conn: &mut Conn) {
        let port = conn.port();
        let may_stay = conn.silence().is_some() && conn.session().is_untouched();
        if conn.closing().is_some() || conn.stage() != Stage::Head || may_stay {
            return;
        }
        if self.heads[port].count() > self.capacity.heads_max(port) {
            self.refuse_head(conn);
        }
    }

    /// Closes it without a word: a browser's `EventSource` comes back by itself after a connection that ended without an
    /// answer, and never after a status other than 200 (HTML standard, section 9.2.3).
    fn refuse_head(&mut self, conn: &mut Conn) {
        if conn.closing().is_none() {
            self.heads_refused += 1;
            self.close(conn, CloseReason::NoHeadRoom);
        }
    }

    /// Makes a stream of an open connection, its body in this coding; `surplus` bytes have followed its head.
    pub(super) fn stream(&mut self, conn: &mut Conn, coding: Coding, surplus: u32) {
        self.heads[conn.port()].end(conn.session());
        conn.stream(coding, surplus);
        self.streams[conn.port()] += 1;
    }

    /// Has an open connection wait for its answer; `surplus` bytes have followed its head.
    pub(super) fn await_answer(&mut self, conn: &mut Conn, surplus: u32) {
        self.heads[conn.port()].end(conn.session());
        conn.await_answer(surplus);
    }

    /// Ends the part that an open connection takes: it is only sent its last words.
    pub(super) fn drain(&mut self, conn: &mut Conn) {
        self.leave_stage(conn);
        conn.drain();
    }

    /// Marks a connection to be freed at the end of a turn, this one if there is time. The first reason stays.
    pub(in crate::server) fn close(&mut self, conn: &mut Conn, reason: CloseReason) {
        if conn.closing().is_none() {
            // Streams keep their slot until they are freed: their descriptor is in use, and they are counted still.
            self.heads[conn.port()].end(conn.session());
            conn.close(reason);
            self.closing.push_back(conn.id());
        }
    }

    /// A connection is freed.
    pub(super) fn forget(&mut self, conn: &Conn) {
        self.deadlines.cancel(conn.id());
        self.origins.forget(conn.id());
        self.open[conn.port()] -= 1;
        self.streams[conn.port()] -= usize::from(conn.stage() == Stage::Stream);
        if let Some(count) = conn.closing().and_then(|reason| self.closed.get_mut(reason as usize)) {
            *count += 1;
        }
        debug_assert!(!self.is_without_open() || self.is_blank(), "the last connection leaves nothing behind");
    }

    fn is_without_open(&self) -> bool {
        self.open.as_slice().iter().all(|&count| count == 0)
    }

    /// Whether nothing is kept of any connection that is there.
    fn is_blank(&self) -> bool {
        let has_no_heads = self.heads.as_slice().iter().all(Heads::is_empty);
        has_no_heads && self.stream_count() == 0 && self.deadlines.is_empty() && self.origins.is_empty()
    }

    /// Has the deadline of a connection come again in the next tick.
    pub(in crate::server) fn put_off(&mut self, conn: &Conn, now: Tick) {
        self.set_deadline(conn, Some(Tick(now.0 + 1)));
    }

    /// The deadline of a connection; `None` is for ever, or for one that has come.
    pub(in crate::server) fn deadline(&self, conn: &Conn) -> Option<Tick> {
        self.deadlines.deadline(conn.id())
    }

    /// Sets the deadline of a connection, in place of the one it had; `None` is for ever.
    pub(super) fn set_deadline(&mut self, conn: &Conn, deadline: Option<Tick>) {
        match deadline {
            Some(deadline) => self.deadlines.set(conn.id(), deadline),
            None => self.deadlines.cancel(conn.id()),
        }
    }

    /// Writes bytes for this peer alone. If something is unwritten, these bytes end it.
    pub(in crate::server) fn write(&mut self, conn: &mut Conn, bytes: &[u8]) -> Result<(), CloseReason> {
        conn.write(bytes)?;
        self.sent_bytes += bytes.len() as u64;
        Ok(())
    }

    /// Ends a stream with this block after what has been begun, or after all that waits.
    pub(super) fn end_body(&mut self, conn: &mut Conn, block: Option<&[u8]>) -> Result<(), CloseReason> {
        if block.is_some() {
            conn.give_up();
        }
        let bytes = conn.coding().last(block);
        if bytes.is_empty() {
            return Ok(());
        }
        self.write(conn, &bytes)
    }

    /// Ends the body of a stream, and writes what waits as far as the kernel takes it.
    pub(super) fn end_now(&mut self, conn: &mut Conn) -> Result<(), CloseReason> {
        self.end_body(conn, None)?;
        for _ in 0..LAST_WRITES {
            if !conn.is_behind() {
                break;
            }
            conn.flush()?;
        }
        Ok(())
    }

    /// Closes a connection at an end that is ours. The body of a stream ends rightly, unless something is unwritten: then its
    /// client learns that it was cut.
    pub(in crate::server) fn cut(&mut self, conn: &mut Conn, reason: CloseReason) {
        let is_whole = conn.stage() == Stage::Stream && !conn.is_behind();
        let ended = if is_whole { self.end_now(conn) } else { Ok(()) };
        self.close(conn, ended.err().unwrap_or(reason));
    }

    /// Pushes a count to a member. A stream whose body has ended takes no more.
    pub(in crate::server) fn push_count(&mut self, conn: &mut Conn, frame: &Frame) -> Result<(), CloseReason> {
        if conn.stage() == Stage::Stream {
            conn.push_count(frame)?;
            self.sent_bytes += frame.bytes(conn.coding()).len() as u64;
        }
        Ok(())
    }

    /// Pushes a message to a member. A stream whose body has ended takes no more.
    pub(in crate::server) fn push_message(&mut self, conn: &mut Conn, frame: &Frame) -> Result<(), CloseReason> {
        if conn.stage() == Stage::Stream {
            conn.push_message(frame)?;
            self.sent_bytes += frame.bytes(conn.coding()).len() as u64;
        }
        Ok(())
    }

    fn leave_stage(&mut self, conn: &Conn) {
        self.heads[conn.port()].end(conn.session());
        self.streams[conn.port()] -= usize::from(conn.stage() == Stage::Stream);
    }
}

/// What a connection held of its head before bytes came.
#[derive(Clone, Copy, Debug)]
pub(in crate::server) struct HeadState {
    is_untouched: bool,
    held: usize,
}

impl HeadState {
    pub(in crate::server) fn of(conn: &Conn) -> Self {
        Self { is_untouched: conn.session().is_untouched(), held: conn.session().held() }
    }
}
