//! The ways to other nodes: the sockets, and which of them the settings ask for.
//!
//! Owns the sockets. It does not know what it carries.
//!
//! | way | when | to |
//! |---|---|---|
//! | loopback | always | the processes of this host |
//! | group | `--cluster-addr` | all hosts, this one included |
//! | unicast | `--cluster-peers` | one address |
//!
//! Invariant: there is a way to the processes of this host.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, UdpSocket};

use super::ears::Ears;
use crate::collections::tick::Tick;
use crate::config::{ClusterConfig, Config, Peer};
use crate::meter::news::Address;
use crate::reactor::{Interest, Reactor, Registered, Token, datagrams};

/// The group on loopback; its port is the audience's.
const LOOPBACK_GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 13, 37);

/// By which way a datagram comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Loopback,
    Group,
    Unicast,
}

impl Way {
    /// In the order in which they are read: what a sibling has sent comes over loopback first.
    pub(super) const ALL: [Self; 3] = [Self::Loopback, Self::Group, Self::Unicast];
}

/// The ways of a process.
pub(super) struct Ways {
    pub(super) loopback: Multicast,
    pub(super) group: Option<Multicast>,
    pub(super) unicast: Option<Unicast>,
}

/// A socket of a multicast group.
pub(super) struct Multicast {
    socket: Registered<UdpSocket>,
    pub(super) group: SocketAddrV4,
}

/// A socket for single hosts.
pub(super) struct Unicast {
    socket: Registered<UdpSocket>,
    bound: SocketAddr,
    ears: Ears,
}

impl Ways {
    /// Opens the ways that the settings ask for.
    ///
    /// # Errors
    /// Which option leads nowhere, and why.
    pub(super) fn open(config: &Config, audience_port: u16, reactor: &Reactor, first: Token) -> Result<Self, String> {
        let cluster = &config.cluster;
        let open = |group, interface, ttl, token| {
            let multicast = Multicast::open(group, interface, ttl, reactor, Token(first.0 + token));
            multicast.map_err(|error| explain_multicast(cluster, group, &error))
        };
        let loopback = SocketAddrV4::new(LOOPBACK_GROUP, audience_port);
        let loopback = open(loopback, Ipv4Addr::LOCALHOST, 0, 0)?;
        let interface = cluster.interface.unwrap_or(Ipv4Addr::UNSPECIFIED);
        let group = cluster.group.map(|group| open(group, interface, cluster.ttl, 1)).transpose()?;
        let has_peers = !cluster.peers.is_empty();
        let unicast =
            has_peers.then(|| Unicast::open(config, audience_port, reactor, Token(first.0 + 2))).transpose()?;
        Ok(Self { loopback, group, unicast })
    }

    /// The socket of a way, if the way is there.
    pub(super) fn socket(&self, way: Way) -> Option<&UdpSocket> {
        Some(match way {
            Way::Loopback => self.loopback.socket.source(),
            Way::Group => self.group.as_ref()?.socket.source(),
            Way::Unicast => self.unicast.as_ref()?.socket.source(),
        })
    }

    /// Datagrams that did not fit into the receive buffers.
    pub(super) fn overflowed(&self) -> u64 {
        let of = |socket: &UdpSocket| datagrams::overflowed(socket).unwrap_or(0);
        Way::ALL.into_iter().filter_map(|way| self.socket(way)).map(|socket| u64::from(of(socket))).sum()
    }
}

impl Multicast {
    fn open(group: SocketAddrV4, interface: Ipv4Addr, ttl: u8, reactor: &Reactor, token: Token) -> io::Result<Self> {
        let socket = datagrams::multicast(group, interface, ttl)?;
        Ok(Self { socket: Registered::new(reactor, socket, token, Interest::Read)?, group })
    }

    pub(super) fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.source().send_to(bytes, self.group)
    }
}

impl Unicast {
    /// A socket on the number of the audience's port, of the first family that the machine has.
    fn open(config: &Config, audience_port: u16, reactor: &Reactor, token: Token) -> Result<Self, String> {
        let mut refusal = String::new();
        for ip in unicast_ips(config.host, &config.cluster.peers) {
            let bound = SocketAddr::new(ip, audience_port);
            let socket =
                datagrams::unicast(bound).and_then(|socket| Registered::new(reactor, socket, token, Interest::Read));
            match socket {
                Ok(socket) => return Ok(Self { socket, bound, ears: Ears::default() }),
                Err(error) => refusal = format!("--cluster-peers: cannot receive on UDP {bound}: {error}"),
            }
        }
        Err(refusal)
    }

    /// Sends to an address, in the form of the socket's family.
    pub(super) fn send(&self, bytes: &[u8], to: SocketAddr) -> io::Result<usize> {
        let to = match (to, self.bound) {
            (SocketAddr::V4(v4), SocketAddr::V6(_)) => (v4.ip().to_ipv6_mapped(), v4.port()).into(),
            _ => to,
        };
        self.socket.source().send_to(bytes, to)
    }

    /// Has what comes here spread over the processes of this host.
    pub(super) fn spread(
        &mut self,
        node_count: impl FnOnce() -> usize,
        group_size: impl FnOnce() -> Option<usize>,
        now: Tick,
    ) {
        self.ears.spread(self.socket.source(), node_count, group_size, now);
    }

    /// Whether it sends to addresses of this family.
    pub(super) fn takes(&self, to: SocketAddr) -> bool {
        to.is_ipv4() == self.bound.is_ipv4() || self.bound.ip() == Ipv6Addr::UNSPECIFIED
    }

    /// Whether it receives itself what it sends to this address: the kernel routes to an address of this host from that
    /// address.
    pub(super) fn is_own(&self, to: SocketAddr) -> bool {
        if to.port() != self.bound.port() || !self.bound.ip().is_unspecified() {
            return to == self.bound;
        }
        let any: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let route = UdpSocket::bind((any, 0)).and_then(|socket| {
            socket.connect(to)?;
            socket.local_addr()
        });
        route.is_ok_and(|from| from.ip() == to.ip())
    }
}

/// An address as one number; IPv4 is mapped into IPv6.
pub(super) fn address_of(from: SocketAddr) -> Address {
    let ip = match from.ip() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    Address { ip: ip.into(), port: from.port() }
}

/// The address of a number.
pub(super) fn socket_address(address: Address) -> SocketAddr {
    SocketAddr::new(Ipv6Addr::from(address.ip).to_canonical(), address.port)
}

/// Where datagrams of other hosts are received, the best first. The own address serves if all peers have one of its family.
/// Peers of both families need a socket that takes both, which a machine without IPv6 does not have.
fn unicast_ips(host: Option<IpAddr>, peers: &[Peer]) -> Vec<IpAddr> {
    let all_have = |is_ipv4| peers.iter().all(|peer| peer.addresses.iter().any(|peer| peer.is_ipv4() == is_ipv4));
    if let Some(host) = host.filter(|host| all_have(host.is_ipv4())) {
        return vec![host];
    }
    let has_ipv6 = peers.iter().flat_map(|peer| &peer.addresses).any(SocketAddr::is_ipv6);
    let both = has_ipv6.then_some(Ipv6Addr::UNSPECIFIED.into());
    let ipv4 = all_have(true).then_some(Ipv4Addr::UNSPECIFIED.into());
    both.into_iter().chain(ipv4).collect()
}

fn explain_multicast(cluster: &ClusterConfig, group: SocketAddrV4, error: &io::Error) -> String {
    let remedy = match error.kind() {
        io::ErrorKind::AddrInUse => "its port is in use; stop its user, or give another",
        io::ErrorKind::PermissionDenied => "it takes privilege; start as root, or give a port above 1023",
        _ => "no interface leads there; give the address of one with --cluster-interface",
    };
    if cluster.group != Some(group) {
        return format!("--port: cannot sync over loopback on UDP {group}: {error}");
    }
    match cluster.interface {
        Some(interface) if error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(19) => {
            format!("--cluster-interface {interface}: this machine has no such address; give that of an interface")
        }
        _ => format!("--cluster-addr {group}: cannot be used: {error}; {remedy}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_form_in_both_families() {
        let address = |text: &str| address_of(text.parse().unwrap());
        assert_eq!(address("10.0.0.1:80"), Address { ip: 0xffff_0a00_0001, port: 80 });
        assert_eq!(address("[::ffff:10.0.0.1]:80"), address("10.0.0.1:80"));
        for text in ["10.0.0.1:80", "[fd00::1]:81"] {
            assert_eq!(socket_address(address(text)), text.parse().unwrap());
        }
    }

    #[test]
    fn the_socket_is_of_the_families_of_the_peers() {
        #[track_caller]
        fn check(host: Option<&str>, peers: &[&[&str]], expected: &[&str]) {
            let addresses = |peer: &[&str]| peer.iter().map(|text| text.parse().unwrap()).collect();
            let peer = |peer: &&[&str]| Peer { name: String::new(), addresses: addresses(peer) };
            let peers: Vec<Peer> = peers.iter().map(peer).collect();
            let ips = unicast_ips(host.map(|host| host.parse().unwrap()), &peers);
            assert_eq!(ips.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
        }
        let (v4, v6) = ("10.0.0.1:80", "[fd00::1]:80");
        check(None, &[&[v4], &[v4]], &["0.0.0.0"]);
        check(None, &[&[v4], &[v6]], &["::"]);
        check(None, &[&[v6, v4]], &["::", "0.0.0.0"]);
        check(Some("127.0.0.2"), &[&[v4]], &["127.0.0.2"]);
        // Each name has an address of the family.
        check(Some("127.0.0.2"), &[&[v6, v4]], &["127.0.0.2"]);
        check(Some("127.0.0.2"), &[&[v4], &[v6]], &["::"]);
        check(Some("::1"), &[&[v6]], &["::1"]);
    }
}
