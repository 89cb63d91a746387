//! Telling those who watch many namespaces at once, and are not counted.
//!
//! Owns who may, and how what they are told gets out. What that is, the meter's watches know; they are asked for a piece at a
//! time, and told who does not take it: so long nothing is kept for it but that it is behind.
//!
//! Invariant: a watcher has at most one piece that it has not taken.

use crate::collections::tick::Now;
use crate::log;
use crate::meter::watches::Piece;
use crate::server::audience::{Asker, Service, Then};
use crate::server::conns::Conns;
use crate::server::conns::conn::{CloseReason, ConnId, Port};
use crate::server::figures::tally::NoRoom;
use crate::server::turn::Server;
use crate::wire::http::{Method, Request};
use crate::wire::reply::{self, Cors};
use crate::wire::session::Session;
use crate::wire::watch;

/// How many patterns are left to the stats port, however many watch at the audience port: those of 16 who have all they may.
const PATTERNS_FOR_STATS: usize = 16 * watch::PATTERNS_PER_WATCHER;

/// How many pieces are told in one turn: at up to 20 us each for looking, writing and the kernel, 0.16 ms.
const PIECES_PER_TURN: usize = 8;

impl Service {
    /// Answers who asks to watch, for pages that are told so much by `cors`.
    pub(in crate::server) fn watch(&mut self, request: &Request<'_>, cors: Cors<'_>, asker: Asker, now: Now) -> Then {
        let is_head = request.method == Method::Head;
        let patterns = match watch::parse(request.query.unwrap_or_default()) {
            Ok(patterns) => patterns,
            Err(why) => {
                self.reply_text(400, why, is_head);
                return Then::Drain;
            }
        };
        if is_head {
            reply::push_stream_head(&mut self.out, cors);
            return Then::Drain;
        }
        let reserved = if asker.port == Port::Audience { PATTERNS_FOR_STATS } else { 0 };
        if !asker.has_room || self.watches.enter(asker.id.into(), &patterns, reserved, &mut self.meter, now).is_err() {
            self.tally.record_refusal(NoRoom::Watchers);
            match asker.port {
                Port::Audience => self.send_away(cors),
                _ => self.reply_text(503, "as many watch here as may; end another, or ask again later", false),
            }
            return Then::Drain;
        }
        reply::push_stream_head(&mut self.out, cors);
        self.push_retry();
        Then::Stream(match asker.port {
            Port::Audience => self.stream_end(now),
            // They are on this machine, and cannot die without a word.
            _ => None,
        })
    }
}

impl Server {
    /// Goes on with what watchers are to be told, as much as fits into a turn.
    pub(in crate::server) fn tell_watchers(&mut self, now: Now) {
        let Service { meter, watches, .. } = &mut self.service;
        watches.go_on(meter, now);
        let mut piece = Piece::default();
        for _ in 0..PIECES_PER_TURN {
            let Some(id) = self.service.watches.tell(&mut piece) else { break };
            self.tell_watcher(id.into(), &piece);
        }
        while let Some(id) = self.service.watches.pop_late() {
            log::debug(format_args!("event=watcher_late conn={id}"));
            self.conns.close(id.into(), CloseReason::TooSlow);
        }
    }

    fn tell_watcher(&mut self, id: ConnId, piece: &Piece) {
        let Service { watches, out, tally, .. } = &mut self.service;
        let Some(conn) = self.conns.get_open(id) else { return watches.stall(id.into()) };
        if !matches!(conn.session, Session::Stream { .. }) {
            return watches.stall(id.into());
        }
        debug_assert!(!conn.is_behind(), "who does not take it is not told more");
        out.clear();
        watch::push_piece(out, piece);
        tally.record_sent(out.len());
        let written = conn.write(out).and_then(|()| conn.watch(&self.reactor, Conns::token(id)));
        if conn.is_behind() {
            watches.stall(id.into());
        }
        if let Err(reason) = written {
            self.conns.close(id, reason);
        }
    }
}
