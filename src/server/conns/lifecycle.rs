//! One connection's part of a turn: bytes in, answer out, and the way to its end.
//!
//! Owns what an event, an answer or a deadline makes of a connection. What an answer says is the service's; how bytes get
//! out is the connection's.
//!
//! Invariant: every connection but a member's has a deadline, and a member's lasts no longer than it may.

use crate::collections::tick::Now;
use crate::log;
use crate::server::answers::cursor::Cursor;
use crate::server::audience::{Asker, Then};
use crate::server::conns::Conns;
use crate::server::conns::conn::{CloseReason, ConnId, Port, ReadOutcome};
use crate::server::conns::origins::Opening;
use crate::server::turn::Server;
use crate::wire::http::Refusal;
use crate::wire::session::{Session, Step};

/// How long a peer may take to close once it was told its last word: a round trip to the other side of the world, with one
/// retransmission.
const LINGER: std::time::Duration = std::time::Duration::from_secs(2);

/// How long a peer may take none of what is being written to it.
const STALL: std::time::Duration = std::time::Duration::from_secs(10);

impl Server {
    pub(in crate::server) fn on_conn(&mut self, id: ConnId, is_writable: bool, now: Now) {
        if is_writable {
            self.on_writable(id, now);
        }
        let Some(conn) = self.conns.get_open(id) else { return };
        match conn.read(&mut self.scratch) {
            Ok(ReadOutcome::Nothing) => {}
            Ok(ReadOutcome::Bytes(count)) => self.on_bytes(id, count, now),
            Ok(ReadOutcome::End) => self.on_peer_finished(id, now),
            Err(reason) => self.conns.close(id, reason),
        }
    }

    /// `count` bytes have arrived in `scratch`.
    fn on_bytes(&mut self, id: ConnId, count: usize, now: Now) {
        let Some(port) = self.conns.get_open(id).map(|conn| conn.port) else { return };
        let has_room = self.listeners.has_room(port, &self.conns);
        let Some(conn) = self.conns.get_open(id) else { return };
        let (was_untouched, held) = (conn.session.is_untouched(), conn.session.held());
        let bytes = match self.clients.open(id, self.scratch.get(..count).unwrap_or_default()) {
            Opening::Wait => return,
            Opening::Request(bytes) => bytes,
            Opening::Malformed(why) => {
                log::debug(format_args!("event=proxy_head conn={id} error={:?}", why.to_string()));
                return self.conns.close(id, CloseReason::ProxyHead);
            }
        };
        match conn.session.feed(&bytes) {
            Step::Wait => {
                if port == Port::Stats && was_untouched && matches!(conn.session, Session::Head(_)) {
                    let head_timeout = self.service.config.head_timeout;
                    self.conns.set_deadline(id, Some(now.tick.after(head_timeout)));
                }
                self.conns.hold_head(id, held);
                if port == Port::Stats && was_untouched {
                    self.conns.limit_heads(id, self.listeners.heads_max(port));
                }
            }
            Step::Request { request, surplus } => {
                let address = self.clients.take(id, &request);
                let mut then = self.service.answer(&request, Asker { id, port, address, has_room }, now);
                if let Then::Page { page, is_head } = then {
                    then = self.answer_page(page, is_head, now);
                }
                self.after_answer(id, surplus, then, now);
            }
            Step::Refuse { refusal, is_head } => {
                self.service.refuse(refusal, is_head);
                self.after_answer(id, 0, Then::Drain, now);
            }
            Step::TooMuch => self.conns.close(id, CloseReason::TooMuch),
        }
    }

    /// Writes the answer and makes of the connection what the answer says.
    fn after_answer(&mut self, id: ConnId, surplus: u32, then: Then, now: Now) {
        let Some(conn) = self.conns.get_open(id) else { return };
        let written = conn.write(&self.service.out);
        self.service.tally.record_sent(self.service.out.len());
        match (written, then) {
            (Err(reason), _) => self.conns.close(id, reason),
            (Ok(()), Then::Stream(until)) => {
                let watched = conn.watch(&self.reactor, Conns::token(id));
                if conn.is_behind() {
                    self.service.watches.stall(id.into());
                }
                self.conns.stream(id, surplus);
                self.conns.set_deadline(id, until);
                if let Err(reason) = watched {
                    self.conns.close(id, reason);
                }
            }
            (Ok(()), Then::Drain | Then::Page { .. }) => self.finish(id, None, now),
            (Ok(()), Then::DrainPieces(cursor)) => {
                conn.rest = Some(cursor);
                self.finish(id, None, now);
            }
        }
    }

    /// Ends a connection politely: the last words, if any, then our side is shut and the peer is waited for.
    pub(in crate::server) fn finish(&mut self, id: ConnId, last_words: Option<&[u8]>, now: Now) {
        self.conns.drain(id);
        let Some(conn) = self.conns.get_open(id) else { return };
        let ended = last_words.map_or(Ok(()), |bytes| conn.end_with(bytes));
        match ended {
            Ok(()) => self.drain(id, now),
            Err(reason) => self.conns.close(id, reason),
        }
    }

    /// Goes on writing to a connection that is being ended; when all is written, shuts our side.
    fn drain(&mut self, id: ConnId, now: Now) {
        let Some(conn) = self.conns.get_open(id) else { return };
        let drained = conn.flush().and_then(|()| {
            if !conn.has_outbox()
                && let Some(cursor) = conn.rest.take()
            {
                self.service.out.clear();
                conn.rest = self.service.push_piece(cursor, now);
                conn.write(&self.service.out)?;
            }
            conn.shut_when_written()?;
            conn.watch(&self.reactor, Conns::token(id))
        });
        let (port, is_behind) = (conn.port, conn.is_behind());
        let patience = if is_behind { STALL } else { LINGER };
        match drained {
            // Whoever has its answer makes room. If it still sends, a reset may eat the answer; a whole request does not.
            Ok(()) if !is_behind && self.listeners.is_crowded(port, &self.conns) => {
                self.conns.close(id, CloseReason::Lingered);
            }
            Ok(()) => self.conns.set_deadline(id, Some(now.tick.after(patience))),
            Err(reason) => self.conns.close(id, reason),
        }
    }

    /// The socket takes bytes again.
    fn on_writable(&mut self, id: ConnId, now: Now) {
        let Some(conn) = self.conns.get_open(id).filter(|conn| conn.is_behind()) else { return };
        if matches!(conn.session, Session::Drain { .. }) {
            return self.drain(id, now);
        }
        let flushed = conn.flush().and_then(|()| conn.watch(&self.reactor, Conns::token(id)));
        if !conn.is_behind() {
            self.service.watches.resume(id.into());
        }
        if let Err(reason) = flushed {
            self.conns.close(id, reason);
        }
    }

    /// The peer will say no more.
    fn on_peer_finished(&mut self, id: ConnId, now: Now) {
        let Some(conn) = self.conns.get_open(id) else { return };
        match conn.session {
            // `nc localhost 1442 </dev/null`: nothing to say from the start.
            Session::Head(None) if conn.port == Port::Stats => {
                conn.note_peer_finished();
                self.reply_raw_stats(id, now);
            }
            // It may well read on.
            Session::Drain { .. } if conn.is_behind() => {
                conn.note_peer_finished();
                if let Err(reason) = conn.watch(&self.reactor, Conns::token(id)) {
                    self.conns.close(id, reason);
                }
            }
            _ => self.conns.close(id, CloseReason::PeerClosed),
        }
    }

    pub(in crate::server) fn on_deadline(&mut self, id: ConnId, now: Now) {
        let Some(conn) = self.conns.get_open(id) else { return };
        match conn.session {
            Session::Head(None) if conn.port == Port::Stats => self.reply_raw_stats(id, now),
            Session::Head(_) => {
                let is_head = conn.session.is_head();
                self.service.refuse(Refusal::Timeout, is_head);
                self.after_answer(id, 0, Then::Drain, now);
            }
            Session::Stream { .. } => self.conns.close(id, CloseReason::MaxDuration),
            Session::Drain { .. } => self.conns.close(id, CloseReason::Lingered),
        }
    }

    /// The JSON without a head, for who connects and says nothing.
    fn reply_raw_stats(&mut self, id: ConnId, now: Now) {
        self.service.out.clear();
        self.after_answer(id, 0, Then::DrainPieces(Box::new(Cursor::stats())), now);
    }
}
