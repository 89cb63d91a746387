//! What nodes announce of the different people of an event.
//!
//! Owns the key under which people become hashes, and what is said of those. All of it can be received in any order and more
//! than once: hashes make a set, marks merge as maxima.
//!
//! Invariant: nothing here names a person, and no name leads to a hash without the key.

use super::atoms::{entry_weight, number_weight};
use crate::meter::digest::mix;

/// The bits of a person's hash.
pub const HASH_BITS: u32 = 48;

/// The registers of a sketch.
pub const REGISTERS: u16 = 4_096;

/// The largest rank of a register: no bit is set in the rest of the hash.
pub const RANK_MAX: u8 = 37;

const _: () = assert!(RANK_MAX as u32 == HASH_BITS - REGISTERS.trailing_zeros() + 1);

/// The bytes of a quarter of a sketch: six bits for each register.
pub const QUARTER_BYTES: usize = REGISTERS as usize / 4 * 6 / 8;

/// The most numbers of people counted under other keys that are kept and sent.
pub const APART_MAX: usize = 4;

/// The bytes of hashes, or of marks, that go with a count at most: with the longest name they fit into a datagram.
pub const FINDINGS_BYTES_MAX: usize = 480;

/// The bytes of a hash, and of a mark.
pub const HASH_BYTES: usize = 6;
/// The bytes of a mark.
pub const MARK_BYTES: usize = 3;

/// The key of an event. Of two keys that were drawn for one event the older stands, at all nodes.
///
/// Which is older has to be the same at all of them, so it is decided by a number that nothing changes on its way. It is the
/// only one that a clock on a wall has a part in, and one that is wrong costs no more than that the younger key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CensusKey {
    /// When it was drawn, in milliseconds since 1970 by the clock of that node.
    pub born_unix_ms: u64,
    /// Drawn at random.
    pub bytes: [u8; 16],
}

impl CensusKey {
    /// Names the key, and says nothing of it; not 0.
    #[must_use]
    pub fn tag(&self) -> u32 {
        let number = self.bytes.iter().fold(0, |number, &byte| mix(number << 8 ^ u64::from(byte)));
        ((number >> 32) as u32).max(1)
    }
}

/// Which key is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyName {
    /// The one with this tag.
    Tag(u32),
    /// This one.
    Whole(CensusKey),
}

/// Where a hash belongs in a sketch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The register.
    pub register: u16,
    /// The place of the first bit that is set in the rest of the hash.
    pub rank: u8,
}

/// What is said of people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Findings {
    /// The hashes of some.
    Hashes(Vec<u64>),
    /// The marks of some. There are more than are counted one by one.
    Marks(Vec<Mark>),
    /// One quarter of all registers.
    Quarter {
        /// Which one, from 0 to 3.
        number: u8,
        /// Four registers in three bytes.
        packed: Vec<u8>,
    },
}

/// How many people were counted under another key, as long as that stood somewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Apart {
    /// The tag of that key; 0 where there is none.
    pub tag: u32,
    /// Their number.
    pub people: u64,
}

/// What a census lacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// How many joins were counted without it.
    pub unseen: u64,
    /// The people who were counted under other keys: those that are there come first.
    pub apart: [Apart; APART_MAX],
}

impl Gaps {
    /// None.
    pub const NONE: Self = Self { unseen: 0, apart: [Apart { tag: 0, people: 0 }; APART_MAX] };

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::NONE
    }

    /// The people who were counted under other keys.
    #[must_use]
    pub fn apart(&self) -> &[Apart] {
        let count = self.apart.iter().take_while(|apart| apart.tag != 0).count();
        self.apart.get(..count).unwrap_or_default()
    }

    /// Adds people who were counted under another key. Of two numbers of one key the larger stands, and of many keys those with
    /// the most people.
    pub fn add(&mut self, other: Apart) {
        if let Some(known) = self.apart.iter_mut().find(|known| known.tag == other.tag) {
            known.people = known.people.max(other.people);
            return;
        }
        let worth = |apart: &Apart| (apart.people, apart.tag);
        let least = self.apart.iter_mut().min_by_key(|apart| worth(apart));
        if let Some(least) = least.filter(|least| worth(least) < worth(&other)) {
            *least = other;
        }
    }
}

/// What a node says of the people of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CensusNews {
    /// The key; `None` if there is nothing to say but that the joins of this node are seen.
    pub key: Option<KeyName>,
    /// Whether there is more than this.
    pub is_partial: bool,
    /// What the census lacks. Goes with a whole key only.
    pub gaps: Gaps,
    /// What is said of people.
    pub findings: Findings,
}

impl CensusNews {
    /// Nothing new: the joins of this node are seen.
    pub const NOTHING: Self = Self { key: None, is_partial: false, gaps: Gaps::NONE, findings: Findings::NONE };

    pub(super) fn weight(&self) -> usize {
        let key = match &self.key {
            None => return 1,
            Some(KeyName::Tag(_)) => 4,
            Some(KeyName::Whole(key)) => 16 + number_weight(key.born_unix_ms),
        };
        let apart = entry_weight(self.gaps.apart().len() * 2 * HASH_BYTES);
        let gaps = if self.gaps.is_empty() { 0 } else { number_weight(self.gaps.unseen) + apart };
        1 + key + gaps + self.findings.weight()
    }
}

impl Findings {
    /// None.
    pub const NONE: Self = Self::Hashes(Vec::new());

    fn weight(&self) -> usize {
        match self {
            Self::Hashes(hashes) => entry_weight(hashes.len() * HASH_BYTES),
            Self::Marks(marks) => entry_weight(marks.len() * MARK_BYTES),
            Self::Quarter { packed, .. } => 1 + entry_weight(packed.len()),
        }
    }
}

/// That a node has a census, and what it has: nodes that know the same say the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mention {
    /// A digest of the namespace's name.
    pub name: u32,
    /// A digest of the census; 0 where there is no mention.
    pub census: u32,
}

/// The most mentions in a sign of life.
pub const MENTIONS_MAX: usize = 4;

/// The mentions of a sign of life: those that are there come first.
pub type Mentions = [Mention; MENTIONS_MAX];
