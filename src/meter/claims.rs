//! Which member holds which uuid, so that one person who opens a second stream is counted once.
//!
//! Owns the claims; whether a claim ends a stream is [`Meter`](super::Meter)'s to decide. A uuid is whatever text the
//! page sent as the second segment of its path; the same text in two namespaces is two claims.
//!
//! Invariant: a claim is in the table exactly while the member that made it is present.

use std::collections::HashMap;
use std::rc::Rc;

use super::{ClaimId, ItemId, MemberId, NamespaceId, news};
use crate::collections::NONE;
use crate::collections::slab::Slab;

#[derive(Debug)]
struct Claim {
    namespace: NamespaceId,
    uuid: Rc<str>,
    member: MemberId,
    /// When it was made, in milliseconds since 1970, but later than all claims that this node had heard of.
    time_ms: u64,
    /// The claim in the journal.
    item: ItemId,
}

/// All claims of all namespaces.
#[derive(Default)]
pub(super) struct Claims {
    claims: Slab<Claim>,
    by_uuid: HashMap<NamespaceId, HashMap<Rc<str>, ClaimId>>,
}

impl Claims {
    /// The member that claims the uuid in this namespace.
    pub(super) fn holder(&self, namespace: NamespaceId, uuid: &str) -> Option<MemberId> {
        let claim = *self.by_uuid.get(&namespace)?.get(uuid)?;
        Some(self.claims.at(claim).member)
    }

    /// When the uuid was claimed in this namespace, by one of this node's members.
    pub(super) fn time_of(&self, namespace: NamespaceId, uuid: &str) -> Option<u64> {
        let claim = *self.by_uuid.get(&namespace)?.get(uuid)?;
        Some(self.claims.at(claim).time_ms)
    }

    /// Records the claim of a uuid that nobody in the namespace holds.
    pub(super) fn insert(&mut self, namespace: NamespaceId, uuid: &str, member: MemberId, time_ms: u64) -> ClaimId {
        let uuid: Rc<str> = uuid.into();
        let id = self.claims.insert(Claim { namespace, uuid: uuid.clone(), member, time_ms, item: NONE });
        let earlier = self.by_uuid.entry(namespace).or_default().insert(uuid, id);
        debug_assert!(earlier.is_none(), "a uuid is held once");
        id
    }

    /// Takes note of where a claim is in the journal.
    pub(super) fn note_item(&mut self, id: ClaimId, item: ItemId) {
        self.claims.at_mut(id).item = item;
    }

    /// What is told of a claim.
    pub(super) fn news(&self, id: ClaimId, name_of: impl Fn(NamespaceId) -> Rc<str>) -> news::Claim<Rc<str>> {
        let claim = self.claims.at(id);
        news::Claim { namespace: name_of(claim.namespace), uuid: claim.uuid.clone(), time_ms: claim.time_ms }
    }

    /// Ends a claim; returns where it is in the journal.
    pub(super) fn remove(&mut self, id: ClaimId) -> Option<ItemId> {
        let Claim { namespace, uuid, item, .. } = self.claims.remove(id)?;
        if let Some(uuids) = self.by_uuid.get_mut(&namespace) {
            uuids.remove(&uuid);
            if uuids.is_empty() {
                self.by_uuid.remove(&namespace);
            }
        }
        Some(item)
    }

    /// The member that made a claim.
    #[cfg(any(test, debug_assertions))]
    pub(super) fn member_of(&self, id: ClaimId) -> Option<MemberId> {
        self.claims.get(id).map(|claim| claim.member)
    }

    /// The number of claims.
    #[cfg(any(test, debug_assertions))]
    pub(super) fn len(&self) -> usize {
        self.claims.len()
    }
}
