//! Which member holds which uuid, so that one person who opens a second stream is counted once.
//!
//! Owns the claims; whether a claim ends a stream is [`Meter`](super::Meter)'s to decide. A uuid is whatever text the
//! page sent as the second segment of its path; the same text in two namespaces is two claims.
//!
//! Invariant: a claim is in the table exactly while the member that made it is present.

use std::collections::HashMap;
use std::rc::Rc;

use super::{MemberId, NamespaceId};
use crate::collections::Key;
use crate::collections::slab::Slab;

/// A claim's key.
pub(super) type ClaimId = Key;

#[derive(Debug)]
struct Claim {
    namespace: NamespaceId,
    uuid: Rc<str>,
    member: MemberId,
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

    /// Records the claim of a uuid that nobody in the namespace holds.
    pub(super) fn insert(&mut self, namespace: NamespaceId, uuid: &str, member: MemberId) -> ClaimId {
        let uuid: Rc<str> = uuid.into();
        let id = self.claims.insert(Claim { namespace, uuid: uuid.clone(), member });
        let earlier = self.by_uuid.entry(namespace).or_default().insert(uuid, id);
        debug_assert!(earlier.is_none(), "a uuid is held once");
        id
    }

    /// Ends a claim.
    pub(super) fn remove(&mut self, id: ClaimId) {
        let Some(Claim { namespace, uuid, .. }) = self.claims.remove(id) else {
            return;
        };
        if let Some(uuids) = self.by_uuid.get_mut(&namespace) {
            uuids.remove(&uuid);
            if uuids.is_empty() {
                self.by_uuid.remove(&namespace);
            }
        }
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
