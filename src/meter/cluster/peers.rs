//! The other nodes: which of them are living, and how much of each is known.
//!
//! Owns the table of their records ([`Peer`]), and the sums over all of them. It does not decide when a node is asked:
//! [`Cluster`](super::Cluster) does. The totals lie in the namespaces, so a total costs nothing.
//!
//! A departed node leaves its sums behind, `connections` and how long its members stayed, because they happened. Its members
//! are gone with it. It may have had members in 100,000 namespaces. They are taken off the counts in the order of the
//! namespaces' keys, a slice per turn; meanwhile each total is one that was true or will be.
//!
//! Of many departed nodes the oldest are folded: their names are listed, and their sums become part of one sum ([`Fold`]), a
//! slice per turn. That moves what was counted, and changes no total.
//!
//! | file | owns |
//! |---|---|
//! | `sections` | other nodes as bytes |
//!
//! Invariant: a peer has members only while it is living, or while they are being removed; then none are left in the
//! namespaces before `removal`. `singles_digest` is the digest over the pairs of all peers that are away and not folded.

pub(super) mod sections;

use std::collections::{HashMap, VecDeque};

use super::fold::Fold;
use super::pairs::{Place, Stamp};
use super::peer::{Peer, Presence};
use crate::collections::key::{Key as _, key_type};
use crate::collections::order::in_order;
use crate::collections::slab::{Slab, Walk};
use crate::collections::tick::Tick;
use crate::meter::accounts::stays::StaysTable;
use crate::meter::book::change::{Change, Present};
#[cfg(any(test, debug_assertions))]
use crate::meter::book::invariants::Elsewhere;
use crate::meter::book::keys::NamespaceId;
use crate::meter::news::{NodeId, Sums};

key_type! {
    /// A peer's key.
    pub(super) PeerId
}

/// All other nodes.
pub(super) struct Peers {
    pub(super) table: Slab<PeerId, Peer>,
    /// By the names that their sums stand under.
    by_name: HashMap<NodeId, PeerId>,
    /// The number of peers that are living.
    living: usize,
    /// Peers whose members are being removed, and perhaps some for which that is over.
    removals: VecDeque<PeerId>,
    /// The digest over all pairs of peers that are away and not folded: equal at two nodes that know the same.
    pub(super) singles_digest: u64,
    pub(super) fold: Fold,
    /// Listed names whose sums are on their way into the fold.
    pub(super) moves: VecDeque<NodeId>,
    /// Where the first of them goes on.
    pub(super) move_from: NamespaceId,
    /// While this node's own sums are on their way into the fold: the first namespace in which they may still be.
    pub(super) renewal: Option<NamespaceId>,
    /// Counts departures.
    departure: u64,
    /// How long former members stayed, by pair.
    pub(super) stays: StaysTable,
}

impl Default for Peers {
    fn default() -> Self {
        Self {
            table: Slab::default(),
            by_name: HashMap::new(),
            living: 0,
            removals: VecDeque::new(),
            singles_digest: 0,
            fold: Fold::default(),
            moves: VecDeque::new(),
            move_from: NamespaceId::FIRST,
            renewal: None,
            departure: 0,
            stays: StaysTable::default(),
        }
    }
}

impl Peers {
    /// The key of a node.
    pub(super) fn find(&self, node: NodeId) -> Option<PeerId> {
        self.find_name(self.fold.name_of(node).1)
    }

    /// The key of the node whose sums stand under this name.
    pub(super) fn find_name(&self, name: NodeId) -> Option<PeerId> {
        self.by_name.get(&name).copied()
    }

    /// Whether nothing of a node is on its way off the counts or into the fold.
    pub(super) fn is_free(&self, node: NodeId) -> bool {
        let is_still = |id: PeerId| !self.at(id).is_being_removed() && !self.at(id).is_folding;
        self.find(node).is_none_or(is_still)
            && self.fold.former_names(node).all(|name| !self.by_name.contains_key(&name))
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

    /// Whether a node is among those that are living.
    pub(super) fn has_living(&self, node: NodeId) -> bool {
        self.find(node).is_some_and(|id| self.at(id).is_living())
    }

    /// The number of living nodes whose names are less than this.
    pub(super) fn lesser_count(&self, name: NodeId) -> u32 {
        self.living().fold(0, |count, peer| count + u32::from(peer.node < name))
    }

    /// The number of peers, remembered ones included.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// The first peer from this key on of which nothing is left but what it had counted.
    pub(super) fn next_remembered(&self, from: PeerId) -> Option<(PeerId, &Peer)> {
        let mut walk = Walk::new(from, usize::MAX);
        std::iter::from_fn(|| self.table.step(&mut walk)).find(|(_, peer)| peer.is_remembered())
    }

    /// The number of departed nodes whose sums stand under their own names.
    pub(super) fn single_count(&self) -> usize {
        self.table.len().saturating_sub(self.living + self.moves.len())
    }

    /// The names of all of them but the youngest, which are this many.
    pub(super) fn oldest_singles(&self, youngest: usize) -> Vec<NodeId> {
        let singles = self.iter().filter(|peer| peer.is_remembered());
        let singles = singles.map(|peer| (peer.departure, peer.pairs.name()));
        let mut singles: Vec<(u64, NodeId)> = in_order(singles.collect());
        singles.truncate(singles.len().saturating_sub(youngest));
        singles.into_iter().map(|(_, name)| name).collect()
    }

    /// Adds a node that is not there, as far as is known, whose sums stand under this name.
    pub(super) fn insert(&mut self, name: NodeId, now: Tick) -> PeerId {
        let id = self.table.insert(Peer::new(name, now));
        self.by_name.insert(name, id);
        self.set_departure(id);
        id
    }

    fn set_departure(&mut self, id: PeerId) {
        self.departure += 1;
        self.table.at_mut(id).departure = self.departure;
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
        debug_assert!(before == presence || !peer.is_folding, "a folded node does not come back under the same name");
        match (before == Presence::Living, presence == Presence::Living) {
            (true, false) => {
                self.living -= 1;
                self.singles_digest = self.singles_digest.wrapping_add(peer.pairs.digest());
            }
            (false, true) => {
                self.living += 1;
                self.singles_digest = self.singles_digest.wrapping_sub(peer.pairs.digest());
            }
            _ => {}
        }
    }

    /// Forgets a node that has left nothing behind.
    pub(super) fn remove(&mut self, id: PeerId) {
        self.set_presence(id, Presence::Departed);
        if let Some(peer) = self.table.remove(id) {
            debug_assert!(peer.pairs.is_empty(), "what was counted is kept");
            self.by_name.remove(&peer.pairs.name());
        }
    }

    /// The digest of what is known of departed nodes.
    pub(super) fn departed_digest(&self) -> u64 {
        self.singles_digest.wrapping_add(self.fold.digest())
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
        peer.departed_digest = None;
        peer.removal = Some(NamespaceId::FIRST);
        self.removals.push_back(id);
        self.set_departure(id);
    }

    /// Whether members of departed nodes are still being removed.
    pub(super) fn is_removing(&self) -> bool {
        !self.removals.is_empty()
    }

    /// Has the sums of a living peer stand under its next name from now on, for the one before is listed. What it has counted
    /// so far stays behind, as that of a departed node, and the peer is asked for everything. Returns whether that can be:
    /// otherwise it has to be met anew.
    pub(super) fn rename(&mut self, id: PeerId, now: Tick) -> bool {
        let peer = self.table.at_mut(id);
        let (former, (_, name)) = (peer.pairs.name(), self.fold.name_of(peer.node));
        if self.by_name.contains_key(&name) {
            return false;
        }
        let renamed = peer.pairs.renamed(name);
        let pairs = std::mem::replace(&mut peer.pairs, renamed);
        peer.base = peer.base.max(peer.known);
        (peer.known, peer.ask_at) = (0, now);
        self.by_name.remove(&former);
        self.by_name.insert(name, id);
        if !pairs.is_empty() {
            let left = self.insert(former, now);
            self.singles_digest = self.singles_digest.wrapping_add(pairs.digest());
            let peer = self.table.at_mut(left);
            (peer.pairs, peer.removal) = (pairs, Some(NamespaceId::FIRST));
            self.removals.push_back(left);
        }
        true
    }

    /// Whether sums are on their way into the fold. Until they are there, it is compared with no other.
    pub(super) fn is_folding(&self) -> bool {
        !self.moves.is_empty() || self.renewal.is_some()
    }

    /// Adds what a listed node had counted to the fold, which is taken off elsewhere; returns what changes by it.
    pub(super) fn add_to_fold(&mut self, place: Place, sums: &Sums) -> Change {
        self.fold.add(place, sums, &mut self.stays)
    }

    /// Whether sums say something here that belong to a list of this digest. They say nothing about another list, nor while
    /// sums are on their way.
    pub(super) fn takes_fold_of(&self, list_digest: u64) -> bool {
        list_digest == self.fold.list_digest() && !self.is_folding()
    }

    /// Raises a sum of the fold to what another node has for the same list.
    pub(super) fn raise_fold(&mut self, place: Place, sums: &Sums) -> Change {
        self.fold.raise(place, sums, &mut self.stays)
    }

    /// What the listed nodes had counted in a namespace.
    pub(super) fn fold_sums(&self, namespace: NamespaceId) -> Option<Sums> {
        self.fold.sums(namespace, &self.stays)
    }

    /// Applies what a peer itself reports.
    pub(super) fn apply(&mut self, id: PeerId, place: Place, stamp: Stamp, present: Present, sums: &Sums) -> Change {
        self.change_pairs(id, |peer, stays| peer.pairs.apply(place, stamp, present, sums, stays))
    }

    /// Raises what a peer has counted to what others report.
    pub(super) fn raise(&mut self, id: PeerId, place: Place, sums: &Sums) -> Change {
        self.change_pairs(id, |peer, stays| peer.pairs.raise(place, sums, peer.is_living(), stays))
    }

    /// Removes the members of a departed node from the next namespace that has some; returns what changes there. Looks at no
    /// more namespaces than `budget` has, and takes them off it.
    pub(super) fn remove_next(
        &mut self,
        budget: &mut usize,
        digest_of: impl Fn(NamespaceId) -> u64,
    ) -> Option<(PeerId, NamespaceId, Change)> {
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
            return Some((id, namespace, self.change_pairs(id, |peer, stays| peer.pairs.remove_members(place, stays))));
        }
        None
    }

    /// Forgets what all peers have counted in a namespace. Returns the peers of which nothing is left that way.
    pub(super) fn forget_namespace(&mut self, place: Place) -> Vec<PeerId> {
        let mut traceless = Vec::new();
        self.fold.forget(place, &mut self.stays);
        for (id, peer) in self.table.iter_mut() {
            let before = peer.pairs.digest();
            if !peer.pairs.forget(place, &mut self.stays) {
                continue;
            }
            if peer.is_single() {
                let change = peer.pairs.digest().wrapping_sub(before);
                self.singles_digest = self.singles_digest.wrapping_add(change);
            }
            if !peer.is_living() && peer.pairs.is_empty() {
                traceless.push(id);
            }
        }
        traceless
    }

    /// Changes pairs of a peer, and keeps the sums over all peers in step.
    fn change_pairs(&mut self, id: PeerId, change: impl FnOnce(&mut Peer, &mut StaysTable) -> Change) -> Change {
        let peer = self.table.at_mut(id);
        let before = peer.pairs.digest();
        let change = change(peer, &mut self.stays);
        if peer.is_single() {
            let added = peer.pairs.digest().wrapping_sub(before);
            self.singles_digest = self.singles_digest.wrapping_add(added);
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
        let (mut singles_digest, mut living) = (0_u64, 0);
        let mut histograms = self.fold.check(&self.stays, &digest_of, &mut elsewhere);
        for peer in self.iter() {
            histograms += peer.pairs.check(&self.stays, peer.removal, &digest_of, &mut elsewhere);
            let may_have_members = peer.is_living() || peer.is_being_removed();
            assert!(may_have_members || !peer.pairs.has_members(), "a departed node takes its members with it");
            assert!(!(peer.is_living() && peer.is_being_removed()), "a peer comes back after its removal");
            living += usize::from(peer.is_living());
            singles_digest = singles_digest.wrapping_add(if peer.is_single() { peer.pairs.digest() } else { 0 });
            let is_listed = self.fold.contains(peer.pairs.name());
            assert!(!peer.is_folding || (is_listed && !peer.is_living()), "only listed nodes are folded");
            assert_eq!(self.by_name.get(&peer.pairs.name()).map(|&id| self.at(id).node), Some(peer.node), "its name");
        }
        assert_eq!(self.by_name.len(), self.table.len(), "each peer has a name of its own");
        assert_eq!((self.singles_digest, self.living), (singles_digest, living), "the sums over all peers");
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
            Present { counted: 3, ..Present::default() },
            &sums(4, 20),
        );
        let present = (change.before.counted, change.after.counted);
        assert_eq!((present, change.connections, change.joins), ((0, 3), 4, 3));
        let at = |ticks: u64| change.member_ticks.wrapping_add(3 * ticks);
        assert_eq!((at(1_010), at(1_020)), (20, 50), "its 100 is 1,010 here");
        peers.at_mut(peer).pairs.move_clock(104);
        peers.depart(peer);
        assert_eq!(peers.remove_next(&mut 5, digest_of), None, "it is in the sixth");
        let (_, namespace, lost) = peers.remove_next(&mut 5, digest_of).unwrap();
        assert_eq!((namespace, lost.before.counted, lost.after), (id(5), 3, Present::default()));
        assert_eq!(change.member_ticks.wrapping_add(lost.member_ticks), 32, "3 members for 4 ticks more");
        assert_eq!(peers.remove_next(&mut 5, digest_of), None);
        peers.check(digest_of);
        let reported = peers.at(peer).pairs.sums(id(5), &peers.stays).unwrap();
        assert_eq!((reported.connections, reported.member_ticks), (4, 32));
        assert_eq!(peers.raise(peer, place(5), &sums(3, 31)).member_ticks, 0, "another node knows less of it");
        assert_eq!(peers.raise(peer, place(5), &sums(3, 33)).member_ticks, 1);
    }
}
