//! The one spelling of a name.
//!
//! Owns percent-encoding: which spellings are of one name (RFC 3986 section 6.2.2), and how an encoded byte is read. Browsers,
//! `curl` and proxies spell a name in several ways, and all of them are of one event.
//!
//! In a canonical name, the digits of `%C3` are capital, no unreserved character is encoded, and each byte outside visible ASCII
//! is. Nothing else is decoded, so a name has as many segments after as before. A `%` without two digits stays as it is, and a
//! digit that would complete it stays encoded: `%%341` is not `%41`.
//!
//! Invariant: a canonical name is its own canonical spelling.

use std::borrow::Cow;

/// The canonical spelling of a name, of a path or of a query. One that is canonical is borrowed.
#[must_use]
pub fn canonical(name: &str) -> Cow<'_, str> {
    if is_canonical(name) { Cow::Borrowed(name) } else { Cow::Owned(canonical_of(name.as_bytes())) }
}

/// The canonical spelling of a name in any bytes.
#[must_use]
pub fn canonical_of(name: &[u8]) -> String {
    let (mut out, mut rest) = (String::with_capacity(name.len()), name);
    while let [first, after @ ..] = rest {
        let encoded = encoded_byte(rest);
        let byte = encoded.unwrap_or(*first);
        if encoded.is_some_and(|byte| !is_decoded(byte, out.as_bytes())) || !byte.is_ascii_graphic() {
            out.push('%');
            for digit in [byte >> 4, byte & 0xf] {
                out.push(char::from(b"0123456789ABCDEF".get(usize::from(digit)).copied().unwrap_or_default()));
            }
        } else {
            out.push(char::from(byte));
        }
        rest = if encoded.is_some() { rest.get(3..).unwrap_or_default() } else { after };
    }
    out
}

/// Whether a name is its own canonical spelling.
#[must_use]
pub fn is_canonical(name: &str) -> bool {
    let name = name.as_bytes();
    let is_kept = |place| {
        let (before, rest) = name.split_at_checked(place).unwrap_or_default();
        let has_small_digit = || rest.iter().skip(1).take(2).any(u8::is_ascii_lowercase);
        encoded_byte(rest).is_none_or(|byte| !has_small_digit() && !is_decoded(byte, before))
    };
    let is_plain = |(place, &byte): (usize, &u8)| byte.is_ascii_graphic() && (byte != b'%' || is_kept(place));
    name.iter().enumerate().all(is_plain)
}

/// The byte that is encoded where `rest` begins (RFC 3986 section 2.1), if one is.
#[must_use]
pub fn encoded_byte(rest: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = rest else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    digit(*high).zip(digit(*low)).map(|(high, low)| high << 4 | low)
}

/// Whether an encoded byte is decoded behind what is `before` it: if it is unreserved (RFC 3986 section 2.3), and does not
/// complete a `%` that encodes nothing.
fn is_decoded(byte: u8, before: &[u8]) -> bool {
    let is_unreserved = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let is_completing = byte.is_ascii_hexdigit()
        && match before {
            [.., b'%'] => true,
            [.., b'%', digit] => digit.is_ascii_hexdigit(),
            _ => false,
        };
    is_unreserved && !is_completing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, expected: &str) {
        assert_eq!(canonical(name), expected, "{name}");
        assert_eq!(is_canonical(name), name == expected, "{name}");
        assert!(is_canonical(expected) && canonical_of(expected.as_bytes()) == expected, "{name}");
    }

    #[test]
    fn all_spellings_of_a_name_are_one() {
        check("", "");
        check("my-event_1.~", "my-event_1.~");
        check("caf%C3%A9", "caf%C3%A9");
        check("caf%c3%a9", "caf%C3%A9");
        check("caf%C3%a9", "caf%C3%A9");
        check("caf\u{e9}", "caf%C3%A9");
        check("%63a%66%c3%A9", "caf%C3%A9");
        check("%41%5a%61%7A%30%39%2D%2e%5F%7e", "AZaz09-._~");
        check("%2e%2E", "..");
        check("a b\t\u{7f}", "a%20b%09%7F");
        assert_eq!(canonical_of(b"caf\xe9"), "caf%E9");
    }

    #[test]
    fn nothing_else_is_decoded() {
        check("%2f%2F%3f%23%25%2a%2c%26%3d%00%7f%80%ff", "%2F%2F%3F%23%25%2A%2C%26%3D%00%7F%80%FF");
        check("%2541", "%2541");
        check("a/b?c=%41&d", "a/b?c=A&d");
        check("+!$&'()*,;=:@\"<>\\^`{|}", "+!$&'()*,;=:@\"<>\\^`{|}");
    }

    #[test]
    fn a_stray_percent_sign_stays_and_is_never_completed() {
        for stray in ["%", "50%", "%z", "%4", "%4z", "%%", "%zz", "%\u{25}"] {
            check(stray, stray);
        }
        check("%%41", "%%41");
        check("%%341", "%%341");
        check("%4%31", "%4%31");
        check("%%34%31", "%%341");
        check("%%7a", "%z");
        check("%z%41", "%zA");
        check("%4%7A%31", "%4z1");
        check("%\u{e9}%41", "%%C3%A9A");
    }

    #[test]
    fn the_canonical_spelling_of_any_bytes_is_its_own() {
        let alphabet = b"%%%%%0123456789abcdefABCDEFgz./ \xe9";
        let mut state = 20_110_401_u64;
        for _ in 0..200_000 {
            let mut name = [0; 12];
            for byte in &mut name {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                *byte = alphabet[(state >> 33) as usize % alphabet.len()];
            }
            let once = canonical_of(&name);
            assert!(is_canonical(&once) && canonical_of(once.as_bytes()) == once, "{name:?}");
            // It stands for the same bytes.
            assert_eq!(decoded(once.as_bytes()), decoded(&name), "{once}");
            if let Ok(name) = str::from_utf8(&name) {
                assert_eq!(is_canonical(name), name == once, "{name}");
            }
        }
    }

    fn decoded(mut rest: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        while let [first, after @ ..] = rest {
            let encoded = encoded_byte(rest);
            bytes.push(encoded.unwrap_or(*first));
            rest = if encoded.is_some() { &rest[3..] } else { after };
        }
        bytes
    }
}
