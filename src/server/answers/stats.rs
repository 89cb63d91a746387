//! What a request on the stats port is answered with.
//!
//! Owns its paths, and which of them is answered by whom: what the audience knows here, what the process knows in `figures`.
//!
//! Invariant: who is not on this machine, or is a page from elsewhere, learns nothing.

use std::borrow::Cow;

use crate::collections::tick::Now;
use crate::server::answers::admin::{self, Page};
use crate::server::answers::assets;
use crate::server::answers::cursor::{Cursor, figures_of};
use crate::server::audience::{Asker, NOT_FROM_ELSEWHERE, Service, Then};
use crate::wire::history::Format;
use crate::wire::http::{Method, Request, contains_ignore_case};
use crate::wire::reply::{self, Cors, Reply};
use crate::wire::{query, stats, watch};

/// What there is at the stats port.
const NO_SUCH_PAGE: &str = "there are /, /?watch=<names>, /namespace/<namespace>, /history/<namespace>, /cluster, /process, \
                            /metrics, /healthz, /readyz and /grafana.json here";

/// The dashboard may do nothing but ask the port that it comes from (Content Security Policy).
const DASHBOARD_FIELDS: &str = "Content-Encoding: gzip\r\n\
    Cache-Control: no-store\r\n\
    Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
    img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n";

impl Service {
    /// Answers a request on the stats port.
    pub(in crate::server) fn answer_stats(&mut self, request: &Request<'_>, asker: Asker, now: Now) -> Then {
        let is_head = request.method == Method::Head;
        match request.path {
            _ if !admin::is_local(request) => self.reply_text(403, NOT_FROM_ELSEWHERE, is_head),
            "/" if watch::is_asked(request.query) => return self.watch(request, Cors::None, asker, now),
            "/" if is_for_browser(request) => self.reply_dashboard(is_head),
            "/" => return self.reply_stats(is_head, now),
            "/healthz" => self.reply_text(200, "alive", is_head),
            "/grafana.json" => self.reply_asset(&assets::GRAFANA, is_head),
            path => match Page::of(path) {
                Some(page) => return Then::Page { page, is_head },
                None => return self.answer_about_one(request, now),
            },
        }
        Then::Drain
    }

    fn reply_dashboard(&mut self, is_head: bool) {
        let (content_type, body) = (Some(assets::HTML), assets::DASHBOARD);
        Reply { content_type, fields: DASHBOARD_FIELDS, body, ..Reply::empty(200) }.write(&mut self.out, is_head);
    }

    /// Answers with the stats. They are seldom longer than one piece, and then their length is told: not every client takes
    /// the end of a connection for the end of an answer.
    fn reply_stats(&mut self, is_head: bool, now: Now) -> Then {
        let next = self.push_piece(Box::new(Cursor::stats()), now);
        let piece = self.out.split_off(0);
        let Some(cursor) = next else {
            self.reply_json(&piece, is_head);
            return Then::Drain;
        };
        reply::push_open_ended_head(&mut self.out, "application/json");
        if is_head {
            return Then::Drain;
        }
        self.out.extend_from_slice(&piece);
        Then::DrainPieces(cursor)
    }

    /// Answers a request that is about one namespace, if it is. Where the path does not name it the query does, for those who
    /// would write its name otherwise in a path: no namespace has an empty name.
    fn answer_about_one(&mut self, request: &Request<'_>, now: Now) -> Then {
        let is_head = request.method == Method::Head;
        if let Some(name) = request.path.strip_prefix("/history/") {
            return self.reply_history(name, request.query, is_head, now);
        }
        let Some(name) = request.path.strip_prefix("/namespace/") else {
            self.reply_text(404, NO_SUCH_PAGE, is_head);
            return Then::Drain;
        };
        match self.meter.find(&name_or(name, request.query)).and_then(|id| self.meter.namespaces_from(id).next()) {
            Some((id, namespace)) => {
                let mut body = Vec::new();
                stats::push_object(&mut body, &figures_of(&self.meter, id, namespace, now));
                body.push(b'\n');
                self.reply_json(&body, is_head);
            }
            None => self.reply_text(404, "there is no such namespace", is_head),
        }
        Then::Drain
    }

    /// Answers with the history of the namespace that the end of a path names, or a query.
    fn reply_history(&mut self, path: &str, query: Option<&str>, is_head: bool, now: Now) -> Then {
        let (name, format) = Format::of(path);
        match self.begin_history(&name_or(name, query), format, now) {
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

/// The name that a path has, or if it has none that of the query.
fn name_or<'a>(name: &'a str, query: Option<&str>) -> Cow<'a, str> {
    let of_query = || Cow::Owned(query::decoded(query, "name").unwrap_or_default());
    if name.is_empty() { of_query() } else { Cow::Borrowed(name) }
}

/// Whether it is a browser that asks, for a page: others are content with anything. All browsers take gzip.
fn is_for_browser(request: &Request<'_>) -> bool {
    let takes = |name, what| request.values(name).any(|value| contains_ignore_case(value, what));
    takes(b"accept", b"text/html") && takes(b"accept-encoding", b"gzip")
}
