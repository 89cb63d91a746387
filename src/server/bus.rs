//! The bus: datagrams to all other nodes, and theirs.
//!
//! Owns the sockets and the seal, and counts what came and what was dropped. It is a narrow seam: values go in, bytes go
//! out, by whichever way the operator chose:
//!
//! - by default multicast on the loopback interface, which never leaves the host, in a group whose port is the audience's;
//! - `--cluster-addr`: a multicast group on the network instead, its copies to this host included;
//! - `--cluster-peers`: unicast to other hosts beside the loopback group. Of a host's processes only one receives such a
//!   datagram, so it passes it on to its siblings over loopback, as it is. What comes over loopback is never passed on, so
//!   nothing goes round.
//!
//! Invariant: a datagram that is malformed, of another audience, or a replay has no effect but to be counted.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::rc::Rc;

use crate::collections::tick::{Now, Tick};
use crate::config::identity::Identity;
use crate::config::{ClusterConfig, Config};
use crate::log;
use crate::meter::news::{Datagram, NodeId, Origin, To};
use crate::meter::{Meter, Rejection};
use crate::reactor::{Interest, Reactor, Registered, Token, sys};
use crate::server::conns::torture;
use crate::server::figures::view::{Datagrams, Named};
use crate::server::troubles::{Kind, Source, Troubles};
use crate::wire::report::{self, DATAGRAM_MAX, Dropped, Keys, Scope};

/// Most weight of the datagrams that one turn takes from each of the two sockets; each weighs its bytes and
/// [`DATAGRAM_WEIGHT`]. A full one brings 50 counts and takes some 25 us, which is 0.02 us a byte: 0.2 ms for each socket.
const WEIGHT_PER_TURN: usize = 8_000;

/// What a datagram weighs besides its bytes.
const DATAGRAM_WEIGHT: usize = 64;

/// The group on loopback; its port is the audience's.
const LOOPBACK_GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 13, 37);

/// The ways to other nodes.
pub(super) struct Bus {
    group: SocketAddrV4,
    multicast: Registered<UdpSocket>,
    unicast: Option<Registered<UdpSocket>>,
    peers: Vec<SocketAddr>,
    scope: Scope,
    /// Datagrams that were passed on and have not come back yet: they are no replays.
    own_echoes: u64,
    counters: Counters,
    troubles: Troubles,
}

/// What came and went.
#[derive(Debug, Default)]
struct Counters {
    sent: u64,
    bytes_sent: u64,
    send_errors: u64,
    received: u64,
    bytes_received: u64,
    /// By reason.
    dropped: [u64; DropReason::NAMES.len()],
}

impl Bus {
    /// Opens the ways that the settings ask for.
    ///
    /// # Errors
    /// Which option leads nowhere, and why.
    pub(super) fn open(
        config: &Config,
        audience_port: u16,
        keys: Keys,
        reactor: &Reactor,
        first_token: Token,
    ) -> Result<Self, String> {
        let cluster = &config.cluster;
        let loopback = SocketAddrV4::new(LOOPBACK_GROUP, audience_port);
        let group = cluster.group.unwrap_or(loopback);
        let interface = match cluster.group {
            None => Ipv4Addr::LOCALHOST,
            Some(_) => cluster.interface.unwrap_or(Ipv4Addr::UNSPECIFIED),
        };
        let ttl = if cluster.group.is_some() { cluster.ttl } else { 0 };
        let multicast = sys::multicast(group, interface, ttl)
            .and_then(|socket| Registered::new(reactor, socket, first_token, Interest::Read));
        let multicast = multicast.map_err(|error| explain_multicast(cluster, group, &error))?;
        let mut peers = cluster.peers.clone();
        let unicast = if peers.is_empty() {
            None
        } else {
            let address = unicast_address(config, audience_port, &mut peers);
            let socket = sys::unicast(address)
                .and_then(|socket| Registered::new(reactor, socket, Token(first_token.0 + 1), Interest::Read));
            Some(socket.map_err(|error| format!("--cluster-peers: cannot receive on UDP {address}: {error}"))?)
        };
        let scope = Scope { id: Identity::of(config, audience_port).scope_id(), keys };
        let troubles = Troubles::new(cluster.rules.node_timeout);
        Ok(Self { group, multicast, unicast, peers, scope, own_echoes: 0, counters: Counters::default(), troubles })
    }

    /// Says by which ways other nodes are reached.
    pub(super) fn log_ways(&self, config: &Config, node: NodeId) {
        let way = match (&config.cluster.group, self.peers.len()) {
            (Some(_), _) => "multicast",
            (None, 0) => "loopback",
            (None, _) => "unicast",
        };
        let is_keyed = !self.scope.keys.is_empty();
        log::info(format_args!("event=cluster node={node} way={way} group={} keyed={is_keyed}", self.group));
    }

    /// Seals and opens with these keys from now on.
    pub(super) fn set_keys(&mut self, keys: Keys) {
        self.scope.keys = keys;
    }

    /// Sends to all other nodes. What cannot be sent is lost, and heals like other losses.
    pub(super) fn send(&mut self, _to: To, datagram: &Datagram<Rc<str>>) {
        let bytes = report::encode(datagram, &self.scope);
        let sent = self.multicast.source().send_to(&bytes, self.group);
        self.counters.record_sent(&sent);
        if let Some(unicast) = &self.unicast {
            for peer in &self.peers {
                let sent = unicast.source().send_to(&bytes, peer);
                self.counters.record_sent(&sent);
            }
        }
    }

    /// Datagrams that go out for each that is sent.
    pub(super) fn way_count(&self) -> usize {
        1 + self.peers.len()
    }

    /// Takes in what has arrived, as much as fits into a turn; returns whether that was all.
    pub(super) fn receive(&mut self, meter: &mut Meter, now: Now) -> bool {
        let is_unicast_empty = self.receive_from(true, meter, now);
        self.receive_from(false, meter, now) && is_unicast_empty
    }

    /// What figures may read.
    pub(super) fn datagrams(&self) -> Datagrams<'_> {
        let Counters { sent, bytes_sent, send_errors, received, bytes_received, ref dropped } = self.counters;
        let (dropped, overflowed) = (Named { names: &DropReason::NAMES, counts: dropped }, self.overflowed());
        Datagrams { sent, bytes_sent, send_errors, received, bytes_received, dropped, overflowed }
    }

    /// What makes the total wrong or doubtful.
    pub(super) fn troubles(&self) -> &Troubles {
        &self.troubles
    }

    /// Ends troubles that are over. `is_empty` says that no datagram was left waiting.
    pub(super) fn handle_timeout(&mut self, is_empty: bool, now: Now) {
        self.troubles.handle_timeout(now, is_empty);
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub(super) fn next_deadline(&self) -> Option<Tick> {
        self.troubles.next_deadline()
    }

    /// Datagrams that did not fit into the receive buffers.
    fn overflowed(&self) -> u64 {
        let sockets = [Some(&self.multicast), self.unicast.as_ref()];
        let of = |socket: &Registered<UdpSocket>| sys::overflowed_datagrams(socket.source()).unwrap_or(0);
        sockets.into_iter().flatten().map(|socket| u64::from(of(socket))).sum()
    }

    fn receive_from(&mut self, is_unicast: bool, meter: &mut Meter, now: Now) -> bool {
        let socket = if is_unicast { self.unicast.as_ref() } else { Some(&self.multicast) };
        let Some(socket) = socket else { return true };
        // One byte more than there may be, to separate the longest from those that are cut.
        let mut buffer = [0; DATAGRAM_MAX + 1];
        let mut budget = WEIGHT_PER_TURN;
        while budget > 0 {
            budget = budget.saturating_sub(DATAGRAM_WEIGHT);
            let (length, from) = match torture::receive(socket.source(), &mut buffer) {
                Ok(received) => received,
                // Of a unicast socket this may be the news that a peer does not listen: about one, not about the socket.
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => continue,
                Err(_) => return true,
            };
            budget = budget.saturating_sub(length);
            let bytes = buffer.get(..length).unwrap_or_default();
            let outcome = match report::decode(bytes, &self.scope) {
                Ok(datagram) => meter
                    .receive(&datagram, Origin::Loopback, now)
                    .map_or_else(Outcome::of_rejected, |()| Outcome::Used),
                Err(dropped) => Outcome::of_dropped(dropped),
            };
            match outcome {
                Outcome::Used => self.counters.record_received(length),
                Outcome::NoNews => {}
                // Multicast returns to its sender, and with it what this node has passed on.
                Outcome::Dropped(DropReason::Replayed) if !is_unicast && self.own_echoes > 0 => self.own_echoes -= 1,
                Outcome::Dropped(reason) => {
                    self.counters.record_dropped(reason);
                    if let Some(kind) = reason.trouble(!self.scope.keys.is_empty()) {
                        self.troubles.raise(kind, &Source::at(from.into()), now);
                    }
                }
            }
            if is_unicast && outcome == Outcome::Used {
                let passed_on = self.multicast.source().send_to(bytes, self.group);
                self.own_echoes += u64::from(passed_on.is_ok());
                self.counters.record_sent(&passed_on);
            }
        }
        false
    }
}

impl Counters {
    fn record_sent(&mut self, sent: &io::Result<usize>) {
        match sent {
            Ok(bytes) => {
                self.sent += 1;
                self.bytes_sent += *bytes as u64;
            }
            Err(_) => self.send_errors += 1,
        }
    }

    fn record_received(&mut self, length: usize) {
        self.received += 1;
        self.bytes_received += length as u64;
    }

    fn record_dropped(&mut self, reason: DropReason) {
        self.dropped[reason as usize] += 1;
    }
}

/// Where datagrams of other hosts are received: on the audience's port number. Peers of both families need a socket that
/// takes both.
fn unicast_address(config: &Config, audience_port: u16, peers: &mut [SocketAddr]) -> SocketAddr {
    if let Some(host) = config.host.filter(|host| peers.iter().all(|peer| peer.is_ipv4() == host.is_ipv4())) {
        return (host, audience_port).into();
    }
    if peers.iter().all(SocketAddr::is_ipv4) {
        return (Ipv4Addr::UNSPECIFIED, audience_port).into();
    }
    for peer in peers {
        if let SocketAddr::V4(v4) = peer {
            *peer = (v4.ip().to_ipv6_mapped(), v4.port()).into();
        }
    }
    (Ipv6Addr::UNSPECIFIED, audience_port).into()
}

fn explain_multicast(cluster: &ClusterConfig, group: SocketAddrV4, error: &io::Error) -> String {
    let remedy = match error.kind() {
        io::ErrorKind::AddrInUse => "its port is in use; stop its user, or give another",
        io::ErrorKind::PermissionDenied => "it takes privilege; start as root, or give a port above 1023",
        _ => "no interface leads there; give the address of one with --cluster-interface",
    };
    match (cluster.group, cluster.interface) {
        (None, _) => format!("--port: cannot sync over loopback on UDP {group}: {error}"),
        (Some(_), Some(interface))
            if error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(19) =>
        {
            format!("--cluster-interface {interface}: this machine has no such address; give that of an interface")
        }
        (Some(_), _) => format!("--cluster-addr {group}: cannot be used: {error}; {remedy}"),
    }
}

/// What a datagram has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// The meter has applied it.
    Used,
    /// It carries no news, and no counter counts it.
    NoNews,
    /// It has no effect.
    Dropped(DropReason),
}

/// Why a datagram has no effect, in the order of the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DropReason {
    ForeignAudience,
    ForeignVersion,
    Forged,
    Malformed,
    Replayed,
    TooManyNodes,
    Unkeyed,
}

impl DropReason {
    /// What figures call them.
    const NAMES: [&str; 7] =
        ["foreign_audience", "foreign_version", "forged", "malformed", "replayed", "too_many_nodes", "unkeyed"];

    /// The trouble that it shows, if it shows one, at a node with a key or without.
    fn trouble(self, has_key: bool) -> Option<Kind> {
        match self {
            Self::ForeignAudience => Some(Kind::ForeignScope),
            Self::ForeignVersion => Some(Kind::ForeignVersion),
            Self::Forged if has_key => Some(Kind::DifferentKey),
            Self::Forged => Some(Kind::KeyedElsewhere),
            Self::Unkeyed => Some(Kind::Unkeyed),
            Self::Malformed | Self::Replayed | Self::TooManyNodes => None,
        }
    }
}

impl Outcome {
    fn of_rejected(rejection: Rejection) -> Self {
        match rejection {
            Rejection::Own | Rejection::NeverThere => Self::NoNews,
            Rejection::Replayed => Self::Dropped(DropReason::Replayed),
            Rejection::TooManyNodes => Self::Dropped(DropReason::TooManyNodes),
        }
    }

    fn of_dropped(dropped: Dropped) -> Self {
        Self::Dropped(match dropped {
            Dropped::Malformed => DropReason::Malformed,
            Dropped::ForeignVersion => DropReason::ForeignVersion,
            Dropped::ForeignScope => DropReason::ForeignAudience,
            Dropped::Unkeyed => DropReason::Unkeyed,
            Dropped::Forged => DropReason::Forged,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_counted_under_its_name() {
        let reasons = [
            (Dropped::ForeignScope, "foreign_audience"),
            (Dropped::ForeignVersion, "foreign_version"),
            (Dropped::Forged, "forged"),
            (Dropped::Malformed, "malformed"),
            (Dropped::Unkeyed, "unkeyed"),
        ];
        let dropped = reasons.map(|(dropped, name)| (Outcome::of_dropped(dropped), name));
        let rejections = [(Rejection::Replayed, "replayed"), (Rejection::TooManyNodes, "too_many_nodes")];
        let rejected = rejections.map(|(rejection, name)| (Outcome::of_rejected(rejection), name));
        for (outcome, name) in dropped.into_iter().chain(rejected) {
            let Outcome::Dropped(reason) = outcome else { panic!("{name} is {outcome:?}") };
            assert_eq!(DropReason::NAMES[reason as usize], name);
        }
        assert!(DropReason::NAMES.is_sorted(), "pages have them in this order");
        assert_eq!(Outcome::of_rejected(Rejection::Own), Outcome::NoNews);
    }
}
