//! Members with a uuid whose streams are lost, and pages that say how they leave (`--leave-delay`).

use super::stream::prompt;
use audience_kit::*;

/// Long enough that no place is given up by itself while a test runs.
const PATIENT: [&str; 3] = ["--enable-uuid", "--leave-delay", "600"];

/// Joins, and returns the stream, the number of it, and the first count.
fn join(daemon: &Daemon, target: &str) -> (Stream, u64, u64) {
    let mut stream = Stream::join(daemon.audience(), target);
    let first = first_block(&mut stream);
    let value = |field: &str| first.lines().find_map(|line| line.strip_prefix(field)?.parse().ok());
    let (number, count) = (value("id: ").expect("a number"), value("data: ").expect("a count"));
    (stream, number, count)
}

fn first_block(stream: &mut Stream) -> String {
    match stream.next_block(SOON) {
        Some(Block::Lines(lines)) => lines,
        other => panic!("wanted the first block, got {other:?}"),
    }
}

fn figures(daemon: &Daemon) -> [Option<u64>; 3] {
    ["members", "waiting", "connections"].map(|key| daemon.stat("ns", key))
}

fn wait_figures(daemon: &Daemon, members: u64, waiting: u64, connections: u64) {
    let wanted = [members, waiting, connections].map(Some);
    wait_until(&format!("{wanted:?}"), || figures(daemon) == wanted);
}

/// A page says that it leaves.
fn say(daemon: &Daemon, query: &str) -> Reply {
    exchange(daemon.audience(), request("POST", &format!("/ns/u?{query}"), "Host: h\r\nContent-Length: 0\r\n"))
}

#[test]
fn a_lost_stream_that_comes_back_is_no_connection_and_no_push() {
    let daemon = prompt(&PATIENT);
    let (mut other, _) = member(&daemon, "/ns");
    let (stream, first, _) = join(&daemon, "/ns/u");
    other.expect_count(2);
    drop(stream);
    wait_figures(&daemon, 2, 1, 2);
    let (mut stream, second, count) = join(&daemon, "/ns/u");
    assert_eq!((count, figures(&daemon)), (2, [Some(2), Some(0), Some(2)]));
    assert!(second > first, "each stream has a number of its own");
    other.expect_silence(ms(300));
    stream.expect_silence(ms(1));
    // Another stream takes over while the first is still there, as that of a phone whose network has changed.
    let (_newest, _, count) = join(&daemon, "/ns/u");
    stream.wait_farewell();
    assert_eq!((count, figures(&daemon)), (2, [Some(2), Some(0), Some(2)]));
    let stays = daemon.stats()["ns"]["stays"].as_array().unwrap().clone();
    assert!(stays.iter().all(|count| *count == 0), "{stays:?}");
}

#[test]
fn a_lost_stream_is_counted_for_the_delay_and_then_no_more() {
    let daemon = prompt(&["--enable-uuid", "--leave-delay", "0.5"]);
    let (mut other, _) = member(&daemon, "/ns");
    let (stream, ..) = join(&daemon, "/ns/u");
    other.expect_count(2);
    let begun = now();
    drop(stream);
    other.expect_count(1);
    assert!(now() - begun >= ms(500), "it was counted for the delay");
    wait_figures(&daemon, 1, 0, 2);
}

#[test]
fn a_page_that_leaves_names_its_stream() {
    let daemon = prompt(&PATIENT);
    let (mut old, first, _) = join(&daemon, "/ns/u");
    let (mut stream, second, _) = join(&daemon, "/ns/u");
    old.wait_farewell();
    for query in [format!("left={first}"), format!("away={first}")] {
        say(&daemon, &query).expect_empty();
    }
    stream.expect_silence(ms(200));
    for query in ["left=", "left=x", "away=-1", "left=1.5"] {
        let reply = say(&daemon, query);
        assert_eq!(reply.status, 400, "{query}");
        assert!(reply.body.contains("left and away name a stream"), "{reply:?}");
    }
    stream.expect_silence(ms(200));
    say(&daemon, &format!("left={second}")).expect_empty();
    stream.wait_left();
    wait_figures(&daemon, 0, 0, 1);
}

#[test]
fn a_page_that_is_away_is_counted_for_a_moment() {
    let daemon = prompt(&PATIENT);
    let (mut stream, number, _) = join(&daemon, "/ns/u");
    say(&daemon, &format!("away={number}")).expect_empty();
    stream.wait_left();
    assert_eq!(figures(&daemon), [Some(1), Some(1), Some(1)]);
    let (_reloaded, _, count) = join(&daemon, "/ns/u");
    assert_eq!((count, figures(&daemon)), (1, [Some(1), Some(0), Some(1)]));
    // A late farewell of the page before the reload ends nothing; one of a page of 2011, which names no stream, does.
    say(&daemon, &format!("away={number}")).expect_empty();
    assert_eq!(figures(&daemon), [Some(1), Some(0), Some(1)]);
    say(&daemon, "").expect_empty();
    wait_figures(&daemon, 0, 0, 1);
}

#[test]
fn a_stream_that_the_daemon_cuts_waits_for_its_member() {
    let daemon = prompt(&["--enable-uuid", "--leave-delay", "600", "--max-conn-duration", "0.4"]);
    let (mut stream, ..) = join(&daemon, "/ns/u");
    stream.wait_closed();
    wait_figures(&daemon, 1, 1, 1);
    let (_stream, _, count) = join(&daemon, "/ns/u");
    assert_eq!((count, daemon.stat("ns", "connections")), (1, Some(1)));
}

#[test]
fn without_a_delay_no_stream_has_a_number() {
    let daemon = prompt(&["--enable-uuid"]);
    let mut stream = Stream::join(daemon.audience(), "/ns/u");
    let first = first_block(&mut stream);
    assert!(first.starts_with("retry: ") && first.ends_with("\ndata: 1") && !first.contains("id:"), "{first}");
    drop(stream);
    wait_figures(&daemon, 0, 0, 1);
    assert_eq!(say(&daemon, "left=7").status, 200);
}
