//! Digests that all nodes agree on: of a name, and of what somebody who is gone had counted.
//!
//! Owns the hash. Sums of digests are compared between nodes, to know whether they know the same; nothing is looked up by
//! them.
//!
//! Invariant: the same on every host and in every build.

use super::news::NodeId;

/// The FNV-1a hash of a name: the same on every host and in every build, unlike std's.
#[must_use]
pub fn name_digest(name: &str) -> u64 {
    fnv1a(name.bytes())
}

/// One grave's share of the digest. FNV-1a alone is nearly linear in its last bytes: in a sum, one count that is higher
/// would make up for another that is lower. The finalizer of `MurmurHash3` spreads each bit over all.
pub(super) fn grave_digest(node: NodeId, name_digest: u64, connections: u64) -> u64 {
    let mut hash = fnv1a([node.0, name_digest, connections].into_iter().flat_map(u64::to_le_bytes));
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

fn fnv1a(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_that_differ_do_not_make_up_for_each_other() {
        let digest = |counts: [u64; 2]| {
            (0_u32..).zip(counts).fold(0_u64, |sum, (namespace, count)| {
                sum.wrapping_add(grave_digest(NodeId(7), name_digest(&format!("ns{namespace}")), count))
            })
        };
        let mut seen = std::collections::HashSet::new();
        for counts in (0..64).flat_map(|first| (0..64).map(move |second| [first, second])) {
            assert!(seen.insert(digest(counts)), "{counts:?}");
        }
    }
}
