//! Very many nodes that come, count and go, beside running processes: honest nodes that the test speaks for, by unicast and with
//! the key of the audience.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};

use super::siblings::*;
use audience_kit::*;
use audience_meter::meter::news::{
    Age, Alive, Count, Datagram, Echo, Farewell, Format, Item, News, NodeId, Peak, Promise, Sums,
};
use audience_meter::meter::promise_of;
use audience_meter::wire::report::{FORMATS, Keys, Scope, decode, encode};

const KEY: &str = "the key of this audience";

/// How many nodes come and go, and how many of them at a time.
const NODES: u64 = 1_200;
const BATCH: u64 = 100;

/// How many joins each of them counts.
const JOINS: u64 = 3;

/// A host of many nodes.
struct Host {
    socket: UdpSocket,
    daemon: SocketAddr,
    scope: Scope,
    /// The number of each node's last datagram.
    numbers: BTreeMap<u64, u64>,
}

impl Host {
    fn new(socket: UdpSocket, daemon: &Daemon) -> Self {
        socket.set_read_timeout(Some(ms(20))).unwrap();
        let mut bytes = [0; 2_000];
        let (length, from) = wait_for("a datagram of the daemon", || socket.recv_from(&mut bytes).ok());
        assert!(length > 13 && from.port() == daemon.audience().port());
        let id = u64::from_le_bytes(bytes[5..13].try_into().unwrap());
        let scope = Scope { id, keys: Keys::new(vec![KEY.into()]) };
        Self { socket, daemon: from, scope, numbers: BTreeMap::new() }
    }

    fn send(&mut self, node: u64, news: News<&str>) {
        let number = self.numbers.entry(node).or_default();
        *number += 1;
        let format = Format { written: FORMATS.oldest, newest: FORMATS.newest };
        let datagram = Datagram { sender: NodeId(node), number: *number, clock: *number, format, news };
        let _ = self.socket.send_to(&encode(&datagram, &self.scope), self.daemon);
    }

    /// A sign of life, perhaps an answer.
    fn show(&mut self, node: u64, echo: Option<Echo>) {
        let promise = echo.map_or_else(Promise::default, |_| promise_of(farewell(node)));
        self.send(node, News::Alive(Alive { version: 1, promise, echo, ..Alive::default() }));
    }

    /// Answers what nodes are asked, which are these and have not been asked; returns those that were.
    fn answer(&mut self) -> Vec<u64> {
        let (mut asked, mut bytes) = (Vec::new(), [0; 2_000]);
        while let Ok(length) = self.socket.recv(&mut bytes) {
            let Ok(Datagram { sender, news: News::Ask(ask), .. }) = decode(&bytes[..length], &self.scope) else {
                continue;
            };
            if let Some(NodeId(node)) = ask.of {
                self.show(node, Some(Echo { asker: sender, nonce: ask.nonce }));
                asked.push(node);
            }
        }
        asked
    }

    /// Some nodes come, count, lose their members again, and go.
    fn come_and_go(&mut self, nodes: std::ops::Range<u64>) {
        let mut unknown: Vec<u64> = nodes.clone().collect();
        wait_until("that all are asked", || {
            // Each brings in more bytes than a question to it takes.
            for &node in unknown.iter().flat_map(|node| [node; 5]) {
                self.show(node, None);
            }
            let asked = self.answer();
            unknown.retain(|node| !asked.contains(node));
            unknown.is_empty()
        });
        for members in [1, 0] {
            for node in nodes.clone() {
                self.send(node, report(members));
            }
            self.answer();
        }
        nodes.for_each(|node| self.send(node, News::Bye(farewell(node))));
        self.answer();
    }
}

fn farewell(node: u64) -> Farewell {
    Farewell([node, 7])
}

/// All that a node has counted, while its last member is there or after it.
fn report(members: u32) -> News<&'static str> {
    let mut sums = Sums { connections: JOINS, member_ticks: 100, ..Sums::default() };
    sums.stays[0] = JOINS - u64::from(members);
    let (age, peak) = (Age::default(), Peak { members: 1, ago_ms: 0 });
    let count = Count { namespace: "home", members, uncounted: 0, waiting: 0, sums, age, peak };
    let version = 2 - u64::from(members);
    News::Report { from: version - 1, to: version, horizon: 0, name: 0, items: vec![Item::Count(count)] }
}

#[test]
fn more_nodes_than_are_remembered_come_and_go_and_a_newcomer_knows_of_all() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let peer = socket.local_addr().unwrap().to_string();
    let key = ScratchFile::with("fleet-key", KEY, 0o600);
    let options = [
        &["--cluster-peers", &peer, "--cluster-key-file", key.path()][..],
        &["--notify-min-delay", "0.1", "--notify-max-delay", "1"],
        &BRISK,
    ]
    .concat();
    let daemon = start(&options);
    let (_open, _) = join_at(&daemon, "/home");
    let mut host = Host::new(socket, &daemon);
    for batch in 0..NODES / BATCH {
        let first = batch * BATCH;
        host.come_and_go(1_000 + first..1_000 + first + BATCH);
        let joined = 1 + JOINS * (first + BATCH);
        wait_until("that their joins stay", || daemon.stat("home", "connections") == Some(joined));
        wait_nodes(&daemon, 1);
    }
    let newcomer = beside(&daemon, &options);
    wait_nodes(&newcomer, 2);
    let all = Some(1 + JOINS * NODES);
    wait_until("that the newcomer knows of all", || newcomer.stat("home", "connections") == all);
    assert_eq!((daemon.stat("home", "connections"), daemon.stat("home", "members")), (all, Some(1)));
    let (mut stream, _) = join_at(&newcomer, "/home");
    daemon.wait_members("home", 2);
    newcomer.wait_members("home", 2);
    // They know the same, so neither asks the other: a newcomer was sent some 150 datagrams.
    let received = || cluster_page(&newcomer)["datagrams"]["received"].as_u64().unwrap();
    let before = received();
    (0..3).for_each(|_| stream.expect_count(2));
    let more = received() - before;
    assert!(more < 60, "{more} datagrams in some three quiet seconds");
}
