//! What a request on the stats port is answered with.
//!
//! Owns its paths, and which of them is answered by whom: what the audience knows here, what the process knows in `figures`.
//!
//! Invariant: who is not on this machine, or is a page from elsewhere, learns nothing.

use super::admin::{self, Page};
use super::assets;
use super::pieces::Cursor;
use super::service::{NOT_FROM_ELSEWHERE, Service, Then};
use crate::collections::tick::Now;
use crate::wire::http::{Method, Request};
use crate::wire::reply::{self, Reply};

/// What there is at the stats port.
const NO_SUCH_PAGE: &str = "there are /, /cluster, /process, /history/<namespace>, /metrics, /healthz, /readyz and \
                            /grafana.json here";

impl Service {
    /// Answers a request on the stats port.
    pub(super) fn answer_stats(&mut self, request: &Request<'_>, now: Now) -> Then {
        let is_head = request.method == Method::Head;
        match request.path {
            _ if !admin::is_local(request) => self.reply_text(403, NOT_FROM_ELSEWHERE, is_head),
            "/" => return self.reply_stats(is_head, now),
            "/healthz" => self.reply_text(200, "alive", is_head),
            "/grafana.json" => self.reply_asset(&assets::GRAFANA, is_head),
            path => match Page::of(path) {
                Some(page) => return Then::Page { page, is_head },
                None => return self.answer_history(request, now),
            },
        }
        Then::Drain
    }

    /// Answers with the stats. They are seldom longer than one piece, and then their length is told: not every client takes
    /// the end of a connection for the end of an answer.
    fn reply_stats(&mut self, is_head: bool, now: Now) -> Then {
        let next = self.push_piece(Box::new(Cursor::stats()), now);
        let piece = self.out.split_off(0);
        let Some(cursor) = next else {
            let (content_type, fields) = (Some("application/json"), "Cache-Control: no-store\r\n");
            Reply { content_type, fields, body: &piece, ..Reply::empty(200) }.write(&mut self.out, is_head);
            return Then::Drain;
        };
        reply::push_open_ended_head(&mut self.out, "application/json");
        if is_head {
            return Then::Drain;
        }
        self.out.extend_from_slice(&piece);
        Then::DrainPieces(cursor)
    }

    /// Answers with the history of a namespace.
    fn answer_history(&mut self, request: &Request<'_>, now: Now) -> Then {
        let is_head = request.method == Method::Head;
        let Some(name) = request.path.strip_prefix("/history/") else {
            self.reply_text(404, NO_SUCH_PAGE, is_head);
            return Then::Drain;
        };
        match self.begin_history(name, now) {
            Some(_) if is_head => {
                let end = self.out.windows(4).position(|bytes| bytes == b"\r\n\r\n").map_or(0, |at| at + 4);
                self.out.truncate(end);
            }
            Some(cursor) => return Then::DrainPieces(cursor),
            None => self.reply_text(404, "there is no history of this namespace", is_head),
        }
        Then::Drain
    }
}
