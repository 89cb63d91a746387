//! Target `proxy`: any bytes as the head of a proxy, as what `X-Forwarded-For` says, and as a list of networks.
//!
//! Owns what must hold for all of them: pieces do not matter, what is found can be said again, and what stands further from
//! the peer than the client changes nothing.

use std::net::{IpAddr, Ipv4Addr};

use audience_meter::config::Networks;
use audience_meter::wire::forwarded::{self, ITEMS_MAX};
use audience_meter::wire::proxy::{self, Found, HEAD_MAX};

/// A proxy that is trusted, and somebody who is not.
const PROXY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// Runs all three on the same bytes.
///
/// # Panics
/// If one of them breaks its promise.
pub fn proxy(bytes: &[u8]) {
    head(bytes);
    forwarded(bytes);
    networks(bytes);
}

/// Every piece says nothing yet, or what the whole says; and what was found is found again in its plainest form.
fn head(bytes: &[u8]) {
    let whole = proxy::find(bytes);
    for cut in 0..=bytes.len().min(HEAD_MAX + 1) {
        let found = proxy::find(bytes.get(..cut).unwrap_or_default());
        assert!(found == Found::Incomplete || found == whole, "cut at {cut}: {found:?}, not {whole:?}");
        let may_go_on = cut < bytes.len().min(HEAD_MAX);
        assert!(may_go_on || found == whole, "after {cut} bytes more are needed than a head has");
        if let Found::Head { length, source } = found {
            assert_eq!(length, cut, "a head is found when it is whole");
            source.into_iter().for_each(say_again);
            break;
        }
    }
}

fn say_again(source: IpAddr) {
    let line = match source {
        IpAddr::V4(_) => format!("PROXY TCP4 {source} {source} 1 2\r\n"),
        IpAddr::V6(_) => format!("PROXY TCP6 {source} {source} 1 2\r\n"),
    };
    let (family, octets) = match source {
        IpAddr::V4(source) => (0x11, source.octets().to_vec()),
        IpAddr::V6(source) => (0x21, source.octets().to_vec()),
    };
    let length = u8::try_from(2 * octets.len() + 4).unwrap_or(u8::MAX);
    let fixed = [0x21, family, 0, length];
    let binary = [b"\r\n\r\n\0\r\nQUIT\n", &fixed[..], &octets, &octets, &[0; 4]].concat();
    for head in [line.as_bytes(), &binary] {
        assert_eq!(proxy::find(head), Found::Head { length: head.len(), source: Some(source) });
    }
}

/// The bytes are lines of one field.
fn forwarded(bytes: &[u8]) {
    let is_trusted = |address| matches!(address, IpAddr::V4(address) if address.octets().starts_with(&[10]));
    let values: Vec<&[u8]> = bytes.split(|&byte| byte == b'\n').collect();
    let client = forwarded::client(values.iter().copied(), is_trusted);
    let joined = values.join(&b',');
    assert_eq!(forwarded::client([&joined[..]], is_trusted), client, "lines are as good as commas");
    let with = |address: IpAddr| {
        let last = address.to_string();
        forwarded::client(values.iter().copied().chain([last.as_bytes()]), is_trusted)
    };
    assert_eq!(with(STRANGER), Some(STRANGER), "what the client wrote is not believed");
    if joined.split(|&byte| byte == b',').count() < ITEMS_MAX {
        assert_eq!(with(PROXY), client.or(Some(PROXY)), "one more proxy changes nothing");
    }
    assert!(client.is_none_or(|client| client == client.to_canonical()), "{client:?} is written as IPv4");
}

/// The bytes are a list: each of its networks has its own address, and the list can be written again.
fn networks(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let networks = match Networks::parse(text) {
        Ok(networks) => networks,
        Err(problem) => return assert!(problem.contains("; give "), "{problem} has no remedy"),
    };
    for item in text.split(',').map(str::trim) {
        let address = item.split('/').next().and_then(|address| address.parse::<IpAddr>().ok());
        assert!(address.is_some_and(|address| networks.contains(address)), "{item} is not in itself");
    }
    assert_eq!(Networks::parse(&networks.to_string()).as_ref(), Ok(&networks), "{networks}");
}
