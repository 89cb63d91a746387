//! Members that come into the count later than they joined.
//!
//! Owns those steps: a member has stayed for the increment delay, or the caller wants one counted that was not. It does not know
//! why that is so.
//!
//! Invariant: the other nodes learn that the share has changed.

use super::keys::MemberId;
use super::standing::Standing;
use super::{Book, people};
use crate::collections::tick::Now;

/// Counts a member that is present without being counted, as if it had joined now; returns whether it did.
pub(in crate::meter) fn count(member: MemberId, book: &mut Book, now: Now) -> bool {
    let is_uncounted = book.members.get(member).is_some_and(|member| member.standing == Standing::Uncounted);
    if is_uncounted {
        set_standing(member, book.first_standing(), book, now);
    }
    is_uncounted
}

/// Counts members that have stayed for the increment delay, at most `most`.
pub(in crate::meter) fn count_pending(most: usize, book: &mut Book, now: Now) {
    book.pending.expire(now.tick);
    for _ in 0..most {
        let Some(member) = book.pending.pop_due() else { break };
        set_standing(member, Standing::Counted, book, now);
    }
}

/// The present member has this standing from now on.
fn set_standing(member: MemberId, standing: Standing, book: &mut Book, now: Now) {
    let Some(id) = book.members.get(member).and_then(|member| member.namespace) else { return };
    book.members.set_standing(member, standing, book.namespaces.at_mut(id), now.tick);
    if standing == Standing::Pending {
        book.wait_to_count(member, now);
        // One member less is uncounted.
        book.touch_share(id);
    }
    book.announce_standing(id, standing, now);
    if standing == Standing::Counted {
        people::count_with_member(id, member, book, now);
    }
    if let Some(item) = book.members.get(member).and_then(|member| book.claims.item(member.claim?))
        && book.claims.is_patient()
    {
        // Other nodes have to know that its place is kept.
        book.journal.touch(item);
    }
    book.reschedule(id, now);
}
