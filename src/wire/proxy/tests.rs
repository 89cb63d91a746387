//! Heads of proxies, whole and cut, good and bad, each with what becomes of it.

use super::*;

/// What follows a head.
const REQUEST: &[u8] = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";

/// A head of version 2.
fn binary(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).unwrap().to_be_bytes();
    [BINARY_SIGNATURE, &[command, family], &length, block].concat()
}

/// Two addresses of four bytes each, and two ports.
const INET: &[u8] = &[192, 0, 2, 1, 10, 0, 0, 1, 0xd4, 0x31, 0, 80];

fn inet6() -> Vec<u8> {
    let address: Ipv6Addr = "2001:db8::7".parse().unwrap();
    [&address.octets()[..], &[0; 16], &[0xd4, 0x31, 0, 80]].concat()
}

/// Every piece that ends before the head does is waited for, and what follows the head changes nothing.
#[track_caller]
fn finds(head: &[u8], source: Option<&str>) {
    let source = source.map(|text| text.parse().unwrap());
    let whole = [head, REQUEST].concat();
    let shown = String::from_utf8_lossy(head);
    for cut in 0..=whole.len() {
        let expected = if cut < head.len() { Found::Incomplete } else { Found::Head { length: head.len(), source } };
        assert_eq!(find(&whole[..cut]), expected, "{shown:?} cut at {cut}");
    }
}

/// It is refused, whatever follows, and no piece of it is taken for anything else.
#[track_caller]
fn refuses(bytes: impl AsRef<[u8]>, malformed: Malformed) {
    let bytes = bytes.as_ref();
    let shown = String::from_utf8_lossy(bytes);
    let expected = Found::Malformed(malformed);
    assert_eq!(find(bytes), expected, "{shown:?}");
    assert_eq!(find(&[bytes, REQUEST].concat()), expected, "{shown:?} and a request");
    for cut in 0..bytes.len() {
        let found = find(&bytes[..cut]);
        assert!(found == Found::Incomplete || found == expected, "{shown:?} cut at {cut}: {found:?}");
    }
}

#[test]
fn a_line_of_version_1_names_the_source() {
    finds(b"PROXY TCP4 192.0.2.1 10.0.0.1 54321 80\r\n", Some("192.0.2.1"));
    finds(b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", Some("255.255.255.255"));
    finds(b"PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", Some("0.0.0.0"));
    finds(b"PROXY TCP6 2001:db8::7 ::1 54321 80\r\n", Some("2001:db8::7"));
    finds(b"PROXY TCP6 2001:DB8::7 ::1 54321 80\r\n", Some("2001:db8::7"));
    finds(b"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:10.0.0.1 54321 80\r\n", Some("::ffff:192.0.2.1"));
    let longest = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    finds(format!("PROXY TCP6 {longest} {longest} 65535 65535\r\n").as_bytes(), Some(longest));
}

#[test]
fn a_proxy_that_does_not_say_for_whom_says_nothing() {
    finds(b"PROXY UNKNOWN\r\n", None);
    finds(b"PROXY UNKNOWN \r\n", None);
    finds(b"PROXY UNKNOWN 192.0.2.1 10.0.0.1 54321 80\r\n", None);
    finds(b"PROXY UNKNOWN \0\xff whatever  it is\r\n", None);
    let longest = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    let line = format!("PROXY UNKNOWN {longest} {longest} 65535 65535\r\n");
    assert_eq!(line.len(), LINE_MAX);
    finds(line.as_bytes(), None);
}

#[test]
fn a_line_of_version_1_that_is_none_is_refused() {
    for line in ["TCP4 192.0.2.1 10.0.0.1 1 2", "UNKNOWN"] {
        refuses(format!("PROXY {line}\n"), Malformed::LineEnd);
        refuses(format!("PROXY {line}\r\r\n"), Malformed::LineEnd);
        refuses(format!("PROXY\u{20}{line}\rx\r\n"), Malformed::LineEnd);
    }
    refuses(format!("PROXY UNKNOWN {}\r\n", "x".repeat(LINE_MAX - 15)), Malformed::LineEnd);
    refuses(format!("PROXY {}", "x".repeat(LINE_MAX)), Malformed::LineEnd);
    for protocol in ["", " ", "TCP", "TCP5", "tcp4", "UDP4", "UNKNOWNS", "unknown", " TCP4", "/ HTTP/1.1"] {
        refuses(format!("PROXY {protocol} 192.0.2.1 10.0.0.1 1 2\r\n"), Malformed::Protocol);
    }
    for address in
        ["", "192.0.2", "192.0.2.256", "192.0.02.1", "192.0.2.1.1", "0xc0.0.2.1", "2001:db8::7", "a", "\u{e9}"]
    {
        refuses(format!("PROXY TCP4 {address} 10.0.0.1 1 2\r\n"), Malformed::Address);
        refuses(format!("PROXY TCP4 10.0.0.1 {address} 1 2\r\n"), Malformed::Address);
    }
    for address in ["192.0.2.1", "[::1]", "::1%eth0", "1::2::3", ":::", "12345::", "1:2:3:4:5:6:7"] {
        refuses(format!("PROXY TCP6 {address} ::1 1 2\r\n"), Malformed::Address);
    }
    refuses("PROXY TCP4  192.0.2.1 10.0.0.1 1 2\r\n", Malformed::Address);
    refuses("PROXY TCP4\r\n", Malformed::Address);
    for ports in
        ["", "1", "1 ", " 1 2", "1  2", "1 2 ", "1 2 3", "65536 1", "1 65536", "01 2", "1 00", "+1 2", "-1 2", "a b"]
    {
        refuses(format!("PROXY TCP4 192.0.2.1 10.0.0.1 {ports}\r\n"), Malformed::Port);
    }
}

#[test]
fn a_head_of_version_2_names_the_source() {
    for transport in [1, 2] {
        finds(&binary(0x21, 0x10 | transport, INET), Some("192.0.2.1"));
        finds(&binary(0x21, 0x20 | transport, &inet6()), Some("2001:db8::7"));
        finds(&binary(0x21, 0x30 | transport, &[b'/'; 216]), None);
    }
    let padding = [4, 0, 3, 1, 2, 3];
    finds(&binary(0x21, 0x11, &[INET, &padding].concat()), Some("192.0.2.1"));
    finds(&binary(0x21, 0x21, &[&inet6()[..], &padding].concat()), Some("2001:db8::7"));
    let longest = [INET, &[0xff; HEAD_MAX - FIXED - 12]].concat();
    finds(&binary(0x21, 0x11, &longest), Some("192.0.2.1"));
}

#[test]
fn the_addresses_of_a_local_or_unspecified_connection_are_skipped() {
    for family in [0x00, 0x11, 0x21, 0x31, 0x44, 0xff] {
        finds(&binary(0x20, family, &[]), None);
        finds(&binary(0x20, family, INET), None);
    }
    for family in [0x00, 0x01, 0x02, 0x10, 0x20, 0x30] {
        finds(&binary(0x21, family, &[]), None);
        finds(&binary(0x21, family, INET), None);
    }
}

#[test]
fn a_head_of_version_2_that_is_none_is_refused() {
    for version in (0..=0xf).filter(|&version| version != 2) {
        refuses(binary(version << 4 | 1, 0x11, INET), Malformed::Version);
    }
    for command in 2..=0xf {
        refuses(binary(0x20 | command, 0x11, INET), Malformed::Command);
    }
    for family in 0..=u8::MAX {
        let is_known = family >> 4 <= 3 && family & 0xf <= 2;
        let found = find(&binary(0x21, family, &[0; 216]));
        assert_eq!(found == Found::Malformed(Malformed::Family), !is_known, "{family:#x}: {found:?}");
    }
    for (family, length) in [(0x11, 12), (0x12, 12), (0x21, 36), (0x22, 36), (0x31, 216), (0x32, 216)] {
        finds(&binary(0x21, family, &vec![b':'; length]), find_source(family));
        for short in [0, 1, length - 1] {
            refuses(binary(0x21, family, &vec![b':'; short]), Malformed::TooShort);
        }
    }
    for command in [0x20, 0x21] {
        refuses(binary(command, 0x11, &[0; HEAD_MAX - FIXED + 1]), Malformed::TooLong);
        refuses(binary(command, 0x11, &vec![0; 65_535]), Malformed::TooLong);
    }
}

/// What addresses of colons are.
fn find_source(family: u8) -> Option<&'static str> {
    [None, Some("58.58.58.58"), Some("3a3a:3a3a:3a3a:3a3a:3a3a:3a3a:3a3a:3a3a"), None][usize::from(family >> 4)]
}

#[test]
fn what_is_no_head_is_known_as_soon_as_it_can_be() {
    for (bytes, known_at) in [
        (REQUEST, 1),
        (b"POST /a HTTP/1.1", 2),
        (b"PROPFIND / HTTP/1.1", 4),
        (b"PROXYING / HTTP/1.1", 6),
        (b"proxy TCP4", 1),
        (b"\r\nGET / HTTP/1.1", 3),
        (b"\r\n\r\n\r\n", 5),
        (b"\r\n\r\n\0\r\nQUIT\r", 12),
        (b"\x16\x03\x01", 1),
        (b" PROXY TCP4", 1),
    ] {
        for cut in 0..=bytes.len() {
            let expected = if cut < known_at { Found::Incomplete } else { Found::Absent };
            assert_eq!(find(&bytes[..cut]), expected, "{:?} cut at {cut}", String::from_utf8_lossy(bytes));
        }
    }
}

#[test]
fn every_reason_is_a_line_without_a_full_stop() {
    use Malformed::{Address, Command, Family, LineEnd, Port, Protocol, TooLong, TooShort, Version};
    for reason in [LineEnd, Protocol, Address, Port, Version, Command, Family, TooShort, TooLong] {
        let text = reason.to_string();
        assert!(text.contains("PROXY") && !text.ends_with('.'), "{text}");
    }
}
