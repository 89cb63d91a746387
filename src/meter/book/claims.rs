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
use crate::collections::tick::Now;
use crate::meter::news;

#[derive(Debug)]
struct Claim {
    namespace: NamespaceId,
    uuid: Rc<str>,
    member: MemberId,
    /// When it was made, in milliseconds since 1970, but later than all claims that this node knew of.
    time_ms: u64,
    /// The claim in the journal; `None` until it is entered there.
    item: Option<ItemId>,
}

/// All claims of all namespaces.
#[derive(Default)]
pub(in crate::meter) struct Claims {
    table: Slab<ClaimId, Claim>,
    by_uuid: HashMap<NamespaceId, HashMap<Rc<str>, ClaimId>>,
    /// The time of the latest claim that this node knows of, in milliseconds since 1970.
    latest_ms: u64,
}

impl Claims {
    /// The member that claims the uuid in this namespace.
    pub(in crate::meter) fn holder(&self, namespace: NamespaceId, uuid: &str) -> Option<MemberId> {
        let claim = *self.by_uuid.get(&namespace)?.get(uuid)?;
        Some(self.table.at(claim).member)
    }

    /// When the uuid was claimed in this namespace, by one of this node's members.
    pub(in crate::meter) fn time_of(&self, namespace: NamespaceId, uuid: &str) -> Option<u64> {
        let claim = *self.by_uuid.get(&namespace)?.get(uuid)?;
        Some(self.table.at(claim).time_ms)
    }

    /// The time of a claim that is made now: later than all that this node knows of.
    pub(in crate::meter) fn next_time_ms(&mut self, now: Now) -> u64 {
        self.latest_ms = now.unix_ms.max(self.latest_ms + 1);
        self.latest_ms
    }

    /// Claims that are made from now on are later than this one of another node.
    pub(in crate::meter) fn see(&mut self, time_ms: u64) {
        self.latest_ms = self.latest_ms.max(time_ms);
    }

    /// Records the claim of a uuid that no member of the namespace holds.
    pub(super) fn insert(&mut self, namespace: NamespaceId, uuid: &str, member: MemberId, time_ms: u64) -> ClaimId {
        let uuid: Rc<str> = uuid.into();
        let id = self.table.insert(Claim { namespace, uuid: uuid.clone(), member, time_ms, item: None });
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
        news::Claim { namespace: name_of(claim.namespace), uuid: claim.uuid.clone(), time_ms: claim.time_ms }
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
