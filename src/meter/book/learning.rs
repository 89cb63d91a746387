//! The namespaces of which other nodes have reported, and how many there may be.
//!
//! Owns the choice of those that are taken in, and what follows when it becomes known that an event is older than was known here:
//! perhaps this node had forgotten it. It does not know what is reported of them.
//!
//! Invariant: a namespace with members is taken in, though it be one too many.

use std::time::Duration;

use super::change::Change;
use super::keys::NamespaceId;
use super::whole::Whole;
use super::{Book, elsewhere};
use crate::collections::tick::Now;

/// How long before its end an event is learned of at the latest: nodes may differ by that about the end.
const MARGIN: Duration = Duration::from_secs(1);

/// Whether one more namespace is within the limit.
pub(in crate::meter) fn has_room(book: &Book) -> bool {
    book.namespaces.len() < book.rules.namespaces_max
}

/// The namespace of this name, of which another node has reported. One that is new here is made, unless it has no members
/// and has been vacant almost until all nodes forget it, or takes the room of others.
///
/// (If a new one without members took the place of another, two nodes at their limits could hand each other names for ever:
/// what one forgets, the other has announced.)
pub(in crate::meter) fn find_or_learn(
    name: &str,
    has_members: bool,
    whole: Whole,
    book: &mut Book,
    now: Now,
) -> Option<NamespaceId> {
    let found = book.find(name);
    if found.is_some() {
        return found;
    }
    let clean_delay = book.rules.namespace_clean_delay;
    let is_over = Duration::from_millis(whole.age.empty_ms) + MARGIN.min(clean_delay / 4) >= clean_delay;
    if !has_members && (is_over || !has_room(book)) {
        return None;
    }
    let id = book.find_or_make(name, now);
    book.namespaces.at_mut(id).begin_as(whole, now);
    restore(id, book, now);
    Some(id)
}

/// Applies what has changed at another node, and what that node knew at that moment of the namespace as a whole.
pub(in crate::meter) fn apply(id: NamespaceId, change: &Change, whole: Whole, book: &mut Book, now: Now) {
    if book.apply(id, change, whole, now) {
        restore(id, book, now);
    }
}

/// Nothing of what was forgotten so far counts again.
pub(in crate::meter) fn forget_former(book: &mut Book) {
    book.former.clear(&mut book.stays);
}

/// It is known from now on when the event of a namespace had begun: what the members here had come to before counts again, if it
/// had been forgotten.
fn restore(id: NamespaceId, book: &mut Book, now: Now) {
    let Book { namespaces, former, stays, .. } = book;
    let namespace = namespaces.at_mut(id);
    let mut is_restored = false;
    while let Some(sums) = former.take(namespace.name(), namespace.created, stays) {
        namespace.add_sums(&sums, stays);
        is_restored = true;
    }
    if is_restored {
        book.touch_share(id);
        // With a share of its own, a node sees the peak that it was a bystander of before.
        book.record_total(id, 0, now);
        book.reschedule(id, now);
        elsewhere::recall_report(id, book, now);
    }
}
