//! What the oldest departed nodes had counted, as one sum for each namespace, and the list of those nodes.
//!
//! Owns the list and the sums. That a node is folded is a statement that never has to be taken back, so lists merge by union.
//! A sum is that of the listed nodes and no other, so it says nothing at a node that has another list: only equal lists let the
//! larger sum stand.
//!
//! A node keeps its sums under its own name, until that is listed though the node lives. Then it goes on under the next
//! name, which follows from the name before: all nodes come to the same.
//!
//! Invariant: a sum is never more than what the listed nodes had counted, so it can only have to be raised.

use super::pairs::{Pairs, Place};
use crate::collections::sections::{Reader, Writer};
use crate::meter::accounts::stays::StaysTable;
use crate::meter::book::change::Change;
use crate::meter::book::keys::NamespaceId;
use crate::meter::digest::mix;
use crate::meter::news::{NodeId, SUMMAND_MAX, Sums};

/// The most listed nodes: some 400 kB here, and 256 datagrams to a newcomer. As many numbers below 2^48 can be added up.
const FOLDED_MAX: usize = 1 << 15;

/// Above this many names their digest is not checked after each input: it would make tests quadratic.
#[cfg(any(test, debug_assertions))]
const CHECKED_MAX: usize = 256;

/// The most names of one node, one after the other. Each takes an absence during which hundreds of others have departed.
pub(super) const NAMES_MAX: u64 = 32;

/// The name under which the sums stand in digests.
const FOLD: NodeId = NodeId(0);

/// What makes other numbers of names: the golden ratio.
const SALT: u64 = 0x9e37_79b9_7f4a_7c15;

/// What the oldest departed nodes had counted.
#[derive(Debug)]
pub(super) struct Fold {
    /// In their order.
    names: Vec<NodeId>,
    list_digest: u64,
    pairs: Pairs,
}

impl Default for Fold {
    fn default() -> Self {
        Self { names: Vec::new(), list_digest: 0, pairs: Pairs::new(FOLD) }
    }
}

impl Fold {
    pub(super) fn write(&self, stays: &StaysTable, out: &mut Writer) {
        let Self { names, list_digest: _, pairs } = self;
        out.count(names.len());
        for name in names {
            out.fixed(name.0);
        }
        pairs.write(stays, out);
    }

    /// The fold that was written, of namespaces that are `there`.
    pub(super) fn read(there: &dyn Fn(NamespaceId) -> bool, stays: &mut StaysTable, from: &mut Reader<'_>) -> Self {
        let (mut fold, mut list) = (Self::default(), from.list());
        while from.has_next(&mut list) {
            let is_new = fold.list(NodeId(from.fixed()));
            from.check(is_new, "a name that is listed twice, or one too many");
        }
        fold.pairs = Pairs::read(there, stays, from);
        fold
    }

    /// Whether no node can be listed any more.
    pub(super) fn is_full(&self) -> bool {
        self.names.len() >= FOLDED_MAX
    }

    /// Whether this name is listed.
    pub(super) fn contains(&self, name: NodeId) -> bool {
        self.names.binary_search(&name).is_ok()
    }

    /// The listed names after this one, or all, in order.
    pub(super) fn names_after(&self, name: Option<NodeId>) -> impl Iterator<Item = NodeId> {
        let passed = name.map_or(0, |name| self.names.partition_point(|&listed| listed <= name));
        self.names.iter().skip(passed).copied()
    }

    /// Lists a name; returns whether it is new, and there was room.
    pub(super) fn list(&mut self, name: NodeId) -> bool {
        let Err(place) = self.names.binary_search(&name) else { return false };
        if self.is_full() {
            return false;
        }
        // Of 32,768 names some 130 kB are moved, for 5 us.
        self.names.insert(place, name);
        self.list_digest = self.list_digest.wrapping_add(mix(name.0 ^ SALT));
        true
    }

    /// Which of its names a node has its sums under, counted from 0, and that name.
    pub(super) fn name_of(&self, node: NodeId) -> (u64, NodeId) {
        let (mut number, mut name) = (0, node);
        while number + 1 < NAMES_MAX && self.contains(name) {
            (number, name) = (number + 1, NodeId(mix(name.0 ^ SALT)));
        }
        (number, name)
    }

    /// The names that a node had its sums under before.
    pub(super) fn former_names(&self, node: NodeId) -> impl Iterator<Item = NodeId> {
        let (count, _) = self.name_of(node);
        (0..count).scan(node, |name, _| {
            let former = *name;
            *name = NodeId(mix(name.0 ^ SALT));
            Some(former)
        })
    }

    /// The digest of the list.
    pub(super) fn list_digest(&self) -> u64 {
        self.list_digest
    }

    /// The digest of the list and the sums.
    pub(super) fn digest(&self) -> u64 {
        self.list_digest.wrapping_add(self.pairs.digest())
    }

    /// The number of namespaces that have a sum.
    pub(super) fn pair_count(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there is a sum for the namespace.
    pub(super) fn has(&self, namespace: NamespaceId) -> bool {
        self.pairs.get(namespace).is_some()
    }

    /// The sum for a namespace, as it is announced.
    pub(super) fn sums(&self, namespace: NamespaceId, stays: &StaysTable) -> Option<Sums> {
        let Sums { connections, member_ticks, stays } = self.pairs.sums(namespace, stays)?;
        let stays = stays.map(|count| count.min(SUMMAND_MAX));
        Some(Sums { connections: connections.min(SUMMAND_MAX), member_ticks, stays })
    }

    /// Adds what one more listed node had counted in a namespace.
    pub(super) fn add(&mut self, place: Place, sums: &Sums, stays: &mut StaysTable) -> Change {
        self.pairs.add(place, sums, stays)
    }

    /// Raises a sum to what another node has for the same list.
    pub(super) fn raise(&mut self, place: Place, sums: &Sums, stays: &mut StaysTable) -> Change {
        self.pairs.raise(place, sums, false, stays)
    }

    /// Forgets a namespace.
    pub(super) fn forget(&mut self, place: Place, stays: &mut StaysTable) {
        self.pairs.forget(place, stays);
    }

    /// Panics if the sums do not balance. Adds them to what all nodes have in each namespace; returns the number of
    /// histograms that have a place.
    #[cfg(any(test, debug_assertions))]
    pub(super) fn check(
        &self,
        stays: &StaysTable,
        digest_of: impl Fn(NamespaceId) -> u64,
        elsewhere: &mut std::collections::HashMap<NamespaceId, crate::meter::book::invariants::Elsewhere>,
    ) -> usize {
        if self.names.len() <= CHECKED_MAX {
            let list_digest = self.names.iter().fold(0_u64, |sum, name| sum.wrapping_add(mix(name.0 ^ SALT)));
            assert_eq!(self.list_digest, list_digest, "the digest of the list is that of its names");
        }
        assert!(!self.pairs.has_members(), "a folded node has no members");
        self.pairs.check(stays, None, digest_of, elsewhere)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_goes_on_under_its_next_name_and_all_come_to_the_same() {
        let mut fold = Fold::default();
        assert_eq!(fold.name_of(NodeId(7)), (0, NodeId(7)));
        let mut names = vec![NodeId(7)];
        for number in 1..NAMES_MAX {
            assert!(fold.list(*names.last().unwrap()));
            let (found, name) = fold.name_of(NodeId(7));
            assert_eq!((found, names.contains(&name)), (number, false));
            assert_eq!(fold.former_names(NodeId(7)).collect::<Vec<_>>(), names);
            names.push(name);
        }
        let last = *names.last().unwrap();
        assert!(fold.list(last));
        assert_eq!(fold.name_of(NodeId(7)), (NAMES_MAX - 1, last), "that is the last one, for what it is worth");
    }

    #[test]
    fn lists_are_the_same_whatever_the_order_and_each_name_counts_once() {
        let [mut first, mut second] = [Fold::default(), Fold::default()];
        for name in 0..1_000 {
            assert!(first.list(NodeId(name * 77)));
            assert!(!first.list(NodeId(name * 77)));
            second.list(NodeId((999 - name) * 77));
        }
        assert_eq!(first.digest(), second.digest());
        assert!(first.names_after(None).eq((0..1_000).map(|name| NodeId(name * 77))));
        assert!(first.names_after(Some(NodeId(77 * 997))).eq([998, 999].map(|name| NodeId(name * 77))));
        assert_eq!(first.names_after(Some(NodeId(u64::MAX))).count(), 0);
    }

    #[test]
    fn a_list_that_is_full_takes_no_more() {
        let mut fold = Fold::default();
        assert_eq!((0..FOLDED_MAX as u64 + 9).filter(|&name| fold.list(NodeId(name))).count(), FOLDED_MAX);
        assert!(fold.is_full() && !fold.contains(NodeId(FOLDED_MAX as u64)));
    }
}
