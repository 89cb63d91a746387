//! Target `request`: a head that is accepted is within its bounds, and `httparse` reads the same in it.
//!
//! The other way round it need not be: httparse forgives bare line feeds, bytes beyond ASCII in targets, and knows
//! nothing of `Host` and body lengths.

use std::ops::Range;

use audience_meter::meter::NAME_MAX;
use audience_meter::meter::watches::Pattern;
use audience_meter::wire::http::{HEAD_MAX, HeadScanner, Request};
use audience_meter::wire::{name, query, watch};

/// Runs the target on one head.
///
/// # Panics
/// If the head breaks a promise of the parser, or `httparse` reads something else in it.
pub fn request(bytes: &[u8]) {
    let Some((range, request)) = accepted(bytes) else { return };
    let mut headers = vec![httparse::EMPTY_HEADER; 4096];
    let mut other = httparse::Request::new(&mut headers);
    let head = &bytes[range];
    assert_eq!(other.parse(head), Ok(httparse::Status::Complete(head.len())), "httparse refuses what we accept");
    assert!(other.path.is_some_and(|target| target.contains(request.path.trim_start_matches('/'))), "{request:?}");
    let values = |name: &str| {
        let of_name = other.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
        of_name.map(|header| header.value).collect::<Vec<_>>()
    };
    let Request { host, origin, user_agent, last_event_id, sec_fetch_site, is_prefetch, .. } = request;
    // In absolute form the target says whom it is for.
    let authority = other.path.and_then(|target| target.split_once("://").filter(|_| !target.starts_with('/')));
    let authority = authority.and_then(|(_, rest)| rest.split(['/', '?']).next()).map(str::as_bytes);
    assert_eq!(host.map(str::as_bytes), authority.or(values("host").last().copied()));
    assert_eq!(origin, values("origin").last().copied());
    assert_eq!(user_agent, values("user-agent").last().copied());
    assert_eq!(last_event_id, values("last-event-id").last().copied());
    assert_eq!(sec_fetch_site, values("sec-fetch-site").last().copied());
    let is_advance = |value: &&[u8]| value.to_ascii_lowercase().windows(8).any(|part| part == b"prefetch");
    assert_eq!(is_prefetch, values("sec-purpose").iter().any(is_advance));
    let accepts = |value: &[u8]| value.to_ascii_lowercase().windows(17).any(|word| word == b"text/event-stream");
    assert_eq!(request.accepts_event_stream, values("accept").into_iter().any(accepts));
}

/// One head. Returns its range and what it says, if it is accepted.
///
/// # Panics
/// If the scanner finds another end when the bytes arrive one by one, a head is longer than it may be, or a list of what is to be
/// watched is out of its bounds.
fn accepted(bytes: &[u8]) -> Option<(Range<usize>, Request<'_>)> {
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
    let canonical = name::canonical(query);
    assert!(name::is_canonical(&canonical) && name::canonical(&canonical) == canonical, "{query}");
    let query = &*canonical;
    let Ok(patterns) = watch::parse(query) else { return };
    assert!(watch::is_asked(Some(query)) && (1..=watch::PATTERNS_PER_WATCHER).contains(&patterns.len()), "{query}");
    for pattern in &patterns {
        let (Pattern::Name(text) | Pattern::Prefix(text)) = pattern;
        assert!(query.contains(text) && text.len() <= NAME_MAX && !text.contains([',', '&']), "{query}: {pattern:?}");
        assert!(!matches!(pattern, Pattern::Name(name) if name.is_empty() || name.ends_with('*')), "{query}");
    }
}
