//! Caches before the daemon: Varnish as it comes, and nginx with `proxy_cache`.
//!
//! An `EventSource` ends for good at any answer that is no stream. So a stored answer to a probe or to a farewell, given to
//! the next page, would end the streams of all. The client is `curl`; that the caches store at all is seen in a script.
//!
//! A number without a stream is for caches: one request in each `--notify-min-delay` comes to the daemon.

use std::process::Stdio;

use super::proxy::*;
use audience_kit::*;

/// Its answers to what asks for a stream after a farewell, and what asks for none.
const AFTER_FAREWELL: [&str; 4] = ["--header", "Accept: text/event-stream", "--header", "Last-Event-ID: farewell"];

#[track_caller]
fn check(kind: Kind, edit: Edit<'_>) {
    let Scene { proxy, daemon } = Scene::set(kind, &["--enable-uuid", "--notify-max-delay", "600"], &[edit]);
    expect_cache(&proxy);
    for target in ["/event", "/event/uuid"] {
        assert_eq!(proxy.status(target, &[]), 200, "{kind:?}: a probe");
        let mut member = proxy.join(target, &[]);
        member.stream.expect_count(1);
        if target == "/event/uuid" {
            assert_eq!(proxy.status(target, &AFTER_FAREWELL), 204, "{kind:?}: a page that was sent away");
        }
        let mut newer = proxy.join(target, &[]);
        newer.stream.expect_count(if target == "/event" { 2 } else { 1 });
        if target == "/event/uuid" {
            member.stream.wait_farewell();
        } else {
            member.stream.expect_count(2);
        }
        daemon.notify("/event/score/1:0").expect_confirmed();
        newer.stream.expect(&Event::Message("score=1:0".to_owned()));
        // What keeps the clients that have left is the proxy, so the ends come from the daemon.
        drop((member, newer));
        daemon.notify("/event/score/2:0");
        wait_until("that both are counted out", || {
            daemon.notify("/event/score/2:0");
            daemon.stat("event", "members").unwrap_or(0) == 0
        });
    }
}

/// It gives a script out of its store.
#[track_caller]
fn expect_cache(proxy: &Proxy) {
    let ask = || {
        let mut asking = curl();
        asking.args(["--dump-header", "-", "--output", "/dev/null"]).arg(proxy.url("/client/audience.js"));
        lossy(&asking.stdout(Stdio::piped()).output().unwrap().stdout).to_ascii_lowercase()
    };
    ask();
    let head = ask();
    // Varnish names the request that brought the answer, and nginx says what it did.
    let varnish = head.lines().find_map(|line| line.strip_prefix("x-varnish: "));
    let is_stored = varnish.is_some_and(|numbers| numbers.contains(' ')) || head.contains("\r\nx-cache: hit\r\n");
    assert!(is_stored, "{head}");
}

#[test]
fn varnish_stores_no_answer_that_would_end_streams() {
    check(Kind::Varnish, ("return (pipe);", ""));
}

#[test]
fn nginx_stores_no_answer_that_would_end_streams() {
    let cache =
        "location / {\nproxy_cache audience;\nproxy_cache_valid any 1m;\nadd_header X-Cache $upstream_cache_status;";
    check(Kind::Nginx, ("location / {", cache));
}

/// What a cache answers to a request for the number of an event: its body, and whether it comes out of the store.
fn number(proxy: &Proxy) -> (String, bool) {
    let mut asking = curl();
    let asking = asking.args(["--dump-header", "-"]).arg(proxy.url("/?members=event")).stdout(Stdio::piped());
    let text = lossy(&asking.output().unwrap().stdout).to_ascii_lowercase();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let varnish = head.lines().find_map(|line| line.strip_prefix("x-varnish: "));
    let is_stored = varnish.is_some_and(|numbers| numbers.contains(' ')) || head.contains("\r\nx-cache: hit");
    (body.to_owned(), is_stored)
}

#[track_caller]
fn check_number(kind: Kind, edit: Edit<'_>) {
    // A delay of 0.1 s is a second for caches.
    let Scene { proxy, daemon } = Scene::set(kind, &["--allow-listen"], &[edit]);
    let (_member, _) = member(&daemon, "/event");
    let answers = [(); 50].map(|()| number(&proxy));
    assert!(answers.iter().all(|(body, _)| body == "{\"members\":1}\n"), "{kind:?}: {answers:?}");
    let asked = answers.iter().filter(|(_, is_stored)| !is_stored).count();
    assert!(asked <= 10, "{kind:?}: {asked} of 50 came to the daemon");
    let (_another, _) = member(&daemon, "/event");
    wait_until("the number is another", || number(&proxy).0 == "{\"members\":2}\n");
    assert_eq!(daemon.stat("event", "connections"), Some(2), "{kind:?}");
}

#[test]
fn varnish_answers_for_the_number_of_an_event() {
    check_number(Kind::Varnish, ("return (pipe);", ""));
}

#[test]
fn nginx_answers_for_the_number_of_an_event() {
    let cache = "location / {\nproxy_cache audience;\nadd_header X-Cache $upstream_cache_status;";
    check_number(Kind::Nginx, ("location / {", cache));
}
