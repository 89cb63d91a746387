//! The client behind a chain of proxies: `X-Forwarded-For`.
//!
//! Owns how the field is read. Each proxy appends the address from which it was called. So the list is true from the right
//! as far as trusted proxies wrote it; the client may have made up anything further left. No standard has the field. (RFC
//! 7239 section 1 mentions it, and section 7.4 how far it can be relied on.) It is a list as in RFC 9110 section 5.6.1, over
//! one field line or several.
//!
//! It does not know which proxies are trusted: the caller reads this field from trusted peers only.
//!
//! Invariant: what a client wrote is never taken for the word of a proxy.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How many items are looked at, from the right: no chain of proxies is that long.
pub const ITEMS_MAX: usize = 32;

/// The client's address: the first from the right that is not a trusted proxy's. If all are, the leftmost one.
///
/// `values` are those of all `X-Forwarded-For` lines, in their order. An item that is no address ends the search, and the
/// one to its right stands. `None` is an empty list, or one that ends in junk: then the peer stands for itself.
///
/// An IPv4 address that is mapped into IPv6 (RFC 4291 section 2.5.5.2) is returned as IPv4.
pub fn client<'a, V>(values: V, is_trusted: impl Fn(IpAddr) -> bool) -> Option<IpAddr>
where
    V: IntoIterator<Item = &'a [u8]>,
    V::IntoIter: DoubleEndedIterator,
{
    let items = values.into_iter().rev().flat_map(|value| value.rsplit(|&byte| byte == b','));
    let mut client = None;
    for item in items.map(trim).take(ITEMS_MAX) {
        // "A recipient MUST parse and ignore a reasonable number of empty list elements" (RFC 9110 section 5.6.1.2).
        if item.is_empty() {
            continue;
        }
        let Some(address) = parse(item) else { break };
        client = Some(address);
        if !is_trusted(address) {
            break;
        }
    }
    client
}

/// An address alone, with a port as some proxies append it, or, if it is IPv6, in brackets, which a port needs.
fn parse(item: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(item).ok()?;
    let address = match text.strip_prefix('[') {
        Some(rest) => {
            let (literal, port) = rest.split_once(']')?;
            let is_right = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
            literal.parse::<Ipv6Addr>().ok().filter(|_| is_right)?.into()
        }
        None => match text.split_once(':') {
            Some((literal, port)) if is_port(port) => literal.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
            _ => None,
        }
        .or_else(|| text.parse().ok())?,
    };
    Some(address.to_canonical())
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

/// Without the white space around it: `OWS = *( SP / HTAB )` (RFC 9110 section 5.6.3).
fn trim(mut item: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = item {
        item = rest;
    }
    item
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// Proxies have addresses that begin with 10, or are `fd00::` and one word.
    fn is_trusted(address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => address.octets()[0] == 10,
            IpAddr::V6(address) => address.segments()[..7] == [0xfd00, 0, 0, 0, 0, 0, 0],
        }
    }

    #[track_caller]
    fn check(values: &[&str], expected: &str) {
        let expected = (!expected.is_empty()).then(|| expected.parse().unwrap());
        let found = client(values.iter().map(|value| value.as_bytes()), is_trusted);
        assert_eq!(found, expected, "{values:?}");
        let joined = values.join(",");
        assert_eq!(client([joined.as_bytes()], is_trusted), expected, "{joined:?} in one line");
        let items: Vec<&[u8]> = joined.split(',').map(str::as_bytes).collect();
        assert_eq!(client(items, is_trusted), expected, "{joined:?} a line each");
    }

    #[test]
    fn the_first_from_the_right_that_is_no_proxy_is_the_client() {
        check(&["192.0.2.1"], "192.0.2.1");
        check(&["192.0.2.1, 10.0.0.1"], "192.0.2.1");
        check(&["192.0.2.1", "10.0.0.1, 10.0.0.2"], "192.0.2.1");
        check(&["192.0.2.1, fd00::1, 10.0.0.2"], "192.0.2.1");
        check(&["2001:db8::7,10.0.0.1"], "2001:db8::7");
        check(&["10.0.0.3", "192.0.2.1"], "192.0.2.1");
    }

    #[test]
    fn what_the_client_wrote_itself_is_not_believed() {
        check(&["198.51.100.1, 192.0.2.1, 10.0.0.1"], "192.0.2.1");
        check(&["10.0.0.9, 192.0.2.1"], "192.0.2.1");
        check(&["junk, 192.0.2.1"], "192.0.2.1");
    }

    #[test]
    fn if_all_are_proxies_the_leftmost_is_the_client() {
        check(&["10.0.0.3, 10.0.0.2, 10.0.0.1"], "10.0.0.3");
        check(&["10.0.0.3"], "10.0.0.3");
    }

    #[test]
    fn junk_ends_the_search() {
        check(&["192.0.2.1, unknown, 10.0.0.1"], "10.0.0.1");
        check(&["192.0.2.1, unknown"], "");
        check(&["192.0.2.1", "10.0.0.2 10.0.0.1"], "");
        for junk in [
            "unknown",
            "_hidden",
            "localhost",
            "1",
            "192.0.2",
            "192.0.2.256",
            "192.0.02.1",
            "192.0.2.1:",
            "192.0.2.1:x",
            "192.0.2.1:65536",
            "192.0.2.1:+1",
            "[192.0.2.1]",
            "[192.0.2.1]:80",
            "[::1",
            "::1]",
            "[]",
            "[::1]80",
            "[::1]:",
            "[::1]:65536",
            "[::1]x",
            "[[::1]]",
            "fe80::1%eth0",
            "\"192.0.2.1\"",
            "for=192.0.2.1",
            "1:2:3:4:5:6:7:8:9",
            "192.0.2.1;10.0.0.1",
            "\u{e9}",
            "\u{661}.0.0.1",
        ] {
            check(&[junk], "");
            check(&[junk, "10.0.0.1"], "10.0.0.1");
        }
        assert_eq!(client([&b"\xff"[..]], is_trusted), None);
    }

    #[test]
    fn no_list_names_no_client() {
        assert_eq!(client([], is_trusted), None);
        check(&[""], "");
        check(&[" ", "\t,, "], "");
    }

    #[test]
    fn empty_items_are_skipped() {
        check(&["192.0.2.1,, ,\t10.0.0.1,"], "192.0.2.1");
        check(&["192.0.2.1", "", "10.0.0.1"], "192.0.2.1");
    }

    #[test]
    fn every_spelling_of_an_address_is_read() {
        for (text, address) in [
            ("192.0.2.1:54321", "192.0.2.1"),
            ("192.0.2.1:0", "192.0.2.1"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("[2001:db8::7]:54321", "2001:db8::7"),
            ("2001:DB8::7", "2001:db8::7"),
            ("2001:db8:0:0:0:0:0:7", "2001:db8::7"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("[::ffff:192.0.2.1]:1", "192.0.2.1"),
            ("::ffff:c000:201", "192.0.2.1"),
            ("::", "::"),
            // Without brackets, what looks like a port is a part of the address.
            ("2001:db8::7:80", "2001:db8::7:80"),
        ] {
            check(&[text], address);
            check(&["junk", &format!(" \t{text}\t ")], address);
            check(&[text, "[fd00::1]:443", "10.0.0.1:80", "::ffff:10.0.0.2"], address);
        }
    }

    #[test]
    fn the_work_is_bounded() {
        let asked = Cell::new(0);
        let count = |_| {
            asked.set(asked.get() + 1);
            true
        };
        let long = format!("192.0.2.1{}", ",10.0.0.1".repeat(ITEMS_MAX));
        assert_eq!(client([long.as_bytes()], count), Some("10.0.0.1".parse().unwrap()));
        assert_eq!(asked.get(), ITEMS_MAX);
        let within = format!("192.0.2.1{}", ",10.0.0.1".repeat(ITEMS_MAX - 1));
        check(&[&within], "192.0.2.1");
        check(&["192.0.2.1", &",".repeat(ITEMS_MAX)], "");
    }
}
