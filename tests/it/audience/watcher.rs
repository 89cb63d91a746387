//! A watcher: a stream of counts of several namespaces, and what it has been told.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use audience_kit::*;

/// A request of somebody on this machine.
pub(super) fn ask(method: &str, target: &str, fields: &str) -> String {
    request(method, target, &format!("Host: localhost\r\n{fields}"))
}

/// A connection from this address of the machine that has asked to watch.
pub(super) fn ask_from(source: Ipv4Addr, address: SocketAddr, list: &str) -> TcpStream {
    let SocketAddr::V4(address) = address else { panic!("tests are on IPv4") };
    let mut socket = connect_from(source, address).unwrap();
    socket.write_all(ask("GET", &format!("/?watch={list}"), "").as_bytes()).unwrap();
    socket
}

/// A stream of counts of many namespaces, and what was heard of it.
pub(super) struct Watcher {
    pub(super) stream: Stream,
    pub(super) known: BTreeMap<String, u64>,
    /// How many events told of counts.
    pub(super) tellings: usize,
    pub(super) milestones: Vec<String>,
}

impl Watcher {
    #[track_caller]
    pub(super) fn of(address: SocketAddr, list: &str) -> Self {
        Self::over(Stream::open(address, ask("GET", &format!("/?watch={list}"), "")))
    }

    /// The same, from this address of the machine.
    #[track_caller]
    pub(super) fn of_source(source: Ipv4Addr, address: SocketAddr, list: &str) -> Self {
        Self::over(Stream::over(ask_from(source, address, list)))
    }

    fn over(stream: Stream) -> Self {
        Self { stream, known: BTreeMap::new(), tellings: 0, milestones: Vec::new() }
    }

    /// Takes in one block; false if none came `within` that time.
    #[track_caller]
    pub(super) fn hear(&mut self, within: Duration) -> bool {
        let Some(block) = self.stream.next_block(within) else { return false };
        let Block::Lines(block) = block else { panic!("the stream has ended") };
        let mut lines = block.lines();
        let mut first = lines.next().unwrap();
        if first == ":" {
            return true;
        }
        if first.starts_with("retry: ") {
            assert_eq!((self.tellings, self.milestones.len()), (0, 0), "in the first block: {block:?}");
            first = lines.next().expect("a retry comes with the first counts");
        }
        let kind = first.strip_prefix("event: ").unwrap_or_else(|| panic!("an event without a type: {block:?}"));
        let pairs = lines.map(|line| line.strip_prefix("data: ").and_then(|pair| pair.rsplit_once('=')));
        let pairs: Vec<(&str, u64)> = pairs.map(Option::unwrap).map(|(name, n)| (name, n.parse().unwrap())).collect();
        assert!(!pairs.is_empty(), "{block:?}");
        if kind == "counts" {
            self.tellings += 1;
            self.known.extend(pairs.into_iter().map(|(name, total)| (name.to_owned(), total)));
        } else {
            self.milestones.extend(pairs.into_iter().map(|(name, number)| format!("{kind}: {name}={number}")));
        }
        true
    }

    /// Listens until this is known.
    #[track_caller]
    pub(super) fn wait(&mut self, name: &str, total: u64) {
        let deadline = Deadline::after(SOON);
        while self.known.get(name) != Some(&total) {
            let heard = self.hear(deadline.left().unwrap_or_default());
            assert!(heard, "{name} is not {total} within {SOON:?}: {:?}", self.known);
        }
    }

    /// Listens until all of these milestones were heard, in any order.
    #[track_caller]
    pub(super) fn wait_milestones(&mut self, expected: &[&str]) {
        let deadline = Deadline::after(SOON);
        while self.milestones.len() < expected.len() {
            let heard = self.hear(deadline.left().unwrap_or_default());
            assert!(heard, "wanted {expected:?}, heard {:?}", self.milestones);
        }
        let mut heard = std::mem::take(&mut self.milestones);
        heard.sort();
        assert_eq!(heard, expected);
    }

    pub(super) fn known(&self) -> Vec<(&str, u64)> {
        self.known.iter().map(|(name, &total)| (name.as_str(), total)).collect()
    }
}
