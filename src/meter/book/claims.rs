//! The uuids that members claim, so that a person with a second stream is counted once.
//!
//! Owns the claims. A uuid is the text that the page sent as the second segment of its path; the same text in two namespaces
//! is two claims. What a new claim does to the older one, the book decides, and how long a place waits, `patience` does.
//!
//! | file | owns |
//! |---|---|
//! | `sections` | claims as bytes |
//!
//! Invariant: a claim is in the table exactly while its member is present, its place waits, or it is announced that it is over.

pub(super) mod sections;

use std::collections::VecDeque;
use std::rc::Rc;

use super::keys::{ClaimId, ItemId, MemberId, NamespaceId};
use super::members::{Members, low_bits, ticks_since};
use crate::collections::key::Key as _;
use crate::collections::queue;
use crate::collections::shards::ShardMap;
use crate::collections::slab::Slab;
use crate::collections::tick::{TICK_MS, Tick};
use crate::meter::news;

/// The largest order: a datagram has 56 bits for it.
const ORDER_MAX: u64 = (1 << 56) - 1;

/// The most claims that may have been made since this node last learnt of one: 1,000,000 a second for 12 days.
const STEP_MAX: u64 = 1 << 40;

/// In how many parts claims are looked up: with 1,000,000 of them, one part takes some 3 ms to grow, and with 100,000 it
/// takes 0.3.
const CLAIM_SHARDS: usize = 64;

/// The bytes of a key before the uuid: the place of its namespace.
const PLACE_BYTES: usize = size_of::<u32>();

/// What a claim stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::meter) enum Holder {
    /// A member that is present.
    Member(MemberId),
    /// A place that waits for its member to come back: the stream is gone, and the person is counted still.
    Waiting(Waiting),
    /// Nothing any more, which the other nodes have to know.
    Nothing,
}

impl Holder {
    /// The member that is present.
    pub(in crate::meter) fn member(self) -> Option<MemberId> {
        match self {
            Self::Member(member) => Some(member),
            Self::Waiting(_) | Self::Nothing => None,
        }
    }
}

/// The places that wait for as long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Those whose streams were lost.
    Lost,
    /// Those whose pages have gone, and may be coming back.
    Away,
}

/// A place that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::meter) struct Waiting {
    /// The low bits of the tick since which it is counted.
    pub(super) counted_at: u32,
    /// The low bits of the tick at which it waits no longer.
    pub(super) until: u32,
}

#[derive(Debug)]
struct Claim {
    namespace: NamespaceId,
    key: Rc<[u8]>,
    holder: Holder,
    order: u64,
    /// The order of the claim whose place it has taken over, or 0.
    continues: u64,
    /// The claim in the journal; `None` until it is entered there.
    item: Option<ItemId>,
}

/// All claims of all namespaces.
pub(in crate::meter) struct Claims {
    table: Slab<ClaimId, Claim>,
    /// One table for all namespaces: all members may be in one.
    by_key: ShardMap<Rc<[u8]>, ClaimId>,
    /// The largest order of a claim that this node knows of.
    latest: u64,
    /// The number of places that wait.
    waiting: usize,
    /// When places may be over, one line for each time that places wait. A place that has come back is in it still.
    lines: [VecDeque<(Tick, ClaimId)>; 2],
    /// The claims that are over, and until when that is announced.
    over: VecDeque<(Tick, ClaimId)>,
    /// Whether places are kept, so other nodes have to know of them.
    is_patient: bool,
}

/// What a uuid of a namespace is looked up by.
pub(super) fn key_of(namespace: NamespaceId, uuid: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(PLACE_BYTES + uuid.len());
    key.extend_from_slice(&namespace.place().get().to_ne_bytes());
    key.extend_from_slice(uuid.as_bytes());
    key
}

/// The uuid of such a key.
pub(super) fn uuid_of(key: &[u8]) -> &str {
    key.get(PLACE_BYTES..).and_then(|uuid| str::from_utf8(uuid).ok()).unwrap_or_default()
}

impl Claims {
    /// No claims. `is_patient` says whether places are kept.
    pub(super) fn new(is_patient: bool) -> Self {
        Self {
            table: Slab::default(),
            by_key: ShardMap::new(CLAIM_SHARDS),
            latest: 0,
            waiting: 0,
            lines: Default::default(),
            over: VecDeque::new(),
            is_patient,
        }
    }

    /// The claim of the uuid in this namespace.
    pub(in crate::meter) fn find(&self, namespace: NamespaceId, uuid: &str) -> Option<ClaimId> {
        // Most audiences have none, and need no key.
        if self.by_key.is_empty() {
            return None;
        }
        self.find_key(&key_of(namespace, uuid))
    }

    /// The claim of this key.
    pub(super) fn find_key(&self, key: &[u8]) -> Option<ClaimId> {
        self.by_key.get(key).copied()
    }

    /// The key of a claim.
    pub(super) fn key(&self, id: ClaimId) -> Rc<[u8]> {
        self.table.at(id).key.clone()
    }

    /// The present member that claims the uuid in this namespace.
    pub(in crate::meter) fn member(&self, namespace: NamespaceId, uuid: &str) -> Option<MemberId> {
        self.holder(self.find(namespace, uuid)?).member()
    }

    /// What a claim stands for.
    pub(in crate::meter) fn holder(&self, id: ClaimId) -> Holder {
        self.table.at(id).holder
    }

    /// The namespace of a claim.
    pub(super) fn namespace(&self, id: ClaimId) -> NamespaceId {
        self.table.at(id).namespace
    }

    /// The order of a claim.
    pub(in crate::meter) fn order(&self, id: ClaimId) -> u64 {
        self.table.at(id).order
    }

    /// The order of the claim that this one continues, or 0.
    pub(in crate::meter) fn continued(&self, id: ClaimId) -> u64 {
        self.table.at(id).continues
    }

    /// The order of a claim that is made now: larger than all that this node knows of.
    pub(in crate::meter) fn next_order(&mut self) -> u64 {
        self.latest = (self.latest() + 1).min(ORDER_MAX);
        self.latest
    }

    /// The largest order of a claim that this node knows of.
    pub(in crate::meter) fn latest(&self) -> u64 {
        self.latest
    }

    /// Claims that are made from now on are later than those up to this order of another node. One that no audience can have
    /// come to is not followed: a node that is broken would use up the orders that there are.
    pub(in crate::meter) fn see(&mut self, order: u64) {
        if order <= self.latest + STEP_MAX {
            self.latest = self.latest.max(order);
        }
    }

    /// Records the claim of a uuid that no member of the namespace holds. It continues the one of that order, if that is not 0.
    pub(super) fn insert(
        &mut self,
        namespace: NamespaceId,
        key: Rc<[u8]>,
        member: MemberId,
        order: u64,
        continues: u64,
    ) -> ClaimId {
        let holder = Holder::Member(member);
        self.enter(Claim { namespace, key, holder, order, continues, item: None })
    }

    /// Adopts the place of a departed node: it waits until then.
    pub(super) fn adopt(&mut self, namespace: NamespaceId, key: Rc<[u8]>, order: u64, continues: u64) -> ClaimId {
        let holder = Holder::Nothing;
        self.enter(Claim { namespace, key, holder, order, continues, item: None })
    }

    fn enter(&mut self, claim: Claim) -> ClaimId {
        let key = claim.key.clone();
        let id = self.table.insert(claim);
        let earlier = self.by_key.insert(key, id);
        debug_assert!(earlier.is_none(), "a uuid is held once");
        id
    }

    /// Whether there is such a claim.
    pub(super) fn has(&self, id: ClaimId) -> bool {
        self.table.get(id).is_some()
    }

    /// Sets the place of a claim in the journal.
    pub(super) fn set_item(&mut self, id: ClaimId, item: ItemId) {
        self.table.at_mut(id).item = Some(item);
    }

    /// The claim as it is announced.
    pub(super) fn news(
        &self,
        id: ClaimId,
        members: &Members,
        now: Tick,
        name_of: impl Fn(NamespaceId) -> Rc<str>,
    ) -> news::Claim<Rc<str>> {
        let &Claim { namespace, ref key, order, continues, holder, .. } = self.table.at(id);
        let counted_at = match holder {
            Holder::Member(member) => members.counted_at(member),
            Holder::Waiting(Waiting { counted_at, .. }) => Some(counted_at),
            Holder::Nothing => None,
        };
        let patience = counted_at
            .filter(|_| self.is_patient)
            .map(|counted_at| news::Patience { continues, counted_ms: ticks_since(counted_at, now) * TICK_MS });
        news::Claim { namespace: name_of(namespace), uuid: uuid_of(key).into(), order, patience }
    }

    /// Ends a claim; returns its place in the journal.
    pub(super) fn remove(&mut self, id: ClaimId) -> Option<ItemId> {
        let Claim { key, item, holder, .. } = self.table.remove(id)?;
        self.waiting -= usize::from(matches!(holder, Holder::Waiting(_)));
        self.by_key.remove(&key);
        item
    }

    /// The place of a claim waits from now on, in the line of places that wait for as long. It is counted since the tick of these
    /// low bits.
    pub(super) fn wait(&mut self, id: ClaimId, counted_at: u32, until: Tick, line: Line) {
        let waiting = Waiting { counted_at, until: low_bits(until) };
        let before = std::mem::replace(&mut self.table.at_mut(id).holder, Holder::Waiting(waiting));
        self.waiting += usize::from(!matches!(before, Holder::Waiting(_)));
        let [lost, away] = &mut self.lines;
        let line = if line == Line::Lost { lost } else { away };
        debug_assert!(line.back().is_none_or(|&(last, _)| last <= until), "a line is in order");
        line.push_back((until, id));
    }

    /// The next claim whose place waits no longer.
    pub(super) fn pop_over(&mut self, now: Tick) -> Option<ClaimId> {
        let Self { lines, table, .. } = self;
        let waits_until = |id: ClaimId| match table.get(id)?.holder {
            Holder::Waiting(Waiting { until, .. }) => Some(until),
            Holder::Member(_) | Holder::Nothing => None,
        };
        for line in lines {
            while let Some((until, id)) = queue::pop_front_if(line, |(until, _)| *until <= now) {
                if waits_until(id) == Some(low_bits(until)) {
                    return Some(id);
                }
            }
        }
        None
    }

    /// A claim is over, which is announced until then.
    pub(super) fn retire(&mut self, id: ClaimId, until: Tick) {
        let claim = self.table.at_mut(id);
        let before = std::mem::replace(&mut claim.holder, Holder::Nothing);
        self.waiting -= usize::from(matches!(before, Holder::Waiting(_)));
        self.by_key.remove(&claim.key);
        self.over.push_back((until, id));
    }

    /// The next claim that is over and is announced no more: its namespace, and its place in the journal.
    pub(super) fn pop_retired(&mut self, now: Tick) -> Option<(NamespaceId, Option<ItemId>)> {
        let (_, id) = queue::pop_front_if(&mut self.over, |(until, _)| *until <= now)?;
        self.table.remove(id).map(|claim| (claim.namespace, claim.item))
    }

    /// The place of a claim in the journal.
    pub(super) fn item(&self, id: ClaimId) -> Option<ItemId> {
        self.table.at(id).item
    }

    /// Whether other nodes have to know of the places that are kept.
    pub(super) fn is_patient(&self) -> bool {
        self.is_patient
    }

    /// When the next place or claim may be over.
    pub(super) fn next_deadline(&self) -> Option<Tick> {
        let [lost, away] = &self.lines;
        [lost, away, &self.over].into_iter().filter_map(|line| line.front()).map(|&(until, _)| until).min()
    }

    /// The number of places that wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// The claims whose places wait in a namespace.
    #[cfg(any(test, debug_assertions))]
    pub(super) fn waiting_in(&self, namespace: NamespaceId) -> usize {
        let claims = self.table.iter().filter(|(_, claim)| claim.namespace == namespace);
        claims.filter(|(_, claim)| matches!(claim.holder, Holder::Waiting(_))).count()
    }

    /// The number of claims.
    #[cfg(any(test, debug_assertions))]
    pub(super) fn len(&self) -> usize {
        self.table.len() - self.over.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_later_than_all_that_are_known() {
        let mut claims = Claims::new(false);
        assert_eq!((claims.latest(), claims.next_order(), claims.next_order()), (0, 1, 2));
        claims.see(9);
        claims.see(5);
        assert_eq!((claims.latest(), claims.next_order()), (9, 10));
        claims.see(10 + STEP_MAX);
        assert_eq!(claims.next_order(), 11 + STEP_MAX);
    }

    #[test]
    fn an_order_that_cannot_be_is_not_followed() {
        let mut claims = Claims::new(false);
        for order in [STEP_MAX + 1, ORDER_MAX] {
            claims.see(order);
            assert_eq!(claims.latest(), 0);
        }
        claims.latest = ORDER_MAX - 1;
        claims.see(ORDER_MAX);
        assert_eq!((claims.next_order(), claims.next_order()), (ORDER_MAX, ORDER_MAX), "it fits into a datagram");
    }
}
