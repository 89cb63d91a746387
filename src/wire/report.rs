//! Datagrams between nodes: values to bytes and back, byte by byte.
//!
//! Owns the format and its seal. A datagram is at most [`DATAGRAM_MAX`] bytes long, so that no network cuts it in two:
//!
//! ```text
//! "AM" version:u8 flags:u8 scope:u64  sender:u64 number clock kind:u8 fields...  [HMAC-SHA-256 of all before: 32 bytes]
//! ```
//!
//! Fixed integers are little-endian; all others are LEB128, 7 bits a byte, the low ones first, below 2^56. A name is its
//! length and its bytes, which are visible ASCII. `scope` names the audience; `flags` is 1 with a seal and 0 without.
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
use crate::meter::news::{Datagram, NodeId};
pub use envelope::{ENVELOPE_MAX, Envelope, enclose, is_envelope, open};
pub use format::Dropped;
pub use keys::{KEY_MIN, Keys};
use reader::Reader;
use writer::Writer;

/// The longest datagram in bytes: with IP and UDP heads under every usual path MTU.
pub const DATAGRAM_MAX: usize = 1_200;

const MAGIC: [u8; 2] = *b"AM";
const VERSION: u8 = 3;
const SEALED: u8 = 1;

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
    let mut out = Writer(Vec::with_capacity(DATAGRAM_MAX));
    out.0.extend_from_slice(&MAGIC);
    out.0.extend_from_slice(&[VERSION, u8::from(!scope.keys.is_empty())]);
    out.fixed(scope.id);
    out.fixed(datagram.sender.0);
    out.number(datagram.number);
    out.number(datagram.clock);
    out.news(&datagram.news);
    let bytes = seal(out.0, scope);
    debug_assert!(bytes.len() <= DATAGRAM_MAX, "{} bytes", bytes.len());
    bytes
}

/// The datagram that the bytes are.
///
/// # Errors
/// Why they are dropped.
pub fn decode<'a>(bytes: &'a [u8], scope: &Scope) -> Result<Datagram<&'a str>, Dropped> {
    if bytes.len() > DATAGRAM_MAX || !bytes.starts_with(&MAGIC) {
        return Err(Dropped::Malformed);
    }
    let mut head = Reader(bytes.get(MAGIC.len()..).unwrap_or_default());
    if head.byte()? != VERSION {
        return Err(Dropped::ForeignVersion);
    }
    let is_sealed = match head.byte()? {
        0 => false,
        SEALED => true,
        _ => return Err(Dropped::Malformed),
    };
    // Before the scope, or a stranger could find out whether there is one.
    let body = check_seal(bytes, head.0, is_sealed, &scope.keys)?;
    let mut body = Reader(body);
    if body.fixed()? != scope.id {
        return Err(Dropped::ForeignScope);
    }
    let (sender, number, clock) = (NodeId(body.fixed()?), body.number()?, body.number()?);
    let datagram = Datagram { sender, number, clock, news: body.news()? };
    if body.0.is_empty() { Ok(datagram) } else { Err(Dropped::Malformed) }
}

/// The bytes with their seal, if there is a key.
fn seal(mut bytes: Vec<u8>, scope: &Scope) -> Vec<u8> {
    if let Some(seal) = scope.keys.seal(&bytes) {
        bytes.extend_from_slice(&seal);
    }
    bytes
}

/// The scope and the sender that the bytes name. Nothing vouches for them.
#[must_use]
pub fn claims_of(bytes: &[u8]) -> Option<(u64, NodeId)> {
    let mut claims = Reader(bytes.get(MAGIC.len() + 2..)?);
    Some((claims.fixed().ok()?, NodeId(claims.fixed().ok()?)))
}

/// What the seal covers of `rest`, the bytes after the flags.
fn check_seal<'a>(all: &[u8], rest: &'a [u8], is_sealed: bool, keys: &Keys) -> Result<&'a [u8], Dropped> {
    match (keys.is_empty(), is_sealed) {
        (true, false) => return Ok(rest),
        (false, false) => return Err(Dropped::Unkeyed),
        (true, true) => return Err(Dropped::Forged),
        (false, true) => {}
    }
    let (body, seal) = rest.split_last_chunk::<SEAL_BYTES>().ok_or(Dropped::Malformed)?;
    let covered = all.get(..all.len() - SEAL_BYTES).unwrap_or_default();
    if keys.accept(covered, seal) { Ok(body) } else { Err(Dropped::Forged) }
}

#[cfg(test)]
mod tests;
