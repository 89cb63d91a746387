//! A head that we accept, httparse accepts too, and reads the same in it. Shared by the corpus test and the fuzz target.
//!
//! The other way round it need not be: httparse forgives bare line feeds, bytes beyond ASCII in targets, and knows
//! nothing of `Host` and body lengths.

use audience_meter::fuzzing;
use audience_meter::wire::http::Request;

/// What must hold for any bytes.
pub(crate) fn check_request(bytes: &[u8]) {
    let Some((range, request)) = fuzzing::request(bytes) else { return };
    let mut headers = vec![httparse::EMPTY_HEADER; 4096];
    let mut other = httparse::Request::new(&mut headers);
    let head = &bytes[range];
    assert_eq!(other.parse(head), Ok(httparse::Status::Complete(head.len())), "httparse refuses what we accept");
    assert!(other.path.is_some_and(|target| target.contains(request.path.trim_start_matches('/'))), "{request:?}");
    let values = |name: &str| {
        let of_name = other.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
        of_name.map(|header| header.value).collect::<Vec<_>>()
    };
    let Request { host, origin, user_agent, last_event_id, sec_fetch_site, .. } = request;
    // In absolute form the target says whom it is for.
    let authority = other.path.and_then(|target| target.split_once("://").filter(|_| !target.starts_with('/')));
    let authority = authority.and_then(|(_, rest)| rest.split(['/', '?']).next()).map(str::as_bytes);
    assert_eq!(host.map(str::as_bytes), authority.or(values("host").last().copied()));
    assert_eq!(origin, values("origin").last().copied());
    assert_eq!(user_agent, values("user-agent").last().copied());
    assert_eq!(last_event_id, values("last-event-id").last().copied());
    assert_eq!(sec_fetch_site, values("sec-fetch-site").last().copied());
    let accepts = |value: &[u8]| value.to_ascii_lowercase().windows(17).any(|word| word == b"text/event-stream");
    assert_eq!(request.accepts_event_stream, values("accept").into_iter().any(accepts));
}
