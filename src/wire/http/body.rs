//! The body of a request (RFC 9112 sections 6.3 and 7.1), taken in as it comes.
//!
//! Owns its length, its chunks and its end. A body is read where a port asks for that, and is short there: the text of a
//! message. What a chunk has beside its bytes (extensions, trailers) is checked for line ends and forgotten.
//!
//! Invariant: the same bytes, cut into any pieces, give the same body or the same refusal.

use super::refusal::Refusal;

/// The longest body that is read, in bytes: a text as long as a request target can carry, and its line end.
pub const BODY_MAX: usize = 8 * 1024 + 2;

/// The longest encoding of it: 8,194 chunks of a byte each take 49,164 bytes, and the last chunk 5.
const ENCODED_MAX: usize = 64 * 1024;

/// How long a body is, by the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// This many bytes; 0 is no body.
    Bytes(u64),
    /// Its last chunk says so.
    Chunked,
}

/// A body that is being read.
#[derive(Debug)]
pub struct Body {
    state: State,
    bytes: Vec<u8>,
    /// How many bytes it has taken, encoded.
    taken: usize,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// This many bytes, and then the end.
    Rest(usize),
    /// A digit of the size of a chunk, or what ends it.
    Size {
        size: usize,
        has_digit: bool,
    },
    /// An extension of the chunk of this size.
    Extension(usize),
    /// The LF after the size.
    SizeLf(usize),
    /// This many bytes of a chunk.
    Chunk(usize),
    /// What ends a chunk.
    ChunkCr,
    ChunkLf,
    /// A trailer, or the empty line.
    Line,
    Trailer,
    TrailerLf,
    LastLf,
    /// Nothing: it is whole.
    Nothing,
}

impl Body {
    /// A body of this length, of which nothing has come.
    ///
    /// # Errors
    /// When it will be longer than [`BODY_MAX`].
    pub fn new(length: BodyLength) -> Result<Self, Refusal> {
        let state = match length {
            BodyLength::Chunked => State::Size { size: 0, has_digit: false },
            BodyLength::Bytes(0) => State::Nothing,
            BodyLength::Bytes(length) => {
                let length = usize::try_from(length).ok().filter(|&length| length <= BODY_MAX);
                State::Rest(length.ok_or(Refusal::BodyTooLong)?)
            }
        };
        Ok(Self { state, bytes: Vec::new(), taken: 0 })
    }

    /// What has come of it, decoded.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many bytes of memory it takes.
    pub(in crate::wire) fn held(&self) -> usize {
        size_of::<Self>() + self.bytes.capacity()
    }

    /// Takes bytes that have arrived. Returns how many of them it was, once it is whole.
    ///
    /// # Errors
    /// When it is too long, or no chunks.
    pub fn take(&mut self, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        let mut rest = bytes;
        while self.state != State::Nothing {
            let [first, ..] = rest else { return Ok(None) };
            let count = match self.state {
                State::Rest(left) | State::Chunk(left) => left.min(rest.len()),
                _ => 1,
            };
            let (content, after) = rest.split_at_checked(count).unwrap_or_default();
            let state = match self.state {
                State::Rest(left) if left == count => State::Nothing,
                State::Rest(left) => State::Rest(left - count),
                State::Chunk(left) if left == count => State::ChunkCr,
                State::Chunk(left) => State::Chunk(left - count),
                _ => self.step(*first)?,
            };
            if matches!(self.state, State::Rest(_) | State::Chunk(_)) {
                self.bytes.extend_from_slice(content);
            }
            self.state = state;
            self.taken += count;
            if self.taken > ENCODED_MAX {
                return Err(Refusal::BodyTooLong);
            }
            rest = after;
        }
        Ok(Some(bytes.len() - rest.len()))
    }

    /// What comes after this byte of the encoding:
    ///
    /// ```text
    /// chunked-body = *( chunk-size [ chunk-ext ] CRLF chunk-data CRLF ) 1*"0" [ chunk-ext ] CRLF trailer-section CRLF
    /// ```
    fn step(&self, byte: u8) -> Result<State, Refusal> {
        let is_text = byte == b'\t' || !byte.is_ascii_control();
        Ok(match (self.state, byte) {
            (State::Size { size, has_digit }, _) => match (char::from(byte).to_digit(16), byte) {
                (Some(_), _) if size > BODY_MAX => return Err(Refusal::BodyTooLong),
                (Some(digit), _) => State::Size { size: 16 * size + digit as usize, has_digit: true },
                (None, b'\r') if has_digit => State::SizeLf(size),
                (None, b';' | b' ' | b'\t') if has_digit => State::Extension(size),
                _ => return Err(Refusal::Chunk),
            },
            (State::Extension(size), b'\r') => State::SizeLf(size),
            (State::Extension(_), _) if is_text => self.state,
            (State::SizeLf(0) | State::TrailerLf, b'\n') => State::Line,
            (State::SizeLf(size), b'\n') if self.bytes.len() + size > BODY_MAX => return Err(Refusal::BodyTooLong),
            (State::SizeLf(size), b'\n') => State::Chunk(size),
            (State::ChunkCr, b'\r') => State::ChunkLf,
            (State::ChunkLf, b'\n') => State::Size { size: 0, has_digit: false },
            (State::Line, b'\r') => State::LastLf,
            (State::Trailer, b'\r') => State::TrailerLf,
            (State::Line | State::Trailer, _) if is_text => State::Trailer,
            (State::LastLf, b'\n') => State::Nothing,
            _ => return Err(Refusal::Chunk),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a body comes to that arrives in pieces of this size: itself and the number of its bytes, or `None` if it is not
    /// whole.
    fn take(length: BodyLength, bytes: &[u8], size: usize) -> Result<Option<(Vec<u8>, usize)>, Refusal> {
        let (mut body, mut before) = (Body::new(length)?, 0);
        for piece in [&[] as &[u8]].into_iter().chain(bytes.chunks(size)) {
            if let Some(count) = body.take(piece)? {
                return Ok(Some((body.bytes().to_vec(), before + count)));
            }
            before += piece.len();
        }
        Ok(None)
    }

    #[track_caller]
    fn check(length: BodyLength, bytes: &[u8], expected: Result<Option<(&[u8], usize)>, Refusal>) {
        let expected = expected.map(|whole| whole.map(|(body, count)| (body.to_vec(), count)));
        for size in [1, 2, 3, 7, 1000, 100_000] {
            let start = String::from_utf8_lossy(bytes.get(..100).unwrap_or(bytes));
            assert_eq!(take(length, bytes, size), expected, "{start:?} in pieces of {size}");
        }
    }

    #[test]
    fn a_length_says_where_a_body_ends() {
        let of = BodyLength::Bytes;
        check(of(0), b"GET", Ok(Some((b"", 0))));
        check(of(5), b"hello", Ok(Some((b"hello", 5))));
        check(of(5), b"hello, you", Ok(Some((b"hello", 5))));
        check(of(6), b"hello", Ok(None));
        let long = vec![b'x'; BODY_MAX + 1];
        check(of(BODY_MAX as u64), &long, Ok(Some((&long[1..], BODY_MAX))));
        check(of(BODY_MAX as u64 + 1), &long, Err(Refusal::BodyTooLong));
        check(of(u64::MAX), &long, Err(Refusal::BodyTooLong));
    }

    #[test]
    fn chunks_are_put_together() {
        let whole = |bytes: &[u8], body: &[u8]| check(BodyLength::Chunked, bytes, Ok(Some((body, bytes.len()))));
        whole(b"0\r\n\r\n", b"");
        whole(b"5\r\nhello\r\n0\r\n\r\n", b"hello");
        whole(b"1\r\nh\r\n004\r\nello\r\n000\r\n\r\n", b"hello");
        whole(b"A\r\n0\r\n\r\n12345\r\na\r\n0123456789\r\n0\r\n\r\n", b"0\r\n\r\n123450123456789");
        whole(b"1;a=\"b\";c\r\nh\r\n0 ;d\r\nTrailer: 1\r\nAnother:\r\n\r\n", b"h");
        check(BodyLength::Chunked, b"1\r\nh\r\n0\r\n\r\nGET /", Ok(Some((b"h", 11))));
        for end in 0..10 {
            check(BodyLength::Chunked, &b"1\r\nh\r\n0\r\n\r\n"[..end], Ok(None));
        }
    }

    #[test]
    fn what_is_no_chunk_is_refused() {
        for bytes in [
            "\r\n",
            ";\r\n",
            "g\r\n",
            "+1\r\nh",
            "-1\r\n",
            "0x1\r\nh",
            " 1\r\n",
            "1\nh\r\n",
            "1\r\nhe\r\n",
            "1\r\nh\n",
            "1\r\nh\r0",
            "1;\u{1}\r\n",
            "1;a\n",
            "0\r\n\n",
            "0\r\na\n",
            "0\r\na\r\r",
            "0\r\n\r\r",
            "0\r0",
        ] {
            check(BodyLength::Chunked, bytes.as_bytes(), Err(Refusal::Chunk));
        }
    }

    #[test]
    fn chunks_are_bounded_like_their_encoding() {
        let chunk = |size: usize| format!("{size:x}\r\n{}\r\n", "x".repeat(size));
        let longest = ["1\r\nx\r\n".repeat(BODY_MAX), "0\r\n\r\n".to_owned()].concat();
        check(BodyLength::Chunked, longest.as_bytes(), Ok(Some((&vec![b'x'; BODY_MAX], longest.len()))));
        for bytes in [
            chunk(BODY_MAX + 1),
            format!("{}{}", chunk(1), chunk(BODY_MAX)),
            "f".repeat(1000),
            "0".repeat(ENCODED_MAX + 1),
            format!("1;{}", "x".repeat(ENCODED_MAX)),
            format!("0\r\n{}", "X: y\r\n".repeat(ENCODED_MAX / 6 + 1)),
        ] {
            check(BodyLength::Chunked, bytes.as_bytes(), Err(Refusal::BodyTooLong));
        }
    }
}
