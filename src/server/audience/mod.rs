//! What a request is answered with, and what it does to the audience.
//!
//! Owns the meter, the pushes on their way and the pages: all that answers depend on. It does not know sockets: an answer
//! is bytes in `out` and a word about what becomes of the connection.
//!
//! Invariant: a request that is refused has no effect on the audience.

pub(in crate::server) mod addresses;
pub(in crate::server) mod fan_out;
pub(in crate::server) mod jitter;
pub(in crate::server) mod watching;

use std::net::IpAddr;

use crate::collections::tick::{Now, Tick};
use crate::config::{AllowOrigin, Config};
use crate::meter::Meter;
use crate::meter::news::NodeId;
use crate::meter::watches::Watches;
use crate::server::answers::admin::{self, DemoRoute, Notification, Page};
use crate::server::answers::assets::{self, Asset, Pages};
use crate::server::answers::cursor::Cursor;
use crate::server::answers::route::Route;
use crate::server::audience::addresses::Addresses;
use crate::server::audience::fan_out::{Busy, Pushes};
use crate::server::audience::jitter::Jitter;
use crate::server::conns::conn::{ConnId, Port};
use crate::server::figures::tally::{NoRoom, Tally};
use crate::wire::http::{Method, Refusal, Request};
use crate::wire::reply::{self, Cors, PREFLIGHT_FIELDS, Reply};
use crate::wire::sse;

/// When a browser that found no room is to come back, in milliseconds: much later than others, and not with others.
const NO_ROOM_RETRY_MS: std::ops::RangeInclusive<u64> = 30_000..=60_000;

/// What a page is told whose origin may not join.
const NOT_THIS_ORIGIN: &str = "this origin is not allowed";

/// What is told who asks to watch at the audience port, if it is not for that.
const NOT_PUBLIC: &str = "watching is for the stats port, unless the daemon is started with --allow-listen";

/// What a page elsewhere is told that has a browser on this machine ask.
pub(in crate::server) const NOT_FROM_ELSEWHERE: &str = "not from elsewhere";

/// All that answers depend on.
pub(in crate::server) struct Service {
    pub(in crate::server) config: Config,
    pub(in crate::server) meter: Meter,
    pub(in crate::server) pushes: Pushes,
    pub(in crate::server) watches: Watches,
    pages: Pages,
    /// Where members join.
    pub(in crate::server) audience_port: u16,
    jitter: Jitter,
    /// Who comes from where, if it matters.
    addresses: Option<Addresses>,
    pub(in crate::server) tally: Tally,
    /// What has to come with a message, if anything has to.
    notification_token: Option<Vec<u8>>,
    /// The answer's bytes.
    pub(in crate::server) out: Vec<u8>,
}

/// What becomes of the connection once `out` is written.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::server) enum Then {
    /// It is a member's, until this tick.
    Stream(Option<Tick>),
    /// That was all.
    Drain,
    /// The reply goes on from here.
    DrainPieces(Box<Cursor>),
    /// The page is to be answered by who knows its figures.
    Page {
        page: Page,
        /// Whether the head alone is wanted.
        is_head: bool,
    },
}

/// What an answer depends on besides the request.
#[derive(Clone, Copy)]
pub(in crate::server) struct Asker {
    pub(in crate::server) id: ConnId,
    pub(in crate::server) port: Port,
    /// For whom the connection is, if that matters.
    pub(in crate::server) address: Option<IpAddr>,
    /// Whether one more may stay.
    pub(in crate::server) has_room: bool,
}

impl Service {
    /// Ready to answer, for pages that join on `audience_port`.
    ///
    /// # Errors
    /// A token that cannot be read, as a line for a person.
    pub(in crate::server) fn new(config: Config, audience_port: u16, node: NodeId) -> Result<Self, String> {
        let mut meter = Meter::new(config.rules, node, Some(config.cluster.rules));
        meter.keep_histories(config.accounts.history_namespaces);
        let watches = Watches::new(config.watching.thresholds.clone(), config.rules.notify.max_delay);
        Ok(Self {
            meter,
            pushes: Pushes::default(),
            watches,
            pages: Pages::new(audience_port),
            audience_port,
            jitter: Jitter::default(),
            addresses: config.limits.per_address.map(Addresses::new),
            tally: Tally::default(),
            notification_token: config.notification.read_token()?,
            out: Vec::with_capacity(4096),
            config,
        })
    }

    /// Answers a request.
    pub(in crate::server) fn answer(&mut self, request: &Request<'_>, asker: Asker, now: Now) -> Then {
        self.out.clear();
        match asker.port {
            Port::Audience => return self.answer_audience(request, asker, now),
            Port::Demo => self.answer_demo(request),
            Port::Notification => self.answer_notification(request, now),
            Port::Stats => return self.answer_stats(request, asker, now),
        }
        Then::Drain
    }

    /// Answers what is no request.
    pub(in crate::server) fn refuse(&mut self, refusal: Refusal, is_head: bool) {
        self.out.clear();
        self.reply_text(refusal.status(), refusal, is_head);
    }

    /// Answers with figures.
    pub(in crate::server) fn reply_json(&mut self, body: &[u8], is_head: bool) {
        let (content_type, fields) = (Some("application/json"), "Cache-Control: no-store\r\n");
        Reply { content_type, fields, body, ..Reply::empty(200) }.write(&mut self.out, is_head);
    }

    fn answer_audience(&mut self, request: &Request<'_>, asker: Asker, now: Now) -> Then {
        let is_head = request.method == Method::Head;
        match Route::of(request, self.config.enable_uuid) {
            Route::Join { namespace, uuid } => return self.join(request, namespace, uuid, asker, now),
            Route::Preflight => {
                self.reply_cors(request, Reply { fields: PREFLIGHT_FIELDS, ..Reply::empty(204) });
            }
            // Whoever leaves makes room, so this comes before there is none.
            Route::Leave { namespace, uuid } => {
                self.release_claimant(namespace, uuid, now);
                self.meter.end_claim(namespace, uuid, now);
                self.reply_cors(request, Reply::empty(200));
            }
            Route::Watch if !self.config.watching.is_public => self.reply_text(403, NOT_PUBLIC, is_head),
            Route::Watch => match self.cors(request) {
                Some(cors) => return self.watch(request, cors, asker, now),
                None => self.reply_text(403, NOT_THIS_ORIGIN, is_head),
            },
            _ if !asker.has_room => {
                Reply { fields: "Retry-After: 60\r\n", ..Reply::empty(503) }.write(&mut self.out, is_head);
            }
            Route::Policy => self.reply_asset(&assets::POLICY, is_head),
            Route::Script(script) => self.reply_asset(script, is_head),
            Route::JoinHead => match self.cors(request) {
                Some(cors) => reply::push_stream_head(&mut self.out, cors),
                None => self.reply_text(403, NOT_THIS_ORIGIN, is_head),
            },
            Route::Nothing => self.reply_cors(request, Reply::empty(200)),
        }
        Then::Drain
    }

    /// Lets a member in, its first count with it.
    fn join(&mut self, request: &Request<'_>, namespace: &str, uuid: Option<&str>, asker: Asker, now: Now) -> Then {
        let Some(cors) = self.cors(request) else {
            self.reply_text(403, NOT_THIS_ORIGIN, false);
            return Then::Drain;
        };
        let longest = self.config.limits.name_length;
        if namespace.len() > longest || uuid.is_some_and(|uuid| uuid.len() > longest) {
            self.reply_text(414, format_args!("a name is at most {longest} bytes long"), false);
            return Then::Drain;
        }
        if request.last_event_id == Some(sse::FAREWELL_ID.as_bytes()) {
            self.reply_cors(request, Reply::empty(204));
            return Then::Drain;
        }
        if !self.has_room_for(asker, namespace) {
            self.send_away(cors);
            return Then::Drain;
        }
        reply::push_stream_head(&mut self.out, cors);
        if request.user_agent.is_some_and(names_msie) {
            self.out.extend_from_slice(&sse::MSIE_PADDING);
        }
        self.push_retry();
        if let Some(uuid) = uuid {
            self.release_claimant(namespace, uuid, now);
        }
        let is_counted = match (&mut self.addresses, asker.address) {
            (Some(addresses), Some(address)) => addresses.enter(asker.id, address),
            _ => true,
        };
        self.tally.record_join();
        let total = if is_counted {
            self.meter.join(asker.id.into(), namespace, uuid, now)
        } else {
            self.meter.join_uncounted(asker.id.into(), namespace, uuid, now)
        };
        if let Some(total) = total {
            sse::push_count(&mut self.out, total);
        }
        Then::Stream(self.stream_end(now))
    }

    /// Tells a browser that found no room to come back much later. (Past another status than 200 it would never.)
    pub(in crate::server) fn send_away(&mut self, cors: Cors<'_>) {
        reply::push_stream_head(&mut self.out, cors);
        let ms = self.jitter.within(&NO_ROOM_RETRY_MS);
        sse::push_retry(&mut self.out, ms);
    }

    /// Tells a browser when to come back, should it lose the stream.
    pub(in crate::server) fn push_retry(&mut self) {
        let ms = self.jitter.within(&self.config.retry_ms);
        sse::push_retry(&mut self.out, ms);
    }

    /// Until when a stream of the audience port may last that begins now.
    pub(in crate::server) fn stream_end(&mut self, now: Now) -> Option<Tick> {
        let longest = self.config.max_conn_duration.map(|longest| self.jitter.shorten(longest));
        longest.map(|longest| now.tick.after(longest))
    }

    /// Whether one more may join this namespace. The newest is turned away, nobody who is there.
    fn has_room_for(&mut self, asker: Asker, namespace: &str) -> bool {
        if !asker.has_room {
            self.tally.record_refusal(NoRoom::Members);
            return false;
        }
        let is_full = self.meter.namespace_count() >= self.config.limits.namespaces;
        if is_full && self.meter.find(namespace).is_none() {
            self.tally.record_refusal(NoRoom::Namespaces);
            return false;
        }
        true
    }

    /// A connection is gone.
    pub(in crate::server) fn leave(&mut self, id: ConnId, now: Now) {
        self.meter.leave(id.into(), now);
        self.watches.leave(id.into(), &mut self.meter);
        self.release(id, now);
    }

    /// A member counts no more, so another of its address may.
    pub(in crate::server) fn release(&mut self, id: ConnId, now: Now) {
        if let Some(next) = self.addresses.as_mut().and_then(|addresses| addresses.leave(id)) {
            self.meter.count(next.into(), now);
        }
    }

    /// Whoever holds this uuid here is about to count no more. Its place is free at once: if it were so only when the farewell
    /// is said, what is told until then would be one short.
    fn release_claimant(&mut self, namespace: &str, uuid: &str, now: Now) {
        if let Some(claimant) = self.meter.claimant(namespace, uuid) {
            self.release(claimant.into(), now);
        }
    }

    /// Whether no address has a member.
    pub(in crate::server) fn knows_no_address(&self) -> bool {
        self.addresses.as_ref().is_none_or(Addresses::is_empty)
    }

    fn answer_demo(&mut self, request: &Request<'_>) {
        let is_head = request.method == Method::Head;
        let page = match DemoRoute::of(request.path) {
            DemoRoute::Welcome => &self.pages.welcome,
            DemoRoute::Event => &self.pages.demo,
            DemoRoute::Script(script) => return self.reply_asset(script, is_head),
            DemoRoute::NotFound => return self.reply_text(404, "there is no such page", is_head),
        };
        let reply = Reply { content_type: Some(assets::HTML), body: page.as_bytes(), ..Reply::empty(200) };
        reply.write(&mut self.out, is_head);
    }

    /// Tells the members here, and the other nodes; unless those here lag too far behind, then nobody.
    fn answer_notification(&mut self, request: &Request<'_>, now: Now) {
        let is_head = request.method == Method::Head;
        match &self.notification_token {
            Some(token) if !admin::brings_token(request, token) => {
                return Reply { fields: "WWW-Authenticate: Bearer\r\n", ..Reply::empty(401) }
                    .write(&mut self.out, is_head);
            }
            None if !admin::is_local(request) => return self.reply_text(403, NOT_FROM_ELSEWHERE, is_head),
            _ => {}
        }
        let Some(Notification { namespace, service, text }) = Notification::of(request.path) else {
            return Reply::empty(200).write(&mut self.out, false);
        };
        let message = format!("{service}={text}");
        let told = self
            .meter
            .find(namespace)
            .map_or(Ok(()), |id| self.pushes.tell_message(&mut self.meter, id, sse::message(&message)));
        let reply = match told {
            Ok(()) => Reply::empty(200),
            Err(Busy) => Reply { fields: "Retry-After: 1\r\n", ..Reply::empty(503) },
        };
        if told.is_ok() {
            if self.meter.find(namespace).is_some() {
                self.tally.record_message();
            }
            self.meter.tell_others(namespace, &message, now);
        }
        reply.write(&mut self.out, false);
    }

    /// What a page of the request's origin is allowed; `None` is not to join.
    fn cors<'a>(&self, request: &Request<'a>) -> Option<Cors<'a>> {
        match (&self.config.allow_origin, request.origin) {
            (AllowOrigin::Any, _) => Some(Cors::Any),
            (AllowOrigin::Listed(_), None) => Some(Cors::None),
            (AllowOrigin::Listed(origins), Some(origin)) => {
                let is_listed = origins.iter().any(|listed| listed.as_bytes().eq_ignore_ascii_case(origin));
                str::from_utf8(origin).ok().filter(|_| is_listed).map(Cors::Origin)
            }
        }
    }

    fn reply_cors(&mut self, request: &Request<'_>, reply: Reply<'_>) {
        let cors = self.cors(request).unwrap_or(Cors::None);
        Reply { cors, ..reply }.write(&mut self.out, request.method == Method::Head);
    }

    pub(in crate::server) fn reply_asset(&mut self, asset: &Asset, is_head: bool) {
        // A day would outlive an upgrade of the daemon; without any, each page view would fetch the script again.
        let fields = "Cache-Control: max-age=300\r\n";
        let (content_type, text) = (Some(asset.content_type), asset.text());
        let reply = Reply { content_type, fields, cors: Cors::Any, body: text.as_bytes(), ..Reply::empty(200) };
        reply.write(&mut self.out, is_head);
    }

    pub(in crate::server) fn reply_text(&mut self, status: u16, text: impl std::fmt::Display, is_head: bool) {
        let body = format!("{text}\n");
        let content_type = Some("text/plain; charset=utf-8");
        Reply { content_type, body: body.as_bytes(), ..Reply::empty(status) }.write(&mut self.out, is_head);
    }
}

/// Whether a user agent may be an Internet Explorer. Looking at all words without a branch takes 6 ns for the 100 bytes of a
/// browser, and stopping at the first one 41.
fn names_msie(user_agent: &[u8]) -> bool {
    user_agent.windows(4).filter(|word| word == b"MSIE").count() > 0
}
