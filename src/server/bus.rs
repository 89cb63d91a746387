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
//! Invariant: what is not well-formed, ours and unheard has no effect but to be counted.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::rc::Rc;

use crate::collections::tick::Now;
use crate::config::{ClusterConfig, Config, KeySource};
use crate::log;
use crate::meter::news::{Datagram, NodeId};
use crate::meter::{Meter, Rejection};
use crate::reactor::{Interest, Reactor, Registered, Token, sys};
use crate::server::conns::torture;
use crate::wire::report::{self, DATAGRAM_MAX, Dropped, Scope};

/// What the datagrams may weigh that one turn takes from each of the two sockets, each its bytes and [`DATAGRAM_WEIGHT`]. A
/// full one brings 50 counts and takes some 25 us, which is 0.02 us a byte: 0.2 ms for each socket.
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
    /// How many datagrams that were passed on have not come back yet: they are no replays.
    own_echoes: u64,
    pub(super) counters: Counters,
}

/// What came and went.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) sent: u64,
    pub(super) bytes_sent: u64,
    pub(super) send_errors: u64,
    pub(super) received: u64,
    pub(super) bytes_received: u64,
    pub(super) dropped: BTreeMap<&'static str, u64>,
}

impl Bus {
    /// Opens the ways that the settings ask for.
    ///
    /// # Errors
    /// Which option leads nowhere, and why.
    pub(super) fn open(
        config: &Config,
        audience_port: u16,
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
        let key = cluster.key.as_ref().map(KeySource::read).transpose()?;
        let scope = Scope { id: scope_id(config, audience_port), key };
        Ok(Self { group, multicast, unicast, peers, scope, own_echoes: 0, counters: Counters::default() })
    }

    /// Says by which ways other nodes are reached.
    pub(super) fn log_ways(&self, config: &Config, node: NodeId) {
        let way = match (&config.cluster.group, self.peers.len()) {
            (Some(_), _) => "multicast",
            (None, 0) => "loopback",
            (None, _) => "unicast",
        };
        let is_keyed = self.scope.key.is_some();
        log::info(format_args!("event=cluster node={node} way={way} group={} keyed={is_keyed}", self.group));
    }

    /// Sends to all other nodes. What cannot be sent is lost, and heals like other losses.
    pub(super) fn send(&mut self, datagram: &Datagram<Rc<str>>) {
        let bytes = report::encode(datagram, &self.scope);
        let sent = self.multicast.source().send_to(&bytes, self.group);
        self.counters.note_sent(&sent);
        if let Some(unicast) = &self.unicast {
            for peer in &self.peers {
                let sent = unicast.source().send_to(&bytes, peer);
                self.counters.note_sent(&sent);
            }
        }
    }

    /// How many datagrams go out for each that is sent.
    pub(super) fn ways(&self) -> usize {
        1 + self.peers.len()
    }

    /// Takes in what has arrived, as much as fits into a turn; returns whether that was all.
    pub(super) fn receive(&mut self, meter: &mut Meter, now: Now) -> bool {
        let heard_unicast = self.receive_from(true, meter, now);
        self.receive_from(false, meter, now) && heard_unicast
    }

    /// How many datagrams did not fit into the receive buffers.
    pub(super) fn overflowed(&self) -> u64 {
        let sockets = [Some(&self.multicast), self.unicast.as_ref()];
        let of = |socket: &Registered<UdpSocket>| sys::overflowed_datagrams(socket.source()).unwrap_or(0);
        sockets.into_iter().flatten().map(|socket| u64::from(of(socket))).sum()
    }

    fn receive_from(&mut self, is_unicast: bool, meter: &mut Meter, now: Now) -> bool {
        let socket = if is_unicast { self.unicast.as_ref() } else { Some(&self.multicast) };
        let Some(socket) = socket else { return true };
        // One byte more than there may be, to tell the longest from those that are cut.
        let mut buffer = [0; DATAGRAM_MAX + 1];
        let mut budget = WEIGHT_PER_TURN;
        while budget > 0 {
            budget = budget.saturating_sub(DATAGRAM_WEIGHT);
            let length = match torture::receive(socket.source(), &mut buffer) {
                Ok(length) => length,
                // Of a unicast socket this may be the news that a peer does not listen: about one, not about the socket.
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => continue,
                Err(_) => return true,
            };
            budget = budget.saturating_sub(length);
            let bytes = buffer.get(..length).unwrap_or_default();
            let heard = match report::decode(bytes, &self.scope) {
                Ok(datagram) => meter.receive(&datagram, now).map_err(name_of_rejection),
                Err(dropped) => Err(Some(name_of_drop(dropped))),
            };
            match heard {
                Ok(()) => {
                    self.counters.received += 1;
                    self.counters.bytes_received += length as u64;
                }
                // Multicast returns to its sender, and so what this node has passed on.
                Err(Some("replayed")) if !is_unicast && self.own_echoes > 0 => self.own_echoes -= 1,
                Err(None) => {}
                Err(Some(reason)) => *self.counters.dropped.entry(reason).or_default() += 1,
            }
            if is_unicast && heard.is_ok() {
                let passed_on = self.multicast.source().send_to(bytes, self.group);
                self.own_echoes += u64::from(passed_on.is_ok());
                self.counters.note_sent(&passed_on);
            }
        }
        false
    }
}

impl Counters {
    fn note_sent(&mut self, sent: &io::Result<usize>) {
        match sent {
            Ok(bytes) => {
                self.sent += 1;
                self.bytes_sent += *bytes as u64;
            }
            Err(_) => self.send_errors += 1,
        }
    }
}

/// What names the audience in every datagram.
///
/// On the network the group or the list of hosts is the audience. On loopback it is the address: two daemons that listen
/// on different addresses are two audiences, though their ports, and so their groups, are the same.
fn scope_id(config: &Config, audience_port: u16) -> u64 {
    let cluster = &config.cluster;
    if cluster.group.is_some() || !cluster.peers.is_empty() {
        return 0;
    }
    let host = config.host.map_or_else(|| "*".to_owned(), |host| host.to_string());
    crate::meter::name_digest(&format!("{host} {audience_port}"))
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
        io::ErrorKind::AddrInUse => "its port is in use; stop who uses it, or give another",
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

/// `None` for what is no news to count.
fn name_of_rejection(rejection: Rejection) -> Option<&'static str> {
    match rejection {
        Rejection::Own | Rejection::NeverThere => None,
        Rejection::Replayed => Some("replayed"),
        Rejection::TooManyNodes => Some("too_many_nodes"),
    }
}

fn name_of_drop(dropped: Dropped) -> &'static str {
    match dropped {
        Dropped::Malformed => "malformed",
        Dropped::ForeignVersion => "foreign_version",
        Dropped::ForeignScope => "foreign_audience",
        Dropped::Unkeyed => "unkeyed",
        Dropped::Forged => "forged",
    }
}
