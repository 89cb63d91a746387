//! The uuids that members claim, so that a person with a second stream is counted once.
//!
//! Owns the claims. A uuid is the text that the page sent as the second segment of its path; the same text in two namespaces
//! is two claims. What a new claim does to the older one, the book decides.
//!
//! Invariant: a claim is in the table exactly while the member that made it is present.

use std::collections::HashMap;
use std::rc::Rc;

use super::keys::{ClaimId, ItemId, MemberId, NamespaceId};
use crate::collections::slab::Slab;
use crate::meter::news;

/// The largest order: a datagram has 56 bits for it.
const ORDER_MAX: u64 = (1 << 56) - 1;

/// The most claims that may have been made since this node last learnt of one: 1,000,000 a second for 12 days.
const STEP_MAX: u64 = 1 << 40;

#[derive(Debug)]
struct Claim {
    namespace: NamespaceId,
    uuid: Rc<str>,
    member: MemberId,
    order: u64,
    /// The claim in the journal; `None` until it is entered there.
    item: Option<ItemId>,
}

/// All claims of all namespaces.
#[derive(Default)]
pub(in crate::meter) struct Claims {
    table: Slab<ClaimId, Claim>,
    by_uuid: HashMap<NamespaceId, HashMap<Rc<str>, ClaimId>>,
    /// The largest order of a claim that this node knows of.
    latest: u64,
}

impl Claims {
    /// The member that claims the uuid in this namespace.
    pub(in crate::meter) fn holder(&self, namespace: NamespaceId, uuid: &str) -> Option<MemberId> {
        let claim = *self.by_uuid.get(&namespace)?.get(uuid)?;
        Some(self.table.at(claim).member)
    }

    /// The order of the claim of the uuid in this namespace, by one of this node's members.
    pub(in crate::meter) fn order_of(&self, namespace: NamespaceId, uuid: &str) -> Option<u64> {
        let claim = *self.by_uuid.get(&namespace)?.get(uuid)?;
        Some(self.table.at(claim).order)
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
        let uuid: Rc<str> = uuid.into();
        let id = self.table.insert(Claim { namespace, uuid: uuid.clone(), member, order, item: None });
        let earlier = self.by_uuid.entry(namespace).or_default().insert(uuid, id);
        debug_assert!(earlier.is_none(), "a uuid is held once");
        id
    }

    /// Sets the place of a claim in the journal.
    pub(super) fn set_item(&mut self, id: ClaimId, item: ItemId) {
        self.table.at_mut(id).item = Some(item);
    }

    /// The claim as it is announced.
    pub(super) fn news(&self, id: ClaimId, name_of: impl Fn(NamespaceId) -> Rc<str>) -> news::Claim<Rc<str>> {
        let claim = self.table.at(id);
        news::Claim { namespace: name_of(claim.namespace), uuid: claim.uuid.clone(), order: claim.order }
    }

    /// Ends a claim; returns its place in the journal.
    pub(super) fn remove(&mut self, id: ClaimId) -> Option<ItemId> {
        let Claim { namespace, uuid, item, .. } = self.table.remove(id)?;
        if let Some(uuids) = self.by_uuid.get_mut(&namespace) {
            uuids.remove(&uuid);
            if uuids.is_empty() {
                self.by_uuid.remove(&namespace);
            }
        }
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
