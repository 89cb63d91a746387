//! Heads, whole and cut, good and bad, each with what becomes of it.

use super::*;

const HEAD: &[u8] = b"GET /event/me?x=1 HTTP/1.1\r\nHost: example.com:80\r\nAccept: text/html, Text/Event-Stream\r\n\
    User-Agent: MSIE 8\r\nOrigin: https://a.example\r\nLast-Event-ID: farewell\r\nSec-Purpose: Prefetch;prerender\r\nSec-Fetch-Site: cross-site\r\n\
    Authorization: Bearer token\r\n\r\n";

/// Scans and parses as a connection does.
fn read(bytes: &[u8]) -> Result<Option<Request<'_>>, Refusal> {
    match HeadScanner::default().scan(bytes)? {
        Some(range) => Request::parse(&bytes[range]).map(Some),
        None => Ok(None),
    }
}

#[track_caller]
fn accepts(bytes: &str) {
    assert!(matches!(read(bytes.as_bytes()), Ok(Some(_))), "{bytes:?}: {:?}", read(bytes.as_bytes()));
}

#[track_caller]
fn refuses(bytes: impl AsRef<[u8]>, refusal: Refusal) {
    let bytes = bytes.as_ref();
    assert_eq!(read(bytes), Err(refusal), "{:?}", String::from_utf8_lossy(bytes));
}

#[track_caller]
fn check_path(target: &str, path: &str) {
    let head = format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(read(head.as_bytes()).unwrap().unwrap().path, path, "{target}");
}

/// A head with this line after a good `Host`.
fn with_field(line: &str) -> String {
    format!("POST /a HTTP/1.1\r\nHost: h\r\n{line}\r\n\r\n")
}

#[test]
fn everything_that_is_asked_for_is_found() {
    assert_eq!(
        read(HEAD),
        Ok(Some(Request {
            method: Method::Get,
            version: Version::Http11,
            path: "/event/me",
            query: Some("x=1"),
            accepts_event_stream: true,
            host: Some("example.com:80"),
            origin: Some(b"https://a.example"),
            user_agent: Some(b"MSIE 8"),
            last_event_id: Some(b"farewell"),
            sec_fetch_site: Some(b"cross-site"),
            is_prefetch: true,
            authorization: Some(b"Bearer token"),
            body: BodyLength::Bytes(0),
            fields: split_at(HEAD, b'\n').unwrap().1,
        }))
    );
}

#[test]
fn the_values_of_a_field_are_found_in_their_order_and_none_after_the_head() {
    let head = "GET / HTTP/1.0\r\nX-Forwarded-For: a, b \r\nX: y\r\nx-forwarded-FOR:c\r\nX-Forwarded-For:\r\n\r\n";
    let bytes = [head, "X-Forwarded-For: body\r\n\r\n"].concat();
    let (request, end) = Request::parse_first(bytes.as_bytes()).unwrap();
    assert_eq!(end, head.len());
    let values: Vec<&[u8]> = request.values(b"x-forwarded-for").collect();
    assert_eq!(values, [&b"a, b"[..], b"c", b""]);
    assert_eq!(request.values(b"forwarded").count(), 0);
}

#[test]
fn a_head_cut_anywhere_is_waited_for_and_each_byte_is_looked_at_once() {
    let mut scanner = HeadScanner::default();
    for cut in 0..HEAD.len() {
        assert_eq!(read(&HEAD[..cut]), Ok(None), "cut at {cut}");
        assert_eq!(scanner.scan(&HEAD[..cut]), Ok(None), "cut at {cut}");
        assert_eq!(scanner.scanned, cut);
    }
    assert_eq!(scanner.scan(HEAD), Ok(Some(0..HEAD.len())));
}

#[test]
fn what_follows_a_head_is_not_looked_at() {
    let bytes = [b"\r\n\r\n", HEAD, b"GET /\n\0"].concat();
    assert_eq!(HeadScanner::default().scan(&bytes), Ok(Some(4..4 + HEAD.len())));
}

#[test]
fn a_head_that_is_too_large_is_refused_however_it_goes_on() {
    let field = |len: usize| with_field(&format!("X: {}", "x".repeat(len)));
    let overhead = field(0).len();
    accepts(&field(HEAD_MAX - overhead));
    refuses(field(HEAD_MAX - overhead + 1), Refusal::TooLarge);
    refuses([vec![b'x'; HEAD_MAX], b"\n".to_vec()].concat(), Refusal::TooLarge);
    assert_eq!(read(&[b'x'; HEAD_MAX - 1]), Ok(None));
    refuses("\r\n".repeat(HEAD_MAX / 2), Refusal::TooLarge);
}

#[test]
fn targets_are_matched_raw() {
    check_path("/", "/");
    check_path("/a%2Fb", "/a%2Fb");
    check_path("/caf%C3%A9?x#y", "/caf%C3%A9");
    check_path("/a?b?c", "/a");
    check_path("/?", "/");
    check_path("//x", "//x");
    check_path("/\"<>\\^`{|}", "/\"<>\\^`{|}");
    check_path("http://h/ns", "/ns");
    check_path("HTTP://h:80/ns/x?q", "/ns/x");
    check_path("http://h", "/");
    check_path("http://h?q=/a", "/");
    check_path("http://[::1]:80/ns", "/ns");
    for target in
        ["http:///ns", "http://:80/ns", "http://u@h/ns", "http://h:x/ns", "http://a%/ns", "http://h#f", "http://"]
    {
        refuses(format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n"), Refusal::Target);
    }
}

#[test]
fn a_target_in_absolute_form_says_whom_it_is_for() {
    for (target, host) in [("/", "h"), ("http://other:8080/ns", "other:8080"), ("http://[::1]?q", "[::1]")] {
        let head = format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(read(head.as_bytes()).unwrap().unwrap().host, Some(host), "{target}");
    }
    refuses("GET http://h/ HTTP/1.1\r\n\r\n", Refusal::Host);
    refuses("GET http://h/ HTTP/1.1\r\nHost: a b\r\n\r\n", Refusal::Host);
}

#[test]
fn every_byte_that_a_target_may_not_have_is_refused() {
    for byte in 0..=u8::MAX {
        let head = [b"GET /a", [byte].as_slice(), b"b HTTP/1.1\r\nHost: h\r\n\r\n"].concat();
        match byte {
            b'\n' => refuses(&head, Refusal::BareLf),
            b' ' => refuses(&head, Refusal::RequestLine),
            0x21..=0x7e => assert!(matches!(read(&head), Ok(Some(_))), "{byte:#x}"),
            _ => refuses(&head, Refusal::Target),
        }
    }
}

#[test]
fn every_byte_that_a_field_may_not_have_is_refused() {
    for byte in 0..=u8::MAX {
        let name = [b"GET / HTTP/1.1\r\nHost: h\r\nX", [byte].as_slice(), b"Y: z\r\n\r\n"].concat();
        match byte {
            b'\n' => refuses(&name, Refusal::BareLf),
            b':' => assert!(matches!(read(&name), Ok(Some(_)))),
            _ if TOKEN.has(byte) => assert!(matches!(read(&name), Ok(Some(_))), "{byte:#x}"),
            _ => refuses(&name, Refusal::FieldName),
        }
        let value = [b"GET / HTTP/1.1\r\nHost: h\r\nX: y", [byte].as_slice(), b"z\r\n\r\n"].concat();
        match byte {
            b'\n' => refuses(&value, Refusal::BareLf),
            b'\t' | 0x20..=0x7e | 0x80.. => assert!(matches!(read(&value), Ok(Some(_))), "{byte:#x}"),
            _ => refuses(&value, Refusal::FieldValue),
        }
        let method = [b"G", [byte].as_slice(), b"T / HTTP/1.1\r\nHost: h\r\n\r\n"].concat();
        match byte {
            b'\n' => refuses(&method, Refusal::BareLf),
            _ if TOKEN.has(byte) => assert!(matches!(read(&method), Ok(Some(_))), "{byte:#x}"),
            _ => refuses(&method, Refusal::RequestLine),
        }
    }
}

#[test]
fn request_lines_that_are_none_are_refused() {
    let line = |line: &str| format!("{line}\r\nHost: h\r\n\r\n");
    for malformed in ["GET", "GET /", "GET  / HTTP/1.1", " GET / HTTP/1.1", "GET / HTTP/1.1 ", "GET / HTTP/1.1 x"] {
        assert!(read(line(malformed).as_bytes()).is_err(), "{malformed:?}");
    }
    for version in ["", "HTTP/1", "HTTP/1.10", "HTTP/11", "http/1.1", "HTTP/1,1", "HTTPS/1.1", "HTTP/a.b", "ICY"] {
        refuses(line(&format!("GET / {version}")), Refusal::RequestLine);
    }
    for version in ["HTTP/0.9", "HTTP/1.2", "HTTP/2.0", "HTTP/3.0"] {
        refuses(line(&format!("GET / {version}")), Refusal::Version);
    }
    accepts("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n");
    refuses(line("GET * HTTP/1.1"), Refusal::Target);
    refuses(line("CONNECT /a HTTP/1.1"), Refusal::Target);
    refuses("PRI * HTTP/2.0\r\n\r\n", Refusal::Version);
    for target in ["a", "example.com:443", "://h/", "1http://h/", "ht tp://h/", "**"] {
        assert!(read(line(&format!("CONNECT {target} HTTP/1.1")).as_bytes()).is_err(), "{target:?}");
    }
    refuses("GET / HTTP/1.1\nHost: h\n\n", Refusal::BareLf);
    refuses("GET / HTTP/1.1\r\nHost: h\r\n\n", Refusal::BareLf);
    refuses("\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", Refusal::BareLf);
    refuses("GET /\ra HTTP/1.1\r\nHost: h\r\n\r\n", Refusal::Target);
}

#[test]
fn methods_are_case_sensitive() {
    for (method, expected) in [
        ("HEAD", Method::Head),
        ("OPTIONS", Method::Options),
        ("GET", Method::Get),
        ("POST", Method::Post),
        ("PUT", Method::Put),
        ("DELETE", Method::Delete),
        ("PATCH", Method::Other),
        ("head", Method::Other),
        ("get", Method::Other),
    ] {
        let head = format!("{method} / HTTP/1.0\r\n\r\n");
        assert_eq!(read(head.as_bytes()).unwrap().unwrap().method, expected);
    }
}

#[test]
fn fields_that_are_none_are_refused() {
    refuses(with_field(" folded: x"), Refusal::Folded);
    refuses(with_field("X: a\r\n\tb"), Refusal::Folded);
    refuses(with_field("Host : h"), Refusal::FieldName);
    refuses(with_field(": x"), Refusal::FieldName);
    refuses(with_field("X"), Refusal::FieldName);
    refuses(with_field("X: a\rb"), Refusal::FieldValue);
    refuses(with_field("X: a\r"), Refusal::FieldValue);
    accepts(&with_field("X:"));
    accepts(&with_field("X:\t y \t"));
}

#[test]
fn http_1_1_has_one_host() {
    accepts("GET / HTTP/1.0\r\n\r\n");
    accepts("GET / HTTP/1.1\r\nhOST:\r\n\r\n");
    for host in ["[::1]", "[::1]:8000", "a:", "a:80", "127.0.0.1:80", "a%20b", "%C3%a9", "[v1.a:b]:1", "[::1.2.3.4]"] {
        accepts(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    }
    refuses("GET / HTTP/1.1\r\n\r\n", Refusal::Host);
    refuses("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", Refusal::Host);
    refuses("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", Refusal::Host);
    for host in [
        "a b",
        "a/b",
        "a@b",
        "a?b",
        "a#b",
        "a\"b",
        "a\u{e9}",
        "<a>",
        "a:b",
        "a:80:80",
        "[::1",
        "[::1]80",
        "::1",
        "[]",
        "[h]",
        "[1.2.3.4]",
        "[v.a]",
        "[v1.]",
        "[vg.a]",
        "[::1%25lo]",
        "a%",
        "a%2",
        "%zz",
    ] {
        refuses(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"), Refusal::Host);
    }
}

#[test]
fn a_body_whose_length_is_unclear_is_refused() {
    for good in ["Content-Length: 0", "Content-Length: 5, 5", "Content-Length: 5\r\nContent-Length: 05"] {
        accepts(&with_field(good));
    }
    for bad in ["", "+5", "-1", "5 5", "0x5", "5,", "5, 6", "99999999999999999999", "5\r\nContent-Length: 6"] {
        refuses(with_field(&format!("Content-Length: {bad}")), Refusal::ContentLength);
    }
    for good in ["chunked", "Chunked", "gzip, chunked", "gzip\t,chunked"] {
        accepts(&with_field(&format!("Transfer-Encoding: {good}")));
    }
    for bad in ["", "gzip", "identity", "chunked, gzip", "chunked, chunked", "chunked,", "xchunked", "chunked;q=1"] {
        refuses(with_field(&format!("Transfer-Encoding: {bad}")), Refusal::TransferEncoding);
    }
    refuses(with_field("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), Refusal::TransferEncoding);
    refuses(with_field("Transfer-Encoding: chunked\r\nContent-Length: 5"), Refusal::TransferEncoding);
    refuses("POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", Refusal::TransferEncoding);
    let length = |field| read(with_field(field).as_bytes()).unwrap().unwrap().body;
    assert_eq!(length("X: y"), BodyLength::Bytes(0));
    assert_eq!(length("Content-Length: 5, 05"), BodyLength::Bytes(5));
    assert_eq!(length("Transfer-Encoding: chunked"), BodyLength::Chunked);
}

#[test]
fn an_event_stream_is_asked_for_in_any_accept_field() {
    let accepts = |field: &str| read(with_field(field).as_bytes()).unwrap().unwrap().accepts_event_stream;
    assert!(accepts("Accept: text/event-stream"));
    assert!(accepts("accept: */*\r\nACCEPT: a,TEXT/EVENT-STREAM;q=0.9"));
    assert!(!accepts("Accept: text/html"));
    assert!(!accepts("X-Accept: text/event-stream"));
    assert!(!accepts("Accept: text/event-strea"));
}

#[test]
fn every_refusal_has_its_status() {
    assert_eq!(Refusal::Timeout.status(), 408);
    assert_eq!(Refusal::TooLarge.status(), 431);
    assert_eq!(Refusal::Version.status(), 505);
    assert_eq!(Refusal::BareLf.status(), 400);
}

#[test]
fn gzip_is_taken_where_it_is_listed_with_a_weight_above_0() {
    let takes = |value: &str| {
        let head = format!("GET / HTTP/1.1\r\nHost: h\r\nAccept-Encoding: {value}\r\n\r\n");
        Request::parse(head.as_bytes()).unwrap().takes_gzip()
    };
    for value in
        ["gzip", "GZIP", "gzip, deflate, br", "br;q=1.0,gzip;q=0.8", "deflate , gzip ; q=0.001", "identity, gzip;q=1"]
    {
        assert!(takes(value), "{value}");
    }
    for value in ["", "br", "identity", "gzip;q=0", "gzip;q=0.0", "br, gzip; q=0.000", "xgzip", "gzipx", "*;q=0"] {
        assert!(!takes(value), "{value}");
    }
}
