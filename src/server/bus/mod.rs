//! The bus: datagrams to all other nodes, or to one, and theirs.
//!
//! Owns the scopes, and which datagram goes by which way. It is a narrow seam: values go in, bytes go out.
//!
//! | file | owns |
//! |---|---|
//! | `drops` | what is counted, and why a datagram has no effect |
//! | `ears` | which process of this host receives what comes by unicast |
//! | `peers` | the addresses that the operator has listed |
//! | `ways` | the sockets |
//!
//! Datagrams for all go over the loopback interface, which never leaves the host: siblings need no network. `--cluster-addr` is
//! a multicast group on the network beside it. The group's copies come back to this host, for an audience may have two ports
//! there, and siblings drop what they have had over loopback. `--cluster-peers` is unicast to other hosts. Of a
//! host's processes only one receives such a datagram, so it passes it on to its siblings over loopback, in an envelope with
//! the address that it came from. What comes over loopback is never passed on, so nothing goes round.
//!
//! A datagram on loopback has the scope of the host, on the network that of the network. So a process has two scopes, and encodes a datagram once for each of the two that it goes out under.
//!
//! Invariant: a datagram that is malformed, of another audience, or a replay has no effect but to be counted.

mod drops;
mod ears;
mod peers;
mod ways;

use std::io;
use std::rc::Rc;

use crate::collections::tick::{Now, Tick};
use crate::config::Config;
use crate::config::identity::Identity;
use crate::log;
use crate::meter::news::{Address, Datagram, News, NodeId, Origin, To};
use crate::meter::{Meter, Rejection};
use crate::reactor::{Reactor, Token};
use crate::server::conns::torture;
use crate::server::figures::view::{Datagrams, Named};
use crate::server::troubles::{Kind, Source, Troubles};
use crate::wire::report::{self, Dropped, ENVELOPE_MAX, Envelope, Keys, Scope};
use drops::{Counters, DropReason, Outcome};
use peers::Peers;
use ways::{Way, Ways, address_of, socket_address};

/// Most weight of the datagrams that one turn takes from all sockets; each weighs its bytes and [`DATAGRAM_WEIGHT`]. A full one
/// brings 50 counts and takes some 25 us, which is 0.02 us a byte: 0.4 ms.
const WEIGHT_PER_TURN: usize = 16_000;

/// What a datagram weighs besides its bytes.
const DATAGRAM_WEIGHT: usize = 64;

/// What a datagram weighs besides that came by unicast: it may be passed on, which takes 8 us, at 0.02 us a byte.
const PASSED_ON_WEIGHT: usize = 400;

/// The ways to other nodes.
pub(super) struct Bus {
    ways: Ways,
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

/// What came by a way.
struct Placed<'a> {
    /// Under which it is judged.
    scope: &'a Scope,
    origin: Origin,
    /// Where it came from, whichever process received it.
    address: Address,
    /// The datagram itself.
    bytes: &'a [u8],
}

/// What the nodes of an audience share, in each of the two places where they are.
struct Scopes {
    loopback: Scope,
    network: Option<Scope>,
}

/// What the meter made of a datagram.
struct Judged {
    outcome: Outcome,
    standing: Standing,
    address: Address,
    /// Its sender, if it is of the audience, or may be once it has the key of its siblings.
    node: Option<NodeId>,
    /// The trouble that it shows, if it is not of the audience.
    trouble: Option<Kind>,
    /// The sender's wall clock, if the datagram is a sign of life from another host.
    unix_ms: Option<u64>,
}

/// What a datagram is to this host.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Not of the audience.
    Foreign,
    /// This node's own, or one that came before.
    Known,
    /// One that may be news to siblings.
    Fresh,
}

impl Judged {
    /// Where siblings share a key that no operator has given, one that has just started may have another for a moment: the
    /// trouble is that of the node that the datagram names, and lasts until that has proved itself.
    fn foreign_sibling(dropped: Dropped, bytes: &[u8], address: Address, scope: &Scope) -> Self {
        let node = report::sender_of(bytes).filter(|_| matches!(dropped, Dropped::Forged | Dropped::Unkeyed));
        Self { node, ..Self::foreign(Outcome::of_dropped(dropped), address, scope) }
    }

    fn foreign(outcome: Outcome, address: Address, scope: &Scope) -> Self {
        let trouble = match outcome {
            Outcome::Dropped(reason) => reason.trouble(!scope.keys.is_empty()),
            Outcome::Used | Outcome::NoNews | Outcome::Unproven => None,
        };
        Self { outcome, standing: Standing::Foreign, address, node: None, trouble, unix_ms: None }
    }
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
        reactor: &Reactor,
        first_token: Token,
    ) -> Result<Self, String> {
        let ways = Ways::open(config, audience_port, reactor, first_token)?;
        let identity = Identity::of(config, audience_port);
        let network = identity.network_scope().map(|id| Scope { id, keys: keys.network });
        let scopes = Scopes { loopback: Scope { id: identity.loopback_scope(), keys: keys.loopback }, network };
        let mut troubles = Troubles::new(config.cluster.rules.node_timeout);
        for peer in &config.cluster.peers {
            troubles.expect_peer(peer.name.as_str().into(), peer.addresses.clone(), reactor.now());
        }
        let (peers, counters) = (Peers::new(&config.cluster), Counters::default());
        let has_cluster_key = config.cluster.key.is_some();
        Ok(Self { ways, peers, scopes, node, has_cluster_key, counters, troubles, has_forged: false })
    }

    /// Says by which ways other nodes are reached.
    pub(super) fn log_ways(&self) {
        let way = match (&self.ways.group, &self.ways.unicast) {
            (Some(_), _) => "multicast",
            (None, None) => "loopback",
            (None, Some(_)) => "unicast",
        };
        let group = self.ways.group.as_ref().unwrap_or(&self.ways.loopback).group;
        let (node, is_keyed) = (self.node, !self.scopes.loopback.keys.is_empty());
        log::info(format_args!("event=cluster node={node} way={way} group={group} keyed={is_keyed}"));
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
        let Self { ways, peers, scopes, counters, troubles, .. } = self;
        if matches!(to, To::All | To::Origin(Origin::Loopback)) {
            counters.record_sent(&ways.loopback.send(&report::encode(datagram, &scopes.loopback)));
        }
        let Some(network) = scopes.network.as_ref().filter(|_| to != To::Origin(Origin::Loopback)) else { return };
        let bytes = report::encode(datagram, network);
        if let Some(group) = ways.group.as_ref().filter(|_| matches!(to, To::All | To::Origin(Origin::Group))) {
            counters.record_sent(&group.send(&bytes));
        }
        let Some(unicast) = &ways.unicast else { return };
        if peers.look(unicast, now.tick) {
            // Nothing is sent there, and this host is not silent.
            peers.own().for_each(|address| troubles.received_from(address, now));
        }
        match to {
            To::All => {
                for address in peers.all(learned) {
                    counters.record_sent(&unicast.send(&bytes, address));
                }
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
            To::All => 1 + usize::from(self.ways.group.is_some()) + self.peers.all(learned).count(),
            To::Origin(_) => 1,
        }
    }

    /// Takes in what has arrived, as much as fits into a turn; returns whether that was all.
    pub(super) fn receive(&mut self, meter: &mut Meter, now: Now) -> bool {
        let way_count = Way::ALL.into_iter().filter(|&way| self.ways.socket(way).is_some()).count();
        let budget = WEIGHT_PER_TURN / way_count.max(1);
        // None is left out for what another one has left.
        let emptied = Way::ALL.map(|way| self.receive_by(way, budget, meter, now));
        emptied.iter().all(|is_empty| *is_empty)
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

    /// What makes the total wrong or doubtful.
    pub(super) fn troubles(&self) -> &Troubles {
        &self.troubles
    }

    /// Ends troubles that are over. `is_empty` says that no datagram was left waiting.
    pub(super) fn handle_timeout(&mut self, is_empty: bool, now: Now) {
        if self.scopes.loopback.keys.is_empty() {
            self.troubles.renew(Kind::UnsealedLoopback, "loopback", now);
        }
        self.troubles.handle_timeout(now, is_empty);
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub(super) fn next_deadline(&self) -> Option<Tick> {
        self.troubles.next_deadline()
    }

    fn receive_by(&mut self, way: Way, mut budget: usize, meter: &mut Meter, now: Now) -> bool {
        // One byte more than there may be, to separate the longest from those that are cut.
        let mut buffer = [0; ENVELOPE_MAX + 1];
        let weight = DATAGRAM_WEIGHT + if way == Way::Unicast { PASSED_ON_WEIGHT } else { 0 };
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
            self.has_forged |= way == Way::Loopback && judged.outcome == Outcome::Dropped(DropReason::Forged);
            self.record(&judged, length, now);
            if way == Way::Unicast && judged.standing == Standing::Fresh {
                self.pass_on(judged.address, bytes);
            }
        }
        false
    }

    /// Has the meter receive what came by a way.
    fn judge(&self, way: Way, bytes: &[u8], from: Address, meter: &mut Meter, now: Now) -> Judged {
        let Placed { scope, origin, address, bytes } = match self.place(way, bytes, from) {
            Ok(placed) => placed,
            Err(outcome) => {
                let judged = Judged::foreign(outcome, from, &self.scopes.loopback);
                // The datagrams of the passer itself say whether it only has another key for a moment.
                let trouble = judged.trouble.filter(|_| self.has_cluster_key);
                return Judged { trouble, ..judged };
            }
        };
        let datagram = match report::decode(bytes, scope) {
            Ok(datagram) => datagram,
            Err(dropped) if origin == Origin::Loopback && !self.has_cluster_key => {
                return Judged::foreign_sibling(dropped, bytes, address, scope);
            }
            Err(dropped) => return Judged::foreign(Outcome::of_dropped(dropped), address, scope),
        };
        let received = meter.receive(&datagram, origin, now);
        let unix_ms = match datagram.news {
            News::Alive(alive) if origin != Origin::Loopback => Some(alive.unix_ms),
            _ => None,
        };
        // Of what has come before, siblings have the first copy.
        let is_known = matches!(received, Err(Rejection::Own | Rejection::Replayed | Rejection::Copied));
        let standing = if is_known { Standing::Known } else { Standing::Fresh };
        let outcome = received.map_or_else(Outcome::of_rejected, |()| Outcome::Used);
        Judged { outcome, standing, address, node: Some(datagram.sender), trouble: None, unix_ms }
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
        if let Some(kind) = judged.trouble {
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

    /// The scope and the origin of what came by a way, and the bytes of the datagram itself.
    fn place<'a>(&'a self, way: Way, bytes: &'a [u8], from: Address) -> Result<Placed<'a>, Outcome> {
        let Scopes { loopback, network } = &self.scopes;
        let network = network.as_ref().ok_or(Outcome::Dropped(DropReason::ForeignAudience));
        let (scope, origin) = match way {
            Way::Loopback if report::is_envelope(bytes) => {
                let envelope = report::open(bytes, loopback).map_err(Outcome::of_dropped)?;
                if envelope.passer == self.node {
                    return Err(Outcome::NoNews);
                }
                let Envelope { address, datagram: bytes, .. } = envelope;
                return Ok(Placed { scope: network?, origin: self.peers.origin_of(address), address, bytes });
            }
            Way::Loopback => (loopback, Origin::Loopback),
            Way::Group => (network?, Origin::Group),
            Way::Unicast => (network?, self.peers.origin_of(from)),
        };
        Ok(Placed { scope, origin, address: from, bytes })
    }

    /// Sends a datagram of another host to the siblings: each of them believes on its own proof.
    fn pass_on(&mut self, address: Address, datagram: &[u8]) {
        let envelope = Envelope { passer: self.node, address, datagram };
        let sent = self.ways.loopback.send(&report::enclose(&envelope, &self.scopes.loopback));
        self.counters.record_sent(&sent);
    }
}
