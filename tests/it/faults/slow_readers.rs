//! Clients of a side port that read their long replies slowly, or not at all: they cost a constant, and keep no other out.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use super::deaf::queues;
use audience_kit::*;

/// Namespaces with names of full length, each of some 700 bytes in the stats.
fn fill(daemon: &Daemon, count: usize) -> Vec<Stream> {
    (0..count).map(|number| member(daemon, &format!("/{number:0>250}")).0).collect()
}

/// A client that has asked for the stats, and has read nothing of them.
fn ask_for_stats(daemon: &Daemon) -> TcpStream {
    let mut socket = connect(daemon.stats_port());
    socket.write_all(request("GET", "/", "Host: localhost\r\n").as_bytes()).unwrap();
    socket
}

#[test]
fn readers_that_read_nothing_take_a_constant_of_the_kernel() {
    /// Twice `SO_SNDBUF`, and the write that fills it.
    const QUEUE_MAX: u64 = 400 * 1024;
    let _quiet = heavy();
    if let Err(why) = output("ss", &["-V"]) {
        return skip(&why);
    }
    let daemon = Daemon::start(&[]);
    let _members = fill(&daemon, 6_000);
    let mut readers: Vec<TcpStream> = (0..12).map(|_| ask_for_stats(&daemon)).collect();
    let mut queued = Vec::new();
    wait_until("the kernel takes no more for any of them", || {
        let before = std::mem::replace(&mut queued, queues(daemon.stats_port()));
        queued.len() == 12 && queued == before && queued.iter().all(|&(unread, _)| unread > 0)
    });
    assert!(queued.iter().all(|&(_, memory)| memory <= QUEUE_MAX), "{queued:?}");
    for reader in &mut readers {
        let reply = Reply::parse(&read_to_end(reader));
        assert_eq!((reply.status, reply.body.matches("\"members\":1").count()), (200, 6_000));
    }
}

/// Reads 10 KB a second: all of the stats would take a minute.
#[expect(clippy::disallowed_methods, reason = "a reader that takes its time")]
fn read_slowly(mut socket: TcpStream) {
    let mut part = [0; 1024];
    while socket.read(&mut part).is_ok_and(|count| count > 0) {
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn readers_of_a_crowded_port_keep_pace_or_make_room() {
    if skip_under_torture("the kernel takes so little at a time that no reader keeps pace") {
        return;
    }
    let _quiet = heavy();
    // 6 connections of the stats port.
    let daemon = Daemon::start_after("ulimit -n 1024", &[]);
    let _members = fill(&daemon, 900);
    let slow: Vec<TcpStream> = (0..6).map(|_| ask_for_stats(&daemon)).collect();
    let threads: Vec<_> = slow.into_iter().map(|socket| std::thread::spawn(|| read_slowly(socket))).collect();
    assert_eq!(daemon.stats_page("/healthz").body, "alive\n");
    assert!(figure(&daemon, "closed", "lingered") > 0);
    drop(daemon);
    for thread in threads {
        thread.join().unwrap();
    }
}
