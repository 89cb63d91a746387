//! How a member joins: the namespace, the count, and the uuid that it claims.
//!
//! Owns the steps between the tables. A member with a uuid comes back where places are kept: it takes over what an earlier one has
//! left, or still has. It does not know how many members there may be.
//!
//! Invariant: of a uuid, one person is counted at this node.

use super::claims::{Holder, Waiting, key_of};
use super::journal::Subject;
use super::keys::{ClaimId, MemberId, NamespaceId};
use super::members::Admission;
use super::standing::Standing;
use super::{Book, patience, succession};
use crate::collections::tick::Now;

/// A member joins the namespace of this name, which is made if there is none. A member that counts is pending for the increment
/// delay.
pub(in crate::meter) fn join(
    member: MemberId,
    name: &str,
    uuid: Option<&str>,
    standing: Standing,
    book: &mut Book,
    now: Now,
) -> Admission {
    let id = book.find_or_make(name, now);
    let earlier = uuid.and_then(|uuid| book.claims.find(id, uuid));
    let ended = earlier.and_then(|claim| book.claims.holder(claim).member());
    let kept = uuid.filter(|_| standing == Standing::Counted).and_then(|uuid| match earlier {
        Some(claim) => take_over(claim, book),
        None => succession::inherit(id, uuid, book).map(|terms| (terms.counted_at, terms.order)),
    });
    if let Some((counted_at, _)) = kept {
        let namespace = book.namespaces.at_mut(id);
        book.members.come_back(member, id, namespace, counted_at);
        if earlier.is_none() {
            book.members.adopt_place(namespace, now.tick);
            book.touch_share(id);
        }
    } else {
        enter(member, id, standing, book, now);
        // It leaves in the same moment, so the total never counts one person twice. The new member keeps the namespace.
        earlier.and_then(|claim| patience::end(claim, book, now));
    }
    let continues = kept.map_or(0, |(_, order)| order);
    let claim = uuid.map(|uuid| claim(id, &key_of(id, uuid), continues, member, book, now));
    if kept.is_none() {
        let standing = book.members.get_mut(member).standing;
        book.announce_standing(id, standing, now);
    } else {
        book.record_total(id, 0, now);
    }
    let namespace = book.namespaces.at_mut(id);
    namespace.give_first_count(now);
    let total = namespace.total();
    book.reschedule(id, now);
    Admission { total: (total > 0).then_some(total), ended, claim }
}

/// A member enters a namespace.
fn enter(member: MemberId, id: NamespaceId, standing: Standing, book: &mut Book, now: Now) {
    let first = if standing == Standing::Counted { book.first_standing() } else { standing };
    book.members.enter(member, id, first, book.namespaces.at_mut(id), now.tick);
    if first == Standing::Pending {
        book.wait_to_count(member, now);
    }
}

/// A member that counts claims the uuid of this claim. Where places are kept, it takes over one that is counted, and the claim ends.
/// Returns the low bits of the tick since which the place is counted, and the order of the claim.
fn take_over(claim: ClaimId, book: &mut Book) -> Option<(u32, u64)> {
    if book.rules.leave_delay.is_zero() {
        return None;
    }
    let counted_at = match book.claims.holder(claim) {
        Holder::Waiting(Waiting { counted_at, .. }) => {
            let id = book.claims.namespace(claim);
            book.namespaces.at_mut(id).estates.waiting -= 1;
            book.touch_share(id);
            counted_at
        }
        Holder::Member(member) if patience::is_counted(member, book) => patience::leave_place(member, book)?.1,
        Holder::Member(_) | Holder::Nothing => return None,
    };
    let order = book.claims.order(claim);
    // The other nodes learn of the next claim, which takes its place.
    if let Some(item) = book.claims.remove(claim) {
        book.journal.remove(item);
    }
    Some((counted_at, order))
}

/// A member claims a uuid that no member here holds, by its key. It continues the claim of that order, if that is not 0.
fn claim(id: NamespaceId, key: &[u8], continues: u64, member: MemberId, book: &mut Book, now: Now) -> ClaimId {
    let order = book.claims.next_order();
    let claim = book.claims.insert(id, key.into(), member, order, continues);
    book.members.get_mut(member).claim = Some(claim);
    book.claims.set_item(claim, book.journal.insert(Subject::Claim(claim)));
    succession::settle(key, book, now);
    claim
}
