//! What each of the other nodes has counted in each namespace.
//!
//! Owns a pair for each node and namespace, and the digest over the pairs of a node. What a node says of itself replaces
//! what was known, for a later word is the better one; what others say of one that is gone can only raise it, so that
//! everybody comes to the same, in whatever order it is heard.
//!
//! The sum of time that members were there grows by itself, so a quiet namespace need not be told again: a pair holds the
//! sum as it would have been at the zero of its node's clock, and with that clock's time comes what it is now. All of that
//! is modulo 2^64. Of a node that is gone the sum stays as it was when it was last heard, by its own clock: the same at
//! everybody who has heard that.
//!
//! Invariant: what a change says is what the sums over all pairs change by.

use super::{Peer, PeerId, Peers, Presence};
use crate::collections::key::Key as _;
use crate::meter::NamespaceId;
use crate::meter::accounts::stays::{Stays, StaysId, StaysTable};
use crate::meter::book::namespace::Present;
use crate::meter::cluster::digest::mix;
use crate::meter::cluster::news::{MEMBER_TICKS_MAX, NodeId, Sums};

/// What a peer has counted in a namespace.
///
/// Aligned to 4 bytes, so that with its key it takes 36 and not 40: there is one for each node and namespace, and a table
/// that has just doubled takes more than twice as much for each.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, packed(4))]
pub(in crate::meter) struct Pair {
    /// The number of the datagram that said so: an earlier one that arrives later says nothing.
    pub(in crate::meter) number: u64,
    pub(in crate::meter) connections: u64,
    /// The sum of member ticks at the zero of the node's clock, had the members been there since.
    pub(in crate::meter) member_ticks: u64,
    pub(in crate::meter) members: u32,
    pub(in crate::meter) stays: StaysId,
}

const _: () = assert!(size_of::<(NamespaceId, Pair)>() == 36);

/// What has changed in a namespace, by what another node says or by its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::meter) struct Change {
    /// How many members it had there.
    pub(in crate::meter) before: Present,
    /// How many it has.
    pub(in crate::meter) after: Present,
    /// How many more ever came.
    pub(in crate::meter) connections: u64,
    /// By how much the sum of member ticks differs, at the zero of this node's clock and modulo 2^64.
    pub(in crate::meter) member_ticks: u64,
    /// How many more stays ended.
    pub(in crate::meter) stays: Stays,
    /// How many are known to have come just now.
    pub(in crate::meter) joins: u64,
}

impl Pair {
    /// What it adds to the sum of member ticks at the zero of this node's clock, from which the peer's differs by `offset`.
    pub(in crate::meter) fn ticks_here(&self, offset: u64) -> u64 {
        self.member_ticks.wrapping_sub(u64::from(self.members).wrapping_mul(offset))
    }

    /// The sum of member ticks when the node's clock shows this.
    fn ticks_at(&self, clock: u64) -> u64 {
        self.member_ticks.wrapping_add(u64::from(self.members).wrapping_mul(clock)).min(MEMBER_TICKS_MAX)
    }

    /// Its share of the digest.
    pub(in crate::meter) fn digest(&self, node: NodeId, name_digest: u64, stays: &Stays) -> u64 {
        let numbers = [node.0, name_digest, self.connections, self.member_ticks];
        let stays = (1..).zip(stays).filter(|&(_, &count)| count > 0);
        let words = numbers.into_iter().chain(stays.flat_map(|(bucket, &count)| [bucket, count]));
        words.fold(0xcbf2_9ce4_8422_2325, |digest, word| mix(digest ^ word))
    }
}

impl Peers {
    /// Takes over what a peer says itself, in the datagram of this number, when its clock showed `clock`.
    pub(in crate::meter) fn hear(
        &mut self,
        id: PeerId,
        namespace: NamespaceId,
        name_digest: u64,
        (number, clock): (u64, u64),
        present: Present,
        sums: &Sums,
    ) -> Change {
        let members = present.counted;
        let before = self.table.at(id).pairs.get(&namespace).copied();
        let old = before.unwrap_or_default();
        let member_ticks = sums.member_ticks.wrapping_sub(u64::from(members).wrapping_mul(clock));
        let connections = old.connections.max(sums.connections);
        let mut change = self.replace(
            id,
            namespace,
            name_digest,
            (Pair { number, members, member_ticks, connections, stays: old.stays }, present.uncounted),
            &sums.stays,
        );
        // Of a node that is heard of first, it is not known when they came who have left.
        change.joins = if before.is_some() { change.connections } else { members.into() };
        change
    }

    /// Raises what a peer has counted to what others say.
    pub(in crate::meter) fn raise(
        &mut self,
        id: PeerId,
        namespace: NamespaceId,
        name_digest: u64,
        sums: &Sums,
    ) -> Change {
        let peer = self.table.at(id);
        let old = peer.pairs.get(&namespace).copied();
        let mut pair = old.unwrap_or_default();
        pair.connections = pair.connections.max(sums.connections);
        // Who is there knows better itself.
        if peer.presence != Presence::Living && pair.members == 0 {
            pair.member_ticks = pair.member_ticks.max(sums.member_ticks);
        }
        let uncounted = peer.uncounted_in(namespace);
        self.replace(id, namespace, name_digest, (pair, uncounted), &sums.stays)
    }

    /// What a node that is gone has counted.
    pub(in crate::meter) fn sums_of(&self, peer: &Peer, namespace: NamespaceId) -> Option<Sums> {
        let pair = peer.pairs.get(&namespace)?;
        let (connections, stays) = (pair.connections, self.stays.get(pair.stays));
        Some(Sums { connections, member_ticks: pair.ticks_at(peer.clock), stays })
    }

    /// The next namespace that has members of somebody who is gone, and what changes: they are off the peer's book, and to
    /// be taken off the count. Looks at no more namespaces than `budget` has, and takes them off it.
    pub(in crate::meter) fn next_lost(
        &mut self,
        budget: &mut usize,
        digest_of: impl Fn(NamespaceId) -> u64,
    ) -> Option<(NamespaceId, Change)> {
        while let Some(&id) = self.burials.front() {
            // It may be forgotten, and its key another's.
            let burial = self.table.get(id).and_then(|peer| Some((peer.burial?, peer)));
            let Some((first, peer)) = burial.filter(|(_, peer)| peer.has_members()) else {
                self.end_burial(id);
                continue;
            };
            let mut visited = 0;
            let slice = (first.index()..).take(*budget).map_while(NamespaceId::from_index);
            let found = slice.into_iter().find_map(|namespace| {
                visited += 1;
                let is_lost = |pair: &&Pair| pair.members > 0 || peer.uncounted_in(namespace) > 0;
                let pair = peer.pairs.get(&namespace).filter(is_lost)?;
                Some((namespace, Pair { members: 0, member_ticks: pair.ticks_at(peer.clock), ..*pair }))
            });
            *budget -= visited;
            if let Some(peer) = self.table.get_mut(id) {
                peer.burial = NamespaceId::from_index(first.index() + visited);
            }
            let (namespace, pair) = found?;
            return Some((namespace, self.replace(id, namespace, digest_of(namespace), (pair, 0), &Stays::default())));
        }
        None
    }

    /// Forgets what everybody has counted in a namespace. Returns of whom nothing is left that way.
    pub(in crate::meter) fn forget_namespace(&mut self, namespace: NamespaceId, name_digest: u64) -> Vec<PeerId> {
        let mut traceless = Vec::new();
        for (id, peer) in self.table.iter_mut() {
            let was_remembered = peer.is_remembered();
            let Some(pair) = peer.pairs.remove(&namespace) else { continue };
            peer.members -= u64::from(pair.members);
            peer.uncounted.remove(&namespace);
            let gone = pair.digest(peer.node, name_digest, &self.stays.get(pair.stays));
            self.stays.remove(pair.stays);
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

    /// Sets a pair, and how many are not counted, and raises its stays to these; returns what changes by it.
    fn replace(
        &mut self,
        id: PeerId,
        namespace: NamespaceId,
        name_digest: u64,
        (mut pair, uncounted): (Pair, u32),
        stays: &Stays,
    ) -> Change {
        let peer = self.table.at_mut(id);
        let was_remembered = peer.is_remembered();
        let before = peer.pairs.get(&namespace).copied();
        let old = before.unwrap_or_default();
        let node = peer.node;
        let digest = |pair: &Pair, table: &StaysTable| pair.digest(node, name_digest, &table.get(pair.stays));
        let gone = before.map_or(0, |pair| digest(&pair, &self.stays));
        let mut key = pair.stays;
        let more = self.stays.raise(&mut key, stays);
        pair.stays = key;
        let added = digest(&pair, &self.stays).wrapping_sub(gone);
        match peer.pairs.get_mut(&namespace) {
            Some(place) => *place = pair,
            None => drop(peer.pairs.insert(namespace, pair)),
        }
        peer.members = peer.members + u64::from(pair.members) - u64::from(old.members);
        let uncounted_before = peer.set_uncounted(namespace, uncounted);
        peer.digest = peer.digest.wrapping_add(added);
        self.remembered = self.remembered + usize::from(peer.is_remembered()) - usize::from(was_remembered);
        if peer.presence != Presence::Living {
            self.graves = self.graves.wrapping_add(added);
        }
        Change {
            before: Present { counted: old.members, uncounted: uncounted_before },
            after: Present { counted: pair.members, uncounted },
            connections: pair.connections - old.connections,
            member_ticks: pair.ticks_here(peer.offset).wrapping_sub(old.ticks_here(peer.offset)),
            stays: more,
            joins: 0,
        }
    }
}
