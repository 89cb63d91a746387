//! What comes of asking for a connection, and the address in the name of its peer.
//!
//! Owns the reading of a name (`sockaddr_in` and `sockaddr_in6`, ip(7) and ipv6(7)). The call is in `sys`.
//!
//! Invariant: an address of IPv4 is one, however it has come.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpStream};

use libc::{c_int, in6_addr, sockaddr_in6};

/// What came of asking for a connection.
#[derive(Debug)]
pub enum Accepted {
    /// A connection, non-blocking, and the address from which it comes.
    Stream(TcpStream, IpAddr),
    /// No connection is waiting.
    NonePending,
    /// The process or the system has no descriptor or no memory left for one.
    NoRoom,
    /// This one failed before it was accepted; others may be waiting.
    Failed,
}

/// Room for a name of either family.
pub(super) const EMPTY_NAME: sockaddr_in6 = sockaddr_in6 {
    sin6_family: 0,
    sin6_port: 0,
    sin6_flowinfo: 0,
    sin6_addr: in6_addr { s6_addr: [0; 16] },
    sin6_scope_id: 0,
};

/// The address in a name. One of IPv4 is where a name of IPv6 has its flow.
pub(super) fn address_in(name: &sockaddr_in6) -> IpAddr {
    match c_int::from(name.sin6_family) {
        libc::AF_INET => Ipv4Addr::from(name.sin6_flowinfo.to_ne_bytes()).into(),
        _ => Ipv6Addr::from(name.sin6_addr.s6_addr).to_canonical(),
    }
}
