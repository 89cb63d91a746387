//! Where datagrams come from, and where they go.
//!
//! Owns the words for it. An address is a number here: which sockets there are, and what they are bound to, the caller knows.

/// A place in the network: an IPv6 address, or an IPv4 address mapped into IPv6 (RFC 4291 section 2.5.5.2), and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// The address, as one number.
    pub ip: u128,
    /// The port.
    pub port: u16,
}

/// By which way a datagram came. Another one goes back the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// By the group on loopback, from a process of this host.
    Loopback,
    /// By the multicast group on the network, or by the broker that stands in its place.
    Group,
    /// By unicast, from an address that the operator has listed.
    Listed(Address),
    /// By unicast, from another address.
    Unlisted(Address),
}

/// Where a datagram goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// To all other nodes, by all ways.
    All,
    /// Back the way that another one came, and nowhere else.
    Origin(Origin),
}
