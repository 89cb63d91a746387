//! The transfer coding of a stream's body (RFC 9112 section 7).
//!
//! Owns the form of a chunk. A body whose length is not known is sent in chunks to clients of HTTP/1.1, for many of them hold
//! back what comes in no chunk until hundreds of bytes are there. Clients of HTTP/1.0 know no chunks: their body ends with the
//! connection.
//!
//! Invariant: a chunk is whole blocks of an event stream, and never empty: an empty one would end the body.

use super::http::Version;

/// How the body of a stream is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Coding {
    /// As it is; the end of the connection ends it.
    #[default]
    Identity,
    /// In chunks, the last of which is empty.
    Chunked,
}

/// What ends a body in chunks.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// What ends a chunk.
pub(super) const CHUNK_END: &[u8; 2] = b"\r\n";

impl Coding {
    /// The coding for a client of this version.
    #[must_use]
    pub fn of(version: Version) -> Self {
        match version {
            Version::Http10 => Self::Identity,
            Version::Http11 => Self::Chunked,
        }
    }

    /// Appends what `write` appends, in this coding.
    pub fn push(self, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        let start = out.len();
        write(out);
        if self == Self::Identity {
            return;
        }
        let (size, length) = size_line(out.len() - start);
        out.splice(start..start, size.into_iter().take(length));
        out.extend_from_slice(CHUNK_END);
    }

    /// What ends a whole body.
    #[must_use]
    pub fn end(self) -> &'static [u8] {
        match self {
            Self::Identity => &[],
            Self::Chunked => LAST_CHUNK,
        }
    }

    /// The last block of a body in this coding, if there is one, and what ends the body.
    #[must_use]
    pub fn last(self, block: Option<&[u8]>) -> Vec<u8> {
        let mut out = Vec::new();
        if let Some(block) = block {
            self.push(&mut out, |out| out.extend_from_slice(block));
        }
        out.extend_from_slice(self.end());
        out
    }
}

/// The longest size line in bytes: the digits of the largest size, and CRLF.
const SIZE_LINE_MAX: usize = 16 + 2;

/// `chunk-size CRLF`, and its length: the size in hexadecimal digits, without leading zeros.
fn size_line(size: usize) -> ([u8; SIZE_LINE_MAX], usize) {
    debug_assert!(size > 0, "an empty chunk ends the body");
    let mut line = [0; SIZE_LINE_MAX];
    let digits = (size | 1).ilog2() as usize / 4 + 1;
    let digit = |place: usize| b"0123456789abcdef".get(size >> (4 * place) & 0xf).copied().unwrap_or(b'0');
    let bytes = (0..digits).rev().map(digit).chain(*CHUNK_END);
    line.iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
    (line, digits + CHUNK_END.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(coding: Coding, block: &[u8], expected: &[u8]) {
        let mut out = b"before ".to_vec();
        coding.push(&mut out, |out| out.extend_from_slice(block));
        assert_eq!(out, [b"before ", expected].concat());
    }

    #[test]
    fn a_chunk_has_its_size_before_it() {
        check(Coding::Identity, b"data: 1\n\n", b"data: 1\n\n");
        check(Coding::Chunked, b"data: 1\n\n", b"9\r\ndata: 1\n\n\r\n");
        check(Coding::Chunked, &[b'x'; 10], b"a\r\nxxxxxxxxxx\r\n");
        for (size, line) in [(15, "f\r\n"), (16, "10\r\n"), (255, "ff\r\n"), (256, "100\r\n"), (4_096, "1000\r\n")] {
            check(Coding::Chunked, &vec![b'x'; size], &[line.as_bytes(), &vec![b'x'; size], b"\r\n"].concat());
        }
    }

    #[test]
    fn a_body_ends_with_an_empty_chunk() {
        assert_eq!(Coding::Chunked.last(Some(b"id: 1\n\n")), b"7\r\nid: 1\n\n\r\n0\r\n\r\n");
        assert_eq!(Coding::Chunked.last(None), b"0\r\n\r\n");
        assert_eq!(Coding::Identity.last(Some(b"id: 1\n\n")), b"id: 1\n\n");
        assert_eq!(Coding::Identity.last(None), b"");
    }

    #[test]
    fn chunks_are_for_http_1_1() {
        assert_eq!((Coding::of(Version::Http10), Coding::of(Version::Http11)), (Coding::Identity, Coding::Chunked));
    }
}
