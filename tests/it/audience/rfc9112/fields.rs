//! Field lines.

use super::table::{Outcome::*, Row};

/// Field lines.
pub(super) const FIELDS: &[Row] = &[
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
