//! Names behind a proxy: a prefix that it hands on, and spellings that it changes.

use super::proxy::*;

const LOCATION: Edit = ("location / {", "location = / { return 200; }\n    location /live/ {");

#[test]
fn a_prefix_that_nginx_hands_on_is_warned_of_with_the_remedy_that_helps() {
    let warning = |line: &str| line.contains("event=second_segment_ignored");
    // All events are one.
    let Scene { proxy, daemon } = Scene::set(Kind::Nginx, &["-w", "1"], &[LOCATION]);
    let _members = ["/live/one", "/live/two"].map(|target| proxy.join(target, &[]));
    daemon.wait_members("live", 2);
    let line = daemon.wait_log("the warning", warning);
    assert!(line.contains("namespace=live") && line.contains("a / at the end of proxy_pass"), "{line}");

    let slash = ("proxy_pass http://127.0.0.1:8000;", "proxy_pass http://127.0.0.1:8000/;");
    let Scene { proxy, daemon } = Scene::set(Kind::Nginx, &["-w", "1"], &[LOCATION, slash]);
    // nginx decodes such a path and encodes it anew, in its own way.
    let _members =
        ["/live/one", "/live/two", "/live/caf%c3%a9%2d1", "/live/caf%C3%A9-%31"].map(|target| proxy.join(target, &[]));
    daemon.wait_members("caf%C3%A9-1", 2);
    daemon.wait_members("one", 1);
    daemon.wait_members("two", 1);
    assert!(!daemon.log().iter().any(|line| warning(line)));
}
