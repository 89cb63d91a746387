//! The answers of the audience port.
//!
//! Owns which origins may join, and the order in which a join is judged: the origin, the names, the farewell, the room.
//!
//! Invariant: a member is in the audience exactly if its answer is a stream with its first count, or with none yet.

use std::cell::Cell;

use super::answer::{AfterReply, Asker};
use super::replies::{PLAIN_TEXT, push_asset, push_no_room, push_policy};
use super::route::Route;
use super::watching;
use crate::collections::tick::Now;
use crate::config::{AllowOrigin, Config};
use crate::log;
use crate::server::audience::{AskedTooOften, Audience, Joining};
use crate::wire::http::{Method, Request, contains_ignore_case};
use crate::wire::name;
use crate::wire::reply::{self, Caching, Cors, PREFLIGHT_FIELDS, Reply};
use crate::wire::sse;
use crate::wire::transfer::Coding;

/// The answer to a page whose origin may not join.
const NOT_THIS_ORIGIN: &str = "this origin is not allowed";

/// The answer to a request to watch at the audience port, if the port is not for that.
const NOT_PUBLIC: &str = "watching is for the stats port, unless the daemon is started with --allow-listen";

/// The answer to a request for an event that accepts no stream.
const ASK_FOR_A_STREAM: &str = "this is an event; ask for its stream with the header 'Accept: text/event-stream', as EventSource \
                                does, or with curl -N -H 'Accept: text/event-stream'";

/// What helps where the first segment of a path is a proxy's, or the second is a uuid.
const SEGMENT_REMEDY: &str = "if it names the event, have the proxy take off the path before it (nginx: a / at the end of \
                              proxy_pass); if it is a uuid, give --enable-uuid";

/// What was decided at start about the audience port, and what it has warned of.
pub(super) struct AudiencePort {
    allow_origin: AllowOrigin,
    enable_uuid: bool,
    /// The longest name of a namespace, and the longest uuid, in bytes.
    name_length: usize,
    is_watching_public: bool,
    /// Whether a second segment without effect was warned of.
    has_warned: Cell<bool>,
}

impl AudiencePort {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            allow_origin: config.allow_origin.clone(),
            enable_uuid: config.enable_uuid,
            name_length: config.limits.name_length,
            is_watching_public: config.watching.is_public,
            has_warned: Cell::new(false),
        }
    }

    /// Answers a request.
    pub(super) fn answer(
        &self,
        request: &Request<'_>,
        asker: Asker,
        audience: &mut Audience,
        out: &mut Vec<u8>,
        now: Now,
    ) -> AfterReply {
        let path = name::canonical(request.path);
        match Route::of(request, &path, self.enable_uuid) {
            Route::Join { namespace, second } => {
                let uuid = second.filter(|_| self.enable_uuid);
                if let Some(ignored) = second.xor(uuid) {
                    self.warn_of_ignored(namespace, ignored);
                }
                let Asker { member, address, .. } = asker;
                let joining = Joining { member, namespace, uuid, address, has_slot: asker.has_slot() };
                return self.join(request, joining, audience, out, now);
            }
            Route::Preflight => {
                self.push(out, request, Reply { fields: PREFLIGHT_FIELDS, ..Reply::empty(204) });
            }
            Route::Leave { .. } if self.cors(request).is_none() => self.push_text(out, request, 403, NOT_THIS_ORIGIN),
            Route::Leave { namespace, uuid } => {
                let reply = match audience.end_claim(namespace, uuid, asker.address, now) {
                    Ok(()) => Reply::empty(200),
                    Err(AskedTooOften) => Reply { fields: "Retry-After: 1\r\n", ..Reply::empty(429) },
                };
                self.push(out, request, reply);
            }
            Route::Watch if !self.is_watching_public => self.push_text(out, request, 403, NOT_PUBLIC),
            Route::Watch => match self.cors(request) {
                Some(cors) => return watching::answer(request, cors, asker, audience, out, now),
                None => self.push_text(out, request, 403, NOT_THIS_ORIGIN),
            },
            Route::Policy => push_policy(out, request),
            Route::Script(script) => push_asset(out, script, request),
            // Without room for members there is no event to ask for.
            Route::JoinHead | Route::Event if !asker.has_slot() => {
                self.push(out, request, Reply { fields: "Retry-After: 60\r\n", ..Reply::empty(503) });
            }
            Route::JoinHead => match self.cors(request) {
                Some(cors) => reply::push_stream_head(out, cors, Coding::of(request.version)),
                None => self.push_text(out, request, 403, NOT_THIS_ORIGIN),
            },
            Route::Event => self.push_text(out, request, 200, ASK_FOR_A_STREAM),
            Route::Nothing => self.push(out, request, Reply::empty(200)),
        }
        AfterReply::Drain
    }

    /// Lets a member in, its first count with it.
    fn join(
        &self,
        request: &Request<'_>,
        joining: Joining<'_>,
        audience: &mut Audience,
        out: &mut Vec<u8>,
        now: Now,
    ) -> AfterReply {
        let Some(cors) = self.cors(request) else {
            self.push_text(out, request, 403, NOT_THIS_ORIGIN);
            return AfterReply::Drain;
        };
        let longest = self.name_length;
        if joining.namespace.len() > longest || joining.uuid.is_some_and(|uuid| uuid.len() > longest) {
            self.push_text(out, request, 414, &format!("a name is at most {longest} bytes long"));
            return AfterReply::Drain;
        }
        if request.last_event_id == Some(sse::FAREWELL_ID.as_bytes()) {
            self.push(out, request, Reply::empty(204));
            return AfterReply::Drain;
        }
        let coding = Coding::of(request.version);
        let Ok(first_count) = audience.join(joining, now) else {
            push_no_room(out, cors, coding, audience.draw_no_room_retry_ms());
            return AfterReply::Drain;
        };
        reply::push_stream_head(out, cors, coding);
        coding.push(out, |out| {
            if request.user_agent.is_some_and(names_msie) {
                out.extend_from_slice(&sse::MSIE_PADDING);
            }
            sse::push_first(out, audience.draw_retry_ms(), first_count);
        });
        AfterReply::Stream { coding, until: audience.draw_stream_end(now) }
    }

    /// Warns once that a second segment has no effect: behind a proxy that hands on a prefix, all events are one.
    fn warn_of_ignored(&self, namespace: &str, ignored: &str) {
        if !self.has_warned.replace(true) {
            let fields =
                [("namespace", namespace.into()), ("ignored", ignored.into()), ("remedy", SEGMENT_REMEDY.into())];
            log::warn("second_segment_ignored", &fields);
        }
    }

    /// What a page of the request's origin is allowed; `None` is neither to join nor to leave.
    ///
    /// A browser leaves the origin out of some requests to other sites (Fetch standard, "no-cors"), and says at least that the
    /// page is of another one. What comes from no page has neither.
    fn cors<'a>(&self, request: &Request<'a>) -> Option<Cors<'a>> {
        match (&self.allow_origin, request.origin) {
            (AllowOrigin::Any, _) => Some(Cors::Any),
            (AllowOrigin::Listed(_), None) => {
                let is_elsewhere = request.sec_fetch_site.is_some_and(|site| contains_ignore_case(site, b"-site"));
                (!is_elsewhere).then_some(Cors::None)
            }
            (AllowOrigin::Listed(origins), Some(origin)) => {
                let is_listed = origins.iter().any(|listed| listed.as_bytes().eq_ignore_ascii_case(origin));
                str::from_utf8(origin).ok().filter(|_| is_listed).map(Cors::Origin)
            }
        }
    }

    fn push_text(&self, out: &mut Vec<u8>, request: &Request<'_>, status: u16, text: &str) {
        let body = format!("{text}\n");
        self.push(
            out,
            request,
            Reply { content_type: Some(PLAIN_TEXT), body: body.as_bytes(), ..Reply::empty(status) },
        );
    }

    /// Appends a reply that pages may read, and no cache keeps.
    fn push(&self, out: &mut Vec<u8>, request: &Request<'_>, reply: Reply<'_>) {
        let cors = self.cors(request).unwrap_or(Cors::None);
        Reply { cors, caching: Caching::NeverAndVaried, ..reply }.write(out, request.method == Method::Head);
    }
}

/// Whether a user agent may be an Internet Explorer. Looking at all words without a branch takes 6 ns for the 100 bytes of a
/// browser, and stopping at the first one 41.
fn names_msie(user_agent: &[u8]) -> bool {
    user_agent.windows(4).filter(|word| word == b"MSIE").count() > 0
}
