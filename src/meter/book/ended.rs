//! The events that are over and were reported, here or at another node.
//!
//! Owns a record of each report that this node has given, for as long as another node may have to learn of it. The
//! record is an item of the journal, so what is lost on the way is repaired like all news. Of the reports of others a namespace
//! keeps how many joins they count: a later join makes an event one that has to be reported.
//!
//! Invariant: records are forgotten in the order in which they were made.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use super::Book;
use super::journal::Subject;
use super::keys::{ItemId, NamespaceId};
use crate::collections::tick::{Moment, Now, Tick};
use crate::meter::news::{AGE_MS_MAX, EndedEvent};

/// A report that this node has given.
#[derive(Debug)]
struct Record {
    name: Rc<str>,
    connections: u64,
    empty_since: Tick,
    item: ItemId,
    /// When it is forgotten.
    until: Tick,
}

/// The reports that this node has given of late.
#[derive(Debug, Default)]
pub(in crate::meter) struct Ended {
    /// The number of the first record.
    first: u32,
    records: VecDeque<Record>,
}

impl Ended {
    /// When the next record is forgotten.
    pub(super) fn next_deadline(&self) -> Option<Tick> {
        self.records.front().map(|record| record.until)
    }

    /// The record of this number, as it is announced.
    pub(super) fn news(&self, number: u32, now: Now) -> EndedEvent<Rc<str>> {
        let record = self.records.get(number.wrapping_sub(self.first) as usize);
        let record = record.expect("an item of the journal has its record");
        let empty_ms = now.tick.ms_since(record.empty_since).min(AGE_MS_MAX);
        EndedEvent { namespace: record.name.clone(), connections: record.connections, empty_ms }
    }
}

/// The namespace is about to be forgotten, and was reported: this is announced, and repaired for this time.
pub(in crate::meter) fn record(id: NamespaceId, keep: Duration, book: &mut Book, now: Now) {
    let Some(namespace) = book.namespaces.get(id) else { return };
    let number = book.ended.first.wrapping_add(book.ended.records.len() as u32);
    book.ended.records.push_back(Record {
        name: namespace.shared_name(),
        connections: namespace.connections(),
        empty_since: namespace.empty_since,
        item: book.journal.insert(Subject::Ended(number)),
        until: now.tick.after(keep),
    });
}

/// Forgets records that are old enough, at most this number of them.
pub(in crate::meter) fn forget_some(most: usize, book: &mut Book, now: Now) {
    for _ in 0..most {
        if book.ended.next_deadline().is_none_or(|until| until > now.tick) {
            break;
        }
        if let Some(record) = book.ended.records.pop_front() {
            book.ended.first = book.ended.first.wrapping_add(1);
            book.journal.remove(record.item);
        }
    }
    if book.ended.records.is_empty() {
        book.ended.records = VecDeque::new();
    }
}

/// Another node has reported an event of this name, with this number of joins, that ended at that time.
pub(in crate::meter) fn mark_reported(name: &str, connections: u64, ended_at: Moment, book: &mut Book, now: Now) {
    let Some(id) = book.find(name) else { return };
    let namespace = book.namespaces.at_mut(id);
    if namespace.mark_reported(connections, ended_at) && namespace.is_vacant() {
        // It may be waited for no longer.
        book.reschedule(id, now);
    }
}
