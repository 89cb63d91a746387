//! What nodes say to each other of events that were reported.
//!
//! Owns the steps between the tables. Of the reports of other nodes a namespace keeps how many joins they count: a later join makes
//! an event one that has to be reported, and so does a member who was still there, unseen by the node that reported. A namespace
//! that comes back by hearsay is matched with the last report of its name.
//!
//! Invariant: a report that was given here is an item of the journal until its record is forgotten.

use std::time::Duration;

use super::Book;
use super::ended::{Record, Report};
use super::journal::Subject;
use super::keys::NamespaceId;
use crate::collections::tick::{Moment, Now};
use crate::meter::news::EndedEvent;

/// The namespace is about to be forgotten, and was reported: this is announced, and repaired for this time.
pub(in crate::meter) fn record_report(id: NamespaceId, keep: Duration, book: &mut Book, now: Now) {
    let Some(namespace) = book.namespaces.get(id) else { return };
    let item = book.journal.insert(Subject::Ended(book.ended.next_number()));
    let (name, connections, empty_since) = (namespace.shared_name(), namespace.connections(), namespace.empty_since);
    let report = Report { connections, ended_at: empty_since.into(), at: now.tick.into() };
    book.ended.remember(&name, report, now);
    book.ended.push(Record { name, connections, empty_since, item, until: now.tick.after(keep) });
}

/// Forgets records of reports that are old enough, and reports, at most this number of each.
pub(in crate::meter) fn forget_reports(most: usize, book: &mut Book, now: Now) {
    for _ in 0..most {
        let Some(record) = book.ended.pop_old(now.tick) else { break };
        book.journal.remove(record.item);
    }
    for _ in 0..most {
        if !book.ended.forget_old(now.tick) {
            break;
        }
    }
}

/// Another node has reported an event that is over; it sent that at this time.
pub(in crate::meter) fn mark_reported(ended: &EndedEvent<&str>, sent_at: Moment, book: &mut Book, now: Now) {
    let ended_at = sent_at.before_ms(ended.empty_ms);
    let report = Report { connections: ended.connections, ended_at, at: sent_at };
    book.ended.remember(ended.namespace, report, now);
    if let Some(id) = book.find(ended.namespace) {
        apply(report, id, book, now);
    }
}

/// A namespace that is new here is known only by what departed nodes had counted. It may have been reported before.
pub(in crate::meter) fn recall_report(id: NamespaceId, book: &mut Book, now: Now) {
    if let Some(report) = book.ended.last_report(book.at(id).name()) {
        apply(report, id, book, now);
    }
}

fn apply(report: Report, id: NamespaceId, book: &mut Book, now: Now) {
    let namespace = book.namespaces.at_mut(id);
    let is_this = namespace.mark_reported(report.connections, report.ended_at, report.at);
    if is_this && namespace.is_vacant() {
        // It may be waited for no longer.
        book.reschedule(id, now);
    }
}
