//! Repeated counts, which keep a member that a proxy's patience would end.

use super::proxy::*;
use audience_kit::*;

/// A patience of 3 s for 60 s, and a count every 1.2 s for one every 25 s: all of it 20 times as fast.
const PATIENCE: [(Kind, Edit<'_>); 7] = [
    (Kind::Nginx, ("proxy_pass", "proxy_read_timeout 3s; proxy_pass")),
    (Kind::Haproxy, ("timeout server 60s", "timeout server 3s")),
    (Kind::Envoy, ("use_remote_address: true", "use_remote_address: true\n          stream_idle_timeout: 3s")),
    (Kind::H2o, ("hosts:", "proxy.timeout.io: 3000\nhosts:")),
    (Kind::Lighttpd, ("ssl.engine", "server.max-write-idle = 3\nssl.engine")),
    (Kind::Apache, ("SSLEngine on", "SSLEngine on\nProxyTimeout 3")),
    (Kind::Squid, ("acl audience", "read_timeout 3 seconds\nacl audience")),
];

/// A member behind each proxy, and what it stands on.
fn members(delay: &str) -> [(Kind, Member, Scene); PATIENCE.len()] {
    PATIENCE.map(|(kind, edit)| {
        let scene = Scene::set(kind, &["--notify-max-delay", delay], &[edit]);
        (kind, scene.proxy.join("/ns", &[]), scene)
    })
}

#[test]
fn a_repeated_count_keeps_a_member_that_silence_would_end() {
    let mut silent = members("60");
    let mut repeated = members("1.2");
    let deadline = Deadline::after(ms(7500));
    for (kind, member, scene) in &mut silent {
        member.stream.expect_count(1);
        assert_eq!(member.stream.next_event(SOON), Some(Event::Closed), "{kind:?}");
        scene.daemon.wait_members("ns", 0);
    }
    while deadline.left().is_some() {
        for (kind, member, _) in &mut repeated {
            assert_eq!(member.stream.next_event(ms(3000)), Some(Event::Count(1)), "{kind:?}");
        }
    }
    for (kind, _, scene) in &repeated {
        assert_eq!(scene.daemon.stat("ns", "connections"), Some(1), "{kind:?}");
    }
}
