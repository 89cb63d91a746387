//! How nodes reach each other: which ways a datagram takes, and what its receiver knows of where it came from.
//!
//! Owns hosts, their addresses and their lists of others. It carries nothing (`bus` does), and knows of a node its address, its
//! host and which side of a cut it is on.
//!
//! Invariant: of a host's processes one receives a datagram that comes by unicast, by chance. A process that hangs keeps what
//! it should have received.

use audience_meter::meter::news::{Address, Origin, To};

use super::node::Node;
use crate::Chance;

/// How many hosts there are: each of eight nodes has a sibling, and hosts that list each other one way have a third
/// beside them.
const HOSTS: u64 = 3;

/// Where all audiences listen.
const PORT: u16 = 80;

/// How much longer it takes to meet a node on another host. Two signs of life a second are asked for proof; where 30 % of the
/// datagrams are lost, every third of them leads to an answer. So 12 s leave one node in 20,000, and the 7 s of quiet alone one
/// in 500.
const LISTED_TICKS: u64 = 500;

/// The same on a host that is not listed: its address is asked once a second, and every second question is answered. So 15 s
/// leave one host in 30,000; 10 s had left one in 1,000, and so one world in several hundred.
const UNLISTED_TICKS: u64 = 1_500;

/// A host that no node runs on, and which no host lists.
const OUTSIDE: u64 = HOSTS;

/// The kinds of networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// All processes are on one host, and receive what is sent to its loopback group.
    Loopback,
    /// One multicast group reaches all processes of all hosts.
    Group,
    /// Some processes on each of a few hosts: a group on loopback, and unicast to the listed hosts.
    Hosts {
        /// Whether of some pairs of hosts only one lists the other.
        is_one_way: bool,
    },
    /// Some processes on each of a few hosts: a group on loopback, and a broker between all of them. A cut takes the broker
    /// from the hosts on one of its sides.
    Broker,
}

/// What kind of road it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// One datagram takes it and all others of the group.
    Group,
    /// The same, within a host that has a network to others: no weather is there.
    Within,
    /// A datagram of its own.
    Unicast,
    /// Over the broker, once for all processes, while both ends are connected with it.
    Broker,
}

/// The road of a datagram to one process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Road {
    pub(super) to: u64,
    /// What the receiver knows of the sender.
    pub(super) origin: Origin,
    /// Whether a cut lies between sender and receiver.
    pub(super) is_cut: bool,
    /// Whether it leads back to the sender.
    pub(super) is_loop: bool,
    pub(super) way: Way,
}

/// The network of a world.
#[derive(Clone, Copy, Debug)]
pub(super) struct Network {
    kind: Kind,
    seed: u64,
}

impl Network {
    pub(super) fn new(kind: Kind, seed: u64) -> Self {
        Self { kind, seed }
    }

    /// What a cut divides: hosts, or processes where hosts make no difference.
    pub(super) fn part_of(self, address: u64) -> u64 {
        if self.has_hosts() { host_of(address) } else { address }
    }

    fn has_hosts(self) -> bool {
        matches!(self.kind, Kind::Hosts { .. } | Kind::Broker)
    }

    /// How much longer nodes may take to meet than where all hear each other.
    pub(super) fn meeting_ticks(self) -> u64 {
        match self.kind {
            Kind::Loopback | Kind::Group => 0,
            Kind::Hosts { is_one_way: false } | Kind::Broker => LISTED_TICKS,
            Kind::Hosts { is_one_way: true } => UNLISTED_TICKS,
        }
    }

    /// The roads of a datagram that a node sends, the one of this number of all.
    pub(super) fn roads(self, nodes: &[Node], from: &Node, to: To, serial: u64) -> Vec<Road> {
        match self.kind {
            Kind::Loopback => group(nodes, from, Origin::Loopback),
            Kind::Group => group(nodes, from, Origin::Group),
            Kind::Broker => match to {
                To::All => [within(nodes, from, Origin::Loopback), over_broker(nodes, from)].concat(),
                To::Origin(Origin::Loopback) => within(nodes, from, Origin::Loopback),
                To::Origin(_) => over_broker(nodes, from),
            },
            Kind::Hosts { .. } => match to {
                To::All => {
                    let mut roads = within(nodes, from, Origin::Loopback);
                    let host = host_of(from.address);
                    let others = (0..HOSTS).filter(|&other| other != host && self.is_reached(from, host, other));
                    roads.extend(others.filter_map(|other| self.unicast(nodes, from, other, serial)));
                    roads
                }
                To::Origin(Origin::Listed(address) | Origin::Unlisted(address)) => {
                    host_at(address).and_then(|other| self.unicast(nodes, from, other, serial)).into_iter().collect()
                }
                To::Origin(_) => within(nodes, from, Origin::Loopback),
            },
        }
    }

    /// The roads to the siblings of a node that has received a datagram by unicast: it passes it on, and whence it came.
    pub(super) fn passing_on(self, nodes: &[Node], by: &Node, origin: Origin) -> Vec<Road> {
        if !self.has_hosts() || !matches!(origin, Origin::Listed(_) | Origin::Unlisted(_)) {
            return Vec::new();
        }
        let mut roads = within(nodes, by, origin);
        roads.retain(|road| !road.is_loop);
        roads
    }

    /// What a node knows of where a datagram came from that no node has sent: from a host that is none of theirs, from another
    /// process of its host, or from one of their hosts, whose address is forged.
    pub(super) fn origin_outside(self, to: u64, way: u64) -> Origin {
        let host = match (self.kind, way % (HOSTS + 2)) {
            (Kind::Loopback, _) | (Kind::Hosts { .. } | Kind::Broker, 1) => return Origin::Loopback,
            (Kind::Group | Kind::Broker, _) => return Origin::Group,
            (Kind::Hosts { .. }, 0) => OUTSIDE,
            (Kind::Hosts { .. }, way) => way - 2,
        };
        self.origin_of(host, host_of(to))
    }

    /// What the processes of a host know of where a datagram of another host came from.
    fn origin_of(self, host: u64, to: u64) -> Origin {
        let address = address_of(host);
        if self.lists(to, host) { Origin::Listed(address) } else { Origin::Unlisted(address) }
    }

    /// Whether a node sends to the other host, unasked.
    fn is_reached(self, from: &Node, host: u64, other: u64) -> bool {
        self.lists(host, other) || from.meter.learned_addresses().any(|address| address == address_of(other))
    }

    /// Whether a node runs on the host of this address, or may.
    pub(super) fn is_inside(self, address: Address) -> bool {
        self.has_hosts() && host_at(address).is_some_and(|host| host < HOSTS)
    }

    /// Whether a host lists another one. Of two hosts one does, at least.
    fn lists(self, host: u64, other: u64) -> bool {
        if other >= HOSTS || self.kind != (Kind::Hosts { is_one_way: true }) {
            return other < HOSTS;
        }
        let (first, second) = (host.min(other), host.max(other));
        let pick = Chance::at(self.seed, &[first, second]).below(3);
        pick == 0 || (pick == 1) == (host == first)
    }

    /// The road to the process of another host that receives this datagram.
    fn unicast(self, nodes: &[Node], from: &Node, other: u64, serial: u64) -> Option<Road> {
        let host = host_of(from.address);
        let processes: Vec<&Node> = nodes.iter().filter(|node| host_of(node.address) == other).collect();
        let pick = Chance::at(self.seed, &[host, other, serial]).draw() % processes.len().max(1) as u64;
        let to = processes.get(usize::try_from(pick).ok()?)?;
        let origin = self.origin_of(host, other);
        Some(Road { to: to.address, origin, is_cut: to.side != from.side, is_loop: false, way: Way::Unicast })
    }
}

/// The roads of a group that all nodes are in.
fn group(nodes: &[Node], from: &Node, origin: Origin) -> Vec<Road> {
    let road = |to: &Node| Road {
        to: to.address,
        origin,
        is_cut: to.side != from.side,
        is_loop: to.address == from.address,
        way: Way::Group,
    };
    nodes.iter().map(road).collect()
}

/// The roads over the broker, which returns a datagram to its sender, too, as Redis does.
fn over_broker(nodes: &[Node], from: &Node) -> Vec<Road> {
    let mut roads = group(nodes, from, Origin::Group);
    for (road, to) in roads.iter_mut().zip(nodes) {
        (road.way, road.is_cut) = (Way::Broker, from.side || to.side);
    }
    roads
}

/// The roads of the loopback group of one of several hosts.
fn within(nodes: &[Node], from: &Node, origin: Origin) -> Vec<Road> {
    let mut roads = group(nodes, from, origin);
    roads.retain(|road| host_of(road.to) == host_of(from.address));
    for road in &mut roads {
        road.way = Way::Within;
    }
    roads
}

fn host_of(address: u64) -> u64 {
    address % HOSTS
}

fn address_of(host: u64) -> Address {
    Address { ip: 1 + u128::from(host), port: PORT }
}

fn host_at(address: Address) -> Option<u64> {
    u64::try_from(address.ip).ok()?.checked_sub(1)
}
