//! What names a person, and what a key makes of it.
//!
//! Owns both hashes. A [`Person`] is the same number at all nodes; it stays in memory until the person is counted, and is neither
//! kept nor sent. What is kept and sent is its hash under the key of a namespace. Without that key, a stranger cannot pick names
//! that seem to be thousands of people. Two names that are picked to be one person are one: that gains nothing.
//!
//! Invariant: both hashes are the same on every host and in every build.

use std::hash::Hasher as _;
#[expect(deprecated, reason = "the other hashers of std take no key from their caller")]
use std::hash::SipHasher;

use crate::collections::sections::{Reader, Writer};
use crate::meter::news::census::{CensusKey, HASH_BITS};

/// The first bits of pi's fraction, by which names become numbers: bits without a pattern.
const PI: u64 = 0x243f_6a88_85a3_08d3;

/// A person, as far as an event can know: a uuid, or else an address and a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Person(u64);

impl Person {
    /// The person who has this uuid.
    #[must_use]
    pub fn of_uuid(uuid: &str) -> Self {
        Self(number_of([b"u", uuid.as_bytes()]))
    }

    /// The person who uses this program at this address, given as 16 bytes.
    #[must_use]
    pub fn of_client(address: [u8; 16], user_agent: &[u8]) -> Self {
        Self(number_of([&address, user_agent]))
    }

    pub(in crate::meter) fn write(self, out: &mut Writer) {
        out.fixed(self.0);
    }

    pub(in crate::meter) fn read(from: &mut Reader<'_>) -> Self {
        Self(from.fixed())
    }

    /// What a namespace with this key keeps of the person.
    pub(super) fn hash(self, key: &CensusKey) -> u64 {
        let (low, high) = key.bytes.split_at(8);
        let half = |bytes: &[u8]| bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte));
        hash([half(low), half(high)], [self.0.to_le_bytes().as_slice(), &[]]) >> (u64::BITS - HASH_BITS)
    }
}

/// The number of this draw from a secret.
pub(super) fn draw(secret: [u64; 2], number: u64) -> u64 {
    hash(secret, [number.to_le_bytes().as_slice(), b"key"])
}

/// A number for what names a person. It hides nothing, so it is made by the least that mixes well: each eight bytes are folded in
/// by a multiplication, as wyhash does it, for this is done at every join.
fn number_of(pieces: [&[u8]; 2]) -> u64 {
    pieces.into_iter().fold(PI, |state, piece| {
        let (words, rest) = piece.as_chunks();
        let state = words.iter().fold(state, |state, &word| fold(state ^ u64::from_le_bytes(word)));
        let rest = rest.iter().fold(piece.len() as u64, |rest, &byte| rest << 8 | u64::from(byte));
        fold(state ^ rest)
    })
}

/// Both halves of a product.
fn fold(number: u64) -> u64 {
    let (low, high) = number.carrying_mul(PI, 0);
    low ^ high
}

/// SipHash-2-4 of the pieces in a row.
#[expect(deprecated, reason = "the other hashers of std take no key from their caller")]
fn hash([first, second]: [u64; 2], pieces: [&[u8]; 2]) -> u64 {
    let mut hasher = SipHasher::new_with_keys(first, second);
    for piece in pieces {
        hasher.write(piece);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn key(first: u8) -> CensusKey {
        let mut bytes = [7; 16];
        bytes[0] = first;
        CensusKey { born_unix_ms: 1, bytes }
    }

    #[test]
    fn hashes_are_these_for_ever() {
        // The test vector of SipHash-2-4 (Aumasson and Bernstein, appendix A).
        let bytes: Vec<u8> = (0..15).collect();
        assert_eq!(
            hash([0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908], [&bytes[..4], &bytes[4..]]),
            0xa129_ca61_49be_45e5
        );
        let mut vector = CensusKey { born_unix_ms: 0, bytes: [0; 16] };
        vector.bytes.iter_mut().zip(0..).for_each(|(byte, number)| *byte = number);
        let eight = Person(0x0706_0504_0302_0100);
        assert_eq!(eight.hash(&vector), 0x93f5_f579_9a93_2462 >> 16);
    }

    #[test]
    fn names_that_are_alike_are_different_people() {
        let address =
            |number: u32| [&[0; 10], [0xff; 2].as_slice(), &number.to_be_bytes()].concat().try_into().unwrap();
        for program in [b"".as_slice(), b"a browser of more than eight bytes"] {
            let neighbours: HashSet<u64> =
                (0..100_000).map(|number| Person::of_client(address(number), program).0).collect();
            let uuids: HashSet<u64> = (0..100_000).map(|number| Person::of_uuid(&format!("{number}")).0).collect();
            assert_eq!((neighbours.len(), uuids.len()), (100_000, 100_000));
        }
    }

    #[test]
    fn a_person_is_what_names_it_and_no_key_is_like_another() {
        let persons = [
            Person::of_uuid("a"),
            Person::of_uuid("b"),
            Person::of_client([1; 16], b"browser"),
            Person::of_client([2; 16], b"browser"),
            Person::of_client([1; 16], b"browser 2"),
        ];
        for (index, one) in persons.iter().enumerate() {
            for (other_index, other) in persons.iter().enumerate() {
                assert_eq!(one == other, index == other_index);
                assert_eq!(one.hash(&key(1)) == other.hash(&key(1)), index == other_index);
                assert_ne!(one.hash(&key(1)), other.hash(&key(2)));
            }
        }
    }
}
