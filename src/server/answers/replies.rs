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
pub(super) const FILE_FIELDS: &str = "Cross-Origin-Resource-Policy: cross-origin\r\n";

/// RFC 9110 section 8.4.
const PACKED: &str = "Content-Encoding: gzip\r\n";

pub(super) const PLAIN_TEXT: &str = "text/plain; charset=utf-8";

/// Appends a reply that is a line of text.
pub(super) fn push_text(out: &mut Vec<u8>, status: u16, text: &dyn Display, is_head: bool) {
    push_line(out, status, text, Cors::None, is_head);
}

/// Appends a reply that is a line of text, which any page may read.
pub(super) fn push_public_text(out: &mut Vec<u8>, status: u16, text: &dyn Display, is_head: bool) {
    push_line(out, status, text, Cors::Any, is_head);
}

/// The same, which pages may read by `cors`.
pub(super) fn push_line(out: &mut Vec<u8>, status: u16, text: &dyn Display, cors: Cors<'_>, is_head: bool) {
    let body = format!("{text}\n");
    Reply { content_type: Some(PLAIN_TEXT), cors, body: body.as_bytes(), ..Reply::empty(status) }.write(out, is_head);
}

/// Appends a reply with figures.
pub(super) fn push_json(out: &mut Vec<u8>, body: &[u8], is_head: bool) {
    Reply { content_type: Some("application/json"), body, ..Reply::empty(200) }.write(out, is_head);
}

/// Appends a reply that is a file, packed for clients that take gzip; to a client that has it, only that it is the same.
pub(super) fn push_asset(out: &mut Vec<u8>, asset: &Asset, request: &Request<'_>) {
    let (tag, is_packed) = (asset.tag(), request.takes_gzip());
    // A tag that stands for both codings is weak (RFC 9110 section 8.8.3).
    let etag = ["ETag: W/\"", tag, "\"\r\n"].concat();
    let is_of_tag = request.query.and_then(|query| query.strip_prefix("v=")) == Some(tag);
    let caching = if is_of_tag { Caching::Forever } else { Caching::Briefly };
    let reply = Reply { caching, cors: Cors::Any, ..Reply::empty(304) };
    let is_head = request.method == Method::Head;
    if is_known(tag, request) {
        Reply { fields: &[FILE_FIELDS, &etag].concat(), ..reply }.write(out, is_head);
    } else {
        let fields = [FILE_FIELDS, &etag, if is_packed { PACKED } else { "" }].concat();
        let body = if is_packed { asset.packed } else { asset.plain() };
        Reply { status: 200, content_type: Some(asset.content_type), fields: &fields, body, ..reply }
            .write(out, is_head);
    }
}

/// Whether the client has the file of this tag (RFC 9110 section 13.1.2).
fn is_known(tag: &str, request: &Request<'_>) -> bool {
    let is_read = matches!(request.method, Method::Get | Method::Head);
    let names_it = |value: &[u8]| value == b"*" || value.windows(tag.len()).any(|part| part == tag.as_bytes());
    is_read && request.values(b"if-none-match").any(names_it)
}

/// Appends the policy of Flash.
pub(super) fn push_policy(out: &mut Vec<u8>, request: &Request<'_>) {
    let (content_type, caching, body) = (Some("application/xml"), Caching::Briefly, assets::POLICY.as_bytes());
    Reply { content_type, caching, fields: FILE_FIELDS, cors: Cors::Any, body, ..Reply::empty(200) }
        .write(out, request.method == Method::Head);
}

/// Appends a stream that ends at once, and has a browser that found no room come back after this long. (After another status
/// than 200 it would never.)
pub(super) fn push_no_room(out: &mut Vec<u8>, cors: Cors<'_>, coding: Coding, retry_ms: u64) {
    reply::push_stream_head(out, cors, coding);
    coding.push(out, |out| sse::push_first(out, retry_ms, None, None));
    out.extend_from_slice(coding.end());
}
