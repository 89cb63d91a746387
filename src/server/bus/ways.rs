//! The ways to other nodes: the sockets, and which of them the settings ask for.
//!
//! Owns which sockets there are, and when memberships of groups are renewed. It does not know what it carries.
//!
//! | way | when | to |
//! |---|---|---|
//! | loopback | always | the processes of this host |
//! | group | `--cluster-addr` | all hosts, this one included |
//! | unicast | `--cluster-peers` | one address |
//! | broker | `--cluster-addr` with a URL | all hosts, this one included; `broker` has the stream |
//! | link | a filter keeps siblings apart | one process of this host; `links` has the streams |
//!
//! Invariant: there is a way to the processes of this host.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::time::Duration;

use super::ears::Ears;
use super::health::{Condition, Health};
use super::multicast::{Multicast, Place, explain};
use crate::collections::tick::Tick;
use crate::config::{Config, Interface, Peer};
use crate::meter::news::Address;
use crate::reactor::{Interest, Reactor, Registered, Token, datagrams, sys};

/// The group on loopback; its port is the audience's.
const LOOPBACK_GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 13, 37);

/// How long an interface that was made anew may be without this process, at 4 us for each renewal.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(2);

/// What stands for the address of a datagram that came by a link, the unspecified port of 127.0.0.1.
pub(super) const LINK_ADDRESS: Address = Address { ip: 0xffff_7f00_0001, port: 0 };

/// Most datagrams that a predecessor has left: its buffer holds no more.
const LEFT_MAX: usize = 100_000;

/// A socket of the group on loopback. A supervisor opens one for each worker, for its port may take privilege.
///
/// # Errors
/// The reason, as a line for a person.
pub fn open_loopback(config: &Config, audience_port: u16) -> Result<UdpSocket, String> {
    let place = loopback_place(audience_port);
    let opened = place.membership().and_then(|membership| datagrams::multicast(membership, 0));
    opened.map_err(|error| explain(&config.cluster, place.group, &error))
}

/// Where the processes of this host are.
fn loopback_place(audience_port: u16) -> Place {
    let group = SocketAddrV4::new(LOOPBACK_GROUP, audience_port).into();
    Place { group, interface: Some(Interface::Address(Ipv4Addr::LOCALHOST)) }
}

/// Takes over the socket that a supervisor has opened, by its descriptor. What came for the predecessor is dropped.
///
/// # Errors
/// What the kernel says.
pub(in crate::server) fn take_over_loopback(descriptor: u32) -> io::Result<UdpSocket> {
    let socket = UdpSocket::from(sys::take_over(descriptor)?);
    let _ = (0..LEFT_MAX).take_while(|_| socket.recv(&mut [0]).is_ok()).count();
    Ok(socket)
}

/// By which way a datagram comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Loopback,
    Group,
    Unicast,
    Link,
    Broker,
}

impl Way {
    /// Those that have a socket, in the order in which they are read: what a sibling has sent comes over loopback first.
    pub(super) const SOCKETS: [Self; 3] = [Self::Loopback, Self::Group, Self::Unicast];

    /// What troubles call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::Group => "group",
            Self::Unicast => "unicast",
            Self::Link => "link",
            Self::Broker => "broker",
        }
    }
}

/// The ways of a process.
pub(super) struct Ways {
    pub(super) loopback: Multicast,
    pub(super) group: Option<Multicast>,
    pub(super) unicast: Option<Unicast>,
    next_renewal: Tick,
}

/// A socket for single hosts.
pub(super) struct Unicast {
    socket: Registered<UdpSocket>,
    bound: SocketAddr,
    ears: Ears,
    health: Health,
}

impl Ways {
    /// Opens the ways that the settings ask for.
    ///
    /// # Errors
    /// Which option leads nowhere, and why.
    pub(super) fn open(
        config: &Config,
        audience_port: u16,
        loopback: UdpSocket,
        reactor: &Reactor,
        first: Token,
    ) -> Result<Self, String> {
        let cluster = &config.cluster;
        let explain = |place: &Place, error| explain(cluster, place.group, &error);
        let place = loopback_place(audience_port);
        let loopback =
            Multicast::over(loopback, place.clone(), 0, reactor, first).map_err(|error| explain(&place, error))?;
        let group = cluster.group.map(|group| {
            let place = Place { group, interface: cluster.interface.clone() };
            let opened = Multicast::open(place.clone(), cluster.ttl, reactor, Token(first.0 + 1));
            opened.map_err(|error| explain(&place, error))
        });
        let group = group.transpose()?;
        let has_peers = !cluster.peers.is_empty();
        let unicast =
            has_peers.then(|| Unicast::open(config, audience_port, reactor, Token(first.0 + 2))).transpose()?;
        Ok(Self { loopback, group, unicast, next_renewal: reactor.now().tick.after(RENEWAL_INTERVAL) })
    }

    /// The socket of a way, if the way is there.
    pub(super) fn socket(&self, way: Way) -> Option<&UdpSocket> {
        Some(match way {
            Way::Loopback => self.loopback.socket(),
            Way::Group => self.group.as_ref()?.socket(),
            Way::Unicast => self.unicast.as_ref()?.socket.source(),
            Way::Link | Way::Broker => return None,
        })
    }

    /// When the next renewal of memberships is due. Loopback has the same interface for ever, and alone wakes no process for it.
    pub(super) fn next_deadline(&self) -> Option<Tick> {
        self.group.as_ref().map(|_| self.next_renewal)
    }

    /// Renews the memberships, if it is time; returns whether it was.
    pub(super) fn renew(&mut self, reactor: &Reactor, now: Tick) -> bool {
        if now < self.next_renewal {
            return false;
        }
        self.next_renewal = now.after(RENEWAL_INTERVAL);
        self.group.iter_mut().chain([&mut self.loopback]).for_each(|multicast| multicast.renew(reactor));
        true
    }

    /// How each way did since the last look. Of unicast, one address that is reached says that the way is well: a host that
    /// is down is silent, and that is a trouble of its own.
    pub(super) fn look(&mut self) -> Vec<(Way, Condition)> {
        let loopback = (Way::Loopback, self.loopback.look());
        let group = self.group.as_mut().map(|group| (Way::Group, group.look()));
        let unicast = self.unicast.as_mut().map(|unicast| (Way::Unicast, unicast.health.look(true)));
        [Some(loopback), group, unicast].into_iter().flatten().collect()
    }

    /// Datagrams that did not fit into the receive buffers.
    pub(super) fn overflowed(&self) -> u64 {
        let of = |socket: &UdpSocket| datagrams::overflowed(socket).unwrap_or(0);
        Way::SOCKETS.into_iter().filter_map(|way| self.socket(way)).map(|socket| u64::from(of(socket))).sum()
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
                Ok(socket) => {
                    return Ok(Self { socket, bound, ears: Ears::default(), health: Health::default() });
                }
                Err(error) => refusal = format!("--cluster-peers: cannot receive on UDP {bound}: {error}"),
            }
        }
        Err(refusal)
    }

    /// Sends to an address, in the form of the socket's family.
    pub(super) fn send(&mut self, bytes: &[u8], to: SocketAddr) -> io::Result<usize> {
        let to = match (to, self.bound) {
            (SocketAddr::V4(v4), SocketAddr::V6(_)) => (v4.ip().to_ipv6_mapped(), v4.port()).into(),
            _ => to,
        };
        let sent = self.socket.source().send_to(bytes, to);
        self.health.record_sent(&sent);
        sent
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
    let has = |peer: &Peer, is_ipv4| peer.addresses.iter().any(|address| address.is_ipv4() == is_ipv4);
    // A name that stands for nothing yet may be of either family.
    let all_have = |is_ipv4| peers.iter().all(|peer| peer.addresses.is_empty() || has(peer, is_ipv4));
    if let Some(host) = host.filter(|host| all_have(host.is_ipv4())) {
        return vec![host];
    }
    let may_have_ipv6 = peers.iter().any(|peer| peer.addresses.is_empty() || has(peer, false));
    let both = may_have_ipv6.then_some(Ipv6Addr::UNSPECIFIED.into());
    let ipv4 = all_have(true).then_some(Ipv4Addr::UNSPECIFIED.into());
    both.into_iter().chain(ipv4).collect()
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
        check(None, &[&[v4], &[]], &["::", "0.0.0.0"]);
        check(Some("127.0.0.2"), &[&[]], &["127.0.0.2"]);
        check(Some("127.0.0.2"), &[&[v4]], &["127.0.0.2"]);
        // Each name has an address of the family.
        check(Some("127.0.0.2"), &[&[v6, v4]], &["127.0.0.2"]);
        check(Some("127.0.0.2"), &[&[v4], &[v6]], &["::"]);
        check(Some("::1"), &[&[v6]], &["::1"]);
    }
}
