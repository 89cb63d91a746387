//! The side ports: stats raw and over HTTP, the pages beside them, notification, and the demo; what
//! each serves, to whom, and where they listen. Stats and notification are for this machine alone, and
//! a web page that reaches them through somebody's browser is refused.

use std::fs::Permissions;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use audience_kit::{
    Daemon, Event, Reply, SOON, Stream, TICK, connect, exchange, get, has_ipv6, isolate, join_request, lossy, member,
    members, ms, now, program, read_to_end, request, unix_now, wait_until,
};

/// What a web page elsewhere makes a browser send.
const FOREIGN: [&str; 12] = [
    "Host: evil.example\r\n",
    "Host: evil.example:1442\r\n",
    "Host: localhost.evil.example\r\n",
    "Host: 127.0.0.1.evil.example\r\n",
    "Host: evil-localhost\r\n",
    "Host: 192.0.2.1\r\n",
    "Host: localhost\r\nOrigin: http://evil.example\r\n",
    "Host: localhost\r\nOrigin: http://localhost.evil.example\r\n",
    "Host: localhost\r\nOrigin: null\r\n",
    "Host: localhost\r\nSec-Fetch-Site: cross-site\r\n",
    "Host: localhost\r\nsec-fetch-site:cross-site\r\n",
    "Host: localhost\r\nOrigin: http://localhost\r\nSec-Fetch-Site: cross-site\r\n",
];

/// What somebody on this machine sends, for the port of `address`.
fn local(address: SocketAddr) -> [String; 6] {
    let port = address.port();
    [
        format!("Host: localhost:{port}\r\n"),
        "Host: localhost\r\n".to_owned(),
        format!("Host: 127.0.0.1:{port}\r\n"),
        format!("Host: [::1]:{port}\r\n"),
        format!("Host: LocalHost:{port}\r\nSec-Fetch-Site: none\r\n"),
        format!("Host: localhost:{port}\r\nSec-Fetch-Site: same-origin\r\n"),
    ]
}

// ---------------------------------------------------------------------------------------------
// Stats
// ---------------------------------------------------------------------------------------------

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
    assert!(since + TICK >= ms(50), "HTTP had only {since:?}");
}

#[test]
fn a_client_that_ends_its_sending_side_gets_raw_stats_at_once() {
    let daemon = Daemon::start(&[]);
    // The best of ten: a busy machine delays some, a timer of 50 ms would delay all.
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
    let raw = daemon.stats();
    let head = format!("GET / HTTP/1.0\r\nHost: {address}\r\n\r\n");
    for request in [request("GET", "/", &format!("Host: {address}\r\n")), head] {
        let reply = exchange(address, &request);
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(reply.header("Content-Type"), Some("application/json"), "{reply:?}");
        assert_eq!(reply.header("Connection"), Some("close"), "{reply:?}");
        assert_eq!(serde_json::from_str::<Value>(&reply.body).unwrap(), raw);
    }
    drop(stream);
}

#[test]
fn a_stats_client_that_has_begun_to_speak_http_may_take_its_time() {
    let daemon = Daemon::start(&[]);
    let mut socket = connect(daemon.stats_port());
    socket.write_all(b"GET / HT").unwrap();
    // Long past the time after which a silent client gets raw stats, and nothing comes.
    socket.set_read_timeout(Some(ms(150))).unwrap();
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

/// What `/process` says.
#[track_caller]
fn process(daemon: &Daemon) -> Value {
    let address = daemon.stats_port();
    let reply = exchange(address, request("GET", "/process", &format!("Host: {address}\r\n")));
    assert_eq!((reply.status, reply.header("Content-Type")), (200, Some("application/json")), "{reply:?}");
    assert!(reply.body.ends_with("}\n"), "{reply:?}");
    serde_json::from_str(&reply.body).unwrap()
}

/// How many turns each bucket has, after a look at its bounds.
#[track_caller]
fn turns_by_length(page: &Value) -> Vec<u64> {
    let histogram = page["turns"]["histogram"].as_array().unwrap();
    let bounds: Vec<Option<u64>> = histogram.iter().map(|bucket| bucket["below_us"].as_u64()).collect();
    let powers = (4..=14).map(|power| Some(1 << power));
    assert_eq!(bounds, powers.chain([None]).collect::<Vec<_>>());
    histogram.iter().map(|bucket| bucket["turns"].as_u64().unwrap()).collect()
}

#[test]
fn the_process_page_says_who_answers_how_full_it_is_and_how_long_its_turns_were() {
    let daemon = Daemon::start(&["--notify-min-delay", "600"]);
    let before = process(&daemon);
    let open = members(&daemon, "/watched", 3);
    let _silent = connect(daemon.audience());
    // Connections are accepted in order: this one comes after the silent one.
    let _other = member(&daemon, "/other");
    // The one that asks is open, too.
    wait_until("that earlier ones are gone", || process(&daemon)["open"] == 6);
    let page = process(&daemon);
    let cluster: Value = serde_json::from_str(&get(daemon.stats_port(), "/cluster").body).unwrap();
    assert_eq!(page["audience_port"], daemon.audience().port());
    assert_eq!((&page["node"], &page["pid"]), (&cluster["node"], &daemon.pid().into()));
    assert_eq!((&page["members"], &before["members"]), (&4.into(), &0.into()));
    assert!(page["uptime_s"].as_u64() < Some(3_600), "{page}");
    let keys =
        ["audience_port", "closed", "members", "node", "open", "pid", "refused", "turns", "uptime_s", "watchers"];
    assert!(page.as_object().unwrap().keys().eq(keys), "{page}");

    let count = |page: &Value| page["turns"]["count"].as_u64().unwrap();
    assert!(count(&page) > count(&before), "{before} {page}");
    assert_eq!(turns_by_length(&page).iter().sum::<u64>(), count(&page));
    let longest = page["turns"]["longest_us"].as_u64().unwrap();
    assert!(longest >= before["turns"]["longest_us"].as_u64().unwrap());
    // The longest is in the last bucket that has any.
    let last = turns_by_length(&page).iter().rposition(|&turns| turns > 0).unwrap();
    let bound = page["turns"]["histogram"][last]["below_us"].as_u64();
    assert!(bound.is_none_or(|bound| longest < bound) && (last == 0 || longest >= 8 << last), "{page}");
    drop(open);
    wait_until("that they have left", || process(&daemon)["members"] == 1);
}

#[test]
fn closes_are_counted_by_reason() {
    let daemon = Daemon::start(&["--notify-min-delay", "600", "--max-conn-duration", "2", "--head-timeout", "0.3"]);
    let before = process(&daemon)["closed"].clone();
    let reasons = [
        "lingered",
        "max_duration",
        "no_head_room",
        "no_memory",
        "peer_closed",
        "peer_reset",
        "peer_timeout",
        "proxy_head",
        "shutdown",
        "too_much",
        "too_slow",
    ];
    assert!(before.as_object().unwrap().keys().eq(reasons), "{before}");
    let since = |reason: &str| process(&daemon)["closed"][reason].as_u64().unwrap() - before[reason].as_u64().unwrap();
    // Each of those who ask closes in turn, so this reason is only ever more.
    drop(members(&daemon, "/left", 3));
    wait_until("those who left", || since("peer_closed") >= 3);
    let mut stays = members(&daemon, "/stays", 2);
    // With something unread, the kernel sends a reset.
    let unread = connect_unread(&daemon);
    drop(unread);
    wait_until("the one who broke off", || since("peer_reset") == 1);
    for stream in &mut stays {
        stream.expect_closed();
    }
    wait_until("those who stayed", || since("max_duration") == 2);
    // One who is told that its head is late, and does not close.
    let _silent = connect(daemon.audience());
    wait_until("the one who lingers", || since("lingered") == 1);
    assert_eq!((since("too_slow"), since("too_much"), since("peer_timeout")), (0, 0, 0));
}

/// A member that has not read what it was told.
#[track_caller]
fn connect_unread(daemon: &Daemon) -> TcpStream {
    let mut socket = connect(daemon.audience());
    socket.write_all(join_request("/unread", "").as_bytes()).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    assert!(socket.peek(&mut [0; 64]).unwrap() > 0);
    socket
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

// ---------------------------------------------------------------------------------------------
// Notification
// ---------------------------------------------------------------------------------------------

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
        exchange(address, request(method, target, &host)).expect_empty();
        stream.expect(&Event::Message(expected.to_owned()));
    }
}

#[test]
fn a_notification_to_an_unknown_namespace_is_200_and_creates_nothing() {
    let daemon = Daemon::start(&[]);
    for target in ["/nobody/chat/hello", "/constructor/chat/hello", "/__proto__/chat/"] {
        daemon.notify(target).expect_empty();
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

/// A file with a secret, gone with the test.
struct SecretFile(PathBuf);

impl SecretFile {
    fn new(name: &str, secret: &str, mode: u32) -> Self {
        let path = std::env::temp_dir().join(format!("audience-meter-{}-{name}", std::process::id()));
        std::fs::write(&path, secret).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        Self(path)
    }

    fn option(&self) -> String {
        format!("--notification-token-file={}", self.0.display())
    }
}

impl Drop for SecretFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn with_a_token_messages_are_taken_from_elsewhere_and_from_nobody_without() {
    let file = SecretFile::new("token", "the-token-of-this-audience\n", 0o600);
    let daemon = Daemon::start(&[&file.option(), "--notification-host=0.0.0.0", "--notify-min-delay=600"]);
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
        let file = SecretFile::new(name, secret, mode);
        let mut command = Command::new(program());
        let ports = ["-w=1", "--port=0", "--stats-port=0", "--demo-port=0", "--notification-port=0"];
        let output = isolate(&mut command).args(ports).arg(file.option()).output().unwrap();
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
    daemon.notify(&format!("{name}/s%0A%0Adata:/1%0Ddata:2")).expect_empty();
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
        exchange(address, request("GET", "/ns/chat/local", &headers)).expect_empty();
        stream.expect(&Event::Message("chat=local".to_owned()));
    }
}

// ---------------------------------------------------------------------------------------------
// Demo
// ---------------------------------------------------------------------------------------------

/// A page or script of the demo port, which serves whoever asks by whatever name.
#[track_caller]
fn demo(daemon: &Daemon, target: &str, kind: &str) -> Reply {
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
    for target in ["/client/audience.js", "/client/audience.min.js", "/client/jquery.audience.js"] {
        let body = demo(&daemon, target, "text/javascript").body;
        assert_eq!(body, get(daemon.audience(), target).body, "{target}");
    }
}

// ---------------------------------------------------------------------------------------------
// Where they listen
// ---------------------------------------------------------------------------------------------

/// An address of this machine that is not the loopback one, if it has a way out.
fn address_of_this_machine() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // Connecting a datagram socket sends nothing: it only chooses the route.
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_loopback() && !ip.is_unspecified()).then_some(ip)
}

#[test]
fn stats_and_notification_listen_on_the_loopback_interface_alone() {
    let daemon = Daemon::start(&[]);
    for port in ["stats", "notification"] {
        let addresses = daemon.listening(port);
        assert!(addresses.iter().all(|address| address.ip().is_loopback()), "{port}: {addresses:?}");
        let families = addresses.iter().map(SocketAddr::is_ipv6).collect::<Vec<_>>();
        assert_eq!(families, if has_ipv6() { vec![false, true] } else { vec![false] });
        for address in addresses {
            connect(address);
        }
    }
    let Some(ip) = address_of_this_machine() else {
        return;
    };
    let reaches = |port: SocketAddr| TcpStream::connect_timeout(&(ip, port.port()).into(), SOON).is_ok();
    assert!(reaches(daemon.audience()) && reaches(daemon.demo()));
    assert!(!reaches(daemon.stats_port()) && !reaches(daemon.notification()));
}

#[test]
fn both_loopback_addresses_answer() {
    let daemon = Daemon::start(&[]);
    for address in daemon.listening("stats") {
        assert_eq!(get(address, "/").body.trim(), "{}", "{address}");
    }
    for address in daemon.listening("notification") {
        get(address, "/ns/service/text").expect_empty();
    }
}

#[test]
fn a_side_port_of_0_is_not_opened() {
    let all = ["--stats-port", "0", "--notification-port", "0", "--demo-port", "0"];
    let daemon = Daemon::start(&all);
    for port in ["stats", "notification", "demo"] {
        assert_eq!(daemon.listening(port), [], "{port}");
    }
    Stream::join(daemon.audience(), "/alone").expect_count(1);
    let daemon = Daemon::start(&all[..2]);
    assert_eq!(daemon.listening("stats"), []);
    assert_eq!(get(daemon.notification(), "/a/b/c").status, 200);
    demo(&daemon, "/", "text/html");
}

#[test]
fn head_on_a_side_port_gets_the_head_alone() {
    let daemon = Daemon::start(&[]);
    let (stats, notification, demo) = (daemon.stats_port(), daemon.notification(), daemon.demo());
    let cases = [
        (stats, "/"),
        (stats, "/cluster"),
        (stats, "/process"),
        (notification, "/ns/service/text"),
        (demo, "/"),
        (demo, "/test"),
        (demo, "/client/audience.js"),
    ];
    for (address, target) in cases {
        let reply = exchange(address, request("HEAD", target, "Host: localhost\r\n"));
        assert_eq!((reply.status, reply.body.as_str()), (200, ""), "{target}: {reply:?}");
    }
}

#[test]
fn a_join_on_a_side_port_is_no_join() {
    let daemon = Daemon::start(&[]);
    for address in [daemon.stats_port(), daemon.notification(), daemon.demo()] {
        let mut socket = connect(address);
        let request = join_request("/side", "").replace("audience.test", &address.to_string());
        socket.write_all(request.as_bytes()).unwrap();
        let text = lossy(&read_to_end(&mut socket));
        assert!(!text.contains("Content-Type: text/event-stream"), "{text}");
    }
    assert_eq!(daemon.namespaces(), Vec::<String>::new());
}
