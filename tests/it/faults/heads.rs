//! Heads that trickle in, or never end: they are cheap, they are bounded together, and they hold nobody up.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::undisturbed::*;
use audience_kit::*;
use audience_meter::reactor::sys;

/// How many trickle, and what they may cost.
const TRICKLING: usize = 2_000;
const TRICKLING_COST: u64 = 4 * 1024 * 1024;

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
    if skip_under_torture(
        "it watches how soon others come in, and each of thousands of heads takes a hundred times as many reads",
    ) {
        return;
    }
    let _quiet = heavy();
    let daemon = Daemon::start(&["--head-timeout", "4"]);
    drop(members(&daemon, "/undisturbed", 5));
    let before = anonymous_memory(daemon.pid());
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
        while most_open < TRICKLING as u64 || open_connections(&daemon) > 10 {
            assert!(deadline.left().is_some(), "{} of {most_open} are left", open_connections(&daemon));
            join_undisturbed(&daemon);
            // At once: who goes on writing after the end gets a reset, which may take with it what was not read.
            for (mut socket, answer) in sockets.iter().zip(&mut answers) {
                let mut buffer = [0; 1024];
                if let Ok(count) = socket.read(&mut buffer) {
                    answer.extend_from_slice(&buffer[..count]);
                }
            }
            most = most.max(anonymous_memory(daemon.pid()));
            most_open = most_open.max(open_connections(&daemon));
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
    if skip_under_torture("16 MB would be read byte by byte") {
        return;
    }
    let _quiet = heavy();
    let daemon = Daemon::start(&["--head-timeout", "600"]);
    drop(members(&daemon, "/undisturbed", 5));
    let before = anonymous_memory(daemon.pid());
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
    let grown = anonymous_memory(daemon.pid()).saturating_sub(before);
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
    if skip_under_torture("it is about heads that come whole with the connection, and none does") {
        return;
    }
    let daemon = Daemon::start(&["--max-heads", &MOST.to_string(), "--head-timeout", "600"]);
    let mut silent = connect_many(&daemon, MOST);
    wait_until("all that may wait", || open_connections(&daemon) == MOST as u64 + 1);
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
    wait_until("one who is waited for", || open_connections(&daemon) >= 102);
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
    if skip_under_torture("it watches how soon others are answered, and each head takes a hundred times as many reads")
    {
        return;
    }
    let _quiet = heavy();
    let daemon = Daemon::start_after("ulimit -n 1024", &["--head-timeout", "600"]);
    let _members = [member(&daemon, "/a"), member(&daemon, "/d")];
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
