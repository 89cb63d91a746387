//! Datagrams between nodes: values to bytes and back, byte by byte.
//!
//! Owns the format and its seal. A datagram is at most [`DATAGRAM_MAX`] bytes long, so that no network cuts it in two:
//!
//! ```text
//! "AM" version:u8 flags:u8 scope:u64  sender:u64 number kind:u8 fields...  [HMAC-SHA-256 of all before: 32 bytes]
//! ```
//!
//! Fixed integers are little-endian; all others are LEB128, 7 bits a byte, the low ones first, below 2^56. A name is its length and its
//! bytes, which are visible ASCII. `scope` names the audience; `flags` is 1 with a seal and 0 without.
//!
//! Invariant: whatever arrives is one well-formed datagram, or it is dropped for a reason; nothing is guessed.

use super::seal::{SEAL_BYTES, seal_of};
use crate::meter::news::{
    Age, Alive, Ask, Claim, Count, Datagram, Echo, Grave, Item, MessagePart, News, NodeId, Wanted,
};
use crate::meter::{COUNTERS_MAX, NAME_MAX};

/// The longest datagram in bytes: with IP and UDP heads under every usual path MTU.
pub const DATAGRAM_MAX: usize = 1_200;

/// The least length of a key in bytes: what HMAC-SHA-256 cannot make up for (RFC 2104 section 3 recommends 32).
pub const KEY_MIN: usize = 16;

const MAGIC: [u8; 2] = *b"AM";
const VERSION: u8 = 1;
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
    let datagram = Datagram { sender: NodeId(body.fixed()?), number: body.number()?, news: body.news()? };
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

struct Writer(Vec<u8>);

impl Writer {
    fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    fn fixed(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.byte((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.byte((number & 0x7f) as u8);
    }

    fn text(&mut self, text: &impl AsRef<str>) {
        let text = text.as_ref();
        self.number(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    fn age(&mut self, age: Age) {
        self.number(age.created_unix_s);
        self.number(age.empty_ms);
    }

    fn news<N: AsRef<str>>(&mut self, news: &News<N>) {
        match news {
            News::Alive(alive) => {
                self.byte(kind::ALIVE);
                self.number(alive.version);
                self.number(alive.horizon);
                self.number(alive.message);
                self.fixed(alive.graves);
                self.byte(u8::from(alive.echo.is_some()));
                if let Some(Echo { asker, nonce }) = alive.echo {
                    self.fixed(asker.0);
                    self.fixed(nonce);
                }
            }
            News::Ask(Ask { of, wanted, nonce }) => {
                self.byte(kind::ASK);
                self.byte(u8::from(of.is_some()));
                if let Some(node) = of {
                    self.fixed(node.0);
                }
                self.fixed(*nonce);
                match wanted {
                    Wanted::Graves => self.byte(0),
                    Wanted::Items { since } => {
                        self.byte(1);
                        self.number(*since);
                    }
                }
            }
            News::Report { from, to, items } => {
                self.byte(kind::REPORT);
                self.number(*from);
                self.number(*to);
                for item in items {
                    self.item(item);
                }
            }
            News::Graves(graves) => {
                self.byte(kind::GRAVES);
                for grave in graves {
                    self.fixed(grave.node.0);
                    self.text(&grave.namespace);
                    self.number(grave.connections);
                    self.age(grave.age);
                }
            }
            News::Counters(counters) => {
                self.byte(kind::COUNTERS);
                self.number(counters.len() as u64);
                for &counter in counters {
                    self.number(counter);
                }
            }
            News::Message(part) => {
                self.byte(kind::MESSAGE);
                self.byte(u8::from(part.begins) | u8::from(part.continues) << 1);
                self.number(part.number);
                self.text(&part.namespace);
                self.text(&part.text);
            }
            News::Claimed(claim) => {
                self.byte(kind::CLAIMED);
                self.claim(claim);
            }
            News::GivenUp(claim) => {
                self.byte(kind::GIVEN_UP);
                self.claim(claim);
            }
            News::Bye => self.byte(kind::BYE),
        }
    }

    fn item<N: AsRef<str>>(&mut self, item: &Item<N>) {
        match item {
            Item::Count(count) => {
                self.byte(kind::ITEM_COUNT);
                self.text(&count.namespace);
                self.number(count.members.into());
                self.number(count.uncounted.into());
                self.number(count.connections);
                self.age(count.age);
            }
            Item::Claim(claim) => {
                self.byte(kind::ITEM_CLAIM);
                self.claim(claim);
            }
        }
    }

    fn claim<N: AsRef<str>>(&mut self, claim: &Claim<N>) {
        self.text(&claim.namespace);
        self.text(&claim.uuid);
        self.number(claim.time_ms);
    }
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

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Result<u8, Dropped> {
        let (&byte, rest) = self.0.split_first().ok_or(Dropped::Malformed)?;
        self.0 = rest;
        Ok(byte)
    }

    fn flag(&mut self) -> Result<bool, Dropped> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Dropped::Malformed),
        }
    }

    fn fixed(&mut self) -> Result<u64, Dropped> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(Dropped::Malformed)?;
        self.0 = rest;
        Ok(u64::from_le_bytes(*bytes))
    }

    /// A number of at most 56 bits, in as few bytes as it takes: one can be added to any of them.
    fn number(&mut self) -> Result<u64, Dropped> {
        let mut number = 0;
        for shift in (0..NUMBER_BITS).step_by(7) {
            let byte = self.byte()?;
            if shift > 0 && byte == 0 {
                return Err(Dropped::Malformed);
            }
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Dropped::Malformed)
    }

    /// Visible ASCII, so that nothing that is told can break out of where it is written.
    fn text(&mut self, longest: usize) -> Result<&'a str, Dropped> {
        let length = usize::try_from(self.number()?).map_err(|_| Dropped::Malformed)?;
        let (text, rest) = self.0.split_at_checked(length).ok_or(Dropped::Malformed)?;
        if length > longest || !text.iter().all(u8::is_ascii_graphic) {
            return Err(Dropped::Malformed);
        }
        self.0 = rest;
        str::from_utf8(text).map_err(|_| Dropped::Malformed)
    }

    fn name(&mut self) -> Result<&'a str, Dropped> {
        let name = self.text(NAME_MAX)?;
        if name.is_empty() || name.contains('/') { Err(Dropped::Malformed) } else { Ok(name) }
    }

    fn age(&mut self) -> Result<Age, Dropped> {
        Ok(Age { created_unix_s: self.number()?, empty_ms: self.number()? })
    }

    fn claim(&mut self) -> Result<Claim<&'a str>, Dropped> {
        Ok(Claim { namespace: self.name()?, uuid: self.name()?, time_ms: self.number()? })
    }

    fn news(&mut self) -> Result<News<&'a str>, Dropped> {
        Ok(match self.byte()? {
            kind::ALIVE => {
                let (version, horizon) = (self.number()?, self.number()?);
                let (message, graves) = (self.number()?, self.fixed()?);
                let echo = self.flag()?.then(|| Ok(Echo { asker: NodeId(self.fixed()?), nonce: self.fixed()? }));
                News::Alive(Alive { version, horizon, message, graves, echo: echo.transpose()? })
            }
            kind::ASK => {
                let of = self.flag()?.then(|| self.fixed().map(NodeId)).transpose()?;
                let nonce = self.fixed()?;
                let wanted = if self.flag()? { Wanted::Items { since: self.number()? } } else { Wanted::Graves };
                News::Ask(Ask { of, wanted, nonce })
            }
            kind::REPORT => {
                let (from, to) = (self.number()?, self.number()?);
                let items = self.until_end(Self::item)?;
                if from >= to {
                    return Err(Dropped::Malformed);
                }
                News::Report { from, to, items }
            }
            kind::GRAVES => News::Graves(self.until_end(Self::grave)?),
            kind::COUNTERS => News::Counters(self.counters()?),
            kind::MESSAGE => News::Message(self.message_part()?),
            kind::CLAIMED => News::Claimed(self.claim()?),
            kind::GIVEN_UP => News::GivenUp(self.claim()?),
            kind::BYE => News::Bye,
            _ => return Err(Dropped::Malformed),
        })
    }

    /// As many as there are: the length of the datagram bounds them.
    fn until_end<T>(&mut self, one: impl Fn(&mut Self) -> Result<T, Dropped>) -> Result<Vec<T>, Dropped> {
        let mut all = Vec::new();
        while !self.0.is_empty() {
            all.push(one(self)?);
        }
        Ok(all)
    }

    fn item(&mut self) -> Result<Item<&'a str>, Dropped> {
        Ok(match self.byte()? {
            kind::ITEM_COUNT => Item::Count(Count {
                namespace: self.name()?,
                members: self.head_count()?,
                uncounted: self.head_count()?,
                connections: self.connections()?,
                age: self.age()?,
            }),
            kind::ITEM_CLAIM => Item::Claim(self.claim()?),
            _ => return Err(Dropped::Malformed),
        })
    }

    fn head_count(&mut self) -> Result<u32, Dropped> {
        self.number().and_then(|number| u32::try_from(number).map_err(|_| Dropped::Malformed))
    }

    fn counters(&mut self) -> Result<Vec<u64>, Dropped> {
        let count = usize::try_from(self.number()?).ok().filter(|&count| count <= COUNTERS_MAX);
        (0..count.ok_or(Dropped::Malformed)?).map(|_| self.number()).collect()
    }

    fn grave(&mut self) -> Result<Grave<&'a str>, Dropped> {
        Ok(Grave {
            node: NodeId(self.fixed()?),
            namespace: self.name()?,
            connections: self.connections()?,
            age: self.age()?,
        })
    }

    /// A number of which thousands can be added up.
    fn connections(&mut self) -> Result<u64, Dropped> {
        self.number().and_then(|number| if number >> 48 == 0 { Ok(number) } else { Err(Dropped::Malformed) })
    }

    fn message_part(&mut self) -> Result<MessagePart<&'a str>, Dropped> {
        let flags = self.byte()?;
        if flags > 3 {
            return Err(Dropped::Malformed);
        }
        let (number, namespace, text) = (self.number()?, self.name()?, self.text(TEXT_MAX)?);
        Ok(MessagePart { number, namespace, text, begins: flags & 1 != 0, continues: flags & 2 != 0 })
    }
}

#[cfg(test)]
mod tests;
