//! Members that never read, and clients that read nothing of a reply: each costs a constant, in the process and in the kernel,
//! and the others do not notice.

use std::io::Write as _;
use std::net::SocketAddr;

use super::guests::QUIET;
use audience_kit::*;

/// What the kernel has for each connection of a port on the daemon's side: what it was given to send and the
/// peer has not acknowledged, and the memory that this takes, both in bytes.
#[track_caller]
pub(super) fn queues(port: SocketAddr) -> Vec<(u64, u64)> {
    let filter = format!("sport = :{}", port.port());
    let listed = run("ss", &["-tnmHO", "state", "established", &filter]);
    let queue = |line: &str| {
        let unacknowledged = line.split_whitespace().nth(1)?.parse().ok()?;
        let memory = line.split_once("skmem:(")?.1.split(',').find_map(|part| part.strip_prefix('w'))?.parse().ok()?;
        Some((unacknowledged, memory))
    };
    listed.lines().map(|line| queue(line).unwrap_or_else(|| panic!("{line}"))).collect()
}

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
fn send_and_read(daemon: &Daemon, reads: &mut Stream, number: usize) {
    let text = long_message(number);
    daemon.notify(&format!("/slow/n/{text}")).expect_confirmed();
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
    let _quiet = heavy();
    if let Err(why) = output("ss", &["-V"]) {
        return skip(&why);
    }
    let options = ["--notify-delta-ratio", "0", "--notify-min-delay", "0.02", "--notify-max-delay", "600"];
    let daemon = Daemon::start(&options);
    let (mut reads, _) = member(&daemon, "/slow");
    let before = anonymous_memory(daemon.pid());
    let mut deaf: Vec<Stream> = (0..DEAF).map(|_| Stream::join(daemon.audience(), "/slow")).collect();

    // Until their own buffers are full, and the kernel's on this side begin to be.
    let mut sent = 0;
    while queues(daemon.audience()).iter().filter(|(unsent, _)| *unsent > 0).count() < DEAF {
        assert!(sent < 40, "kept for all after {sent} messages");
        send_and_read(&daemon, &mut reads, sent);
        sent += 1;
    }
    // From here on the kernel takes one more at most, and all else waits here.
    for _ in 0..8 {
        send_and_read(&daemon, &mut reads, sent);
        sent += 1;
    }
    // Counts are told all the while to the one who reads, and replace each other for those who do not.
    for _ in 0..COUNTS {
        let (comes, _) = member(&daemon, "/slow");
        reads.wait_count(DEAF as u64 + 2);
        drop(comes);
        reads.wait_count(DEAF as u64 + 1);
    }
    let kept: Vec<u64> = queues(daemon.audience()).into_iter().map(|(_, memory)| memory).collect();
    assert!(kept.len() > DEAF && kept.iter().all(|&memory| memory <= QUEUE_MAX), "{kept:?}");
    let grown = anonymous_memory(daemon.pid()).saturating_sub(before);
    assert!(grown < 1024 * 1024, "{grown} bytes for {DEAF} members");
    let most = kept.iter().max().unwrap();
    show(&format!(
        "members that never read: {most} bytes of the kernel for one at most, {grown} of the process for {DEAF}"
    ));
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
        send_and_read(&daemon, &mut reads, sent);
        sent += 1;
    }
    daemon.wait_members("slow", 1 + deaf.len() as u64);
    reads.wait_count(1 + deaf.len() as u64);
    stuck.clear();
}

#[test]
fn a_member_that_never_reads_is_closed_and_holds_nobody_up() {
    let daemon = Daemon::start(&QUIET);
    let (mut reads, _) = member(&daemon, "/slow");
    let stuck = member(&daemon, "/slow").0;
    let text = "x".repeat(7_000);
    let mut sent = 0;
    while daemon.stat("slow", "members") == Some(2) {
        assert!(sent < 300, "kept after {sent} messages");
        for _ in 0..50 {
            daemon.notify(&format!("/slow/n/{sent}-{text}")).expect_confirmed();
            reads.expect(&Event::Message(format!("n={sent}-{text}")));
            sent += 1;
        }
    }
    assert_eq!(daemon.stat("slow", "members"), Some(1));
    drop(stuck);
}

#[test]
fn a_client_that_reads_nothing_of_a_reply_holds_nobody_up() {
    let daemon = Daemon::start(&QUIET);
    let plain = request("GET", "/client/audience.js", "Host: h\r\n");
    let deaf = (0..50).map(|_| {
        let mut socket = connect(daemon.audience());
        socket.write_all(plain.as_bytes()).unwrap();
        socket
    });
    let deaf = deaf.collect::<Vec<_>>();
    assert_eq!(member(&daemon, "/quick").1, 1);
    for mut socket in deaf {
        assert_eq!(Reply::parse(&read_to_end(&mut socket)).status, 200);
    }
}
