//! Where a trouble comes from.
//!
//! Owns the form of a place: an address, or what the operator calls it. A node's name stands here only where a seal or a
//! proof vouches for it, or where the lack of one is the trouble.

use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;

use crate::meter::news::NodeId;

/// Where a trouble comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::server) struct Source {
    pub(in crate::server) place: Place,
    pub(in crate::server) node: Option<NodeId>,
    /// How far its clock differs, in milliseconds.
    pub(in crate::server) skew_ms: Option<u64>,
}

/// A place on the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::server) enum Place {
    /// The source of a datagram.
    Address(SocketAddr),
    /// A peer as the operator wrote it, or a way of the bus.
    Name(Rc<str>),
}

impl Source {
    /// A place alone.
    pub(in crate::server) fn at(place: Place) -> Self {
        Self { place, node: None, skew_ms: None }
    }

    /// Whether both are the same node at the same place, whatever the clock.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.place == other.place && self.node == other.node
    }
}

impl Place {
    /// Whether it is a name that begins so.
    pub(in crate::server) fn begins_with(&self, part: &str) -> bool {
        matches!(self, Self::Name(name) if name.starts_with(part))
    }
}

/// An IPv4 address that a socket of both families shows as IPv6 is shown as IPv4.
impl From<SocketAddr> for Place {
    fn from(address: SocketAddr) -> Self {
        Self::Address(canonical(address))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// The address without its IPv6 mapping, flow and zone.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
