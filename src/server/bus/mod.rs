//! The bus: datagrams to all other nodes, or to one, and theirs.
//!
//! Owns the scopes, and which datagram goes by which way. It is a narrow seam: values go in, bytes go out.
//!
//! | file | owns |
//! |---|---|
//! | `drops` | what is counted, and why a datagram has no effect |
//! | `ears` | which process of this host receives what comes by unicast |
//! | `frames` | datagrams in a stream |
//! | `health` | whether what is sent by a way leaves this process |
//! | `judge` | what a datagram comes to |
//! | `links` | streams to siblings, which no filter of packets touches |
//! | `near` | which siblings are received over loopback, and the links to others |
//! | `peers` | the addresses that the operator has listed |
//! | `sightings` | which siblings are received by the group on loopback |
//! | `ways` | the sockets |
//!
//! Datagrams for all go over the loopback interface, which never leaves the host: siblings need no network. `--cluster-addr`
//! is a multicast group on the network beside it. The group's copies come back to this host, for an audience may have two
//! ports there, and siblings drop what they have had over loopback. `--cluster-peers` is unicast to other hosts. Of a host's
//! processes only one receives such a datagram, so it passes it on to its siblings over loopback, in an envelope with the
//! address that it came from. What comes over loopback is never passed on, so nothing goes round. Where a filter of packets
//! keeps siblings apart, links take the place of loopback (`server::siblings` opens them): they carry the same bytes, and
//! what comes by them is as if it had come over loopback. A datagram on loopback has the scope of the host, on the network
//! that of the network. So a process has two scopes, and encodes a datagram once for each of the two that it goes out under.
//!
//! Invariant: a datagram that is malformed, of another audience, or a replay has no effect but to be counted.

mod drops;
mod ears;
mod frames;
mod health;
mod judge;
mod links;
mod near;
mod peers;
mod sightings;
pub(in crate::server) mod ways;

use std::io;
use std::rc::Rc;

use crate::collections::tick::{Now, Tick};
use crate::config::Config;
use crate::config::identity::Identity;
use crate::log::{self, Value::Shown};
use crate::meter::Meter;
use crate::meter::news::{Address, Datagram, NodeId, Origin, To};
use crate::reactor::{Reactor, Token};
use crate::server::conns::torture;
use crate::server::figures::view::{Datagrams, Named};
use crate::server::troubles::{Kind, Place, Source, Troubles};
use crate::wire::report::{self, ENVELOPE_MAX, Envelope, Keys, Scope};
use drops::{Counters, DropReason, Outcome};
use health::Condition;
use judge::{Judge, Judged, Scopes, Standing};
pub(super) use links::Link;
use links::Received;
use near::Near;
pub(super) use near::{Linked, OnLoopback, Reception};
use peers::Peers;
use ways::{LINK_ADDRESS, Way, Ways, address_of, socket_address};

/// Most weight of the datagrams that one turn takes from all sockets; each weighs its bytes and [`DATAGRAM_WEIGHT`]. A full one
/// brings 50 counts and takes some 25 us, which is 0.02 us a byte: 0.4 ms.
const WEIGHT_PER_TURN: usize = 16_000;

/// What a datagram weighs besides its bytes.
const DATAGRAM_WEIGHT: usize = 64;

/// What a datagram weighs besides that came by unicast: it may be passed on, which takes 8 us by each way, at 0.02 us a byte.
const PASSED_ON_WEIGHT: usize = 400;

/// The place of the links among the tokens of the bus.
const LINKS: usize = 3;

/// The ways to other nodes.
pub(super) struct Bus {
    ways: Ways,
    near: Near,
    peers: Peers,
    scopes: Scopes,
    node: NodeId,
    /// Whether the operator has given a key. Without one, processes that have just started may not share theirs yet.
    has_cluster_key: bool,
    counters: Counters,
    troubles: Troubles,
    /// Whether a datagram of this host has failed the seal since the last [`take_forged`](Bus::take_forged).
    has_forged: bool,
}

/// The keys of the scopes.
pub(super) struct BusKeys {
    pub(super) loopback: Keys,
    pub(super) network: Keys,
}

impl Bus {
    /// Opens the ways that the settings ask for.
    ///
    /// # Errors
    /// Which option leads nowhere, and why.
    pub(super) fn open(
        config: &Config,
        audience_port: u16,
        node: NodeId,
        keys: BusKeys,
        loopback: std::net::UdpSocket,
        reactor: &Reactor,
        first_token: Token,
    ) -> Result<Self, String> {
        let ways = Ways::open(config, audience_port, loopback, reactor, first_token)?;
        let identity = Identity::of(config, audience_port);
        let network = identity.network_scope().map(|id| Scope { id, keys: keys.network });
        let scopes = Scopes { loopback: Scope { id: identity.loopback_scope(), keys: keys.loopback }, network };
        let mut troubles = Troubles::new(config.cluster.rules.node_timeout);
        for peer in &config.cluster.peers {
            troubles.expect_peer(peer.name.as_str().into(), peer.addresses.clone(), reactor.now());
        }
        Ok(Self {
            ways,
            near: Near::new(node, Token(first_token.0 + LINKS), config.cluster.rules.node_timeout),
            peers: Peers::new(&config.cluster),
            scopes,
            node,
            has_cluster_key: config.cluster.key.is_some(),
            counters: Counters::default(),
            troubles,
            has_forged: false,
        })
    }

    /// Says by which ways other nodes are reached.
    pub(super) fn log_ways(&self) {
        let way = match (&self.ways.group, &self.ways.unicast) {
            (Some(_), _) => "multicast",
            (None, None) => "loopback",
            (None, Some(_)) => "unicast",
        };
        let group = self.ways.group.as_ref().unwrap_or(&self.ways.loopback).group;
        let (node, group, is_keyed) = (Shown(&self.node), Shown(&group), !self.scopes.loopback.keys.is_empty());
        log::info("cluster", &[("node", node), ("way", way.into()), ("group", group), ("keyed", is_keyed.into())]);
    }

    /// Seals and opens with the operator's keys from now on.
    pub(super) fn set_keys(&mut self, keys: Keys) {
        if let Some(network) = &mut self.scopes.network {
            network.keys = keys.clone();
        }
        self.set_loopback_keys(keys);
    }

    /// Seals and opens on loopback with these keys from now on.
    pub(super) fn set_loopback_keys(&mut self, keys: Keys) {
        self.scopes.loopback.keys = keys;
    }

    /// Whether a datagram of this audience has come over loopback that none of the keys has sealed, since the last call.
    pub(super) fn take_forged(&mut self) -> bool {
        std::mem::take(&mut self.has_forged)
    }

    /// Sends to all other nodes, those at `learned` addresses too, or back where another datagram came from. What
    /// cannot be sent is lost, and heals like other losses.
    pub(super) fn send(
        &mut self,
        to: To,
        datagram: &Datagram<Rc<str>>,
        learned: impl Iterator<Item = Address>,
        now: Now,
    ) {
        let Self { ways, near, peers, scopes, counters, troubles, .. } = self;
        if matches!(to, To::All | To::Origin(Origin::Loopback)) {
            let bytes = report::encode(datagram, &scopes.loopback);
            counters.record_sent(&ways.loopback.send(&bytes));
            counters.record_sent_by_links(near.links.send(&bytes), bytes.len());
        }
        let Some(network) = scopes.network.as_ref().filter(|_| to != To::Origin(Origin::Loopback)) else { return };
        let bytes = report::encode(datagram, network);
        if let Some(group) = ways.group.as_mut().filter(|_| matches!(to, To::All | To::Origin(Origin::Group))) {
            counters.record_sent(&group.send(&bytes));
        }
        let Some(unicast) = &mut ways.unicast else { return };
        if peers.look(unicast, now.tick) {
            // Nothing is sent there, and this host is not silent.
            peers.own().for_each(|address| troubles.received_from(address, now));
        }
        match to {
            To::All => {
                peers.all(learned).for_each(|address| counters.record_sent(&unicast.send(&bytes, address)));
            }
            To::Origin(Origin::Listed(address) | Origin::Unlisted(address)) => {
                counters.record_sent(&unicast.send(&bytes, peers.one(address)));
            }
            To::Origin(Origin::Loopback | Origin::Group) => {}
        }
    }

    /// Datagrams that go out for one that is sent.
    pub(super) fn way_count(&self, to: To, learned: impl Iterator<Item = Address>) -> usize {
        match to {
            To::All => {
                1 + self.near.links.len() + usize::from(self.ways.group.is_some()) + self.peers.all(learned).count()
            }
            To::Origin(Origin::Loopback) => 1 + self.near.links.len(),
            To::Origin(_) => 1,
        }
    }

    /// Takes in what has arrived, as much as fits into a turn; returns whether that was all.
    pub(super) fn receive(&mut self, meter: &mut Meter, now: Now) -> bool {
        let way_count = Way::SOCKETS.into_iter().filter(|&way| self.ways.socket(way).is_some()).count();
        let budget = WEIGHT_PER_TURN / (way_count + usize::from(self.near.links.len() > 0)).max(1);
        // None is left out for what another one has left.
        let emptied = Way::SOCKETS.map(|way| self.receive_by(way, budget, meter, now));
        let are_links_empty = self.receive_by_links(budget, meter, now);
        emptied.iter().all(|is_empty| *is_empty) && are_links_empty
    }

    /// Has what comes by unicast spread over the processes of this host. Their number is read when it may have changed.
    pub(super) fn spread(&mut self, group_size: impl FnOnce() -> Option<usize>, meter: &Meter, now: Now) {
        if let Some(unicast) = &mut self.ways.unicast {
            unicast.spread(|| meter.nodes(now).count(), group_size, now.tick);
        }
    }

    /// What figures may read.
    pub(super) fn datagrams(&self) -> Datagrams<'_> {
        let Counters { sent, bytes_sent, send_errors, received, bytes_received, ref dropped } = self.counters;
        let (dropped, overflowed) = (Named { names: &DropReason::NAMES, counts: dropped }, self.ways.overflowed());
        Datagrams { sent, bytes_sent, send_errors, received, bytes_received, dropped, overflowed }
    }

    /// The siblings.
    pub(super) fn near(&mut self) -> &mut Near {
        &mut self.near
    }

    /// Multicast over loopback is filtered for this sibling, or no longer.
    pub(super) fn set_filtered(&mut self, node: NodeId, is_filtered: bool, now: Now) {
        if is_filtered {
            let source = Source { node: Some(node), ..Source::at(Place::Name(Way::Loopback.name().into())) };
            self.troubles.renew(Kind::FilteredLoopback, &source, now);
        } else {
            self.troubles.end(Kind::FilteredLoopback, |source| source.node == Some(node), now);
        }
    }

    /// Says whether a sibling is there that is received by no way.
    pub(super) fn set_deaf(&mut self, is_deaf: bool) {
        self.troubles.set_deaf(is_deaf);
    }

    /// What makes the total wrong or doubtful.
    pub(super) fn troubles(&self) -> &Troubles {
        &self.troubles
    }

    /// The meter has found this trouble at this node.
    pub(super) fn raise_here(&mut self, kind: Kind, now: Now) {
        self.troubles.renew(kind, &Source::at(Place::Name("this-node".into())), now);
    }

    /// Ends troubles that are over. `is_empty` says that no datagram was left waiting.
    pub(super) fn handle_timeout(&mut self, reactor: &Reactor, is_empty: bool, now: Now) {
        self.near.links.flush();
        if self.ways.renew(reactor, now.tick) {
            for (way, condition) in self.ways.look() {
                self.report(way, condition, now);
            }
        }
        if self.scopes.loopback.keys.is_empty() {
            self.troubles.renew(Kind::UnsealedLoopback, &Source::at(Place::Name(Way::Loopback.name().into())), now);
        }
        self.troubles.handle_timeout(now, is_empty);
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub(super) fn next_deadline(&self) -> Option<Tick> {
        [self.ways.next_deadline(), self.troubles.next_deadline()].into_iter().flatten().min()
    }

    /// Says whether what is sent by a way leaves this process.
    fn report(&mut self, way: Way, condition: Condition, now: Now) {
        match condition {
            Condition::Fails(error) => {
                let place = Place::Name(format!("{}:{error}", way.name()).into());
                self.troubles.raise(Kind::Unsent, &Source::at(place), now);
            }
            Condition::Works => self.troubles.end(Kind::Unsent, |source| source.place.begins_with(way.name()), now),
            Condition::Unknown => {}
        }
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
        let Self { scopes, peers, node, has_cluster_key, .. } = self;
        let judge = Judge { scopes, peers, node: *node, has_cluster_key: *has_cluster_key };
        let judged = judge.judge(way, bytes, from, meter, now);
        let is_of_host = matches!(way, Way::Loopback | Way::Link);
        self.has_forged |= is_of_host && judged.outcome == Outcome::Dropped(DropReason::Forged);
        self.record(&judged, bytes.len(), now);
        judged
    }

    /// Takes down whose datagrams come over loopback.
    fn see(&mut self, judged: &Judged, bytes: &[u8], now: Now) {
        if let Some(sender) = report::sender_of(bytes).filter(|&sender| sender != self.node) {
            self.near.sightings.see(sender, judged.standing != Standing::Foreign, now.tick);
        }
    }

    /// Counts what a datagram of this length has come to, and looks for trouble.
    fn record(&mut self, judged: &Judged, length: usize, now: Now) {
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
        if judged.standing != Standing::Foreign {
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
