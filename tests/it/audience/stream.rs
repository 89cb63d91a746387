//! What a member hears: the retry and the first count, messages, and the ways in which a stream ends.

use std::collections::HashSet;
use std::thread;
use std::time::Duration;

use audience_kit::*;

/// Nothing is told again by itself during a test.
pub(super) const NO_REPEAT: [&str; 2] = ["--notify-max-delay", "600"];

/// A daemon that tells a change soon and nothing else by itself.
pub(super) fn prompt(further: &[&str]) -> Daemon {
    let args = [&NO_REPEAT[..], &["--notify-min-delay", "0.1"], further].concat();
    Daemon::start(&args)
}

/// The reconnection time a new stream is given.
#[track_caller]
fn retry_of(daemon: &Daemon, target: &str) -> u64 {
    match Stream::join(daemon.audience(), target).next(SOON) {
        Some(Event::Retry(retry)) => retry,
        other => panic!("no retry first, but {other:?}"),
    }
}

// ---------------------------------------------------------------------------------------------
// The start of a stream
// ---------------------------------------------------------------------------------------------

#[test]
fn first_count_is_the_true_total_with_this_member_in_it() {
    // With no other change of the total told for ten minutes, what is heard is the first count.
    let daemon = Daemon::start(&["--notify-min-delay", "600"]);
    let mut streams = Vec::new();
    for expected in 1..=20 {
        let (stream, count) = member(&daemon, "/truth");
        assert_eq!(count, expected);
        streams.push(stream);
    }
    streams.drain(..5);
    daemon.wait_members("truth", 15);
    assert_eq!(member(&daemon, "/truth").1, 16);
}

#[test]
fn a_body_starts_with_a_retry_of_its_own_then_the_first_count() {
    let daemon = Daemon::start(&[]);
    let mut stream = Stream::join(daemon.audience(), "/start");
    let first = stream.next(SOON);
    assert!(matches!(first, Some(Event::Retry(2_000..=10_000))), "{first:?}");
    assert_eq!(stream.next(SOON), Some(Event::Count(1)));
}

#[test]
fn each_connection_draws_its_own_retry_between_the_two_bounds() {
    let daemon = Daemon::start(&["--retry-min", "0.25", "--retry-max", "1.25"]);
    let drawn = (0..16).map(|_| retry_of(&daemon, "/draw")).collect::<HashSet<_>>();
    assert!(drawn.iter().all(|retry| (250..=1_250).contains(retry)), "{drawn:?}");
    assert!(drawn.len() > 4, "hardly at random: {drawn:?}");

    let daemon = Daemon::start(&["--retry-min", "3", "--retry-max", "3"]);
    assert_eq!(retry_of(&daemon, "/fixed"), 3_000);
}

#[test]
fn msie_gets_2047_line_ends_first_and_nobody_else_does() {
    let daemon = Daemon::start(&[]);
    let msie = "User-Agent: Mozilla/5.0 (compatible; MSIE 9.0; Windows NT 6.1)\r\n";
    let mut stream = Stream::open(daemon.audience(), join_request("/pad", msie));
    assert_eq!(stream.take(2_047), b"\n".repeat(2_047));
    assert_eq!(stream.take(7), b"retry: ");

    let other = "User-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n";
    let mut stream = Stream::open(daemon.audience(), join_request("/pad", other));
    assert_eq!(stream.take(7), b"retry: ");
}

#[test]
fn a_message_reaches_each_member_of_its_namespace_at_once_and_no_later_one() {
    let daemon = Daemon::start(&["--notify-min-delay", "600"]);
    let mut streams = members(&daemon, "/talk", 3);
    let (mut elsewhere, _) = member(&daemon, "/elsewhere");
    daemon.notify("/talk/news/hello").expect_confirmed();
    for stream in &mut streams {
        stream.expect(&Event::Message("news=hello".to_owned()));
    }
    let (mut later, count) = member(&daemon, "/talk");
    assert_eq!(count, 4);
    later.expect_silence(ms(200));
    elsewhere.expect_silence(ms(1));
}

#[test]
fn messages_arrive_in_order_and_all_of_them() {
    let daemon = Daemon::start(&["--notify-min-delay", "600"]);
    let (mut stream, _) = member(&daemon, "/order");
    for number in 0..20 {
        daemon.notify(&format!("/order/n/{number}")).expect_confirmed();
    }
    for number in 0..20 {
        stream.expect(&Event::Message(format!("n={number}")));
    }
}

/// How long eight members that join together were let stay: at most, and at least.
fn lives(daemon: &Daemon) -> Vec<(Duration, Duration)> {
    let live = |index: usize| {
        let before = now();
        let (mut stream, _) = member(daemon, &format!("/{index}"));
        let joined = now();
        // Not a word at the end: no event comes before the close.
        stream.expect_closed();
        (before.elapsed(), joined.elapsed())
    };
    thread::scope(|scope| {
        let lives = (0..8).map(|index| scope.spawn(move || live(index))).collect::<Vec<_>>();
        lives.into_iter().map(|life| life.join().unwrap()).collect()
    })
}

#[test]
fn a_stream_ends_at_a_random_time_within_the_last_tenth_of_max_conn_duration() {
    let _quiet = timed();
    let daemon = prompt(&["--max-conn-duration", "1.5"]);
    // A machine that is busy at the wrong moment hides the differences: not three times in a row.
    let differ = (0..3).any(|_| {
        let lives = lives(&daemon);
        for (at_most, at_least) in &lives {
            assert!(*at_most + TICK >= ms(1_350), "ended too early, after {at_most:?}");
            assert!(*at_least < ms(2_600), "ended too late, after {at_least:?}");
        }
        let shortest = lives.iter().map(|life| life.0).min();
        let longest = lives.iter().map(|life| life.1).max();
        longest > shortest.map(|shortest| shortest + ms(10))
    });
    assert!(differ, "all at once");
    let nobody = || daemon.namespaces().iter().all(|name| daemon.stat(name, "members") == Some(0));
    wait_until("nobody left", nobody);
}

#[test]
fn a_max_conn_duration_of_0_never_ends_a_stream() {
    let daemon = prompt(&["--max-conn-duration", "0"]);
    let (mut stream, _) = member(&daemon, "/forever");
    stream.expect_silence(ms(500));
}
