//! The answers of the notification port: a program sends a message to the members of a namespace.
//!
//! Owns its path. Whose requests are answered is in `access`.

use super::access::Access;
use super::answer::{AfterReply, Confirmation};
use super::replies::{NOT_FROM_ELSEWHERE, push_json, push_text};
use crate::collections::tick::Now;
use crate::config::Config;
use crate::server::audience::fan_out::Busy;
use crate::server::audience::{Audience, Sent};
use crate::server::ports::port::Port;
use crate::wire::http::{Method, Request};
use crate::wire::json::Value;
use crate::wire::reply::Reply;

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
        audience: &mut Audience,
        out: &mut Vec<u8>,
        now: Now,
    ) -> AfterReply {
        let is_head = request.method == Method::Head;
        match Access::of(request, Port::Notification, self.token.as_deref()) {
            Access::Granted => return message(request, audience, out, now),
            Access::TokenMissing => {
                Reply { fields: "WWW-Authenticate: Bearer\r\n", ..Reply::empty(401) }.write(out, is_head);
            }
            Access::FromElsewhere => push_text(out, 403, NOT_FROM_ELSEWHERE, is_head),
        }
        AfterReply::Drain
    }
}

fn message(request: &Request<'_>, audience: &mut Audience, out: &mut Vec<u8>, now: Now) -> AfterReply {
    let is_head = request.method == Method::Head;
    let Some(Notification { namespace, service, text }) = Notification::of(request.path) else {
        Reply::empty(200).write(out, is_head);
        return AfterReply::Drain;
    };
    match audience.message(namespace, &format!("{service}={text}"), now) {
        Ok(Sent { members, number: Some(number) }) => {
            return AfterReply::Await(Confirmation { number, members, is_head });
        }
        Ok(Sent { members, number: None }) => push_confirmed(out, members, 0, is_head),
        Err(Busy) => Reply { fields: "Retry-After: 1\r\n", ..Reply::empty(503) }.write(out, is_head),
    }
    AfterReply::Drain
}

/// Appends the answer to a message that is settled.
pub(super) fn push_confirmed(out: &mut Vec<u8>, members: u64, unconfirmed: usize, is_head: bool) {
    let unconfirmed = (unconfirmed > 0).then_some(("unconfirmed", unconfirmed as u64));
    let mut body = Vec::new();
    Value::numbers([("members", members)].into_iter().chain(unconfirmed)).push(&mut body);
    body.push(b'\n');
    push_json(out, &body, is_head);
}

/// What a request on the notification port asks for.
#[derive(Debug, PartialEq, Eq)]
struct Notification<'a> {
    namespace: &'a str,
    service: &'a str,
    text: &'a str,
}

impl<'a> Notification<'a> {
    /// `^/([^/]+)/([^/]+)/([^/]*)$`
    fn of(path: &'a str) -> Option<Self> {
        let mut segments = path.strip_prefix('/')?.split('/');
        let (namespace, service, text) = (segments.next()?, segments.next()?, segments.next()?);
        let is_one = !namespace.is_empty() && !service.is_empty() && segments.next().is_none();
        is_one.then_some(Self { namespace, service, text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_has_three_segments_and_the_text_may_be_empty() {
        let is_one = |path| Notification::of(path).map(|one| (one.namespace, one.service, one.text));
        assert_eq!(is_one("/ns/chat/hello%20you"), Some(("ns", "chat", "hello%20you")));
        assert_eq!(is_one("/ns/chat/"), Some(("ns", "chat", "")));
        for path in ["/", "/ns", "/ns/chat", "//chat/x", "/ns//x", "/ns/chat/a/b", "*"] {
            assert_eq!(is_one(path), None, "{path}");
        }
    }
}
