//! What the manual promises behind a proxy. The client is `curl`, and a whole browser in `tests/browser/proxied.mjs`.

use std::fs;
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Command, Stdio};

use super::proxy::*;
use crate::beside::browser::assert_machine_has_all;
use audience_kit::*;

#[test]
fn counts_and_messages_are_told_at_once_and_who_leaves_is_counted_out() {
    let _quiet = timed();
    for kind in KINDS {
        for (workers, version) in [("1", "--http2"), ("2", "--http2"), ("2", "--http1.1")] {
            let Scene { proxy, daemon } = Scene::set(kind, &["-w", workers], &[]);
            let mut first = proxy.join("/ns", &[version]);
            // Nothing follows until there are two, so a proxy that gathers would say nothing at all.
            first.stream.expect_count(1);
            first.stream.expect_silence(ms(300));

            let mut second = proxy.join("/ns", &[version]);
            second.stream.expect_count(2);
            let told = first.stream.next_count(PROMISED);
            assert_eq!(told, 2, "{kind:?}, {workers} processes, {version}");

            daemon.notify("/ns/score/2:1").expect_confirmed();
            for member in [&mut first, &mut second] {
                assert_eq!(member.stream.next_event(PROMISED), Some(Event::Message("score=2:1".to_owned())));
            }
            drop(second);
            assert_eq!(first.stream.next_count(PROMISED), 1, "{kind:?}, {workers} processes, {version}");
            let left = now();
            drop(first);
            daemon.wait_members("ns", 0);
            assert!(now() - left < PROMISED, "{kind:?}, {workers} processes, {version}: {:?}", now() - left);
        }
    }
}

#[test]
fn without_the_daemons_word_nginx_would_gather() {
    let deaf = ("proxy_pass", "proxy_ignore_headers X-Accel-Buffering; proxy_pass");
    let Scene { proxy, daemon } = Scene::set(Kind::Nginx, &[], &[deaf]);
    let mut member = proxy.join("/ns", &[]);
    daemon.wait_members("ns", 1);
    member.stream.expect_silence(ms(700));
}

#[test]
fn without_abortonclose_haproxy_would_keep_who_left_over_http_1() {
    let keeps = ("option abortonclose", "no option abortonclose");
    let Scene { proxy, daemon } = Scene::set(Kind::Haproxy, &["--notify-max-delay", "60"], &[keeps]);
    let mut member = proxy.join("/ns", &["--http1.1"]);
    member.stream.expect_count(1);
    drop(member);
    let deadline = Deadline::after(PROMISED);
    while deadline.left().is_some() {
        assert_eq!(daemon.stat("ns", "members"), Some(1));
    }
}

#[test]
fn streams_that_share_a_connection_count_each() {
    const COUNT: u64 = 40;
    let _quiet = timed();
    for kind in KINDS {
        let Scene { proxy, daemon } = Scene::set(kind, &["-w", "2"], &[]);
        let heard = ScratchFolder::create("heard");
        let output = format!("{}/#1", heard.path());
        let parallel = ["--parallel", "--parallel-max", "100", "--output", &output];
        let url = format!("/ns?[1-{COUNT}]");
        let crowd = proxy.join(&url, &parallel);
        daemon.wait_members("ns", COUNT);
        assert_eq!(proxy.connections(), 1, "{kind:?}");
        for number in 1..=COUNT {
            wait_until("all to have heard of all", || {
                let told = fs::read_to_string(heard.file(&number.to_string())).unwrap_or_default();
                told.ends_with(&format!("data: {COUNT}\n\n"))
            });
        }
        let left = now();
        drop(crowd);
        daemon.wait_members("ns", 0);
        assert!(now() - left < PROMISED, "{kind:?}: {:?}", now() - left);
    }
}

#[test]
fn tabs_of_a_browser_share_a_connection_and_are_counted_out_when_they_close() {
    let _quiet = heavy();
    let folder = source().join("tests/browser");
    assert_machine_has_all(&folder);
    for kind in KINDS {
        let Scene { proxy, daemon: _daemon } = Scene::set(kind, &["-w", "2"], &[]);
        let mut node = Command::new("timeout");
        node.args(["--kill-after=10", "60", "node", "proxied.mjs"]).arg(proxy.url("")).current_dir(&folder);
        let output = node.stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{kind:?}: {}", lossy(&output.stderr));
    }
}

#[test]
fn who_is_let_go_sees_a_clean_end() {
    for kind in KINDS {
        let Scene { proxy, mut daemon } = Scene::set(kind, &["--drain-delay", "0.2"], &[]);
        let mut members = ["--http1.1", "--http2"].map(|version| proxy.join("/ns", &[version]));
        daemon.wait_members("ns", 2);
        daemon.signal("TERM");
        for Member { curl, .. } in &mut members {
            // Of a stream that is cut short, curl makes an error.
            let end = wait_for("the end of the stream", || curl.try_wait().unwrap());
            assert_eq!(end.code(), Some(0), "{kind:?}");
        }
        assert!(daemon.wait_exit().success());
    }
}

#[test]
fn any_page_may_see_that_there_is_no_daemon() {
    for kind in KINDS {
        let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let proxy = Proxy::start(kind, nobody, &[]);
        let mut asking = curl();
        asking.args(["--include", "--header", "Accept: text/event-stream", "--max-time", "8"]).arg(proxy.url("/ns"));
        let answer = lossy(&asking.stdout(Stdio::piped()).output().unwrap().stdout);
        assert!(answer.starts_with("HTTP/2 503"), "{kind:?}: {answer}");
        assert!(answer.contains("\naccess-control-allow-origin: *\r\n"), "{kind:?}: {answer}");
    }
}

#[test]
fn who_posts_joins_and_the_head_passes() {
    for kind in KINDS {
        let Scene { proxy, daemon } = Scene::set(kind, &[], &[]);
        let mut posted = proxy.join("/ns", &["--data", "a=b"]);
        posted.stream.expect_count(1);

        let heads = ScratchFolder::create("heard");
        let file = heads.file("head");
        let mut member = proxy.join("/ns", &["--dump-header", file.to_str().unwrap()]);
        member.stream.expect_count(2);
        daemon.wait_members("ns", 2);
        let head = fs::read_to_string(file).unwrap();
        assert!(head.starts_with("HTTP/2 200"), "{kind:?}: {head}");
        assert_eq!(head.matches("access-control-allow-origin").count(), 1, "{kind:?}: {head}");
        for field in [
            "content-type: text/event-stream",
            "cache-control: no-store, no-transform",
            "access-control-allow-origin: *",
        ] {
            assert!(head.contains(&format!("\n{field}\r\n")), "{kind:?}: no {field} in {head}");
        }
        let script = curl().arg(proxy.url("/client/audience.js")).stdout(Stdio::piped()).output().unwrap();
        assert_eq!(lossy(&script.stdout), get(daemon.audience(), "/client/audience.js").body, "{kind:?}");
    }
}

#[test]
fn the_visitors_address_is_passed_on() {
    // All of 127.0.0.0/8 is this machine, so a visitor can come from elsewhere than the proxy.
    const VISITOR: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
    for kind in KINDS {
        let daemon = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let proxy = Proxy::start(kind, daemon.local_addr().unwrap(), &[]);
        let claim = ["--interface", "127.0.0.3", "--header", "X-Forwarded-For: 9.9.9.9"];
        let _member = proxy.join("/ns", &claim);
        let mut socket = daemon.accept().unwrap().0;
        socket.set_read_timeout(Some(SOON)).unwrap();
        let mut head = Vec::new();
        while !contains(&head, b" HTTP/1.") || !head.ends_with(b"\r\n\r\n") {
            let mut more = [0; 1024];
            let count = socket.read(&mut more).unwrap();
            assert_ne!(count, 0, "{kind:?}: {:?}", lossy(&head));
            head.extend(&more[..count]);
        }
        if kind == Kind::Haproxy {
            // Signature, version 2 and PROXY, TCP over IPv4, length, source address.
            let expected = b"\r\n\r\n\0\r\nQUIT\n\x21\x11";
            assert!(head.starts_with(expected), "{:?}", lossy(&head));
            assert_eq!(head[16..20], VISITOR.octets(), "{:?}", lossy(&head));
        } else {
            let text = lossy(&head);
            let fields: Vec<_> = text.lines().filter(|line| line.starts_with("X-Forwarded-For:")).collect();
            assert_eq!(fields, [format!("X-Forwarded-For: {VISITOR}")], "{text}");
        }
    }
}

#[test]
fn visitors_of_one_address_are_counted_up_to_their_limit() {
    for kind in KINDS {
        let Scene { proxy, daemon } = Scene::set(kind, &["--max-conn-per-ip", "2"], &[]);
        let of = |address| ["--interface", address];
        let members: Vec<_> =
            ["127.0.0.3", "127.0.0.3", "127.0.0.4", "127.0.0.3"].map(|from| proxy.join("/ns", &of(from))).into();
        wait_until("that one of them is not counted", || {
            let present = ["members", "uncounted"].map(|key| daemon.stat("ns", key));
            present == [Some(3), Some(1)]
        });
        drop(members);
        daemon.wait_members("ns", 0);
    }
}
