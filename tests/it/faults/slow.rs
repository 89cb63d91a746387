//! Clients that are slow on purpose, or hostile: members that never read, heads that trickle in, members that keep talking,
//! and a flood of joins and leaves. Each costs a constant, in the process and in the kernel, and the others do not notice.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use audience_meter::reactor::sys;
use serde_json::Value;

use crate::cluster::hosts::{output, run, skip};
use audience_kit::{
    Daemon, Deadline, Event, SOON, Stream, connect, join_request, lossy, member, members, ms, now, show, wait_for,
    wait_until,
};

// ---------------------------------------------------------------------------------------------
// What a daemon holds
// ---------------------------------------------------------------------------------------------

/// Says that it is over when it is dropped, also by a test that fails: the threads beside it end then.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The anonymous memory of the process, in bytes.
#[track_caller]
fn anonymous(daemon: &Daemon) -> u64 {
    let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", daemon.pid())).unwrap();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Anonymous:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// What `/process` says. On a busy machine it takes more than one try: who does not come to speak HTTP within 50 ms is
/// taken for one that never will.
#[track_caller]
pub(crate) fn process(daemon: &Daemon) -> Value {
    wait_for("an answer over HTTP", || {
        let mut socket = connect(daemon.stats_port());
        let _ = socket.write_all(b"GET /process HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let answer = lossy(&read_rest(&mut socket));
        let (_, body) = answer.strip_prefix("HTTP/1.1 200 ")?.split_once("\r\n\r\n")?;
        serde_json::from_str(body).ok()
    })
}

/// One of its numbers.
#[track_caller]
pub(crate) fn figure(daemon: &Daemon, group: &str, key: &str) -> u64 {
    let page = process(daemon);
    page[group][key].as_u64().unwrap_or_else(|| panic!("no {group}.{key} in {page}"))
}

/// How many connections are open, the one that asks among them.
#[track_caller]
pub(crate) fn open(daemon: &Daemon) -> u64 {
    process(daemon)["open"].as_u64().unwrap()
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
        return skip("slow::members_that_never_read_cost_a_constant", &why);
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
        tell(&daemon, &mut reads, sent);
        sent += 1;
    }
    daemon.wait_members("slow", 1 + deaf.len() as u64);
    reads.wait_count(1 + deaf.len() as u64);
    stuck.clear();
}

// ---------------------------------------------------------------------------------------------
// Heads that never end
// ---------------------------------------------------------------------------------------------

/// How many trickle, and what they may cost.
const TRICKLING: usize = 2_000;
const TRICKLING_COST: u64 = 4 * 1024 * 1024;

/// How long a join may take meanwhile, the first count included.
const UNDISTURBED: Duration = ms(2_000);

/// As many connections that have said nothing yet.
#[track_caller]
fn connect_many(daemon: &Daemon, count: usize) -> Vec<TcpStream> {
    sys::raise_descriptor_limit().unwrap();
    (0..count).map(|_| connect(daemon.audience())).collect()
}

/// What is read until the end, however the peer has ended it.
fn read_rest(socket: &mut TcpStream) -> Vec<u8> {
    socket.set_read_timeout(Some(SOON)).unwrap();
    let mut bytes = Vec::new();
    let mut buffer = [0; 1024];
    while let Ok(count @ 1..) = socket.read(&mut buffer) {
        bytes.extend_from_slice(&buffer[..count]);
    }
    bytes
}

/// Joins, hears a count, and leaves.
#[track_caller]
pub(crate) fn join_undisturbed(daemon: &Daemon) {
    let begun = now();
    drop(member(daemon, "/undisturbed"));
    let taken = now() - begun;
    assert!(taken < UNDISTURBED, "a join took {taken:?}");
}

/// Sends a head to all, 640 bytes in pieces of 16, and then byte by byte; less in all than would be too much to hold.
fn trickle(sockets: &[TcpStream], is_over: &AtomicBool) {
    let head = format!("GET /trickle HTTP/1.1\r\nHost: h\r\nX-Filler: {}", "x".repeat(1_000));
    let (first, rest) = head.as_bytes().split_at(640);
    for piece in first.chunks(16).chain(rest[..300].chunks(1)) {
        for mut socket in sockets {
            // It may have been closed meanwhile, which is what is wanted.
            let _ = socket.write_all(piece);
        }
        if is_over.load(Ordering::Relaxed) {
            break;
        }
    }
}

#[test]
fn heads_that_trickle_in_are_cheap_and_answered_408_whatever_they_trickle() {
    let daemon = Daemon::start(&["--head-timeout", "4"]);
    drop(members(&daemon, "/undisturbed", 5));
    let before = anonymous(&daemon);
    let sockets = connect_many(&daemon, TRICKLING);
    for socket in &sockets {
        socket.set_nonblocking(true).unwrap();
    }
    let mut answers = vec![Vec::new(); TRICKLING];
    let is_over = AtomicBool::new(false);
    let (most, most_open) = thread::scope(|scope| {
        let _over = Over(&is_over);
        scope.spawn(|| trickle(&sockets, &is_over));
        let (mut most, mut most_open) = (0, 0);
        // To the timeout, and for as long again as it takes to be told so and to close.
        let deadline = Deadline::after(SOON + SOON);
        while most_open < TRICKLING as u64 || open(&daemon) > 10 {
            assert!(deadline.left().is_some(), "{} of {most_open} are left", open(&daemon));
            join_undisturbed(&daemon);
            // At once: who goes on writing after the end gets a reset, which may take with it what was not read.
            for (mut socket, answer) in sockets.iter().zip(&mut answers) {
                let mut buffer = [0; 1024];
                if let Ok(count) = socket.read(&mut buffer) {
                    answer.extend_from_slice(&buffer[..count]);
                }
            }
            most = most.max(anonymous(&daemon));
            most_open = most_open.max(open(&daemon));
        }
        (most, most_open)
    });
    let grown = most.saturating_sub(before);
    assert!(grown < TRICKLING_COST, "{grown} bytes for {most_open} connections");
    show(&format!("heads that trickle in: {grown} bytes of the process for {most_open}"));
    let late = |answer: &Vec<u8>| answer.starts_with(b"HTTP/1.1 408 ");
    let others = answers.iter().find(|answer| !late(answer));
    assert!(others.is_none(), "{:?}", others.map(|answer| lossy(answer)));
    assert_eq!(figure(&daemon, "refused", "heads"), 0);
}

#[test]
fn heads_of_all_but_the_end_are_bounded_together() {
    let daemon = Daemon::start(&["--head-timeout", "600"]);
    drop(members(&daemon, "/undisturbed", 5));
    let before = anonymous(&daemon);
    let head = format!("GET /long HTTP/1.1\r\nHost: h\r\nX-Filler: {}", "x".repeat(8_000));
    let mut sockets = connect_many(&daemon, TRICKLING);
    for socket in &mut sockets {
        let _ = socket.write_all(&head.as_bytes()[..1_400]);
    }
    join_undisturbed(&daemon);
    for socket in &mut sockets {
        let _ = socket.write_all(&head.as_bytes()[1_400..]);
    }
    // 512 KiB for those who came first, and some 1.5 KiB for each of the others, which is less than they have sent.
    wait_until("most are turned away", || figure(&daemon, "refused", "heads") > TRICKLING as u64 - 70);
    let grown = anonymous(&daemon).saturating_sub(before);
    assert!(grown < TRICKLING_COST, "{grown} bytes");
    show(&format!("heads of all but the end: {grown} bytes of the process for {TRICKLING}"));
    join_undisturbed(&daemon);
    let mut kept = 0;
    for socket in &mut sockets {
        // Who is kept can still end its head, and is answered.
        let _ = socket.write_all(b"\r\n\r\n");
        let answer = read_rest(socket);
        kept += usize::from(answer.starts_with(b"HTTP/1.1 200 "));
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 200 "), "{:?}", lossy(&answer));
    }
    assert!((50..70).contains(&kept), "{kept} were kept");
}

#[test]
fn past_max_heads_only_who_comes_without_one_is_turned_away_and_without_a_word() {
    const MOST: usize = 20;
    let daemon = Daemon::start(&["--max-heads", &MOST.to_string(), "--head-timeout", "600"]);
    let mut silent = connect_many(&daemon, MOST);
    wait_until("all that may wait", || open(&daemon) == MOST as u64 + 1);
    daemon.wait_log("what the kernel was asked", |line| line.ends_with("event=heads waited_for=20 deferred=true"));
    // Some would be turned away, were they taken in before their heads are there.
    let mut stays = members(&daemon, "/stays", 100);
    let mut newest = connect_many(&daemon, 5);
    newest[0].write_all(b"GET /newest HTTP/1.1\r\n").unwrap();
    for socket in &mut newest {
        assert_eq!(read_rest(socket), b"");
    }
    assert_eq!(figure(&daemon, "refused", "heads"), 5);
    assert_eq!(figure(&daemon, "closed", "no_head_room"), 5);
    // Those who came first are still there, and answered.
    let mut first = silent.remove(0);
    first.write_all(join_request("/stays", "").as_bytes()).unwrap();
    assert_eq!(Stream::over(first).next_count(SOON), 101);
    drop(silent);
    daemon.wait_log("that there is room again", |line| line.ends_with("deferred=false"));
    let mut late = connect(daemon.audience());
    wait_until("one who is waited for", || open(&daemon) >= 102);
    late.write_all(join_request("/stays", "").as_bytes()).unwrap();
    assert!(Stream::over(late).next_count(SOON) >= 100);
    assert_eq!(figure(&daemon, "refused", "heads"), 5);
    stays.clear();
}

/// One request to a side port; the answer, unless it was none.
fn ask(address: SocketAddr, target: &str) -> Option<String> {
    let mut socket = connect(address);
    let _ = socket.write_all(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
    Some(lossy(&read_rest(&mut socket))).filter(|answer| answer.starts_with("HTTP/1.1 200 "))
}

#[test]
fn a_side_port_that_is_full_of_slow_clients_answers_the_others() {
    /// Ten times as many as a side port may have.
    const SLOW: usize = 60;
    let daemon = Daemon::start_after("ulimit -n 1024", &["--head-timeout", "600"]);
    let ports = [
        (daemon.demo(), "/test", "/client/audience.js"),
        (daemon.notification(), "/a/b/c", "/d/e/f"),
        (daemon.stats_port(), "/process", "/"),
    ];
    for (address, theirs, ours) in ports {
        let mut refused = figure(&daemon, "refused", "heads");
        for slow in ["GET / HTTP/1.1\r\nX: ", &format!("GET {theirs} HTTP/1.1\r\nHost: localhost\r\n\r\n")] {
            let come = |_| {
                let mut socket = connect(address);
                let _ = socket.write_all(slow.as_bytes());
                socket
            };
            let sockets: Vec<TcpStream> = (0..SLOW).map(come).collect();
            // Each of them might be waited for: for 600 s for the rest of the head, or for 2 s to close.
            for _ in 0..10 {
                let begun = now();
                wait_for("an answer", || ask(address, ours));
                assert!(now() - begun < UNDISTURBED, "{ours} took {:?} beside {slow:?}", now() - begun);
            }
            if slow.ends_with("X: ") {
                let before = std::mem::replace(&mut refused, figure(&daemon, "refused", "heads"));
                assert!(refused > before + SLOW as u64 / 2, "{} were turned away", refused - before);
            } else if address != daemon.stats_port() {
                // Whoever has sent a whole head has its answer. (At the stats port one that was late has another.)
                for mut socket in sockets {
                    assert!(lossy(&read_rest(&mut socket)).starts_with("HTTP/1.1 200 "));
                }
            }
        }
    }
}

// ---------------------------------------------------------------------------------------------
// Members that keep talking
// ---------------------------------------------------------------------------------------------

#[test]
fn a_member_that_keeps_talking_is_ignored_and_then_closed() {
    let daemon = Daemon::start(&["--notify-delta-ratio", "0", "--notify-min-delay", "0.02"]);
    let (mut hears, _) = member(&daemon, "/talk");
    let (mut talks, _) = member(&daemon, "/talk");
    hears.wait_count(2);
    // What may be said. It is no request, and changes nothing.
    for _ in 0..64 {
        talks.socket.write_all(&[b'x'; 1_024]).unwrap();
    }
    let (comes, _) = member(&daemon, "/talk");
    talks.wait_count(3);
    drop(comes);
    talks.wait_count(2);
    hears.wait_count(2);
    assert_eq!(figure(&daemon, "closed", "too_much"), 0);

    talks.socket.write_all(b"x").unwrap();
    hears.wait_count(1);
    assert_eq!(figure(&daemon, "closed", "too_much"), 1);
    assert_eq!(daemon.stat("talk", "members"), Some(1));
}

#[test]
fn members_that_talk_all_the_time_hold_nobody_up() {
    const TALKING: usize = 50;
    let daemon = Daemon::start(&["--notify-delta-ratio", "0", "--notify-min-delay", "0.02"]);
    let address = daemon.audience();
    let (mut hears, _) = member(&daemon, "/calm");
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let _over = Over(&is_over);
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let talking: Vec<Stream> = (0..TALKING).map(|_| Stream::join(address, "/talk")).collect();
                for _ in 0..8 {
                    for stream in &talking {
                        // The last of them are more than may be said.
                        let _ = (&stream.socket).write_all(&[b'x'; 16 * 1_024]);
                    }
                }
            }
        });
        while figure(&daemon, "closed", "too_much") < 4 * TALKING as u64 {
            join_undisturbed(&daemon);
            let begun = now();
            daemon.notify("/calm/n/on").expect_empty();
            hears.expect(&Event::Message("n=on".to_owned()));
            assert!(now() - begun < UNDISTURBED, "a message took {:?}", now() - begun);
        }
    });
}

// ---------------------------------------------------------------------------------------------
// A flood of joins and leaves
// ---------------------------------------------------------------------------------------------

#[test]
fn a_flood_of_joins_and_leaves_of_one_address_does_not_starve_the_others() {
    const FLOODERS: usize = 4;
    const JOINS: usize = 30;
    // They share the processors with the flood.
    const WITHIN: Duration = ms(4_000);
    let options = ["--notify-delta-ratio", "0", "--notify-min-delay", "0.02"];
    let daemon = Daemon::start(&options);
    let address = daemon.audience();
    let flooded = AtomicU64::new(0);
    let is_over = AtomicBool::new(false);
    let flood = || {
        while !is_over.load(Ordering::Relaxed) {
            // Not one of them waits for its answer.
            let batch: Vec<TcpStream> = (0..50).map(|_| connect(address)).collect();
            for mut socket in &batch {
                let _ = socket.write_all(join_request("/flood", "").as_bytes());
            }
            flooded.fetch_add(batch.len() as u64, Ordering::Relaxed);
        }
    };
    let stays = thread::scope(|scope| {
        let _over = Over(&is_over);
        for _ in 0..FLOODERS {
            scope.spawn(flood);
        }
        wait_until("a flood", || flooded.load(Ordering::Relaxed) > 1_000);
        let (mut stays, mut times) = (Vec::new(), Vec::new());
        let (begun, before) = (now(), flooded.load(Ordering::Relaxed));
        for number in 1..=JOINS {
            let begun = now();
            let (stream, count) = member(&daemon, "/calm");
            stays.push(stream);
            assert_eq!(count, number as u64);
            // The first has heard its own count with the join.
            if number > 1 {
                stays[0].wait_count(number as u64);
            }
            let taken = now() - begun;
            assert!(taken < WITHIN, "join {number} took {taken:?}");
            times.push(taken);
        }
        let (joins, took) = (flooded.load(Ordering::Relaxed) - before, now() - begun);
        times.sort_unstable();
        let (median, worst) = (times[JOINS / 2], times[JOINS - 1]);
        show(&format!("beside a flood of {joins} joins in {took:?}: a join took {median:?}, at worst {worst:?}"));
        stays
    });
    daemon.wait_members("flood", 0);
    assert_eq!(daemon.stat("calm", "members"), Some(stays.len() as u64));
}
