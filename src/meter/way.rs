//! Where datagrams come from, and where they go.
//!
//! Owns the words for it. An address is a number here: which sockets there are, and what they are bound to, the caller knows.

use crate::collections::sections::{Reader, Writer};

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

impl Address {
    pub(super) fn write(self, out: &mut Writer) {
        let Self { ip, port } = self;
        ip.to_le_bytes().as_chunks().0.iter().for_each(|&half| out.fixed(u64::from_le_bytes(half)));
        out.number(port.into());
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        let (low, high) = (from.fixed(), from.fixed());
        Self { ip: u128::from(high) << 64 | u128::from(low), port: from.short() }
    }
}

impl Origin {
    pub(super) fn write(self, out: &mut Writer) {
        let (kind, address) = match self {
            Self::Loopback => (0, None),
            Self::Group => (1, None),
            Self::Listed(address) => (2, Some(address)),
            Self::Unlisted(address) => (3, Some(address)),
        };
        out.number(kind);
        if let Some(address) = address {
            address.write(out);
        }
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        match from.number() {
            1 => Self::Group,
            2 => Self::Listed(Address::read(from)),
            3 => Self::Unlisted(Address::read(from)),
            number => {
                from.check(number == 0, "an unknown way");
                Self::Loopback
            }
        }
    }
}
