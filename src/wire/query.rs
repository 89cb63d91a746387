//! The parameters of a query, `name=value` with `&` in between.
//!
//! Owns how one is found, and how its percent-encoding is undone. Which are asked for, and what they mean, others know.
//!
//! Invariant: a bounded number of them is looked at, however many there are.

use super::name::encoded_byte;

/// How many parameters of a query are looked at: a head has room for 8,000 separators.
const PARAMETERS_MAX: usize = 64;

/// The values of the parameter of this name, as they were sent; without a `=` it is empty.
pub fn values<'a>(query: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    query.split('&').take(PARAMETERS_MAX).filter_map(move |parameter| {
        let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        (key == name).then_some(value)
    })
}

/// The bytes of the first value of the parameter of this name, with its percent-encoding undone (RFC 3986 section 2.1); what is
/// not rightly encoded stays as it was sent. `None` if there is none.
#[must_use]
pub fn decoded(query: Option<&str>, name: &str) -> Option<Vec<u8>> {
    let mut rest = values(query?, name).next()?.as_bytes();
    let mut bytes = Vec::with_capacity(rest.len());
    while let [first, after @ ..] = rest {
        let encoded = encoded_byte(rest);
        bytes.push(encoded.unwrap_or(*first));
        rest = if encoded.is_some() { rest.get(3..).unwrap_or_default() } else { after };
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(query: &str, expected: Option<&str>) {
        assert_eq!(decoded(Some(query), "name").as_deref(), expected.map(str::as_bytes), "{query}");
    }

    #[test]
    fn a_value_is_decoded_once() {
        check("name=a", Some("a"));
        check("x=1&name=a%23b&name=c", Some("a#b"));
        check("name=caf%25C3%25a9%2F%2e.", Some("caf%C3%a9/.."));
        check("name=%C3%A9=+", Some("\u{e9}=+"));
        check("name=50%&x", Some("50%"));
        check("name=%4%zz%%41", Some("%4%zz%A"));
        check("name", Some(""));
        assert_eq!(decoded(Some("name=%ff"), "name").as_deref(), Some(&b"\xff"[..]));
        check("names=a&Name=a", None);
        assert_eq!(decoded(None, "name"), None);
        check(&format!("{}name=a", "&".repeat(63)), Some("a"));
        check(&format!("{}name=a", "&".repeat(64)), None);
    }
}
