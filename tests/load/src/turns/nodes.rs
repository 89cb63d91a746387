//! Other nodes of the audience, as datagrams alone: one socket speaks for all of them.
//!
//! Owns their conversation with a daemon that has the socket as its peer. Each answers what it is asked, shows that it is there,
//! and announces the daemon's own counters under a number of its own, so that a scrape has it on the page.

use std::cell::Cell;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use audience_meter::meter::news::{Alive, Counter, Datagram, Echo, Farewell, Format, News, NodeId, Promise};
use audience_meter::meter::promise_of;
use audience_meter::wire::report::{DATAGRAM_MAX, FORMATS, Keys, Scope, decode, encode};

use super::wait_until;
use crate::Result;

/// The key of the audience.
pub(super) const KEY: &str = "the key of the turns";

/// Where the scope is in a datagram.
const SCOPE: std::ops::Range<usize> = 5..13;

/// The counter that has a process's number on its host, counted from 1.
const PROCESS: u16 = 23 * 64;

/// The names of the nodes are numbers from here on.
const FIRST: u64 = 1_000;

/// The socket that speaks for all.
pub(super) struct Nodes {
    socket: UdpSocket,
    /// The number of the last datagram; all nodes count together.
    number: Cell<u64>,
}

/// A daemon, as they know it.
struct Peer {
    address: SocketAddr,
    scope: Scope,
}

impl Nodes {
    pub(super) fn new() -> Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(Duration::from_millis(20)))?;
        Ok(Self { socket, number: Cell::new(0) })
    }

    pub(super) fn address(&self) -> Result<SocketAddr> {
        Ok(self.socket.local_addr()?)
    }

    /// Has this number of nodes counted by the daemon, and on its page of metrics.
    pub(super) fn introduce(&self, count: u64) -> Result<()> {
        let peer = self.find_peer()?;
        let mut unknown: Vec<u64> = (FIRST..FIRST + count).collect();
        let mut counters = Vec::new();
        wait_until("the daemon knows the nodes", || {
            // Each brings in more bytes than a question to it takes.
            unknown.iter().flat_map(|node| [node; 5]).for_each(|&node| self.show(&peer, node, None));
            self.answer(&peer, |node| unknown.retain(|&unknown| unknown != node), &mut counters);
            Ok(unknown.is_empty())
        })?;
        wait_until("the daemon has announced its counters", || {
            (FIRST..FIRST + count).for_each(|node| self.show(&peer, node, None));
            self.answer(&peer, |_| (), &mut counters);
            Ok(!counters.is_empty())
        })?;
        for node in FIRST..FIRST + count {
            for counter in counters.iter_mut().filter(|counter| counter.number == PROCESS) {
                counter.value = node;
            }
            self.send(&peer, node, News::Counters(counters.clone()));
        }
        Ok(())
    }

    /// Shows that they are there still.
    pub(super) fn keep(&self, count: u64) -> Result<()> {
        let peer = self.find_peer()?;
        (FIRST..FIRST + count).for_each(|node| self.show(&peer, node, None));
        self.answer(&peer, |_| (), &mut Vec::new());
        Ok(())
    }

    fn find_peer(&self) -> Result<Peer> {
        let mut found = None;
        wait_until("a datagram of the daemon has come", || {
            let mut bytes = [0; DATAGRAM_MAX];
            let Ok((_, address)) = self.socket.recv_from(&mut bytes) else { return Ok(false) };
            let mut id = [0; 8];
            id.copy_from_slice(&bytes[SCOPE]);
            let scope = Scope { id: u64::from_le_bytes(id), keys: Keys::new(vec![KEY.into()]) };
            found = Some(Peer { address, scope });
            Ok(true)
        })?;
        found.ok_or_else(|| "there is no daemon".into())
    }

    fn send(&self, peer: &Peer, node: u64, news: News<&str>) {
        self.number.set(self.number.get() + 1);
        let (number, format) = (self.number.get(), Format { written: FORMATS.oldest, newest: FORMATS.newest });
        let datagram = Datagram { sender: NodeId(node), number, clock: number, format, news };
        // What is lost is sent again.
        let _ = self.socket.send_to(&encode(&datagram, &peer.scope), peer.address);
    }

    /// A sign of life, perhaps an answer.
    fn show(&self, peer: &Peer, node: u64, echo: Option<Echo>) {
        let promise = echo.map_or_else(Promise::default, |_| promise_of(Farewell([node, 7])));
        self.send(peer, node, News::Alive(Alive { promise, echo, ..Alive::default() }));
    }

    /// Answers what has come, and takes the daemon's counters from it.
    fn answer(&self, peer: &Peer, mut asked: impl FnMut(u64), counters: &mut Vec<Counter>) {
        let mut bytes = [0; DATAGRAM_MAX];
        while let Ok(length) = self.socket.recv(&mut bytes) {
            match decode(&bytes[..length], &peer.scope) {
                Ok(Datagram { sender, news: News::Ask(ask), .. }) => {
                    if let Some(NodeId(node)) = ask.of {
                        self.show(peer, node, Some(Echo { asker: sender, nonce: ask.nonce }));
                        asked(node);
                    }
                }
                Ok(Datagram { news: News::Counters(own), .. }) => *counters = own,
                _ => {}
            }
        }
    }
}
