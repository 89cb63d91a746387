//! The origins whose pages may join.
//!
//! Owns the form of `--allow-origin`: origins as a person writes them, to origins as browsers send them (URL standard, "host
//! serializing"; HTML standard, "serialization of an origin").
//!
//! Invariant: each listed origin is one that some browser sends. What could match nothing is refused with its remedy.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The origins whose pages may join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowOrigin {
    /// Pages of any origin.
    Any,
    /// Pages of these origins, as browsers spell them.
    Listed(Vec<String>),
}

/// Schemes of which no page is, or of which all pages have the origin `null`.
const PAGELESS: [&str; 4] = ["ws", "wss", "file", "ftp"];

/// Schemes with a port of their own, which browsers leave out.
const OWN_PORTS: [(&str, u16); 2] = [("https", 443), ("http", 80)];

/// What a host has none of (URL standard, "forbidden domain code point"), beside what is refused before.
const FORBIDDEN: &[u8] = b"%<>[\\]^|";

/// A list of origins, or `*` alone.
pub(super) fn parse(text: &str) -> Result<AllowOrigin, String> {
    if text == "*" {
        return Ok(AllowOrigin::Any);
    }
    let mut origins = Vec::new();
    for entry in text.split(',').map(str::trim) {
        let origin = canonical(entry).map_err(|problem| format!("has {entry:?}, {problem}"))?;
        if !origins.contains(&origin) {
            origins.push(origin);
        }
    }
    Ok(AllowOrigin::Listed(origins))
}

/// An origin, `scheme "://" host [ ":" port ]`, as browsers send it; or what is wrong with it.
fn canonical(entry: &str) -> Result<String, &'static str> {
    if entry.contains('*') {
        return Err("which is a pattern; give each origin, or * alone for all");
    }
    let entry = entry.to_ascii_lowercase();
    let Some((scheme, authority)) = entry.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) else {
        return Err("which is no origin; give one such as https://example.com");
    };
    if PAGELESS.contains(&scheme) {
        return Err("which no page has; give the scheme of the page, such as https");
    }
    if authority.contains(['/', '?', '#']) {
        return Err("and an origin has no path; leave out all behind the host and its port");
    }
    if authority.contains('@') {
        return Err("and an origin has no user; leave out all up to the @");
    }
    let literal = authority.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (host, port) = literal.unwrap_or_else(|| authority.split_at(authority.find(':').unwrap_or(authority.len())));
    let own = OWN_PORTS.iter().find(|(own, _)| *own == scheme).map(|&(_, port)| port);
    let mut origin = format!("{scheme}://");
    match literal {
        Some(_) => push_ipv6(&mut origin, host)?,
        None => origin.push_str(checked_host(host, own.is_some())?),
    }
    if !port.is_empty() {
        let port = port.strip_prefix(':').and_then(parse_port);
        let port = port.ok_or("whose port no page has; give one from 1 to 65535, without zeros before it, or none")?;
        if own != Some(port) {
            let _ = write!(origin, ":{port}");
        }
    }
    Ok(origin)
}

/// `scheme = ALPHA *( ALPHA / DIGIT / "+" / "-" / "." )` (RFC 3986 section 3.1)
fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

fn parse_port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|_| text.starts_with(|first: char| ('1'..='9').contains(&first)))
}

/// A name or an IPv4 address. A host of a web page that ends in a number is an address, and browsers write it in four.
fn checked_host(host: &str, is_of_web: bool) -> Result<&str, &'static str> {
    if !host.is_ascii() {
        return Err("whose host browsers send in Punycode; give that, such as https://xn--mnchen-3ya.example");
    }
    if host.bytes().any(|byte| !byte.is_ascii_graphic() || FORBIDDEN.contains(&byte)) {
        return Err("which is no host of a page; give a name or an address");
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    if name.split('.').any(str::is_empty) {
        return Err("whose host has an empty part; give the whole name");
    }
    let last = name.rsplit('.').next().unwrap_or(name);
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit())
        || last.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if is_of_web && is_number && host.parse::<Ipv4Addr>().is_err() {
        return Err("whose address browsers write otherwise; give four numbers, such as 192.0.2.1");
    }
    Ok(host)
}

/// An IPv6 address in its brackets. (Rust writes the last 32 bits of some in decimal, and browsers do not.)
fn push_ipv6(origin: &mut String, host: &str) -> Result<(), &'static str> {
    let address: Ipv6Addr =
        host.parse().map_err(|_| "whose address is none of IPv6; give one such as [2001:db8::1]")?;
    let _ = match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] => write!(origin, "[::ffff:{high:x}:{low:x}]"),
        _ => write!(origin, "[{address}]"),
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(entry: &str, expected: &str) {
        assert_eq!(parse(entry), Ok(AllowOrigin::Listed(vec![expected.to_owned()])), "{entry}");
        assert_eq!(canonical(expected).as_deref(), Ok(expected), "of {entry}");
    }

    #[test]
    fn origins_are_kept_as_browsers_send_them() {
        for (entry, origin) in [
            ("https://example.com", "https://example.com"),
            ("HTTPS://Example.COM:443", "https://example.com"),
            ("http://b:80", "http://b"),
            ("http://b:443", "http://b:443"),
            ("https://b:80", "https://b:80"),
            ("http://localhost:8080", "http://localhost:8080"),
            ("https://example.com.", "https://example.com."),
            ("https://a_b-.x!$&'()+;=~", "https://a_b-.x!$&'()+;=~"),
            ("https://xn--mnchen-3ya.example:65535", "https://xn--mnchen-3ya.example:65535"),
            ("http://127.0.0.1:80", "http://127.0.0.1"),
            ("http://[2001:DB8:0:0:1::]:8080", "http://[2001:db8:0:0:1::]:8080"),
            ("http://[0:0:1:0:0:0:1:0]", "http://[0:0:1::1:0]"),
            ("https://[::ffff:1.2.3.4]:443", "https://[::ffff:102:304]"),
            ("https://[::1.2.3.4]", "https://[::102:304]"),
            ("http://[::]", "http://[::]"),
            ("capacitor://localhost", "capacitor://localhost"),
            ("moz-extension://1b9f3c:443", "moz-extension://1b9f3c:443"),
            ("chrome-extension://09", "chrome-extension://09"),
        ] {
            check(entry, origin);
        }
        assert_eq!(parse("*"), Ok(AllowOrigin::Any));
        let listed = ["https://a", "http://b:81"].map(str::to_owned).to_vec();
        assert_eq!(parse("https://A, http://b:81 ,https://a:443"), Ok(AllowOrigin::Listed(listed)));
    }

    #[test]
    fn what_can_match_nothing_is_refused_with_its_remedy() {
        for (entries, remedy) in [
            ("a null https:example.com ://a 9p://a", "give one such as https://example.com"),
            ("https://*.example.com * https://*", "give each origin, or * alone for all"),
            ("https://a/ https://a/x https://a?b https://a#c", "leave out all behind the host and its port"),
            ("https://me@a https://me:secret@a:1", "leave out all up to the @"),
            ("wss://a ws://a file://a ftp://a", "give the scheme of the page, such as https"),
            (
                "https://a: https://a:0 https://a:080 https://a:65536 https://a:+1 https://a:b https://a:1:2 https://[::1]1",
                "give one from 1 to 65535",
            ),
            ("https://m\u{fc}nchen.example https://a.\u{3002}", "Punycode"),
            ("https:// https://.a https://a..b https://. https://:1", "give the whole name"),
            ("https://a%2eb https://a\\b https://a|b https://<a> https://a[b", "give a name or an address"),
            (
                "http://1 http://127.1 http://0x7f.0.0.1 http://010.0.0.1 http://1.2.3.4.5 http://a.0x http://127.0.0.1.",
                "give four numbers",
            ),
            ("http://[::1%25eth0] http://[] http://[1.2.3.4] http://[v1.a]", "give one such as [2001:db8::1]"),
        ] {
            for entry in entries.split(' ') {
                let list = format!("https://fine.example,{entry}");
                let problem = parse(&list).unwrap_err();
                assert!(problem.starts_with(&format!("has {entry:?}, ")) && problem.contains(remedy), "{problem}");
            }
        }
    }
}
