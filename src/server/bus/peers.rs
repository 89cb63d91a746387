//! The peers that the operator has listed: their names, and all addresses of them, which may change.
//!
//! Owns which addresses are sent to, and which of them lead back to this host. It does not know the nodes behind them.
//!
//! Invariant: an address is sent to once, whatever number of names has it.

use std::net::SocketAddr;
use std::time::Duration;

use super::ways::{Unicast, address_of, socket_address};
use crate::collections::tick::Tick;
use crate::config::{ADDRESSES_MAX, ClusterConfig, Peer};
use crate::meter::news::{Address, Origin};

/// The peers of a process.
pub(super) struct Peers {
    hosts: Vec<Peer>,
    listed: Vec<Listed>,
    /// Between two looks at which addresses are this host's own: an address may move from host to host.
    interval: Duration,
    next_look: Tick,
}

/// An address of a name.
struct Listed {
    address: Address,
    /// The same as it was given: it may say the interface, too.
    to: SocketAddr,
    /// Whether the socket has its family.
    is_taken: bool,
    /// Whether it leads to this host, where the siblings are reached over loopback.
    is_own: bool,
}

impl Peers {
    pub(super) fn new(cluster: &ClusterConfig) -> Self {
        let (hosts, interval) = (cluster.peers.clone(), cluster.rules.node_timeout);
        let mut peers = Self { hosts, listed: Vec::new(), interval, next_look: Tick(0) };
        peers.list();
        peers
    }

    /// The name of a host stands for these addresses now. Returns whether it is one of the peers, and has others than before.
    pub(super) fn set_addresses(&mut self, name: &str, addresses: &[SocketAddr]) -> bool {
        let host = self.hosts.iter_mut().find(|host| host.name == name);
        let Some(host) = host.filter(|host| host.addresses != addresses) else { return false };
        host.addresses = addresses.to_vec();
        self.list();
        true
    }

    /// Lists the addresses of all hosts, and has them looked at before they are sent to.
    fn list(&mut self) {
        self.listed.clear();
        for &to in self.hosts.iter().flat_map(|host| &host.addresses).take(ADDRESSES_MAX) {
            let address = address_of(to);
            if self.find(address).is_none() {
                self.listed.push(Listed { address, to, is_taken: false, is_own: false });
            }
        }
        self.next_look = Tick(0);
    }

    /// Looks at which addresses the socket reaches, if it is time: at 4 us for each, 1 ms at most for those that may be listed.
    /// Returns whether it was.
    pub(super) fn look(&mut self, unicast: &Unicast, now: Tick) -> bool {
        if now < self.next_look {
            return false;
        }
        self.next_look = now.after(self.interval);
        for listed in &mut self.listed {
            listed.is_taken = unicast.takes(listed.to);
            listed.is_own = unicast.is_own(listed.to);
        }
        true
    }

    /// The addresses of this host.
    pub(super) fn own(&self) -> impl Iterator<Item = SocketAddr> {
        self.listed.iter().filter(|listed| listed.is_own).map(|listed| listed.to)
    }

    /// Where a datagram for all goes: to the listed addresses, and to those that the meter has learned.
    pub(super) fn all(&self, learned: impl Iterator<Item = Address>) -> impl Iterator<Item = SocketAddr> {
        let listed = self.listed.iter().filter(|listed| listed.is_taken && !listed.is_own).map(|listed| listed.to);
        listed.chain(learned.filter(|&address| self.find(address).is_none()).map(socket_address))
    }

    /// Where a datagram for one address goes.
    pub(super) fn one(&self, address: Address) -> SocketAddr {
        self.find(address).map_or_else(|| socket_address(address), |listed| listed.to)
    }

    /// The origin of a datagram that came by unicast from this address.
    pub(super) fn origin_of(&self, address: Address) -> Origin {
        if self.find(address).is_some() { Origin::Listed(address) } else { Origin::Unlisted(address) }
    }

    fn find(&self, address: Address) -> Option<&Listed> {
        self.listed.iter().find(|listed| listed.address == address)
    }
}
