//! The answers to requests to watch many namespaces at once.
//!
//! Owns what such a request is judged by, on whichever port it comes. A watcher is not counted. The updates that follow are
//! the audience's.
//!
//! Invariant: a connection watches exactly if its answer is a stream.

use super::answer::{AfterReply, Asker};
use super::replies::{push_line, push_no_room, push_text};
use crate::collections::tick::Now;
use crate::server::audience::{Audience, Watching};
use crate::server::ports::port::Streams;
use crate::wire::http::{Method, Request};
use crate::wire::name;
use crate::wire::reply::{self, Cors};
use crate::wire::transfer::Coding;
use crate::wire::watch;

/// Patterns that watchers at the audience port leave to the stats port: those of 16 watchers that have all they may.
const PATTERNS_FOR_STATS: usize = 16 * watch::PATTERNS_PER_WATCHER;

/// Answers a request to watch, for pages that may read it by `cors`.
pub(super) fn answer(
    request: &Request<'_>,
    cors: Cors<'_>,
    asker: Asker,
    audience: &mut Audience,
    out: &mut Vec<u8>,
    now: Now,
) -> AfterReply {
    let is_head = request.method == Method::Head;
    let query = name::canonical(request.query.unwrap_or_default());
    let patterns = match watch::parse(&query) {
        Ok(patterns) => patterns,
        Err(why) => {
            push_line(out, 400, &why, cors, is_head);
            return AfterReply::Drain;
        }
    };
    let coding = Coding::of(request.version);
    let streams = asker.port.policy().streams;
    let reserved_patterns = if streams == Streams::OfBrowsers { PATTERNS_FOR_STATS } else { 0 };
    let Asker { watcher, address, port, free_slots, .. } = asker;
    let watching =
        Watching { watcher, patterns: &patterns, reserved_patterns, origin: (address, port as usize), free_slots };
    let is_admitted = if is_head { audience.may_watch(&watching) } else { audience.watch(watching, now).is_ok() };
    match (is_admitted, streams) {
        (false, Streams::OfTools) => {
            push_text(out, 503, &"as many watch here as may; end another, or ask again later", is_head);
        }
        _ if is_head => reply::push_stream_head(out, cors, coding),
        (false, Streams::OfBrowsers) => push_no_room(out, cors, coding, audience.draw_no_room_retry_ms()),
        (true, _) => {
            reply::push_stream_head(out, cors, coding);
            let is_limited = streams == Streams::OfBrowsers;
            let until = if is_limited { audience.draw_stream_end(now) } else { None };
            return AfterReply::Stream { coding, until };
        }
    }
    AfterReply::Drain
}
