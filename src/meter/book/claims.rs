//! Which member holds which uuid, so that one person who opens a second stream is counted once.
//!
//! Owns the claims, and what a new one does to the older. A uuid is whatever text the page sent as the second
//! segment of its path; the same text in two namespaces is two claims.
//!
//! Invariant: a claim is in the table exactly while the member that made it is present.

use std::collections::HashMap;
use std::rc::Rc;

use crate::collections::slab::Slab;
use crate::collections::tick::Now;
use crate::key_type;
use crate::meter::book::journal::ItemId;
use crate::meter::book::journal::Subject;
use crate::meter::cluster::news::{self, News};
use crate::meter::{MemberId, Meter, NAME_MAX, NamespaceId, Output};

key_type! {
    /// A claim's key.
    pub(in crate::meter) ClaimId
}

#[derive(Debug)]
struct Claim {
    namespace: NamespaceId,
    uuid: Rc<str>,
    member: MemberId,
    /// When it was made, in milliseconds since 1970, but later than all claims that this node had heard of.
    time_ms: u64,
    /// The claim in the journal; `None` until it is entered there.
    item: Option<ItemId>,
}

/// All claims of all namespaces.
#[derive(Default)]
pub(in crate::meter) struct Claims {
    claims: Slab<ClaimId, Claim>,
    by_uuid: HashMap<NamespaceId, HashMap<Rc<str>, ClaimId>>,
}

impl Claims {
    /// The member that claims the uuid in this namespace.
    pub(in crate::meter) fn holder(&self, namespace: NamespaceId, uuid: &str) -> Option<MemberId> {
        let claim = *self.by_uuid.get(&namespace)?.get(uuid)?;
        Some(self.claims.at(claim).member)
    }

    /// When the uuid was claimed in this namespace, by one of this node's members.
    pub(in crate::meter) fn time_of(&self, namespace: NamespaceId, uuid: &str) -> Option<u64> {
        let claim = *self.by_uuid.get(&namespace)?.get(uuid)?;
        Some(self.claims.at(claim).time_ms)
    }

    /// Records the claim of a uuid that nobody in the namespace holds.
    pub(in crate::meter) fn insert(
        &mut self,
        namespace: NamespaceId,
        uuid: &str,
        member: MemberId,
        time_ms: u64,
    ) -> ClaimId {
        let uuid: Rc<str> = uuid.into();
        let id = self.claims.insert(Claim { namespace, uuid: uuid.clone(), member, time_ms, item: None });
        let earlier = self.by_uuid.entry(namespace).or_default().insert(uuid, id);
        debug_assert!(earlier.is_none(), "a uuid is held once");
        id
    }

    /// Takes note of where a claim is in the journal.
    pub(in crate::meter) fn note_item(&mut self, id: ClaimId, item: ItemId) {
        self.claims.at_mut(id).item = Some(item);
    }

    /// What is told of a claim.
    pub(in crate::meter) fn news(&self, id: ClaimId, name_of: impl Fn(NamespaceId) -> Rc<str>) -> news::Claim<Rc<str>> {
        let claim = self.claims.at(id);
        news::Claim { namespace: name_of(claim.namespace), uuid: claim.uuid.clone(), time_ms: claim.time_ms }
    }

    /// Ends a claim; returns where it is in the journal.
    pub(in crate::meter) fn remove(&mut self, id: ClaimId) -> Option<ItemId> {
        let Claim { namespace, uuid, item, .. } = self.claims.remove(id)?;
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
    pub(in crate::meter) fn member_of(&self, id: ClaimId) -> Option<MemberId> {
        self.claims.get(id).map(|claim| claim.member)
    }

    /// The number of claims.
    #[cfg(any(test, debug_assertions))]
    pub(in crate::meter) fn len(&self) -> usize {
        self.claims.len()
    }
}

impl Meter {
    /// The member here that whoever joins with this uuid sends away.
    #[must_use]
    pub fn claimant(&self, name: &str, uuid: &str) -> Option<MemberId> {
        self.claims.holder(self.find(name)?, uuid)
    }

    /// A page says that it leaves: whoever claims `uuid` in the namespace of this name, at whatever node, is sent the
    /// farewell.
    pub fn end_claim(&mut self, name: &str, uuid: &str, now: Now) {
        if name.len() > NAME_MAX || uuid.len() > NAME_MAX {
            // Nobody can have claimed it, and it would not fit into a datagram.
            return;
        }
        if let Some(id) = self.find(name) {
            self.end_claim_in(id, uuid, now);
        }
        if self.is_clustered {
            let time_ms = self.cluster.claim_time_ms(now);
            self.tell_thrice(News::GivenUp(news::Claim { namespace: name.into(), uuid: uuid.into(), time_ms }), now);
        }
    }

    pub(in crate::meter) fn end_claim_in(&mut self, id: NamespaceId, uuid: &str, now: Now) {
        let Some(member) = self.claims.holder(id, uuid) else {
            return;
        };
        // Taken off the count here, not when its stream is gone at last: the newcomer's first count is to be true.
        self.outputs.push_back(Output::Farewell(member));
        self.leave(member, now);
    }

    /// A member claims a uuid that nobody at this node holds.
    pub(in crate::meter) fn claim(&mut self, id: NamespaceId, uuid: &str, member: MemberId, now: Now) {
        let time_ms = self.cluster.claim_time_ms(now);
        let claim = self.claims.insert(id, uuid, member, time_ms);
        self.members.get_mut(member).claim = Some(claim);
        self.claims.note_item(claim, self.cluster.journal.insert(Subject::Claim(claim)));
        if self.is_clustered {
            let namespaces = &self.namespaces;
            let news = self.claims.news(claim, |id| namespaces.at(id).shared_name());
            self.tell_thrice(News::Claimed(news), now);
        }
    }
}
