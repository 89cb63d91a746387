//! What one of the other nodes has counted in each namespace.
//!
//! Owns a pair per namespace, the clock of that node, and the digest over its pairs. A report of the node itself replaces
//! what was known, because a later report is the better one. Reports of others about a departed node can only raise it, so
//! all nodes come to the same figures, in whatever order the reports arrive.
//!
//! The sum of member ticks grows by itself, so a quiet namespace need not be announced again. A pair holds the sum as it
//! would have been at the zero of its node's clock; with that clock's time follows the sum of that time. All of that is
//! modulo 2^64. The sum of a departed node stays as it was at the last time of its own clock that was received: the same at
//! all nodes that received it.
//!
//! Invariant: what a change says is what the sums over all pairs change by.

use std::collections::HashMap;

use crate::collections::key::Key as _;
use crate::collections::order::in_order;
use crate::collections::sections::{Reader, Writer};
use crate::collections::shards::{BuildKeyHasher, ShardMap};
use crate::collections::tick::Tick;
use crate::meter::accounts::stays::{Stays, StaysId, StaysTable};
use crate::meter::book::change::{Apart, Change, Present};
#[cfg(any(test, debug_assertions))]
use crate::meter::book::invariants::Elsewhere;
use crate::meter::book::keys::NamespaceId;
use crate::meter::digest::{mix, name_digest};
use crate::meter::news::{MEMBER_TICKS_MAX, NodeId, Sums};

/// In how many parts the pairs of a node are looked up: with 1,000,000 of them, one part takes 0.7 ms to grow.
const PAIR_SHARDS: usize = 16;

/// This many pairs are found by a look at all of them, and not at the keys of all namespaces.
const FEW_PAIRS: usize = 64;

/// How many keys are looked at before what they led to is worked off.
const KEYS_PER_SLICE: usize = 256;

/// Which datagram says so: its number, and what the sender's clock showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) number: u64,
    pub(super) clock: u64,
}

/// A namespace: its key here, and its name's digest for all nodes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) namespace: NamespaceId,
    pub(super) name_digest: u64,
}

impl Place {
    /// The namespace of this name.
    pub(super) fn of(namespace: NamespaceId, name: &str) -> Self {
        Self { namespace, name_digest: name_digest(name) }
    }
}

/// What a node has counted in a namespace.
///
/// Aligned to 4 bytes, so that with its key it takes 36 and not 40. There is one for each node and namespace, and a table that
/// has just doubled takes more than twice as much for each.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, packed(4))]
pub(super) struct Pair {
    /// The number of the datagram that said so: an earlier one that arrives later says nothing.
    pub(super) number: u64,
    connections: u64,
    /// The sum of member ticks at the zero of the node's clock, as if its members had been there since.
    member_ticks: u64,
    members: u32,
    stays: StaysId,
}

const _: () = assert!(size_of::<(NamespaceId, Pair)>() == 36);

impl Pair {
    /// What it adds to the sum of member ticks at the zero of this node's clock, from which the peer's differs by `offset`.
    fn ticks_here(&self, offset: u64) -> u64 {
        self.member_ticks.wrapping_sub(u64::from(self.members).wrapping_mul(offset))
    }

    /// The sum of member ticks when the node's clock shows this.
    fn ticks_at(&self, clock: u64) -> u64 {
        self.member_ticks.wrapping_add(u64::from(self.members).wrapping_mul(clock)).min(MEMBER_TICKS_MAX)
    }

    /// Its share of the digest.
    fn digest(&self, node: NodeId, name_digest: u64, stays: &Stays) -> u64 {
        let numbers = [node.0, name_digest, self.connections, self.member_ticks];
        let stays = (1..).zip(stays).filter(|&(_, &count)| count > 0);
        let words = numbers.into_iter().chain(stays.flat_map(|(bucket, &count)| [bucket, count]));
        words.fold(0xcbf2_9ce4_8422_2325, |digest, word| mix(digest ^ word))
    }
}

/// The pairs of one node.
#[derive(Debug)]
pub(super) struct Pairs {
    node: NodeId,
    /// The latest time of the node's own clock that was received from it while it was living, in ticks.
    clock: u64,
    /// By how much this node's clock is ahead of it, in ticks and modulo 2^64, as measured when the node was found to be
    /// living. Reports take their time to arrive, but always the same.
    offset: u64,
    table: ShardMap<NamespaceId, Pair, BuildKeyHasher>,
    /// Its members that stand apart, by namespace, where there are some. Each of these namespaces has a pair, too.
    apart: HashMap<NamespaceId, Apart, BuildKeyHasher>,
    /// The counted members of all pairs.
    members: u64,
    /// The digest over all pairs.
    digest: u64,
}

impl Pairs {
    /// A node that has counted nothing.
    pub(super) fn new(node: NodeId) -> Self {
        Self {
            node,
            clock: 0,
            offset: 0,
            table: ShardMap::new(PAIR_SHARDS),
            apart: HashMap::default(),
            members: 0,
            digest: 0,
        }
    }

    pub(super) fn write(&self, stays: &StaysTable, out: &mut Writer) {
        let Self { node, clock, offset, table, apart: _, members: _, digest } = self;
        for number in [node.0, *clock, *offset, *digest] {
            out.fixed(number);
        }
        out.count(table.len());
        for namespace in in_order(table.iter().map(|(&namespace, _)| namespace).collect()) {
            let pair = table.get(&namespace).copied().unwrap_or_default();
            let Pair { number, connections, member_ticks, members, stays: histogram } = pair;
            out.key(namespace);
            out.number(number);
            out.number(connections);
            out.fixed(member_ticks);
            out.number(members.into());
            stays.write(histogram, out);
            self.apart_in(namespace).write(out);
        }
    }

    /// The pairs that were written, of namespaces that are `there`.
    pub(super) fn read(there: &dyn Fn(NamespaceId) -> bool, stays: &mut StaysTable, from: &mut Reader<'_>) -> Self {
        let mut pairs = Self::new(NodeId(from.fixed()));
        (pairs.clock, pairs.offset, pairs.digest) = (from.fixed(), from.fixed(), from.fixed());
        let mut list = from.list();
        while from.has_next(&mut list) {
            let namespace = from.key();
            let (number, connections, member_ticks) = (from.number(), from.number(), from.fixed());
            let members = from.small();
            let pair = Pair { number, connections, member_ticks, members, stays: stays.read(from) };
            let is_first = pairs.table.insert(namespace, pair).is_none();
            from.check(is_first && there(namespace), "a share of a namespace that is not there");
            pairs.members = pairs.members.wrapping_add(members.into());
            pairs.set_apart(namespace, Apart::read(from));
        }
        pairs
    }

    /// The same node under another name, by the same clock; it has counted nothing.
    pub(super) fn renamed(&self, name: NodeId) -> Self {
        Self { clock: self.clock, offset: self.offset, ..Self::new(name) }
    }

    /// The name that all this was counted under.
    pub(super) fn name(&self) -> NodeId {
        self.node
    }

    /// The pair of a namespace.
    pub(super) fn get(&self, namespace: NamespaceId) -> Option<&Pair> {
        self.table.get(&namespace)
    }

    /// The number of pairs.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is no pair.
    pub(super) fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The counted members of all pairs.
    pub(super) fn member_count(&self) -> u64 {
        self.members
    }

    /// Whether there are members, counted or not.
    pub(super) fn has_members(&self) -> bool {
        self.members > 0 || !self.apart.is_empty()
    }

    /// The digest over all pairs.
    pub(super) fn digest(&self) -> u64 {
        self.digest
    }

    /// The node was found to be living, when its clock showed this.
    pub(super) fn set_clock(&mut self, clock: u64, now: Tick) {
        self.clock = clock;
        self.offset = now.0.wrapping_sub(clock);
    }

    /// The node's clock shows at least this.
    pub(super) fn move_clock(&mut self, clock: u64) {
        self.clock = self.clock.max(clock);
    }

    /// Applies what the node itself reports.
    pub(super) fn apply(
        &mut self,
        place: Place,
        Stamp { number, clock }: Stamp,
        present: Present,
        sums: &Sums,
        stays: &mut StaysTable,
    ) -> Change {
        let before = self.get(place.namespace).copied();
        let old = before.unwrap_or_default();
        let members = present.counted;
        let member_ticks = sums.member_ticks.wrapping_sub(u64::from(members).wrapping_mul(clock));
        let connections = old.connections.max(sums.connections);
        let pair = Pair { number, members, member_ticks, connections, stays: old.stays };
        let change = self.replace(place, pair, present.apart, &sums.stays, stays);
        // Of a node that is new here, it is not known when its former members came.
        Change { joins: if before.is_some() { change.connections } else { members.into() }, ..change }
    }

    /// Raises what the node has counted to what others report. `is_living` says that it is there and knows better itself.
    pub(super) fn raise(&mut self, place: Place, sums: &Sums, is_living: bool, stays: &mut StaysTable) -> Change {
        let mut pair = self.get(place.namespace).copied().unwrap_or_default();
        pair.connections = pair.connections.max(sums.connections);
        if !is_living && pair.members == 0 {
            pair.member_ticks = pair.member_ticks.max(sums.member_ticks);
        }
        let apart = self.apart_in(place.namespace);
        self.replace(place, pair, apart, &sums.stays, stays)
    }

    /// Adds to what was counted, where no member is.
    pub(super) fn add(&mut self, place: Place, sums: &Sums, stays: &mut StaysTable) -> Change {
        let mut pair = self.get(place.namespace).copied().unwrap_or_default();
        pair.connections = pair.connections.saturating_add(sums.connections);
        pair.member_ticks = pair.member_ticks.wrapping_add(sums.member_ticks);
        let mut least = stays.get(pair.stays);
        least.iter_mut().zip(sums.stays).for_each(|(all, more)| *all = all.saturating_add(more));
        self.replace(place, pair, Apart::default(), &least, stays)
    }

    /// Takes out what a departed node without members had counted in a namespace.
    pub(super) fn take(&mut self, place: Place, stays: &mut StaysTable) -> Sums {
        let pair = self.get(place.namespace).copied().unwrap_or_default();
        debug_assert!(pair.members == 0, "its members are removed before");
        let (connections, member_ticks) = (pair.connections, pair.member_ticks);
        let sums = Sums { connections, member_ticks, stays: stays.get(pair.stays) };
        self.forget(place, stays);
        sums
    }

    /// The namespaces that have a pair from this one on, of at most `budget` keys that are looked at and taken off the
    /// budget; and the next key to look at. Of few pairs all are found at once.
    pub(super) fn some_namespaces(&self, from: NamespaceId, budget: &mut usize) -> (Vec<NamespaceId>, NamespaceId) {
        if self.len() <= FEW_PAIRS {
            return (self.table.iter().map(|(&namespace, _)| namespace).take(*budget).collect(), from);
        }
        let end = from.index() + (*budget).min(KEYS_PER_SLICE);
        *budget -= end - from.index();
        let keys = (from.index()..end).filter_map(NamespaceId::from_index);
        let found = keys.filter(|&namespace| self.get(namespace).is_some()).collect();
        (found, NamespaceId::from_index(end).unwrap_or(from))
    }

    /// What a departed node had counted in a namespace.
    pub(super) fn sums(&self, namespace: NamespaceId, stays: &StaysTable) -> Option<Sums> {
        let pair = self.get(namespace)?;
        let (connections, stays) = (pair.connections, stays.get(pair.stays));
        Some(Sums { connections, member_ticks: pair.ticks_at(self.clock), stays })
    }

    /// The first namespace from this one on that has members of the node, of at most `budget` keys that are looked at and
    /// taken off the budget.
    pub(super) fn next_occupied(&self, from: NamespaceId, budget: &mut usize) -> Option<NamespaceId> {
        let mut visited = 0;
        let keys = (from.index()..).take(*budget).map_while(NamespaceId::from_index);
        let is_occupied = |pair: &Pair, namespace| pair.members > 0 || self.apart_in(namespace).uncounted > 0;
        let found = keys.into_iter().find(|&namespace| {
            visited += 1;
            self.get(namespace).is_some_and(|pair| is_occupied(pair, namespace))
        });
        *budget -= visited;
        found
    }

    /// Removes the members of a departed node from a namespace.
    pub(super) fn remove_members(&mut self, place: Place, stays: &mut StaysTable) -> Change {
        let pair = self.get(place.namespace).copied().unwrap_or_default();
        let pair = Pair { members: 0, member_ticks: pair.ticks_at(self.clock), ..pair };
        self.replace(place, pair, Apart::default(), &Stays::default(), stays)
    }

    /// Forgets a namespace; returns whether it had a pair.
    pub(super) fn forget(&mut self, place: Place, stays: &mut StaysTable) -> bool {
        let Some(pair) = self.table.remove(&place.namespace) else { return false };
        self.members -= u64::from(pair.members);
        self.apart.remove(&place.namespace);
        let removed = pair.digest(self.node, place.name_digest, &stays.get(pair.stays));
        stays.remove(pair.stays);
        self.digest = self.digest.wrapping_sub(removed);
        true
    }

    /// Sets a pair and the members that stand apart, and raises its stays to `least`; returns what changes by it.
    fn replace(&mut self, place: Place, mut pair: Pair, apart: Apart, least: &Stays, stays: &mut StaysTable) -> Change {
        let before = self.get(place.namespace).copied();
        let old = before.unwrap_or_default();
        let node = self.node;
        let digest = |pair: &Pair, stays: &StaysTable| pair.digest(node, place.name_digest, &stays.get(pair.stays));
        let removed = before.map_or(0, |pair| digest(&pair, stays));
        let mut histogram = pair.stays;
        let ended = stays.raise(&mut histogram, least);
        pair.stays = histogram;
        self.digest = self.digest.wrapping_add(digest(&pair, stays)).wrapping_sub(removed);
        match self.table.get_mut(&place.namespace) {
            Some(entry) => *entry = pair,
            None => drop(self.table.insert(place.namespace, pair)),
        }
        self.members = self.members + u64::from(pair.members) - u64::from(old.members);
        let apart_before = self.set_apart(place.namespace, apart);
        Change {
            before: Present { counted: old.members, apart: apart_before },
            after: Present { counted: pair.members, apart },
            connections: pair.connections - old.connections,
            member_ticks: pair.ticks_here(self.offset).wrapping_sub(old.ticks_here(self.offset)),
            stays: ended,
            joins: 0,
        }
    }

    fn apart_in(&self, namespace: NamespaceId) -> Apart {
        self.apart.get(&namespace).copied().unwrap_or_default()
    }

    /// Sets the members that stand apart in a namespace; returns those that were before.
    fn set_apart(&mut self, namespace: NamespaceId, apart: Apart) -> Apart {
        let before =
            if apart == Apart::default() { self.apart.remove(&namespace) } else { self.apart.insert(namespace, apart) };
        before.unwrap_or_default()
    }

    /// Panics if the sums are not those of the pairs, or if members are left before `removed_before`. Adds the pairs to what
    /// all nodes have in each namespace; returns the number of histograms that have a place.
    #[cfg(any(test, debug_assertions))]
    pub(super) fn check(
        &self,
        stays: &StaysTable,
        removed_before: Option<NamespaceId>,
        digest_of: impl Fn(NamespaceId) -> u64,
        elsewhere: &mut HashMap<NamespaceId, Elsewhere>,
    ) -> usize {
        let (mut members, mut digest, mut histograms) = (0, 0_u64, 0);
        for (&namespace, pair) in self.table.iter() {
            members += u64::from(pair.members);
            let ended = stays.get(pair.stays);
            let all = elsewhere.entry(namespace).or_default();
            all.counted += u64::from(pair.members);
            let Apart { uncounted, waiting } = self.apart_in(namespace);
            all.uncounted += u64::from(uncounted);
            all.waiting += u64::from(waiting);
            all.member_ticks = all.member_ticks.wrapping_add(pair.ticks_here(self.offset));
            all.stays.iter_mut().zip(ended).for_each(|(all, count)| *all += count);
            histograms += usize::from({ pair.stays }.has_row());
            digest = digest.wrapping_add(pair.digest(self.node, digest_of(namespace), &ended));
            assert!(pair.members == 0 || removed_before.is_none_or(|from| namespace >= from), "a removal goes on");
        }
        assert!(self.apart.iter().all(|(&id, &of)| of != Apart::default() && self.get(id).is_some()), "sparse");
        assert_eq!((self.members, self.digest), (members, digest), "a peer's sums are the sums over its pairs");
        histograms
    }
}
