//! The forms of short replies: a line of text, figures, a file.
//!
//! Owns their header fields. It does not decide what is answered.

use std::fmt::Display;

use super::assets::{self, Asset};
use crate::wire::http::{Method, Request};
use crate::wire::reply::{self, Caching, Cors, Reply};
use crate::wire::sse;
use crate::wire::transfer::Coding;

/// A page that is isolated from other origins takes no script of theirs without this (HTML standard, section 7.1.4).
const FILE_FIELDS: &str = "Cross-Origin-Resource-Policy: cross-origin\r\n";

/// The same of a file that is packed (RFC 9110 section 8.4).
const PACKED_FILE_FIELDS: &str = "Cross-Origin-Resource-Policy: cross-origin\r\nContent-Encoding: gzip\r\n";

pub(super) const PLAIN_TEXT: &str = "text/plain; charset=utf-8";

/// Appends a reply that is a line of text.
pub(super) fn push_text(out: &mut Vec<u8>, status: u16, text: impl Display, is_head: bool) {
    let body = format!("{text}\n");
    Reply { content_type: Some(PLAIN_TEXT), body: body.as_bytes(), ..Reply::empty(status) }.write(out, is_head);
}

/// Appends a reply with figures.
pub(super) fn push_json(out: &mut Vec<u8>, body: &[u8], is_head: bool) {
    Reply { content_type: Some("application/json"), body, ..Reply::empty(200) }.write(out, is_head);
}

/// Appends a reply that is a file, packed for clients that take gzip.
pub(super) fn push_asset(out: &mut Vec<u8>, asset: &Asset, request: &Request<'_>) {
    let is_packed = request.takes_gzip();
    let body = if is_packed { asset.packed } else { asset.plain() };
    push_file(out, asset.content_type, if is_packed { PACKED_FILE_FIELDS } else { FILE_FIELDS }, body, request);
}

/// Appends the policy of Flash.
pub(super) fn push_policy(out: &mut Vec<u8>, request: &Request<'_>) {
    push_file(out, "application/xml", FILE_FIELDS, assets::POLICY.as_bytes(), request);
}

fn push_file(out: &mut Vec<u8>, content_type: &'static str, fields: &'static str, body: &[u8], request: &Request<'_>) {
    let reply = Reply { content_type: Some(content_type), fields, cors: Cors::Any, ..Reply::empty(200) };
    Reply { caching: Caching::Briefly, body, ..reply }.write(out, request.method == Method::Head);
}

/// Appends a stream that ends at once, and has a browser that found no room come back after this long. (After another status
/// than 200 it would never.)
pub(super) fn push_no_room(out: &mut Vec<u8>, cors: Cors<'_>, coding: Coding, retry_ms: u64) {
    reply::push_stream_head(out, cors, coding);
    coding.push(out, |out| sse::push_first(out, retry_ms, None));
    out.extend_from_slice(coding.end());
}
