//! The answers of the notification port: a program sends a message to the members of a namespace.
//!
//! Owns what is a message: its path, and the body that has its text where the path has none. A text of a path is sent as it is
//! written there; one of a body is a line of UTF-8, and is sent as it is. Whose requests are answered is in `access`.
//!
//! Invariant: what is answered with another status than 200 has reached no member.

use std::borrow::Cow;

use super::access;
use super::answer::{AfterReply, Awaited, Confirmation, Receivers};
use super::replies::{push_json, push_text};
use crate::collections::tick::Now;
use crate::config::Config;
use crate::meter::Mail;
use crate::server::audience::fan_out::Busy;
use crate::server::audience::{Audience, Sent};
use crate::server::ports::port::Port;
use crate::wire::http::body::BodyLength;
use crate::wire::http::{Body, Method, Request, Version, contains_ignore_case};
use crate::wire::json::Value;
use crate::wire::name;
use crate::wire::reply::{self, Reply};
use crate::wire::sse;

/// The longest message in bytes, its service included: what a request target can carry, too.
const MESSAGE_MAX: usize = 8 * 1024;

/// Why a request is no message.
const TOO_FEW: &str =
    "a message is sent to /<event>/<service>/<text>, or to /<event>/<service> with its text as the body";
const TOO_MANY: &str = "the path has too many parts; a slash in the text is written %2F";
const EMPTY: &str = "the name of the event, or the service, is empty";
const TWICE: &str = "there is a text in the path and one in the body; send one of them";
const TOO_LONG: &str = "the message is too long; a service and its text have 8191 bytes at most";
const NO_UTF8: &str = "the body is no UTF-8";
const CONTROL: &str = "the body has a line break or a control character inside; a message is one line";
const NO_EVENT: &str = "there is no such event";

/// What was decided at start about the notification port.
pub(super) struct NotificationPort {
    /// The token that has to come with a message, if one has to.
    token: Option<Vec<u8>>,
}

impl NotificationPort {
    /// # Errors
    /// A token that cannot be read, as a line for a person.
    pub(super) fn new(config: &Config) -> Result<Self, String> {
        Ok(Self { token: config.notification.read_token()? })
    }

    /// Pushes the message to the members here, and announces it to the other nodes; or neither, if members anywhere lag too far
    /// behind. The answer waits until the other nodes have confirmed the message.
    pub(super) fn answer(
        &self,
        request: &Request<'_>,
        body: Option<&[u8]>,
        audience: &mut Audience,
        out: &mut Vec<u8>,
        now: Now,
    ) -> AfterReply {
        if access::admits(request, Port::Notification, self.token.as_deref(), out) {
            message(request, body, audience, out, now)
        } else {
            AfterReply::Drain
        }
    }
}

fn message(
    request: &Request<'_>,
    body: Option<&[u8]>,
    audience: &mut Audience,
    out: &mut Vec<u8>,
    now: Now,
) -> AfterReply {
    let is_head = request.method == Method::Head;
    let is_alone = audience.meter.nodes(now).next().is_none();
    match Found::of(request, body, |namespace| !is_alone || audience.meter.find(namespace).is_some()) {
        Found::Unread => {
            if request.version == Version::Http11
                && request.values(b"expect").any(|value| contains_ignore_case(value, b"100-continue"))
            {
                out.extend_from_slice(reply::CONTINUE);
            }
            return AfterReply::ReadBody;
        }
        Found::Nothing(status, why) => push_text(out, status, &why, is_head),
        Found::Message { namespace, text } => match audience.message(&namespace, &text, now) {
            Ok(Sent { members, number: Some(number) }) => {
                let receivers = members.map_or_else(|| Receivers::Unknown(namespace.into()), Receivers::Members);
                return AfterReply::Await(Awaited::Message(Confirmation { number, receivers, is_head }));
            }
            Ok(Sent { members: Some(members), number: None }) => push_confirmed(out, members, 0, is_head),
            Ok(Sent { members: None, number: None }) => push_text(out, 404, &NO_EVENT, is_head),
            Err(Busy) => Reply { fields: "Retry-After: 1\r\n", ..Reply::empty(503) }.write(out, is_head),
        },
    }
    AfterReply::Drain
}

/// Appends the answer to a message that is settled. By now this node has learned of an event that another node had announced
/// before it confirmed the message.
pub(super) fn push_settled(out: &mut Vec<u8>, confirmation: &Confirmation, unconfirmed: usize, mail: &Mail<'_>) {
    let members = match &confirmation.receivers {
        Receivers::Members(members) => Some(*members),
        Receivers::Unknown(name) => mail.member_count(name),
    };
    match members {
        None if unconfirmed == 0 => push_text(out, 404, &NO_EVENT, confirmation.is_head),
        _ => push_confirmed(out, members.unwrap_or(0), unconfirmed, confirmation.is_head),
    }
}

fn push_confirmed(out: &mut Vec<u8>, members: u64, unconfirmed: usize, is_head: bool) {
    let unconfirmed = (unconfirmed > 0).then_some(("unconfirmed", unconfirmed as u64));
    let mut body = Vec::new();
    Value::numbers([("members", members)].into_iter().chain(unconfirmed)).push(&mut body);
    body.push(b'\n');
    push_json(out, &body, is_head);
}

/// What a request on the notification port comes to.
#[derive(Debug, PartialEq, Eq)]
enum Found<'a> {
    /// A message: its service and its text in one.
    Message { namespace: Cow<'a, str>, text: String },
    /// The head of a message, whose body comes next.
    Unread,
    /// No message: a status, and a line that says why.
    Nothing(u16, &'static str),
}

impl<'a> Found<'a> {
    /// Judges a request, and its body if that has been read. What the head says is judged first, so a client that waits with its
    /// body is refused without it.
    fn of(request: &Request<'a>, body: Option<&[u8]>, is_known: impl FnOnce(&str) -> bool) -> Self {
        let (namespace, service, in_path) = match split(request.path) {
            Ok(parts) => parts,
            Err(why) => return Self::Nothing(400, why),
        };
        let namespace = name::canonical(namespace);
        if !is_known(&namespace) {
            return Self::Nothing(404, NO_EVENT);
        }
        match text_of(in_path, request.body, body) {
            Ok(Some(text)) if service.len() + 1 + text.len() > MESSAGE_MAX => Self::Nothing(400, TOO_LONG),
            Ok(Some(text)) => Self::Message { namespace, text: [service, "=", text].concat() },
            Ok(None) => Self::Unread,
            Err(why) => Self::Nothing(400, why),
        }
    }
}

/// `^/([^/]+)/([^/]+)(?:/([^/]*))?$`: the namespace, the service, and the text; or what is wrong.
fn split(path: &str) -> Result<(&str, &str, Option<&str>), &'static str> {
    let mut segments = path.strip_prefix('/').unwrap_or_default().split('/');
    match [(); 4].map(|()| segments.next()) {
        [.., Some(_)] => Err(TOO_MANY),
        [Some(namespace), Some(service), _, _] if namespace.is_empty() || service.is_empty() => Err(EMPTY),
        [Some(namespace), Some(service), text, None] => Ok((namespace, service, text)),
        _ => Err(TOO_FEW),
    }
}

/// The text that the path has or the body; `None`: the body has to be read for that. An empty body is none.
fn text_of<'a>(
    in_path: Option<&'a str>,
    length: BodyLength,
    body: Option<&'a [u8]>,
) -> Result<Option<&'a str>, &'static str> {
    let (is_in_path, has_none) = (in_path.is_some_and(|text| !text.is_empty()), length == BodyLength::Bytes(0));
    match body {
        None if is_in_path && matches!(length, BodyLength::Bytes(1..)) => Err(TWICE),
        None if !has_none => Body::new(length).map(|_| None).map_err(|_| TOO_LONG),
        Some(body) if !body.is_empty() => {
            if is_in_path {
                Err(TWICE)
            } else {
                line(body).map(Some)
            }
        }
        _ => in_path.map(Some).ok_or(TOO_FEW),
    }
}

/// The line of text that a body is, without its end.
fn line(body: &[u8]) -> Result<&str, &'static str> {
    let line = body.strip_suffix(b"\n").map_or(body, |line| line.strip_suffix(b"\r").unwrap_or(line));
    let text = str::from_utf8(line).map_err(|_| NO_UTF8)?;
    if sse::is_one_line(text) { Ok(text) } else { Err(CONTROL) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, field: &str, body: Option<&str>, expected: &Found<'_>) {
        let head = format!("POST {path} HTTP/1.1\r\nHost:\r\n{field}\r\n\r\n");
        let request = Request::parse(head.as_bytes()).unwrap();
        let found = Found::of(&request, body.map(str::as_bytes), |namespace| namespace == "ns");
        assert_eq!(&found, expected, "{path}, {field}, {body:?}");
    }

    fn message(text: &str) -> Found<'static> {
        Found::Message { namespace: "ns".into(), text: text.to_owned() }
    }

    const NO_BODY: &str = "Content-Length: 0";
    const SOME: &str = "Content-Length: 5";
    const CHUNKED: &str = "Transfer-Encoding: chunked";

    #[test]
    fn a_path_has_an_event_a_service_and_a_text_that_may_be_empty() {
        for (path, expected) in [
            ("/ns/chat/hello%20you", message("chat=hello%20you")),
            ("/ns/chat/", message("chat=")),
            ("/%6Es/%63hat/%c3%a9", message("%63hat=%c3%a9")),
            ("/other/chat/", Found::Nothing(404, NO_EVENT)),
            ("/ns/chat/a/b", Found::Nothing(400, TOO_MANY)),
            ("/ns/chat//", Found::Nothing(400, TOO_MANY)),
            ("/ns/chat", Found::Nothing(400, TOO_FEW)),
            ("/ns", Found::Nothing(400, TOO_FEW)),
            ("/", Found::Nothing(400, TOO_FEW)),
            ("//chat/x", Found::Nothing(400, EMPTY)),
            ("/ns//x", Found::Nothing(400, EMPTY)),
            ("/ns/", Found::Nothing(400, EMPTY)),
        ] {
            for field in ["X: y", NO_BODY] {
                check(path, field, None, &expected);
            }
        }
    }

    #[test]
    fn a_text_is_in_the_path_or_in_the_body() {
        for field in [SOME, CHUNKED] {
            for path in ["/ns/chat", "/ns/chat/"] {
                check(path, field, None, &Found::Unread);
                check(path, field, Some("hello"), &message("chat=hello"));
            }
            check("/ns/chat/x", field, Some("hello"), &Found::Nothing(400, TWICE));
            // The path is judged before the body is read.
            for path in ["/", "/ns//", "/ns/a/b/c"] {
                assert_ne!(split(path), Ok(("ns", "chat", None)), "{path}");
            }
            check("/other/chat", field, None, &Found::Nothing(404, NO_EVENT));
        }
        check("/ns/chat/x", SOME, None, &Found::Nothing(400, TWICE));
        check("/ns/chat/x", CHUNKED, None, &Found::Unread);
        // An empty body is none.
        check("/ns/chat/x", CHUNKED, Some(""), &message("chat=x"));
        check("/ns/chat/", CHUNKED, Some(""), &message("chat="));
        check("/ns/chat", CHUNKED, Some(""), &Found::Nothing(400, TOO_FEW));
    }

    #[test]
    fn a_body_is_a_line() {
        for (body, text) in [
            ("hello\n", "hello"),
            ("hello\r\n", "hello"),
            ("\n", ""),
            (" 50 % \u{e9}+\u{1f600} ", " 50 % \u{e9}+\u{1f600} "),
            ("a=b&c", "a=b&c"),
        ] {
            check("/ns/chat", SOME, Some(body), &message(&format!("chat={text}")));
        }
        for body in ["a\n\n", "a\nb", "a\rb", "a\r", "a\tb", "\0", "a\u{7f}", "a\u{85}", "a\u{2028}b", "a\u{2029}"] {
            check("/ns/chat", SOME, Some(body), &Found::Nothing(400, CONTROL));
        }
        for body in [b"\xff".as_slice(), b"caf\xe9", b"\xc3"] {
            assert_eq!(line(body), Err(NO_UTF8));
        }
    }

    #[test]
    fn a_message_is_bounded() {
        let longest = "x".repeat(MESSAGE_MAX - "chat=".len());
        check("/ns/chat", SOME, Some(&format!("{longest}\r\n")), &message(&format!("chat={longest}")));
        check("/ns/chat", SOME, Some(&format!("{longest}x")), &Found::Nothing(400, TOO_LONG));
        check("/ns/chat", "Content-Length: 8194", None, &Found::Unread);
        check("/ns/chat", "Content-Length: 8195", None, &Found::Nothing(400, TOO_LONG));
        check("/ns/chat", "Content-Length: 18446744073709551615", None, &Found::Nothing(400, TOO_LONG));
    }
}
