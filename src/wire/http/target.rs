//! What a request is for: its target, and its `Host` (RFC 9112 section 3.2, RFC 9110 section 7.2).
//!
//! Owns the forms of a target and the alphabets of its parts. It knows no request.

use core::net::Ipv6Addr;

use super::bytes::{Class, is_graphic};
use super::refusal::Refusal;

/// The parts of a request target that make a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    /// Without query, not decoded. `*` in asterisk form.
    pub(super) path: &'a str,
    /// What follows the first `?`, if there is one.
    pub(super) query: Option<&'a str>,
    /// The authority of a target in absolute form.
    pub(super) authority: Option<&'a str>,
}

/// A target in origin, absolute or asterisk form (RFC 9112 section 3.2).
pub(super) fn parse_target(target: &[u8]) -> Result<Target<'_>, Refusal> {
    // VCHAR (RFC 5234): all that a URI can have is within it, and what it cannot have stays as it was sent.
    if !is_graphic(target) {
        return Err(Refusal::Target);
    }
    let target = str::from_utf8(target).map_err(|_| Refusal::Target)?;
    if target.starts_with('/') || target == "*" {
        let (path, query) = split_query(target);
        return Ok(Target { path, query, authority: None });
    }
    let (scheme, rest) = target.split_once("://").ok_or(Refusal::Target)?;
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    // No user information, and no host that is empty: both are errors (RFC 9110 sections 4.2.1 and 4.2.4).
    if !is_scheme(scheme)
        || parse_host(authority.as_bytes()).is_err()
        || authority.is_empty()
        || authority.starts_with(':')
    {
        return Err(Refusal::Target);
    }
    let (path, query) = split_query(path);
    Ok(Target { path, query, authority: Some(authority) })
}

/// A path, which is `/` if there is none (RFC 9110 section 4.2.3), and a query.
fn split_query(target: &str) -> (&str, Option<&str>) {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    (if path.is_empty() { "/" } else { path }, query)
}

/// `scheme = ALPHA *( ALPHA / DIGIT / "+" / "-" / "." )` (RFC 3986 section 3.1)
fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|char| char.is_ascii_alphanumeric() || "+-.".contains(char))
}

/// `Host = uri-host [ ":" port ]` (RFC 9110 section 7.2). An empty one is legal.
pub(super) fn parse_host(value: &[u8]) -> Result<&str, Refusal> {
    let text = str::from_utf8(value).map_err(|_| Refusal::Host)?;
    let literal = text.strip_prefix('[').and_then(|text| text.split_once(']'));
    let (host, port) = literal.unwrap_or_else(|| text.split_at(text.find(':').unwrap_or(text.len())));
    let is_host = if literal.is_some() { is_ip_literal(host) } else { is_name(host) };
    let is_port =
        port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()));
    if is_host && is_port { Ok(text) } else { Err(Refusal::Host) }
}

/// `reg-name = *( unreserved / pct-encoded / sub-delims )`, which an IPv4 address is too (RFC 3986 section 3.2.2).
fn is_name(host: &str) -> bool {
    let mut parts = host.as_bytes().split(|&byte| byte == b'%');
    let first = parts.next().unwrap_or_default();
    HOST.has_all(first)
        && parts.all(|part| match part {
            [high, low, rest @ ..] => high.is_ascii_hexdigit() && low.is_ascii_hexdigit() && HOST.has_all(rest),
            _ => false,
        })
}

/// `IP-literal = "[" ( IPv6address / IPvFuture ) "]"`, `IPvFuture = "v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" )`
/// (RFC 3986 section 3.2.2), without the brackets.
fn is_ip_literal(host: &str) -> bool {
    if host.parse::<Ipv6Addr>().is_ok() {
        return true;
    }
    let Some((version, address)) = host.strip_prefix(['v', 'V']).and_then(|rest| rest.split_once('.')) else {
        return false;
    };
    let is_version = !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_version && !address.is_empty() && address.bytes().all(|byte| HOST.has(byte) || byte == b':')
}

/// `unreserved` and `sub-delims` (RFC 3986 section 2).
static HOST: Class = Class::alphanumeric_and(b"-._~!$&'()*+,;=");
