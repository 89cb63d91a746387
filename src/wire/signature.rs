//! The signature of an address: a site says by it until when an event may be joined, and with which uuid.
//!
//! Owns its form, and what is signed. In an address
//!
//! ```text
//! /<namespace>[/<uuid>]?expires=<unix s>&signature=<64 hexadecimal digits>
//! ```
//!
//! the signature is HMAC-SHA-256 (RFC 2104) of `<namespace>\n<uuid>\n<expires>`. Names are in their one spelling
//! ([`name`]); without a second segment, the line of the uuid is empty. No name has a line end, so no two
//! addresses have the same lines.
//!
//! Either parameter is there once. Others may stand beside them, and nothing may stand behind a signature but `&`.
//!
//! Invariant: the time that a check takes says nothing about the right signature.

use super::name;
use super::query;
use super::report::Keys;
use super::seal::CODE_BYTES;

/// The latest moment that an address may have, in Unix seconds: 2^53, up to which numbers of JavaScript and JSON are exact.
const EXPIRES_MAX: u64 = 1 << 53;

/// Why a signature is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureError {
    /// The address has none, or no moment at which it expires.
    Missing,
    /// It has a parameter twice.
    Twice,
    /// `expires` is no moment.
    Expires,
    /// `signature` is not the digits of a code.
    Form,
    /// It is of another address, or made with another key.
    Forged,
    /// It was right.
    Expired,
}

impl SignatureError {
    /// What a program may compare.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Missing => "unsigned",
            Self::Twice | Self::Expires | Self::Form => "malformed",
            Self::Forged => "forged",
            Self::Expired => "expired",
        }
    }

    /// A line for a person.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Missing => "this address is not signed; your site adds ?expires=<unix s>&signature=<hex>",
            Self::Twice => "expires and signature may be in an address once",
            Self::Expires => "expires is not a time; give Unix seconds from 0 to 9007199254740992",
            Self::Form => "a signature is 64 hexadecimal digits",
            Self::Forged => {
                "the signature is not of this address; it is of another event, UUID or time, or of another key"
            }
            Self::Expired => "the signature of this address has expired",
        }
    }
}

/// Judges the signature in the query of an address, whose names are in their one spelling, at this moment in Unix seconds.
///
/// # Errors
/// Why it is refused. An address that is [`Expired`](SignatureError::Expired) was right before.
pub fn check(
    query: Option<&str>,
    namespace: &str,
    uuid: Option<&str>,
    keys: &Keys,
    unix_s: u64,
) -> Result<(), SignatureError> {
    let until = expiry(query, namespace, uuid, keys)?;
    if until <= unix_s { Err(SignatureError::Expired) } else { Ok(()) }
}

/// The moment in Unix seconds at which the signature in the query of an address expires, or has.
///
/// # Errors
/// Why it is refused, whatever the time is.
pub fn expiry(query: Option<&str>, namespace: &str, uuid: Option<&str>, keys: &Keys) -> Result<u64, SignatureError> {
    let query = name::canonical(query.unwrap_or_default());
    let expires = only_value(&query, "expires")?;
    let signature = only_value(&query, "signature")?;
    let until = parse_expires(expires).ok_or(SignatureError::Expires)?;
    let code = parse_code(signature).ok_or(SignatureError::Form)?;
    let signed = [namespace, uuid.unwrap_or_default(), expires].join("\n");
    if keys.accept_code(signed.as_bytes(), &code) { Ok(until) } else { Err(SignatureError::Forged) }
}

/// The value of a parameter that is there once.
fn only_value<'a>(query: &'a str, name: &str) -> Result<&'a str, SignatureError> {
    let mut values = query::values(query, name);
    match (values.next(), values.next()) {
        (Some(value), None) => Ok(value),
        (None, _) => Err(SignatureError::Missing),
        (Some(_), Some(_)) => Err(SignatureError::Twice),
    }
}

/// Digits alone, without a sign, that are no more than [`EXPIRES_MAX`].
fn parse_expires(text: &str) -> Option<u64> {
    let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|&expires| is_digits && expires <= EXPIRES_MAX)
}

/// The bytes of hexadecimal digits, capital or small.
fn parse_code(text: &str) -> Option<[u8; CODE_BYTES]> {
    let mut code = [0; CODE_BYTES];
    if text.len() != 2 * CODE_BYTES {
        return None;
    }
    for (byte, digits) in code.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digit = |place: usize| char::from(*digits.get(place)?).to_digit(16);
        *byte = u8::try_from(digit(0)? << 4 | digit(1)?).ok()?;
    }
    Some(code)
}

#[cfg(all(test, feature = "keyed"))]
mod tests {
    use super::*;
    use crate::wire::seal::code_of;
    const KEY: &[u8] = b"the key of this site";
    const OLD_KEY: &[u8] = b"the key that it had before";
    const NOW: u64 = 1_300_000_000;

    fn keys() -> Keys {
        Keys::new(vec![KEY.to_vec(), OLD_KEY.to_vec()])
    }

    fn sign(lines: &str, key: &[u8]) -> String {
        let digit = |digit: u8| char::from_digit(digit.into(), 16).unwrap_or_default();
        let code = code_of(lines.as_bytes(), key);
        code.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).collect()
    }

    fn judge(query: &str, namespace: &str, uuid: Option<&str>) -> Result<(), SignatureError> {
        check(Some(query), namespace, uuid, &keys(), NOW)
    }

    fn query(namespace: &str, uuid: &str, expires: &str, key: &[u8]) -> String {
        format!("expires={expires}&signature={}", sign(&format!("{namespace}\n{uuid}\n{expires}"), key))
    }

    #[test]
    fn an_address_is_good_until_it_expires() {
        let with = |expires: &str| judge(&query("ns", "", expires, KEY), "ns", None);
        for expires in ["1300000001", "01300000001", "9007199254740992"] {
            assert_eq!(with(expires), Ok(()), "{expires}");
        }
        for expires in ["1300000000", "1299999999", "0"] {
            assert_eq!(with(expires), Err(SignatureError::Expired), "{expires}");
            let until = expiry(Some(&query("ns", "", expires, KEY)), "ns", None, &keys());
            assert_eq!(until.map(|until| until.to_string()).as_deref(), Ok(expires));
        }
        for expires in
            ["9007199254740993", "18446744073709551616", "-1", "+1300000001", "1e9", "1300000001.0", "", " 1", "0x10"]
        {
            assert_eq!(with(expires), Err(SignatureError::Expires), "{expires}");
        }
    }

    #[test]
    fn each_key_is_good_and_each_name_is_signed() {
        for key in [KEY, OLD_KEY] {
            let of_both = query("caf%C3%A9", "u", "1400000000", key);
            assert_eq!(judge(&of_both, "caf%C3%A9", Some("u")), Ok(()));
            for (namespace, uuid) in [("caf%C3%A9", None), ("caf%C3%A9", Some("v")), ("cafe", Some("u"))] {
                assert_eq!(judge(&of_both, namespace, uuid), Err(SignatureError::Forged));
            }
            let of_any = query("ns", "", "1400000000", key);
            assert_eq!(judge(&of_any, "ns", None), Ok(()));
            assert_eq!(judge(&of_any, "ns", Some("u")), Err(SignatureError::Forged));
            let later = of_any.replace("1400000000", "1500000000");
            assert_eq!(judge(&later, "ns", None), Err(SignatureError::Forged));
        }
        let foreign = query("ns", "", "1400000000", b"the key of another site");
        assert_eq!(judge(&foreign, "ns", None), Err(SignatureError::Forged));
        let expired = query("ns", "", "1", b"the key of another site");
        assert_eq!(judge(&expired, "ns", None), Err(SignatureError::Forged), "not that it has expired");
    }

    #[test]
    fn any_spelling_of_the_query_is_read_and_nothing_else() {
        let good = query("ns", "", "1400000000", KEY);
        let (expires, signature) = good.split_once('&').unwrap();
        let digits = signature.split_once('=').unwrap().1;
        for same in [
            format!("{signature}&{expires}"),
            format!("v=1&{expires}&x&{signature}&y=z"),
            format!("{expires}&signature={}", digits.to_ascii_uppercase()),
            good.replace("1400000000", "%31400000000"),
        ] {
            assert_eq!(judge(&same, "ns", None), Ok(()), "{same}");
        }
        for (other, error) in [
            (String::new(), SignatureError::Missing),
            (expires.to_owned(), SignatureError::Missing),
            (signature.to_owned(), SignatureError::Missing),
            (good.replace("signature", "Signature"), SignatureError::Missing),
            (format!("{}{good}", "&".repeat(64)), SignatureError::Missing),
            (format!("{good}&{signature}"), SignatureError::Twice),
            (format!("{expires}&{good}"), SignatureError::Twice),
            (format!("{good}0"), SignatureError::Form),
            (format!("{good}%00"), SignatureError::Form),
            (format!("{good};x"), SignatureError::Form),
            (good[..good.len() - 1].to_owned(), SignatureError::Form),
            (format!("{expires}&signature={}", "g".repeat(64)), SignatureError::Form),
            (format!("{expires}&signature"), SignatureError::Form),
            (format!("{expires}&signature={}", "0".repeat(64)), SignatureError::Forged),
        ] {
            assert_eq!(judge(&other, "ns", None), Err(error), "{other}");
        }
        assert_eq!(check(None, "ns", None, &keys(), NOW), Err(SignatureError::Missing));
    }
}
