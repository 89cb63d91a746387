//! Taking datagrams in.
//!
//! Owns how much of each way a turn takes, and what is counted and seen of a datagram once it is judged. It does not know
//! which datagrams go out.
//!
//! Invariant: no way is left out for what another one has left.

use std::io;

use super::broker::Broker;
use super::drops::{Counters, DropReason, Outcome};
use super::judge::{Judge, Judged, Scopes, Standing};
use super::links::Received;
use super::near::Near;
use super::peers::Peers;
use super::ways::{LINK_ADDRESS, Way, Ways, address_of, socket_address};
use crate::collections::tick::Now;
use crate::meter::Meter;
use crate::meter::news::{Address, NodeId};
use crate::server::conns::torture;
use crate::server::troubles::{Source, Troubles};
use crate::wire::report::{self, ENVELOPE_MAX, Envelope};

/// Most weight of the datagrams that one turn takes from all sockets; each weighs its bytes and [`DATAGRAM_WEIGHT`]. A full one
/// brings 50 counts and takes some 25 us, which is 0.02 us a byte: 0.4 ms.
const WEIGHT_PER_TURN: usize = 16_000;

/// What a datagram weighs besides its bytes.
const DATAGRAM_WEIGHT: usize = 64;

/// What a datagram weighs besides that came by unicast: it may be passed on, which takes 8 us by each way, at 0.02 us a byte.
const PASSED_ON_WEIGHT: usize = 400;

/// What it takes to take datagrams in.
pub(super) struct Receiving<'a> {
    pub(super) ways: &'a mut Ways,
    pub(super) near: &'a mut Near,
    pub(super) peers: &'a Peers,
    pub(super) scopes: &'a Scopes,
    pub(super) node: NodeId,
    /// Whether the operator has given a key.
    pub(super) has_cluster_key: bool,
    pub(super) counters: &'a mut Counters,
    pub(super) troubles: &'a mut Troubles,
    /// Whether a datagram of this host has failed the seal.
    pub(super) has_forged: &'a mut bool,
}

impl Receiving<'_> {
    /// Takes in what has arrived, as much as fits into a turn; returns whether that was all.
    pub(super) fn receive(&mut self, broker: Option<&mut Broker>, meter: &mut Meter, now: Now) -> bool {
        let way_count = Way::SOCKETS.into_iter().filter(|&way| self.ways.socket(way).is_some()).count();
        let stream_count = usize::from(self.near.links.len() > 0) + usize::from(broker.is_some());
        let budget = WEIGHT_PER_TURN / (way_count + stream_count).max(1);
        let emptied = Way::SOCKETS.map(|way| self.receive_by(way, budget, meter, now));
        let are_links_empty = self.receive_by_links(budget, meter, now);
        let is_broker_empty = broker.is_none_or(|broker| self.receive_over_broker(broker, budget, meter, now));
        emptied.iter().all(|is_empty| *is_empty) && are_links_empty && is_broker_empty
    }

    fn receive_over_broker(&mut self, broker: &mut Broker, budget: usize, meter: &mut Meter, now: Now) -> bool {
        let received = broker.receive(budget, DATAGRAM_WEIGHT, now, |datagram, from| {
            let judged = self.judge(Way::Broker, datagram, from, meter, now);
            judged.node.filter(|_| judged.standing != Standing::Foreign)
        });
        if received.is_new {
            // The others learn of this node at once, and it asks them for what it has missed.
            meter.call_out(now);
        }
        received.is_all
    }

    fn receive_by(&mut self, way: Way, mut budget: usize, meter: &mut Meter, now: Now) -> bool {
        // One byte more than there may be, to separate the longest from those that are cut.
        let mut buffer = [0; ENVELOPE_MAX + 1];
        let copy_count = if way == Way::Unicast { 1 + self.near.links.len() } else { 0 };
        let weight = DATAGRAM_WEIGHT + copy_count * PASSED_ON_WEIGHT;
        while budget > 0 {
            let Some(socket) = self.ways.socket(way) else { return true };
            budget = budget.saturating_sub(weight);
            let (length, from) = match torture::receive(socket, &mut buffer) {
                Ok(received) => received,
                // Of a unicast socket this may be the news that a peer does not listen: about one, not about the socket.
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => continue,
                Err(_) => return true,
            };
            budget = budget.saturating_sub(length);
            let bytes = buffer.get(..length).unwrap_or_default();
            let judged = self.judge(way, bytes, address_of(from), meter, now);
            if way == Way::Loopback {
                self.see(&judged, bytes, now);
            }
            if way == Way::Unicast && judged.standing == Standing::Fresh {
                self.pass_on(judged.address, bytes);
            }
        }
        false
    }

    /// The same for links, one after another.
    fn receive_by_links(&mut self, mut budget: usize, meter: &mut Meter, now: Now) -> bool {
        let mut buffer = [0; ENVELOPE_MAX];
        let mut place = 0;
        self.near.links.rotate();
        while place < self.near.links.len() {
            if budget == 0 {
                return false;
            }
            match self.near.receive(place, &mut buffer, now) {
                Some(Received::Datagram(length)) => {
                    budget = budget.saturating_sub(DATAGRAM_WEIGHT + length);
                    let bytes = buffer.get(..length).unwrap_or_default();
                    if self.judge(Way::Link, bytes, LINK_ADDRESS, meter, now).standing == Standing::Foreign {
                        self.near.refuse_link(place, now);
                    }
                }
                Some(Received::Copy) => budget = budget.saturating_sub(DATAGRAM_WEIGHT),
                Some(Received::Nothing) => place += 1,
                None => {}
            }
        }
        true
    }

    /// Has the meter receive what came by a way, and counts what it has come to.
    fn judge(&mut self, way: Way, bytes: &[u8], from: Address, meter: &mut Meter, now: Now) -> Judged {
        let Self { scopes, peers, node, has_cluster_key, .. } = *self;
        let judge = Judge { scopes, peers, node, has_cluster_key };
        let judged = judge.judge(way, bytes, from, meter, now);
        let is_of_host = matches!(way, Way::Loopback | Way::Link);
        *self.has_forged |= is_of_host && judged.outcome == Outcome::Dropped(DropReason::Forged);
        self.record(way, &judged, bytes.len(), now);
        judged
    }

    /// Takes down whose datagrams come over loopback.
    fn see(&mut self, judged: &Judged, bytes: &[u8], now: Now) {
        if let Some(sender) = report::sender_of(bytes).filter(|&sender| sender != self.node) {
            self.near.sightings.see(sender, judged.standing != Standing::Foreign, now.tick);
        }
    }

    /// Counts what a datagram of this length has come to, and looks for trouble.
    fn record(&mut self, way: Way, judged: &Judged, length: usize, now: Now) {
        match judged.outcome {
            Outcome::Used => self.counters.record_received(length),
            Outcome::NoNews | Outcome::Unproven => {}
            Outcome::Dropped(reason) => self.counters.record_dropped(reason),
        }
        let (from, troubles) = (socket_address(judged.address), &mut self.troubles);
        let source = Source { node: judged.node, ..Source::at(from.into()) };
        // A sibling with another key has a trouble by its own address.
        if let Some(kind) = judged.trouble.filter(|_| judged.address != LINK_ADDRESS) {
            troubles.raise_from_stranger(kind, &source, now);
        }
        match judged.outcome {
            Outcome::Used => {
                troubles.received_proven(&source);
                if let Some(unix_ms) = judged.unix_ms {
                    troubles.compare_clocks(&source, unix_ms, now);
                }
            }
            Outcome::Unproven => troubles.received_unproven(&source, now),
            Outcome::NoNews | Outcome::Dropped(_) => {}
        }
        // The address of a broker is none of the nodes that it carries.
        if judged.standing != Standing::Foreign && way != Way::Broker {
            troubles.received_from(from, now);
        }
    }

    /// Sends a datagram of another host to the siblings: each of them believes on its own proof.
    fn pass_on(&mut self, address: Address, datagram: &[u8]) {
        let envelope = Envelope { passer: self.node, address, datagram };
        let bytes = report::enclose(&envelope, &self.scopes.loopback);
        self.counters.record_sent(&self.ways.loopback.send(&bytes));
        self.counters.record_sent_by_links(self.near.links.send(&bytes), bytes.len());
    }
}
