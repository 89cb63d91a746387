//! What a member hears, and when: the retry and the first count, the notify rule in each of its
//! clauses, messages, the ways in which a stream ends, uuids, and `--increment-delay`.
//!
//! Times are held against bounds that a busy machine cannot break: a lower bound is measured from
//! before the cause, an upper one is told apart from the next later reason by a second or more.

use std::collections::HashSet;
use std::thread;
use std::time::Duration;

use audience_kit::{
    ACCEPT, Daemon, Event, SOON, Stream, TICK, exchange, get, join_request, member, members, ms, now, request,
    wait_until,
};

/// Nothing is told again by itself during a test.
const NO_REPEAT: [&str; 2] = ["--notify-max-delay", "600"];

/// A daemon that tells a change soon and nothing else by itself.
fn prompt(further: &[&str]) -> Daemon {
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

// ---------------------------------------------------------------------------------------------
// When a count is told
// ---------------------------------------------------------------------------------------------

#[test]
fn the_first_change_after_a_quiet_min_delay_is_told_at_once() {
    let min_delay = ms(1_000);
    let daemon = Daemon::start(&[&NO_REPEAT[..], &["--notify-min-delay", "1"]].concat());
    let (mut first, _) = member(&daemon, "/quiet");
    first.expect_silence(min_delay + ms(100));

    let before_second = now();
    let (second, _) = member(&daemon, "/quiet");
    assert_eq!(first.next_count(ms(800)), 2, "at once, not a delay later");
    let (third, _) = member(&daemon, "/quiet");
    first.expect_count(3);
    let since = before_second.elapsed();
    assert!(since + TICK >= min_delay, "twice within the delay: {since:?}");
    drop((second, third));
}

#[test]
fn a_change_is_told_no_later_than_the_default_min_delay_of_two_seconds() {
    let daemon = Daemon::start(&[]);
    let (mut first, _) = member(&daemon, "/default");
    let (second, _) = member(&daemon, "/default");
    assert_eq!(first.next_count(ms(2_900)), 2);
    drop(second);
}

#[test]
fn counts_are_never_pushed_twice_within_the_min_delay() {
    let min_delay = ms(250);
    let daemon = Daemon::start(&[&NO_REPEAT[..], &["--notify-min-delay", "0.25"]].concat());
    let (mut watcher, _) = member(&daemon, "/often");
    let before = now();
    let (mut pushes, mut others, mut heard) = (0, Vec::new(), 1);
    while pushes < 5 {
        others.extend(members(&daemon, "/often", 3));
        let count = watcher.next_count(SOON);
        assert!(count > heard, "{count} after {heard}");
        (heard, pushes) = (count, pushes + 1);
    }
    let since = before.elapsed();
    assert!(since + TICK >= min_delay * 4, "{pushes} pushes in {since:?}");
}

#[test]
fn changes_within_the_min_delay_are_told_as_one_count() {
    let daemon = Daemon::start(&[&NO_REPEAT[..], &["--notify-min-delay", "0.8"]].concat());
    let (mut watcher, _) = member(&daemon, "/gather");
    watcher.expect_silence(ms(900));
    let first = member(&daemon, "/gather");
    watcher.expect_count(2);
    let others = members(&daemon, "/gather", 10);
    watcher.expect_count(12);
    drop((first, others));
}

#[test]
fn a_change_below_the_delta_ratio_is_not_told() {
    let daemon = prompt(&["--notify-delta-ratio", "0.5"]);
    let mut streams = members(&daemon, "/ratio", 3);
    for stream in &mut streams[..2] {
        stream.wait_count(3);
    }
    // floor(3 * 0.5) = 1: one more is told.
    streams.push(member(&daemon, "/ratio").0);
    streams[0].expect_count(4);
    // floor(4 * 0.5) = 2: one more is not.
    streams.push(member(&daemon, "/ratio").0);
    streams[0].expect_silence(ms(500));
    // Two are.
    streams.push(member(&daemon, "/ratio").0);
    streams[0].expect_count(6);
    // floor(6 * 0.5) = 3: it holds for those who leave, too.
    streams.truncate(4);
    daemon.wait_members("ratio", 4);
    streams[0].expect_silence(ms(500));
    streams.truncate(3);
    streams[0].expect_count(3);
}

#[test]
fn by_default_a_tenth_must_differ() {
    let daemon = prompt(&[]);
    let mut streams = members(&daemon, "/tenth", 20);
    streams[0].wait_count(20);
    streams.push(member(&daemon, "/tenth").0);
    streams[0].expect_silence(ms(400));
    streams.push(member(&daemon, "/tenth").0);
    streams[0].expect_count(22);
}

#[test]
fn an_unchanged_count_is_told_again_after_the_max_delay() {
    let max_delay = ms(500);
    let daemon = Daemon::start(&["--notify-min-delay", "0.1", "--notify-max-delay", "0.5"]);
    let before = now();
    let (mut stream, _) = member(&daemon, "/again");
    for times in 1..=3 {
        stream.expect_count(1);
        let since = before.elapsed();
        assert!(since + TICK >= max_delay * times, "time {times} after {since:?}");
    }
}

#[test]
fn a_change_below_the_ratio_is_told_after_the_max_delay() {
    let args = ["--notify-min-delay", "0.1", "--notify-max-delay", "1", "--notify-delta-ratio", "50"];
    let daemon = Daemon::start(&args);
    let before = now();
    let (mut first, _) = member(&daemon, "/late");
    let (second, _) = member(&daemon, "/late");
    first.expect_count(2);
    let since = before.elapsed();
    assert!(since + TICK >= ms(1_000), "told after {since:?}");
    drop(second);
}

#[test]
fn those_who_stay_hear_that_others_left() {
    let daemon = prompt(&[]);
    let mut streams = members(&daemon, "/leave", 4);
    streams[0].wait_count(4);
    for left in (1..4).rev() {
        streams.pop();
        streams[0].expect_count(left);
    }
}

#[test]
fn nobody_is_pushed_the_number_its_first_count_has_told() {
    let daemon = prompt(&[]);
    let mut streams = members(&daemon, "/once", 3);
    streams[0].wait_count(3);
    streams[2].expect_silence(ms(300));
    streams[0].expect_silence(ms(1));
}

#[test]
fn a_member_alone_hears_its_count_once() {
    let daemon = prompt(&[]);
    let (mut stream, count) = member(&daemon, "/alone");
    assert_eq!(count, 1);
    stream.expect_silence(ms(400));
}

#[test]
fn namespaces_do_not_hear_each_other() {
    let daemon = prompt(&[]);
    let (mut one, _) = member(&daemon, "/one");
    let (mut two, count) = member(&daemon, "/two");
    assert_eq!(count, 1);
    let (third, count) = member(&daemon, "/two");
    assert_eq!(count, 2);
    two.expect_count(2);
    one.expect_silence(ms(300));
    drop(third);
}

// ---------------------------------------------------------------------------------------------
// Messages
// ---------------------------------------------------------------------------------------------

#[test]
fn a_message_reaches_each_member_of_its_namespace_at_once_and_no_later_one() {
    let daemon = Daemon::start(&["--notify-min-delay", "600"]);
    let mut streams = members(&daemon, "/talk", 3);
    let (mut elsewhere, _) = member(&daemon, "/elsewhere");
    daemon.notify("/talk/news/hello").expect_empty();
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
        daemon.notify(&format!("/order/n/{number}")).expect_empty();
    }
    for number in 0..20 {
        stream.expect(&Event::Message(format!("n={number}")));
    }
}

// ---------------------------------------------------------------------------------------------
// The end of a stream
// ---------------------------------------------------------------------------------------------

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

// ---------------------------------------------------------------------------------------------
// uuids
// ---------------------------------------------------------------------------------------------

#[test]
fn the_newest_join_with_a_uuid_ends_the_one_before_with_a_farewell() {
    let daemon = prompt(&["--enable-uuid"]);
    let mut current = member(&daemon, "/ns/uuid").0;
    for _ in 0..3 {
        let (next, count) = member(&daemon, "/ns/uuid");
        assert_eq!(count, 1, "the one it supersedes is not in its first count");
        current.expect(&Event::Farewell);
        current.expect_closed();
        current = next;
    }
    assert_eq!(daemon.stat("ns", "members"), Some(1));
    assert_eq!(daemon.stat("ns", "connections"), Some(4));
    current.expect_silence(ms(300));
}

#[test]
fn a_request_for_a_uuid_that_asks_for_no_stream_ends_it() {
    let daemon = prompt(&["--enable-uuid"]);
    for method in ["GET", "POST"] {
        let (mut stream, _) = member(&daemon, "/ns/leaver");
        let (mut other, _) = member(&daemon, "/ns/stayer");
        stream.expect_count(2);
        let leave = request(method, "/ns/leaver", "Host: h\r\nContent-Length: 0\r\n");
        exchange(daemon.audience(), leave).expect_empty();
        stream.wait_farewell();
        daemon.wait_members("ns", 1);
        other.expect_count(1);
        drop(other);
        daemon.wait_members("ns", 0);
    }
    // Again, with nobody there: not below zero.
    get(daemon.audience(), "/ns/leaver").expect_empty();
    get(daemon.audience(), "/unknown/leaver").expect_empty();
    assert_eq!(daemon.stat("ns", "members"), Some(0));
    assert_eq!(daemon.namespaces(), ["ns"]);
}

#[test]
fn options_and_head_for_a_uuid_end_nothing() {
    let daemon = prompt(&["--enable-uuid"]);
    let (mut stream, _) = member(&daemon, "/ns/uuid");
    for method in ["OPTIONS", "HEAD"] {
        exchange(daemon.audience(), request(method, "/ns/uuid", &format!("Host: h\r\n{ACCEPT}")));
    }
    stream.expect_silence(ms(200));
}

#[test]
fn a_uuid_belongs_to_its_namespace_and_no_uuid_is_none() {
    let daemon = prompt(&["--enable-uuid"]);
    let mut streams =
        ["/one/same", "/two/same", "/one/other", "/one", "/one", "/two/SAME"].map(|target| member(&daemon, target).0);
    assert_eq!(daemon.stat("one", "members"), Some(4));
    assert_eq!(daemon.stat("two", "members"), Some(2));
    get(daemon.audience(), "/one").expect_empty();
    get(daemon.audience(), "/one/nobody").expect_empty();
    assert_eq!(daemon.stat("one", "members"), Some(4));
    for stream in &mut streams {
        let end = std::iter::from_fn(|| stream.next(ms(1))).find(|event| !matches!(event, Event::Count(_)));
        assert_eq!(end, None);
    }
}

#[test]
fn without_enable_uuid_what_follows_the_namespace_is_ignored() {
    let daemon = prompt(&[]);
    let (mut first, _) = member(&daemon, "/ns/uuid");
    let (second, count) = member(&daemon, "/ns/uuid");
    assert_eq!(count, 2);
    get(daemon.audience(), "/ns/uuid").expect_empty();
    first.expect_count(2);
    first.expect_silence(ms(200));
    assert_eq!(daemon.stat("ns", "members"), Some(2));
    drop(second);
}

#[test]
fn a_join_that_was_told_farewell_gets_204_and_supersedes_nobody() {
    let daemon = prompt(&["--enable-uuid"]);
    let (mut stream, _) = member(&daemon, "/ns/uuid");
    let again = join_request("/ns/uuid", "Last-Event-ID: farewell\r\n");
    let reply = exchange(daemon.audience(), again);
    assert_eq!((reply.status, reply.body.as_str()), (204, ""), "{reply:?}");
    assert_eq!(reply.header("Access-Control-Allow-Origin"), Some("*"), "{reply:?}");
    stream.expect_silence(ms(200));
    assert_eq!(daemon.stat("ns", "connections"), Some(1));

    let other = join_request("/ns/other", "Last-Event-ID: 12\r\n");
    let mut joined = Stream::open(daemon.audience(), other);
    joined.expect_count(2);
}

// ---------------------------------------------------------------------------------------------
// --increment-delay
// ---------------------------------------------------------------------------------------------

#[test]
fn a_member_hears_counts_at_once_and_is_counted_after_the_increment_delay() {
    let delay = ms(700);
    let daemon = prompt(&["--increment-delay", "0.7"]);
    let before = now();
    let mut first = Stream::join(daemon.audience(), "/patient");
    // The total is 0, which is never told.
    first.expect_count(1);
    let since = before.elapsed();
    assert!(since + TICK >= delay, "counted after {since:?}");
    assert_eq!(daemon.stat("patient", "connections"), Some(1));

    let before = now();
    let (mut second, count) = member(&daemon, "/patient");
    assert_eq!(count, 1, "the first count of who is not yet counted");
    first.expect_count(2);
    let since = before.elapsed();
    assert!(since + TICK >= delay, "counted after {since:?}");
    second.expect_count(2);
}

#[test]
fn who_leaves_before_the_increment_delay_leaves_no_trace() {
    let daemon = prompt(&["--increment-delay", "0.4"]);
    let (mut stays, count) = member(&daemon, "/trace");
    assert_eq!(count, 1);
    let (gone, _) = member(&daemon, "/trace");
    let waiting = Stream::join(daemon.audience(), "/nobody");
    drop((gone, waiting));
    stays.expect_silence(ms(700));
    assert_eq!(daemon.stat("trace", "members"), Some(1));
    assert_eq!(daemon.stat("trace", "connections"), Some(1));
    assert_eq!(daemon.namespaces(), ["trace"]);
}

#[test]
fn a_message_reaches_a_member_that_is_not_yet_counted() {
    let daemon = prompt(&["--increment-delay", "600"]);
    let mut streams = [0, 1].map(|_| Stream::join(daemon.audience(), "/waiting"));
    for stream in &mut streams {
        assert!(matches!(stream.next(SOON), Some(Event::Retry(_))));
        stream.expect_silence(ms(100));
    }
    daemon.notify("/waiting/news/early");
    for stream in &mut streams {
        stream.expect(&Event::Message("news=early".to_owned()));
    }
}
