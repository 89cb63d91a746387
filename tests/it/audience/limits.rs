//! How much of everything there may be, and what is answered past it; and whose word is taken for where somebody is from.
//!
//! Clients have addresses of their own in 127.0.0.0/8, and are seen to have them.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::process::Command;

use audience_kit::*;

/// So seldom is a count told that each that comes was asked for.
const QUIET: [&str; 2] = ["--notify-min-delay", "0.05"];

const HERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 5);
const THERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 6);
const PROXY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);

fn start(options: &[&str]) -> Daemon {
    Daemon::start(&[&QUIET[..], options].concat())
}

/// A connection from this address.
fn connect(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = connect_from(from, SocketAddrV4::new(Ipv4Addr::LOCALHOST, to.port())).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    socket
}

/// A member from this address, whose connection begins with these bytes before its request.
#[track_caller]
fn join_with(daemon: &Daemon, from: Ipv4Addr, preface: &[u8], target: &str, fields: &str) -> Stream {
    let mut socket = connect(from, daemon.audience());
    socket.write_all(&[preface, join_request(target, fields).as_bytes()].concat()).unwrap();
    let mut stream = Stream::over(socket);
    assert!(matches!(stream.next(SOON), Some(Event::Retry(2_000..=10_000))));
    stream
}

#[track_caller]
fn join_from(daemon: &Daemon, from: Ipv4Addr, target: &str) -> Stream {
    join_with(daemon, from, b"", target, "")
}

/// The retry of somebody for whom there is no room.
#[track_caller]
fn is_turned_away(daemon: &Daemon, target: &str) {
    let mut stream = Stream::join(daemon.audience(), target);
    assert!(matches!(stream.next(SOON), Some(Event::Retry(30_000..=60_000))));
    stream.expect_closed();
}

#[track_caller]
fn is_sent_away(stream: &mut Stream) {
    wait_for("the farewell", || (stream.next(SOON)? == Event::Farewell).then_some(()));
}

/// How many are counted and how many are not.
#[track_caller]
fn wait_present(daemon: &Daemon, namespace: &str, present: (u64, u64)) {
    wait_until(&format!("{present:?} in {namespace}, counted and not"), || {
        let now = ["members", "uncounted"].map(|key| daemon.stat(namespace, key));
        now == [Some(present.0), Some(present.1)]
    });
}

#[test]
fn past_max_connections_the_newest_is_turned_away() {
    let daemon = start(&["--max-connections", "3"]);
    let room = daemon.wait_log("how much room there is", |line| line.contains("event=room"));
    assert!(room.ends_with("members_max=3"), "{room}");
    let mut inside = members(&daemon, "/ns", 3);
    is_turned_away(&daemon, "/ns");
    is_turned_away(&daemon, "/other");
    assert_eq!(daemon.stat("ns", "members"), Some(3));
    assert_eq!(process_page(&daemon)["refused"]["members"], 2);
    inside.pop();
    daemon.wait_members("ns", 2);
    assert_eq!(member(&daemon, "/ns").1, 3);
}

#[test]
fn more_connections_than_there_are_descriptors_for_are_refused_at_the_start() {
    let program = program();
    let line = format!("ulimit -n 64; exec {program} -w 1 --port {} --max-connections 1000", free_port());
    let output = Command::new("sh").args(["-c", &line]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = lossy(&output.stderr);
    assert!(said.contains("--max-connections 1000: 64 descriptors are enough for 14;"), "{said}");
}

#[test]
fn the_limit_of_descriptors_is_raised_as_far_as_it_may_be_and_told() {
    let daemon = Daemon::start_after("ulimit -Sn 64; ulimit -Hn 3000", &[]);
    let room = daemon.wait_log("how much room there is", |line| line.contains("event=room"));
    assert!(room.ends_with("descriptors=3000 members_max=2897"), "{room}");
}

#[test]
fn past_max_namespaces_no_event_with_members_makes_room_and_one_without_does() {
    let daemon = start(&["--max-namespaces", "2", "--namespace-clean-delay", "600"]);
    let _a = member(&daemon, "/a").0;
    let b = member(&daemon, "/b").0;
    is_turned_away(&daemon, "/c");
    assert_eq!(member(&daemon, "/a").1, 2);
    assert_eq!(daemon.namespaces(), ["a", "b"]);
    assert_eq!(process_page(&daemon)["refused"]["namespaces"], 1);
    drop(b);
    daemon.wait_members("b", 0);
    assert_eq!(member(&daemon, "/c").1, 1);
    assert_eq!(daemon.namespaces(), ["a", "c"]);
    daemon.wait_log("the report", |line| line.contains("event=ended") && line.contains("\\\"b\\\""));
    daemon.wait_log("that it was forgotten early", |line| {
        line.starts_with("level=warn event=namespaces_evicted number=1")
    });
    let metrics = daemon.stats_page("/metrics").body;
    assert!(
        metrics.lines().any(|line| line.starts_with("audience_meter_namespaces_evicted_total") && line.ends_with(" 1"))
    );
}

#[test]
fn names_that_one_client_makes_up_take_the_place_of_each_other() {
    let daemon = start(&["--max-namespaces", "4", "--namespace-clean-delay", "600"]);
    drop(members(&daemon, "/yesterday", 2));
    daemon.wait_members("yesterday", 0);
    let today = member(&daemon, "/today").0;
    for number in 0..50 {
        let name = format!("made-up-{number}");
        drop(member(&daemon, &format!("/{name}")));
        daemon.wait_members(&name, 0);
    }
    assert_eq!(daemon.namespaces(), ["made-up-48", "made-up-49", "today", "yesterday"]);
    assert_eq!(member(&daemon, "/tomorrow").1, 1);
    assert_eq!(daemon.namespaces(), ["made-up-49", "today", "tomorrow", "yesterday"]);
    drop(today);
}

#[test]
fn an_address_makes_no_more_events_than_it_may_until_some_are_forgotten() {
    let options = ["--max-namespaces-per-ip", "2", "--namespace-clean-delay", "0.3", "--trust-proxy", "127.0.0.9"];
    let daemon = start(&options);
    let first = join_from(&daemon, HERE, "/a");
    let second = join_from(&daemon, HERE, "/b");
    let is_turned_away = |from, preface: &[u8]| {
        let mut socket = connect(from, daemon.audience());
        socket.write_all(&[preface, join_request("/c", "").as_bytes()].concat()).unwrap();
        let mut stream = Stream::over(socket);
        assert!(matches!(stream.next(SOON), Some(Event::Retry(30_000..=60_000))));
        stream.expect_closed();
    };
    is_turned_away(HERE, b"");
    // A proxy speaks for its clients, each of which is an address.
    is_turned_away(PROXY, b"PROXY TCP4 127.0.0.5 192.0.2.200 56324 80\r\n");
    assert_eq!(process_page(&daemon)["refused"]["address_namespaces"], 2);
    let guest = join_from(&daemon, HERE, "/a");
    let other = join_with(&daemon, PROXY, b"PROXY TCP4 192.0.2.1 192.0.2.200 56324 80\r\n", "/d", "");
    let there = join_from(&daemon, THERE, "/b");
    // The event of a maker that has left goes on, and is the maker's.
    drop(second);
    daemon.wait_members("b", 1);
    is_turned_away(HERE, b"");
    drop(there);
    wait_until("that one is forgotten", || daemon.namespaces() == ["a", "d"]);
    let third = join_from(&daemon, HERE, "/c");
    assert_eq!(daemon.namespaces(), ["a", "c", "d"]);
    drop((first, guest, other, third));
    wait_until("that all are forgotten", || daemon.namespaces().is_empty());
    drop((join_from(&daemon, HERE, "/e"), join_from(&daemon, HERE, "/f")));
}

#[test]
fn past_max_name_length_a_name_is_refused() {
    let daemon = start(&["--max-name-length", "8", "--enable-uuid"]);
    let status = |target: &str| exchange(daemon.audience(), join_request(target, "")).status;
    assert_eq!((status("/123456789"), status("/a/123456789")), (414, 414));
    assert_eq!(member(&daemon, "/12345678/12345678").1, 1);
    assert_eq!(daemon.namespaces(), ["12345678"]);
}

#[test]
fn past_the_limit_of_an_address_a_member_is_served_and_not_counted() {
    let daemon = start(&["--max-conn-per-ip", "2"]);
    let mut here: Vec<Stream> = (0..4).map(|_| join_from(&daemon, HERE, "/ns")).collect();
    wait_present(&daemon, "ns", (2, 2));
    let mut there = join_from(&daemon, THERE, "/ns");
    wait_present(&daemon, "ns", (3, 2));
    there.wait_count(3);
    for stream in &mut here {
        stream.wait_count(3);
    }
    daemon.notify("/ns/news/on").expect_confirmed();
    for stream in here.iter_mut().chain([&mut there]) {
        wait_for("the message", || (stream.next(SOON)? == Event::Message("news=on".to_owned())).then_some(()));
    }
    // Who waits longest is counted when there is a place, in whatever namespace that was.
    drop(here.remove(0));
    wait_present(&daemon, "ns", (3, 1));
    assert_eq!(daemon.stat("ns", "connections"), Some(4));
    let mut other = join_from(&daemon, HERE, "/other");
    wait_present(&daemon, "other", (0, 1));
    drop(here);
    wait_present(&daemon, "ns", (1, 0));
    wait_present(&daemon, "other", (1, 0));
    other.expect_count(1);
}

#[test]
fn who_claims_a_uuid_again_takes_the_place_that_it_had() {
    let daemon = start(&["--max-conn-per-ip", "1", "--enable-uuid", "--notify-delta-ratio", "0"]);
    let mut other = join_from(&daemon, THERE, "/ns/other");
    other.expect_count(1);
    let mut first = join_from(&daemon, HERE, "/ns/me");
    first.expect_count(2);
    other.wait_count(2);
    for _ in 0..3 {
        let mut second = join_from(&daemon, HERE, "/ns/me");
        second.expect_count(2);
        is_sent_away(&mut first);
        wait_present(&daemon, "ns", (2, 0));
        first = second;
    }
    // Who says that it leaves makes its place for the one that waits.
    let _waits = join_from(&daemon, HERE, "/ns");
    wait_present(&daemon, "ns", (2, 1));
    get(daemon.audience(), "/ns/me").expect_empty();
    first.wait_left();
    wait_present(&daemon, "ns", (2, 0));
    daemon.notify("/ns/all/told").expect_confirmed();
    loop {
        match other.next(SOON) {
            Some(Event::Count(total)) => assert_eq!(total, 2, "nobody has left"),
            last => break assert_eq!(last, Some(Event::Message("all=told".to_owned()))),
        }
    }
}

#[test]
fn who_has_reset_its_connection_is_not_counted_for_want_of_an_address() {
    let daemon = start(&["--max-conn-per-ip", "1"]);
    let _first = join_from(&daemon, HERE, "/ns");
    daemon.signal("STOP");
    for _ in 0..10 {
        let mut socket = connect(HERE, daemon.audience());
        socket.write_all(join_request("/ns", "").as_bytes()).unwrap();
        reset_on_close(&socket);
    }
    daemon.signal("CONT");
    // By the time that the last one is in, all before it have been.
    let _last = join_from(&daemon, THERE, "/ns");
    assert_eq!(daemon.stat("ns", "connections"), Some(2));
}

#[test]
fn members_of_an_address_come_and_go_by_the_hundred_and_nothing_of_them_is_left() {
    let mut daemon = start(&["--max-conn-per-ip", "2", "--trust-proxy", "127.0.0.9", "--drain-delay", "0.2"]);
    let head = b"PROXY TCP4 192.0.2.1 192.0.2.200 56324 80\r\n";
    let mut crowd: Vec<Stream> = (0..300).map(|_| join_with(&daemon, PROXY, head, "/ns", "")).collect();
    wait_present(&daemon, "ns", (2, 298));
    drop(crowd.split_off(100));
    wait_present(&daemon, "ns", (2, 98));
    // These end before their head from the proxy is whole, or their request.
    for cut in [0, 1, 20, head.len(), head.len() + 10] {
        let whole = [head, join_request("/ns", "").as_bytes()].concat();
        connect(PROXY, daemon.audience()).write_all(&whole[..cut]).unwrap();
    }
    drop(crowd);
    wait_present(&daemon, "ns", (0, 0));
    // The daemon looks itself, when nobody is there, whether something is left of somebody; and once more at its end.
    wait_until("that only who asks is there", || process_page(&daemon)["open"] == 1);
    let _inside: Vec<Stream> = (0..9).map(|_| join_with(&daemon, PROXY, head, "/ns", "")).collect();
    let mut begun = connect(PROXY, daemon.audience());
    begun.write_all(&head[..9]).unwrap();
    wait_present(&daemon, "ns", (2, 7));
    daemon.signal("TERM");
    assert_eq!(daemon.wait_exit().code(), Some(0));
}

#[test]
fn all_nodes_tell_of_those_who_are_not_counted() {
    let port = free_port();
    let (first, second) = {
        let options = ["--port", &port.to_string(), "--max-conn-per-ip", "1", "--cluster-notify-interval", "0.1"];
        (start(&options), start(&options))
    };
    let _present: Vec<Stream> = (0..8).map(|_| join_from(&first, HERE, "/ns")).collect();
    // Each counts one, if the kernel gave it any.
    let total = |daemon: &Daemon| Some((daemon.stat("ns", "members")?, daemon.stat("ns", "uncounted")?));
    wait_until("that both tell of all eight", || {
        let told = total(&first);
        told == total(&second) && told.is_some_and(|(members, rest)| members + rest == 8 && members <= 2)
    });
}

#[test]
fn a_trusted_proxy_says_in_its_head_for_whom_it_connects() {
    let daemon = start(&["--max-conn-per-ip", "1", "--trust-proxy", "127.0.0.9"]);
    let v1 = b"PROXY TCP4 192.0.2.1 192.0.2.200 56324 80\r\n";
    let v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x02\xc0\0\x02\xc8\xdc\x04\0\x50";
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    let mut streams = Vec::new();
    for (preface, present) in
        [(&v1[..], (1, 0)), (v1, (1, 1)), (v2, (2, 1)), (v2, (2, 2)), (b"", (3, 2)), (local, (3, 3))]
    {
        streams.push(join_with(&daemon, PROXY, preface, "/ns", ""));
        wait_present(&daemon, "ns", present);
    }
    // Whoever says so itself is not believed.
    let mut liar = connect(HERE, daemon.audience());
    liar.write_all(&[v1, join_request("/ns", "").as_bytes()].concat()).unwrap();
    assert_eq!(Reply::parse(&read_to_end(&mut liar)).status, 400);
    wait_present(&daemon, "ns", (3, 3));
}

#[test]
fn a_proxy_head_may_come_in_pieces_and_a_wrong_one_ends_the_connection() {
    let daemon = start(&["--max-conn-per-ip", "1", "--trust-proxy", "127.0.0.0/29,127.0.0.8/30"]);
    let whole = ["PROXY TCP6 2001:db8::1 2001:db8::2 4124 443\r\n", &join_request("/ns", "")].concat();
    for cut in [1, 6, 20, 43, 44, 45, 46, 60] {
        let mut socket = connect(PROXY, daemon.audience());
        let (first, rest) = whole.as_bytes().split_at(cut);
        socket.write_all(first).unwrap();
        // It has been read once the next one, which comes later, is in.
        let open = || process_page(&daemon)["open"].as_u64().unwrap();
        wait_until("that it is there", || open() >= 2);
        socket.write_all(rest).unwrap();
        let mut stream = Stream::over(socket);
        assert!(matches!(stream.next(SOON), Some(Event::Retry(_))));
        stream.expect_count(1);
        drop(stream);
        daemon.wait_members("ns", 0);
    }
    for wrong in ["PROXY TCP5 x\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 99999 80\r\n", "\r\n\r\n\0\r\nQUIT\n\x31\x11\0\0"]
    {
        let mut socket = connect(PROXY, daemon.audience());
        socket.write_all(wrong.as_bytes()).unwrap();
        assert_eq!(lossy(&read_to_end(&mut socket)), "", "{wrong:?}");
    }
    wait_until("that they are counted", || process_page(&daemon)["closed"]["proxy_head"] == 3);
}

#[test]
fn a_trusted_proxy_s_x_forwarded_for_is_believed_and_a_client_s_is_not() {
    let daemon = start(&["--max-conn-per-ip", "1", "--trust-proxy", "127.0.0.8/30"]);
    let forwarded = |from, list: &str| join_with(&daemon, from, b"", "/ns", &format!("X-Forwarded-For: {list}\r\n"));
    let mut streams = Vec::new();
    for (from, list, present) in [
        (PROXY, "192.0.2.1", (1, 0)),
        (PROXY, "192.0.2.1", (1, 1)),
        (PROXY, "192.0.2.2, 192.0.2.1", (1, 2)),
        (PROXY, "192.0.2.1, 192.0.2.2, 127.0.0.8", (2, 2)),
        (HERE, "192.0.2.3", (3, 2)),
        (HERE, "192.0.2.4", (3, 3)),
        (PROXY, "nobody", (4, 3)),
        (PROXY, "", (4, 4)),
    ] {
        streams.push(forwarded(from, list));
        wait_present(&daemon, "ns", present);
    }
}

#[test]
fn the_demo_port_takes_a_proxy_head_and_the_local_ports_do_not() {
    let daemon = start(&["--trust-proxy", "127.0.0.0/8"]);
    let ask = |to| {
        let mut socket = connect(PROXY, to);
        let head = "PROXY TCP4 192.0.2.1 192.0.2.200 56324 80\r\n";
        socket.write_all([head, &request("GET", "/", "Host: localhost\r\n")].concat().as_bytes()).unwrap();
        Reply::parse(&read_to_end(&mut socket)).status
    };
    assert_eq!([daemon.demo(), daemon.stats_port(), daemon.notification()].map(ask), [200, 400, 400]);
}
