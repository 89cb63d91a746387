//! Whole heads, and what is no head at all.

use super::table::{Outcome::*, Row};

/// Whole heads.
pub(super) const HEADS: &[Row] = &[
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
