//! The other nodes: which of them are living, and how much of each is known.
//!
//! Owns the table of their records ([`Peer`]), and the sums over all of them. It does not decide when a node is asked:
//! [`Cluster`](super::Cluster) does. The totals lie in the namespaces, so a total costs nothing.
//!
//! A departed node leaves its sums behind, `connections` and how long its members stayed, because they happened. Its members
//! are gone with it. It may have had members in 100,000 namespaces. They are taken off the counts in the order of the
//! namespaces' keys, a slice per turn; meanwhile each total is one that was true or will be.
//!
//! Invariant: a peer has members only while it is living, or while they are being removed; then none are left in the
//! namespaces before `removal`. `departed_digest` is the digest over the pairs of all peers that are away.

use std::collections::{HashMap, VecDeque};

use super::pairs::{Place, Stamp};
use super::peer::{Peer, Presence};
use crate::collections::key::Key as _;
use crate::collections::key::key_type;
use crate::collections::slab::Slab;
use crate::collections::tick::Tick;
use crate::meter::accounts::stays::StaysTable;
#[cfg(any(test, debug_assertions))]
use crate::meter::book::invariants::Elsewhere;
use crate::meter::book::keys::NamespaceId;
use crate::meter::book::namespace::{Change, Present};
use crate::meter::news::{NodeId, Sums};

key_type! {
    /// A peer's key.
    pub(super) PeerId
}

/// All other nodes.
#[derive(Default)]
pub(super) struct Peers {
    table: Slab<PeerId, Peer>,
    by_node: HashMap<NodeId, PeerId>,
    /// The number of peers that are living.
    living: usize,
    /// Peers whose members are being removed, and perhaps some for which that is over.
    removals: VecDeque<PeerId>,
    /// The digest over all pairs of peers that are away: equal at two nodes that know the same.
    departed_digest: u64,
    /// How long former members stayed, by pair.
    stays: StaysTable,
}

impl Peers {
    /// The key of a node.
    pub(super) fn find(&self, node: NodeId) -> Option<PeerId> {
        self.by_node.get(&node).copied()
    }

    /// The peer of this key.
    pub(super) fn at(&self, id: PeerId) -> &Peer {
        self.table.at(id)
    }

    /// The peer of this key, if it is still remembered.
    pub(super) fn get(&self, id: PeerId) -> Option<&Peer> {
        self.table.get(id)
    }

    /// The peer of this key, to change.
    pub(super) fn at_mut(&mut self, id: PeerId) -> &mut Peer {
        self.table.at_mut(id)
    }

    /// All peers.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Peer> {
        self.table.iter().map(|(_, peer)| peer)
    }

    /// All peers that are living.
    pub(super) fn living(&self) -> impl Iterator<Item = &Peer> {
        self.iter().filter(|peer| peer.is_living())
    }

    /// All peers that are living, to change.
    pub(super) fn living_mut(&mut self) -> impl Iterator<Item = &mut Peer> {
        self.table.iter_mut().map(|(_, peer)| peer).filter(|peer| peer.is_living())
    }

    /// The number of peers, remembered ones included.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// The first peer from this key on of which nothing is left but what it had counted.
    pub(super) fn next_remembered(&self, from: PeerId) -> Option<(PeerId, &Peer)> {
        self.table.iter_from(from).find(|(_, peer)| peer.is_remembered())
    }

    /// Adds a node that is not there, as far as is known.
    pub(super) fn insert(&mut self, node: NodeId, now: Tick) -> PeerId {
        let id = self.table.insert(Peer::new(node, now));
        self.by_node.insert(node, id);
        id
    }

    /// Whether no other node is there to receive anything.
    pub(super) fn is_alone(&self) -> bool {
        self.living == 0
    }

    /// The number of peers that are living.
    pub(super) fn living_count(&self) -> usize {
        self.living
    }

    /// A node is there.
    pub(super) fn revive(&mut self, id: PeerId) {
        self.set_presence(id, Presence::Living);
    }

    /// The newest version of the format that all living peers read, and this node, which reads up to `own`.
    pub(super) fn newest_format(&self, own: u8) -> u8 {
        self.living().map(|peer| peer.newest_format).fold(own, u8::min)
    }

    fn set_presence(&mut self, id: PeerId, presence: Presence) {
        let peer = self.table.at_mut(id);
        let before = std::mem::replace(&mut peer.presence, presence);
        match (before == Presence::Living, presence == Presence::Living) {
            (true, false) => {
                self.living -= 1;
                self.departed_digest = self.departed_digest.wrapping_add(peer.pairs.digest());
            }
            (false, true) => {
                self.living += 1;
                self.departed_digest = self.departed_digest.wrapping_sub(peer.pairs.digest());
            }
            _ => {}
        }
    }

    /// Forgets a node that has left nothing behind.
    pub(super) fn remove(&mut self, id: PeerId) {
        self.set_presence(id, Presence::Departed);
        if let Some(peer) = self.table.remove(id) {
            debug_assert!(peer.pairs.is_empty(), "what was counted is kept");
            self.by_node.remove(&peer.node);
        }
    }

    /// The digest of what is known of departed nodes.
    pub(super) fn departed_digest(&self) -> u64 {
        self.departed_digest
    }

    /// A peer has gone. Its members are still to be taken off the counts.
    pub(super) fn depart(&mut self, id: PeerId) {
        if !self.table.at(id).is_living() {
            return;
        }
        self.set_presence(id, Presence::Departed);
        let peer = self.table.at_mut(id);
        // Should it come back, it is asked for everything.
        peer.known = 0;
        peer.removal = Some(NamespaceId::FIRST);
        self.removals.push_back(id);
    }

    /// Whether members of departed nodes are still being removed.
    pub(super) fn is_removing(&self) -> bool {
        !self.removals.is_empty()
    }

    /// Applies what a peer itself reports.
    pub(super) fn apply(&mut self, id: PeerId, place: Place, stamp: Stamp, present: Present, sums: &Sums) -> Change {
        self.change_pairs(id, |peer, stays| peer.pairs.apply(place, stamp, present, sums, stays))
    }

    /// Raises what a peer has counted to what others report.
    pub(super) fn raise(&mut self, id: PeerId, place: Place, sums: &Sums) -> Change {
        self.change_pairs(id, |peer, stays| peer.pairs.raise(place, sums, peer.is_living(), stays))
    }

    /// What a departed node had counted in a namespace.
    pub(super) fn sums_of(&self, peer: &Peer, namespace: NamespaceId) -> Option<Sums> {
        peer.pairs.sums(namespace, &self.stays)
    }

    /// Removes the members of a departed node from the next namespace that has some; returns what changes there. Looks at no
    /// more namespaces than `budget` has, and takes them off it.
    pub(super) fn remove_next(
        &mut self,
        budget: &mut usize,
        digest_of: impl Fn(NamespaceId) -> u64,
    ) -> Option<(NamespaceId, Change)> {
        while let Some(&id) = self.removals.front() {
            // The peer may be forgotten, and its key another's.
            let removal = self.table.get(id).and_then(|peer| Some((peer.removal?, peer)));
            let Some((first, peer)) = removal.filter(|(_, peer)| peer.pairs.has_members()) else {
                self.end_removal(id);
                continue;
            };
            let before = *budget;
            let found = peer.pairs.next_occupied(first, budget);
            self.table.at_mut(id).removal = NamespaceId::from_index(first.index() + before - *budget);
            let namespace = found?;
            let place = Place { namespace, name_digest: digest_of(namespace) };
            return Some((namespace, self.change_pairs(id, |peer, stays| peer.pairs.remove_members(place, stays))));
        }
        None
    }

    /// Forgets what all peers have counted in a namespace. Returns the peers of which nothing is left that way.
    pub(super) fn forget_namespace(&mut self, place: Place) -> Vec<PeerId> {
        let mut traceless = Vec::new();
        for (id, peer) in self.table.iter_mut() {
            let before = peer.pairs.digest();
            if !peer.pairs.forget(place, &mut self.stays) {
                continue;
            }
            if !peer.is_living() {
                let change = peer.pairs.digest().wrapping_sub(before);
                self.departed_digest = self.departed_digest.wrapping_add(change);
                if peer.pairs.is_empty() {
                    traceless.push(id);
                }
            }
        }
        traceless
    }

    /// Changes pairs of a peer, and keeps the sums over all peers in step.
    fn change_pairs(&mut self, id: PeerId, change: impl FnOnce(&mut Peer, &mut StaysTable) -> Change) -> Change {
        let peer = self.table.at_mut(id);
        let before = peer.pairs.digest();
        let change = change(peer, &mut self.stays);
        if !peer.is_living() {
            let added = peer.pairs.digest().wrapping_sub(before);
            self.departed_digest = self.departed_digest.wrapping_add(added);
        }
        change
    }

    fn end_removal(&mut self, id: PeerId) {
        self.removals.pop_front();
        if let Some(peer) = self.table.get_mut(id) {
            peer.removal = None;
        }
    }

    /// Panics if the sums over all peers do not balance. Returns what all other nodes have in each namespace.
    #[cfg(any(test, debug_assertions))]
    pub(super) fn check(&self, digest_of: impl Fn(NamespaceId) -> u64) -> HashMap<NamespaceId, Elsewhere> {
        let mut elsewhere = HashMap::new();
        let (mut departed_digest, mut living, mut histograms) = (0_u64, 0, 0);
        for peer in self.iter() {
            histograms += peer.pairs.check(&self.stays, peer.removal, &digest_of, &mut elsewhere);
            let may_have_members = peer.is_living() || peer.is_being_removed();
            assert!(may_have_members || !peer.pairs.has_members(), "a departed node takes its members with it");
            assert!(!(peer.is_living() && peer.is_being_removed()), "a peer comes back after its removal");
            living += usize::from(peer.is_living());
            departed_digest = departed_digest.wrapping_add(if peer.is_living() { 0 } else { peer.pairs.digest() });
        }
        assert_eq!((self.departed_digest, self.living), (departed_digest, living), "the sums over all peers");
        assert_eq!(self.stays.len(), histograms, "no histogram is left behind");
        elsewhere
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::digest::name_digest;

    fn id(namespace: u32) -> NamespaceId {
        NamespaceId::new(namespace)
    }

    /// A digest for each namespace, of no name.
    fn digest_of(namespace: NamespaceId) -> u64 {
        namespace.index() as u64
    }

    fn place(namespace: u32) -> Place {
        Place { namespace: id(namespace), name_digest: u64::from(namespace) }
    }

    fn sums(connections: u64, member_ticks: u64) -> Sums {
        Sums { connections, member_ticks, ..Sums::default() }
    }

    #[test]
    fn sums_that_differ_do_not_make_up_for_each_other() {
        let digest = |counts: [u64; 2]| {
            let mut peers = Peers::default();
            let peer = peers.insert(NodeId(7), Tick(0));
            for (namespace, count) in (0_u32..).zip(counts) {
                let name_digest = name_digest(&format!("ns{namespace}"));
                peers.raise(peer, Place { name_digest, ..place(namespace) }, &sums(count, 64 - count));
            }
            peers.departed_digest()
        };
        let mut seen = std::collections::HashSet::new();
        for counts in (0..64).flat_map(|first| (0..64).map(move |second| [first, second])) {
            assert!(seen.insert(digest(counts)), "{counts:?}");
        }
    }

    #[test]
    fn digests_are_the_same_whatever_the_order() {
        let mut digests = Vec::new();
        for order in [[0, 1, 2], [2, 0, 1]] {
            let mut peers = Peers::default();
            let peer = peers.insert(NodeId(7), Tick(0));
            for namespace in order {
                peers.raise(peer, place(namespace), &sums(5, 50));
            }
            for (connections, member_ticks, bucket) in [(9, 10, 1), (3, 80, 2), (1, 1, 1)] {
                let mut sums = sums(connections, member_ticks);
                sums.stays[bucket] = connections;
                peers.raise(peer, place(1), &sums);
            }
            digests.push(peers.departed_digest());
            peers.check(digest_of);
            for namespace in order {
                peers.forget_namespace(place(namespace));
            }
            assert_eq!(peers.departed_digest(), 0);
            peers.check(digest_of);
        }
        assert_eq!(digests[0], digests[1]);
    }

    #[test]
    fn the_sums_of_a_departed_node_end_at_the_last_time_of_its_own_clock() {
        let mut peers = Peers::default();
        let peer = peers.insert(NodeId(7), Tick(0));
        peers.revive(peer);
        peers.at_mut(peer).pairs.set_clock(90, Tick(1_000));
        // At its 100, 3 members have been there for 20 in all.
        let change = peers.apply(
            peer,
            place(5),
            Stamp { number: 1, clock: 100 },
            Present { counted: 3, uncounted: 0 },
            &sums(4, 20),
        );
        let present = (change.before.counted, change.after.counted);
        assert_eq!((present, change.connections, change.joins), ((0, 3), 4, 3));
        let at = |ticks: u64| change.member_ticks.wrapping_add(3 * ticks);
        assert_eq!((at(1_010), at(1_020)), (20, 50), "its 100 is 1,010 here");
        peers.at_mut(peer).pairs.move_clock(104);
        peers.depart(peer);
        assert_eq!(peers.remove_next(&mut 5, digest_of), None, "it is in the sixth");
        let (namespace, lost) = peers.remove_next(&mut 5, digest_of).unwrap();
        assert_eq!((namespace, lost.before.counted, lost.after), (id(5), 3, Present::default()));
        assert_eq!(change.member_ticks.wrapping_add(lost.member_ticks), 32, "3 members for 4 ticks more");
        assert_eq!(peers.remove_next(&mut 5, digest_of), None);
        peers.check(digest_of);
        let reported = peers.sums_of(peers.at(peer), id(5)).unwrap();
        assert_eq!((reported.connections, reported.member_ticks), (4, 32));
        assert_eq!(peers.raise(peer, place(5), &sums(3, 31)).member_ticks, 0, "another node knows less of it");
        assert_eq!(peers.raise(peer, place(5), &sums(3, 33)).member_ticks, 1);
    }
}
