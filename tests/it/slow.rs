//! Clients that are slow on purpose, or hostile: members that never read, heads that trickle in, members that keep talking,
//! and a flood of joins and leaves. Each costs a constant, in the process and in the kernel, and the others do not notice.

use serde_json::Value;

use crate::hosts::{output, run};
use crate::support::{Daemon, Deadline, Event, SOON, Stream, get, member};

// ---------------------------------------------------------------------------------------------
// What a daemon holds
// ---------------------------------------------------------------------------------------------

/// The anonymous memory of the process, in bytes.
#[track_caller]
fn anonymous(daemon: &Daemon) -> u64 {
    let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", daemon.pid())).unwrap();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Anonymous:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// One of the numbers of `/process`.
#[track_caller]
fn figure(daemon: &Daemon, group: &str, key: &str) -> u64 {
    let page: Value = serde_json::from_str(&get(daemon.stats_port(), "/process").body).unwrap();
    page[group][key].as_u64().unwrap_or_else(|| panic!("no {group}.{key} in {page}"))
}

/// What the kernel has for each connection of the audience port on the daemon's side: what it was given to send and the
/// peer has not acknowledged, and the memory that this takes, both in bytes.
#[track_caller]
fn queues(daemon: &Daemon) -> Vec<(u64, u64)> {
    let filter = format!("sport = :{}", daemon.audience().port());
    let listed = run("ss", &["-tnmHO", "state", "established", &filter]);
    let queue = |line: &str| {
        let unacknowledged = line.split_whitespace().nth(1)?.parse().ok()?;
        let memory = line.split_once("skmem:(")?.1.split(',').find_map(|part| part.strip_prefix('w'))?.parse().ok()?;
        Some((unacknowledged, memory))
    };
    listed.lines().map(|line| queue(line).unwrap_or_else(|| panic!("{line}"))).collect()
}

// ---------------------------------------------------------------------------------------------
// Members that never read
// ---------------------------------------------------------------------------------------------

/// How many there are.
const DEAF: usize = 200;

/// What the kernel may keep for each: twice `SO_SNDBUF`, and the write that fills it.
const QUEUE_MAX: u64 = 80 * 1024;

/// Some 7 KB, of this number.
fn long_message(number: usize) -> String {
    format!("{number}-{}", "x".repeat(7_000))
}

/// Sends a long message, and waits until one who reads has heard it.
#[track_caller]
fn tell(daemon: &Daemon, reads: &mut Stream, number: usize) {
    let text = long_message(number);
    daemon.notify(&format!("/slow/n/{text}")).expect_empty();
    let told = Event::Message(format!("n={text}"));
    while reads.next_event(SOON).expect("the message") != told {}
}

/// Reads everything up to this count: the messages before it in order and whole, and how many other counts there were.
#[track_caller]
fn catch_up(stream: &mut Stream, messages: usize, count: u64) -> usize {
    let deadline = Deadline::after(SOON);
    let (mut heard, mut stale) = (0, 0);
    loop {
        match stream.next_event(deadline.left().unwrap_or_default()) {
            Some(Event::Message(text)) => {
                assert!(text == format!("n={}", long_message(heard)), "not message {heard}: {}", &text[..20]);
                heard += 1;
            }
            Some(Event::Count(heard_count)) if heard_count == count && heard == messages => return stale,
            Some(Event::Count(_)) => stale += 1,
            other => panic!("after {heard} messages: {other:?}"),
        }
    }
}

#[test]
fn members_that_never_read_cost_a_constant_and_lose_nothing_but_stale_counts() {
    const COUNTS: usize = 40;
    if let Err(why) = output("ss", &["-V"]) {
        return crate::hosts::skip("slow::members_that_never_read_cost_a_constant", &why);
    }
    let options = ["--notify-delta-ratio", "0", "--notify-min-delay", "0.02", "--notify-max-delay", "600"];
    let daemon = Daemon::start(&options);
    let (mut reads, _) = member(&daemon, "/slow");
    let before = anonymous(&daemon);
    let mut deaf: Vec<Stream> = (0..DEAF).map(|_| Stream::join(daemon.audience(), "/slow")).collect();

    // Until their own buffers are full, and the kernel's on this side begin to be.
    let mut sent = 0;
    while queues(&daemon).iter().filter(|(unsent, _)| *unsent > 0).count() < DEAF {
        assert!(sent < 40, "kept for all after {sent} messages");
        tell(&daemon, &mut reads, sent);
        sent += 1;
    }
    // From here on the kernel takes one more at most, and all else waits here.
    for _ in 0..8 {
        tell(&daemon, &mut reads, sent);
        sent += 1;
    }
    // Counts are told all the while to the one who reads, and replace each other for those who do not.
    for _ in 0..COUNTS {
        let (comes, _) = member(&daemon, "/slow");
        reads.wait_count(DEAF as u64 + 2);
        drop(comes);
        reads.wait_count(DEAF as u64 + 1);
    }
    let kept: Vec<u64> = queues(&daemon).into_iter().map(|(_, memory)| memory).collect();
    assert!(kept.len() > DEAF && kept.iter().all(|&memory| memory <= QUEUE_MAX), "{kept:?}");
    let grown = anonymous(&daemon).saturating_sub(before);
    assert!(grown < 1024 * 1024, "{grown} bytes for {DEAF} members");
    assert_eq!(figure(&daemon, "closed", "too_slow"), 0);

    // Half of them read at last.
    let mut stuck = deaf.split_off(DEAF / 2);
    for stream in &mut deaf {
        let stale = catch_up(stream, sent, DEAF as u64 + 1);
        assert!(stale < COUNTS, "{stale} stale counts");
    }
    // The others are behind by more than may be.
    while figure(&daemon, "closed", "too_slow") < stuck.len() as u64 {
        assert!(sent < 200, "kept after {sent} messages");
        tell(&daemon, &mut reads, sent);
        sent += 1;
    }
    daemon.wait_members("slow", 1 + deaf.len() as u64);
    reads.wait_count(1 + deaf.len() as u64);
    stuck.clear();
}
