//! What a request on the audience port asks for.
//!
//! Owns the order in which the possibilities are tried; pure. It does not answer.
//!
//! Invariant: every well-formed request has exactly one route.

use super::assets::{self, Asset};
use crate::wire::http::{Method, Request, contains_ignore_case};
use crate::wire::{members, watch};

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    /// A browser asks what a page of another origin may do.
    Preflight,
    /// Flash asks which servers its movies may talk to.
    Policy,
    /// To be a member. The second segment is a uuid if uuids are enabled.
    Join { namespace: &'a str, second: Option<&'a str> },
    /// To get updates of many namespaces, and not be counted.
    Watch,
    /// The number of an event's members, without a stream.
    Members,
    /// The head that a join would get.
    JoinHead { namespace: &'a str, second: Option<&'a str> },
    /// A client script.
    Script(&'static Asset),
    /// The page that joined with this uuid says that it leaves; or a `HEAD` asks what the answer to that would be.
    Leave { namespace: &'a str, uuid: &'a str },
    /// An event, but no stream.
    Event { namespace: &'a str },
    /// Nothing in particular.
    Nothing,
}

impl<'a> Route<'a> {
    /// Decides; `path` is the canonical spelling of the request's, and `enable_uuid` says whether its second segment is a uuid.
    pub(super) fn of(request: &Request<'_>, path: &'a str, enable_uuid: bool) -> Self {
        if request.method == Method::Options {
            return Self::Preflight;
        }
        if path == assets::POLICY_PATH {
            return Self::Policy;
        }
        if path == "/" && watch::is_asked(request.query) {
            return Self::Watch;
        }
        if path == "/" && members::is_asked(request.query) {
            return Self::Members;
        }
        let named = split_namespace(path);
        match named {
            Some((namespace, second)) if request.accepts_event_stream && request.method == Method::Head => {
                return Self::JoinHead { namespace, second };
            }
            Some((namespace, second)) if request.accepts_event_stream => return Self::Join { namespace, second },
            _ => {}
        }
        if let Some(script) = assets::script(path) {
            return Self::Script(script);
        }
        match named {
            Some((namespace, Some(uuid))) if enable_uuid && is_meant(request) => Self::Leave { namespace, uuid },
            Some((namespace, _)) => Self::Event { namespace },
            None => Self::Nothing,
        }
    }
}

/// Whether a page that sends this request may mean to leave by it. A browser that fetches in advance what its user may open next
/// means nothing (Fetch standard, section "`Sec-Purpose` header"; the other fields are of older browsers).
fn is_meant(request: &Request<'_>) -> bool {
    const PURPOSES: [&[u8]; 4] = [b"sec-purpose", b"purpose", b"x-purpose", b"x-moz"];
    let is_advance =
        |value: &[u8]| [&b"prefetch"[..], b"prerender", b"preview"].iter().any(|it| contains_ignore_case(value, it));
    matches!(request.method, Method::Get | Method::Head | Method::Post | Method::Delete)
        && !PURPOSES.into_iter().any(|name| request.values(name).any(is_advance))
}

/// `^/([^/]+)(?:/([^/]+))?$`: the namespace, and what follows it.
pub(super) fn split_namespace(path: &str) -> Option<(&str, Option<&str>)> {
    let path = path.strip_prefix('/')?;
    let (namespace, second) =
        path.split_once('/').map_or((path, None), |(namespace, second)| (namespace, Some(second)));
    let is_second = |second: &str| !second.is_empty() && !second.contains('/');
    (!namespace.is_empty() && second.is_none_or(is_second)).then_some((namespace, second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(request_line: &str, accept: &str, enable_uuid: bool, expected: &Route<'_>) {
        let head = format!("{request_line} HTTP/1.0\r\nAccept: {accept}\r\n\r\n");
        let request = Request::parse(head.as_bytes()).unwrap();
        assert_eq!(&Route::of(&request, request.path, enable_uuid), expected, "{request_line}");
    }

    #[test]
    fn a_path_names_a_namespace_or_none() {
        for (path, expected) in [
            ("/ns", Some(("ns", None))),
            ("/ns/x", Some(("ns", Some("x")))),
            ("/constructor", Some(("constructor", None))),
            ("/caf%C3%A9", Some(("caf%C3%A9", None))),
            ("/", None),
            ("/ns/", None),
            ("/a/b/c", None),
            ("/a/b/", None),
            ("//x", None),
            ("//", None),
            ("*", None),
        ] {
            assert_eq!(split_namespace(path), expected, "{path}");
        }
    }

    #[test]
    fn a_join_is_any_method_that_accepts_an_event_stream() {
        const STREAM: &str = "text/event-stream";
        for method in ["GET", "POST", "PUT", "get"] {
            check(&format!("{method} /a"), STREAM, true, &Route::Join { namespace: "a", second: None });
            check(&format!("{method} /a/u"), STREAM, false, &Route::Join { namespace: "a", second: Some("u") });
            check(&format!("{method} /a/u"), STREAM, true, &Route::Join { namespace: "a", second: Some("u") });
            check(&format!("{method} /a"), "*/*", true, &Route::Event { namespace: "a" });
            check(&format!("{method} /a/u"), "*/*", false, &Route::Event { namespace: "a" });
            check(&format!("{method} /a/"), STREAM, true, &Route::Nothing);
        }
        check("HEAD /a", STREAM, false, &Route::JoinHead { namespace: "a", second: None });
        check("OPTIONS /a", STREAM, false, &Route::Preflight);
        check("OPTIONS *", "*/*", false, &Route::Preflight);
        check("GET /crossdomain.xml", STREAM, false, &Route::Policy);
    }

    #[test]
    fn a_page_leaves_by_what_it_means() {
        let leave = Route::Leave { namespace: "a", uuid: "u" };
        for method in ["GET", "HEAD", "POST", "DELETE"] {
            check(&format!("{method} /a/u"), "*/*", true, &leave);
            check(&format!("{method} /a/u?x"), "*/*\r\nSec-Purpose:\r\nPurpose: none", true, &leave);
            for field in [
                "Sec-Purpose: prefetch",
                "sec-purpose: prefetch;prerender",
                "Sec-Purpose: prefetch;anonymous-client-ip",
                "Purpose: Prefetch",
                "X-Purpose: preview",
                "X-Moz: prefetch",
            ] {
                check(&format!("{method} /a/u"), &format!("*/*\r\n{field}"), true, &Route::Event { namespace: "a" });
            }
        }
        for method in ["PUT", "PATCH", "get", "BREW"] {
            check(&format!("{method} /a/u"), "*/*", true, &Route::Event { namespace: "a" });
        }
    }

    #[test]
    fn to_watch_is_asked_for_where_no_namespace_is() {
        check("GET /?watch=a,b", "text/event-stream", true, &Route::Watch);
        check("GET /?watch", "*/*", true, &Route::Watch);
        check("OPTIONS /?watch=a", "*/*", true, &Route::Preflight);
        for method in ["GET", "HEAD", "POST"] {
            check(&format!("{method} /?members=a&as=svg"), "*/*", true, &Route::Members);
        }
        check("GET /?members=a&watch=a", "text/event-stream", true, &Route::Watch);
        check("GET /a?members=b", "text/event-stream", true, &Route::Join { namespace: "a", second: None });
        check("GET /?watched=a", "*/*", true, &Route::Nothing);
        check("GET /a?watch=b", "text/event-stream", true, &Route::Join { namespace: "a", second: None });
    }

    #[test]
    fn scripts_are_served_where_no_stream_is_asked_for() {
        let script = assets::script("/client/audience.js").unwrap();
        check("GET /client/audience.js?v=1", "*/*", true, &Route::Script(script));
        let join = Route::Join { namespace: "client", second: Some("audience.js") };
        check("GET /client/audience.js", "text/event-stream", false, &join);
        check("GET /client/other.js", "*/*", false, &Route::Event { namespace: "client" });
    }
}
