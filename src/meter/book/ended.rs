//! The reports that this node has given of late.
//!
//! Owns a record of each, for as long as another node may have to learn of it. A record is an item of the journal, so what is
//! lost on the way is repaired like all news.
//!
//! Invariant: records are forgotten in the order in which they were made.

use std::collections::VecDeque;
use std::rc::Rc;

use super::keys::ItemId;
use crate::collections::tick::{Now, Tick};
use crate::meter::news::{AGE_MS_MAX, EndedEvent};

/// A report that this node has given.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) name: Rc<str>,
    pub(super) connections: u64,
    pub(super) empty_since: Tick,
    pub(super) item: ItemId,
    /// When it is forgotten.
    pub(super) until: Tick,
}

/// The reports that this node has given of late.
#[derive(Debug, Default)]
pub(super) struct Ended {
    /// The numbers of the first record, and of the next one.
    first: u32,
    next: u32,
    records: VecDeque<Record>,
}

impl Ended {
    /// When the next record is forgotten.
    pub(super) fn next_deadline(&self) -> Option<Tick> {
        self.records.front().map(|record| record.until)
    }

    /// The number of the next record.
    pub(super) fn next_number(&self) -> u32 {
        self.next
    }

    /// Adds the next record.
    pub(super) fn push(&mut self, record: Record) {
        self.next = self.next.wrapping_add(1);
        self.records.push_back(record);
    }

    /// Takes out the first record, if its time is over.
    pub(super) fn pop_old(&mut self, now: Tick) -> Option<Record> {
        let record = self.records.pop_front_if(|record| record.until <= now)?;
        self.first = self.first.wrapping_add(1);
        if self.records.is_empty() {
            self.records = VecDeque::new();
        }
        Some(record)
    }

    /// The record of this number, as it is announced.
    pub(super) fn news(&self, number: u32, now: Now) -> EndedEvent<Rc<str>> {
        let record = self.records.get(number.wrapping_sub(self.first) as usize);
        let record = record.expect("an item of the journal has its record");
        let empty_ms = now.tick.ms_since(record.empty_since).min(AGE_MS_MAX);
        EndedEvent { namespace: record.name.clone(), connections: record.connections, empty_ms }
    }
}
