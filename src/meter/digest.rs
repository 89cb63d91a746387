//! Digests that all nodes agree on: of a name, and of what a departed node had counted.
//!
//! Owns the hashes. Nodes compare sums of digests to find out whether they know the same; nothing is looked up by them.
//!
//! Invariant: a digest is the same on every host and in every build.

/// The FNV-1a hash of a name: the same on every host and in every build, unlike std's.
#[must_use]
pub fn name_digest(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// The finalizer of `MurmurHash3`, which spreads each bit over all: in a sum of digests, one count that is higher must not
/// make up for another that is lower.
pub(super) fn mix(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}
