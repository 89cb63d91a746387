//! The answers of the audience port.
//!
//! Owns which origins may join, and the order in which a join is judged: the origin, the names, the signature, the farewell,
//! the room.
//!
//! Invariant: a member is in the audience exactly if its answer is a stream with its first count, or with none yet.

use std::time::Duration;

use super::admission::{Admission, Refusal};
use super::answer::{AfterReply, Asker, Awaited, Returning, StreamForm};
use super::replies::{FILE_FIELDS, PLAIN_TEXT, push_asset, push_no_room, push_policy};
use super::route::Route;
use super::watching;
use crate::collections::tick::Now;
use crate::config::{AllowOrigin, Config};
use crate::log;
use crate::meter::Namespace;
use crate::server::audience::{AskedTooOften, Audience, Holder, Joining};
use crate::wire::http::{Method, Request, contains_ignore_case};
use crate::wire::reply::{self, Caching, Cors, PREFLIGHT_FIELDS, Reply};
use crate::wire::sse;
use crate::wire::transfer::Coding;
use crate::wire::{leaving, members, name};

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

/// How long the stream of a page lasts that is prepared in advance. If it is shown by then, it joins anew, and is counted.
const VISIT_MAX: Duration = Duration::from_secs(10);

/// What was decided at start about the audience port, and what it has warned of.
pub(super) struct AudiencePort {
    allow_origin: AllowOrigin,
    admission: Admission,
    enable_uuid: bool,
    /// The longest name of a namespace, and the longest uuid, in bytes.
    name_length: usize,
    is_watching_public: bool,
    /// How long caches may keep the number of an event's members, in seconds.
    members_max_age: u64,
    /// Whether a second segment without effect was warned of.
    has_warned: bool,
}

impl AudiencePort {
    /// # Errors
    /// Keys that cannot be read, as a line for a person.
    pub(super) fn new(config: &Config, now: Now) -> Result<Self, String> {
        Ok(Self {
            allow_origin: config.allow_origin.clone(),
            admission: Admission::new(config, now)?,
            enable_uuid: config.enable_uuid,
            name_length: config.limits.name_length,
            is_watching_public: config.watching.is_public,
            members_max_age: u64::try_from(config.rules.notify.min_delay.as_millis().div_ceil(1_000))
                .unwrap_or(u64::MAX),
            has_warned: false,
        })
    }

    /// Answers a request.
    pub(super) fn answer(
        &mut self,
        request: &Request<'_>,
        asker: Asker,
        audience: &mut Audience,
        out: &mut Vec<u8>,
        now: Now,
    ) -> AfterReply {
        let path = name::canonical(request.path);
        match Route::of(request, &path, self.enable_uuid) {
            Route::Join { namespace, second } | Route::JoinHead { namespace, second } => {
                return self.join(request, (namespace, second), asker, audience, out, now);
            }
            Route::Preflight => {
                self.push(out, request, Reply { fields: PREFLIGHT_FIELDS, ..Reply::empty(204) });
            }
            Route::Leave { .. } if self.cors(request).is_none() => self.push_text(out, request, 403, NOT_THIS_ORIGIN),
            Route::Leave { namespace, uuid } => {
                match self.admission.judge_leaving((namespace, uuid), request.query, now) {
                    Ok(()) => self.leave(request, (namespace, uuid), asker, audience, out, now),
                    Err(refusal) => self.refuse(out, request, refusal),
                }
            }
            Route::Watch | Route::Members if !self.is_watching_public => self.push_text(out, request, 403, NOT_PUBLIC),
            Route::Watch => match self.cors(request) {
                Some(cors) => return watching::answer(request, cors, asker, audience, out, now),
                None => self.push_text(out, request, 403, NOT_THIS_ORIGIN),
            },
            Route::Members => self.push_members(request, audience, out),
            Route::Policy => push_policy(out, request),
            Route::Script(script) => push_asset(out, script, request),
            Route::Event { namespace } if !self.admission.has(namespace) => self.refuse(out, request, Refusal::Name),
            // Without room for members there is no event to ask for.
            Route::Event { .. } if !asker.has_slot() => self.push(out, request, no_room()),
            Route::Event { .. } => self.push_text(out, request, 200, ASK_FOR_A_STREAM),
            Route::Nothing => self.push(out, request, Reply::empty(200)),
        }
        AfterReply::Drain
    }

    /// Lets a member in, its first count with it; or says by a head whether it would.
    fn join(
        &mut self,
        request: &Request<'_>,
        (namespace, second): (&str, Option<&str>),
        asker: Asker,
        audience: &mut Audience,
        out: &mut Vec<u8>,
        now: Now,
    ) -> AfterReply {
        let Some(cors) = self.cors(request) else {
            forbid(request, "origin", audience);
            self.push_text(out, request, 403, NOT_THIS_ORIGIN);
            return AfterReply::Drain;
        };
        let uuid = second.filter(|_| self.enable_uuid);
        if let Some(ignored) = second.xor(uuid) {
            self.warn_of_ignored(namespace, ignored);
        }
        let (longest, is_head) = (self.name_length, request.method == Method::Head);
        if namespace.len() > longest || uuid.is_some_and(|uuid| uuid.len() > longest) {
            self.push_text(out, request, 414, &format!("a name is at most {longest} bytes long"));
            return AfterReply::Drain;
        }
        if let Err(refusal) = self.admission.judge((namespace, second), request.query, now) {
            forbid(request, refusal.word(), audience);
            self.refuse(out, request, refusal);
            return AfterReply::Drain;
        }
        let form =
            StreamForm { coding: Coding::of(request.version), is_padded: request.user_agent.is_some_and(names_msie) };
        let (member, address, is_visit) = (asker.member, asker.address, request.is_prefetch);
        let uuid = uuid.filter(|_| !is_visit);
        let (user_agent, has_slot) = (request.user_agent.unwrap_or_default(), asker.has_slot());
        let joining = Joining { member, namespace, uuid, address, user_agent, has_slot, is_visit };
        match (request.last_event_id.unwrap_or_default(), uuid) {
            (id, Some(_)) if id == sse::LEFT_ID.as_bytes() => push_final(out, cors, reply::LEFT_FIELDS),
            (id, Some(uuid)) if id == sse::FAREWELL_ID.as_bytes() => {
                match audience.find_holder(namespace, uuid, address, now) {
                    Ok(Holder::Here) => push_final(out, cors, reply::CLAIMED_FIELDS),
                    Ok(Holder::Nowhere) => return begin(form, cors, joining, is_head, audience, out, now),
                    Ok(Holder::Asked(number)) => {
                        let origin = if let Cors::Origin(origin) = cors { Some(origin.into()) } else { None };
                        let (namespace, uuid) = (namespace.into(), uuid.into());
                        let returning = Returning { number, namespace, uuid, address, origin, form, is_head };
                        return AfterReply::Await(Awaited::Return(Box::new(returning)));
                    }
                    Err(AskedTooOften) if is_head => {
                        self.push(out, request, Reply { fields: reply::RETRY_IN_1_S, ..Reply::empty(429) });
                    }
                    Err(AskedTooOften) => push_no_room(out, cors, form.coding, audience.draw_no_room_retry_ms()),
                }
            }
            _ => return begin(form, cors, joining, is_head, audience, out, now),
        }
        AfterReply::Drain
    }

    /// Ends the stream of a uuid; or says by a head that it would.
    fn leave(
        &self,
        request: &Request<'_>,
        (namespace, uuid): (&str, &str),
        asker: Asker,
        audience: &mut Audience,
        out: &mut Vec<u8>,
        now: Now,
    ) {
        let leaving = match leaving::parse(request.query) {
            Ok(leaving) => leaving,
            Err(remedy) => return self.push_text(out, request, 400, remedy),
        };
        let is_head = request.method == Method::Head;
        let reply = if is_head || audience.end_claim((namespace, uuid), leaving, asker.address, now).is_ok() {
            Reply::empty(200)
        } else {
            Reply { fields: reply::RETRY_IN_1_S, ..Reply::empty(429) }
        };
        self.push(out, request, reply);
    }

    /// Lets a page back in that has waited for this, unless another stream has its uuid.
    pub(super) fn let_back(
        &self,
        returning: &Returning,
        is_held: bool,
        asker: Asker,
        audience: &mut Audience,
        out: &mut Vec<u8>,
        now: Now,
    ) -> AfterReply {
        let Returning { namespace, uuid, origin, form, is_head, .. } = returning;
        let cors = match (&self.allow_origin, origin) {
            (AllowOrigin::Any, _) => Cors::Any,
            (AllowOrigin::Listed(_), origin) => origin.as_deref().map_or(Cors::None, Cors::Origin),
        };
        // Meanwhile a stream may have come to this process.
        if is_held || audience.meter.claimant(namespace, uuid).is_some() {
            push_final(out, cors, reply::CLAIMED_FIELDS);
            return AfterReply::Drain;
        }
        let (member, address, has_slot) = (asker.member, asker.address, asker.has_slot());
        let joining =
            Joining { member, namespace, uuid: Some(uuid), address, user_agent: b"", has_slot, is_visit: false };
        begin(*form, cors, joining, *is_head, audience, out, now)
    }

    /// Answers with the number of an event's members, which caches may keep. The client is not counted.
    fn push_members(&self, request: &Request<'_>, audience: &Audience, out: &mut Vec<u8>) {
        let query = name::canonical(request.query.unwrap_or_default());
        let (namespace, form) = match members::parse(&query) {
            Ok(asked) => asked,
            Err(why) => return self.push_text(out, request, 400, why),
        };
        let Some(cors) = self.cors(request) else { return self.push_text(out, request, 403, NOT_THIS_ORIGIN) };
        if !self.admission.has(namespace) {
            return self.refuse(out, request, Refusal::Name);
        }
        let meter = &audience.meter;
        let total = meter.find(namespace).and_then(|id| meter.namespaces().get(id)).map_or(0, Namespace::total);
        let (content_type, fields, body) = (Some(form.content_type()), FILE_FIELDS, &*form.body(total));
        let caching = Caching::Seconds(self.members_max_age);
        Reply { content_type, caching, fields, cors, body, ..Reply::empty(200) }
            .write(out, request.method == Method::Head);
    }

    /// Warns once that a second segment has no effect: behind a proxy that hands on a prefix, all events are one.
    fn warn_of_ignored(&mut self, namespace: &str, ignored: &str) {
        if !std::mem::replace(&mut self.has_warned, true) {
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

    fn refuse(&self, out: &mut Vec<u8>, request: &Request<'_>, refusal: Refusal) {
        let (status, body, fields) = (refusal.status(), [refusal.reason(), "\n"].concat(), refusal.fields());
        let (content_type, fields) = (Some(PLAIN_TEXT), fields.as_str());
        self.push(out, request, Reply { content_type, fields, body: body.as_bytes(), ..Reply::empty(status) });
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
        // A page whose origin may not join may read why.
        let refused = if reply.status >= 400 { Cors::Any } else { Cors::None };
        let cors = self.cors(request).unwrap_or(refused);
        Reply { cors, caching: Caching::NeverAndVaried, ..reply }.write(out, request.method == Method::Head);
    }
}

/// Counts a join that is refused. The question by a head that may follow is no other join.
fn forbid(request: &Request<'_>, reason: &str, audience: &mut Audience) {
    if request.method != Method::Head {
        audience.tally.record_forbidden(reason);
    }
}

/// Begins the stream of a member. The answer for a head alone lets none in.
fn begin(
    form: StreamForm,
    cors: Cors<'_>,
    joining: Joining<'_>,
    is_head: bool,
    audience: &mut Audience,
    out: &mut Vec<u8>,
    now: Now,
) -> AfterReply {
    let StreamForm { coding, is_padded } = form;
    if is_head {
        if joining.has_slot {
            reply::push_stream_head(out, cors, coding);
        } else {
            Reply { cors, caching: Caching::NeverAndVaried, ..no_room() }.write(out, true);
        }
        return AfterReply::Drain;
    }
    let Joining { namespace, uuid, is_visit, .. } = joining;
    let Ok(first_count) = audience.join(joining, now) else {
        push_no_room(out, cors, coding, audience.draw_no_room_retry_ms());
        return AfterReply::Drain;
    };
    let (retry_ms, until) = if is_visit {
        (audience.draw_visit_retry_ms(), Some(now.tick.after(VISIT_MAX)))
    } else {
        (audience.draw_retry_ms(), audience.draw_stream_end(now))
    };
    let stream = uuid.and_then(|uuid| audience.meter.uuids(now).stream(namespace, uuid));
    reply::push_stream_head(out, cors, coding);
    coding.push(out, |out| {
        if is_padded {
            out.extend_from_slice(&sse::MSIE_PADDING);
        }
        sse::push_first(out, retry_ms, stream, first_count);
    });
    AfterReply::Stream { coding, until }
}

/// Appends the answer that has an `EventSource` not come back: its fields say why.
fn push_final(out: &mut Vec<u8>, cors: Cors<'_>, fields: &str) {
    Reply { cors, caching: Caching::NeverAndVaried, fields, ..Reply::empty(204) }.write(out, false);
}

/// The answer to a request for an event while there is no room for members.
fn no_room() -> Reply<'static> {
    Reply { fields: reply::RETRY_IN_60_S, ..Reply::empty(503) }
}

/// Whether a user agent may be an Internet Explorer. Looking at all words without a branch takes 6 ns for the 100 bytes of a
/// browser, and stopping at the first one 41.
fn names_msie(user_agent: &[u8]) -> bool {
    user_agent.windows(4).filter(|word| word == b"MSIE").count() > 0
}
