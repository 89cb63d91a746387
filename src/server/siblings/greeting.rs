//! What two siblings say first to each other.
//!
//! Owns the form: a version, the length of a key, the key, and the name of the node: `2:u8 length:u8 key node:u64`. A key is of
//! [`KEY_BYTES`], or empty. The one at whose door the other knocks speaks first. The other one greets only if it wants a link.
//!
//! Invariant: a greeting is whole, or it is none; and no byte after it is read.

use std::io::{self, ErrorKind, Write as _};
use std::os::unix::net::UnixStream;

use crate::meter::news::NodeId;
use crate::server::conns::torture;

const VERSION: u8 = 2;

pub(in crate::server) const KEY_BYTES: usize = 32;

const HEAD_BYTES: usize = 2;

const NODE_BYTES: usize = 8;

const BYTES_MAX: usize = HEAD_BYTES + KEY_BYTES + NODE_BYTES;

/// A key that siblings share.
pub(in crate::server) type Key = [u8; KEY_BYTES];

/// A greeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) struct Greeting {
    /// The key that seals on loopback, unless that is the operator's, which is for no greeting.
    pub(in crate::server) key: Option<Key>,
    pub(in crate::server) node: NodeId,
}

impl Greeting {
    /// Sends it. An empty buffer takes it whole.
    ///
    /// # Errors
    /// What the stream says.
    pub(super) fn send(&self, mut stream: &UnixStream) -> io::Result<()> {
        stream.write_all(&self.bytes())
    }

    fn bytes(&self) -> Vec<u8> {
        let key = self.key.as_ref().map_or(&[][..], |key| key);
        let head = [VERSION, u8::try_from(key.len()).unwrap_or(0)];
        [&head[..], key, &self.node.0.to_le_bytes()].concat()
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (rest, node) = bytes.split_last_chunk::<NODE_BYTES>()?;
        let key = rest.get(HEAD_BYTES..).filter(|key| !key.is_empty());
        Some(Self { key: key.and_then(|key| key.try_into().ok()), node: NodeId(u64::from_le_bytes(*node)) })
    }
}

/// The part of a greeting that has come.
pub(super) struct Partial {
    bytes: [u8; BYTES_MAX],
    length: usize,
}

impl Default for Partial {
    fn default() -> Self {
        Self { bytes: [0; BYTES_MAX], length: 0 }
    }
}

impl Partial {
    /// Reads on; `None` while there is more to come.
    ///
    /// # Errors
    /// What the stream says, that it is at its end, or that this is no greeting.
    pub(super) fn read(&mut self, stream: &UnixStream) -> io::Result<Option<Greeting>> {
        loop {
            let wanted = self.wanted()?;
            if self.length == wanted {
                let greeting = self.bytes.get(..wanted).and_then(Greeting::parse);
                return greeting.map(Some).ok_or_else(|| ErrorKind::InvalidData.into());
            }
            match torture::read(stream, self.bytes.get_mut(self.length..wanted).unwrap_or_default()) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.length += count,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The length up to which it may be read, as far as is known: that of the head, or of all.
    fn wanted(&self) -> io::Result<usize> {
        match self.bytes.get(..self.length).unwrap_or_default() {
            [] | [VERSION] => Ok(HEAD_BYTES),
            &[VERSION, key, ..] if key == 0 || usize::from(key) == KEY_BYTES => {
                Ok(HEAD_BYTES + usize::from(key) + NODE_BYTES)
            }
            _ => Err(ErrorKind::InvalidData.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    /// What becomes of these bytes, if nothing follows; and what is left of them.
    fn read(bytes: &[u8]) -> (Result<Greeting, ErrorKind>, Vec<u8>) {
        let (mut from, mut to) = UnixStream::pair().unwrap();
        from.write_all(bytes).unwrap();
        drop(from);
        let greeting = Partial::default().read(&to).map(Option::unwrap).map_err(|error| error.kind());
        let mut rest = Vec::new();
        to.read_to_end(&mut rest).unwrap();
        (greeting, rest)
    }

    #[test]
    fn a_greeting_is_whole_or_none_and_what_follows_is_left() {
        for key in [None, Some([7; KEY_BYTES])] {
            let greeting = Greeting { key, node: NodeId(u64::MAX - 2) };
            let bytes = greeting.bytes();
            assert_eq!(read(&[&bytes[..], b"\x01\0x"].concat()), (Ok(greeting), b"\x01\0x".to_vec()));
            for cut in 0..bytes.len() {
                assert_eq!(read(&bytes[..cut]).0, Err(ErrorKind::UnexpectedEof), "cut at {cut}");
            }
        }
        for bytes in [&b"\x01\x20"[..], b"\x03\0", b"\x02\x01", b"\x02\x21", b"GET /"] {
            assert_eq!(read(bytes).0, Err(ErrorKind::InvalidData), "{bytes:?}");
        }
    }

    #[test]
    fn a_greeting_comes_in_pieces() {
        let (mut from, to) = UnixStream::pair().unwrap();
        to.set_nonblocking(true).unwrap();
        let greeting = Greeting { key: Some([9; KEY_BYTES]), node: NodeId(7) };
        let (mut partial, mut got) = (Partial::default(), None);
        for byte in greeting.bytes() {
            assert_eq!(got, None);
            from.write_all(&[byte]).unwrap();
            got = partial.read(&to).unwrap();
        }
        assert_eq!(got, Some(greeting));
    }

    #[test]
    fn the_bytes_of_a_greeting_are_these_for_ever() {
        let greeting = Greeting { key: None, node: NodeId(0x0102_0304_0506_0708) };
        assert_eq!(greeting.bytes(), [2, 0, 8, 7, 6, 5, 4, 3, 2, 1]);
        let keyed = Greeting { key: Some([9; KEY_BYTES]), ..greeting }.bytes();
        assert_eq!((keyed.len(), &keyed[..3], &keyed[33..]), (42, &[2, 32, 9][..], &[9, 8, 7, 6, 5, 4, 3, 2, 1][..]));
    }
}
