//! What a NATS server says of itself: the JSON object of its `INFO`.
//!
//! Owns which members count, and how they are found. The members of the top level are looked at and all others are passed
//! over, so no server's object is too deep. It judges no more of the JSON than that takes.

/// What an `INFO` says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Info {
    /// The longest payload that the server takes, in bytes.
    pub(super) max_payload: Option<u64>,
    /// Whether a client must speak TLS.
    pub(super) needs_tls: bool,
    /// Whether the server is about to shut down: "lame duck mode".
    pub(super) is_leaving: bool,
}

impl Info {
    /// Reads an object; `None` for what is none.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let mut rest = text.trim_ascii().strip_prefix(b"{")?.strip_suffix(b"}")?;
        let mut info = Self::default();
        while !rest.trim_ascii().is_empty() {
            let (member, after) = rest.split_at_checked(member_end(rest)?)?;
            rest = after.get(1..).unwrap_or_default();
            let (name, value) = name_and_value(member)?;
            match name {
                b"max_payload" => info.max_payload = Some(str::from_utf8(value).ok()?.parse().ok()?),
                b"tls_required" => info.needs_tls = value == b"true",
                b"ldm" => info.is_leaving = value == b"true",
                _ => {}
            }
        }
        Some(info)
    }
}

/// Where a member ends: at a comma outside of strings and brackets, or with the bytes. `None` when something is left open.
fn member_end(bytes: &[u8]) -> Option<usize> {
    let (mut depth, mut in_string, mut is_escaped) = (0_u32, false, false);
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.checked_sub(1)?,
            b',' if depth == 0 => return Some(at),
            _ => {}
        }
    }
    (depth == 0 && !in_string).then_some(bytes.len())
}

/// `"name": value`
fn name_and_value(member: &[u8]) -> Option<(&[u8], &[u8])> {
    let member = member.trim_ascii().strip_prefix(b"\"")?;
    let end = member.iter().position(|&byte| byte == b'"')?;
    let (name, rest) = member.split_at_checked(end)?;
    let value = rest.strip_prefix(b"\"")?.trim_ascii_start().strip_prefix(b":")?;
    Some((name, value.trim_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_is_found_among_all_else() {
        let text = br#" {"server_id":"NC7G","x":{"ldm":true,"a":[1,{"b":"}"}]},"name":"a, \"b\": }","headers":true,
            "max_payload" : 1048576,"connect_urls":["127.0.0.1:4222","[::1]:4222"],"tls_required":true} "#;
        let expected = Info { max_payload: Some(1_048_576), needs_tls: true, is_leaving: false };
        assert_eq!(Info::parse(text), Some(expected));
        assert_eq!(Info::parse(b"{}"), Some(Info::default()));
        assert!(Info::parse(b"{\"ldm\":true}").unwrap().is_leaving);
    }

    #[test]
    fn what_is_no_object_is_none() {
        let broken: [&[u8]; 11] = [
            b"",
            b"[]",
            b"{",
            b"{\"a\"}",
            b"{a:1}",
            b"{\"a\":[}",
            b"{\"a\":\"}",
            b"{\"a\":1]}",
            b"{\"a\":\"\\\"}",
            b"{\"max_payload\":-1}",
            b"{\"max_payload\":\"1\"}",
        ];
        for text in broken {
            assert_eq!(Info::parse(text), None, "{}", String::from_utf8_lossy(text));
        }
        let deep = [b"{\"a\":".as_slice(), &b"[".repeat(60_000), &b"]".repeat(60_000), b"}"].concat();
        assert_eq!(Info::parse(&deep), Some(Info::default()));
    }
}
