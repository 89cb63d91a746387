//! The bus: datagrams to all other nodes, or to one, and theirs.
//!
//! Owns the scopes, and which datagram goes by which way. It is a narrow seam: values go in, bytes go out.
//!
//! | file | owns |
//! |---|---|
//! | `broker` | a broker, which carries datagrams to all hosts |
//! | `drops` | what is counted, and why a datagram has no effect |
//! | `ears` | which process of this host receives what comes by unicast |
//! | `frames` | datagrams in a stream |
//! | `health` | whether what is sent by a way leaves this process |
//! | `judge` | what a datagram comes to |
//! | `links` | streams to siblings, which no filter of packets touches |
//! | `lookup` | one look-up of a name, by a process of its own |
//! | `multicast` | a multicast group |
//! | `names` | the addresses that names of hosts have now |
//! | `near` | which siblings are received over loopback, and the links to others |
//! | `peers` | the addresses that the operator has listed |
//! | `receiving` | taking datagrams in, from all ways in turn |
//! | `sightings` | which siblings are received by the group on loopback |
//! | `ways` | the sockets |
//!
//! Datagrams for all go over the loopback interface, which never leaves the host: siblings need no network. `--cluster-addr`
//! is a multicast group on the network beside it, or a broker. The group's copies come back to this host, for an audience may have two
//! ports there, and siblings drop what they have had over loopback. `--cluster-peers` is unicast to other hosts. Of a host's
//! processes only one receives such a datagram, so it passes it on to its siblings over loopback, in an envelope with the
//! address that it came from. What comes over loopback is never passed on, so nothing goes round. Where a filter of packets
//! keeps siblings apart, links take the place of loopback (`server::siblings` opens them): they carry the same bytes, and
//! what comes by them is as if it had come over loopback. A datagram on loopback has the scope of the host, on the network
//! that of the network. So a process has two scopes, and encodes a datagram once for each of the two that it goes out under.
//!
//! Invariant: a datagram that is malformed, of another audience, or a replay has no effect but to be counted.

mod broker;
mod drops;
mod ears;
mod frames;
mod health;
mod judge;
mod links;
pub(in crate::server) mod lookup;
mod multicast;
pub(in crate::server) mod names;
mod near;
mod peers;
mod receiving;
mod sightings;
pub(in crate::server) mod ways;

use std::rc::Rc;

use crate::collections::tick::{Now, Tick};
use crate::config::Config;
use crate::config::identity::Identity;
use crate::log::{self, Value::Shown};
use crate::meter::Meter;
use crate::meter::news::{Address, Datagram, NodeId, Origin, To};
use crate::reactor::{Reactor, Token};
use crate::server::figures::view::{Datagrams, Named};
use crate::server::troubles::{Kind, Place, Source, Troubles};
use crate::wire::report::{self, Keys, Scope};
use broker::Broker;
use drops::{Counters, DropReason};
use health::Condition;
use judge::Scopes;
pub(super) use links::Link;
use names::{ANSWER_PATIENCE, Names};
use near::Near;
pub(super) use near::{Linked, OnLoopback, Reception};
use peers::Peers;
use receiving::Receiving;
use ways::{Way, Ways};

/// The places of the links, of the broker and of the answers to look-ups among the tokens of the bus.
const LINKS: usize = 3;
const BROKER: usize = 4;
const NAMES: usize = 5;

/// The ways to other nodes.
pub(super) struct Bus {
    ways: Ways,
    near: Near,
    broker: Option<Broker>,
    peers: Peers,
    names: Names,
    /// Until when hosts whose addresses have just been found may answer. They are called out for once.
    answers_until: Option<Tick>,
    has_found: bool,
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
            broker: Broker::new(&config.cluster, Token(first_token.0 + BROKER))?,
            peers: Peers::new(&config.cluster),
            names: Names::of(config, Token(first_token.0 + NAMES), reactor.now().tick),
            answers_until: None,
            has_found: false,
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
        let group = self.ways.group.as_ref().unwrap_or(&self.ways.loopback).group().to_string();
        let (way, group) =
            self.broker.as_ref().map_or((way, &group[..]), |broker| (broker.kind().name(), broker.channel()));
        let (node, is_keyed) = (Shown(&self.node), !self.scopes.loopback.keys.is_empty());
        log::info(
            "cluster",
            &[("node", node), ("way", way.into()), ("group", group.into()), ("keyed", is_keyed.into())],
        );
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
        let Self { ways, near, broker, peers, scopes, counters, troubles, .. } = self;
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
        if let Some(broker) = broker.as_mut().filter(|_| matches!(to, To::All | To::Origin(Origin::Group))) {
            counters.record_sent_over_broker(broker.send(&bytes), bytes.len());
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
                let one = usize::from(self.ways.group.is_some() || self.broker.is_some());
                1 + self.near.links.len() + one + self.peers.all(learned).count()
            }
            To::Origin(Origin::Loopback) => 1 + self.near.links.len(),
            To::Origin(_) => 1,
        }
    }

    /// Takes in what has arrived, as much as fits into a turn; returns whether that was all.
    pub(super) fn receive(&mut self, meter: &mut Meter, now: Now) -> bool {
        if std::mem::take(&mut self.has_found) {
            meter.call_out(now);
        }
        let Self { ways, near, broker, peers, scopes, node, has_cluster_key, counters, troubles, has_forged, .. } =
            self;
        let (node, has_cluster_key) = (*node, *has_cluster_key);
        Receiving { ways, near, peers, scopes, node, has_cluster_key, counters, troubles, has_forged }.receive(
            broker.as_mut(),
            meter,
            now,
        )
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

    /// Whether datagrams of other hosts may come in a moment, because the broker is tried for the first time, or a name is
    /// looked up.
    pub(super) fn is_opening(&self) -> bool {
        let are_near = self.answers_until.is_some() || self.names.are_opening();
        are_near || self.broker.as_ref().is_some_and(Broker::is_opening)
    }

    /// Writes what waits for the broker.
    pub(super) fn flush(&mut self, now: Now) {
        if let Some(broker) = &mut self.broker {
            broker.flush(now.tick);
        }
    }

    /// Ends troubles that are over. `is_empty` says that no datagram was left waiting.
    pub(super) fn handle_timeout(&mut self, reactor: &Reactor, is_empty: bool, now: Now) {
        self.near.links.flush();
        self.follow_names(reactor, now);
        if let Some(broker) = &mut self.broker {
            broker.handle_timeout(reactor, is_empty, now.tick);
            self.report_broker(now);
        }
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

    /// Follows the names of peers and of brokers: what they stand for now is used, and one that stands for nothing is a trouble.
    fn follow_names(&mut self, reactor: &Reactor, now: Now) {
        self.answers_until = self.answers_until.filter(|&until| now.tick < until);
        let Self { names, peers, broker, troubles, .. } = self;
        if broker.as_ref().is_some_and(Broker::is_away) {
            names.want_all();
        }
        if let Some(name) = names.advance(reactor, now.tick) {
            let addresses = names.addresses(&name);
            if peers.set_addresses(&name, addresses) {
                troubles.expect_peer(Rc::clone(&name), addresses.to_vec(), now);
                (self.answers_until, self.has_found) = (Some(now.tick.after(ANSWER_PATIENCE)), true);
            }
            if let Some(broker) = broker {
                broker.set_addresses(&name, addresses);
            }
            troubles.end(Kind::MissingName, |source| source.place == Place::Name(Rc::clone(&name)), now);
        }
        for name in names.missing() {
            troubles.renew(Kind::MissingName, &Source::at(Place::Name(Rc::clone(name))), now);
            if let Some(broker) = broker {
                broker.miss_name(now.tick);
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub(super) fn next_deadline(&self) -> Option<Tick> {
        let broker = self.broker.as_ref().map(Broker::next_deadline);
        let names = self.names.next_deadline();
        let call_out = self.has_found.then_some(Tick(0));
        let due =
            [self.ways.next_deadline(), self.troubles.next_deadline(), broker, names, self.answers_until, call_out];
        due.into_iter().flatten().min()
    }

    /// Says whether the broker is away, and which siblings are not received over it.
    fn report_broker(&mut self, now: Now) {
        let Self { broker: Some(broker), near, troubles, .. } = self else { return };
        match broker.missed() {
            Some(server) => troubles.renew_quietly(Kind::BrokerAway, &Source::at(Place::Name(server.into())), now),
            None => troubles.end(Kind::BrokerAway, |_| true, now),
        }
        let Some(apart) = broker.look_for_siblings(near.received(now), now.tick) else { return };
        let server = broker.server().into();
        let sources =
            apart.iter().map(|&node| Source { node: Some(node), ..Source::at(Place::Name(Rc::clone(&server))) });
        sources.for_each(|source| troubles.received_apart(&source, now));
        troubles.end(Kind::BrokerSplit, |source| source.node.is_none_or(|node| !apart.contains(&node)), now);
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
}
