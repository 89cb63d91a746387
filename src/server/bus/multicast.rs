//! A multicast group: the socket that sends there and receives what comes.
//!
//! Owns the membership, which ends with the interface and is renewed. It does not know what it carries.
//!
//! Invariant: the socket has a membership by the interface that there is now, or the way is not well.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV6, UdpSocket};

use super::health::{Condition, Health};
use crate::config::{ClusterConfig, Interface};
use crate::reactor::datagrams::{self, Membership};
use crate::reactor::{Interest, Reactor, Registered, Token};

/// A group, and the interface that the operator has named.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) group: SocketAddr,
    pub(super) interface: Option<Interface>,
}

/// A socket of a multicast group.
pub(super) struct Multicast {
    socket: Registered<UdpSocket>,
    place: Place,
    membership: Membership,
    ttl: u8,
    token: Token,
    health: Health,
}

impl Place {
    /// The membership that leads there now.
    ///
    /// # Errors
    /// `ENODEV`: there is no interface of that name.
    pub(super) fn membership(&self) -> io::Result<Membership> {
        Ok(match (self.group, &self.interface) {
            (SocketAddr::V4(group), Some(Interface::Address(address))) => Membership::V4(group, *address),
            (SocketAddr::V4(group), _) => Membership::V4(group, Ipv4Addr::UNSPECIFIED),
            (SocketAddr::V6(group), interface) => {
                let name = interface.as_ref().and_then(Interface::name);
                let index = name.map_or(Ok(0), datagrams::index_of)?;
                Membership::V6(SocketAddrV6::new(*group.ip(), group.port(), 0, index))
            }
        })
    }
}

impl Multicast {
    /// Opens a socket there.
    ///
    /// # Errors
    /// What the kernel says: there is no such interface, or the port cannot be used.
    pub(super) fn open(place: Place, ttl: u8, reactor: &Reactor, token: Token) -> io::Result<Self> {
        let socket = datagrams::multicast(place.membership()?, ttl)?;
        Self::over(socket, place, ttl, reactor, token)
    }

    /// The same, with a socket that is open.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(super) fn over(socket: UdpSocket, place: Place, ttl: u8, reactor: &Reactor, token: Token) -> io::Result<Self> {
        let membership = place.membership()?;
        let socket = Registered::new(reactor, socket, token, Interest::Read)?;
        Ok(Self { socket, place, membership, ttl, token, health: Health::default() })
    }

    /// The socket.
    pub(super) fn socket(&self) -> &UdpSocket {
        self.socket.source()
    }

    /// The group.
    pub(super) fn group(&self) -> SocketAddr {
        self.place.group
    }

    /// Sends to the group.
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.socket.source().send_to(bytes, self.place.group);
        self.health.record_sent(&sent);
        sent
    }

    /// How it did since the last look.
    pub(super) fn look(&mut self) -> Condition {
        self.health.look(false)
    }

    /// Joins the group once more: the interface may have been made anew, and another one may lead there.
    pub(super) fn renew(&mut self, reactor: &Reactor) {
        let renewed = self.join(reactor);
        self.health.record_renewed(&renewed);
    }

    fn join(&mut self, reactor: &Reactor) -> io::Result<()> {
        let membership = self.place.membership()?;
        // A socket of a group within one link is tied to the interface, for good.
        if membership == self.membership {
            let joined = datagrams::join(self.socket(), membership);
            // Memberships of interfaces that are gone end with the socket alone.
            if joined.as_ref().err().and_then(io::Error::raw_os_error) != Some(libc::ENOBUFS) {
                return joined;
            }
        }
        let socket = datagrams::multicast(membership, self.ttl)?;
        self.socket = Registered::new(reactor, socket, self.token, Interest::Read)?;
        self.membership = membership;
        Ok(())
    }
}

/// Why a group cannot be used, as a line for a person.
pub(super) fn explain(cluster: &ClusterConfig, group: SocketAddr, error: &io::Error) -> String {
    let remedy = match error.kind() {
        io::ErrorKind::AddrInUse => "its port is in use; stop its user, or give another",
        io::ErrorKind::PermissionDenied => "it takes privilege; start as root, or give a port above 1023",
        _ => "no interface leads there; give one with --cluster-interface",
    };
    if cluster.group != Some(group) {
        return format!("--port: cannot sync over loopback on UDP {group}: {error}");
    }
    match &cluster.interface {
        Some(interface) if matches!(error.raw_os_error(), Some(libc::EADDRNOTAVAIL | libc::ENODEV)) => {
            format!(
                "--cluster-interface {interface}: this machine has no such address or name; give that of an interface"
            )
        }
        _ => format!("--cluster-addr {group}: cannot be used: {error}; {remedy}"),
    }
}
