//! What other nodes say of a namespace as a whole: that there is one, and that its event was reported.
//!
//! Owns the moment from which on an event that is over is news no more. Of the reports of other nodes a namespace keeps how many
//! joins they count: a later join makes an event one that has to be reported.
//!
//! Invariant: a node that has forgotten an event learns of it no more.

use std::time::Duration;

use super::Book;
use super::ended::Record;
use super::journal::Subject;
use super::keys::NamespaceId;
use super::whole::Whole;
use crate::collections::tick::{Moment, Now};
use crate::meter::news::EndedEvent;

/// How long before its end an event is learned of at the latest: nodes may differ by that about the end.
const LEARNING_MARGIN: Duration = Duration::from_secs(1);

/// The namespace of this name, of which another node has reported. One that is new here is made, unless it has no members
/// and has been vacant almost until all nodes forget it.
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
    let margin = LEARNING_MARGIN.min(clean_delay / 4);
    if !has_members && Duration::from_millis(whole.age.empty_ms) + margin >= clean_delay {
        return None;
    }
    let id = book.find_or_make(name, now);
    book.namespaces.at_mut(id).begin_as(whole, now);
    Some(id)
}

/// The namespace is about to be forgotten, and was reported: this is announced, and repaired for this time.
pub(in crate::meter) fn record_report(id: NamespaceId, keep: Duration, book: &mut Book, now: Now) {
    let Some(namespace) = book.namespaces.get(id) else { return };
    let item = book.journal.insert(Subject::Ended(book.ended.next_number()));
    let (name, connections, empty_since) = (namespace.shared_name(), namespace.connections(), namespace.empty_since);
    book.ended.push(Record { name, connections, empty_since, item, until: now.tick.after(keep) });
}

/// Forgets records of reports that are old enough, at most this number of them.
pub(in crate::meter) fn forget_reports(most: usize, book: &mut Book, now: Now) {
    for _ in 0..most {
        let Some(record) = book.ended.pop_old(now.tick) else { break };
        book.journal.remove(record.item);
    }
}

/// Another node has reported an event that is over; it sent that at this time.
pub(in crate::meter) fn mark_reported(ended: &EndedEvent<&str>, sent_at: Moment, book: &mut Book, now: Now) {
    let Some(id) = book.find(ended.namespace) else { return };
    let namespace = book.namespaces.at_mut(id);
    let is_this = namespace.mark_reported(ended.connections, sent_at.before_ms(ended.empty_ms));
    if is_this && namespace.is_vacant() {
        // It may be waited for no longer.
        book.reschedule(id, now);
    }
}
