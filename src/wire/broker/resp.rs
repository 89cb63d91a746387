//! The frames of RESP3, and of RESP2, which it includes.
//!
//! Owns how a frame is delimited: every type of the specification, nested ones and those of a length that shows only at their
//! end. Of a frame its first leaves are kept, one after the other, whatever they were nested in: no more is asked of any frame
//! here. All others are skipped by their sizes. It knows no command.
//!
//! Invariant: of a frame at most [`LEAVES_MAX`] leaves of [`LEAF_MAX`] bytes are kept, and a line.

use super::pieces::{Pieces, skip};
use crate::wire::report::DATAGRAM_MAX;
use crate::wire::sse::push_decimal;

/// The leaves of a frame that are kept: the answer to `HELLO` has 14, and those of a later version follow.
pub(super) const LEAVES_MAX: usize = 24;

/// The bytes of a leaf that are kept whole.
pub(super) const LEAF_MAX: usize = DATAGRAM_MAX;

const STRING_KEPT_MAX: u64 = LEAF_MAX as u64;

/// The longest line in bytes: a number, a simple string, or an error, which may quote a command.
const LINE_MAX: usize = 4 * 1024;

/// How deep frames may lie in each other; those of a session do three deep.
const DEPTH_MAX: usize = 8;

/// The most leaves and lists in a frame.
const ELEMENTS_MAX: u64 = 64 * 1024;

/// The longest string in bytes: the server's own limit.
const STRING_MAX: u64 = 512 * 1024 * 1024;

/// Why bytes are no frame.
type Malformed = &'static str;

/// A frame, as far as it is kept.
#[derive(Debug, Default)]
pub(super) struct Frame {
    /// The byte that its type has.
    kind: u8,
    bytes: Vec<u8>,
    /// Where each leaf ends, and whether it was kept whole.
    ends: Vec<(usize, bool)>,
}

impl Frame {
    pub(super) fn kind(&self) -> u8 {
        self.kind
    }

    /// The leaves that are kept; `None` for one that was too long.
    pub(super) fn leaves(&self) -> impl Iterator<Item = Option<&[u8]>> {
        let mut start = 0;
        self.ends.iter().map(move |&(end, is_whole)| {
            let leaf = self.bytes.get(core::mem::replace(&mut start, end)..end);
            leaf.filter(|_| is_whole)
        })
    }

    fn keep(&mut self, leaf: Option<&[u8]>) {
        if self.ends.len() < LEAVES_MAX {
            let short = leaf.filter(|leaf| leaf.len() <= LEAF_MAX);
            self.bytes.extend_from_slice(short.unwrap_or_default());
            self.ends.push((self.bytes.len(), short.is_some()));
        }
    }
}

/// What the next bytes are.
#[derive(Clone, Copy, Debug, Default)]
enum Next {
    /// A line that begins a frame, or one within it.
    #[default]
    Head,
    /// A string of this many bytes, with the end of its line.
    String(usize),
    /// The rest of a string, or of a chunk of one, that is not kept.
    Skipped { left: u64, in_chunk: bool },
    /// A line that begins a chunk of a string, or ends the string.
    Chunk,
}

/// A frame that others lie in.
#[derive(Clone, Copy, Debug)]
struct Open {
    /// How many of them there are still; `None` where a line of its own ends it.
    left: Option<u64>,
    /// Whether it says something about the frame that follows, and is none itself.
    is_attribute: bool,
}

/// Reads frames.
#[derive(Debug, Default)]
pub(super) struct Frames {
    pieces: Pieces,
    next: Next,
    open: Vec<Open>,
    frame: Frame,
    elements: u64,
}

impl Frames {
    /// Takes bytes up to the end of a frame; `None` when they end before.
    pub(super) fn next(&mut self, bytes: &mut &[u8]) -> Result<Option<&Frame>, Malformed> {
        if self.open.is_empty() && self.elements == 0 {
            self.frame.bytes.clear();
            self.frame.ends.clear();
        }
        loop {
            let Some(is_element) = self.step(bytes)? else { return Ok(None) };
            if is_element && self.close() {
                self.elements = 0;
                return Ok(Some(&self.frame));
            }
        }
    }

    /// Takes a line or a string; `None` when it has not come whole, else whether an element ended with it.
    fn step(&mut self, bytes: &mut &[u8]) -> Result<Option<bool>, Malformed> {
        match &mut self.next {
            Next::Head | Next::Chunk => self.step_line(bytes),
            Next::String(length) => {
                let Some(string) = self.pieces.exactly(bytes, *length) else { return Ok(None) };
                let string = string.strip_suffix(b"\r\n").ok_or("a string is longer than its line says")?;
                if !is_attribute(&self.open) {
                    self.frame.keep(Some(string));
                }
                self.next = Next::Head;
                Ok(Some(true))
            }
            Next::Skipped { left, in_chunk } => {
                if !skip(bytes, left) {
                    return Ok(None);
                }
                let is_element = !*in_chunk;
                self.next = if is_element { Next::Head } else { Next::Chunk };
                Ok(Some(is_element))
            }
        }
    }

    fn step_line(&mut self, bytes: &mut &[u8]) -> Result<Option<bool>, Malformed> {
        let mut pieces = core::mem::take(&mut self.pieces);
        let line = pieces.line(bytes, LINE_MAX).map_err(|_| "a line is too long")?;
        let result = line.map(|line| {
            let line = line.strip_suffix(b"\r\n").ok_or("a line ends without CR")?;
            let (&kind, text) = line.split_first().ok_or("a line has no type")?;
            match self.next {
                Next::Chunk => self.read_chunk(kind, text),
                _ => self.read_head(kind, text),
            }
        });
        self.pieces = pieces;
        result.transpose()
    }

    /// Reads the line that begins a frame; whether the frame ends with it.
    fn read_head(&mut self, kind: u8, text: &[u8]) -> Result<bool, Malformed> {
        if self.open.is_empty() && kind != b'|' {
            self.frame.kind = kind;
        }
        self.elements += 1;
        if self.elements > ELEMENTS_MAX {
            return Err("a frame has too many elements");
        }
        match kind {
            b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(' => {
                if !is_attribute(&self.open) {
                    self.frame.keep(Some(text));
                }
                Ok(true)
            }
            b'$' | b'!' | b'=' => self.begin_string(text),
            b'*' | b'~' | b'>' => self.begin_frames(text, 1, false),
            b'%' => self.begin_frames(text, 2, false),
            b'|' => self.begin_frames(text, 2, true),
            b'.' if text.is_empty() => match self.open.pop() {
                Some(Open { left: None, is_attribute }) => Ok(!is_attribute),
                _ => Err("an end without its beginning"),
            },
            _ => Err("an unknown type"),
        }
    }

    fn begin_string(&mut self, text: &[u8]) -> Result<bool, Malformed> {
        let length = length(text, STRING_MAX)?;
        if let Length::Of(count @ 0..=STRING_KEPT_MAX) = length {
            // It is small, as was just seen.
            self.next = Next::String(usize::try_from(count).unwrap_or_default() + 2);
            return Ok(false);
        }
        if !is_attribute(&self.open) {
            self.frame.keep(None);
        }
        self.next = match length {
            Length::Null => return Ok(true),
            Length::Streamed => Next::Chunk,
            Length::Of(count) => Next::Skipped { left: count + 2, in_chunk: false },
        };
        Ok(false)
    }

    /// Begins a frame of frames; the text says how many there are, times `each`.
    fn begin_frames(&mut self, text: &[u8], each: u64, is_attribute: bool) -> Result<bool, Malformed> {
        let left = match length(text, ELEMENTS_MAX)? {
            Length::Null | Length::Of(0) => return Ok(!is_attribute),
            Length::Streamed => None,
            Length::Of(count) => Some(count * each),
        };
        if self.open.len() == DEPTH_MAX {
            return Err("frames lie too deep in each other");
        }
        self.open.push(Open { left, is_attribute });
        Ok(false)
    }

    /// `;4`, before four bytes of a string, or `;0` at its end.
    fn read_chunk(&mut self, kind: u8, text: &[u8]) -> Result<bool, Malformed> {
        match (kind, length(text, STRING_MAX)?) {
            (b';', Length::Of(0)) => {
                self.next = Next::Head;
                Ok(true)
            }
            (b';', Length::Of(count)) => {
                self.next = Next::Skipped { left: count + 2, in_chunk: true };
                Ok(false)
            }
            _ => Err("a string goes on without a length"),
        }
    }

    /// Closes an element, and all that end with it; whether the frame is one of them.
    fn close(&mut self) -> bool {
        while let Some(open) = self.open.last_mut() {
            let Some(left) = &mut open.left else { return false };
            *left -= 1;
            if *left > 0 {
                return false;
            }
            let is_attribute = open.is_attribute;
            self.open.pop();
            if is_attribute {
                return false;
            }
        }
        true
    }
}

/// Whether what is being read is said of another frame.
fn is_attribute(open: &[Open]) -> bool {
    open.iter().any(|open| open.is_attribute)
}

/// What a line says of the length of what follows.
enum Length {
    /// There is nothing: the null of RESP2.
    Null,
    /// The end shows the length.
    Streamed,
    Of(u64),
}

fn length(text: &[u8], most: u64) -> Result<Length, Malformed> {
    match text {
        b"-1" => return Ok(Length::Null),
        b"?" => return Ok(Length::Streamed),
        _ if !text.iter().all(u8::is_ascii_digit) => return Err("a length is no number"),
        _ => {}
    }
    let length = str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or("a length is no number")?;
    if length > most { Err("a length is too large") } else { Ok(Length::Of(length)) }
}

/// Appends a command: a frame of strings.
pub(super) fn push_command(out: &mut Vec<u8>, words: &[&[u8]]) {
    push_length(out, b'*', words.len());
    for word in words {
        push_length(out, b'$', word.len());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

fn push_length(out: &mut Vec<u8>, kind: u8, length: usize) {
    out.push(kind);
    push_decimal(out, length as u64);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests;
