//! The bodies of the fuzz targets, here so that plain `cargo test` replays the committed corpus without a fuzzer.
//!
//! Owns what must hold for any bytes whatever. It panics when it does not; it returns what it found, for a second opinion.

mod meter;
mod proxy;

use std::time::Duration;

use crate::collections::tick::{Now, Tick};
use crate::meter::news::NodeId;
use crate::meter::watches::Pattern;
use crate::meter::{ClusterRules, Meter, NAME_MAX, NotifyRule, Output, Rules};
use crate::wire::http::{HEAD_MAX, HeadScanner, Refusal, Request};
use crate::wire::query;
use crate::wire::report::{self, DATAGRAM_MAX, Scope};
use crate::wire::session::{Session, Step};
use crate::wire::watch;
pub use meter::meter;
pub use proxy::proxy;

/// What the server reads at once: more than a head, less than a peer may say after it.
const READ_MAX: usize = 16 * 1024;

/// What a connection comes to, without what it borrows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The head is not whole.
    Waiting,
    /// A request came, and this many bytes after it.
    Request {
        /// Its path.
        path: String,
        /// Whether it asks for an event stream.
        accepts_event_stream: bool,
        /// How many bytes followed.
        surplus: u32,
    },
    /// The head is refused.
    Refused(Refusal),
    /// The peer said too much after its head.
    TooMuch,
}

/// Feeds a session as the server does: a request becomes a stream, and all that follows is surplus.
pub fn run_session<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Ending {
    let mut session = Session::default();
    let mut ending = Ending::Waiting;
    for piece in pieces {
        let followed = match session.feed(piece) {
            Step::Wait => None,
            Step::Refuse { refusal, .. } => return Ending::Refused(refusal),
            Step::TooMuch => return Ending::TooMuch,
            Step::Request { request, surplus } => {
                let Request { path, accepts_event_stream, .. } = request;
                ending = Ending::Request { path: path.to_owned(), accepts_event_stream, surplus };
                Some(surplus)
            }
        };
        if let Some(surplus) = followed {
            session.stream(surplus);
        }
        if let (Ending::Request { surplus, .. }, Session::Stream { surplus: dropped }) = (&mut ending, &session) {
            *surplus = *dropped;
        }
    }
    ending
}

/// Target `request`: one head. Returns its range and what it says, if it is accepted.
///
/// # Panics
/// If the scanner finds another end when the bytes arrive one by one, a head is longer than it may be, or a list of what is to be
/// watched is out of its bounds.
#[must_use]
pub fn request(bytes: &[u8]) -> Option<(std::ops::Range<usize>, Request<'_>)> {
    let whole = HeadScanner::default().scan(bytes);
    let mut scanner = HeadScanner::default();
    let piecewise = (0..=bytes.len())
        .map(|end| scanner.scan(bytes.get(..end).unwrap_or_default()))
        .find(|found| *found != Ok(None))
        .unwrap_or(Ok(None));
    assert_eq!(whole, piecewise, "the scanner sees each byte once");
    let range = whole.ok()??;
    assert!(range.end <= HEAD_MAX, "a head is at most {HEAD_MAX} bytes long");
    let request = Request::parse(bytes.get(range.clone())?).ok()?;
    assert!(request.path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'?'), "{request:?}");
    request.query.into_iter().for_each(watch_list);
    let decoded = query::decoded(request.query, "name");
    assert!(decoded.is_none_or(|name| name.len() <= bytes.len()), "{request:?}");
    Some((range, request))
}

/// What a query asks to watch, if it asks for anything, is within its bounds, and is in the query.
fn watch_list(query: &str) {
    let Ok(patterns) = watch::parse(query) else { return };
    assert!(watch::is_asked(Some(query)) && (1..=watch::PATTERNS_PER_WATCHER).contains(&patterns.len()), "{query}");
    for pattern in &patterns {
        let (Pattern::Name(text) | Pattern::Prefix(text)) = pattern;
        assert!(query.contains(text) && text.len() <= NAME_MAX && !text.contains([',', '&']), "{query}: {pattern:?}");
        assert!(!matches!(pattern, Pattern::Name(name) if name.is_empty() || name.ends_with('*')), "{query}");
    }
}

/// Target `session`: bytes, cut into pieces by the first of them, come to what they come to in reads
/// as large as the server's.
///
/// # Panics
/// If they do not.
pub fn session(bytes: &[u8]) {
    let Some((&first, bytes)) = bytes.split_first() else { return };
    let whole = run_session(bytes.chunks(READ_MAX));
    let size = usize::from(first) + 1;
    assert_eq!(run_session(bytes.chunks(size)), whole, "in pieces of {size}");
    let (head, tail) = bytes.split_at_checked(size).unwrap_or((bytes, &[]));
    assert_eq!(run_session([head, tail]), whole, "cut at {size}");
}

/// Target `report`: datagrams, each behind two bytes of its length, told to a node with two members.
///
/// # Panics
/// If what is decoded is not encoded as the same bytes, or the node's book does not balance, or it remembers more nodes or
/// namespaces than it may, or has more to do at a time than there is time.
pub fn report(mut bytes: &[u8]) {
    let scope = Scope { id: 0, key: None };
    let delay = Duration::from_secs(1);
    let notify = NotifyRule { delta_ratio: 0.1, min_delay: delay, max_delay: delay };
    let rules = Rules { notify, increment_delay: Duration::ZERO, namespace_clean_delay: delay };
    let cluster = ClusterRules { nodes_max: NODES_MAX, namespaces_max: NAMESPACES_MAX, ..ClusterRules::default() };
    let mut meter = Meter::new(rules, NodeId(1), Some(cluster));
    let mut now = Now { tick: Tick(100), unix_ms: 1_700_000_000_000 };
    meter.join(1, "a", Some("u"), now);
    meter.join(2, "b", None, now);
    while let Some((&[low, high], rest)) = bytes.split_first_chunk() {
        let length = usize::from(u16::from_le_bytes([low, high]));
        // The top bits pass time, so that silence and questions come into it.
        now.tick = Tick(now.tick.0 + (length >> 11) as u64 * 20);
        let (datagram, rest) = rest.split_at_checked(length & 0x7ff).unwrap_or((rest, &[]));
        bytes = rest;
        if let Ok(heard) = report::decode(datagram, &scope) {
            assert_eq!(report::encode(&heard, &scope), datagram, "there is one form");
            let _ = meter.receive(&heard, now);
        }
        meter.handle_timeout(now, true);
        assert!(meter.poll_timeout().is_none_or(|next| next > now.tick), "the shell would spin");
        while let Some(output) = meter.poll_output() {
            if let Output::Send(datagram) = output {
                assert!(report::encode(&datagram, &scope).len() <= DATAGRAM_MAX);
            }
        }
        assert!(meter.nodes(now).count() <= NODES_MAX);
        assert!(meter.namespaces_from(0).count() <= 2 + NODES_MAX * 5 * NAMESPACES_MAX);
    }
}

/// Few, so that limits are reached.
const NODES_MAX: usize = 3;
const NAMESPACES_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::session::SURPLUS_MAX;

    const JOIN: &[u8] =
        b"\r\nPOST /a HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\nContent-Length: 5\r\n\r\nhello";

    fn joined(surplus: u32) -> Ending {
        Ending::Request { path: "/a".to_owned(), accepts_event_stream: true, surplus }
    }

    #[track_caller]
    fn check_any_split(bytes: &[u8], expected: &Ending) {
        assert_eq!(&run_session([bytes]), expected, "whole");
        for cut in 0..=bytes.len() {
            assert_eq!(&run_session([&bytes[..cut], &bytes[cut..]]), expected, "cut at {cut}");
        }
        for size in [1, 2, 3, 7, 64] {
            assert_eq!(&run_session(bytes.chunks(size)), expected, "in pieces of {size}");
        }
    }

    #[test]
    fn the_same_bytes_in_any_pieces_give_the_same_steps() {
        check_any_split(JOIN, &joined(5));
        check_any_split(b"GET / HTTP/1.1\r\n\r\n", &Ending::Refused(Refusal::Host));
        check_any_split(b"GET / HTTP/1.1\nHost: h\n\n", &Ending::Refused(Refusal::BareLf));
        check_any_split(&JOIN[..40], &Ending::Waiting);
        check_any_split(b"\r\n\r\n", &Ending::Waiting);
        check_any_split(&[b'x'; HEAD_MAX + 10], &Ending::Refused(Refusal::TooLarge));
        let pipelined = [JOIN, JOIN].concat();
        check_any_split(&pipelined, &joined(u32::try_from(JOIN.len()).unwrap() + 5));
    }

    #[test]
    fn a_peer_that_keeps_talking_is_heard_out_within_a_budget() {
        let body = vec![b'x'; SURPLUS_MAX as usize - 5];
        let within = [JOIN, &body].concat();
        assert_eq!(run_session(within.chunks(16 * 1024)), joined(SURPLUS_MAX));
        let beyond = [&within[..], b"y"].concat();
        assert_eq!(run_session(beyond.chunks(16 * 1024)), Ending::TooMuch);
    }
}
