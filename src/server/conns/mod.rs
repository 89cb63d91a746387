//! The table of all connections, with one deadline each.
//!
//! Owns the connections and their timers, and the line of those that are to be freed. What a deadline means follows
//! from the state of its connection: the head is late, the stream has lasted long enough, or the peer does not close.
//!
//! Invariant: a connection is in `closing` exactly when it is marked, once; so `reap` frees each one once.

pub(in crate::server) mod conn;
pub(in crate::server) mod heads;
pub(in crate::server) mod lifecycle;
pub(in crate::server) mod origins;
pub(in crate::server) mod torture;

use std::collections::VecDeque;
use std::net::TcpStream;

use crate::collections::key::Key as _;
use crate::collections::slab::Slab;
use crate::collections::tick::Tick;
use crate::collections::wheel::TimerWheel;
use crate::reactor::{Interest, Reactor, Registered, Token};
use crate::server::conns::conn::{CloseReason, Conn, ConnId, Port};
use crate::server::conns::heads::Heads;
use crate::wire::session::Session;

/// All connections.
#[derive(Default)]
pub(in crate::server) struct Conns {
    slab: Slab<ConnId, Conn>,
    deadlines: TimerWheel<ConnId>,
    closing: VecDeque<ConnId>,
    /// How many came in on each port.
    by_port: [usize; Port::COUNT],
    /// Those of each port whose head is not whole. Each port for itself: a crowd at one keeps nobody out of another.
    heads: [Heads; Port::COUNT],
    /// How many were turned away for that.
    heads_refused: u64,
    /// How many of each port's are streams.
    streams: [usize; Port::COUNT],
    /// How many were freed, by reason.
    closed: [u64; CloseReason::ALL.len()],
}

impl Conns {
    /// Takes over an accepted connection.
    ///
    /// # Errors
    /// When the kernel cannot watch it; it is closed then.
    pub(in crate::server) fn insert(
        &mut self,
        reactor: &Reactor,
        stream: TcpStream,
        port: Port,
    ) -> std::io::Result<ConnId> {
        let token = Self::token(self.slab.next_key());
        let socket = Registered::new(reactor, stream, token, Interest::Read)?;
        self.by_port[port as usize] += 1;
        self.heads[port as usize].begin();
        Ok(self.slab.insert(Conn::new(socket, port)))
    }

    /// The name of a connection with the reactor.
    pub(in crate::server) fn token(id: ConnId) -> Token {
        Token(id.index())
    }

    /// The connection, unless it is closing.
    pub(in crate::server) fn get_open(&mut self, id: ConnId) -> Option<&mut Conn> {
        self.slab.get_mut(id).filter(|conn| conn.closing.is_none())
    }

    /// The number of connections.
    pub(in crate::server) fn len(&self) -> usize {
        self.slab.len()
    }

    /// The number of timers that are set.
    pub(in crate::server) fn timers(&self) -> usize {
        self.deadlines.len()
    }

    /// The number of places: all connections have keys with a lesser index.
    pub(in crate::server) fn place_count(&self) -> usize {
        self.slab.place_count()
    }

    /// The numbers of connections, in the order of the ports.
    pub(in crate::server) fn open_by_port(&self) -> &[usize] {
        &self.by_port
    }

    /// The number of connections that came in on a port.
    pub(in crate::server) fn on_port(&self, port: Port) -> usize {
        self.by_port[port as usize]
    }

    /// The number of streams of a port. Those of the audience port are members, and whoever watches there.
    pub(in crate::server) fn streams_on(&self, port: Port) -> usize {
        self.streams[port as usize]
    }

    /// The number of all streams.
    pub(in crate::server) fn streams(&self) -> usize {
        self.streams.iter().sum()
    }

    /// Takes note of what an open connection holds of its head, which was `before` until now. It is turned away if that is
    /// too much beside what others hold.
    pub(in crate::server) fn hold_head(&mut self, id: ConnId, before: usize) {
        let Some(conn) = self.slab.get_mut(id).filter(|conn| conn.closing.is_none()) else { return };
        if self.heads[conn.port as usize].change(before, &conn.session) {
            self.refuse_head(id);
        }
    }

    /// Turns away a connection that has just come, if its head did not come whole with it and `most` others are waited for.
    /// One that has said nothing may stay at the stats port: it will be answered soon.
    pub(in crate::server) fn limit_heads(&mut self, id: ConnId, most: usize) {
        let Some(conn) = self.get_open(id).filter(|conn| matches!(conn.session, Session::Head(_))) else { return };
        let port = conn.port;
        if port == Port::Stats && conn.session.is_untouched() {
            return;
        }
        if self.heads[port as usize].count() > most {
            self.refuse_head(id);
        }
    }

    /// Without a word: a browser's `EventSource` comes back by itself after a connection that ended without an answer, and
    /// never after a status other than 200 (HTML standard, section 9.2.3).
    fn refuse_head(&mut self, id: ConnId) {
        self.heads_refused += 1;
        self.close(id, CloseReason::NoHeadRoom);
    }

    /// How many connections of a port have a head that is not whole.
    pub(in crate::server) fn heads(&self, port: Port) -> usize {
        self.heads[port as usize].count()
    }

    /// How many were turned away because too many heads were waited for, or too much was held of them.
    pub(in crate::server) fn heads_refused(&self) -> u64 {
        self.heads_refused
    }

    /// Makes a stream of an open connection; `surplus` bytes have followed its head.
    pub(in crate::server) fn stream(&mut self, id: ConnId, surplus: u32) {
        if let Some(conn) = self.slab.get_mut(id).filter(|conn| conn.closing.is_none()) {
            self.heads[conn.port as usize].end(&conn.session);
            conn.session.stream(surplus);
            self.streams[conn.port as usize] += 1;
        }
    }

    /// Has an open connection take no part any more: it is only to hear its last words.
    pub(in crate::server) fn drain(&mut self, id: ConnId) {
        if let Some(conn) = self.slab.get_mut(id).filter(|conn| conn.closing.is_none()) {
            self.heads[conn.port as usize].end(&conn.session);
            let was_stream = matches!(conn.session, Session::Stream { .. });
            conn.session.drain();
            self.streams[conn.port as usize] -= usize::from(was_stream);
        }
    }

    /// Marks a connection to be freed at the end of a turn, this one if there is time. The first reason stays.
    pub(in crate::server) fn close(&mut self, id: ConnId, reason: CloseReason) {
        if let Some(conn) = self.slab.get_mut(id).filter(|conn| conn.closing.is_none()) {
            self.heads[conn.port as usize].end(&conn.session);
            conn.closing = Some(reason);
            self.closing.push_back(id);
        }
    }

    /// Takes the next connection that is to be freed, its timer gone.
    pub(in crate::server) fn pop_closing(&mut self) -> Option<(ConnId, Conn)> {
        let id = self.closing.pop_front()?;
        self.deadlines.cancel(id);
        let conn = self.slab.remove(id)?;
        self.by_port[conn.port as usize] -= 1;
        self.streams[conn.port as usize] -= usize::from(matches!(conn.session, Session::Stream { .. }));
        if let Some(count) = conn.closing.and_then(|reason| self.closed.get_mut(reason as usize)) {
            *count += 1;
        }
        Some((id, conn))
    }

    /// The numbers of connections that were freed, in the order of the reasons.
    pub(in crate::server) fn closed_by_reason(&self) -> &[u64] {
        &self.closed
    }

    /// Whether some are still to be freed.
    pub(in crate::server) fn has_closing(&self) -> bool {
        !self.closing.is_empty()
    }

    /// Sets the deadline of a connection, in place of the one it had; `None` is for ever.
    pub(in crate::server) fn set_deadline(&mut self, id: ConnId, deadline: Option<Tick>) {
        match deadline {
            Some(deadline) => self.deadlines.set(id, deadline),
            None => self.deadlines.cancel(id),
        }
    }

    /// When [`expire`](Self::expire) is to be called next.
    pub(in crate::server) fn next_deadline(&self) -> Option<Tick> {
        self.deadlines.next_deadline()
    }

    /// Moves time on; what is due can be popped.
    pub(in crate::server) fn expire(&mut self, now: Tick) {
        self.deadlines.expire(now);
    }

    /// The next connection whose deadline has come.
    pub(in crate::server) fn pop_due(&mut self) -> Option<ConnId> {
        self.deadlines.pop_due()
    }
}
