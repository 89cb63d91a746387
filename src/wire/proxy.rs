//! The head by which a proxy names its client before all else: the PROXY protocol, versions 1 and 2.
//!
//! Owns where that head ends and what it says, judged by `HAProxy`'s `proxy-protocol.txt` ("The PROXY protocol, Versions 1 &
//! 2"), whose sections are named. It does not know which proxies are trusted: the caller asks only about peers that are known
//! to be proxies, for "only trusted proxies are allowed to use this protocol" (section 2).
//!
//! A head is looked for in the first bytes of a connection, shown again from the beginning when more have arrived: there
//! are at most [`HEAD_MAX`] of them, and usually they come at once.
//!
//! Invariant: what is found is the same however the bytes were cut, and bytes after the head change nothing.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest head in bytes: both formats "fit in the smallest TCP segment that any TCP/IP host is required to support
/// (576 - 40 = 536 bytes)" (section 2). Beside two IPv6 addresses that leaves 484 for TLVs.
pub const HEAD_MAX: usize = 536;

/// The longest line of version 1 in bytes, CRLF included (section 2.1).
const LINE_MAX: usize = 107;

/// What version 1 begins with.
const TEXT_SIGNATURE: &[u8] = b"PROXY";

/// What version 2 begins with: bytes that no other protocol does (section 2.2).
const BINARY_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The bytes of a head of version 2 before its addresses: the signature, version and command, family, and the length.
const FIXED: usize = 16;

/// What the first bytes of a connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// They may become a head; there have to be more of them.
    Incomplete,
    /// They are something else: no head begins like this.
    Absent,
    /// They begin with a head.
    Head {
        /// How many bytes it has.
        length: usize,
        /// The client's address; `None` for the proxy itself (`LOCAL`), or an unnamed client (`UNKNOWN`, `AF_UNSPEC`, `AF_UNIX`).
        source: Option<IpAddr>,
    },
    /// They begin like a head and are none.
    Malformed(Malformed),
}

/// Why bytes that begin like a head are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// The line of version 1 has no CRLF within 107 bytes, or a CR or LF elsewhere (section 2.1).
    LineEnd,
    /// The "proxied INET protocol and family" is none of `TCP4`, `TCP6` and `UNKNOWN`, or not after "exactly one space"
    /// (section 2.1).
    Protocol,
    /// An address is not in the "canonical format" of the announced family, or not after "exactly one space" (section
    /// 2.1).
    Address,
    /// A port is not "a decimal integer in the range [0..65535]", has "heading zeroes", or the ports are not the last
    /// (section 2.1).
    Port,
    /// The highest four bits of the 13th byte are not 2, and "the receiver must only accept this value" (section 2.2).
    Version,
    /// The command is neither LOCAL nor PROXY: "receivers must drop connections presenting unexpected values" (section
    /// 2.2).
    Command,
    /// The address family or the transport protocol is an "unspecified" value (section 2.2).
    Family,
    /// The "address length" is less than the addresses of the family take (section 2.2).
    TooShort,
    /// The head is longer than [`HEAD_MAX`].
    TooLong,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LineEnd => "the PROXY line does not end in CRLF within 107 bytes",
            Self::Protocol => "the PROXY protocol is none of TCP4, TCP6 and UNKNOWN",
            Self::Address => "an address of the PROXY line is malformed",
            Self::Port => "a port of the PROXY line is malformed",
            Self::Version => "the PROXY header is of an unknown version",
            Self::Command => "the PROXY command is neither LOCAL nor PROXY",
            Self::Family => "the PROXY address family or transport is unknown",
            Self::TooShort => "the PROXY header is shorter than its addresses",
            Self::TooLong => "the PROXY header is too long",
        })
    }
}

/// Looks for a head in `bytes`, all that the connection has brought so far.
#[must_use]
pub fn find(bytes: &[u8]) -> Found {
    if begins_like(bytes, BINARY_SIGNATURE) {
        find_binary(bytes)
    } else if begins_like(bytes, TEXT_SIGNATURE) {
        find_text(bytes)
    } else {
        Found::Absent
    }
}

/// Whether the bytes begin with the signature, as far as they go.
fn begins_like(bytes: &[u8], signature: &[u8]) -> bool {
    bytes.iter().zip(signature).all(|(byte, wanted)| byte == wanted)
}

/// Version 1: a line of text. "The receiver must wait for the CRLF sequence before starting to decode the addresses"
/// (section 2.1).
fn find_text(bytes: &[u8]) -> Found {
    // "PROXYING" is something else, as far as this goes: a space follows the signature.
    if bytes.get(TEXT_SIGNATURE.len()).is_some_and(|&byte| byte != b' ') {
        return Found::Absent;
    }
    let line = bytes.get(..LINE_MAX).unwrap_or(bytes);
    let Some(line_feed) = line.iter().position(|&byte| byte == b'\n') else {
        return if line.len() == LINE_MAX { Found::Malformed(Malformed::LineEnd) } else { Found::Incomplete };
    };
    match parse_line(line.get(..line_feed).unwrap_or_default()) {
        Ok(source) => Found::Head { length: line_feed + 1, source },
        Err(malformed) => Found::Malformed(malformed),
    }
}

/// `"PROXY" SP "TCP4" SP source SP destination SP port SP port CR`, or `"PROXY" SP "UNKNOWN" [anything] CR` (section 2.1)
fn parse_line(line: &[u8]) -> Result<Option<IpAddr>, Malformed> {
    let line = line.strip_suffix(b"\r").filter(|line| !line.contains(&b'\r')).ok_or(Malformed::LineEnd)?;
    let mut words = line.split(|&byte| byte == b' ').skip(1);
    let parse: fn(&str) -> Option<IpAddr> = match words.next() {
        Some(b"TCP4") => |text| text.parse().ok().map(IpAddr::V4),
        Some(b"TCP6") => |text| text.parse().ok().map(IpAddr::V6),
        // "The receiver must ignore anything presented before the CRLF is found."
        Some(b"UNKNOWN") => return Ok(None),
        _ => return Err(Malformed::Protocol),
    };
    let mut address = || {
        let word = words.next().and_then(|word| str::from_utf8(word).ok());
        word.and_then(parse).ok_or(Malformed::Address)
    };
    let (source, _destination) = (address()?, address()?);
    let mut is_port = || words.next().is_some_and(is_port);
    if !is_port() || !is_port() || words.next().is_some() {
        return Err(Malformed::Port);
    }
    Ok(Some(source))
}

/// "a decimal integer in the range [0..65535] inclusive", "heading zeroes are not permitted" (section 2.1)
fn is_port(word: &[u8]) -> bool {
    let is_plain = word == b"0" || (!word.starts_with(b"0") && word.iter().all(u8::is_ascii_digit));
    is_plain && str::from_utf8(word).is_ok_and(|digits| digits.parse::<u16>().is_ok())
}

/// Version 2: the signature, `version/command:u8 family/transport:u8 length:u16`, then that many bytes (section 2.2).
fn find_binary(bytes: &[u8]) -> Found {
    let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED>() else { return Found::Incomplete };
    let [.., command, family, length_high, length_low] = *fixed;
    let length = usize::from(u16::from_be_bytes([length_high, length_low]));
    let shape = match Shape::of(command, family) {
        Ok(shape) => shape,
        Err(malformed) => return Found::Malformed(malformed),
    };
    if FIXED + length > HEAD_MAX {
        return Found::Malformed(Malformed::TooLong);
    }
    if length < shape.addresses_length() {
        return Found::Malformed(Malformed::TooShort);
    }
    // "The receiver must not start to parse an address before the whole address block is received." What follows it are
    // TLVs, and "a receiver may choose to skip over and ignore those bytes".
    let Some(addresses) = rest.get(..length) else { return Found::Incomplete };
    Found::Head { length: FIXED + length, source: shape.source(addresses) }
}

/// What the addresses of a head of version 2 are.
#[derive(Clone, Copy)]
enum Shape {
    /// None that are of use: those of a LOCAL connection, `AF_UNSPEC`, or a transport UNSPEC.
    Skipped,
    /// `AF_INET`: `source:u32 destination:u32 port:u16 port:u16`.
    Inet,
    /// `AF_INET6`: the same, 16 bytes an address.
    Inet6,
    /// `AF_UNIX`: two names of 108 bytes each.
    Unix,
}

impl Shape {
    fn of(command: u8, family: u8) -> Result<Self, Malformed> {
        if command >> 4 != 2 {
            return Err(Malformed::Version);
        }
        let is_local = match command & 0xf {
            0 => true,
            1 => false,
            _ => return Err(Malformed::Command),
        };
        match (family >> 4, family & 0xf) {
            // LOCAL: the receiver must "discard the protocol block including the family which is ignored".
            _ if is_local => Ok(Self::Skipped),
            // UNSPEC: "the receiver should ignore address information".
            (0, 0..=2) | (1..=3, 0) => Ok(Self::Skipped),
            (1, 1 | 2) => Ok(Self::Inet),
            (2, 1 | 2) => Ok(Self::Inet6),
            (3, 1 | 2) => Ok(Self::Unix),
            _ => Err(Malformed::Family),
        }
    }

    fn addresses_length(self) -> usize {
        match self {
            Self::Skipped => 0,
            Self::Inet => 12,
            Self::Inet6 => 36,
            Self::Unix => 216,
        }
    }

    fn source(self, addresses: &[u8]) -> Option<IpAddr> {
        match self {
            Self::Skipped | Self::Unix => None,
            Self::Inet => addresses.first_chunk::<4>().map(|&octets| Ipv4Addr::from(octets).into()),
            Self::Inet6 => addresses.first_chunk::<16>().map(|&octets| Ipv6Addr::from(octets).into()),
        }
    }
}

#[cfg(test)]
mod tests;
