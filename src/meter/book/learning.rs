//! The namespaces of which other nodes have reported, and how many there may be.
//!
//! Owns the choice of those that are taken in. It does not know what is reported of them.
//!
//! Invariant: a namespace with members is taken in, though it be one too many.

use std::time::Duration;

use super::Book;
use super::keys::NamespaceId;
use super::whole::Whole;
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
    Some(id)
}
