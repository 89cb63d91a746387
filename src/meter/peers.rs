//! The other nodes: who is there, how much of each is known, and what each has counted.
//!
//! Owns a record per node and a pair of numbers per node and namespace. It does not decide whom to ask, or when:
//! [`cluster`](super::cluster) does. The sums over all nodes lie in the namespaces, so that a total costs nothing.
//!
//! A node that is gone leaves its `connections` behind: they happened. Its members are gone with it.
//!
//! Invariant: a peer's `members` is the sum over its pairs, and 0 unless it is living; `graves` is the digest of the pairs
//! of those who are away.

use std::collections::HashMap;

use super::NamespaceId;
use super::inbox::Inbox;
use super::news::NodeId;
use super::window::Window;
use crate::collections::Key;
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
    /// The version it is at, as far as it was heard.
    pub(super) version: u64,
    /// When it may be asked again.
    pub(super) ask_at: Tick,
    /// How many of its members are counted here.
    pub(super) members: u64,
    pub(super) pairs: HashMap<NamespaceId, Pair>,
    pub(super) inbox: Inbox,
    window: Window,
}

/// All other nodes.
#[derive(Default)]
pub(super) struct Peers {
    table: Slab<Peer>,
    by_node: HashMap<NodeId, PeerId>,
    /// How many are there, or may be.
    company: usize,
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
            version: 0,
            ask_at: now,
            members: 0,
            pairs: HashMap::new(),
            inbox: Inbox::default(),
            window: Window::default(),
        });
        self.by_node.insert(node, id);
        self.company += usize::from(presence != Presence::Away { nonce: None });
        id
    }

    /// Whether nobody is there who could hear.
    pub(super) fn is_alone(&self) -> bool {
        self.company == 0
    }

    /// Changes whether a peer is there.
    pub(super) fn set_presence(&mut self, id: PeerId, presence: Presence) {
        const GONE: Presence = Presence::Away { nonce: None };
        let before = std::mem::replace(&mut self.table.at_mut(id).presence, presence);
        self.company = self.company + usize::from(presence != GONE) - usize::from(before != GONE);
    }

    /// Forgets a node of which nothing is known.
    pub(super) fn remove(&mut self, id: PeerId) {
        self.set_presence(id, Presence::Away { nonce: None });
        if let Some(peer) = self.table.remove(id) {
            debug_assert!(peer.pairs.is_empty(), "what was counted is kept");
            self.by_node.remove(&peer.node);
        }
    }

    /// The digest of what is known of those who are gone.
    pub(super) fn graves(&self) -> u64 {
        self.graves
    }

    /// Takes a peer for gone; returns what it had counted, for the namespaces to subtract.
    pub(super) fn bury(&mut self, id: PeerId, name_of: impl Fn(NamespaceId) -> u64) -> Vec<(NamespaceId, u32)> {
        if self.table.at(id).presence != Presence::Living {
            return Vec::new();
        }
        self.set_presence(id, Presence::Away { nonce: None });
        let peer = self.table.at_mut(id);
        peer.members = 0;
        // Should it come back it is asked for everything, and what it says then is new.
        peer.known = 0;
        let mut lost = Vec::new();
        for (&namespace, pair) in &mut peer.pairs {
            self.graves = self.graves.wrapping_add(grave_digest(peer.node, name_of(namespace), pair.connections));
            if pair.members > 0 {
                lost.push((namespace, std::mem::take(&mut pair.members)));
            }
            pair.number = 0;
        }
        lost
    }

    /// Takes a peer that was away for present.
    pub(super) fn revive(&mut self, id: PeerId, name_of: impl Fn(NamespaceId) -> u64) {
        let peer = self.table.at_mut(id);
        if peer.presence == Presence::Living {
            return;
        }
        for (&namespace, pair) in &peer.pairs {
            self.graves = self.graves.wrapping_sub(grave_digest(peer.node, name_of(namespace), pair.connections));
        }
        self.set_presence(id, Presence::Living);
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
        let is_new = !peer.pairs.contains_key(&namespace);
        let pair = peer.pairs.entry(namespace).or_default();
        let raise = connections.saturating_sub(pair.connections);
        if peer.presence != Presence::Living && (is_new || raise > 0) {
            if !is_new {
                self.graves = self.graves.wrapping_sub(grave_digest(peer.node, name_digest, pair.connections));
            }
            self.graves = self.graves.wrapping_add(grave_digest(peer.node, name_digest, pair.connections + raise));
        }
        pair.connections += raise;
        raise
    }

    /// Forgets what everybody has counted in a namespace.
    pub(super) fn forget_namespace(&mut self, namespace: NamespaceId, name_digest: u64) {
        for (_, peer) in self.table.iter_mut() {
            let Some(pair) = peer.pairs.remove(&namespace) else { continue };
            peer.members -= u64::from(pair.members);
            if peer.presence != Presence::Living {
                self.graves = self.graves.wrapping_sub(grave_digest(peer.node, name_digest, pair.connections));
            }
        }
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

    /// Whether it has more to tell than is known.
    pub(super) fn is_ahead(&self) -> bool {
        self.presence == Presence::Living && self.known < self.version
    }
}

/// The FNV-1a hash of a name: the same on every host and in every build, unlike std's.
#[must_use]
pub fn name_digest(name: &str) -> u64 {
    fnv1a(name.bytes())
}

/// One grave's share of the digest. FNV-1a alone is nearly linear in its last bytes: in a sum, one count that is higher
/// would make up for another that is lower. The finalizer of `MurmurHash3` spreads each bit over all.
fn grave_digest(node: NodeId, name_digest: u64, connections: u64) -> u64 {
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
