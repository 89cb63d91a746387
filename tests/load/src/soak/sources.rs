//! Where the visitors of the soak come from.
//!
//! Owns the hosts, and the addresses on them: each connection has one of its own, but those of a crowd that has one address.
//! It does not know what a connection is for.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};

use audience_kit::connect_from;

use super::chance::Chance;
use crate::host::Host;

/// The address of the crowd that has one.
const CROWD: Ipv4Addr = Ipv4Addr::new(127, 2, 0, 1);

/// Numbers of an address' last two bytes, each from 1 on.
const NUMBERS: u64 = 250;

/// The hosts.
pub(super) struct Sources {
    pub(super) audience: SocketAddrV4,
    /// With each, whether a daemon takes members there. The first one always has such a daemon.
    hosts: Vec<(Host, bool)>,
    connected_count: u64,
}

impl Sources {
    pub(super) fn new(hosts: Vec<Host>, audience: SocketAddrV4) -> Self {
        Self { audience, hosts: hosts.into_iter().map(|host| (host, false)).collect(), connected_count: 0 }
    }

    /// Connects to a daemon at one of the hosts.
    pub(super) fn connect(&mut self, chance: &mut Chance, is_crowd: bool) -> io::Result<TcpStream> {
        let index = chance.below(self.hosts.len());
        let (host, _) = self.hosts.get(index).filter(|(_, serves)| *serves).unwrap_or(&self.hosts[0]);
        self.connected_count += 1;
        let byte = |number: u64| u8::try_from(number % NUMBERS).unwrap_or(0) + 1;
        let own = Ipv4Addr::new(127, 1, byte(self.connected_count / NUMBERS), byte(self.connected_count));
        let (source, audience) = (if is_crowd { CROWD } else { own }, self.audience);
        host.within(move || connect_from(source, audience))
    }

    /// Says which hosts have a daemon that takes members.
    pub(super) fn set_serving(&mut self, serves: impl Fn(usize) -> bool) {
        self.hosts.iter_mut().enumerate().for_each(|(index, host)| host.1 = serves(index));
    }
}
