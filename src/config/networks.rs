//! A list of networks: `10.0.0.0/8,::1,192.168.1.7`.
//!
//! Owns how they are written (RFC 4632 section 3.1, RFC 4291 section 2.3) and what is in them. An IPv4 address that is
//! mapped into IPv6, as a socket for both families reports its peers, is the IPv4 address, on either side.
//!
//! Invariant: a network's address has no bit set beyond its prefix.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Some networks; by default none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

/// All addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    /// The first of them; never one that is mapped.
    first: IpAddr,
    /// How many bits they share.
    bits: u32,
}

impl Networks {
    /// Reads addresses and `ADDRESS/BITS`, separated by commas.
    ///
    /// # Errors
    /// What is wrong with the first that is wrong, to follow the option and its value.
    pub fn parse(text: &str) -> Result<Self, String> {
        text.split(',').map(str::trim).map(Network::parse).collect::<Result<_, _>>().map(Self)
    }

    /// Whether the address is in one of them.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(address))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Network {
    fn parse(text: &str) -> Result<Self, String> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let is_plain = |bits: &str| bits == "0" || (!bits.starts_with(['0', '+']) && bits.len() <= 3);
        let parsed = address.parse::<IpAddr>().ok().and_then(|address| {
            let longest = length_of(address);
            let bits = bits.map_or(Some(longest), |bits| bits.parse().ok().filter(|_| is_plain(bits)));
            Some((address, bits.filter(|&bits| bits <= longest)?))
        });
        let Some((address, bits)) = parsed else {
            return Err(format!("has {text:?}, which is not a network; give addresses or ADDRESS/BITS"));
        };
        let first = masked(address, bits);
        if first != address {
            return Err(format!("has {text:?}, with bits set beyond the prefix; give {first}/{bits} or {address}"));
        }
        let network = Self { first: first.to_canonical(), bits };
        // A prefix that holds the mark of a mapped address is at least as long as the mark is.
        let is_mapped = network.first.is_ipv4() && first.is_ipv6();
        Ok(if is_mapped { Self { bits: bits - MAPPED_BITS, ..network } } else { network })
    }

    /// Whether the address, which is not mapped, begins like all of this network.
    fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.first.is_ipv4() && masked(address, self.bits) == self.first
    }
}

/// The bits that mark a mapped address (RFC 4291 section 2.5.5.2).
const MAPPED_BITS: u32 = 96;

fn length_of(address: IpAddr) -> u32 {
    if address.is_ipv4() { Ipv4Addr::BITS } else { Ipv6Addr::BITS }
}

/// The address with only its first `bits` bits.
fn masked(address: IpAddr, bits: u32) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(Ipv4Addr::BITS - bits).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(Ipv6Addr::BITS - bits).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}

impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Network { first, bits }) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{first}/{bits}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(list: &str, inside: &[&str], outside: &[&str]) {
        let networks = Networks::parse(list).unwrap();
        for (addresses, expected) in [(inside, true), (outside, false)] {
            for address in addresses {
                assert_eq!(networks.contains(address.parse().unwrap()), expected, "{address} in {list}");
            }
        }
        assert_eq!(Networks::parse(&networks.to_string()), Ok(networks), "{list}");
    }

    #[track_caller]
    fn refuses(list: &str, problem: &str) {
        assert_eq!(Networks::parse(list), Err(problem.to_owned()), "{list}");
    }

    #[test]
    fn a_network_has_the_addresses_that_begin_like_it() {
        check("10.0.0.0/8", &["10.0.0.0", "10.255.255.255"], &["9.255.255.255", "11.0.0.0", "::1", "::10.0.0.1"]);
        check("192.168.1.7", &["192.168.1.7"], &["192.168.1.6", "192.168.1.8"]);
        check("192.168.1.7/32", &["192.168.1.7"], &["192.168.1.6"]);
        check("192.168.1.6/31", &["192.168.1.6", "192.168.1.7"], &["192.168.1.5", "192.168.1.8"]);
        check("128.0.0.0/1", &["128.0.0.0", "255.255.255.255"], &["127.255.255.255"]);
        check("::1", &["::1"], &["::", "::2", "127.0.0.1", "0.0.0.1"]);
        check("2001:db8::/32", &["2001:db8::", "2001:db8:ffff::1"], &["2001:db7::", "2001:db9::"]);
        check("2001:db8:0:4::/63", &["2001:db8:0:5::1"], &["2001:db8:0:6::"]);
        check("10.0.0.0/8, ::1,192.168.1.7", &["10.1.2.3", "::1", "192.168.1.7"], &["192.168.1.8"]);
    }

    #[test]
    fn all_addresses_of_one_family_are_none_of_the_other() {
        check("0.0.0.0/0", &["0.0.0.0", "255.255.255.255", "::ffff:1.2.3.4"], &["::", "::1"]);
        check("::/0", &["::", "ffff::"], &["0.0.0.0", "::ffff:1.2.3.4"]);
        check("0.0.0.0/0,::/0", &["1.2.3.4", "::1", "::ffff:1.2.3.4"], &[]);
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_address() {
        check("10.0.0.0/8", &["::ffff:10.1.2.3"], &["::ffff:11.0.0.0"]);
        check("::ffff:10.0.0.0/104", &["10.1.2.3", "::ffff:10.1.2.3"], &["11.0.0.0"]);
        check("::ffff:10.1.2.3", &["10.1.2.3"], &["10.1.2.4"]);
        check("::ffff:0:0/96", &["0.0.0.0", "255.255.255.255"], &["::1"]);
        assert_eq!(Networks::parse("::ffff:10.0.0.0/104").unwrap().to_string(), "10.0.0.0/8");
    }

    #[test]
    fn there_are_none_by_default() {
        assert!(Networks::default().is_empty());
        assert!(!Networks::default().contains(Ipv4Addr::LOCALHOST.into()));
        assert!(!Networks::parse("::1").unwrap().is_empty());
    }

    #[test]
    fn what_is_no_network_is_named_with_its_remedy() {
        for wrong in [
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/08",
            "10.0.0.0/-1",
            "10.0.0.0/8/8",
            "10.0.0/8",
            "/8",
            "",
            "*",
            "localhost",
            "[::1]",
            "10.0.0.1:80",
            "010.0.0.0/8",
            "10.0.0.0 /8",
            "fe80::1%eth0",
            "10.0.0.0/255.0.0.0",
            "10.0.0.0/4294967304",
        ] {
            let problem = format!("has {wrong:?}, which is not a network; give addresses or ADDRESS/BITS");
            refuses(wrong, &problem);
            refuses(&format!("::1, {wrong},10.0.0.1"), &problem);
        }
        refuses("10.0.0.1/8", "has \"10.0.0.1/8\", with bits set beyond the prefix; give 10.0.0.0/8 or 10.0.0.1");
        refuses("10.0.0.1/0", "has \"10.0.0.1/0\", with bits set beyond the prefix; give 0.0.0.0/0 or 10.0.0.1");
        refuses("::1/64", "has \"::1/64\", with bits set beyond the prefix; give ::/64 or ::1");
        let mapped = "::ffff:10.0.0.0/90";
        refuses(
            mapped,
            &format!("has {mapped:?}, with bits set beyond the prefix; give ::ffc0:0:0/90 or ::ffff:10.0.0.0"),
        );
    }
}
