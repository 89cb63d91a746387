//! Whether a request comes from where its port expects it.
//!
//! Owns the checks that keep web pages elsewhere out of the ports on loopback: a browser on the same machine would carry a
//! page's request to them. Which port asks for what is in the table of the ports. It owns the answers to requests that fail, too.
//!
//! Invariant: a request that is not granted has no effect.

use std::net::IpAddr;

use super::replies::push_text;
use crate::server::ports::port::{Askers, Port};
use crate::wire::http::{Method, Request};
use crate::wire::reply::Reply;

/// The answer to a page elsewhere that has a browser on this machine ask.
const NOT_FROM_ELSEWHERE: &str = "not from elsewhere";

/// Whether a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    Granted,
    /// It does not bring the token that the operator has chosen.
    TokenMissing,
    /// It comes from a page elsewhere.
    FromElsewhere,
}

/// Whether a port whose token is this one, if it has one, answers a request. If not, the refusal is appended.
pub(super) fn admits(request: &Request<'_>, port: Port, token: Option<&[u8]>, out: &mut Vec<u8>) -> bool {
    let is_head = request.method == Method::Head;
    match Access::of(request, port, token) {
        Access::Granted => return true,
        Access::TokenMissing => {
            Reply { fields: "WWW-Authenticate: Bearer\r\n", ..Reply::empty(401) }.write(out, is_head);
        }
        Access::FromElsewhere => push_text(out, 403, &NOT_FROM_ELSEWHERE, is_head),
    }
    false
}

impl Access {
    /// Decides.
    fn of(request: &Request<'_>, port: Port, token: Option<&[u8]>) -> Self {
        match (port.policy().askers, token) {
            (Askers::Anywhere, _) => Self::Granted,
            (Askers::TokenOrThisMachine, Some(token)) if brings_token(request, token) => Self::Granted,
            (Askers::TokenOrThisMachine, Some(_)) => Self::TokenMissing,
            (Askers::TokenOrThisMachine, None) if is_local(request) => Self::Granted,
            (Askers::TokenOrThisMachine, None) => Self::FromElsewhere,
        }
    }
}

/// Whether a request brings this token (RFC 6750 section 2.1). The time that this takes does not depend on how much of it is
/// right.
fn brings_token(request: &Request<'_>, token: &[u8]) -> bool {
    let credentials = request.authorization.and_then(|field| field.split_at_checked(BEARER.len()));
    let Some((scheme, given)) = credentials else { return false };
    let differences = given.iter().zip(token).fold(0, |differences, (a, b)| differences | (a ^ b));
    scheme.eq_ignore_ascii_case(BEARER) && given.len() == token.len() && differences == 0
}

const BEARER: &[u8] = b"Bearer ";

/// Whether a request may have come from a program on this machine, or from a page of such a program.
///
/// A page elsewhere betrays itself: by `Sec-Fetch-Site` (Fetch metadata), by its `Origin`, or, when its own name was made
/// to point to this machine (DNS rebinding), by the `Host` it asks for.
fn is_local(request: &Request<'_>) -> bool {
    let is_cross_site = request.sec_fetch_site.is_some_and(|site| site.eq_ignore_ascii_case(b"cross-site"));
    !is_cross_site
        && request.host.is_none_or(|host| host.is_empty() || is_loopback_authority(host))
        && request.origin.is_none_or(is_loopback_origin)
}

fn is_loopback_origin(origin: &[u8]) -> bool {
    let authority = str::from_utf8(origin).ok().and_then(|origin| Some(origin.split_once("://")?.1));
    authority.is_some_and(is_loopback_authority)
}

/// `host [ ":" port ]`, the host being a loopback address or a name of one, in whatever spelling.
fn is_loopback_authority(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => authority.split(':').next().unwrap_or(authority),
    };
    // The root of all names may be written, too.
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    // No such name can be another's in DNS: a last label of digits makes an address (URL standard, section 3.5).
    let is_short_address =
        host.strip_prefix("127.").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'));
    is_short_address
        || host.ends_with(".localhost")
        || LOOPBACK_NAMES.contains(&&*host)
        || host.parse().is_ok_and(|address: IpAddr| address.to_canonical().is_loopback())
}

/// What systems call their loopback in `/etc/hosts`. Names below `localhost` are reserved for it as well (RFC 6761 section 6.3).
const LOOPBACK_NAMES: [&str; 6] =
    ["localhost", "localhost.localdomain", "localhost4", "localhost6", "ip6-localhost", "ip6-loopback"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_to_be_the_same() {
        let brings = |fields: &str| {
            let head = format!("GET / HTTP/1.0\r\n{fields}\r\n\r\n");
            brings_token(&Request::parse(head.as_bytes()).unwrap(), b"the-token-of-this-audience")
        };
        assert!(brings("Authorization: Bearer the-token-of-this-audience"));
        assert!(brings("authorization: bearer the-token-of-this-audience"));
        for fields in [
            "X: y",
            "Authorization:",
            "Authorization: Bearer",
            "Authorization: Bearer the-token-of-this-audienc",
            "Authorization: Bearer the-token-of-this-audience1",
            "Authorization: Bearer The-token-of-this-audience",
            "Authorization: Basic  the-token-of-this-audience",
            "Proxy-Authorization: Bearer the-token-of-this-audience",
        ] {
            assert!(!brings(fields), "{fields}");
        }
    }

    #[track_caller]
    fn check(fields: &str, is_allowed: bool) {
        let head = format!("GET / HTTP/1.0\r\n{fields}\r\n\r\n");
        assert_eq!(is_local(&Request::parse(head.as_bytes()).unwrap()), is_allowed, "{fields}");
    }

    #[test]
    fn pages_elsewhere_are_kept_out() {
        for fields in [
            "X: y",
            "Host: localhost:1442",
            "Host: LOCALHOST",
            "Host: 127.0.0.1:1442",
            "Host: 127.1.2.3",
            "Host: 127.1:1442",
            "Host: 127.0.0.1.",
            "Host: [::1]:1442",
            "Host: [0:0:0:0:0:0:0:1]",
            "Host: [::ffff:127.0.0.1]:1442",
            "Host: localhost.:1442",
            "Host: LocalHost.LocalDomain",
            "Host: ip6-localhost:1442",
            "Host: IP6-LOOPBACK",
            "Host: meter.localhost",
            "Host: localhost\r\nOrigin: http://ip6-localhost:8080",
            "Host:",
            "Host: localhost\r\nOrigin: http://localhost:8080\r\nSec-Fetch-Site: same-site",
            "Origin: http://127.0.0.1",
            "Sec-Fetch-Site: none",
        ] {
            check(fields, true);
        }
        for fields in [
            "Host: example.com",
            "Host: localhost.example.com:1442",
            "Host: 127.0.0.1.example.com",
            "Host: 10.0.0.1",
            "Host: [::2]",
            "Host: [::ffff:10.0.0.1]",
            "Host: 127.evil.example",
            "Host: 127.0.0.1x",
            "Host: 128.1",
            "Host: 0.0.0.0",
            "Host: localhost..",
            "Host: localhost.example",
            "Host: evil-localhost",
            "Host: ip6-localhost.example.com",
            "Origin: https://example.com",
            "Origin: null",
            "Origin: http://localhost.example.com",
            "Host: localhost\r\nSec-Fetch-Site: cross-site",
        ] {
            check(fields, false);
        }
    }

    #[test]
    fn the_token_or_the_machine_decides_by_port() {
        let access = |port, fields: &str, token: Option<&str>| {
            let head = format!("GET / HTTP/1.0\r\n{fields}\r\n\r\n");
            Access::of(&Request::parse(head.as_bytes()).unwrap(), port, token.map(str::as_bytes))
        };
        let (elsewhere, token) = ("Host: example.com", "Host: example.com\r\nAuthorization: Bearer t");
        for (port, fields, needed, expected) in [
            (Port::Audience, elsewhere, None, Access::Granted),
            (Port::Demo, elsewhere, None, Access::Granted),
            (Port::Stats, elsewhere, None, Access::FromElsewhere),
            (Port::Stats, "Host: localhost", None, Access::Granted),
            (Port::Stats, "Host: localhost", Some("t"), Access::TokenMissing),
            (Port::Stats, token, Some("t"), Access::Granted),
            (Port::Notification, elsewhere, None, Access::FromElsewhere),
            (Port::Notification, "Host: localhost", None, Access::Granted),
            (Port::Notification, "Host: localhost", Some("t"), Access::TokenMissing),
            (Port::Notification, token, Some("t"), Access::Granted),
        ] {
            assert_eq!(access(port, fields, needed), expected, "{port}: {fields}");
        }
    }
}
