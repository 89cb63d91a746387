//! Response heads (RFC 9112 section 4), whole.
//!
//! Owns the bytes and the order of header fields of everything that the daemon answers. It does not decide what to answer.
//!
//! Invariant: every answer closes its connection, so what follows a request is never taken for another.

use super::date::push_date;
use super::http::find;
use super::sse;
use super::transfer::Coding;

/// The origins whose pages may read an answer (Fetch standard, section 3.2 "CORS protocol").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cors<'a> {
    /// No cross-origin page.
    None,
    /// Any page: `Access-Control-Allow-Origin: *`.
    Any,
    /// Pages of this origin only, with their cookies, too: a proxy in front may want one, for a login or to stick to a host.
    Origin(&'a str),
}

/// What a cache may do with an answer (RFC 9111 section 5.2.2). A cache gives one stored answer to all: an empty one
/// would end the `EventSource` of every page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caching {
    /// Nothing: it is of this moment.
    Never,
    /// Nothing, and a request with another `Accept`, `Origin` or `Last-Event-ID` has another answer.
    NeverAndVaried,
    /// It may serve for this many seconds, to clients and to those of others.
    Seconds(u64),
    /// It may serve for five minutes. A day would outlive an upgrade of the daemon. A request for an event stream at its
    /// path has another answer, and a file may be packed.
    Briefly,
    /// It may serve for ever (RFC 8246): what is at this address will not change.
    Forever,
}

/// No browser may take a body for something else than it says (Fetch standard, section 3.6).
const NO_SNIFFING: &[u8] = b"X-Content-Type-Options: nosniff\r\n";

/// What an answer of the audience port depends on beside the target.
const VARY: &[u8] = b"Vary: Accept, Origin, Last-Event-ID\r\n";

macro_rules! farewell_fields {
    ($why:literal) => {
        concat!("Audience-Meter-Farewell: ", $why, "\r\nAccess-Control-Expose-Headers: Audience-Meter-Farewell\r\n")
    };
}

macro_rules! retry_after_fields {
    ($seconds:literal) => {
        concat!("Retry-After: ", $seconds, "\r\nAccess-Control-Expose-Headers: Retry-After\r\n")
    };
}

/// An answer that is not an event stream.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// Status code.
    pub status: u16,
    /// Media type of the body, if it has one.
    pub content_type: Option<&'static str>,
    /// What a cache may do with it.
    pub caching: Caching,
    /// Further header lines, each ended by CRLF.
    pub fields: &'a str,
    /// The origins whose pages may read it.
    pub cors: Cors<'a>,
    /// The body.
    pub body: &'a [u8],
}

/// What has a client send its body that waits for that (RFC 9110 section 15.2.1). It is no answer: that follows.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Why a stream is not to come back, of the two that there are; its page may read it. A status alone may be a proxy's.
pub const CLAIMED_FIELDS: &str = farewell_fields!("claimed");

/// The page has said itself that it leaves.
pub const LEFT_FIELDS: &str = farewell_fields!("left");

/// When to come back; a page may read it.
pub const RETRY_IN_1_S: &str = retry_after_fields!("1");

/// The same of an audience that has no room.
pub const RETRY_IN_60_S: &str = retry_after_fields!("60");

/// `OPTIONS` is answered with what a page may do: everything that the daemon understands.
pub const PREFLIGHT_FIELDS: &str = "Access-Control-Allow-Methods: GET, HEAD, POST, DELETE, OPTIONS\r\n\
    Access-Control-Allow-Headers: Accept, Cache-Control, Content-Type, Last-Event-ID\r\n\
    Access-Control-Max-Age: 86400\r\n";

impl Reply<'_> {
    /// An answer without body, for no cache.
    #[must_use]
    pub fn empty(status: u16) -> Self {
        Self { status, content_type: None, caching: Caching::Never, fields: "", cors: Cors::None, body: &[] }
    }

    /// Appends the answer; to `HEAD`, without its body.
    pub fn write(&self, out: &mut Vec<u8>, is_head: bool) {
        push_status_line(out, self.status);
        if let Some(content_type) = self.content_type {
            push_field(out, "Content-Type", content_type);
            out.extend_from_slice(NO_SNIFFING);
        }
        // RFC 9110 section 8.6: a 204 has no Content-Length, and a 304 that of the file or none.
        if !matches!(self.status, 204 | 304) {
            out.extend_from_slice(b"Content-Length: ");
            sse::push_decimal(out, self.body.len() as u64);
            out.extend_from_slice(b"\r\n");
        }
        push_cors(out, self.cors);
        push_caching(out, self.caching, self.cors);
        out.extend_from_slice(self.fields.as_bytes());
        out.extend_from_slice(b"Connection: close\r\n\r\n");
        if !is_head {
            out.extend_from_slice(self.body);
        }
    }
}

/// Appends the head of an event stream, in the order of the 2011 daemon. Nothing on the way may keep it, or change it.
pub fn push_stream_head(out: &mut Vec<u8>, cors: Cors<'_>, coding: Coding) {
    out.extend_from_slice(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store, no-transform\r\n",
    );
    push_cors(out, cors);
    // nginx holds a stream back until its buffer is full, unless this field forbids that.
    out.extend_from_slice(b"Connection: close\r\nX-Accel-Buffering: no\r\n");
    out.extend_from_slice(VARY);
    if coding == Coding::Chunked {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends the head of a body whose length is not known yet; it ends with the connection (RFC 9112 section 6.3, rule 8).
pub fn push_open_ended_head(out: &mut Vec<u8>, content_type: &str) {
    push_status_line(out, 200);
    push_field(out, "Content-Type", content_type);
    out.extend_from_slice(NO_SNIFFING);
    push_caching(out, Caching::Never, Cors::None);
    out.extend_from_slice(b"Connection: close\r\n\r\n");
}

/// The field that says when an answer was made (RFC 9110 section 6.6.1). Its text is written once in a second.
#[derive(Debug, Default)]
pub struct DateField {
    unix_s: Option<u64>,
    /// With the line end before it.
    line: Vec<u8>,
}

impl DateField {
    /// Puts the date into an answer of this second, behind the other fields of its head. What has no head has no date.
    pub fn insert(&mut self, out: &mut Vec<u8>, unix_s: u64) {
        let Some(end) = head_end(out) else { return };
        if self.unix_s.replace(unix_s) != Some(unix_s) {
            self.line.clear();
            self.line.extend_from_slice(b"\r\nDate: ");
            push_date(&mut self.line, unix_s);
        }
        out.extend_from_slice(&self.line);
        if let Some(rest) = out.get_mut(end..) {
            rest.rotate_right(self.line.len());
        }
    }
}

/// Where the last line end of a head is, before the empty line.
fn head_end(out: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + find(out.get(from..)?, b'\r')?;
        if let [b'\r', b'\n', b'\r', b'\n', ..] = out.get(at..)? {
            return Some(at);
        }
        from = at + 1;
    }
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
            push_field(out, "Access-Control-Allow-Credentials", "true");
        }
    }
}

fn push_caching(out: &mut Vec<u8>, caching: Caching, cors: Cors<'_>) {
    match caching {
        Caching::Seconds(seconds) => {
            out.extend_from_slice(b"Cache-Control: public, max-age=");
            sse::push_decimal(out, seconds);
            out.extend_from_slice(b"\r\n");
            if cors != Cors::Any {
                push_field(out, "Vary", "Origin");
            }
        }
        Caching::Never => push_field(out, "Cache-Control", "no-store"),
        Caching::NeverAndVaried => {
            push_field(out, "Cache-Control", "no-store");
            out.extend_from_slice(VARY);
        }
        Caching::Briefly | Caching::Forever => {
            let is_brief = caching == Caching::Briefly;
            let directives = if is_brief { "max-age=300" } else { "public, max-age=31536000, immutable" };
            push_field(out, "Cache-Control", directives);
            push_field(out, "Vary", "Accept, Accept-Encoding");
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
        304 => "Not Modified",
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
        const EMPTY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nCache-Control: no-store\r\n";
        check(Reply::empty(200), false, &format!("{EMPTY}Connection: close\r\n\r\n"));
        check(
            Reply { caching: Caching::NeverAndVaried, ..Reply::empty(200) },
            false,
            &format!("{EMPTY}Vary: Accept, Origin, Last-Event-ID\r\nConnection: close\r\n\r\n"),
        );
        let (content_type, cors, caching) = (Some("application/xml"), Cors::Any, Caching::Briefly);
        let xml = Reply { content_type, cors, caching, body: b"<a/>", ..Reply::empty(200) };
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nX-Content-Type-Options: nosniff\r\n\
            Content-Length: 4\r\nAccess-Control-Allow-Origin: *\r\nCache-Control: max-age=300\r\nVary: Accept, Accept-Encoding\r\n\
            Connection: close\r\n\r\n";
        check(xml, false, &format!("{head}<a/>"));
        check(xml, true, head);
        check(
            Reply { fields: "Retry-After: 60\r\n", ..Reply::empty(503) },
            false,
            "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nCache-Control: no-store\r\nRetry-After: 60\r\n\
                Connection: close\r\n\r\n",
        );
        let brief = Reply { caching: Caching::Seconds(3), cors: Cors::Any, ..Reply::empty(200) };
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n";
        let end = "Cache-Control: public, max-age=3\r\nConnection: close\r\n\r\n";
        check(brief, false, &format!("{head}Access-Control-Allow-Origin: *\r\n{end}"));
        let end = end.replace("Connection", "Vary: Origin\r\nConnection");
        check(Reply { cors: Cors::None, ..brief }, false, &format!("{head}{end}"));
        check(
            Reply::empty(204),
            false,
            "HTTP/1.1 204 No Content\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n",
        );
    }

    #[test]
    fn the_date_is_put_behind_the_other_fields() {
        let mut out = Vec::new();
        Reply { body: b"a\r\n\r\n", ..Reply::empty(200) }.write(&mut out, false);
        let without = String::from_utf8(out.clone()).unwrap();
        let mut field = DateField::default();
        field.insert(&mut out, 784_111_777);
        let date = "close\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), without.replace("close\r\n", date));
        let mut later = without.clone().into_bytes();
        field.insert(&mut later, 784_111_778);
        assert_eq!(String::from_utf8(later).unwrap(), without.replace("close\r\n", &date.replace(":37", ":38")));
        let mut none = Vec::new();
        field.insert(&mut none, 784_111_778);
        assert!(none.is_empty(), "what has no head has no date");
    }

    #[test]
    fn the_stream_head_keeps_its_order() {
        let head = |cors, coding| {
            let mut out = Vec::new();
            push_stream_head(&mut out, cors, coding);
            String::from_utf8(out).unwrap()
        };
        let expected = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store, no-transform\r\n\
            Access-Control-Allow-Origin: *\r\nConnection: close\r\nX-Accel-Buffering: no\r\n\
            Vary: Accept, Origin, Last-Event-ID\r\n\r\n";
        assert_eq!(head(Cors::Any, Coding::Identity), expected);
        assert_eq!(
            head(Cors::Origin("https://a.example"), Coding::Chunked),
            expected
                .replace("Origin: *\r\n", "Origin: https://a.example\r\nAccess-Control-Allow-Credentials: true\r\n")
                .replace("ID\r\n\r\n", "ID\r\nTransfer-Encoding: chunked\r\n\r\n")
        );
    }

    #[test]
    fn every_status_that_is_sent_has_a_reason() {
        for status in [200, 204, 304, 400, 401, 403, 404, 408, 414, 429, 431, 503, 505] {
            assert!(!reason(status).is_empty(), "{status}");
        }
    }
}
