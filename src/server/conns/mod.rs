//! All connections: from `accept` to `reap`.
//!
//! | file | owns |
//! |---|---|
//! | `conn` | one connection: its socket, its stage, its unwritten bytes |
//! | `books` | how many there are in each stage, when each is due, which will be freed |
//! | `heads` | what may be held of requests that are not whole |
//! | `origins` | where a connection comes from, through proxies |
//! | `lifecycle` | how a connection becomes a stream, and how it ends |
//! | `close_reason` | why connections are closed |
//! | `torture` | the kernel on its worst day, for the tests |
//!
//! This file owns the table. A connection is handed out together with the books, so a caller looks it up once and keeps both
//! in step. It knows of the other rooms only where a long reply goes on (`answers::cursor`), and the values of `ports`.
//!
//! Invariant: nothing but [`Conns::pop_closing`] frees a connection; so a key that an event names is never another's.

pub(in crate::server) mod books;
pub(in crate::server) mod close_reason;
pub(in crate::server) mod conn;
mod heads;
pub(in crate::server) mod lifecycle;
pub(in crate::server) mod origins;
pub(in crate::server) mod torture;

use std::io;
use std::net::{IpAddr, TcpStream};

use crate::collections::key::Key as _;
use crate::collections::slab::Slab;
use crate::collections::tick::Tick;
use crate::config::Config;
use crate::reactor::{Interest, Reactor, Registered};
use crate::server::ports::capacity::Capacity;
use crate::server::ports::port::Port;
use books::Books;
use close_reason::CloseReason;
use conn::{Conn, ConnId, Stage};
use origins::Origins;

/// All connections.
pub(in crate::server) struct Conns {
    slab: Slab<ConnId, Conn>,
    books: Books,
    /// Whether the stats are for clients on this machine alone, and for those with the token.
    is_silence_local: bool,
}

impl Conns {
    /// No connections yet.
    pub(in crate::server) fn new(config: &Config, capacity: Capacity) -> Self {
        let books = Books::new(capacity, config.head_timeout, Origins::new(config));
        Self { slab: Slab::default(), books, is_silence_local: config.stats.needs_token() }
    }

    /// Takes over an accepted connection.
    ///
    /// # Errors
    /// When the kernel cannot watch it; it is closed then.
    pub(in crate::server) fn insert(
        &mut self,
        reactor: &Reactor,
        stream: TcpStream,
        port: Port,
        peer: Option<IpAddr>,
        now: Tick,
    ) -> io::Result<ConnId> {
        let id = self.slab.next_key();
        let is_answered = |stream: &TcpStream| {
            let is_from_here = || stream.peer_addr().is_ok_and(|peer| peer.ip().to_canonical().is_loopback());
            !self.is_silence_local || is_from_here()
        };
        let answers_silence = port.policy().silence.is_some() && is_answered(&stream);
        let socket = Registered::new(reactor, stream, Conn::token(id), Interest::Read)?;
        let conn = Conn::new(id, socket, port, answers_silence);
        self.books.open(&conn, now);
        self.books.origins.begin(id, peer);
        Ok(self.slab.insert(conn))
    }

    /// The connection, unless it is closing, with the books.
    pub(in crate::server) fn open(&mut self, id: ConnId) -> Option<(&mut Conn, &mut Books)> {
        let conn = self.slab.get_mut(id).filter(|conn| conn.closing().is_none())?;
        Some((conn, &mut self.books))
    }

    pub(in crate::server) fn books(&self) -> &Books {
        &self.books
    }

    /// The number of connections.
    pub(in crate::server) fn len(&self) -> usize {
        self.slab.len()
    }

    /// The number of places: all connections have keys with a lesser index.
    pub(in crate::server) fn place_count(&self) -> usize {
        self.slab.place_count()
    }

    /// Marks a connection to be freed at the end of a turn, this one if there is time. The first reason stays.
    pub(in crate::server) fn close(&mut self, id: ConnId, reason: CloseReason) {
        if let Some((conn, books)) = self.open(id) {
            books.close(conn, reason);
        }
    }

    /// Ends the bodies of all streams, for the process ends, and marks the connections to be freed. What a client does not take
    /// now, it does not get.
    pub(in crate::server) fn end_all(&mut self) {
        for id in (0..self.place_count()).filter_map(ConnId::from_index) {
            let Some((conn, books)) = self.open(id) else { continue };
            let ended = if conn.stage() == Stage::Stream { books.end_now(conn) } else { Ok(()) };
            books.close(conn, ended.err().unwrap_or(CloseReason::Shutdown));
        }
    }

    /// Takes the next connection that is marked out of the table and the books.
    pub(in crate::server) fn pop_closing(&mut self) -> Option<Conn> {
        let conn = self.slab.remove(self.books.closing.pop_front()?)?;
        self.books.forget(&conn);
        Some(conn)
    }

    /// Whether some are still to be freed.
    pub(in crate::server) fn has_closing(&self) -> bool {
        !self.books.closing.is_empty()
    }

    /// When [`expire`](Self::expire) has something to do next.
    pub(in crate::server) fn next_deadline(&self) -> Option<Tick> {
        self.books.deadlines.next_deadline()
    }

    /// Moves time on; what is due can be popped.
    pub(in crate::server) fn expire(&mut self, now: Tick) {
        self.books.deadlines.expire(now);
    }

    /// The next connection whose deadline has come.
    pub(in crate::server) fn pop_due(&mut self) -> Option<ConnId> {
        self.books.deadlines.pop_due()
    }
}
