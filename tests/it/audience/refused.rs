//! What the audience port refuses: names and heads that are too long or too late, and pages of other origins.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use super::http::joins;
use audience_kit::*;

#[test]
fn a_name_may_have_255_bytes_and_past_that_is_414() {
    let daemon = Daemon::start(&["--enable-uuid"]);
    let (longest, too_long) = ("n".repeat(255), "n".repeat(256));
    for target in [format!("/{too_long}"), format!("/ns/{too_long}")] {
        let reply = exchange(daemon.audience(), join_request(&target, ""));
        assert_eq!(reply.status, 414, "{reply:?}");
    }
    assert_eq!(daemon.namespaces(), Vec::<String>::new());
    let stream = joins(&daemon, join_request(&format!("/{longest}/{longest}"), ""));
    assert_eq!(daemon.namespaces(), [longest]);
    drop(stream);
}

#[test]
fn a_refusal_arrives_whole_while_the_client_still_sends() {
    let daemon = Daemon::start(&[]);
    // Below the 64 KiB that the daemon reads and drops after a head.
    let rest = vec![b'x'; 48 * 1024];
    let heads = [
        (431, "X".repeat(8_193)),
        (400, "GET /x\r\n\r\n".to_owned()),
        (505, "GET /x HTTP/2.0\r\n\r\n".to_owned()),
        (200, request("POST", "/x", "Host: h\r\nContent-Length: 70000\r\n")),
    ];
    for (status, head) in heads {
        let mut socket = connect(daemon.audience());
        socket.write_all(head.as_bytes()).unwrap();
        socket.write_all(&rest).unwrap();
        // Another exchange: the daemon has answered the first head, and still gets bytes.
        get(daemon.audience(), "/").expect_empty();
        socket.write_all(b"the last of it").unwrap();
        let reply = Reply::parse(&read_to_end(&mut socket));
        assert_eq!(reply.status, status, "{reply:?}");
    }
    assert_eq!(daemon.namespaces(), Vec::<String>::new());
}

#[test]
fn a_head_that_is_not_sent_in_time_is_408_however_it_trickles() {
    let daemon = Daemon::start(&["--head-timeout", "0.4"]);
    let begun = now();
    let starts = ["", "\r\n", "GET /late HTTP/1.1\r\nHost: h\r\n"];
    let sockets = starts.map(|start| {
        let mut socket = connect(daemon.audience());
        socket.write_all(start.as_bytes()).unwrap();
        socket
    });
    for (mut socket, start) in sockets.into_iter().zip(starts) {
        let reply = Reply::parse(&read_to_end(&mut socket));
        assert_eq!(reply.status, 408, "{start:?} got {reply:?}");
        assert_eq!(reply.header("Connection"), Some("close"), "{reply:?}");
        assert!(begun.elapsed() + TICK >= ms(400), "too early: {:?}", begun.elapsed());
    }

    let begun = now();
    let mut socket = connect(daemon.audience());
    socket.write_all(b"GET /trickle HTTP/1.1\r\nX: ").unwrap();
    let mut trickle = socket.try_clone().unwrap();
    let answered = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let stop = Deadline::after(SOON);
            while !answered.load(Relaxed) && stop.left().is_some() && trickle.write_all(b"x").is_ok() {
                thread::park_timeout(ms(20));
            }
        });
        let reply = Reply::parse(&read_head(&mut socket));
        answered.store(true, Relaxed);
        assert_eq!(reply.status, 408, "{reply:?}");
    });
    assert!(begun.elapsed() < SOON / 2, "the trickle has extended it: {:?}", begun.elapsed());
    assert_eq!(daemon.namespaces(), Vec::<String>::new());
}

/// Reads one reply head; the rest of the connection is the trickle's.
#[track_caller]
fn read_head(socket: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    socket.set_read_timeout(Some(SOON)).unwrap();
    while !contains(&bytes, b"\r\n\r\n") {
        let mut buffer = [0; 1024];
        let count = socket.read(&mut buffer).unwrap();
        assert!(count > 0, "closed after {:?}", lossy(&bytes));
        bytes.extend(&buffer[..count]);
    }
    bytes
}

#[test]
fn the_head_timeout_ends_with_the_head() {
    let daemon = Daemon::start(&["--head-timeout", "0.2", "--notify-max-delay", "600"]);
    let (mut stream, _) = member(&daemon, "/stays");
    stream.expect_silence(ms(400));
    assert_eq!(daemon.stat("stays", "members"), Some(1));
}

// ---------------------------------------------------------------------------------------------
// Who may ask
// ---------------------------------------------------------------------------------------------

#[test]
fn a_listed_origin_is_echoed_an_unlisted_one_refused_and_none_let_in() {
    let list = "https://a.example,https://b.example";
    let daemon = Daemon::start(&["--allow-origin", list]);
    let address = daemon.audience();
    for origin in list.split(',') {
        let header = format!("Origin: {origin}\r\n");
        let stream = joins(&daemon, join_request(&format!("/{}", &origin[8..9]), &header));
        let expected =
            format!("\r\nAccess-Control-Allow-Origin: {origin}\r\nAccess-Control-Allow-Credentials: true\r\n");
        assert!(stream.head.contains(&expected), "{:?}", stream.head);
        assert!(stream.head.contains("\r\nVary: Accept, Origin, Last-Event-ID"), "{:?}", stream.head);
    }
    for origin in [
        "https://c.example",
        "http://a.example",
        "https://a.example:444",
        "https://a.example.evil",
        "https://xa.example",
        "a.example",
        "null",
        list,
    ] {
        let header = format!("Origin: {origin}\r\n");
        let reply = exchange(address, join_request("/refused", &header));
        assert_eq!(reply.status, 403, "{origin}: {reply:?}");
    }
    let stream = joins(&daemon, join_request("/none", ""));
    drop(stream);
    assert_eq!(daemon.namespaces(), ["a", "b", "none"]);
}

/// Each as it may be given, and as browsers send it.
const SPELLINGS: [(&str, &str); 10] = [
    ("https://example.com:443", "https://example.com"),
    ("HTTP://Example.com:80", "http://example.com"),
    ("https://example.com:80", "https://example.com:80"),
    ("https://example.com.:8443", "https://example.com.:8443"),
    ("https://a_b.example", "https://a_b.example"),
    ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
    ("https://[2001:DB8:0:0::1]:443", "https://[2001:db8::1]"),
    ("https://[0:0:1:0:0:0:1:0]", "https://[0:0:1::1:0]"),
    ("https://[::ffff:192.0.2.1]", "https://[::ffff:c000:201]"),
    ("https://xn--mnchen-3ya.example", "https://xn--mnchen-3ya.example"),
];

#[test]
fn an_allowed_origin_is_met_however_it_is_spelt() {
    let given = SPELLINGS.map(|(given, _)| given);
    let sent = SPELLINGS.map(|(_, sent)| sent);
    // Node.js has the URLs of browsers.
    let origins = run(
        "node",
        &[&["-p", "process.argv.slice(1).map((url) => new URL(url).origin).join('\\n')", "--"], &given[..]].concat(),
    );
    assert_eq!(origins.lines().collect::<Vec<_>>(), sent);
    let daemon = Daemon::start(&["--allow-origin", &given.join(","), "--enable-uuid", "--allow-listen"]);
    let curl = |path: &str, arguments: &[&str]| {
        let url = format!("http://{}{path}", daemon.audience());
        // The stream is cut off after its head.
        let script = "exec curl -sSN -m 10 -D /dev/stderr -o /dev/full \"$@\" 2>&1 | sed '/^curl:/d'";
        Reply::parse((run("sh", &[&["-c", script, "sh"], arguments, &[&url]].concat()) + "\r\n").as_bytes())
    };
    for origin in sent {
        let field = format!("Origin: {origin}");
        for (path, arguments, status) in [
            ("/event", &["-H", "Accept: text/event-stream"][..], 200),
            ("/?watch=event", &["-H", "Accept: text/event-stream"], 200),
            ("/event/uuid", &["-X", "POST"], 200),
            ("/event/uuid", &["-X", "OPTIONS", "-H", "Access-Control-Request-Method: DELETE"], 204),
        ] {
            let reply = curl(path, &[arguments, &["-H", &field]].concat());
            assert_eq!(reply.status, status, "{origin}: {reply:?}");
            assert_eq!(reply.header("Access-Control-Allow-Origin"), Some(origin), "{reply:?}");
            assert_eq!(reply.header("Access-Control-Allow-Credentials"), Some("true"), "{reply:?}");
        }
    }
}

#[test]
fn by_default_any_page_may_join_whatever_its_host_and_origin() {
    let daemon = Daemon::start(&[]);
    let foreign = "Origin: https://page.example\r\nSec-Fetch-Site: cross-site\r\n";
    let mut stream = joins(&daemon, join_request("/open", foreign));
    assert!(stream.head.contains("\r\nAccess-Control-Allow-Origin: *\r\n"), "{:?}", stream.head);
    // With * a browser takes it for an error.
    assert!(!stream.head.contains("Allow-Credentials"), "{:?}", stream.head);
    assert_eq!(stream.next(ms(1)), None::<Event>);
    let script = request("GET", "/client/audience.js", &format!("Host: page.example\r\n{foreign}"));
    assert_eq!(exchange(daemon.audience(), script).status, 200);
}
