//! The notification port: what is a message, in a path or a body, which requests may send one, and where it goes.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::Command;

use super::local::*;
use audience_kit::*;

#[test]
fn a_notification_is_sent_raw_by_any_method_and_without_its_query() {
    let daemon = Daemon::start(&["--notify-min-delay", "600"]);
    let address = daemon.notification();
    let host = format!("Host: {address}\r\n");
    let (mut stream, _) = member(&daemon, "/ns");
    let cases = [
        ("GET", "/ns/chat/hello", "chat=hello"),
        ("POST", "/ns/chat/posted", "chat=posted"),
        ("DELETE", "/ns/chat/deleted", "chat=deleted"),
        ("GET", "/ns/chat/hello?query=1", "chat=hello"),
        ("GET", "/ns/chat/", "chat="),
        ("GET", "/ns/chat/?query", "chat="),
        ("GET", "/ns/chat/caf%C3%A9%20%0A", "chat=caf%C3%A9%20%0A"),
        ("GET", "/ns/chat/a=b&c", "chat=a=b&c"),
        ("GET", "/ns/1/2", "1=2"),
        ("GET", "http://localhost/ns/chat/absolute", "chat=absolute"),
    ];
    for (method, target, expected) in cases {
        assert_eq!(exchange(address, request(method, target, &host)).expect_confirmed(), 1, "{method} {target}");
        stream.expect(&Event::Message(expected.to_owned()));
    }
}

#[test]
fn a_notification_to_an_unknown_event_is_404_and_creates_nothing() {
    let daemon = Daemon::start(&[]);
    for target in ["/nobody/chat/hello", "/constructor/chat/hello", "/__proto__/chat/"] {
        let reply = daemon.notify(target);
        assert_eq!((reply.status, &*reply.body), (404, "there is no such event\n"), "{target}");
    }
    assert_eq!(daemon.namespaces(), Vec::<String>::new());
    assert_eq!(member(&daemon, "/nobody").1, 1);
    // An event that is empty, and not forgotten, is known.
    daemon.wait_members("nobody", 0);
    assert_eq!(daemon.notify("/nobody/chat/hello").expect_confirmed(), 0);
}

#[test]
fn what_is_no_message_is_refused_with_its_reason_and_reaches_nobody() {
    let daemon = Daemon::start(&["--notify-min-delay", "600"]);
    let (mut stream, _) = member(&daemon, "/ns");
    let few = "a message is sent to /<event>/<service>/<text>, or to /<event>/<service> with its text as the body\n";
    let many = "the path has too many parts; a slash in the text is written %2F\n";
    let empty = "the name of the event, or the service, is empty\n";
    for (target, why) in [
        ("/", few),
        ("/ns", few),
        ("/ns/chat", few),
        ("/?/ns/chat/text", few),
        ("/ns/", empty),
        ("//chat/text", empty),
        ("/ns//text", empty),
        ("/ns/chat/1/2", many),
        ("/ns/chat/1/", many),
    ] {
        let reply = daemon.notify(target);
        assert_eq!((reply.status, &*reply.body), (400, why), "{target}");
        let head = from_here("HEAD", target, "");
        assert_eq!((400, String::new()), {
            let reply = exchange(daemon.notification(), head);
            (reply.status, reply.body)
        });
    }
    assert_eq!(exchange(daemon.notification(), "GET\r\n\r\n").status, 400);
    stream.expect_silence(ms(100));
}

/// A request of a program on this machine.
fn from_here(method: &str, target: &str, fields: &str) -> String {
    request(method, target, &format!("Host: localhost\r\n{fields}"))
}

/// A request with a body, in chunks or with a length.
fn post(target: &str, body: &[u8], chunk: Option<usize>) -> Vec<u8> {
    let head = |field: String| from_here("POST", target, &field).into_bytes();
    let Some(size) = chunk else {
        return [head(format!("Content-Length: {}\r\n", body.len())).as_slice(), body].concat();
    };
    let mut bytes = head("Transfer-Encoding: chunked\r\n".to_owned());
    for chunk in body.chunks(size) {
        let extension = if size > 1 { ";x=y" } else { "" };
        bytes.extend_from_slice(format!("{:X}{extension}\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(&[chunk, b"\r\n"].concat());
    }
    [bytes.as_slice(), b"0\r\nX-Trailer: z\r\n\r\n"].concat()
}

#[test]
fn the_body_of_a_request_is_its_text() {
    let daemon = Daemon::start(&["--notify-min-delay", "600"]);
    let (mut stream, _) = member(&daemon, "/ns");
    let longest = "x".repeat(8192 - "chat=".len());
    for (target, body, text) in [
        ("/ns/chat", "hello", "hello"),
        ("/ns/chat/", "hello", "hello"),
        ("/ns/chat?query", "2/0 = 50%41 & \u{e9}+\u{1f600}\n", "2/0 = 50%41 & \u{e9}+\u{1f600}"),
        ("/ns/chat", "line\r\n", "line"),
        ("/ns/chat", "\n", ""),
        ("/ns/chat", &longest, &longest),
        // An empty body is none.
        ("/ns/chat/of%20path", "", "of%20path"),
        ("/ns/chat/", "", ""),
    ] {
        for chunk in [None, Some(1), Some(5000)] {
            let bytes = post(target, body.as_bytes(), chunk);
            for cut in [bytes.len(), bytes.len() - 1, bytes.len() / 2, 20] {
                let mut socket = connect(daemon.notification());
                send_cut(&mut socket, &bytes, cut);
                let reply = Reply::parse(&read_to_end(&mut socket));
                assert_eq!(reply.expect_confirmed(), 1, "{target} {chunk:?} {cut}");
                stream.expect(&Event::Message(format!("chat={text}")));
            }
        }
    }
    stream.expect_silence(ms(100));
}

/// Writes these bytes in two pieces, which the daemon reads apart.
fn send_cut(socket: &mut TcpStream, bytes: &[u8], cut: usize) {
    let (first, rest) = bytes.split_at(cut);
    socket.write_all(first).unwrap();
    if !rest.is_empty() {
        std::thread::park_timeout(ms(5));
        socket.write_all(rest).unwrap();
    }
}

#[test]
fn a_body_that_is_no_message_is_refused_with_its_reason_and_reaches_nobody() {
    let daemon = Daemon::start(&["--notify-min-delay", "600"]);
    let (mut stream, _) = member(&daemon, "/ns");
    let long = "x".repeat(8193 - "chat=".len());
    let line = "the body has a line break or a control character inside; a message is one line\n";
    let too_long = "the message is too long; a service and its text have 8191 bytes at most\n";
    for (target, body, status, why) in [
        ("/ns/chat", b"a\nb".as_slice(), 400, line),
        ("/ns/chat", b"a\n\n", 400, line),
        ("/ns/chat", b"data: 1\rdata: 2", 400, line),
        ("/ns/chat", b"a\0", 400, line),
        ("/ns/chat", "a\u{2028}b".as_bytes(), 400, line),
        ("/ns/chat", b"caf\xe9", 400, "the body is no UTF-8\n"),
        ("/ns/chat/of-path", b"of-body", 400, "there is a text in the path and one in the body; send one of them\n"),
        ("/ns/chat", long.as_bytes(), 400, too_long),
        ("/nobody/chat", b"hello", 404, "there is no such event\n"),
    ] {
        for chunk in [None, Some(1), Some(5000)] {
            let reply = exchange(daemon.notification(), post(target, body, chunk));
            assert_eq!((reply.status, &*reply.body), (status, why), "{target} {chunk:?}");
        }
    }
    // A client is told while it still sends, and reads that.
    for chunk in [None, Some(10_000)] {
        let reply = exchange(daemon.notification(), post("/ns/chat", &vec![b'x'; 60_000], chunk));
        assert_eq!((reply.status, reply.body.contains("too long")), (400, true), "{reply:?}");
    }
    for encoded in ["x\r\n", "1\nx\n0\n\n", "-1\r\nx\r\n", "1\r\nxx\r\n0\r\n\r\n"] {
        let head = from_here("POST", "/ns/chat", "Transfer-Encoding: chunked\r\n");
        let reply = exchange(daemon.notification(), head + encoded);
        assert_eq!((reply.status, &*reply.body), (400, "a chunk of the body is malformed\n"), "{encoded:?}");
    }
    stream.expect_silence(ms(100));
}

#[test]
fn a_body_is_asked_for_once_the_head_is_found_right() {
    let daemon = Daemon::start(&["--notify-min-delay", "600"]);
    let (mut stream, _) = member(&daemon, "/ns");
    let waits = "Content-Length: 5\r\nExpect: 100-continue\r\n";
    let mut socket = connect(daemon.notification());
    socket.write_all(from_here("POST", "/ns/chat", waits).as_bytes()).unwrap();
    let mut invitation = [0; 25];
    socket.read_exact(&mut invitation).unwrap();
    assert_eq!(lossy(&invitation), "HTTP/1.1 100 Continue\r\n\r\n");
    stream.expect_silence(ms(50));
    socket.write_all(b"hello").unwrap();
    assert_eq!(Reply::parse(&read_to_end(&mut socket)).expect_confirmed(), 1);
    stream.expect(&Event::Message("chat=hello".to_owned()));

    let foreign = format!("{waits}Sec-Fetch-Site: cross-site\r\n");
    for (target, fields, status) in [
        ("/ns/chat/text", waits, 400),
        ("/ns/chat/1/2", waits, 400),
        ("/nobody/chat", waits, 404),
        ("/ns/chat", foreign.as_str(), 403),
        ("/ns/chat", "Content-Length: 9000\r\nExpect: 100-continue\r\n", 400),
        ("/ns/chat/", "Content-Length: 0\r\nExpect: 100-continue\r\n", 200),
    ] {
        assert_eq!(exchange(daemon.notification(), from_here("POST", target, fields)).status, status, "{target}");
    }
    stream.expect(&Event::Message("chat=".to_owned()));
    // HTTP/1.0 has no such answer, and other ports read no bodies.
    let old = format!("POST /ns/chat HTTP/1.0\r\n{waits}\r\nhello");
    exchange(daemon.notification(), old).expect_confirmed();
    stream.expect(&Event::Message("chat=hello".to_owned()));
    exchange(daemon.audience(), from_here("POST", "/", waits)).expect_empty();
}

#[test]
fn a_body_that_is_late_is_408_and_one_that_is_cut_is_no_message() {
    let daemon = Daemon::start(&["--head-timeout", "0.5", "--notify-min-delay", "600"]);
    let (mut stream, _) = member(&daemon, "/ns");
    let mut late = connect(daemon.notification());
    let begun = now();
    for part in ["POST /ns/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n", "la", "te"] {
        late.write_all(part.as_bytes()).unwrap();
        std::thread::park_timeout(ms(150));
    }
    let reply = Reply::parse(&read_to_end(&mut late));
    assert_eq!((reply.status, &*reply.body), (408, "the request did not arrive in time\n"));
    // No part of it has moved the deadline.
    assert!((ms(500)..ms(900)).contains(&(now() - begun)), "{:?}", now() - begun);
    for bytes in [post("/ns/chat", b"cut off", None), post("/ns/chat", b"cut off", Some(3))] {
        let mut cut = connect(daemon.notification());
        cut.write_all(&bytes[..bytes.len() - 1]).unwrap();
        cut.shutdown(Shutdown::Write).unwrap();
        assert_eq!(lossy(&read_to_end(&mut cut)), "");
    }
    stream.expect_silence(ms(100));
    wait_until("the end of all", || open_connections(&daemon) == 2);
}

/// Clients as they come, each with the text after the address of a service.
const SENDERS: [(&str, &str, &str); 9] = [
    ("curl -d", "curl -sS -d", "hello, you: 50%"),
    ("curl --data-binary", "printf 'a line\\n' | curl -sS --data-binary @-", "a line"),
    ("curl -T, chunked", "printf 'a line\\n' | curl -sS -T -", "a line"),
    ("curl -X PUT", "curl -sS -X PUT -d", "put"),
    ("curl that waits", "curl -sS --expect100-timeout 60 -H 'Expect: 100-continue' -d", "waited"),
    ("curl, chunked, that waits", "printf x | curl -sS --expect100-timeout 60 -H 'Expect: 100-continue' -T -", "x"),
    ("curl, HTTP/1.0", "curl -sS --http1.0 -d", "old"),
    ("wget", "wget -qO- --post-data", "posted"),
    ("requests", "python3 -c", "caf\u{e9}"),
];

#[test]
fn every_client_sends_a_body() {
    let daemon = Daemon::start(&["--notify-min-delay", "600"]);
    let (mut stream, _) = member(&daemon, "/ns");
    let url = format!("http://localhost:{}/ns/chat", daemon.notification().port());
    let modules = format!("{}/tests/browser/.python", env!("CARGO_MANIFEST_DIR"));
    for (name, command, text) in SENDERS {
        let command = match name {
            "requests" => format!(
                "{command} \"import requests; r = requests.post('{url}', 'caf\u{e9}'.encode()); print(r.text)\""
            ),
            "wget" => format!("{command} '{text}' {url}"),
            _ if command.ends_with("-d") => format!("{command} '{text}' {url}"),
            _ => format!("{command} {url}"),
        };
        let sent = Command::new("sh").args(["-c", &command]).env("PYTHONPATH", &modules).output().unwrap();
        assert_eq!(lossy(&sent.stdout).trim_end(), "{\"members\":1}", "{name}: {}", lossy(&sent.stderr));
        stream.expect(&Event::Message(format!("chat={text}")));
    }
}

/// The option that names a file with a token.
fn with_token(file: &ScratchFile) -> String {
    format!("--notification-token-file={}", file.path())
}

#[test]
fn with_a_token_messages_are_taken_from_elsewhere_and_from_nobody_without() {
    let file = ScratchFile::with("token", "the-token-of-this-audience\n", 0o600);
    let daemon = Daemon::start(&[&with_token(&file), "--notification-host=0.0.0.0", "--notify-min-delay=600"]);
    let elsewhere = SocketAddr::from(([127, 9, 9, 9], daemon.notification().port()));
    let (mut stream, _) = member(&daemon, "/ns");
    let right = "Authorization: Bearer the-token-of-this-audience\r\n";
    for (headers, status) in [
        ("Host: localhost\r\n".to_owned(), 401),
        ("Host: localhost\r\nAuthorization: Bearer the-token-of-this-audiencE\r\n".to_owned(), 401),
        ("Host: localhost\r\nAuthorization: Bearer\r\n".to_owned(), 401),
        (format!("Host: meter.example.com:2442\r\n{right}"), 200),
    ] {
        let reply = exchange(elsewhere, request("GET", &format!("/ns/chat/{status}"), &headers));
        assert_eq!(reply.status, status, "{headers:?}: {reply:?}");
        assert_eq!(reply.header("WWW-Authenticate"), (status == 401).then_some("Bearer"), "{reply:?}");
    }
    stream.expect(&Event::Message("chat=200".to_owned()));
    stream.expect_silence(ms(100));
}

#[test]
fn a_token_that_is_no_secret_is_refused_at_the_start() {
    for (name, secret, mode, why) in [
        ("open", "the-token-of-this-audience", 0o644, "others can read it"),
        ("short", "qwertz", 0o600, "too short"),
        ("spaced", "the token of this audience", 0o600, "visible ASCII"),
    ] {
        let file = ScratchFile::with(name, secret, mode);
        let mut command = Command::new(program());
        let ports = ["-w=1", "--port=0", "--stats-port=0", "--demo-port=0", "--notification-port=0"];
        let output = isolate(&mut command).args(ports).arg(with_token(&file)).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), text.lines().count()), (Some(1), 1), "{text}");
        assert!(text.contains(why) && !text.contains(secret), "{text}");
    }
}

#[test]
fn nothing_that_a_stranger_sends_makes_an_event_a_field_or_a_line_of_its_own() {
    let daemon = Daemon::start(&["-d", "--notify-min-delay", "600", "--allow-origin", "https://a.example"]);
    let name = "/a%0Adata:%207\"level=warn;event=forged";
    let (mut stream, _) = member(&daemon, name);
    daemon.notify(&format!("{name}/s%0A%0Adata:/1%0Ddata:2")).expect_confirmed();
    stream.expect(&Event::Message("s%0A%0Adata:=1%0Ddata:2".to_owned()));
    // A message or a name with a line end is none.
    for target in ["/ns/s/a\rdata: 9", "/ns/s/a\ndata: 9", "/ns/s\u{85}/a", "/ns/s/\u{2028}"] {
        let head = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(exchange(daemon.notification(), head).status, 400, "{target:?}");
    }
    // What is sent back of a request is an origin that was listed before.
    let forged = "Origin: https://a.example\tSet-Cookie: x=1\r\n";
    let reply = exchange(daemon.audience(), request("GET", "/ns", forged));
    assert_eq!(
        (reply.header("Set-Cookie"), reply.header("Access-Control-Allow-Origin")),
        (None, Some("*")),
        "{reply:?}"
    );
    assert_eq!(daemon.namespaces(), [name.strip_prefix('/').unwrap()]);
    stream.expect_silence(ms(100));
    let lines = daemon.log();
    assert!(lines.iter().all(|line| line.starts_with("level=") && !line.contains(" event=forged")), "{lines:?}");
}

#[test]
fn a_notification_from_a_page_elsewhere_is_refused_and_reaches_nobody() {
    let daemon = Daemon::start(&["--notify-min-delay", "600"]);
    let address = daemon.notification();
    let (mut stream, _) = member(&daemon, "/ns");
    for headers in FOREIGN {
        let reply = exchange(address, request("GET", "/ns/chat/foreign", headers));
        assert_eq!(reply.status, 403, "{headers:?}: {reply:?}");
    }
    for headers in local(address) {
        exchange(address, request("GET", "/ns/chat/local", &headers)).expect_confirmed();
        stream.expect(&Event::Message("chat=local".to_owned()));
    }
}
