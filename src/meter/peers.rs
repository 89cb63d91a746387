//! The other nodes: who is there, how much of each is known, and what each has counted.
//!
//! Owns a record per node and a pair of numbers per node and namespace. It does not decide whom to ask, or when:
//! [`cluster`](super::cluster) does. The sums over all nodes lie in the namespaces, so that a total costs nothing.
//!
//! A node that is gone leaves its `connections` behind: they happened. Its members are gone with it.
//!
//! A node that is gone may have had members in 100,000 namespaces. They are taken off the counts in the order of the
//! namespaces' keys, a slice per turn; meanwhile each total is one that was true or will be.
//!
//! Invariant: a peer's `members` is the sum over its pairs, and 0 unless it is living or being buried; then none are left
//! in the namespaces before `burial`. `graves` is the digest of the pairs of those who are away.

use std::collections::{HashMap, VecDeque};

use super::digest::grave_digest;
use super::inbox::Inbox;
use super::namespace::Present;
use super::news::NodeId;
use super::window::Window;
use super::{COUNTERS_MAX, NamespaceId};
use crate::collections::Key;
use crate::collections::shards::{BuildKeyHasher, ShardMap};
use crate::collections::slab::Slab;
use crate::collections::tick::Tick;

/// A peer's key.
pub(super) type PeerId = Key;

/// Whether a peer is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// It is there.
    Living,
    /// It is not: it has said goodbye, or nothing for too long, or has only been heard of. If something was heard of it
    /// since, that may be a recording: it is there once it repeats the nonce.
    Away { nonce: Option<u64> },
}

/// It has gone, and nothing was heard of it since.
const GONE: Presence = Presence::Away { nonce: None };

/// In how many parts its pairs are looked up: with 1,000,000 of them, one part takes 0.7 ms to grow.
const PAIR_SHARDS: usize = 16;

/// What a peer has counted in a namespace.
///
/// Aligned to 4 bytes, so that with its key it takes 24 and not 32: there is one for each node and namespace, and a table
/// that has just doubled takes 57 bytes for each.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, packed(4))]
pub(super) struct Pair {
    /// The number of the datagram that said so: an earlier one that arrives later says nothing.
    pub(super) number: u64,
    pub(super) connections: u64,
    pub(super) members: u32,
}

const _: () = assert!(size_of::<(NamespaceId, Pair)>() == 24);

/// Another node.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) node: NodeId,
    pub(super) presence: Presence,
    pub(super) heard_at: Tick,
    /// Up to which version all of its items are known.
    pub(super) known: u64,
    /// The version it was at when it was found to be there: nothing older was heard of it.
    pub(super) base: u64,
    /// The version it is at, as far as it was heard.
    pub(super) version: u64,
    /// When it may be asked again.
    pub(super) ask_at: Tick,
    /// How many of its members are counted here.
    pub(super) members: u64,
    pub(super) pairs: ShardMap<NamespaceId, Pair, BuildKeyHasher>,
    /// How many more it has, in each namespace that has some, who are not counted. A pair is there for each of those, too.
    uncounted: HashMap<NamespaceId, u32, BuildKeyHasher>,
    /// The digest of what it has counted in all.
    digest: u64,
    /// While it is being buried: the first namespace in which its members may still be counted. It is back when that is over.
    burial: Option<NamespaceId>,
    pub(super) inbox: Inbox,
    /// What it last told of itself.
    pub(super) counters: Box<[u64]>,
    window: Window,
}

/// All other nodes.
#[derive(Default)]
pub(super) struct Peers {
    table: Slab<Peer>,
    by_node: HashMap<NodeId, PeerId>,
    /// How many are there, or may be.
    company: usize,
    /// How many are there.
    living: usize,
    /// How many are away and have left something behind.
    remembered: usize,
    /// Those who are being buried, and perhaps some who were.
    burials: VecDeque<PeerId>,
    /// The digest of all pairs of those who are gone: equal at two nodes that know the same.
    graves: u64,
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
    pub(super) fn iter(&self) -> impl Iterator<Item = (PeerId, &Peer)> {
        self.table.iter()
    }

    /// The first peer from this key on of which nothing is left but what it had counted.
    pub(super) fn next_remembered(&self, from: PeerId) -> Option<(PeerId, &Peer)> {
        self.table.iter_from(from).find(|(_, peer)| peer.is_remembered())
    }

    /// How many are remembered, present or gone.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// Remembers a node.
    pub(super) fn insert(&mut self, node: NodeId, presence: Presence, now: Tick) -> PeerId {
        let id = self.table.insert(Peer {
            node,
            presence,
            heard_at: now,
            known: 0,
            base: 0,
            version: 0,
            ask_at: now,
            members: 0,
            pairs: ShardMap::new(PAIR_SHARDS),
            uncounted: HashMap::default(),
            digest: 0,
            burial: None,
            inbox: Inbox::default(),
            counters: Box::default(),
            window: Window::default(),
        });
        self.by_node.insert(node, id);
        self.company += usize::from(presence != GONE);
        self.living += usize::from(presence == Presence::Living);
        id
    }

    /// Whether nobody is there who could hear.
    pub(super) fn is_alone(&self) -> bool {
        self.company == 0
    }

    /// How many are there.
    pub(super) fn living(&self) -> usize {
        self.living
    }

    /// How many there are besides those who are only remembered.
    pub(super) fn not_only_remembered(&self) -> usize {
        self.table.len() - self.remembered
    }

    /// Changes whether a peer is there.
    pub(super) fn set_presence(&mut self, id: PeerId, presence: Presence) {
        let peer = self.table.at_mut(id);
        let was_remembered = peer.is_remembered();
        let before = std::mem::replace(&mut peer.presence, presence);
        self.remembered = self.remembered + usize::from(peer.is_remembered()) - usize::from(was_remembered);
        self.company = self.company + usize::from(presence != GONE) - usize::from(before != GONE);
        match (before == Presence::Living, presence == Presence::Living) {
            (true, false) => {
                self.living -= 1;
                self.graves = self.graves.wrapping_add(peer.digest);
            }
            (false, true) => {
                self.living += 1;
                self.graves = self.graves.wrapping_sub(peer.digest);
            }
            _ => {}
        }
    }

    /// Forgets a node of which nothing is known.
    pub(super) fn remove(&mut self, id: PeerId) {
        self.set_presence(id, GONE);
        if let Some(peer) = self.table.remove(id) {
            debug_assert!(peer.pairs.is_empty(), "what was counted is kept");
            self.by_node.remove(&peer.node);
        }
    }

    /// The digest of what is known of those who are gone.
    pub(super) fn graves(&self) -> u64 {
        self.graves
    }

    /// Takes a peer for gone. Its members are still to be taken off the counts.
    pub(super) fn bury(&mut self, id: PeerId) {
        if self.table.at(id).presence != Presence::Living {
            return;
        }
        self.set_presence(id, GONE);
        let peer = self.table.at_mut(id);
        // Should it come back it is asked for everything.
        peer.known = 0;
        peer.burial = Some(0);
        self.burials.push_back(id);
    }

    /// Whether somebody is being buried.
    pub(super) fn is_burying(&self) -> bool {
        !self.burials.is_empty()
    }

    /// The next namespace that has members of somebody who is gone, and how many: they are off the peer's book, and to be
    /// taken off the count. Looks at no more namespaces than `budget` has, and takes them off it.
    pub(super) fn next_lost(&mut self, budget: &mut usize) -> Option<(NamespaceId, Present)> {
        while let Some(&id) = self.burials.front() {
            // It may be forgotten, and its key another's.
            let burial = self.table.get_mut(id).and_then(|peer| Some((peer.burial?, peer)));
            let Some((mut namespace, peer)) = burial.filter(|(_, peer)| peer.has_members()) else {
                self.end_burial(id);
                continue;
            };
            while *budget > 0 {
                *budget -= 1;
                let visited = namespace;
                namespace += 1;
                peer.burial = Some(namespace);
                let lost = peer.set_present(visited, Present::default());
                if lost != Present::default() {
                    return Some((visited, lost));
                }
            }
            return None;
        }
        None
    }

    /// Panics if the book does not balance. Returns how many of the others' members are counted in each namespace, and how
    /// many are not.
    #[cfg(any(test, debug_assertions))]
    pub(super) fn check(&self, digest_of: impl Fn(NamespaceId) -> u64) -> HashMap<NamespaceId, (u64, u64)> {
        let mut present: HashMap<NamespaceId, (u64, u64)> = HashMap::new();
        let (mut graves, mut living, mut remembered) = (0_u64, 0, 0);
        for (_, peer) in self.table.iter() {
            let (mut members, mut digest) = (0, 0_u64);
            for (&namespace, pair) in peer.pairs.iter() {
                members += u64::from(pair.members);
                let (counted, uncounted) = present.entry(namespace).or_default();
                *counted += u64::from(pair.members);
                *uncounted += u64::from(peer.uncounted.get(&namespace).copied().unwrap_or(0));
                digest = digest.wrapping_add(grave_digest(peer.node, digest_of(namespace), pair.connections));
                assert!(pair.members == 0 || peer.burial.is_none_or(|from| namespace >= from), "a burial goes on");
            }
            assert!(peer.uncounted.iter().all(|(id, &left)| left > 0 && peer.pairs.get(id).is_some()), "sparse");
            assert_eq!((peer.members, peer.digest), (members, digest), "a peer's sums are the sums over its pairs");
            let is_living = peer.presence == Presence::Living;
            assert!(
                is_living || peer.is_being_buried() || !peer.has_members(),
                "who is gone takes its members with it"
            );
            assert!(!(is_living && peer.is_being_buried()), "who comes back is first missed everywhere");
            living += usize::from(is_living);
            remembered += usize::from(peer.is_remembered());
            graves = graves.wrapping_add(if is_living { 0 } else { digest });
        }
        assert_eq!((self.graves, self.living, self.remembered), (graves, living, remembered), "of all peers");
        present
    }

    fn end_burial(&mut self, id: PeerId) {
        self.burials.pop_front();
        if let Some(peer) = self.table.get_mut(id) {
            peer.burial = None;
        }
    }

    /// Raises what a peer has counted in all; returns by how much.
    pub(super) fn raise_connections(
        &mut self,
        id: PeerId,
        namespace: NamespaceId,
        name_digest: u64,
        connections: u64,
    ) -> u64 {
        let peer = self.table.at_mut(id);
        let was_remembered = peer.is_remembered();
        let before = peer.pairs.get(&namespace).map(|pair| pair.connections);
        let raise = connections.saturating_sub(before.unwrap_or(0));
        if before.is_some() && raise == 0 {
            return 0;
        }
        match peer.pairs.get_mut(&namespace) {
            Some(pair) => pair.connections += raise,
            None => drop(peer.pairs.insert(namespace, Pair { connections: raise, ..Pair::default() })),
        }
        let of = |connections| grave_digest(peer.node, name_digest, connections);
        let added = of(before.unwrap_or(0) + raise).wrapping_sub(before.map_or(0, of));
        peer.digest = peer.digest.wrapping_add(added);
        self.remembered = self.remembered + usize::from(peer.is_remembered()) - usize::from(was_remembered);
        if peer.presence != Presence::Living {
            self.graves = self.graves.wrapping_add(added);
        }
        raise
    }

    /// Forgets what everybody has counted in a namespace. Returns of whom nothing is left that way.
    pub(super) fn forget_namespace(&mut self, namespace: NamespaceId, name_digest: u64) -> Vec<PeerId> {
        let mut traceless = Vec::new();
        for (id, peer) in self.table.iter_mut() {
            let was_remembered = peer.is_remembered();
            let Some(pair) = peer.pairs.remove(&namespace) else { continue };
            peer.members -= u64::from(pair.members);
            peer.uncounted.remove(&namespace);
            let gone = grave_digest(peer.node, name_digest, pair.connections);
            peer.digest = peer.digest.wrapping_sub(gone);
            self.remembered -= usize::from(was_remembered && !peer.is_remembered());
            if peer.presence != Presence::Living {
                self.graves = self.graves.wrapping_sub(gone);
                if peer.pairs.is_empty() {
                    traceless.push(id);
                }
            }
        }
        traceless
    }
}

impl Peer {
    /// Whether the datagram of this number is new: not one that was seen, and not so old that it cannot be told.
    pub(super) fn is_new(&mut self, number: u64) -> bool {
        self.window.admit(number)
    }

    /// Whether no later datagram than the one of this number has been heard. Only such a one is a sign of life: others may
    /// have been recorded, and kept for this.
    pub(super) fn is_latest(&self, number: u64) -> bool {
        self.window.is_highest(number)
    }

    /// It has told these figures of itself in the datagram of this number. Of a later one they are newer already.
    pub(super) fn note_counters(&mut self, number: u64, counters: &[u64]) {
        if self.is_latest(number) {
            self.counters = counters.iter().copied().take(COUNTERS_MAX).collect();
        }
    }

    /// Whether nothing is left of it but what it had counted.
    fn is_remembered(&self) -> bool {
        self.presence != Presence::Living && !self.pairs.is_empty()
    }

    /// Whether its members are still being taken off the counts.
    pub(super) fn is_being_buried(&self) -> bool {
        self.burial.is_some()
    }

    fn has_members(&self) -> bool {
        self.members > 0 || !self.uncounted.is_empty()
    }

    /// Has the peer have these in a namespace that it has told of; returns whom it had.
    pub(super) fn set_present(&mut self, namespace: NamespaceId, after: Present) -> Present {
        let Some(pair) = self.pairs.get_mut(&namespace) else { return Present::default() };
        let counted = std::mem::replace(&mut pair.members, after.counted);
        self.members = self.members + u64::from(after.counted) - u64::from(counted);
        let uncounted = match after.uncounted {
            0 => self.uncounted.remove(&namespace),
            some => self.uncounted.insert(namespace, some),
        };
        Present { counted, uncounted: uncounted.unwrap_or(0) }
    }

    /// Whether it has more to tell than is known.
    pub(super) fn is_ahead(&self) -> bool {
        self.presence == Presence::Living && self.known < self.version
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_the_same_whatever_the_order() {
        let mut digests = Vec::new();
        for order in [[0, 1, 2], [2, 0, 1]] {
            let mut peers = Peers::default();
            let id = peers.insert(NodeId(7), Presence::Away { nonce: None }, Tick(0));
            for namespace in order {
                peers.raise_connections(id, namespace, u64::from(namespace), 5);
            }
            peers.raise_connections(id, 1, 1, 9);
            peers.raise_connections(id, 1, 1, 3);
            digests.push(peers.graves());
            for namespace in order {
                peers.forget_namespace(namespace, u64::from(namespace));
            }
            assert_eq!(peers.graves(), 0);
        }
        assert_eq!(digests[0], digests[1]);
    }
}
