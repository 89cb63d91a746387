//! Processes that share a port and are one audience, on one host, over the loopback bus.
//!
//! Each process has side ports of its own where a test asks one in particular, and `connect_to` finds a connection that the
//! kernel gave to the process that is wanted.

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use audience_kit::*;

/// Changes are told every moment, and a silent process is soon forgotten.
pub(super) const BRISK: [&str; 4] = ["--cluster-notify-interval", "0.1", "--cluster-node-timeout", "1.5"];

/// The timeout in `BRISK`.
pub(super) const BRISK_TIMEOUT: Duration = ms(1500);

/// What is known soon was told soon, and nobody is forgotten for silence.
pub(super) const PATIENT: [&str; 4] = ["--cluster-notify-interval", "60", "--cluster-node-timeout", "600"];

/// What "at once" may take on a busy machine. Far below the intervals in `PATIENT`.
pub(super) const MOMENT: Duration = Duration::from_secs(1);

/// The group of the loopback bus.
pub(super) const LOOPBACK_GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 13, 37);

#[track_caller]
pub(super) fn start(options: &[&str]) -> Daemon {
    Daemon::start(&[&["-w", "1"], options].concat())
}

/// One more process of the audience of `first`, with side ports of its own.
#[track_caller]
pub(super) fn beside(first: &Daemon, options: &[&str]) -> Daemon {
    let port = first.audience().port().to_string();
    start(&[&["--port", &port], options].concat())
}

/// Processes that all know of each other.
#[track_caller]
pub(super) fn audience<const COUNT: usize>(options: &[&str]) -> [Daemon; COUNT] {
    let mut daemons = vec![start(options)];
    while daemons.len() < COUNT {
        daemons.push(beside(&daemons[0], options));
    }
    for daemon in &daemons {
        wait_nodes(daemon, COUNT as u64);
    }
    daemons.try_into().ok().unwrap()
}

#[track_caller]
pub(super) fn wait_nodes(daemon: &Daemon, count: u64) {
    wait_until(&format!("{count} nodes"), || nodes(daemon) == count);
}

/// How many datagrams the process has dropped for a reason.
#[track_caller]
pub(super) fn dropped(daemon: &Daemon, reason: &str) -> u64 {
    cluster_page(daemon)["datagrams"]["dropped"][reason].as_u64().unwrap_or(0)
}

/// The name under which the process tells its counts, from its log.
#[track_caller]
pub(super) fn node_name(daemon: &Daemon) -> String {
    let line = daemon.wait_log("the cluster", |line| line.contains(" event=cluster "));
    let mut fields = line.split(' ').filter_map(|field| field.split_once('='));
    fields.find(|(key, _)| *key == "node").unwrap().1.to_owned()
}

/// All of them say that so many members are in the namespace.
#[track_caller]
pub(super) fn wait_totals(daemons: &[Daemon], namespace: &str, members: u64) {
    for daemon in daemons {
        daemon.wait_members(namespace, members);
    }
}

/// Fails unless `condition` comes true in much less than the time that the options allow for anything slow.
#[track_caller]
pub(super) fn within(limit: Duration, what: &str, condition: impl FnMut() -> bool) {
    let begun = now();
    wait_until(what, condition);
    let taken = now() - begun;
    assert!(taken < limit, "{what}: {taken:?}");
}

/// How many connections are tried at a time: few enough to be dropped again, enough that one of four processes gets one
/// nine times of ten. Each look at the kernel's tables is slow where other tests hold thousands of sockets open.
pub(super) const TRIES_AT_ONCE: usize = 8;

/// A connection to the audience port that this process has accepted, of all that share the port.
#[track_caller]
pub(super) fn connect_to(daemon: &Daemon) -> TcpStream {
    wait_for("a connection to that process", || {
        let tried: Vec<TcpStream> = (0..TRIES_AT_ONCE).map(|_| connect(daemon.audience())).collect();
        let accepted = wait_for("that all are accepted", || accepted_as(&tried));
        let held = sockets(daemon.pid());
        let mut pairs = tried.into_iter().zip(accepted);
        pairs.find(|(_, inode)| held.contains(inode)).map(|(socket, _)| socket)
    })
}

/// The numbers of the sockets at the other ends, once processes have them all.
pub(super) fn accepted_as(sockets: &[TcpStream]) -> Option<Vec<String>> {
    // A server that listens on all addresses has its ends in the first table, which is short: those of clients are in the second.
    // The tables are those of the network that this thread is in.
    ["/proc/thread-self/net/tcp6", "/proc/thread-self/net/tcp"].iter().find_map(|path| {
        let table = fs::read_to_string(path).unwrap_or_default();
        sockets.iter().map(|socket| other_end(&table, socket)).collect()
    })
}

/// The number of the socket at the other end, by one of the kernel's tables: not 0, that is accepted.
pub(super) fn other_end(table: &str, socket: &TcpStream) -> Option<String> {
    let [theirs, ours] = [socket.peer_addr(), socket.local_addr()].map(|address| address.unwrap().port());
    let (theirs, ours) = (format!(":{theirs:04X} "), format!(":{ours:04X} "));
    let mut rows = table.lines().filter(|row| row.contains(&theirs) && row.contains(&ours));
    rows.find_map(|row| {
        let fields: Vec<&str> = row.split_whitespace().collect();
        let is_it = fields.len() > 9 && fields[1].ends_with(theirs.trim_end()) && fields[2].ends_with(ours.trim_end());
        (is_it && fields[9] != "0").then(|| fields[9].to_owned())
    })
}

/// A member at this process that has heard its first count, and this count.
#[track_caller]
pub(super) fn join_at(daemon: &Daemon, target: &str) -> (Stream, u64) {
    join_over(connect_to(daemon), target)
}

#[track_caller]
pub(super) fn join_over(mut socket: TcpStream, target: &str) -> (Stream, u64) {
    socket.write_all(join_request(target, "").as_bytes()).unwrap();
    let mut stream = Stream::over(socket);
    let first = stream.next_count(SOON);
    (stream, first)
}

/// One member of `target` at each of them.
#[track_caller]
pub(super) fn one_at_each(daemons: &[Daemon], target: &str) -> Vec<Stream> {
    daemons.iter().map(|daemon| join_at(daemon, target).0).collect()
}

#[track_caller]
pub(super) fn wait_connections(daemons: &[Daemon], total: u64) {
    for daemon in daemons {
        wait_until(&format!("{total} connections"), || daemon.stat("ns", "connections") == Some(total));
    }
}
