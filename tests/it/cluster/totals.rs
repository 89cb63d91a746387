//! Processes that share a port tell the same truth: totals and messages cross them, whichever of them answers.

use std::net::{Ipv4Addr, TcpStream};
use std::thread;
use std::time::Duration;

use super::siblings::*;
use audience_kit::*;

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
    let _quiet = timed();
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
        wait_until("an answer of each", || cluster_page(&daemons[0])["node"] == **name);
        wait_until("that each knows", || {
            let answer = cluster_page(&daemons[0]);
            answer["node"] == **name && answer["nodes"] == 2
        });
    }
    wait_until("ten answers in a row with the total", || (0..10).all(|_| daemons[0].stat("ns", "members") == Some(2)));
    for number in 0..10 {
        daemons[0].notify(&format!("/ns/chat/{number}")).expect_confirmed();
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
pub(super) fn messages(stream: &mut Stream, count: usize) -> Vec<String> {
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
pub(super) fn expect_no_more_messages(streams: &mut [Stream]) {
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
        daemons[0].notify(&format!("/ns/{}", text.replace('=', "/"))).expect_confirmed();
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
                    daemon.notify(&format!("/ns/from{sender}/{number}")).expect_confirmed();
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
    daemons[0].notify(&format!("/ns/long/{text}")).expect_confirmed();
    daemons[0].notify("/ns/after/").expect_confirmed();
    for stream in &mut open {
        assert_eq!(messages(stream, 2), [format!("long={text}"), "after=".to_owned()]);
    }
}
