//! Response heads (RFC 9112 section 4), whole.
//!
//! Owns the bytes and the order of header fields of everything that the daemon answers. It does not decide what to answer.
//!
//! Invariant: every answer closes its connection, so what follows a request is never taken for another.

use super::sse;
use super::transfer::Coding;

/// The origins whose pages may read an answer (Fetch standard, section 3.2 "CORS protocol").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cors<'a> {
    /// No cross-origin page.
    None,
    /// Any page: `Access-Control-Allow-Origin: *`.
    Any,
    /// Pages of this origin only, so a cache must keep answers apart by origin.
    Origin(&'a str),
}

/// An answer that is not an event stream.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// Status code.
    pub status: u16,
    /// Media type of the body, if it has one.
    pub content_type: Option<&'static str>,
    /// Further header lines, each ended by CRLF.
    pub fields: &'static str,
    /// The origins whose pages may read it.
    pub cors: Cors<'a>,
    /// The body.
    pub body: &'a [u8],
}

/// `OPTIONS` is answered with what a page may do: everything that the daemon understands.
pub const PREFLIGHT_FIELDS: &str = "Access-Control-Allow-Methods: GET, HEAD, POST, OPTIONS\r\n\
    Access-Control-Allow-Headers: Accept, Cache-Control, Content-Type, Last-Event-ID\r\n\
    Access-Control-Max-Age: 86400\r\n";

impl Reply<'_> {
    /// An answer without body.
    #[must_use]
    pub fn empty(status: u16) -> Self {
        Self { status, content_type: None, fields: "", cors: Cors::None, body: &[] }
    }

    /// Appends the answer; to `HEAD`, without its body.
    pub fn write(&self, out: &mut Vec<u8>, is_head: bool) {
        push_status_line(out, self.status);
        if let Some(content_type) = self.content_type {
            push_field(out, "Content-Type", content_type);
        }
        // RFC 9110 section 8.6: a 204 has no Content-Length.
        if self.status != 204 {
            out.extend_from_slice(b"Content-Length: ");
            sse::push_decimal(out, self.body.len() as u64);
            out.extend_from_slice(b"\r\n");
        }
        push_cors(out, self.cors);
        out.extend_from_slice(self.fields.as_bytes());
        out.extend_from_slice(b"Connection: close\r\n\r\n");
        if !is_head {
            out.extend_from_slice(self.body);
        }
    }
}

/// Appends the head of an event stream, in the order of the 2011 daemon. Nothing on the way may keep it, or change it.
pub fn push_stream_head(out: &mut Vec<u8>, cors: Cors<'_>, coding: Coding) {
    push_status_line(out, 200);
    out.extend_from_slice(b"Content-Type: text/event-stream\r\nCache-Control: no-store, no-transform\r\n");
    push_cors(out, cors);
    // nginx holds a stream back until its buffer is full, unless this field forbids that.
    out.extend_from_slice(b"Connection: close\r\nX-Accel-Buffering: no\r\n");
    if coding == Coding::Chunked {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends the head of a body whose length is not known yet; it ends with the connection (RFC 9112 section 6.3, rule 8).
pub fn push_open_ended_head(out: &mut Vec<u8>, content_type: &str) {
    push_status_line(out, 200);
    push_field(out, "Content-Type", content_type);
    out.extend_from_slice(b"Cache-Control: no-store\r\nConnection: close\r\n\r\n");
}

fn push_status_line(out: &mut Vec<u8>, status: u16) {
    out.extend_from_slice(b"HTTP/1.1 ");
    sse::push_decimal(out, status.into());
    out.push(b' ');
    out.extend_from_slice(reason(status).as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn push_cors(out: &mut Vec<u8>, cors: Cors<'_>) {
    match cors {
        Cors::None => {}
        Cors::Any => push_field(out, "Access-Control-Allow-Origin", "*"),
        Cors::Origin(origin) => {
            push_field(out, "Access-Control-Allow-Origin", origin);
            push_field(out, "Vary", "Origin");
        }
    }
}

fn push_field(out: &mut Vec<u8>, name: &str, value: &str) {
    for part in [name, ": ", value, "\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}

/// The reason phrase (RFC 9110 section 15, RFC 6585).
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        408 => "Request Timeout",
        414 => "URI Too Long",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(reply: Reply<'_>, is_head: bool, expected: &str) {
        let mut out = Vec::new();
        reply.write(&mut out, is_head);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn replies_are_exact() {
        check(Reply::empty(200), false, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        let xml = Reply { content_type: Some("application/xml"), cors: Cors::Any, body: b"<a/>", ..Reply::empty(200) };
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: 4\r\n\
            Access-Control-Allow-Origin: *\r\nConnection: close\r\n\r\n";
        check(xml, false, &format!("{head}<a/>"));
        check(xml, true, head);
        check(
            Reply { fields: "Retry-After: 60\r\n", ..Reply::empty(503) },
            false,
            "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 60\r\nConnection: close\r\n\r\n",
        );
        check(Reply::empty(204), false, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    }

    #[test]
    fn the_stream_head_keeps_its_order() {
        let head = |cors, coding| {
            let mut out = Vec::new();
            push_stream_head(&mut out, cors, coding);
            String::from_utf8(out).unwrap()
        };
        let expected = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store, no-transform\r\n\
            Access-Control-Allow-Origin: *\r\nConnection: close\r\nX-Accel-Buffering: no\r\n\r\n";
        assert_eq!(head(Cors::Any, Coding::Identity), expected);
        assert_eq!(
            head(Cors::Origin("https://a.example"), Coding::Chunked),
            expected
                .replace("Origin: *\r\n", "Origin: https://a.example\r\nVary: Origin\r\n")
                .replace("no\r\n\r\n", "no\r\nTransfer-Encoding: chunked\r\n\r\n")
        );
    }

    #[test]
    fn every_status_that_is_sent_has_a_reason() {
        for status in [200, 204, 400, 401, 403, 404, 408, 414, 429, 431, 503, 505] {
            assert!(!reason(status).is_empty(), "{status}");
        }
    }
}
