//! The multicast group on the network, and the interface that leads there.
//!
//! Owns how both are written: `239.255.13.37:314` and the address of an interface, or `[ff15::4d7]:314` and the name of one. The
//! name may stand with the group, as the zone of its address (RFC 4007 section 11).
//!
//! Invariant: a group has no scope id, for an interface has another name and number on each host.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The interface that a group is reached by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interface {
    /// The one that has this address, for a group of IPv4.
    Address(Ipv4Addr),
    /// The one with this name, for a group of IPv6.
    Name(String),
}

/// The longest name of an interface (`IFNAMSIZ` in `linux/if.h`, less the zero at its end).
const NAME_MAX: usize = 15;

impl Interface {
    /// Reads one, in the form that a group of this family takes; without a group, that of IPv4.
    pub(super) fn parse(text: &str, group: Option<SocketAddr>) -> Result<Self, String> {
        if group.is_some_and(|group| group.is_ipv6()) {
            return parse_name(text);
        }
        text.parse().map(Self::Address).map_err(|_| "is not an IPv4 address; give that of an interface".to_owned())
    }

    /// The name, if it has been named by one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        if let Self::Name(name) = self { Some(name) } else { None }
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

fn parse_name(text: &str) -> Result<Interface, String> {
    let is_of_name = |byte: u8| byte.is_ascii_graphic() && !b"/:%".contains(&byte);
    if !(1..=NAME_MAX).contains(&text.len()) || !text.bytes().all(is_of_name) {
        return Err("is not the name of an interface; give one such as eth0".to_owned());
    }
    Ok(Interface::Name(text.to_owned()))
}

/// Reads a group, and the interface that stands with it.
pub(super) fn parse(text: &str) -> Result<(SocketAddr, Option<Interface>), String> {
    // `[ff12::4d7%eth0]:314`
    let zone = text.split_once('%').and_then(|(ip, rest)| Some((ip, rest.split_once(']')?)));
    let (address, zone) = match zone {
        Some((ip, (zone, port))) => (format!("{ip}]{port}"), Some(zone)),
        None => (text.to_owned(), None),
    };
    let group = address.parse::<SocketAddr>().ok().filter(|group| group.ip().is_multicast() && group.port() != 0);
    let group = group.ok_or_else(|| {
        "is not a multicast ip:port; give one such as 239.255.13.37:314 or [ff15::4d7]:314, or nats://host:port or \
         redis://host:port"
            .to_owned()
    })?;
    Ok((group, zone.map(parse_name).transpose()?))
}

/// Whether each link of a host may have a group of its own at this address (RFC 4291 section 2.7).
pub(super) fn needs_interface(group: SocketAddr) -> bool {
    const LINK: u8 = 2;
    matches!(group.ip(), IpAddr::V6(ip) if ip.octets()[1] & 0xf <= LINK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_group_is_refused_with_examples() {
        for text in [
            "10.0.0.1:314",
            "239.1.1.1",
            "239.1.1.1:0",
            "[::1]:314",
            "[fe80::1%eth0]:314",
            "ff15::4d7:314",
            "[ff15::4d7]",
        ] {
            let problem = parse(text).unwrap_err();
            assert!(problem.contains("239.255.13.37:314 or [ff15::4d7]:314"), "{text}: {problem}");
        }
        for text in ["[ff15::4d7%]:314", "[ff15::4d7%a/b]:314", "[ff15::4d7%sixteen-letters-]:314"] {
            assert!(parse(text).unwrap_err().contains("name of an interface"), "{text}");
        }
        assert_eq!(parse("[ff15::4d7%2]:314").unwrap().1, Some(Interface::Name("2".to_owned())));
        let refused = Interface::parse("eth0", None).unwrap_err();
        assert_eq!(refused, "is not an IPv4 address; give that of an interface");
    }

    #[test]
    fn a_group_of_each_link_needs_an_interface() {
        for (group, expected) in [
            ("[ff01::1]:1", true),
            ("[ff12::1]:1", true),
            ("[ff15::1]:1", false),
            ("[ff0e::1]:1", false),
            ("224.0.0.1:1", false),
        ] {
            assert_eq!(needs_interface(group.parse().unwrap()), expected, "{group}");
        }
    }
}
