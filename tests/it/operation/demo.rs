//! The demo port: pages and scripts, for any visitor.

use audience_kit::*;

/// A page or script of the demo port, which serves whoever asks by whatever name.
#[track_caller]
pub(super) fn demo(daemon: &Daemon, target: &str, kind: &str) -> Reply {
    let foreign = "Host: audience.example\r\nOrigin: http://other.example\r\nSec-Fetch-Site: cross-site\r\n";
    let reply = exchange(daemon.demo(), request("GET", target, foreign));
    assert_eq!(reply.status, 200, "{target}: {reply:?}");
    let given = reply.header("Content-Type").unwrap();
    assert!(given.starts_with(kind), "{target}: {given}");
    assert_eq!(reply.header("Connection"), Some("close"));
    assert!(reply.body.len() > 50, "{target}: {reply:?}");
    reply
}

#[test]
fn the_demo_welcomes_and_links_to_a_test_page() {
    let daemon = Daemon::start(&[]);
    let body = demo(&daemon, "/", "text/html").body;
    assert!(body.contains("href=\"/test\""), "{body}");
}

#[test]
fn the_demo_has_a_page_for_each_namespace_that_knows_the_audience_port() {
    let daemon = Daemon::start(&[]);
    let body = demo(&daemon, "/test", "text/html").body;
    assert!(body.contains("/client/"), "{body}");
    assert!(body.contains(&daemon.audience().port().to_string()), "{body}");
    assert_eq!(daemon.namespaces(), Vec::<String>::new());
}

#[test]
fn a_name_in_a_demo_page_is_text_and_never_markup() {
    let daemon = Daemon::start(&[]);
    for name in ["<b>bold", "\"onload=alert(1)", "'+alert(1)+'"] {
        let body = demo(&daemon, &format!("/{name}"), "text/html").body;
        assert!(!body.contains(name), "{name} in {body}");
    }
}

#[test]
fn the_demo_serves_the_same_scripts_as_the_audience_port() {
    let daemon = Daemon::start(&[]);
    for target in ["/client/audience.js", "/client/element.js", "/client/viewers.min.js", "/client/jquery.audience.js"]
    {
        let body = demo(&daemon, target, "text/javascript").body;
        assert_eq!(body, get(daemon.audience(), target).body, "{target}");
    }
}
