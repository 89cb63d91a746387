//! `HEAD`: the status and the head that `GET` would get, whatever is refused (RFC 9110 section 9.3.2).
//!
//! One answer differs on purpose: an event without room for one more ends the stream of a `GET` at once, for no browser would
//! come back otherwise, and a `HEAD` gets `503`.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;

use super::watcher::Watcher;
use audience_kit::*;

/// The head of an answer but for its date, and whether a body follows it. A body may never end.
#[track_caller]
fn answer(address: SocketAddr, request: &str) -> (String, bool) {
    let mut socket = connect(address);
    socket.write_all(request.as_bytes()).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    let (mut bytes, mut buffer) = (Vec::new(), [0; 16 * 1024]);
    while !contains(&bytes, b"\r\n\r\n") {
        let count = socket.read(&mut buffer).unwrap();
        assert!(count > 0, "{request:?}: closed after {:?}", lossy(&bytes));
        bytes.extend(&buffer[..count]);
    }
    let (head, body) = (Reply::parse(&bytes).head, bytes.ends_with(b"\r\n\r\n"));
    let head = head.lines().filter(|line| !line.starts_with("Date: ")).collect::<Vec<_>>().join("\n");
    (head, !body || socket.read(&mut buffer).unwrap() > 0)
}

/// Asks by both methods, and fails unless the heads are the same, of this status, and one has no body.
#[track_caller]
fn check(address: SocketAddr, status: u16, target: &str, fields: &str) {
    let ask = |method| answer(address, &request(method, target, &format!("Host: localhost\r\n{fields}")));
    let (head, has_body) = ask("HEAD");
    assert!(head.starts_with(&format!("HTTP/1.1 {status} ")) && !has_body, "{target} {fields:?}: {head}");
    assert_eq!(ask("GET").0, head, "{target} {fields:?}");
}

const GOOD: &str = "Origin: https://good.example\r\n";
const EVIL: &str = "Origin: https://evil.example\r\n";

#[test]
fn head_on_the_audience_port_gets_the_head_of_get() {
    let daemon = Daemon::start(&["--enable-uuid", "--allow-origin", "https://good.example", "--max-name-length", "20"]);
    let address = daemon.audience();
    let _member = member(&daemon, "/ns/uuid").0;
    let long = "n".repeat(21);
    for (status, target, fields) in [
        (414, format!("/{long}"), ""),
        (414, format!("/ns/{long}"), GOOD),
        (403, format!("/{long}"), EVIL),
        (403, "/ns".to_owned(), EVIL),
        (200, "/ns".to_owned(), GOOD),
        (204, "/ns/uuid".to_owned(), "Last-Event-ID: farewell\r\n"),
        (204, "/ns/uuid".to_owned(), "Last-Event-ID: left\r\n"),
        (403, "/ns/uuid".to_owned(), "Last-Event-ID: left\r\nOrigin: null\r\n"),
    ] {
        check(address, status, &target, &format!("{ACCEPT}{fields}"));
    }
    for (status, target, fields) in [
        (200, format!("/{long}"), ""),
        (200, "/ns".to_owned(), EVIL),
        (200, "/ns/uuid".to_owned(), "Sec-Purpose: prefetch\r\n"),
        (200, "/ns/other".to_owned(), GOOD),
        (403, "/ns/uuid".to_owned(), EVIL),
        (403, "/?watch=ns".to_owned(), ""),
        (200, "/".to_owned(), EVIL),
        (200, "/a/b/c".to_owned(), ""),
        (200, "/crossdomain.xml".to_owned(), ""),
        (200, "/client/audience.js".to_owned(), "Accept-Encoding: gzip\r\n"),
        (304, "/client/audience.js".to_owned(), "If-None-Match: *\r\n"),
    ] {
        check(address, status, &target, fields);
    }
    // The page with this uuid is there still: a `HEAD` has not ended it, and the one `GET` that could was of another origin.
    assert_eq!((daemon.namespaces(), daemon.stat("ns", "members")), (vec!["ns".to_owned()], Some(1)));
    let too_long = format!("/ns HTTP/1.1\r\nX: {}\r\n", "x".repeat(9_000));
    for (status, rest) in [
        (400, "/ns HTTP/1.1\r\n\r\n"),
        (400, "/n\u{e9} HTTP/1.1\r\n\r\n"),
        (505, "/ns HTTP/2.0\r\n\r\n"),
        (431, &too_long),
    ] {
        let [(head, has_body), (of_get, _)] =
            ["HEAD", "GET"].map(|method| answer(address, &format!("{method} {rest}")));
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")) && !has_body, "{rest}: {head}");
        assert_eq!(of_get, head);
    }
}

#[test]
fn head_on_a_side_port_gets_the_head_of_get() {
    let daemon = Daemon::start_after("ulimit -n 256", &["--allow-listen"]);
    let (stats, notification, demo) = (daemon.stats_port(), daemon.notification(), daemon.demo());
    let elsewhere = "Sec-Fetch-Site: cross-site\r\n";
    for (address, status, target, fields) in [
        (stats, 403, "/", elsewhere),
        (stats, 400, "/?watch=", ""),
        (stats, 200, "/?watch=a", ""),
        (stats, 404, "/nothing", ""),
        (stats, 404, "/namespace/none", ""),
        (stats, 404, "/history/none.csv", ""),
        (stats, 200, "/readyz", ""),
        (stats, 200, "/metrics", ""),
        (stats, 304, "/grafana.json", "If-None-Match: *\r\n"),
        (notification, 403, "/ns/service/text", elsewhere),
        (notification, 404, "/ns/service/text", ""),
        (notification, 400, "/ns", ""),
        (demo, 200, "/", ""),
        (demo, 200, "/test", ""),
        (demo, 404, "/a/b/c", ""),
        (daemon.audience(), 400, "/?watch=", ""),
        (daemon.audience(), 200, "/?watch=a", ""),
    ] {
        check(address, status, target, fields);
    }
    let refused = get(daemon.audience(), "/?watch=");
    assert_eq!(refused.header("Access-Control-Allow-Origin"), Some("*"), "{refused:?}");
    let _watchers = [(); 2].map(|()| Watcher::of(stats, "*"));
    check(stats, 503, "/?watch=*", "");
}
