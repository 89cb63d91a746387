//! Caches before the daemon: Varnish as it comes, and nginx with `proxy_cache`.
//!
//! An `EventSource` ends for good at any answer that is no stream. So a stored answer to a probe or to a farewell, given to
//! the next page, would end the streams of all. The client is `curl`; that the caches store at all is seen in a script.

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
        assert_eq!(proxy.status(target, &AFTER_FAREWELL), 204, "{kind:?}: a page that was sent away");
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
