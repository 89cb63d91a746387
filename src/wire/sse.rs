//! Event-stream frames (HTML standard, section 9.2 "Server-sent events").
//!
//! Owns the bytes of each block that a member is ever sent. A page's old client takes every `data:` line for a count or a
//! message, so nothing else carries one.
//!
//! Invariant: a frame is whole blocks, each ended by an empty line.

use std::rc::Rc;

/// Blocks that many connections send: built once, and shared by all of them.
pub type Frame = Rc<[u8]>;

/// The id that the farewell leaves with the page; a browser that comes back by itself sends it as `Last-Event-ID`.
pub const FAREWELL_ID: &str = "farewell";

/// The block that ends the stream of a uuid for good.
///
/// A 2011 client stops at the negative retry. A browser's `EventSource` ignores that (only digits count) and will come
/// back, with the id.
pub const FAREWELL: &[u8] = b"id: farewell\nretry: -1\n\n";

/// What old versions of Internet Explorer need to see before they show the first event: with the head, over 2 KiB.
pub const MSIE_PADDING: [u8; 2047] = [b'\n'; 2047];

/// `data: <total>\n\n`
#[must_use]
pub fn count(total: u64) -> Frame {
    let mut block = Vec::with_capacity(28);
    push_count(&mut block, total);
    block.into()
}

/// Appends `data: <total>\n\n`.
pub fn push_count(out: &mut Vec<u8>, total: u64) {
    push_number_block(out, b"data: ", total);
}

/// Appends `retry: <ms>\n\n`.
pub fn push_retry(out: &mut Vec<u8>, ms: u64) {
    push_number_block(out, b"retry: ", ms);
}

/// `data: <text>\n\n`, the text being `<service>=<what it says>`.
///
/// It comes from a request target or a datagram, which have visible ASCII only: no line break can get in.
#[must_use]
pub fn message(text: &str) -> Frame {
    debug_assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
    [b"data: ", text.as_bytes(), b"\n\n"].concat().into()
}

fn push_number_block(out: &mut Vec<u8>, field: &[u8], number: u64) {
    out.extend_from_slice(field);
    push_decimal(out, number);
    out.extend_from_slice(b"\n\n");
}

/// Appends a number in decimal digits, as `write!` would at three times the cost: every join and every push has one.
pub(crate) fn push_decimal(out: &mut Vec<u8>, mut number: u64) {
    let start = out.len();
    loop {
        out.push(b'0' + (number % 10) as u8);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    if let Some(digits) = out.get_mut(start..) {
        digits.reverse();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_exact() {
        assert_eq!(&*count(1), b"data: 1\n\n");
        assert_eq!(&*count(u64::MAX), b"data: 18446744073709551615\n\n");
        assert_eq!(&*message("chat=a%20b"), b"data: chat=a%20b\n\n");
        assert_eq!(&*message("s="), b"data: s=\n\n");
        let mut out = Vec::new();
        push_retry(&mut out, 2_345);
        push_count(&mut out, 7);
        assert_eq!(out, b"retry: 2345\n\ndata: 7\n\n");
    }

    #[test]
    fn the_farewell_leaves_the_id_that_is_looked_for() {
        let text = std::str::from_utf8(FAREWELL).unwrap();
        assert_eq!(text, format!("id: {FAREWELL_ID}\nretry: -1\n\n"));
    }
}
