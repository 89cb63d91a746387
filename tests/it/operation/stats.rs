//! The stats port: raw and over HTTP, in the order of 2011, for this machine alone.

use std::io::Write;
use std::time::Duration;

use serde_json::Value;

use super::local::*;
use audience_kit::*;

/// After how long without a byte a client of the stats port is taken for one that speaks no HTTP.
const HTTP_HAS: Duration = ms(250);

#[test]
fn without_a_namespace_the_stats_are_an_empty_object() {
    let daemon = Daemon::start(&[]);
    assert_eq!(daemon.stats_text(), "{}\n");
}

#[test]
fn raw_stats_come_unasked_in_the_old_order_and_end() {
    let daemon = Daemon::start(&["--notify-min-delay", "0.1"]);
    let began = unix_now();
    let mut streams = members(&daemon, "/watched", 3);
    streams.pop();
    streams[0].wait_count(2);
    let (text, ended) = (daemon.stats_text(), unix_now());

    let numbers = ["created", "members", "connections", "modified"].map(|key| {
        let found = daemon.stat("watched", key);
        found.unwrap_or_else(|| panic!("no {key} in {text}"))
    });
    let [created, members, connections, modified] = numbers;
    let expected = format!(
        "{{\"watched\":{{\"created\":{created},\"members\":{members},\"connections\":{connections},\"modified\":{modified}"
    );
    assert!(text.starts_with(&expected), "{text} does not start with {expected}");
    assert!(text.ends_with("}}\n"), "{text:?}");
    assert_eq!(text.lines().count(), 1, "{text:?}");
    assert_eq!((members, connections), (2, 3));
    assert!((began..=ended).contains(&created), "{began} {created} {ended}");
    assert!((created..=ended).contains(&modified), "{created} {modified} {ended}");
}

#[test]
fn a_client_that_says_nothing_gets_raw_stats_after_the_time_that_http_has() {
    let daemon = Daemon::start(&[]);
    let before = now();
    let mut socket = connect(daemon.stats_port());
    assert_eq!(lossy(&read_to_end(&mut socket)), "{}\n");
    let since = before.elapsed();
    assert!(since + TICK >= HTTP_HAS, "HTTP had only {since:?}");
}

#[test]
fn a_client_that_ends_its_sending_side_gets_raw_stats_at_once() {
    let _quiet = timed();
    let daemon = Daemon::start(&[]);
    // The best of ten: a busy machine delays some, a timer would delay all.
    let times = (0..10).map(|_| {
        let before = now();
        daemon.stats_text();
        before.elapsed()
    });
    let best = times.min().unwrap();
    assert!(best < ms(40), "{best:?}");
}

#[test]
fn over_http_the_stats_are_the_same_json() {
    let daemon = Daemon::start(&["--notify-min-delay", "600"]);
    let stream = member(&daemon, "/curl").0;
    let address = daemon.stats_port();
    // The time that the member has been there goes on from one request to the next.
    let still = |mut stats: Value| {
        for field in ["average", "average_watch", "member_seconds"] {
            assert!(stats["curl"][field].take().is_number(), "{field}");
        }
        stats
    };
    let raw = still(daemon.stats());
    let head = format!("GET / HTTP/1.0\r\nHost: {address}\r\n\r\n");
    for request in [request("GET", "/", &format!("Host: {address}\r\n")), head] {
        let reply = exchange(address, &request);
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(reply.header("Content-Type"), Some("application/json"), "{reply:?}");
        assert_eq!(reply.header("Connection"), Some("close"), "{reply:?}");
        assert_eq!(still(serde_json::from_str(&reply.body).unwrap()), raw);
    }
    drop(stream);
}

#[test]
fn a_stats_client_that_has_begun_to_speak_http_may_take_its_time() {
    let daemon = Daemon::start(&[]);
    let mut socket = connect(daemon.stats_port());
    socket.write_all(b"GET / HT").unwrap();
    // Long past the time after which a silent client gets raw stats, and nothing comes.
    socket.set_read_timeout(Some(HTTP_HAS + ms(150))).unwrap();
    assert!(socket.peek(&mut [0; 1]).is_err());
    socket.write_all(b"TP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let reply = Reply::parse(&read_to_end(&mut socket));
    assert_eq!((reply.status, reply.body.trim()), (200, "{}"), "{reply:?}");
}

#[test]
fn names_appear_as_they_were_sent_whatever_they_are() {
    let daemon = Daemon::start(&[]);
    let names = ["constructor", "__proto__", "caf%C3%A9", "\"quoted\"", "hasOwnProperty", "back\\slash", "</script>"];
    let mut expected = Vec::new();
    let mut streams = Vec::new();
    for name in names.map(|name| name.replace('/', "")) {
        streams.push(member(&daemon, &format!("/{name}")).0);
        expected.push(name);
    }
    expected.sort();
    assert_eq!(daemon.namespaces(), expected);
    let text = daemon.stats_text();
    assert!(text.contains("\"caf%C3%A9\":{\"created\":"), "{text}");
    assert!(text.contains("\"__proto__\":{\"created\":"), "{text}");
    assert!(text.contains("\"\\\"quoted\\\"\":{\"created\":"), "{text}");
}

#[test]
fn the_stats_of_many_namespaces_arrive_whole() {
    let daemon = Daemon::start(&["--notify-min-delay", "600", "--namespace-clean-delay", "600"]);
    let long = "n".repeat(250);
    for number in 0..250 {
        member(&daemon, &format!("/{number}{long}"));
    }
    assert!(daemon.stats_text().len() > 250 * 250);
    assert_eq!(daemon.namespaces().len(), 250);
    assert!(get(daemon.stats_port(), "/").body.len() > 250 * 250);
}

#[test]
fn members_goes_down_and_connections_only_up_until_the_namespace_is_forgotten() {
    let daemon = Daemon::start(&["--namespace-clean-delay", "1"]);
    let streams = members(&daemon, "/brief", 2);
    let created = daemon.stat("brief", "created");
    drop(streams);
    daemon.wait_members("brief", 0);
    assert_eq!(daemon.stat("brief", "connections"), Some(2));

    // Who comes back in time finds the same namespace.
    let stream = member(&daemon, "/brief").0;
    assert_eq!(daemon.stat("brief", "created"), created);
    assert_eq!(daemon.stat("brief", "connections"), Some(3));
    drop(stream);
    let before = now();
    wait_until("the namespace is forgotten", || daemon.namespaces().is_empty());
    assert!(before.elapsed() + ms(200) >= ms(1_000), "after {:?}", before.elapsed());
    member(&daemon, "/brief");
    assert_eq!(daemon.stat("brief", "connections"), Some(1));
}

#[test]
fn a_namespace_with_a_member_is_not_forgotten() {
    let daemon = Daemon::start(&["--namespace-clean-delay", "0.2", "--notify-max-delay", "600"]);
    let (mut stays, _) = member(&daemon, "/kept");
    drop(member(&daemon, "/kept"));
    drop(member(&daemon, "/other"));
    wait_until("the other is forgotten", || daemon.namespaces() == ["kept"]);
    stays.next_event(ms(300));
    assert_eq!(daemon.stat("kept", "connections"), Some(2));
}

#[test]
fn stats_are_refused_to_a_page_elsewhere_and_given_to_who_is_here() {
    let daemon = Daemon::start(&[]);
    let address = daemon.stats_port();
    for headers in FOREIGN {
        let reply = exchange(address, request("GET", "/", headers));
        assert_eq!(reply.status, 403, "{headers:?}: {reply:?}");
        assert!(!reply.body.contains('{'), "{reply:?}");
    }
    for headers in local(address) {
        let reply = exchange(address, request("GET", "/", &headers));
        assert_eq!((reply.status, reply.body.trim()), (200, "{}"), "{headers:?}");
    }
    assert_eq!(exchange(address, "GET\r\n\r\n").status, 400);
}

#[test]
fn other_paths_of_the_stats_port_say_which_there_are() {
    let daemon = Daemon::start(&[]);
    let address = daemon.stats_port();
    for target in ["/x", "/cluster/", "/process/x", "//"] {
        let reply = get(address, target);
        assert_eq!(
            (reply.status, reply.body.as_str()),
            (
                404,
                "there are /, /?watch=<names>, /namespace/<namespace>, /history/<namespace>, /cluster, /process, /metrics, \
                 /healthz, /readyz and /grafana.json here\n"
            ),
            "{target}"
        );
    }
    for (target, headers) in [("/process", FOREIGN[0]), ("/cluster", FOREIGN[11])] {
        assert_eq!(exchange(address, request("GET", target, headers)).status, 403, "{target}");
    }
}
