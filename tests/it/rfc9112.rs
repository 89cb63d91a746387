//! What is no HTTP/1.1 request, and what is one however odd it looks (RFC 9112). Nobody is counted by a request that was
//! refused.

use crate::support::{Daemon, SOON, Stream, exchange, join_request, lossy};

/// Fails unless `request` joins and is counted.
#[track_caller]
fn joins(daemon: &Daemon, request: impl AsRef<[u8]>) {
    let mut stream = Stream::open(daemon.audience(), &request);
    assert_eq!(stream.next_count(SOON), 1, "{}", lossy(request.as_ref()));
}

/// Fails unless each request is answered with its status, and nobody was counted by any.
#[track_caller]
fn each_gets(daemon: &Daemon, status: u16, requests: &[&[u8]]) {
    for bytes in requests {
        let reply = exchange(daemon.audience(), bytes);
        assert_eq!(reply.status, status, "{:?} got {reply:?}", lossy(bytes));
        assert_eq!(reply.header("Connection"), Some("close"), "{reply:?}");
    }
    assert_eq!(daemon.namespaces(), Vec::<String>::new());
}

#[test]
fn line_ends_before_the_request_line_are_skipped() {
    let daemon = Daemon::start(&[]);
    for ends in 1..=3 {
        let request = "\r\n".repeat(ends) + &join_request(&format!("/{ends}"), "");
        joins(&daemon, request);
    }
}

#[test]
fn a_malformed_request_line_is_400() {
    let daemon = Daemon::start(&[]);
    let lines: &[&[u8]] = &[
        b"GET /x",
        b"GET",
        b" GET /x HTTP/1.1",
        b"GET  /x HTTP/1.1",
        b"GET /x  HTTP/1.1",
        b"GET /x HTTP/1.1 ",
        b"GET\t/x HTTP/1.1",
        b"GET /x y HTTP/1.1",
        b"G(T /x HTTP/1.1",
        b"GET: /x HTTP/1.1",
        b"G\xc3\x89T /x HTTP/1.1",
        b"G\0T /x HTTP/1.1",
        b"GET x HTTP/1.1",
        b"GET * HTTP/1.1",
        b"GET h:80 HTTP/1.1",
        b"GET h.example HTTP/1.1",
        b"CONNECT h:80 HTTP/1.1",
        b"CONNECT /x HTTP/1.1",
        b"GET /x\x01 HTTP/1.1",
        b"GET /x\0 HTTP/1.1",
        b"GET /x\x7f HTTP/1.1",
        b"GET /x\x80 HTTP/1.1",
        b"GET /caf\xc3\xa9 HTTP/1.1",
        b"GET /x\ty HTTP/1.1",
        b"GET /x\ry HTTP/1.1",
        b"GET /x\ny HTTP/1.1",
        b"GET /x?q\x1f HTTP/1.1",
        b"GET /x HTTP/1",
        b"GET /x HTTP/1.",
        b"GET /x HTTP/.1",
        b"GET /x HTTP/11",
        b"GET /x HTTP/1.10",
        b"GET /x HTTP/01.1",
        b"GET /x HTTP/1,1",
        b"GET /x HTTP/a.b",
        b"GET /x HTTP 1.1",
        b"GET /x http/1.1",
        b"GET /x HTTPS/1.1",
        b"GET /x HTTQ/1.1",
        b"GET /x /1.1",
    ];
    let heads = lines.iter().map(|line| [line, &b"\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n"[..]].concat());
    let heads = heads.collect::<Vec<_>>();
    each_gets(&daemon, 400, &heads.iter().map(Vec::as_slice).collect::<Vec<_>>());
}

#[test]
fn a_malformed_header_is_400() {
    let daemon = Daemon::start(&[]);
    let headers: &[&[u8]] = &[
        b"X",
        b": value",
        b"X : value",
        b"X\t: value",
        b" X: value",
        b"X y: value",
        b"X(y): value",
        b"X\0: value",
        b"X\xc3\xa9: value",
        b"X: a\0b",
        b"X: a\x01b",
        b"X: a\x7fb",
        b"X: a\rb",
        b"X: a\nb",
        b"X: a\nY: b",
        b"X: a\r\r\nY: b",
        b"X: a\r\n folded",
        b"X: a\r\n\tfolded",
        b"Host: h",
        b"Host: other",
        b"host: h",
        b"Content-Length: 1\r\nContent-Length: 2",
        b"Content-Length: 1, 2",
        b"Content-Length: -1",
        b"Content-Length: +1",
        b"Content-Length: 0x1",
        b"Content-Length: 1 1",
        b"Content-Length: one",
        b"Content-Length:",
        b"Content-Length: 99999999999999999999999999",
        b"Transfer-Encoding: gzip",
        b"Transfer-Encoding: identity",
        b"Transfer-Encoding: xchunked",
        b"Transfer-Encoding: chunked, gzip",
        b"Transfer-Encoding: chunked, chunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip",
        b"Transfer-Encoding:",
        b"Transfer-Encoding: chunked\r\nContent-Length: 4",
        b"Content-Length: 4\r\nTransfer-Encoding: chunked",
        b"Content-Length: 0\r\nTransfer-Encoding: chunked",
    ];
    let heads = headers.iter().map(|header| {
        let start = b"GET /x HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n";
        [&start[..], header, b"\r\n\r\n"].concat()
    });
    let heads = heads.collect::<Vec<_>>();
    each_gets(&daemon, 400, &heads.iter().map(Vec::as_slice).collect::<Vec<_>>());
}

#[test]
fn a_head_without_the_right_host_or_line_ends_is_400() {
    let daemon = Daemon::start(&[]);
    each_gets(
        &daemon,
        400,
        &[
            b"GET /x HTTP/1.1\r\nAccept: text/event-stream\r\n\r\n",
            b"GET /x HTTP/1.1\r\n\r\n",
            b"GET http://h/x HTTP/1.1\r\nAccept: text/event-stream\r\n\r\n",
            b"GET /x HTTP/1.1\r\nHost: a b\r\n\r\n",
            b"GET /x HTTP/1.1\r\nHost: a/b\r\n\r\n",
            b"GET /x HTTP/1.1\r\nHost: a?b\r\n\r\n",
            b"GET /x HTTP/1.1\r\nHost: a@b\r\n\r\n",
            b"GET /x HTTP/1.1\r\nHost: a\"b\r\n\r\n",
            b"GET /x HTTP/1.1\r\nHost: h:port\r\n\r\n",
            b"GET /x HTTP/1.1\r\nHost: \xc3\xa9\r\n\r\n",
            b"GET /x HTTP/1.0\r\nHost: a b\r\n\r\n",
            b"GET /x HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
            b"GET /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"GET /x HTTP/1.1\nHost: h\nAccept: text/event-stream\n\n",
            b"GET /x HTTP/1.1\nHost: h\r\n\r\n",
            b"GET /x HTTP/1.1\r\nHost: h\r\n\n",
            b"GET /x HTTP/1.1\rHost: h\r\r\n\r\n",
            b"\nGET /x HTTP/1.1\r\nHost: h\r\n\r\n",
            b"\rGET /x HTTP/1.1\r\nHost: h\r\n\r\n",
            b"\0GET /x HTTP/1.1\r\nHost: h\r\n\r\n",
            b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03 a TLS client\r\n\r\n",
        ],
    );
}

#[test]
fn another_version_is_505() {
    let daemon = Daemon::start(&[]);
    each_gets(
        &daemon,
        505,
        &[
            b"GET /x HTTP/2.0\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n",
            b"GET /x HTTP/1.2\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n",
            b"GET /x HTTP/0.9\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n",
            b"GET /x HTTP/3.0\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        ],
    );
}

/// A join whose head is exactly `size` bytes long.
fn head_of(size: usize) -> String {
    let bare = join_request("/large", "X: \r\n").len();
    join_request("/large", &format!("X: {}\r\n", "x".repeat(size - bare)))
}

#[test]
fn a_head_may_have_8192_bytes_and_past_that_is_431() {
    let daemon = Daemon::start(&[]);
    let too_long = [
        head_of(8_193),
        head_of(20_000),
        format!("GET /{} HTTP/1.1\r\n", "x".repeat(9_000)),
        "G".repeat(9_000),
        "GET /x HTTP/1.1\r\nHost: h\r\n".to_owned() + &"X: y\r\n".repeat(2_000),
    ];
    let too_long = too_long.each_ref().map(String::as_bytes);
    each_gets(&daemon, 431, &too_long);
    joins(&daemon, head_of(8_192));
}
