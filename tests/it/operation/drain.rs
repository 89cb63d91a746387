//! How a process ends by a signal: members go one after the other and come back to its siblings, the totals follow, and a
//! second signal ends it now.
//!
//! Members are at the process that is to end because they came before its siblings did.

use std::io::Write as _;
use std::net::TcpStream;
use std::thread;

use audience_kit::*;

/// No count is pushed during the test, only first counts are told.
const QUIET: [&str; 4] = ["--notify-min-delay", "600", "--notify-max-delay", "600"];

/// What one process counts is told to the others every moment.
const BRISK: [&str; 2] = ["--cluster-notify-interval", "0.1"];

#[track_caller]
pub(super) fn start(options: &[&str]) -> Daemon {
    Daemon::start(&[&QUIET[..], &BRISK, options].concat())
}

/// One more process of the audience of `first`, with side ports of its own.
#[track_caller]
pub(super) fn beside(first: &Daemon, options: &[&str]) -> Daemon {
    let port = first.audience().port().to_string();
    start(&[&["--port", &port], options].concat())
}

// ---------------------------------------------------------------------------------------------
// Who goes, and when
// ---------------------------------------------------------------------------------------------

#[test]
fn a_member_that_is_behind_gets_what_it_is_owed_before_it_goes() {
    const MESSAGES: usize = 20;
    let mut daemon = start(&["--drain-delay", "0.2"]);
    let (mut slow, _) = member(&daemon, "/ns");
    let text = "x".repeat(7_000);
    for number in 0..MESSAGES {
        daemon.notify(&format!("/ns/{number}/{text}")).expect_confirmed();
    }
    daemon.signal("TERM");
    daemon.wait_log("that it ends", |line| line.contains("event=signal"));
    for number in 0..MESSAGES {
        slow.expect(&Event::Message(format!("{number}={text}")));
    }
    slow.expect_closed();
    assert_eq!(daemon.wait_exit().code(), Some(0));
}

#[test]
fn members_go_one_after_the_other_and_the_totals_follow() {
    const COUNT: u64 = 10;
    let mut goes = start(&["--drain-delay", "2"]);
    let mut streams = members(&goes, "/ns", 10);
    let stays = beside(&goes, &[]);
    stays.wait_members("ns", COUNT);
    let begun = now();
    goes.signal("TERM");
    // The first goes at once, the last after nine tenths of the time.
    let mut totals = vec![COUNT];
    wait_until("that all are gone", || {
        let total = stays.stat("ns", "members").unwrap();
        if totals.last() != Some(&total) {
            totals.push(total);
        }
        total == 0
    });
    let taken = now() - begun;
    assert!(taken >= ms(1_700), "{taken:?}");
    assert!(totals.len() >= 6, "{totals:?}");
    assert!(totals.windows(2).all(|two| two[1] < two[0]), "{totals:?}");
    for stream in &mut streams {
        stream.expect_closed();
    }
    assert_eq!(goes.wait_exit().code(), Some(0));
    assert_eq!(stays.stat("ns", "connections"), Some(COUNT));
}

#[test]
fn a_message_reaches_those_who_are_left() {
    let mut goes = start(&["--drain-delay", "3"]);
    let mut streams = members(&goes, "/ns", 6);
    let stays = beside(&goes, &[]);
    stays.wait_members("ns", 6);
    goes.signal("TERM");
    // Some have gone, and some have not.
    wait_until("that two are gone", || stays.stat("ns", "members").unwrap() <= 4);
    stays.notify("/ns/news/late").expect_confirmed();
    let heard = |stream: &mut Stream| match stream.next_event(SOON) {
        Some(Event::Closed) => 0,
        Some(Event::Message(text)) => {
            assert_eq!(text, "news=late");
            stream.expect_closed();
            1
        }
        other => panic!("{other:?}"),
    };
    let heard: u64 = streams.iter_mut().map(heard).sum();
    // One more may have gone while it was sent.
    assert!((2..=4).contains(&heard), "{heard}");
    assert_eq!(goes.wait_exit().code(), Some(0));
}

#[test]
fn with_no_delay_all_go_at_once() {
    let _quiet = timed();
    let mut daemon = start(&["--drain-delay", "0"]);
    let mut streams = members(&daemon, "/ns", 50);
    let begun = now();
    daemon.signal("INT");
    for stream in &mut streams {
        stream.expect_closed();
    }
    assert_eq!(daemon.wait_exit().code(), Some(0));
    let taken = now() - begun;
    assert!(taken < ms(3_000), "{taken:?}");
}

#[test]
fn a_second_signal_ends_it_now() {
    let mut daemon = start(&["--drain-delay", "600"]);
    let mut streams = members(&daemon, "/ns", 3);
    let stays = beside(&daemon, &["--cluster-node-timeout", "600"]);
    stays.wait_members("ns", 3);
    daemon.signal("TERM");
    daemon.wait_log("the drain", |line| line == "level=info event=draining members=3");
    stays.wait_members("ns", 2);
    daemon.signal("TERM");
    assert_eq!(daemon.wait_exit().code(), Some(0));
    for stream in &mut streams {
        stream.expect_closed();
    }
    // It has said goodbye all the same.
    stays.wait_members("ns", 0);
}

// ---------------------------------------------------------------------------------------------
// Who has come in
// ---------------------------------------------------------------------------------------------

#[test]
fn who_waits_at_the_port_is_served() {
    // More than one turn takes in.
    const WAITING: usize = 60;
    let mut daemon = start(&["--drain-delay", "1"]);
    let address = daemon.audience();
    daemon.signal("STOP");
    let sockets: Vec<TcpStream> = (0..WAITING).map(|_| connect(address)).collect();
    for mut socket in &sockets[..WAITING / 2] {
        socket.write_all(join_request("/ns", "").as_bytes()).unwrap();
    }
    daemon.signal("TERM");
    daemon.signal("CONT");
    daemon.wait_log("the drain", |line| line.contains("event=draining"));
    // These speak when nobody new is let in any more.
    for mut socket in &sockets[WAITING / 2..] {
        socket.write_all(join_request("/ns", "").as_bytes()).unwrap();
    }
    let mut counts = Vec::new();
    for socket in sockets {
        let mut stream = Stream::over(socket);
        counts.push(stream.next_count(SOON));
        stream.expect_closed();
    }
    assert!(counts.iter().all(|&count| count > 0), "{counts:?}");
    assert_eq!(daemon.wait_exit().code(), Some(0));
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn a_newcomer_is_left_to_a_sibling() {
    let mut goes = start(&["--drain-delay", "1"]);
    let (mut stream, _) = member(&goes, "/ns");
    goes.signal("TERM");
    stream.expect_closed();
    // Nobody else listens yet. It is not refused but asks again.
    let address = goes.audience();
    let late = thread::spawn(move || TcpStream::connect_timeout(&address, SOON).map(|_| ()));
    let comes = beside(&goes, &[]);
    goes.wait_exit();
    late.join().unwrap().unwrap();
    assert_eq!(member(&comes, "/ns").1, 1);
}

#[test]
fn an_operator_who_is_connected_is_answered() {
    let mut daemon = start(&["--drain-delay", "2"]);
    let _streams = members(&daemon, "/ns", 4);
    let address = daemon.stats_port();
    let mut asks = connect(address);
    asks.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    daemon.signal("TERM");
    wait_until("that its ports are closed", || TcpStream::connect(address).is_err());
    asks.write_all(format!("Host: {address}\r\n\r\n").as_bytes()).unwrap();
    let reply = Reply::parse(&read_to_end(&mut asks));
    assert!(reply.status == 200 && reply.body.contains("\"connections\":4"), "{reply:?}");
    assert_eq!(daemon.wait_exit().code(), Some(0));
}

#[test]
fn who_starts_during_a_drain_knows_who_is_left() {
    let mut goes = start(&["--drain-delay", "3"]);
    let _streams = members(&goes, "/ns", 20);
    let address = goes.stats_port();
    goes.signal("TERM");
    wait_until("that its ports are closed", || TcpStream::connect(address).is_err());
    let comes = beside(&goes, &[]);
    // Not waited for: it has known since before it served anybody.
    let left = comes.stat("ns", "members");
    assert!(left.is_some_and(|left| (1..20).contains(&left)), "{left:?}");
    goes.wait_exit();
    comes.wait_members("ns", 0);
}
