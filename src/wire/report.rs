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
//! Invariant: whatever arrives is one well-formed datagram, or it is dropped for a reason; nothing is guessed.

mod reader;
mod writer;

use super::seal::{SEAL_BYTES, seal_of};
use crate::meter::news::{Datagram, NodeId};
use reader::Reader;
use writer::Writer;

/// The longest datagram in bytes: with IP and UDP heads under every usual path MTU.
pub const DATAGRAM_MAX: usize = 1_200;

/// The least length of a key in bytes: what HMAC-SHA-256 cannot make up for (RFC 2104 section 3 recommends 32).
pub const KEY_MIN: usize = 16;

const MAGIC: [u8; 2] = *b"AM";
const VERSION: u8 = 3;
const SEALED: u8 = 1;

/// The bits of a number that is not fixed.
const NUMBER_BITS: u32 = 56;

/// The longest part of a message, in bytes.
const TEXT_MAX: usize = 1_000;

/// Why a datagram is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dropped {
    /// It is no datagram of ours, or not well-formed.
    Malformed,
    /// It is of another version of this format.
    ForeignVersion,
    /// It is of another audience.
    ForeignScope,
    /// It has no seal, and this node has a key.
    Unkeyed,
    /// It has a seal, and this node has no key; or the seal is not of this node's key.
    Forged,
}

/// What all nodes of an audience share.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Names the audience.
    pub id: u64,
    /// Seals datagrams.
    pub key: Option<Vec<u8>>,
}

/// The bytes of a datagram.
#[must_use]
pub fn encode<N: AsRef<str>>(datagram: &Datagram<N>, scope: &Scope) -> Vec<u8> {
    let mut out = Writer(Vec::with_capacity(DATAGRAM_MAX));
    out.0.extend_from_slice(&MAGIC);
    out.0.extend_from_slice(&[VERSION, u8::from(scope.key.is_some())]);
    out.fixed(scope.id);
    out.fixed(datagram.sender.0);
    out.number(datagram.number);
    out.number(datagram.clock);
    out.news(&datagram.news);
    let mut bytes = out.0;
    if let Some(key) = &scope.key {
        let seal = seal_of(&bytes, key);
        bytes.extend_from_slice(&seal);
    }
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
    let body = check_seal(bytes, head.0, is_sealed, scope.key.as_deref())?;
    let mut body = Reader(body);
    if body.fixed()? != scope.id {
        return Err(Dropped::ForeignScope);
    }
    let (sender, number, clock) = (NodeId(body.fixed()?), body.number()?, body.number()?);
    let datagram = Datagram { sender, number, clock, news: body.news()? };
    if body.0.is_empty() { Ok(datagram) } else { Err(Dropped::Malformed) }
}

/// What the seal covers of `rest`, the bytes after the flags.
fn check_seal<'a>(all: &[u8], rest: &'a [u8], is_sealed: bool, key: Option<&[u8]>) -> Result<&'a [u8], Dropped> {
    let (key, rest) = match (key, is_sealed) {
        (None, false) => return Ok(rest),
        (Some(_), false) => return Err(Dropped::Unkeyed),
        (None, true) => return Err(Dropped::Forged),
        (Some(key), true) => (key, rest),
    };
    let (body, seal) = rest.split_last_chunk::<SEAL_BYTES>().ok_or(Dropped::Malformed)?;
    let covered = all.get(..all.len() - SEAL_BYTES).unwrap_or_default();
    let expected = seal_of(covered, key);
    // All bytes are compared, whatever the first ones are, so that the time says nothing about the right seal.
    let difference = expected.iter().zip(seal).fold(0, |difference, (a, b)| difference | (a ^ b));
    if difference == 0 { Ok(body) } else { Err(Dropped::Forged) }
}

/// The bytes that say what follows.
mod kind {
    pub(super) const ALIVE: u8 = 1;
    pub(super) const ASK: u8 = 2;
    pub(super) const REPORT: u8 = 3;
    pub(super) const GRAVES: u8 = 4;
    pub(super) const MESSAGE: u8 = 5;
    pub(super) const CLAIMED: u8 = 6;
    pub(super) const GIVEN_UP: u8 = 7;
    pub(super) const BYE: u8 = 8;
    pub(super) const COUNTERS: u8 = 9;
    pub(super) const ITEM_COUNT: u8 = 1;
    pub(super) const ITEM_CLAIM: u8 = 2;
}

#[cfg(test)]
mod tests;
