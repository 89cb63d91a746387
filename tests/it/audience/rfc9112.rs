//! What is no HTTP/1.1 request, and what is one however odd it looks: a table of rows written from RFC 9112 (messages) and
//! RFC 9110 (semantics), each with the section that it comes from.
//!
//! Every row is sent to the audience port; those that are refused to every other port as well, for the same parser is behind
//! all of them. Whatever a row is, there is one answer to it, the connection ends with it, what follows is never answered,
//! and nobody is counted by a request that was refused. Where the daemon does on purpose what the standard leaves open, or
//! only recommends otherwise, the row says why.

use std::io::Write as _;
use std::net::{Shutdown, SocketAddr};
use std::thread;

use audience_kit::{
    Daemon, Reply, SOON, Stream, connect, exchange, join_request, lossy, ms, now, read_to_end, wait_for, wait_until,
};

// ---------------------------------------------------------------------------------------------
// The table
// ---------------------------------------------------------------------------------------------

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// A refusal with this status.
    Refused(u16),
    /// A member of this namespace.
    Joins(&'static str),
    /// `200`, empty.
    Empty,
    /// `204`, what a page may do.
    NoContent,
    /// Its head has no end: `408` once `--head-timeout` is over.
    Late,
}

use Outcome::{Empty, Joins, Late, NoContent, Refused};

/// The sections, what is sent, what becomes of it.
type Row = (&'static str, &'static [u8], Outcome);

/// What a request line is put before: it would join.
const AFTER_LINE: &[u8] = b"\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n";

/// What a field line is put after: it would join.
const BEFORE_FIELD: &[u8] = b"POST /x HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n";

/// Request lines.
const LINES: &[Row] = &[
    // request-line = method SP request-target SP HTTP-version
    ("9112 3", b"GET /x HTTP/1.1", Joins("x")),
    ("9112 3", b"GET /x", Refused(400)),
    ("9112 3", b"GET", Refused(400)),
    ("9112 3", b"GET ", Refused(400)),
    ("9112 3", b"GET /x ", Refused(400)),
    ("9112 3", b"GET HTTP/1.1", Refused(400)),
    ("9112 3", b"/x HTTP/1.1", Refused(400)),
    // More than one SP, other white space and what is around it MAY be taken for one SP; another reader may not.
    ("9112 3", b" GET /x HTTP/1.1", Refused(400)),
    ("9112 3", b"GET  /x HTTP/1.1", Refused(400)),
    ("9112 3", b"GET /x  HTTP/1.1", Refused(400)),
    ("9112 3", b"GET /x HTTP/1.1 ", Refused(400)),
    ("9112 3", b"GET\t/x HTTP/1.1", Refused(400)),
    ("9112 3", b"GET /x\tHTTP/1.1", Refused(400)),
    ("9112 3", b"GET\x0b/x HTTP/1.1", Refused(400)),
    ("9112 3", b"GET /x\x0cHTTP/1.1", Refused(400)),
    ("9112 3", b"GET /x HTTP/1.1\r", Refused(400)),
    ("9112 3", b"GET /x HTTP/1.1 x", Refused(400)),
    ("9112 3.2", b"GET /x y HTTP/1.1", Refused(400)),
    // method = token. An unknown one SHOULD be answered 501: here any method joins, as it did in 2011.
    ("9112 3.1", b"BREW /x HTTP/1.1", Joins("x")),
    ("9112 3.1", b"!#$%&'*+-.^_`|~09 /x HTTP/1.1", Joins("x")),
    ("9112 3.1", b"G(T /x HTTP/1.1", Refused(400)),
    ("9112 3.1", b"GET: /x HTTP/1.1", Refused(400)),
    ("9112 3.1", b"\"GET\" /x HTTP/1.1", Refused(400)),
    ("9112 3.1", b"G\xc3\x89T /x HTTP/1.1", Refused(400)),
    ("9112 3.1", b"G\0T /x HTTP/1.1", Refused(400)),
    ("9112 3.1", b"\xef\xbb\xbfGET /x HTTP/1.1", Refused(400)),
    // Methods are case-sensitive: these are neither OPTIONS nor HEAD nor CONNECT, but methods like any.
    ("9110 9.1", b"get /x HTTP/1.1", Joins("x")),
    ("9110 9.1", b"options /x HTTP/1.1", Joins("x")),
    ("9110 9.1", b"head /x HTTP/1.1", Joins("x")),
    ("9110 9.1", b"connect /x HTTP/1.1", Joins("x")),
    // origin-form = absolute-path [ "?" query ]
    ("9112 3.2.1", b"GET /x?y=/z HTTP/1.1", Joins("x")),
    ("9112 3.2.1", b"GET /x? HTTP/1.1", Joins("x")),
    ("9112 3.2.1", b"GET / HTTP/1.1", Empty),
    ("9112 3.2.1", b"GET x HTTP/1.1", Refused(400)),
    ("9112 3.2.1", b"GET ?x HTTP/1.1", Refused(400)),
    ("9112 3.2.1", b"GET ../x HTTP/1.1", Refused(400)),
    ("9112 3.2.1", b"GET \\x HTTP/1.1", Refused(400)),
    // No URI has these. Names are kept as they were sent, as in 2011, and visible ASCII cannot split a line.
    ("9112 3.2", b"GET /x#y HTTP/1.1", Joins("x#y")),
    ("9112 3.2", b"GET /\"<>\\^`{|} HTTP/1.1", Joins("\"<>\\^`{|}")),
    ("9112 3.2", b"GET /%zz HTTP/1.1", Joins("%zz")),
    ("9112 3.2", b"GET /x\0 HTTP/1.1", Refused(400)),
    ("9112 3.2", b"GET /x\x01 HTTP/1.1", Refused(400)),
    ("9112 3.2", b"GET /x?q\x1f HTTP/1.1", Refused(400)),
    ("9112 3.2", b"GET /x\x7f HTTP/1.1", Refused(400)),
    ("9112 3.2", b"GET /x\x80 HTTP/1.1", Refused(400)),
    ("9112 3.2", b"GET /caf\xc3\xa9 HTTP/1.1", Refused(400)),
    ("9112 3.2", b"GET /x\ty HTTP/1.1", Refused(400)),
    ("9112 2.2", b"GET /x\ry HTTP/1.1", Refused(400)),
    ("9112 2.2", b"GET /x\ny HTTP/1.1", Refused(400)),
    // absolute-form MUST be accepted; its host counts, and has to be one.
    ("9112 3.2.2", b"GET http://h/x HTTP/1.1", Joins("x")),
    ("9112 3.2.2", b"GET http://other/x?y HTTP/1.1", Joins("x")),
    ("9112 3.2.2", b"GET HTTP://[::1]:80/x HTTP/1.1", Joins("x")),
    ("9112 3.2.2", b"GET http://h HTTP/1.1", Empty),
    ("9112 3.2.2", b"GET http://h?/x HTTP/1.1", Empty),
    ("9110 4.2.1", b"GET http:///x HTTP/1.1", Refused(400)),
    ("9110 4.2.1", b"GET http://:80/x HTTP/1.1", Refused(400)),
    ("9110 4.2.4", b"GET http://user@h/x HTTP/1.1", Refused(400)),
    ("9110 4.2.4", b"GET http://user:password@h/x HTTP/1.1", Refused(400)),
    ("9112 3.2.2", b"GET http://h:port/x HTTP/1.1", Refused(400)),
    ("9112 3.2.2", b"GET http://[::1/x HTTP/1.1", Refused(400)),
    ("9112 3.2.2", b"GET http:/x HTTP/1.1", Refused(400)),
    ("9112 3.2.2", b"GET ://h/x HTTP/1.1", Refused(400)),
    ("9112 3.2.2", b"GET 1http://h/x HTTP/1.1", Refused(400)),
    // MUST be refused unless it comes from a gateway that had it over TLS. Such a gateway is what it comes from, if anything.
    ("9110 7.4", b"GET https://h/x HTTP/1.1", Joins("x")),
    // authority-form is for CONNECT alone, which is for proxies alone.
    ("9112 3.2.3", b"CONNECT h:80 HTTP/1.1", Refused(400)),
    ("9112 3.2.3", b"CONNECT [::1]:80 HTTP/1.1", Refused(400)),
    ("9112 3.2.3", b"CONNECT /x HTTP/1.1", Refused(400)),
    ("9112 3.2.3", b"CONNECT http://h/x HTTP/1.1", Refused(400)),
    ("9112 3.2.3", b"GET h:80 HTTP/1.1", Refused(400)),
    ("9112 3.2.3", b"GET h.example HTTP/1.1", Refused(400)),
    // asterisk-form is for OPTIONS alone.
    ("9112 3.2.4", b"OPTIONS * HTTP/1.1", NoContent),
    ("9112 3.2.4", b"OPTIONS /x HTTP/1.1", NoContent),
    ("9112 3.2.4", b"OPTIONS ** HTTP/1.1", Refused(400)),
    ("9112 3.2.4", b"OPTIONS *?x HTTP/1.1", Refused(400)),
    ("9112 3.2.4", b"GET * HTTP/1.1", Refused(400)),
    ("9112 3.2.4", b"options * HTTP/1.1", Refused(400)),
    // HTTP-version = "HTTP/" DIGIT "." DIGIT, case-sensitive.
    ("9112 2.3", b"GET /x HTTP/1.0", Joins("x")),
    ("9112 2.3", b"GET /x HTTP/1", Refused(400)),
    ("9112 2.3", b"GET /x HTTP/1.", Refused(400)),
    ("9112 2.3", b"GET /x HTTP/.1", Refused(400)),
    ("9112 2.3", b"GET /x HTTP/11", Refused(400)),
    ("9112 2.3", b"GET /x HTTP/1.10", Refused(400)),
    ("9112 2.3", b"GET /x HTTP/01.1", Refused(400)),
    ("9112 2.3", b"GET /x HTTP/1,1", Refused(400)),
    ("9112 2.3", b"GET /x HTTP/-1.1", Refused(400)),
    ("9112 2.3", b"GET /x HTTP/a.b", Refused(400)),
    ("9112 2.3", b"GET /x HTTP 1.1", Refused(400)),
    ("9112 2.3", b"GET /x http/1.1", Refused(400)),
    ("9112 2.3", b"GET /x Http/1.1", Refused(400)),
    ("9112 2.3", b"GET /x HTTPS/1.1", Refused(400)),
    ("9112 2.3", b"GET /x HTTQ/1.1", Refused(400)),
    ("9112 2.3", b"GET /x RTSP/1.0", Refused(400)),
    ("9112 2.3", b"GET /x /1.1", Refused(400)),
    ("9112 2.3", b"GET /x \xe2\x91\xa0.1", Refused(400)),
    ("9110 15.6.6", b"GET /x HTTP/0.9", Refused(505)),
    ("9110 15.6.6", b"GET /x HTTP/2.0", Refused(505)),
    ("9110 15.6.6", b"GET /x HTTP/3.0", Refused(505)),
    ("9110 15.6.6", b"GET /x HTTP/9.9", Refused(505)),
    // SHOULD be read as 1.1. There is no such version and will be none, and proxies differ about it.
    ("9110 2.5", b"GET /x HTTP/1.2", Refused(505)),
];

/// Field lines.
const FIELDS: &[Row] = &[
    // field-line = field-name ":" OWS field-value OWS
    ("9112 5", b"X: value", Joins("x")),
    ("9112 5", b"X:", Joins("x")),
    ("9112 5", b"X:value", Joins("x")),
    ("9112 5", b"X:\t value \t", Joins("x")),
    ("9112 5", b"X: :", Joins("x")),
    ("9112 5", b"X", Refused(400)),
    ("9112 5", b"X value", Refused(400)),
    ("9112 5", b": value", Refused(400)),
    ("9112 5", b":", Refused(400)),
    // White space before the colon MUST be refused.
    ("9112 5.1", b"X : value", Refused(400)),
    ("9112 5.1", b"X\t: value", Refused(400)),
    ("9112 5.1", b"Content-Length : 0", Refused(400)),
    ("9112 5.1", b"Transfer-Encoding : chunked", Refused(400)),
    // field-name = token
    ("9110 5.1", b"!#$%&'*+-.^_`|~09: value", Joins("x")),
    ("9110 5.1", b"X y: value", Refused(400)),
    ("9110 5.1", b"X(y): value", Refused(400)),
    ("9110 5.1", b"X\0: value", Refused(400)),
    ("9110 5.1", b"X\x7f: value", Refused(400)),
    ("9110 5.1", b"X\xc3\xa9: value", Refused(400)),
    ("9110 5.1", b"X\r: value", Refused(400)),
    // field-value: visible, obs-text, SP and HTAB. CR, LF and NUL MUST NOT be let through; nor are other controls.
    ("9110 5.5", b"X: \xc3\xa9\xff", Joins("x")),
    ("9110 5.5", b"X: a\tb", Joins("x")),
    ("9110 5.5", b"X: a\0b", Refused(400)),
    ("9110 5.5", b"X: a\x01b", Refused(400)),
    ("9110 5.5", b"X: a\x7fb", Refused(400)),
    ("9112 2.2", b"X: a\rb", Refused(400)),
    ("9112 2.2", b"X: a\r", Refused(400)),
    ("9112 2.2", b"X: a\r\r\nY: b", Refused(400)),
    ("9112 2.2", b"X: a\rHost: h", Refused(400)),
    ("9112 2.2", b"X: a\nb", Refused(400)),
    // A line MAY end in LF alone. One reader takes it for an end and another for a byte, so it is none here.
    ("9112 2.2", b"X: a\nY: b", Refused(400)),
    // obs-fold, not in a message/http body: refused or replaced by SP.
    ("9112 5.2", b"X: a\r\n folded", Refused(400)),
    ("9112 5.2", b"X: a\r\n\tfolded", Refused(400)),
    ("9112 5.2", b"X:\r\n a", Refused(400)),
    ("9112 5.2", b"X: a\r\n ", Refused(400)),
    ("9112 5.2", b"Transfer-Encoding:\r\n chunked", Refused(400)),
    // Another Host beside the one that is there.
    ("9112 3.2", b"Host: h", Refused(400)),
    ("9112 3.2", b"Host: other", Refused(400)),
    ("9112 3.2", b"hOST:", Refused(400)),
    // Content-Length = 1*DIGIT
    ("9112 6.2", b"Content-Length: 0", Joins("x")),
    ("9112 6.2", b"Content-Length: 18446744073709551615", Joins("x")),
    ("9112 6.3", b"Content-Length: 18446744073709551616", Refused(400)),
    ("9112 6.3", b"Content-Length: 99999999999999999999999999", Refused(400)),
    ("9112 6.3", b"Content-Length:", Refused(400)),
    ("9112 6.3", b"Content-Length: -1", Refused(400)),
    ("9112 6.3", b"Content-Length: +1", Refused(400)),
    ("9112 6.3", b"Content-Length: 0x1", Refused(400)),
    ("9112 6.3", b"Content-Length: 1.0", Refused(400)),
    ("9112 6.3", b"Content-Length: 1e1", Refused(400)),
    ("9112 6.3", b"Content-Length: 1_0", Refused(400)),
    ("9112 6.3", b"Content-Length: 1 1", Refused(400)),
    ("9112 6.3", b"Content-Length: \"1\"", Refused(400)),
    ("9112 6.3", b"Content-Length: 1;", Refused(400)),
    ("9112 6.3", b"Content-Length: one", Refused(400)),
    ("9112 6.3", b"Content-Length: \xd9\xa1", Refused(400)),
    // Several that are the same MAY be taken for one; others MUST be refused.
    ("9110 8.6", b"Content-Length: 4, 4", Joins("x")),
    ("9110 8.6", b"Content-Length: 4\r\nContent-Length: 4", Joins("x")),
    ("9112 6.3", b"Content-Length: 4\r\nContent-Length: 5", Refused(400)),
    ("9112 6.3", b"Content-Length: 4, 5", Refused(400)),
    ("9112 6.3", b"content-length: 0\r\nCONTENT-LENGTH: 4", Refused(400)),
    // An empty element of a list is to be ignored. This is no list where others do not take it for one.
    ("9110 5.6.1.2", b"Content-Length: 4,", Refused(400)),
    ("9110 5.6.1.2", b"Content-Length: ,4", Refused(400)),
    // A body that is not told to end in `chunked` has no end: MUST be 400.
    ("9112 7.1", b"Transfer-Encoding: chunked", Joins("x")),
    ("9112 7", b"Transfer-Encoding: CHUNKED", Joins("x")),
    ("9112 6.3", b"Transfer-Encoding: gzip", Refused(400)),
    ("9112 6.3", b"Transfer-Encoding: chunked, gzip", Refused(400)),
    ("9112 6.3", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip", Refused(400)),
    ("9112 6.3", b"Transfer-Encoding:", Refused(400)),
    ("9112 6.3", b"Transfer-Encoding: identity", Refused(400)),
    ("9112 6.3", b"Transfer-Encoding: xchunked", Refused(400)),
    ("9112 6.3", b"Transfer-Encoding: chunkedx", Refused(400)),
    ("9112 6.3", b"Transfer-Encoding: chunked x", Refused(400)),
    ("9112 6.3", b"Transfer-Encoding: \"chunked\"", Refused(400)),
    ("9112 6.3", b"Transfer-Encoding: \x0bchunked", Refused(400)),
    ("9112 6.3", b"Transfer-Encoding: chunked;q=1", Refused(400)),
    // MUST NOT be applied twice.
    ("9112 6.1", b"Transfer-Encoding: chunked, chunked", Refused(400)),
    ("9112 6.1", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", Refused(400)),
    // A coding that is unknown SHOULD be answered 501. No body is read here, so no coding has to be known.
    ("9112 6.1", b"Transfer-Encoding: gzip, chunked", Joins("x")),
    ("9110 5.6.1.2", b"Transfer-Encoding: chunked,", Refused(400)),
    // Both: MAY be refused, and is what smuggling is made of.
    ("9112 6.1", b"Transfer-Encoding: chunked\r\nContent-Length: 4", Refused(400)),
    ("9112 6.1", b"Content-Length: 4\r\nTransfer-Encoding: chunked", Refused(400)),
    ("9112 6.1", b"Content-Length: 0\r\nTransfer-Encoding: chunked", Refused(400)),
    ("9112 6.1", b"content-length: 4\r\ntransfer-encoding: gzip, chunked", Refused(400)),
    // What is asked for and never done: nothing of it has to be, and the connection ends in any case.
    ("9112 9.3", b"Connection: keep-alive", Joins("x")),
    ("9110 7.8", b"Connection: Upgrade\r\nUpgrade: h2c, websocket", Joins("x")),
    ("9110 10.1.1", b"Content-Length: 5\r\nExpect: 100-continue", Joins("x")),
    ("9110 10.1.4", b"TE: trailers", Joins("x")),
];

/// Whole heads.
const HEADS: &[Row] = &[
    // A request of HTTP/1.1 has one Host, and it is a host.
    ("9112 3.2", b"GET /x HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n", Joins("x")),
    ("9112 3.2", b"GET /x HTTP/1.1\r\nhOsT:h\r\naCCEPT:text/event-stream\r\n\r\n", Joins("x")),
    ("9112 3.2", b"GET /x HTTP/1.1\r\nHost:\r\nAccept: text/event-stream\r\n\r\n", Joins("x")),
    ("9112 3.2", b"GET /x HTTP/1.1\r\nHost: [::1]:80\r\nAccept: text/event-stream\r\n\r\n", Joins("x")),
    ("9112 3.2", b"GET /x HTTP/1.1\r\nHost: a%20b:\r\nAccept: text/event-stream\r\n\r\n", Joins("x")),
    ("9112 3.2", b"GET /x HTTP/1.1\r\nAccept: text/event-stream\r\n\r\n", Refused(400)),
    ("9112 3.2", b"GET /x HTTP/1.1\r\n\r\n", Refused(400)),
    ("9112 3.2.2", b"GET http://h/x HTTP/1.1\r\nAccept: text/event-stream\r\n\r\n", Refused(400)),
    ("9112 3.2", b"GET /x HTTP/1.1\r\nHost: a b\r\n\r\n", Refused(400)),
    ("9112 3.2", b"GET /x HTTP/1.1\r\nHost: a, b\r\n\r\n", Refused(400)),
    ("9112 3.2", b"GET /x HTTP/1.1\r\nHost: a/b\r\n\r\n", Refused(400)),
    ("9112 3.2", b"GET /x HTTP/1.1\r\nHost: a?b\r\n\r\n", Refused(400)),
    ("9112 3.2", b"GET /x HTTP/1.1\r\nHost: a#b\r\n\r\n", Refused(400)),
    ("9112 3.2", b"GET /x HTTP/1.1\r\nHost: a@b\r\n\r\n", Refused(400)),
    ("9112 3.2", b"GET /x HTTP/1.1\r\nHost: a\"b\r\n\r\n", Refused(400)),
    ("9112 3.2", b"GET /x HTTP/1.1\r\nHost: http://h\r\n\r\n", Refused(400)),
    ("9112 3.2", b"GET /x HTTP/1.1\r\nHost: h:port\r\n\r\n", Refused(400)),
    ("9112 3.2", b"GET /x HTTP/1.1\r\nHost: h:80:80\r\n\r\n", Refused(400)),
    ("9112 3.2", b"GET /x HTTP/1.1\r\nHost: h:-1\r\n\r\n", Refused(400)),
    ("9112 3.2", b"GET /x HTTP/1.1\r\nHost: ::1\r\n\r\n", Refused(400)),
    ("9112 3.2", b"GET /x HTTP/1.1\r\nHost: [::1\r\n\r\n", Refused(400)),
    ("9112 3.2", b"GET /x HTTP/1.1\r\nHost: []\r\n\r\n", Refused(400)),
    ("9112 3.2", b"GET /x HTTP/1.1\r\nHost: [h]\r\n\r\n", Refused(400)),
    ("9112 3.2", b"GET /x HTTP/1.1\r\nHost: a%zz\r\n\r\n", Refused(400)),
    ("9112 3.2", b"GET /x HTTP/1.1\r\nHost: \xc3\xa9\r\n\r\n", Refused(400)),
    // HTTP/1.0 needs none. One that is there is judged alike.
    ("9112 3.2", b"GET /x HTTP/1.0\r\nAccept: text/event-stream\r\n\r\n", Joins("x")),
    ("9112 3.2", b"GET /x HTTP/1.0\r\nHost: a b\r\n\r\n", Refused(400)),
    ("9112 3.2", b"GET /x HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", Refused(400)),
    ("9112 3.2", b"GET / HTTP/1.0\r\n\r\n", Empty),
    // HTTP/1.0 has no transfer codings: the framing is faulty.
    ("9112 6.1", b"POST /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", Refused(400)),
    // At least one empty line before the request line SHOULD be ignored.
    ("9112 2.2", b"\r\nGET /x HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n", Joins("x")),
    ("9112 2.2", b"\r\n\r\n\r\nGET /x HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n", Joins("x")),
    ("9112 2.2", b"\nGET /x HTTP/1.1\r\nHost: h\r\n\r\n", Refused(400)),
    ("9112 2.2", b"\rGET /x HTTP/1.1\r\nHost: h\r\n\r\n", Refused(400)),
    ("9112 2.2", b"\r\rGET /x HTTP/1.1\r\nHost: h\r\n\r\n", Refused(400)),
    ("9112 2.2", b" \r\nGET /x HTTP/1.1\r\nHost: h\r\n\r\n", Refused(400)),
    ("9112 2.2", b"\0GET /x HTTP/1.1\r\nHost: h\r\n\r\n", Refused(400)),
    // White space between the request line and the first field MUST be refused, or taken out with its line.
    ("9112 2.2", b"GET /x HTTP/1.1\r\n Host: h\r\n\r\n", Refused(400)),
    ("9112 2.2", b"GET /x HTTP/1.1\r\n \r\nHost: h\r\n\r\n", Refused(400)),
    ("9112 2.2", b"GET /x HTTP/1.1\r\n\tX: y\r\nHost: h\r\n\r\n", Refused(400)),
    // Lines that end otherwise.
    ("9112 2.2", b"GET /x HTTP/1.1\nHost: h\nAccept: text/event-stream\n\n", Refused(400)),
    ("9112 2.2", b"GET /x HTTP/1.1\nHost: h\r\n\r\n", Refused(400)),
    ("9112 2.2", b"GET /x HTTP/1.1\r\nHost: h\n\r\n", Refused(400)),
    ("9112 2.2", b"GET /x HTTP/1.1\r\nHost: h\r\n\n", Refused(400)),
    ("9112 2.2", b"GET /x HTTP/1.1\rHost: h\r\r\n\r\n", Refused(400)),
    ("9112 2.2", b"GET /x HTTP/1.1\r\nHost: h\r\n\r\r\n\r\n", Refused(400)),
    // What is not HTTP/1 at all. A TLS client's first record has its line feeds, if any, anywhere.
    ("1945 4.1, HTTP/0.9", b"GET /x\r\n\r\n", Refused(400)),
    ("1945 4.1, HTTP/0.9", b"GET /x\n", Refused(400)),
    ("9113 3.4, HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Refused(505)),
    ("8446 4.1.2, TLS", b"\x16\x03\x01\x00\x08\x01\x00\x00\x04\x03\x03\n\x00", Refused(400)),
    ("8446 4.1.2, TLS", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03 a TLS client\r\n\r\n", Refused(400)),
    ("4253 4.2, SSH", b"SSH-2.0-OpenSSH_9.2\r\n", Late),
    ("5321 4.1.1.1, SMTP", b"EHLO h\r\nMAIL FROM:<a@b>\r\n\r\n", Refused(400)),
    ("2326 6.1, RTSP", b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n", Refused(400)),
    ("PROXY protocol", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", Refused(400)),
    // Heads without an end.
    ("9110 15.5.9", b"", Late),
    ("9110 15.5.9", b"\r\n", Late),
    ("9110 15.5.9", b"GET", Late),
    ("9110 15.5.9", b"GET /x HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n", Late),
    ("9110 15.5.9", b"GET /x HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n\r", Late),
    ("1945 4.1, HTTP/0.9", b"GET /x\r\n", Late),
    ("8446 4.1.2, TLS", b"\x16\x03\x01\x00\x08\x01\x00\x00\x04\x03\x03\x00\x00", Late),
];

/// A row as it is sent.
struct Request {
    section: &'static str,
    bytes: Vec<u8>,
    outcome: Outcome,
}

/// All rows.
fn table() -> Vec<Request> {
    let line = |bytes: &[u8]| [bytes, AFTER_LINE].concat();
    let field = |bytes: &[u8]| [BEFORE_FIELD, bytes, b"\r\n\r\n"].concat();
    let of = |rows: &[Row], whole: &dyn Fn(&[u8]) -> Vec<u8>| -> Vec<Request> {
        rows.iter().map(|&(section, bytes, outcome)| Request { section, bytes: whole(bytes), outcome }).collect()
    };
    [of(LINES, &line), of(FIELDS, &field), of(HEADS, &<[u8]>::to_vec)].into_iter().flatten().collect()
}

impl Request {
    fn is_refused(&self) -> bool {
        matches!(self.outcome, Refused(_))
    }

    fn is_late(&self) -> bool {
        self.outcome == Late
    }

    /// The same with more behind it.
    fn followed_by(&self, more: &str) -> Self {
        Self { bytes: [&self.bytes, more.as_bytes()].concat(), ..*self }
    }

    /// What a failure says of it.
    fn name(&self) -> String {
        format!("{:?} (RFC {})", lossy(&self.bytes), self.section)
    }

    /// Fails unless this is all that such a request is answered with, at the end of a connection.
    #[track_caller]
    fn check(&self, answer: &[u8]) {
        let reply = Reply::parse(answer);
        let expected = match self.outcome {
            Refused(status) => status,
            NoContent => 204,
            Late => 408,
            Empty | Joins(_) => 200,
        };
        assert_eq!(reply.status, expected, "{}: {reply:?}", self.name());
        assert_eq!(reply.header("Connection"), Some("close"), "{}: {reply:?}", self.name());
        // One answer, whatever followed the request; and it is whole.
        let length = reply.header("Content-Length").map_or(0, |length| length.parse().unwrap());
        assert_eq!(reply.body.len(), length, "{}: {reply:?}", self.name());
        if self.outcome == Empty {
            reply.expect_empty();
        }
    }

    /// Sends it to the audience port, and fails unless it becomes what it should.
    #[track_caller]
    fn send(&self, daemon: &Daemon) {
        let Joins(namespace) = self.outcome else {
            let mut socket = connect(daemon.audience());
            socket.write_all(&self.bytes).unwrap();
            return self.check(&read_to_end(&mut socket));
        };
        let mut stream = Stream::open(daemon.audience(), &self.bytes);
        assert_eq!(stream.next_count(SOON), 1, "{}", self.name());
        assert_eq!(daemon.stat(namespace, "members"), Some(1), "{}", self.name());
        drop(stream);
        daemon.wait_members(namespace, 0);
    }
}

/// The port of the audience, and those beside it.
fn ports(daemon: &Daemon) -> [SocketAddr; 4] {
    [daemon.audience(), daemon.notification(), daemon.demo(), daemon.stats_port()]
}

// ---------------------------------------------------------------------------------------------
// Whole requests
// ---------------------------------------------------------------------------------------------

#[test]
fn every_request_gets_its_answer_and_nobody_is_counted_by_one_that_is_refused() {
    let daemon = Daemon::start(&[]);
    let (refused, served): (Vec<_>, Vec<_>) =
        table().into_iter().filter(|request| !request.is_late()).partition(Request::is_refused);
    assert!(refused.len() > 150 && served.len() > 40, "{} and {}", refused.len(), served.len());
    for request in refused {
        request.send(&daemon);
    }
    assert_eq!(daemon.namespaces(), Vec::<String>::new());
    for request in served {
        request.send(&daemon);
    }
}

#[test]
fn what_the_audience_port_refuses_is_refused_by_the_others_too() {
    let daemon = Daemon::start(&[]);
    for request in table().iter().filter(|request| request.is_refused()) {
        for address in [daemon.notification(), daemon.demo()] {
            let mut socket = connect(address);
            socket.write_all(&request.bytes).unwrap();
            request.check(&read_to_end(&mut socket));
        }
        // Who does not come to speak within 50 ms, on a busy machine, is taken for one that never will.
        let answer = wait_for("an answer over HTTP", || {
            let mut socket = connect(daemon.stats_port());
            socket.write_all(&request.bytes).unwrap();
            Some(read_to_end(&mut socket)).filter(|answer| answer.starts_with(b"HTTP/"))
        });
        request.check(&answer);
    }
}

#[test]
fn what_follows_a_request_is_never_answered() {
    let daemon = Daemon::start(&[]);
    // RFC 9112 section 9.3.2 has pipelined requests answered in order; section 9.6 has none answered after the one with which
    // the connection ends, and here every one is.
    for request in table().iter().filter(|request| !request.is_late()) {
        request.followed_by(&join_request("/second", "")).send(&daemon);
    }
    assert!(!daemon.namespaces().contains(&"second".to_owned()));
}

#[test]
fn a_request_is_the_same_wherever_it_is_cut() {
    let daemon = Daemon::start(&[]);
    let good = join_request("/x", "Content-Length: 0\r\n");
    let requests: [(&[u8], Outcome); 7] = [
        (b"\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", Empty),
        (b"GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n", Empty),
        (b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", NoContent),
        (b"GET /x HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n", Refused(400)),
        (b"GET /x HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\nHost: h\r\n\r\n", Refused(400)),
        (b"GET /x HTTP/2.0\r\nHost: h\r\n\r\n", Refused(505)),
        (b"GET /x HTTP/1.1\r\nHost: h\r\nX: y\n", Refused(400)),
    ];
    for (bytes, outcome) in requests {
        let request = Request { section: "9112 2.2", bytes: bytes.to_vec(), outcome };
        let mut sockets: Vec<_> = (0..bytes.len()).map(|_| connect(daemon.audience())).collect();
        for (cut, socket) in sockets.iter_mut().enumerate() {
            socket.write_all(&bytes[..cut]).unwrap();
        }
        // A whole exchange on another connection: the daemon has seen the first pieces by now.
        exchange(daemon.audience(), b"GET / HTTP/1.0\r\n\r\n").expect_empty();
        for (cut, socket) in sockets.iter_mut().enumerate() {
            socket.write_all(&bytes[cut..]).unwrap();
            request.check(&read_to_end(socket));
        }
    }
    assert_eq!(daemon.namespaces(), Vec::<String>::new());
    let mut sockets: Vec<_> = (0..good.len()).map(|_| connect(daemon.audience())).collect();
    for (cut, socket) in sockets.iter_mut().enumerate() {
        socket.write_all(&good.as_bytes()[..cut]).unwrap();
    }
    exchange(daemon.audience(), b"GET / HTTP/1.0\r\n\r\n").expect_empty();
    let mut streams = Vec::new();
    for (cut, mut socket) in sockets.into_iter().enumerate() {
        socket.write_all(&good.as_bytes()[cut..]).unwrap();
        let mut stream = Stream::over(socket);
        assert_eq!(stream.next_count(SOON), cut as u64 + 1);
        streams.push(stream);
    }
    let mut socket = connect(daemon.audience());
    for byte in good.as_bytes() {
        socket.write_all(&[*byte]).unwrap();
        thread::yield_now();
    }
    assert_eq!(Stream::over(socket).next_count(SOON), good.len() as u64 + 1);
}

#[test]
fn a_refusal_of_head_has_no_content() {
    let daemon = Daemon::start(&["--head-timeout", "0.3"]);
    // RFC 9110 section 9.3.2: whatever the answer to HEAD says, it ends with its head.
    let heads: [(&[u8], u16); 5] = [
        (b"HEAD /x HTTP/1.1\r\n\r\n", 400),
        (b"\r\nHEAD /x HTTP/1.1\r\nHost: h\r\nX : y\r\n\r\n", 400),
        (b"HEAD /x HTTP/1.1\r\nHost: h\n\n", 400),
        (b"HEAD /x HTTP/2.0\r\nHost: h\r\n\r\n", 505),
        (b"HEAD /x HTTP/1.1\r\nHost: h\r\n", 408),
    ];
    for address in ports(&daemon) {
        for (bytes, status) in heads {
            let answer = wait_for("an answer over HTTP", || {
                let mut socket = connect(address);
                socket.write_all(bytes).unwrap();
                Some(read_to_end(&mut socket)).filter(|answer| answer.starts_with(b"HTTP/"))
            });
            let reply = Reply::parse(&answer);
            assert_eq!((reply.status, reply.body.as_str()), (status, ""), "{:?}: {reply:?}", lossy(bytes));
        }
    }
}

// ---------------------------------------------------------------------------------------------
// Heads without an end, and with one too far away
// ---------------------------------------------------------------------------------------------

#[test]
fn a_head_without_an_end_is_408_on_every_port() {
    let daemon = Daemon::start(&["--head-timeout", "0.4"]);
    let requests: Vec<_> = table().into_iter().filter(Request::is_late).collect();
    let begun = now();
    let mut waiting = Vec::new();
    for request in &requests {
        for address in ports(&daemon) {
            // Whoever says nothing at all to the stats port is told them without being asked.
            if address == daemon.stats_port() && request.bytes.is_empty() {
                continue;
            }
            let mut socket = connect(address);
            socket.write_all(&request.bytes).unwrap();
            waiting.push((request, address, socket));
        }
    }
    for (request, address, mut socket) in waiting {
        let answer = read_to_end(&mut socket);
        if address == daemon.stats_port() && !answer.starts_with(b"HTTP/") {
            continue;
        }
        request.check(&answer);
        assert!(begun.elapsed() > ms(380), "{}: after {:?}", request.name(), begun.elapsed());
    }
    assert_eq!(daemon.namespaces(), Vec::<String>::new());
}

#[test]
fn a_head_that_its_peer_gives_up_is_no_request() {
    let daemon = Daemon::start(&["--head-timeout", "600"]);
    // RFC 9112 section 8: what is incomplete is not acted on; an answer MAY be sent, and nobody waits for one.
    for request in table().iter().filter(|request| request.is_late()) {
        let mut socket = connect(daemon.audience());
        socket.write_all(&request.bytes).unwrap();
        socket.shutdown(Shutdown::Write).unwrap();
        assert_eq!(lossy(&read_to_end(&mut socket)), "", "{}", request.name());
    }
    assert_eq!(daemon.namespaces(), Vec::<String>::new());
}

/// A join whose head is exactly `size` bytes long.
fn head_of(size: usize) -> String {
    let bare = join_request("/large", "X: \r\n").len();
    join_request("/large", &format!("X: {}\r\n", "x".repeat(size - bare)))
}

#[test]
fn a_head_may_have_8192_bytes_and_past_that_is_431_on_every_port() {
    let daemon = Daemon::start(&[]);
    // A target longer than any that is parsed MUST be 414 (RFC 9112 section 3). The limit is that of the whole head here,
    // and what goes past it is 431 (RFC 6585 section 5), whichever part it is; a name within it that is too long is 414.
    let too_long = [
        head_of(8_193),
        head_of(20_000),
        format!("GET /{} HTTP/1.1\r\n", "x".repeat(9_000)),
        format!("GET /x HTTP/1.1\r\nHost: {}", "h".repeat(9_000)),
        format!("GET /x HTTP/1.1\r\n{}: y", "X".repeat(9_000)),
        "G".repeat(9_000),
        "\r\n".repeat(5_000),
        "GET /x HTTP/1.1\r\nHost: h\r\n".to_owned() + &"X: y\r\n".repeat(2_000),
    ];
    for bytes in &too_long {
        let request = Request { section: "6585 5", bytes: bytes.clone().into_bytes(), outcome: Refused(431) };
        for address in ports(&daemon) {
            let answer = wait_for("an answer over HTTP", || {
                let mut socket = connect(address);
                socket.write_all(&request.bytes).unwrap();
                Some(read_to_end(&mut socket)).filter(|answer| answer.starts_with(b"HTTP/"))
            });
            request.check(&answer);
        }
    }
    assert_eq!(daemon.namespaces(), Vec::<String>::new());
    for bytes in [head_of(8_192), join_request("/large", &"X: y\r\n".repeat(1_300))] {
        assert!(bytes.len() <= 8_192);
        Request { section: "9112 2.5", bytes: bytes.into_bytes(), outcome: Joins("large") }.send(&daemon);
    }
}

#[test]
fn a_host_that_is_not_local_is_kept_out_in_either_form() {
    let daemon = Daemon::start(&[]);
    // RFC 9112 section 3.2.2: in absolute form the target says whom it is for, whatever Host says.
    for (target, host, status) in [
        ("/process", "localhost", 200),
        ("http://localhost/process", "localhost", 200),
        ("http://127.0.0.1:1442/process", "example.com", 200),
        ("/process", "example.com", 403),
        ("http://example.com/process", "localhost", 403),
        ("http://localhost.example.com/process", "localhost", 403),
    ] {
        let bytes = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        wait_until("an answer over HTTP", || {
            let mut socket = connect(daemon.stats_port());
            socket.write_all(bytes.as_bytes()).unwrap();
            let answer = read_to_end(&mut socket);
            let is_http = answer.starts_with(b"HTTP/");
            if is_http {
                assert_eq!(Reply::parse(&answer).status, status, "{bytes:?}");
            }
            is_http
        });
    }
}
