//! Many processes, one audience: on one host, over the loopback bus, processes that share a port tell the same truth.
//!
//! Proven here, against the real binary: totals, messages and uuid claims cross processes, whichever of them answers;
//! what a process counted leaves with it, at once when it says goodbye and within the timeout when it cannot;
//! `connections` never falls; audiences that are not the same stay apart; and what strangers put on the bus is dropped,
//! counted by reason, and changes nothing.
//!
//! Each process has side ports of its own where a test asks one in particular, and `connect_to` finds a connection that
//! the kernel gave to a process that is wanted.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use audience_kit::{
    Daemon, Deadline, Event, SOON, Stream, connect, free_port, get, isolate, join_request, ms, now, program,
    read_to_end, request, wait_for, wait_until,
};

/// Changes are told every moment, and a silent process is soon forgotten.
const BRISK: [&str; 4] = ["--cluster-notify-interval", "0.1", "--cluster-node-timeout", "1.5"];

/// The timeout in `BRISK`.
const BRISK_TIMEOUT: Duration = ms(1500);

/// What is known soon was told soon, and nobody is forgotten for silence.
const PATIENT: [&str; 4] = ["--cluster-notify-interval", "60", "--cluster-node-timeout", "600"];

/// What "at once" may take on a busy machine. Far below the intervals in `PATIENT`.
const MOMENT: Duration = Duration::from_secs(1);

/// The group of the loopback bus.
const LOOPBACK_GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 13, 37);

// ---------------------------------------------------------------------------------------------
// Processes of one audience
// ---------------------------------------------------------------------------------------------

#[track_caller]
fn start(options: &[&str]) -> Daemon {
    Daemon::start(&[&["-w", "1"], options].concat())
}

/// One more process of the audience of `first`, with side ports of its own.
#[track_caller]
fn beside(first: &Daemon, options: &[&str]) -> Daemon {
    let port = first.audience().port().to_string();
    start(&[&["--port", &port], options].concat())
}

/// Processes that all know of each other.
#[track_caller]
fn audience<const COUNT: usize>(options: &[&str]) -> [Daemon; COUNT] {
    let mut daemons = vec![start(options)];
    while daemons.len() < COUNT {
        daemons.push(beside(&daemons[0], options));
    }
    for daemon in &daemons {
        wait_nodes(daemon, COUNT as u64);
    }
    daemons.try_into().ok().unwrap()
}

/// What `/cluster` says.
#[track_caller]
fn cluster(daemon: &Daemon) -> Value {
    let reply = daemon.stats_page("/cluster");
    assert_eq!(reply.status, 200, "{reply:?}");
    serde_json::from_str(&reply.body).unwrap()
}

/// How many nodes the process knows of, itself included.
#[track_caller]
fn nodes(daemon: &Daemon) -> u64 {
    cluster(daemon)["nodes"].as_u64().unwrap()
}

#[track_caller]
fn wait_nodes(daemon: &Daemon, count: u64) {
    wait_until(&format!("{count} nodes"), || nodes(daemon) == count);
}

/// How many datagrams the process has dropped for a reason.
#[track_caller]
fn dropped(daemon: &Daemon, reason: &str) -> u64 {
    cluster(daemon)["datagrams"]["dropped"][reason].as_u64().unwrap_or(0)
}

/// The name under which the process tells its counts, from its log.
#[track_caller]
fn node_name(daemon: &Daemon) -> String {
    let line = daemon.wait_log("the cluster", |line| line.contains(" event=cluster "));
    let mut fields = line.split(' ').filter_map(|field| field.split_once('='));
    fields.find(|(key, _)| *key == "node").unwrap().1.to_owned()
}

/// All of them say that so many members are in the namespace.
#[track_caller]
fn wait_totals(daemons: &[Daemon], namespace: &str, members: u64) {
    for daemon in daemons {
        daemon.wait_members(namespace, members);
    }
}

/// Fails unless `condition` comes true in much less than the time that the options allow for anything slow.
#[track_caller]
fn within(limit: Duration, what: &str, condition: impl FnMut() -> bool) {
    let begun = now();
    wait_until(what, condition);
    let taken = now() - begun;
    assert!(taken < limit, "{what}: {taken:?}");
}

/// How many connections are tried at a time: few enough to be dropped again, enough that one of four processes gets one
/// nine times of ten. Each look at the kernel's tables is slow where other tests hold thousands of sockets open.
const TRIES_AT_ONCE: usize = 8;

/// A connection to the audience port that this process has accepted, of all that share the port.
#[track_caller]
fn connect_to(daemon: &Daemon) -> TcpStream {
    wait_for("a connection to that process", || {
        let sockets: Vec<TcpStream> = (0..TRIES_AT_ONCE).map(|_| connect(daemon.audience())).collect();
        let accepted = wait_for("that all are accepted", || accepted_as(&sockets));
        let held = sockets_of(daemon);
        let mut pairs = sockets.into_iter().zip(accepted);
        pairs.find(|(_, inode)| held.contains(inode)).map(|(socket, _)| socket)
    })
}

/// The numbers of the sockets at the other ends, once processes have them all.
fn accepted_as(sockets: &[TcpStream]) -> Option<Vec<String>> {
    // A server that listens on all addresses has its ends in the first table, which is short: those of clients are in the second.
    ["/proc/net/tcp6", "/proc/net/tcp"].iter().find_map(|path| {
        let table = fs::read_to_string(path).unwrap_or_default();
        sockets.iter().map(|socket| other_end(&table, socket)).collect()
    })
}

/// The number of the socket at the other end, by one of the kernel's tables: not 0, that is accepted.
fn other_end(table: &str, socket: &TcpStream) -> Option<String> {
    let [theirs, ours] = [socket.peer_addr(), socket.local_addr()].map(|address| address.unwrap().port());
    let (theirs, ours) = (format!(":{theirs:04X} "), format!(":{ours:04X} "));
    let mut rows = table.lines().filter(|row| row.contains(&theirs) && row.contains(&ours));
    rows.find_map(|row| {
        let fields: Vec<&str> = row.split_whitespace().collect();
        let is_it = fields.len() > 9 && fields[1].ends_with(theirs.trim_end()) && fields[2].ends_with(ours.trim_end());
        (is_it && fields[9] != "0").then(|| fields[9].to_owned())
    })
}

/// The numbers of all sockets that the process has.
fn sockets_of(daemon: &Daemon) -> Vec<String> {
    let descriptors = fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap().flatten();
    let links = descriptors.filter_map(|entry| fs::read_link(entry.path()).ok());
    let number = |link: PathBuf| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned());
    links.filter_map(number).collect()
}

/// A member at this process that has heard its first count, and this count.
#[track_caller]
fn join_at(daemon: &Daemon, target: &str) -> (Stream, u64) {
    join_over(connect_to(daemon), target)
}

#[track_caller]
fn join_over(mut socket: TcpStream, target: &str) -> (Stream, u64) {
    socket.write_all(join_request(target, "").as_bytes()).unwrap();
    let mut stream = Stream::over(socket);
    let first = stream.next_count(SOON);
    (stream, first)
}

/// One member of `target` at each of them.
#[track_caller]
fn one_at_each(daemons: &[Daemon], target: &str) -> Vec<Stream> {
    daemons.iter().map(|daemon| join_at(daemon, target).0).collect()
}

// ---------------------------------------------------------------------------------------------
// One audience
// ---------------------------------------------------------------------------------------------

#[test]
fn the_first_count_is_the_total_over_all_processes() {
    let daemons = audience::<3>(&BRISK);
    let mut open = Vec::new();
    for turn in 0..6 {
        wait_totals(&daemons, "ns", turn);
        let (stream, first) = join_at(&daemons[usize::try_from(turn).unwrap() % 3], "/ns");
        assert_eq!(first, turn + 1);
        open.push(stream);
    }
    open[0].wait_count(6);
    open.truncate(2);
    wait_totals(&daemons, "ns", 2);
    assert!(daemons.iter().all(|daemon| daemon.stat("ns", "connections") == Some(6)));
}

#[test]
fn a_process_that_has_just_started_tells_the_total_of_all() {
    let group = format!("{LOOPBACK_GROUP}:{}", free_port());
    let options = ["-m", &group, "--cluster-interface", "127.0.0.1"];
    let first = start(&options);
    let _open: Vec<Stream> = (0..5).map(|_| join_at(&first, "/ns").0).collect();
    // On a port of its own, so that the first who gets through is the newcomer's first member.
    let port = free_port();
    thread::scope(|scope| {
        let newcomer = scope.spawn(|| start(&[&["--port", &port.to_string()], &options[..]].concat()));
        let deadline = Deadline::after(SOON);
        let socket = loop {
            if let Ok(socket) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
                break socket;
            }
            assert!(deadline.left().is_some(), "nobody listens");
        };
        let (_stream, count) = join_over(socket, "/ns");
        assert_eq!(count, 6, "the first count that a newcomer tells");
        newcomer.join().unwrap();
    });
}

#[test]
fn a_change_after_quiet_is_with_the_others_at_once() {
    let daemons = audience::<2>(&PATIENT);
    let mut open = Vec::new();
    for (at, other, total) in [(0, 1, 1), (1, 0, 2)] {
        open.push(join_at(&daemons[at], "/ns").0);
        within(MOMENT, "the change", || daemons[other].stat("ns", "members") == Some(total));
    }
}

#[test]
fn whichever_process_answers_does_so_for_all() {
    let first = start(&BRISK);
    let ports = [first.audience(), first.stats_port(), first.notification(), first.demo()];
    let [port, stats, notification, demo] = ports.map(|address| address.port().to_string());
    let same = ["--port", &port, "--stats-port", &stats, "--notification-port", &notification, "--demo-port", &demo];
    let daemons = [first, start(&[&same[..], &BRISK].concat())];
    let mut open = one_at_each(&daemons, "/ns");

    // The stats port is one of both, so asking it often enough asks both.
    let names = daemons.each_ref().map(node_name);
    for name in &names {
        wait_until("an answer of each", || cluster(&daemons[0])["node"] == **name);
        wait_until("that each knows", || {
            let answer = cluster(&daemons[0]);
            answer["node"] == **name && answer["nodes"] == 2
        });
    }
    wait_until("ten answers in a row with the total", || (0..10).all(|_| daemons[0].stat("ns", "members") == Some(2)));
    for number in 0..10 {
        daemons[0].notify(&format!("/ns/chat/{number}")).expect_empty();
    }
    for stream in &mut open {
        let mut heard = messages(stream, 10);
        heard.sort();
        assert_eq!(heard, (0..10).map(|number| format!("chat={number}")).collect::<Vec<_>>());
    }
    for _ in 0..10 {
        assert_eq!(get(daemons[0].demo(), "/ns").status, 200);
    }
}

// ---------------------------------------------------------------------------------------------
// Messages
// ---------------------------------------------------------------------------------------------

/// For how long copies of messages may still be under way; the last ones leave after 200 ms.
const COPIES: Duration = ms(500);

/// The next `count` messages, whatever counts come between them.
#[track_caller]
fn messages(stream: &mut Stream, count: usize) -> Vec<String> {
    let deadline = Deadline::after(SOON);
    let mut heard = Vec::new();
    while heard.len() < count {
        match stream.next_event(deadline.left().unwrap_or_default()) {
            Some(Event::Message(text)) => heard.push(text),
            Some(Event::Count(_)) => {}
            other => panic!("{other:?} after {heard:?}"),
        }
    }
    heard
}

/// Fails if a message comes while copies may be under way.
#[track_caller]
fn expect_no_more_messages(streams: &mut [Stream]) {
    let deadline = Deadline::after(COPIES);
    for stream in streams {
        // What has come by then is read even when no time is left.
        while let Some(event) = stream.next_event(deadline.left().unwrap_or(ms(1))) {
            assert!(matches!(event, Event::Count(_)), "{event:?}");
        }
    }
}

#[test]
fn a_message_reaches_the_members_of_all_processes_once_and_in_order() {
    let daemons = audience::<3>(&BRISK);
    let mut open = one_at_each(&daemons, "/ns");
    open.extend(one_at_each(&daemons, "/ns"));
    wait_totals(&daemons, "ns", 6);
    let sent: Vec<String> = (0..50).map(|number| format!("chat={number}")).collect();
    for text in &sent {
        daemons[0].notify(&format!("/ns/{}", text.replace('=', "/"))).expect_empty();
    }
    for stream in &mut open {
        assert_eq!(messages(stream, sent.len()), sent);
    }
    expect_no_more_messages(&mut open);
}

#[test]
fn the_order_of_each_sender_is_kept() {
    let daemons = audience::<2>(&BRISK);
    let mut open = one_at_each(&daemons, "/ns");
    wait_totals(&daemons, "ns", 2);
    thread::scope(|scope| {
        for (sender, daemon) in daemons.iter().enumerate() {
            scope.spawn(move || {
                for number in 0..25 {
                    daemon.notify(&format!("/ns/from{sender}/{number}")).expect_empty();
                }
            });
        }
    });
    for stream in &mut open {
        let heard = messages(stream, 50);
        for sender in 0..2 {
            let sent: Vec<String> = (0..25).map(|number| format!("from{sender}={number}")).collect();
            let of_sender: Vec<&String> = heard.iter().filter(|text| sent.contains(text)).collect();
            assert_eq!(of_sender, sent.iter().collect::<Vec<_>>(), "sender {sender}");
        }
    }
    expect_no_more_messages(&mut open);
}

#[test]
fn a_message_longer_than_a_datagram_arrives_whole() {
    let daemons = audience::<2>(&BRISK);
    let mut open = one_at_each(&daemons, "/ns");
    wait_totals(&daemons, "ns", 2);
    let text = (0..1_000).map(|number| format!("{number:04}")).collect::<Vec<_>>().concat();
    daemons[0].notify(&format!("/ns/long/{text}")).expect_empty();
    daemons[0].notify("/ns/after/").expect_empty();
    for stream in &mut open {
        assert_eq!(messages(stream, 2), [format!("long={text}"), "after=".to_owned()]);
    }
}

// ---------------------------------------------------------------------------------------------
// Uuids
// ---------------------------------------------------------------------------------------------

/// Some wait to ask until others have been connected, which takes a while on a busy machine.
const UUIDS: [&str; 7] = ["--enable-uuid", "--head-timeout", "60", BRISK[0], BRISK[1], BRISK[2], BRISK[3]];

#[test]
fn of_one_uuid_the_newest_stays_whichever_process_it_is_at() {
    let daemons = audience::<2>(&UUIDS);
    let mut latest = join_at(&daemons[0], "/ns/me").0;
    let mut other = join_at(&daemons[1], "/ns/you").0;
    for turn in 1..6 {
        let mut newer = join_at(&daemons[turn % 2], "/ns/me").0;
        wait_farewell(&mut latest);
        wait_totals(&daemons, "ns", 2);
        assert!(stays(&mut newer));
        latest = newer;
    }
    assert!(stays(&mut other));
}

#[test]
fn of_claims_at_the_same_time_exactly_one_stays() {
    let daemons = audience::<2>(&UUIDS);
    for round in 0..5 {
        let target = format!("/ns{round}/me");
        let mut sockets: Vec<TcpStream> = (0..6).map(|turn| connect_to(&daemons[turn % 2])).collect();
        for socket in &mut sockets {
            socket.write_all(join_request(&target, "").as_bytes()).unwrap();
        }
        let mut streams: Vec<Stream> = sockets.into_iter().map(Stream::over).collect();
        wait_totals(&daemons, &format!("ns{round}"), 1);
        let mut gone = 0;
        wait_until("that all but one are sent away", || {
            let before = streams.len();
            streams.retain_mut(stays);
            gone += before - streams.len();
            gone >= 5
        });
        assert_eq!(streams.len(), 1, "none stayed");
        assert!(stays(&mut streams[0]));
        wait_totals(&daemons, &format!("ns{round}"), 1);
    }
}

#[test]
fn a_page_may_leave_at_another_process() {
    let daemons = audience::<2>(&UUIDS);
    let mut stream = join_at(&daemons[0], "/ns/me").0;
    wait_totals(&daemons, "ns", 1);
    let mut socket = connect_to(&daemons[1]);
    socket.write_all(request("POST", "/ns/me", "Host: audience.test\r\n").as_bytes()).unwrap();
    assert!(read_to_end(&mut socket).starts_with(b"HTTP/1.1 200 "));
    wait_farewell(&mut stream);
    wait_totals(&daemons, "ns", 0);
}

/// Reads counts until the farewell, after which the body ends.
#[track_caller]
fn wait_farewell(stream: &mut Stream) {
    let deadline = Deadline::after(SOON);
    loop {
        match stream.next_event(deadline.left().unwrap_or_default()) {
            Some(Event::Count(_)) => {}
            Some(Event::Farewell) => return stream.expect_closed(),
            other => panic!("wanted a farewell, got {other:?}"),
        }
    }
}

/// Whether a member has not been sent away, by what it has heard until now.
#[track_caller]
fn stays(stream: &mut Stream) -> bool {
    while let Some(event) = stream.next_event(ms(1)) {
        match event {
            Event::Count(_) => {}
            Event::Farewell => {
                stream.expect_closed();
                return false;
            }
            other => panic!("{other:?}"),
        }
    }
    true
}

// ---------------------------------------------------------------------------------------------
// Processes come and go
// ---------------------------------------------------------------------------------------------

#[test]
fn a_process_that_says_goodbye_takes_its_members_with_it_at_once() {
    let [stays, mut goes] = audience::<2>(&PATIENT);
    let _open = [join_at(&stays, "/ns").0, join_at(&goes, "/ns").0];
    stays.wait_members("ns", 2);
    goes.signal("TERM");
    within(ms(2000), "the goodbye", || stays.stat("ns", "members") == Some(1));
    assert_eq!(goes.wait_exit().code(), Some(0));
    wait_nodes(&stays, 1);
    assert_eq!(stays.stat("ns", "connections"), Some(2), "what the dead had counted stays");
}

#[test]
fn the_members_of_a_killed_process_go_within_the_timeout() {
    let [stays, also_stays, mut dies] = audience::<3>(&BRISK);
    let open = [join_at(&stays, "/ns").0, join_at(&also_stays, "/ns").0, join_at(&dies, "/ns").0];
    stays.wait_members("ns", 3);
    also_stays.wait_members("ns", 3);
    dies.signal("KILL");
    dies.wait_exit();
    within(BRISK_TIMEOUT + MOMENT, "that the dead is forgotten", || {
        [&stays, &also_stays].iter().all(|daemon| daemon.stat("ns", "members") == Some(2))
    });
    assert_eq!((nodes(&stays), nodes(&also_stays)), (2, 2));
    assert_eq!(stays.stat("ns", "connections"), Some(3), "what the dead had counted stays");
    drop(open);
}

#[test]
fn nothing_goes_round_when_datagrams_are_passed_on() {
    // Nobody is at that address; with it, what comes by unicast is passed on to the others over loopback.
    let repeat = ["--cluster-peers", "127.0.0.1:9", "--notify-min-delay", "0.1", "--notify-max-delay", "1"];
    let [stays, also_stays, mut goes] = audience::<3>(&[&repeat, &BRISK[..]].concat());
    let (mut stream, _) = join_at(&stays, "/ns");
    also_stays.wait_members("ns", 1);
    goes.signal("TERM");
    goes.wait_exit();
    wait_nodes(&stays, 2);
    wait_nodes(&also_stays, 2);
    let received = |daemon| cluster(daemon)["datagrams"]["received"].as_u64().unwrap();
    let before = [&stays, &also_stays].map(received);
    // The count is repeated every second, which is as long as is watched here.
    stream.expect_count(1);
    assert_eq!(dropped(&stays, "replayed") + dropped(&also_stays, "replayed"), 0, "some came twice");
    for (daemon, before) in [&stays, &also_stays].into_iter().zip(before) {
        let more = received(daemon) - before;
        assert!(more < 100, "{more} datagrams while nothing happened");
    }
}

#[test]
fn connections_never_falls_over_a_rolling_restart_of_all() {
    let mut daemons = Vec::from(audience::<2>(&BRISK));
    let mut total = 0;
    for round in 0..4 {
        // In the odd rounds there is nobody but those who had counted, and they all go.
        if round % 2 == 0 {
            drop([one_at_each(&daemons, "/ns"), one_at_each(&daemons, "/ns")]);
            total += 4;
        }
        wait_totals(&daemons, "ns", 0);
        wait_connections(&daemons, total);
        for slot in 0..daemons.len() {
            let newcomer = beside(&daemons[slot], &BRISK);
            wait_connections(std::slice::from_ref(&newcomer), total);
            let mut old = std::mem::replace(&mut daemons[slot], newcomer);
            // Every other one gets no chance to say a word.
            old.signal(if slot == 0 { "TERM" } else { "KILL" });
            old.wait_exit();
            assert!(daemons.iter().all(|daemon| daemon.stat("ns", "connections") == Some(total)), "round {round}");
        }
    }
    wait_nodes(&daemons[0], 2);
    assert!(daemons.iter().all(|daemon| daemon.stat("ns", "connections") == Some(total)));
}

#[track_caller]
fn wait_connections(daemons: &[Daemon], total: u64) {
    for daemon in daemons {
        wait_until(&format!("{total} connections"), || daemon.stat("ns", "connections") == Some(total));
    }
}

#[test]
fn a_process_that_was_paused_comes_back_right() {
    let daemons = audience::<2>(&BRISK);
    let [stays, pauses] = &daemons;
    let mut open = vec![join_at(stays, "/ns").0, join_at(pauses, "/ns").0, join_at(pauses, "/ns").0];
    wait_totals(&daemons, "ns", 3);

    pauses.signal("STOP");
    wait_until("that it is called silent", || {
        let silent = &cluster(stays)["silent"];
        silent["nodes"] == 1 && silent["members"] == 2
    });
    wait_until("that it is forgotten", || nodes(stays) == 1 && stays.stat("ns", "members") == Some(1));
    assert_eq!(cluster(stays)["silent"]["members"], 0);
    open.remove(0);
    stays.wait_members("ns", 0);

    pauses.signal("CONT");
    wait_totals(&daemons, "ns", 2);
    assert_eq!((nodes(stays), nodes(pauses)), (2, 2));
    wait_connections(&daemons, 3);
    assert_eq!(join_at(stays, "/ns").1, 3);
}

// ---------------------------------------------------------------------------------------------
// Who is not of the audience
// ---------------------------------------------------------------------------------------------

#[test]
fn audiences_on_different_ports_are_apart() {
    let daemons = audience::<2>(&BRISK);
    let other = start(&BRISK);
    let _open = [one_at_each(&daemons, "/ns"), one_at_each(&daemons, "/ns")];
    let (_one, first) = join_at(&other, "/ns");
    wait_totals(&daemons, "ns", 4);
    assert_eq!(first, 1);
    assert_eq!(other.stat("ns", "members"), Some(1));
    assert_eq!((nodes(&daemons[0]), nodes(&other)), (2, 1));
}

#[test]
fn audiences_on_different_addresses_of_one_port_are_apart() {
    let one = start(&[&["--host", "127.0.0.1"], &BRISK[..]].concat());
    let same = beside(&one, &[&["--host", "127.0.0.1"], &BRISK[..]].concat());
    let other = beside(&one, &[&["--host", "127.0.0.2"], &BRISK[..]].concat());
    assert_eq!(other.audience().to_string(), format!("127.0.0.2:{}", one.audience().port()));
    let _open = [join_at(&one, "/ns").0, join_at(&same, "/ns").0];
    one.wait_members("ns", 2);
    let (_one, first) = join_at(&other, "/ns");
    assert_eq!(first, 1);
    // Their bus is one, so they hear each other, and know better than to listen.
    wait_until("datagrams of the other audience", || {
        [&one, &same, &other].iter().all(|daemon| dropped(daemon, "foreign_audience") > 0)
    });
    assert_eq!((nodes(&one), nodes(&same), nodes(&other)), (2, 2, 1));
    assert_eq!(one.stat("ns", "members"), Some(2));
}

/// Fails unless the daemon refuses to start with these arguments, with this code and in one line that has all of `parts`.
#[track_caller]
fn refuses(args: &[&str], code: i32, parts: &[&str]) {
    let mut command = Command::new(program());
    command.args(["-w", "1"]);
    for option in ["--port", "--stats-port", "--notification-port", "--demo-port"] {
        if !args.contains(&option) {
            command.args([option, "0"]);
        }
    }
    let mut child = isolate(command.args(args)).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let ended = Deadline::after(SOON / 2);
    wait_until("the exit", || {
        let has_ended = child.try_wait().unwrap().is_some();
        if !has_ended && ended.left().is_none() {
            child.kill().unwrap();
        }
        has_ended
    });
    let output = child.wait_with_output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!((output.status.code(), &*stdout), (Some(code), ""), "{args:?}: {stderr}");
    assert_eq!(stderr.lines().count(), 1, "{args:?}: {stderr}");
    for part in parts {
        assert!(stderr.contains(part), "no {part:?} in {stderr}");
    }
}

#[test]
fn a_port_of_another_audience_is_refused_by_the_name_of_its_option() {
    let first = start(&[]);
    let own = free_port().to_string();
    for (option, address) in [
        ("--stats-port", first.stats_port()),
        ("--notification-port", first.notification()),
        ("--demo-port", first.demo()),
    ] {
        let number = address.port().to_string();
        refuses(&["--port", &own, option, &number], 1, &[option, &number, "another audience"]);
    }
    let port = first.audience().port().to_string();
    refuses(&["--port", &port, "--host", "127.0.0.1"], 1, &["--port", &port, "another audience"]);
    refuses(&["--port", &port, "-m", "239.255.13.38:3141"], 1, &["--port", &port, "another audience"]);
    // Whatever the port is to the first one.
    let stats = first.stats_port().port().to_string();
    refuses(&["--port", &stats], 1, &["--port", &stats, "another audience"]);
    // The first one is none the worse for it.
    drop(join_at(&first, "/ns"));
    let second = beside(&first, &[]);
    wait_nodes(&second, 2);
}

#[test]
fn one_number_for_two_ports_is_refused() {
    let number = free_port().to_string();
    for option in ["--stats-port", "--notification-port", "--demo-port"] {
        refuses(&["--port", &number, option, &number], 2, &[option, &number]);
    }
    let port = free_port().to_string();
    refuses(&["--port", &port, "--stats-port", &number, "--notification-port", &number], 2, &["-port", &number]);
}

#[test]
fn a_less_specific_host_on_the_same_port_is_refused_as_well() {
    let first = start(&["--host", "127.0.0.1"]);
    let port = first.audience().port().to_string();
    refuses(&["--port", &port], 1, &["--port", &port, "another audience"]);
}

#[test]
fn a_bus_that_leads_nowhere_is_a_clear_error() {
    refuses(&["-m", "10.0.0.1:314"], 2, &["--cluster-addr", "10.0.0.1:314", "is not a multicast ip:port"]);
    refuses(&["-m", "239.255.13.37"], 2, &["--cluster-addr", "is not a multicast ip:port"]);
    let nowhere = ["-m", "239.255.13.37:3140", "--cluster-interface", "192.0.2.1"];
    refuses(&nowhere, 1, &["--cluster-interface 192.0.2.1", "no such address"]);
    refuses(&["--cluster-peers", "192.0.2.1"], 2, &["--cluster-peers", "has no host and port"]);

    let squatter = UdpSocket::bind((LOOPBACK_GROUP, free_port())).unwrap();
    let port = squatter.local_addr().unwrap().port().to_string();
    let group = format!("{LOOPBACK_GROUP}:{port}");
    refuses(&["--port", &port], 1, &["--port", &group, "in use"]);
    refuses(&["-m", &group, "--cluster-interface", "127.0.0.1"], 1, &["--cluster-addr", &group, "in use"]);
    let squatter = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, free_port())).unwrap();
    let port = squatter.local_addr().unwrap().port().to_string();
    refuses(&["--port", &port, "--cluster-peers", "127.0.0.1:9"], 1, &[&port, "in use"]);
}

// ---------------------------------------------------------------------------------------------
// What strangers put on the bus
// ---------------------------------------------------------------------------------------------

/// A file with a key, gone at the end.
struct KeyFile(PathBuf);

impl KeyFile {
    fn new(name: &str, key: &str, mode: u32) -> Self {
        let path = std::env::temp_dir().join(format!("audience-meter-cluster-{name}-{}", std::process::id()));
        fs::write(&path, key).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        KeyFile(path)
    }

    fn options(&self) -> Vec<&str> {
        let path = ["--cluster-key-file", self.0.to_str().unwrap()];
        [&path, &BRISK[..]].concat()
    }
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn only_those_who_have_the_key_are_believed() {
    let (key, other_key) = (
        KeyFile::new("key", "the key of this audience\n", 0o600),
        KeyFile::new("other-key", "the key of some others\n", 0o400),
    );
    let daemons = audience::<2>(&key.options());
    let (unkeyed, stranger) = (beside(&daemons[0], &BRISK), beside(&daemons[0], &other_key.options()));
    let _open = one_at_each(&daemons, "/ns");
    wait_totals(&daemons, "ns", 2);
    assert_eq!(join_at(&unkeyed, "/ns").1, 1);
    assert_eq!(join_at(&stranger, "/ns").1, 1);
    let _open = [&unkeyed, &stranger].map(|daemon| join_at(daemon, "/ns").0);

    for daemon in &daemons {
        wait_until("drops of both kinds", || dropped(daemon, "unkeyed") > 0 && dropped(daemon, "forged") > 0);
    }
    wait_until("drops of what is sealed", || dropped(&unkeyed, "forged") > 0);
    wait_until("drops of what is sealed otherwise", || dropped(&stranger, "forged") > 0);
    wait_totals(&daemons, "ns", 2);
    assert_eq!([&daemons[0], &daemons[1], &unkeyed, &stranger].map(nodes), [2, 2, 1, 1]);
    assert!(daemons.iter().all(|daemon| daemon.stat("ns", "connections") == Some(2)));
}

#[test]
fn a_key_by_the_environment_is_the_same_key() {
    let key = KeyFile::new("same-key", "the key of this audience\n", 0o600);
    let by_file = start(&key.options());
    let port = by_file.audience().port().to_string();
    let command = || {
        let mut command = Command::new(program());
        command.env("AUDIENCE_METER_CLUSTER_KEY", "the key of this audience");
        command
    };
    let by_environment = Daemon::start_with(command, &[&["-w", "1", "--port", &port], &BRISK[..]].concat());
    wait_nodes(&by_file, 2);
    wait_nodes(&by_environment, 2);
}

#[test]
fn a_key_that_is_no_secret_is_refused() {
    let readable = KeyFile::new("readable-key", "the key of this audience\n", 0o644);
    let path = readable.0.to_str().unwrap();
    let remedy = format!("chmod 600 {path}");
    refuses(&["--cluster-key-file", path], 1, &["--cluster-key-file", path, &remedy]);
    let short = KeyFile::new("short-key", "short\n", 0o600);
    refuses(&["--cluster-key-file", short.0.to_str().unwrap()], 1, &["--cluster-key-file", "16 bytes"]);
    refuses(&["--cluster-key-file", "/nonexistent/key"], 1, &["--cluster-key-file", "/nonexistent/key"]);
}

/// Datagrams from outside, and why each is dropped. Those that are foreign are well-formed as far as it takes to tell.
fn strange_datagrams() -> Vec<(Vec<u8>, &'static str)> {
    /// The version of the datagrams' form that daemons speak now.
    const CURRENT: u8 = 3;
    let head = |version: u8, flags: u8| [b"AM".as_slice(), &[version, flags], &[7; 17]].concat();
    vec![
        (Vec::new(), "malformed"),
        (b"A".to_vec(), "malformed"),
        (b"AM".to_vec(), "malformed"),
        (head(CURRENT, 0)[..4].to_vec(), "malformed"),
        (head(CURRENT, 2), "malformed"),
        (vec![0; 60_000], "malformed"),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "malformed"),
        (head(CURRENT - 1, 0), "foreign_version"),
        (head(0, 0), "foreign_version"),
        (head(CURRENT, 1), "forged"),
        (head(CURRENT, 0), "foreign_audience"),
    ]
}

/// Bytes without order, the same at each run, of all lengths up to more than a datagram may have.
fn noise() -> impl Iterator<Item = Vec<u8>> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut byte = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..1_400).step_by(7).map(move |length| (0..length).map(|_| byte()).collect())
}

#[test]
fn strange_datagrams_are_counted_by_reason_and_harm_nothing() {
    let daemons = audience::<2>(&BRISK);
    let mut open = one_at_each(&daemons, "/ns");
    wait_totals(&daemons, "ns", 2);
    // A socket with a loopback address sends to groups over loopback.
    let stranger = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let bus = (LOOPBACK_GROUP, daemons[0].audience().port());
    let drops = || daemons.each_ref().map(|daemon| cluster(daemon)["datagrams"]["dropped"].clone());
    for (bytes, reason) in strange_datagrams() {
        let before = drops();
        assert_eq!(stranger.send_to(&bytes, bus).unwrap(), bytes.len());
        let mut wanted = before;
        for reasons in &mut wanted {
            reasons[reason] = (reasons[reason].as_u64().unwrap_or(0) + 1).into();
        }
        wait_until(&format!("{reason}: {bytes:?}"), || drops() == wanted);
    }
    for bytes in noise() {
        stranger.send_to(&bytes, bus).unwrap();
    }
    let all = strange_datagrams().iter().filter(|(_, reason)| *reason == "malformed").count() + noise().count();
    wait_until("that the noise is dropped", || drops().iter().all(|reasons| reasons["malformed"] == all));

    assert!(daemons.iter().all(|daemon| daemon.namespaces() == ["ns"]));
    assert_eq!(daemons.each_ref().map(nodes), [2, 2]);
    let (third, first) = join_at(&daemons[1], "/ns");
    open.push(third);
    assert_eq!(first, 3);
    wait_totals(&daemons, "ns", 3);
}

#[test]
fn the_cluster_page_says_who_is_there_and_what_became_of_the_datagrams() {
    let daemons = audience::<2>(&BRISK);
    let _open = [one_at_each(&daemons, "/a"), one_at_each(&daemons[..1], "/b")];
    wait_totals(&daemons, "b", 1);
    wait_totals(&daemons, "a", 2);
    let names = daemons.each_ref().map(node_name);
    assert_ne!(names[0], names[1]);
    for (daemon, (own, other)) in daemons.iter().zip([(2, 1), (1, 2)]) {
        let page = cluster(daemon);
        let mut keys: Vec<&str> = page.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["datagrams", "members", "node", "nodes", "silent"]);
        assert_eq!((&page["node"], &page["nodes"]), (&node_name(daemon).into(), &2.into()));
        let members = page["members"].as_array().unwrap();
        let figures = |index: usize| (members[index]["node"].as_str().unwrap(), members[index]["members"].as_u64());
        assert_eq!(members.len(), 2);
        assert_eq!(figures(0), (&*node_name(daemon), Some(own)));
        assert_eq!(members[0]["silent_ms"], 0);
        assert!(names.iter().any(|name| figures(1) == (name, Some(other))), "{page}");
        assert!(members[1]["silent_ms"].as_u64() < Some(1_500), "{page}");
        assert_eq!(page["silent"], serde_json::json!({ "nodes": 0, "members": 0 }));
        let datagrams = &page["datagrams"];
        assert!(datagrams["sent"].as_u64() > Some(0) && datagrams["received"].as_u64() > Some(0), "{page}");
        assert_eq!((&datagrams["send_errors"], &datagrams["overflowed"]), (&0.into(), &0.into()), "{page}");
        assert_eq!(datagrams["dropped"], serde_json::json!({}), "{page}");
    }
}

#[test]
fn the_cluster_page_says_who_drains_before_it_is_gone() {
    // Its counters were told when the other came, and would be again when it is gone.
    let [mut goes, stays] = audience::<2>(&[&BRISK[..], &["--drain-delay", "3"]].concat());
    let _open = one_at_each(std::slice::from_ref(&goes), "/a");
    stays.wait_members("a", 1);
    let draining = |daemon: &Daemon| -> Vec<String> {
        let page = cluster(daemon);
        let drain = page["members"].as_array().unwrap().iter().filter(|node| node["draining"] == true);
        drain.map(|node| node["node"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(draining(&stays), [""; 0]);
    goes.signal("TERM");
    wait_until("that it is known to drain", || draining(&stays) == [node_name(&goes)]);
    assert_eq!(goes.wait_exit().code(), Some(0));
    wait_nodes(&stays, 1);
    assert_eq!(draining(&stays), [""; 0]);
}
