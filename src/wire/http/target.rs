//! What a request is for: its target, and its `Host` (RFC 9112 section 3.2, RFC 9110 section 7.2).
//!
//! Owns the forms of a target and the alphabets of its parts. It knows no request.

use super::Refusal;
use super::bytes::{Class, is_graphic};

/// The path of a target in origin, absolute or asterisk form (RFC 9112 section 3.2).
pub(super) fn parse_target(target: &[u8]) -> Result<&str, Refusal> {
    // VCHAR (RFC 5234): all that a URI can have is within it, and what it cannot have stays as it was sent.
    if !is_graphic(target) {
        return Err(Refusal::Target);
    }
    let target = str::from_utf8(target).map_err(|_| Refusal::Target)?;
    let path = if target.starts_with('/') || target == "*" {
        target
    } else {
        let (scheme, rest) = target.split_once("://").ok_or(Refusal::Target)?;
        if !is_scheme(scheme) {
            return Err(Refusal::Target);
        }
        rest.find(['/', '?']).and_then(|end| rest.get(end..)).unwrap_or("")
    };
    let path = path.split('?').next().unwrap_or(path);
    Ok(if path.is_empty() { "/" } else { path })
}

/// `scheme = ALPHA *( ALPHA / DIGIT / "+" / "-" / "." )` (RFC 3986 section 3.1)
fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|char| char.is_ascii_alphanumeric() || "+-.".contains(char))
}

/// `Host = uri-host [ ":" port ]` (RFC 9110 section 7.2), by its alphabet. An empty one is legal.
pub(super) fn parse_host(value: &[u8]) -> Result<&str, Refusal> {
    let text = str::from_utf8(value).map_err(|_| Refusal::Host)?;
    let (host, port) = match text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        Some((literal, port)) => (literal, port),
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let is_literal = text.starts_with('[');
    let is_port =
        port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()));
    let is_right = is_port && host.bytes().all(|byte| HOST.has(byte) || (is_literal && byte == b':'));
    if is_right { Ok(text) } else { Err(Refusal::Host) }
}

/// What a host may have that is no literal: `unreserved`, `pct-encoded` and `sub-delims` (RFC 3986 section 3.2.2).
static HOST: Class = Class::alphanumeric_and(b"-._~%!$&'()*+,;=");
