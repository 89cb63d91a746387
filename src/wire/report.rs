//! Datagrams between nodes: values to bytes and back, byte by byte.
//!
//! Owns the format and its seal. A datagram is at most [`DATAGRAM_MAX`] bytes long, so that no network cuts it in two:
//!
//! ```text
//! "AM" version:u8 newest:u8 flags:u8 scope:u64  sender:u64 number clock kind:u8 fields...  [HMAC-SHA-256: 16 bytes]
//! ```
//!
//! Fixed integers are little-endian; all others are LEB128, 7 bits a byte, the low ones first, below 2^56. A name is its
//! length and its bytes, in its canonical spelling ([`name`](super::name)). `scope` names the audience. The first bit of
//! `flags` says that there is a seal, over all bytes before it.
//!
//! # Versions
//!
//! `version` is the version in which the datagram is written, and `newest` the newest that its sender reads. Signs of life,
//! questions and goodbyes are written in the oldest version that their sender knows, so that nodes can meet. All other news is
//! written in the newest version that all living nodes read. What can be skipped takes no new version: bytes after the known
//! fields, entries of a list that are of unknown kinds, unknown kinds of news, unknown flags. A new version is for what
//! changes the meaning of the known.
//!
//! # Questions
//!
//! A question is padded to [`ASK_BYTES`], which is more than its answer has. A node answers nodes that it does not know, so
//! anybody could otherwise have it send more than was sent.
//!
//! | file | owns |
//! |---|---|
//! | `writer` | values to bytes |
//! | `reader` | bytes to values, and what is well-formed |
//! | `kind` | the bytes that say what follows |
//! | `envelope` | datagrams of other hosts, on their way over loopback |
//! | `format` | the limits that both keep, and why a datagram is dropped |
//! | `keys` | the keys of a scope: what seals, and which seals are good |
//!
//! Invariant: whatever arrives is one well-formed datagram, or it is dropped for a reason; nothing is guessed.

mod envelope;
mod format;
mod keys;
mod kind;
mod reader;
mod writer;

use super::seal::SEAL_BYTES;
pub use crate::meter::news::ASK_BYTES;
use crate::meter::news::{Datagram, Format, Formats, News, NodeId};
pub use envelope::{ENVELOPE_MAX, Envelope, enclose, is_envelope, open};
pub use format::Dropped;
pub use keys::{KEY_MIN, Keys};
use reader::Reader;
use writer::Writer;

/// The longest datagram in bytes: with IP and UDP heads under every usual path MTU.
pub const DATAGRAM_MAX: usize = 1_200;

/// The versions that this program writes and reads.
pub const FORMATS: Formats = Formats { oldest: 4, newest: 4 };

const MAGIC: [u8; 2] = *b"AM";
const SEALED: u8 = 1;

/// Where the sender stands: after the versions, the flags and the scope.
const SENDER_AT: usize = MAGIC.len() + 3 + 8;

/// What all nodes of an audience share.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Names the audience.
    pub id: u64,
    /// Seals datagrams.
    pub keys: Keys,
}

/// The bytes of a datagram.
#[must_use]
pub fn encode<N: AsRef<str>>(datagram: &Datagram<N>, scope: &Scope) -> Vec<u8> {
    let bytes = seal(unsealed(datagram, scope), scope);
    debug_assert!(bytes.len() <= DATAGRAM_MAX, "{} bytes", bytes.len());
    bytes
}

/// The bytes of a datagram but for the seal. A later version may add to them.
#[must_use]
pub fn unsealed<N: AsRef<str>>(datagram: &Datagram<N>, scope: &Scope) -> Vec<u8> {
    let mut out = Writer(Vec::with_capacity(DATAGRAM_MAX));
    out.0.extend_from_slice(&MAGIC);
    let flags = if scope.keys.is_empty() { 0 } else { SEALED };
    out.0.extend_from_slice(&[datagram.format.written, datagram.format.newest, flags]);
    out.fixed(scope.id);
    out.fixed(datagram.sender.0);
    out.number(datagram.number);
    out.number(datagram.clock);
    out.news(&datagram.news);
    if matches!(datagram.news, News::Ask(_)) {
        out.0.resize(ASK_BYTES, 0);
    }
    out.0
}

/// Seals bytes that have no seal yet, if there is a key.
#[must_use]
pub fn seal(mut bytes: Vec<u8>, scope: &Scope) -> Vec<u8> {
    if let Some(seal) = scope.keys.seal(&bytes) {
        bytes.extend_from_slice(&seal);
    }
    bytes
}

/// The datagram that the bytes are.
///
/// # Errors
/// Why they are dropped.
pub fn decode<'a>(bytes: &'a [u8], scope: &Scope) -> Result<Datagram<&'a str>, Dropped> {
    decode_up_to(FORMATS.newest, bytes, scope)
}

/// The datagram that the bytes are, to a program that reads all versions up to this one.
///
/// # Errors
/// Why they are dropped.
pub fn decode_up_to<'a>(newest: u8, bytes: &'a [u8], scope: &Scope) -> Result<Datagram<&'a str>, Dropped> {
    if bytes.len() > DATAGRAM_MAX || !bytes.starts_with(&MAGIC) {
        return Err(Dropped::Malformed);
    }
    let mut head = Reader(bytes.get(MAGIC.len()..).unwrap_or_default());
    let format = Format { written: head.byte()?, newest: head.byte()? };
    if !(FORMATS.oldest..=newest).contains(&format.written) {
        return Err(Dropped::ForeignVersion);
    }
    let mut body = unseal(bytes, head, scope)?;
    let length = SENDER_AT + body.0.len();
    let (sender, number, clock) = (NodeId(body.fixed()?), body.number()?, body.number()?);
    let news = body.news()?;
    if matches!(news, News::Ask(_)) && length < ASK_BYTES {
        return Err(Dropped::Malformed);
    }
    Ok(Datagram { sender, number, clock, format, news })
}

/// The sender that the bytes name. Nothing vouches for it.
#[must_use]
pub fn sender_of(bytes: &[u8]) -> Option<NodeId> {
    Reader(bytes.get(SENDER_AT..)?).fixed().ok().map(NodeId)
}

/// What lies between the scope and the seal. `head` is all from the flags on. Other audiences have other keys, so the scope is
/// looked at first.
fn unseal<'a>(all: &[u8], mut head: Reader<'a>, scope: &Scope) -> Result<Reader<'a>, Dropped> {
    let is_sealed = head.byte()? & SEALED != 0;
    if head.fixed()? != scope.id {
        return Err(Dropped::ForeignScope);
    }
    match (scope.keys.is_empty(), is_sealed) {
        (true, false) => return Ok(head),
        (false, false) => return Err(Dropped::Unkeyed),
        (true, true) => return Err(Dropped::Forged),
        (false, true) => {}
    }
    let (body, seal) = head.0.split_last_chunk::<SEAL_BYTES>().ok_or(Dropped::Malformed)?;
    let covered = all.get(..all.len() - SEAL_BYTES).unwrap_or_default();
    if scope.keys.accept(covered, seal) { Ok(Reader(body)) } else { Err(Dropped::Forged) }
}

#[cfg(test)]
mod tests;
