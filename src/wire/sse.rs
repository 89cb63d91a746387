//! Event-stream frames (HTML standard, section 9.2 "Server-sent events").
//!
//! Owns the bytes of each block that a member is ever sent. A page's old client takes every `data:` line for a count or a
//! message, so nothing else carries one.
//!
//! Invariant: a frame is whole blocks, each ended by an empty line.

use std::rc::Rc;

use super::transfer::{CHUNK_END, Coding};

/// A block that many connections send: built once, and shared by all of them. It is a chunk, in which lies the block as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    chunk: Rc<[u8]>,
    /// The length of the block.
    block: u32,
}

impl Frame {
    fn new(write: impl FnOnce(&mut Vec<u8>)) -> Self {
        let (mut chunk, mut block) = (Vec::with_capacity(32), 0);
        Coding::Chunked.push(&mut chunk, |out| {
            write(out);
            block = out.len();
        });
        Self { chunk: chunk.into(), block: u32::try_from(block).unwrap_or(u32::MAX) }
    }

    /// Its bytes in a body of this coding.
    #[must_use]
    pub fn bytes(&self, coding: Coding) -> &[u8] {
        let block = self.chunk.len() - CHUNK_END.len() - self.block as usize..self.chunk.len() - CHUNK_END.len();
        match coding {
            Coding::Identity => self.chunk.get(block).unwrap_or_default(),
            Coding::Chunked => &self.chunk,
        }
    }
}

/// The id that the farewell leaves with the page; a browser that comes back by itself sends it as `Last-Event-ID`, and a page
/// that does not know why its stream has ended asks with it.
pub const FAREWELL_ID: &str = "farewell";

/// The block that ends the stream of a uuid for good.
///
/// A 2011 client stops at the negative retry. A browser's `EventSource` ignores that (only digits count) and will come
/// back, with the id. Firefox and WebKit forget the id of a block without data. So the block has an empty line of it, in
/// which old clients see no `data:`, and a type of its own, for which pages do not listen.
pub const FAREWELL: &[u8] = b"id: farewell\nretry: -1\nevent: farewell\ndata\n\n";

/// The id of [`LEFT`].
pub const LEFT_ID: &str = "left";

/// The block that ends the stream of a page that has said that it leaves.
pub const LEFT: &[u8] = b"id: left\nretry: -1\nevent: left\ndata\n\n";

/// Pairs of decimal digits in the largest number: it has twenty.
const DECIMAL_PAIRS_MAX: usize = 10;

/// What old versions of Internet Explorer need to see before they show the first event: with the head, over 2 KiB.
pub const MSIE_PADDING: [u8; 2047] = [b'\n'; 2047];

/// `data: <total>\n\n`
#[must_use]
pub fn count(total: u64) -> Frame {
    Frame::new(|out| push_number_line(out, b"data: ", total, b"\n\n"))
}

/// Appends the first block of a member: when a browser that loses the stream comes back, the number of the stream and the
/// count, if there are any.
///
/// All are in one block, for several client libraries take a block that has no data for an event that has none.
pub fn push_first(out: &mut Vec<u8>, retry_ms: u64, stream: Option<u64>, total: Option<u64>) {
    push_retry_line(out, retry_ms);
    if let Some(stream) = stream {
        push_number_line(out, b"id: ", stream, b"\n");
    }
    match total {
        Some(total) => push_number_line(out, b"data: ", total, b"\n\n"),
        None => out.push(b'\n'),
    }
}

/// Appends `retry: <ms>\n`, the first line of a block.
pub fn push_retry_line(out: &mut Vec<u8>, ms: u64) {
    push_number_line(out, b"retry: ", ms, b"\n");
}

/// `data: <text>\n\n`, the text being `<service>=<what it says>`.
///
/// The text is one line: whatever takes texts in, a request or a datagram, has seen to that.
#[must_use]
pub fn message(text: &str) -> Frame {
    debug_assert!(is_one_line(text));
    Frame::new(|out| [b"data: ", text.as_bytes(), b"\n\n"].iter().for_each(|part| out.extend_from_slice(part)))
}

/// Whether a text is one line to every client, and has no control character. U+2028 and U+2029 end a line where a client splits
/// text as Unicode does.
#[must_use]
pub fn is_one_line(text: &str) -> bool {
    !text.contains(|char: char| char.is_control() || matches!(char, '\u{2028}' | '\u{2029}'))
}

fn push_number_line(out: &mut Vec<u8>, field: &[u8], number: u64, end: &[u8]) {
    out.extend_from_slice(field);
    push_decimal(out, number);
    out.extend_from_slice(end);
}

/// Appends a number in decimal digits, as `write!` would at three times the cost: every join and every push has one, and an
/// event in the stats has thirty, of which most are one digit.
///
/// The least program divides where a larger one multiplies, and a division yields two digits as fast as one.
pub(crate) fn push_decimal(out: &mut Vec<u8>, mut number: u64) {
    if number < 10 {
        return out.push(b'0' + (number % 10) as u8);
    }
    let (mut pairs, mut digit_count) = ([[0; 2]; DECIMAL_PAIRS_MAX], 0);
    for pair in pairs.iter_mut().rev() {
        let rest = (number % 100) as u8;
        *pair = [b'0' + rest / 10, b'0' + rest % 10];
        number /= 100;
        digit_count += 2;
        if number == 0 {
            digit_count -= usize::from(rest < 10);
            break;
        }
    }
    let digits = pairs.as_flattened();
    out.extend_from_slice(digits.get(digits.len() - digit_count..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(frame: &Frame, block: &str) {
        assert_eq!(frame.bytes(Coding::Identity), block.as_bytes());
        assert_eq!(frame.bytes(Coding::Chunked), format!("{:x}\r\n{block}\r\n", block.len()).as_bytes());
    }

    #[test]
    fn numbers_are_exact_at_each_length() {
        let tens = std::iter::successors(Some(1_u64), |ten| ten.checked_mul(10));
        for number in tens.flat_map(|ten| [ten - 1, ten, ten + 1, ten.saturating_mul(9)]).chain([u64::MAX]) {
            let mut out = b"0".to_vec();
            push_decimal(&mut out, number);
            assert_eq!(out, format!("0{number}").as_bytes());
        }
    }

    #[test]
    fn frames_are_exact() {
        check(&count(1), "data: 1\n\n");
        check(&count(u64::MAX), "data: 18446744073709551615\n\n");
        check(&message("chat=a%20b"), "data: chat=a%20b\n\n");
        check(&message("s="), "data: s=\n\n");
        check(&message(&"x".repeat(5_000)), &format!("data: {}\n\n", "x".repeat(5_000)));
    }

    #[test]
    fn the_first_count_comes_in_one_block_with_the_retry() {
        let first = |stream, total| {
            let mut out = Vec::new();
            push_first(&mut out, 2_345, stream, total);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(first(None, Some(7)), "retry: 2345\ndata: 7\n\n");
        assert_eq!(first(None, None), "retry: 2345\n\n");
        assert_eq!(first(Some(12), Some(7)), "retry: 2345\nid: 12\ndata: 7\n\n");
    }

    #[test]
    fn the_farewell_leaves_the_id_that_is_looked_for() {
        for (block, id) in [(FAREWELL, FAREWELL_ID), (LEFT, LEFT_ID)] {
            let text = std::str::from_utf8(block).unwrap();
            assert_eq!(text, format!("id: {id}\nretry: -1\nevent: {id}\ndata\n\n"));
        }
    }
}
