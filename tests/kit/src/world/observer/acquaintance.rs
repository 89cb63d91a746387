//! Which nodes know of each other, as far as they must.
//!
//! Owns the time for which a node may be unknown to another one: invented nodes are never known, and none that is there is
//! unknown for longer than the node timeout.

use std::collections::BTreeMap;

use audience_meter::meter::news::NodeId;

/// The node timeout, and what it takes to meet again where datagrams are lost.
const UNKNOWN_TICKS_MAX: u64 = 500 + 200;

/// What is known of nodes.
#[derive(Default)]
pub(crate) struct Acquaintance {
    /// All nodes that ever were, and the newest version of datagrams that they read.
    born: BTreeMap<NodeId, u8>,
    /// Since when the first node has not known of the second.
    unknown_since: BTreeMap<(NodeId, NodeId), u64>,
}

impl Acquaintance {
    /// A node begins.
    pub(crate) fn add(&mut self, node: NodeId, newest: u8) {
        self.born.insert(node, newest);
    }

    /// A node writes in a version that these others read, of which it knows.
    pub(crate) fn check_all_read(&self, version: u8, mut readers: impl Iterator<Item = NodeId>) {
        let reads = |node| self.born.get(&node).is_none_or(|&newest| version <= newest);
        assert!(readers.all(reads), "version {version} is not read by all");
    }

    /// A node knows of these others, and of none that was invented.
    pub(crate) fn check_none_is_invented(&self, known: &[NodeId]) {
        assert!(known.iter().all(|other| self.born.contains_key(other)), "of {known:?} one is invented");
    }

    /// A node knows of these others, of those that are there. They may have had so many ticks `more` to meet.
    pub(crate) fn check_none_is_silenced(
        &mut self,
        node: NodeId,
        known: &[NodeId],
        there: &[NodeId],
        (tick, more): (u64, u64),
    ) {
        for &other in there.iter().filter(|&&other| other != node) {
            if known.contains(&other) {
                self.unknown_since.remove(&(node, other));
                continue;
            }
            let since = *self.unknown_since.entry((node, other)).or_insert(tick);
            assert!(
                tick - since <= UNKNOWN_TICKS_MAX + more,
                "{other} has been unknown to {node} since {since}, at {tick}"
            );
        }
    }
}
