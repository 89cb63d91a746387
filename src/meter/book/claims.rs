//! The uuids that members claim, so that a person with a second stream is counted once.
//!
//! Owns the claims. A uuid is the text that the page sent as the second segment of its path; the same text in two namespaces
//! is two claims. What a new claim does to the older one, the book decides.
//!
//! Invariant: a claim is in the table exactly while the member that made it is present.

use std::rc::Rc;

use super::keys::{ClaimId, ItemId, MemberId, NamespaceId};
use crate::collections::key::Key as _;
use crate::collections::shards::ShardMap;
use crate::collections::slab::Slab;
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

#[derive(Debug)]
struct Claim {
    namespace: NamespaceId,
    key: Rc<[u8]>,
    member: MemberId,
    order: u64,
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
}

impl Default for Claims {
    fn default() -> Self {
        Self { table: Slab::default(), by_key: ShardMap::new(CLAIM_SHARDS), latest: 0 }
    }
}

/// What a uuid of a namespace is looked up by.
fn key(namespace: NamespaceId, uuid: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(PLACE_BYTES + uuid.len());
    key.extend_from_slice(&namespace.place().get().to_ne_bytes());
    key.extend_from_slice(uuid.as_bytes());
    key
}

impl Claims {
    fn find(&self, namespace: NamespaceId, uuid: &str) -> Option<&Claim> {
        // Most audiences have none, and need no key.
        if self.by_key.is_empty() {
            return None;
        }
        let id = *self.by_key.get(&*key(namespace, uuid))?;
        Some(self.table.at(id))
    }

    /// The member that claims the uuid in this namespace.
    pub(in crate::meter) fn holder(&self, namespace: NamespaceId, uuid: &str) -> Option<MemberId> {
        self.find(namespace, uuid).map(|claim| claim.member)
    }

    /// The order of the claim of the uuid in this namespace, by one of this node's members.
    pub(in crate::meter) fn order_of(&self, namespace: NamespaceId, uuid: &str) -> Option<u64> {
        self.find(namespace, uuid).map(|claim| claim.order)
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

    /// Records the claim of a uuid that no member of the namespace holds.
    pub(super) fn insert(&mut self, namespace: NamespaceId, uuid: &str, member: MemberId, order: u64) -> ClaimId {
        let key: Rc<[u8]> = key(namespace, uuid).into();
        let id = self.table.insert(Claim { namespace, key: key.clone(), member, order, item: None });
        let earlier = self.by_key.insert(key, id);
        debug_assert!(earlier.is_none(), "a uuid is held once");
        id
    }

    /// Sets the place of a claim in the journal.
    pub(super) fn set_item(&mut self, id: ClaimId, item: ItemId) {
        self.table.at_mut(id).item = Some(item);
    }

    /// The claim as it is announced.
    pub(super) fn news(&self, id: ClaimId, name_of: impl Fn(NamespaceId) -> Rc<str>) -> news::Claim<Rc<str>> {
        let &Claim { namespace, ref key, order, .. } = self.table.at(id);
        let uuid = key.get(PLACE_BYTES..).and_then(|uuid| str::from_utf8(uuid).ok());
        news::Claim { namespace: name_of(namespace), uuid: uuid.unwrap_or_default().into(), order }
    }

    /// Ends a claim; returns its place in the journal.
    pub(super) fn remove(&mut self, id: ClaimId) -> Option<ItemId> {
        let Claim { key, item, .. } = self.table.remove(id)?;
        self.by_key.remove(&key);
        item
    }

    /// The member that made a claim.
    #[cfg(any(test, debug_assertions))]
    pub(super) fn member_of(&self, id: ClaimId) -> Option<MemberId> {
        self.table.get(id).map(|claim| claim.member)
    }

    /// The number of claims.
    #[cfg(any(test, debug_assertions))]
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_later_than_all_that_are_known() {
        let mut claims = Claims::default();
        assert_eq!((claims.latest(), claims.next_order(), claims.next_order()), (0, 1, 2));
        claims.see(9);
        claims.see(5);
        assert_eq!((claims.latest(), claims.next_order()), (9, 10));
        claims.see(10 + STEP_MAX);
        assert_eq!(claims.next_order(), 11 + STEP_MAX);
    }

    #[test]
    fn an_order_that_cannot_be_is_not_followed() {
        let mut claims = Claims::default();
        for order in [STEP_MAX + 1, ORDER_MAX] {
            claims.see(order);
            assert_eq!(claims.latest(), 0);
        }
        claims.latest = ORDER_MAX - 1;
        claims.see(ORDER_MAX);
        assert_eq!((claims.next_order(), claims.next_order()), (ORDER_MAX, ORDER_MAX), "it fits into a datagram");
    }
}
