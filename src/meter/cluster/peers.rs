//! The other nodes: who is there, how much of each is known, and what each has counted.
//!
//! Owns a record per node; what each has counted is in [`pairs`]. It does not decide whom to ask, or when:
//! [`cluster`](super::cluster) does. The sums over all nodes lie in the namespaces, so that a total costs nothing.
//!
//! A node that is gone leaves its sums behind, `connections` and how long they stayed: they happened. Its members are gone
//! with it.
//!
//! A node that is gone may have had members in 100,000 namespaces. They are taken off the counts in the order of the
//! namespaces' keys, a slice per turn; meanwhile each total is one that was true or will be.
//!
//! Invariant: a peer's `members` is the sum over its pairs, and 0 unless it is living or being buried; then none are left
//! in the namespaces before `burial`. `graves` is the digest of the pairs of those who are away.

mod pairs;

use std::collections::{HashMap, VecDeque};

use crate::collections::key::Key as _;
use crate::collections::shards::{BuildKeyHasher, ShardMap};
use crate::collections::slab::Slab;
use crate::collections::tick::Tick;
use crate::key_type;
use crate::meter::accounts::stays::StaysTable;
use crate::meter::cluster::inbox::Inbox;
use crate::meter::cluster::news::NodeId;
use crate::meter::cluster::window::Window;
use crate::meter::{COUNTERS_MAX, NamespaceId};
pub(in crate::meter) use pairs::{Change, Pair};

key_type! {
    /// A peer's key.
    pub(in crate::meter) PeerId
}

/// Whether a peer is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::meter) enum Presence {
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

/// What all others together have in a namespace.
#[cfg(any(test, debug_assertions))]
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::meter) struct Others {
    pub(in crate::meter) counted: u64,
    pub(in crate::meter) uncounted: u64,
    /// The sum of member ticks at the zero of this node's clock.
    pub(in crate::meter) member_ticks: u64,
    pub(in crate::meter) stays: crate::meter::Stays,
}

/// Another node.
#[derive(Debug)]
pub(in crate::meter) struct Peer {
    pub(in crate::meter) node: NodeId,
    pub(in crate::meter) presence: Presence,
    pub(in crate::meter) heard_at: Tick,
    /// Up to which version all of its items are known.
    pub(in crate::meter) known: u64,
    /// The number of the datagram by which it was found to be there.
    pub(in crate::meter) proof: u64,
    /// Up to which version all is known that it has told since then; of what is older, nothing was heard but what was told
    /// later. While a newcomer is still told what there is, this is ahead of `known`.
    pub(in crate::meter) base: u64,
    /// The version it is at, as far as it was heard.
    pub(in crate::meter) version: u64,
    /// The latest time of its own clock that it has told, in ticks, while it was there.
    pub(in crate::meter) clock: u64,
    /// What this node's clock is ahead of it, in ticks and modulo 2^64, as it was when it was found to be there. News took its
    /// time to come, but always the same.
    offset: u64,
    /// When it may be asked again.
    pub(in crate::meter) ask_at: Tick,
    /// How many of its members are counted here.
    members: u64,
    pub(in crate::meter) pairs: ShardMap<NamespaceId, Pair, BuildKeyHasher>,
    /// How many more it has, in each namespace that has some, who are not counted. A pair is there for each of those, too.
    uncounted: HashMap<NamespaceId, u32, BuildKeyHasher>,
    /// The digest of what it has counted in all.
    digest: u64,
    /// While it is being buried: the first namespace in which its members may still be counted. It is back when that is over.
    burial: Option<NamespaceId>,
    pub(in crate::meter) inbox: Inbox,
    /// What it last told of itself.
    pub(in crate::meter) counters: Box<[u64]>,
    window: Window,
}

/// All other nodes.
#[derive(Default)]
pub(in crate::meter) struct Peers {
    table: Slab<PeerId, Peer>,
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
    /// How long members stayed who have left, by pair.
    stays: StaysTable,
}

impl Peers {
    /// The key of a node.
    pub(in crate::meter) fn find(&self, node: NodeId) -> Option<PeerId> {
        self.by_node.get(&node).copied()
    }

    /// The peer of this key.
    pub(in crate::meter) fn at(&self, id: PeerId) -> &Peer {
        self.table.at(id)
    }

    /// The peer of this key, if it is still remembered.
    pub(in crate::meter) fn get(&self, id: PeerId) -> Option<&Peer> {
        self.table.get(id)
    }

    /// The peer of this key, to change.
    pub(in crate::meter) fn at_mut(&mut self, id: PeerId) -> &mut Peer {
        self.table.at_mut(id)
    }

    /// All peers.
    pub(in crate::meter) fn iter(&self) -> impl Iterator<Item = (PeerId, &Peer)> {
        self.table.iter()
    }

    /// The first peer from this key on of which nothing is left but what it had counted.
    pub(in crate::meter) fn next_remembered(&self, from: PeerId) -> Option<(PeerId, &Peer)> {
        self.table.iter_from(from).find(|(_, peer)| peer.is_remembered())
    }

    /// How many are remembered, present or gone.
    pub(in crate::meter) fn len(&self) -> usize {
        self.table.len()
    }

    /// Remembers a node.
    pub(in crate::meter) fn insert(&mut self, node: NodeId, presence: Presence, now: Tick) -> PeerId {
        let id = self.table.insert(Peer {
            node,
            presence,
            heard_at: now,
            known: 0,
            proof: 0,
            base: 0,
            version: 0,
            clock: 0,
            offset: 0,
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
    pub(in crate::meter) fn is_alone(&self) -> bool {
        self.company == 0
    }

    /// How many are there.
    pub(in crate::meter) fn living(&self) -> usize {
        self.living
    }

    /// How many there are besides those who are only remembered.
    pub(in crate::meter) fn not_only_remembered(&self) -> usize {
        self.table.len() - self.remembered
    }

    /// Changes whether a peer is there.
    pub(in crate::meter) fn set_presence(&mut self, id: PeerId, presence: Presence) {
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
    pub(in crate::meter) fn remove(&mut self, id: PeerId) {
        self.set_presence(id, GONE);
        if let Some(peer) = self.table.remove(id) {
            debug_assert!(peer.pairs.is_empty(), "what was counted is kept");
            self.by_node.remove(&peer.node);
        }
    }

    /// The digest of what is known of those who are gone.
    pub(in crate::meter) fn graves(&self) -> u64 {
        self.graves
    }

    /// Takes a peer for gone. Its members are still to be taken off the counts.
    pub(in crate::meter) fn bury(&mut self, id: PeerId) {
        if self.table.at(id).presence != Presence::Living {
            return;
        }
        self.set_presence(id, GONE);
        let peer = self.table.at_mut(id);
        // Should it come back it is asked for everything.
        peer.known = 0;
        peer.burial = Some(NamespaceId::FIRST);
        self.burials.push_back(id);
    }

    /// Whether somebody is being buried.
    pub(in crate::meter) fn is_burying(&self) -> bool {
        !self.burials.is_empty()
    }

    /// Panics if the book does not balance. Returns what all others together have in each namespace.
    #[cfg(any(test, debug_assertions))]
    pub(in crate::meter) fn check(&self, digest_of: impl Fn(NamespaceId) -> u64) -> HashMap<NamespaceId, Others> {
        let mut others: HashMap<NamespaceId, Others> = HashMap::new();
        let (mut graves, mut living, mut remembered, mut histograms) = (0_u64, 0, 0, 0);
        for (_, peer) in self.table.iter() {
            let (mut members, mut digest) = (0, 0_u64);
            for (&namespace, pair) in peer.pairs.iter() {
                members += u64::from(pair.members);
                let stays = self.stays.get(pair.stays);
                let all = others.entry(namespace).or_default();
                all.counted += u64::from(pair.members);
                all.uncounted += u64::from(peer.uncounted_in(namespace));
                all.member_ticks = all.member_ticks.wrapping_add(pair.ticks_here(peer.offset));
                all.stays.iter_mut().zip(stays).for_each(|(all, count)| *all += count);
                histograms += usize::from({ pair.stays }.has_place());
                digest = digest.wrapping_add(pair.digest(peer.node, digest_of(namespace), &stays));
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
        assert_eq!(self.stays.len(), histograms, "no histogram is left behind");
        others
    }

    fn end_burial(&mut self, id: PeerId) {
        self.burials.pop_front();
        if let Some(peer) = self.table.get_mut(id) {
            peer.burial = None;
        }
    }
}

impl Peer {
    /// Whether the datagram of this number is new: not one that was seen, and not so old that it cannot be told.
    pub(in crate::meter) fn is_new(&mut self, number: u64) -> bool {
        self.window.admit(number)
    }

    /// Whether no later datagram than the one of this number has been heard. Only such a one is a sign of life: others may
    /// have been recorded, and kept for this.
    pub(in crate::meter) fn is_latest(&self, number: u64) -> bool {
        self.window.is_highest(number)
    }

    /// How many of its members are counted here.
    pub(in crate::meter) fn members(&self) -> u64 {
        self.members
    }

    /// It has been found to be there, when its clock showed this.
    pub(in crate::meter) fn set_clock(&mut self, clock: u64, now: Tick) {
        self.clock = clock;
        self.offset = now.0.wrapping_sub(clock);
    }

    /// Whether nothing is left of it but what it had counted.
    fn is_remembered(&self) -> bool {
        self.presence != Presence::Living && !self.pairs.is_empty()
    }

    /// Whether its members are still being taken off the counts.
    pub(in crate::meter) fn is_being_buried(&self) -> bool {
        self.burial.is_some()
    }

    fn has_members(&self) -> bool {
        self.members > 0 || !self.uncounted.is_empty()
    }

    fn uncounted_in(&self, namespace: NamespaceId) -> u32 {
        self.uncounted.get(&namespace).copied().unwrap_or(0)
    }

    /// So many are not counted in a namespace that it has told of; returns how many it were.
    fn set_uncounted(&mut self, namespace: NamespaceId, uncounted: u32) -> u32 {
        let before = match uncounted {
            0 => self.uncounted.remove(&namespace),
            some => self.uncounted.insert(namespace, some),
        };
        before.unwrap_or(0)
    }

    /// It has told these figures of itself in the datagram of this number. Of a later one they are newer already.
    pub(in crate::meter) fn note_counters(&mut self, number: u64, counters: &[u64]) {
        if self.is_latest(number) {
            self.counters = counters.iter().copied().take(COUNTERS_MAX).collect();
        }
    }

    /// Whether a report in the datagram of this number, up to this version, may have news. One from before it was found to be
    /// there may tell of what it has taken back since, unheard.
    pub(in crate::meter) fn wants(&self, number: u64, to: u64) -> bool {
        number > self.proof && to > self.known
    }

    /// Whether nothing was missed of what it had to tell up to this version.
    pub(in crate::meter) fn has_heard(&self, version: u64) -> bool {
        version <= self.base.max(self.known)
    }

    /// Whether it has more to tell than is known.
    pub(in crate::meter) fn is_ahead(&self) -> bool {
        self.presence == Presence::Living && self.known < self.version
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::book::namespace::Present;
    use crate::meter::cluster::news::Sums;
    use crate::meter::name_digest;

    fn id(namespace: u32) -> NamespaceId {
        NamespaceId::new(namespace)
    }

    /// A digest of a name that no namespace of these tests has.
    fn digest_of(namespace: NamespaceId) -> u64 {
        namespace.index() as u64
    }

    fn sums(connections: u64, member_ticks: u64) -> Sums {
        Sums { connections, member_ticks, ..Sums::default() }
    }

    #[test]
    fn sums_that_differ_do_not_make_up_for_each_other() {
        let digest = |counts: [u64; 2]| {
            let mut peers = Peers::default();
            let peer = peers.insert(NodeId(7), GONE, Tick(0));
            for (namespace, count) in (0_u32..).zip(counts) {
                peers.raise(peer, id(namespace), name_digest(&format!("ns{namespace}")), &sums(count, 64 - count));
            }
            peers.graves()
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
            let peer = peers.insert(NodeId(7), GONE, Tick(0));
            for namespace in order {
                peers.raise(peer, id(namespace), u64::from(namespace), &sums(5, 50));
            }
            for (connections, member_ticks, bucket) in [(9, 10, 1), (3, 80, 2), (1, 1, 1)] {
                let mut sums = sums(connections, member_ticks);
                sums.stays[bucket] = connections;
                peers.raise(peer, id(1), 1, &sums);
            }
            digests.push(peers.graves());
            peers.check(digest_of);
            for namespace in order {
                peers.forget_namespace(id(namespace), u64::from(namespace));
            }
            assert_eq!(peers.graves(), 0);
            peers.check(digest_of);
        }
        assert_eq!(digests[0], digests[1]);
    }

    #[test]
    fn what_a_node_that_is_gone_had_counted_ends_when_it_was_last_heard_by_its_own_clock() {
        let mut peers = Peers::default();
        let peer = peers.insert(NodeId(7), Presence::Away { nonce: Some(1) }, Tick(0));
        peers.set_presence(peer, Presence::Living);
        peers.at_mut(peer).set_clock(90, Tick(1_000));
        // At its 100, 3 members have been there for 20 in all.
        let change = peers.hear(peer, id(5), 5, (1, 100), Present { counted: 3, uncounted: 0 }, &sums(4, 20));
        let present = (change.before.counted, change.after.counted);
        assert_eq!((present, change.connections, change.joins), ((0, 3), 4, 3));
        let at = |ticks: u64| change.member_ticks.wrapping_add(3 * ticks);
        assert_eq!((at(1_010), at(1_020)), (20, 50), "its 100 is 1,010 here");
        peers.at_mut(peer).clock = 104;
        peers.bury(peer);
        assert_eq!(peers.next_lost(&mut 5, digest_of), None, "it is in the sixth");
        let (namespace, lost) = peers.next_lost(&mut 5, digest_of).unwrap();
        assert_eq!((namespace, lost.before.counted, lost.after), (id(5), 3, Present::default()));
        assert_eq!(change.member_ticks.wrapping_add(lost.member_ticks), 32, "3 members for 4 ticks more");
        assert_eq!(peers.next_lost(&mut 5, digest_of), None);
        peers.check(digest_of);
        let told = peers.sums_of(peers.at(peer), id(5)).unwrap();
        assert_eq!((told.connections, told.member_ticks), (4, 32));
        assert_eq!(peers.raise(peer, id(5), 5, &sums(3, 31)).member_ticks, 0, "another has heard less of it");
        assert_eq!(peers.raise(peer, id(5), 5, &sums(3, 33)).member_ticks, 1);
    }
}
