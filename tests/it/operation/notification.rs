//! The notification port: what is a message, which requests may send one, and where it goes.

use std::net::SocketAddr;
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
fn a_notification_to_an_unknown_namespace_is_200_and_creates_nothing() {
    let daemon = Daemon::start(&[]);
    for target in ["/nobody/chat/hello", "/constructor/chat/hello", "/__proto__/chat/"] {
        assert_eq!(daemon.notify(target).body, "{\"members\":0}\n");
    }
    assert_eq!(daemon.namespaces(), Vec::<String>::new());
    assert_eq!(member(&daemon, "/nobody").1, 1);
}

#[test]
fn a_notification_path_with_other_parts_is_200_and_reaches_nobody() {
    let daemon = Daemon::start(&["--notify-min-delay", "600"]);
    let (mut stream, _) = member(&daemon, "/ns");
    for target in ["/", "/ns", "/ns/", "/ns/chat", "//chat/text", "/ns//text", "/?/ns/chat/text"] {
        daemon.notify(target).expect_empty();
    }
    assert_eq!(exchange(daemon.notification(), "GET\r\n\r\n").status, 400);
    stream.expect_silence(ms(100));
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
    assert_eq!((reply.header("Set-Cookie"), reply.header("Access-Control-Allow-Origin")), (None, None), "{reply:?}");
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
