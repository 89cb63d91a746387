//! The reports that were given of late, here and at other nodes.
//!
//! Owns a record of each that this node has given, for as long as another node may have to learn of it. A record is an item of
//! the journal, so what is lost on the way is repaired like all news. And it remembers all reports for a while: a node that
//! did not know the event when its report came may learn of it later, by what departed nodes had counted, and pass it on.
//!
//! Invariant: records are forgotten in the order in which they were made.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use super::keys::ItemId;
use super::name_hash::NameHash;
use crate::collections::order::in_order;
use crate::collections::queue;
use crate::collections::sections::{Reader, Writer};
use crate::collections::tick::{Moment, Now, Tick};
use crate::meter::news::{AGE_MS_MAX, EndedEvent};

/// For how long a report is remembered. It takes a few seconds until no node knows an event any more that was reported.
const REMEMBERED: Duration = Duration::from_mins(1);

/// How many reports are remembered, at some 100 bytes each. Those before them are forgotten.
const REMEMBERED_MAX: usize = 2048;

/// A report that a node has given.
#[derive(Clone, Copy, Debug)]
pub(super) struct Report {
    pub(super) connections: u64,
    /// When the event was over, to that node.
    pub(super) ended_at: Moment,
    /// When it was announced.
    pub(super) at: Moment,
}

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
    /// The last report of each name, by the name's hash, and until when it is remembered. (Thousands of names that outlive
    /// their namespaces would hold many times their memory.)
    remembered: HashMap<u64, (Report, Tick)>,
    hasher: NameHash,
    /// The hashes, in the order in which they are forgotten.
    forgotten: VecDeque<(Tick, u64)>,
}

impl Ended {
    /// When the next record, or report, is forgotten.
    pub(super) fn next_deadline(&self) -> Option<Tick> {
        let record = self.records.front().map(|record| record.until);
        record.into_iter().chain(self.forgotten.front().map(|&(until, _)| until)).min()
    }

    /// Remembers a report.
    pub(super) fn remember(&mut self, name: &str, report: Report, now: Now) {
        let (hash, until) = (self.hasher.of(name), now.tick.after(REMEMBERED));
        self.remembered.insert(hash, (report, until));
        self.forgotten.push_back((until, hash));
        if self.forgotten.len() > REMEMBERED_MAX {
            self.forget_first();
        }
    }

    /// The last report of an event of this name.
    pub(super) fn last_report(&self, name: &str) -> Option<Report> {
        self.remembered.get(&self.hasher.of(name)).map(|&(report, _)| report)
    }

    /// Forgets a report that was remembered long enough; returns whether there was one.
    pub(super) fn forget_old(&mut self, now: Tick) -> bool {
        let is_old = self.forgotten.front().is_some_and(|&(until, _)| until <= now);
        if is_old {
            self.forget_first();
        }
        is_old
    }

    fn forget_first(&mut self) {
        let Some((until, hash)) = self.forgotten.pop_front() else { return };
        // It may have been reported again.
        if self.remembered.get(&hash).is_some_and(|&(_, last)| last <= until) {
            self.remembered.remove(&hash);
        }
        if self.forgotten.is_empty() {
            (self.remembered, self.forgotten) = Default::default();
        }
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
        let record = queue::pop_front_if(&mut self.records, |record| record.until <= now)?;
        self.first = self.first.wrapping_add(1);
        if self.records.is_empty() {
            self.records = VecDeque::new();
        }
        Some(record)
    }

    /// Whether there is a record of this number.
    pub(super) fn has(&self, number: u32) -> bool {
        (number.wrapping_sub(self.first) as usize) < self.records.len()
    }

    pub(super) fn write(&self, out: &mut Writer) {
        let Self { first, next: _, records, remembered, hasher, forgotten } = self;
        out.number((*first).into());
        out.count(records.len());
        for Record { name, connections, empty_since, item, until } in records {
            out.text(name);
            out.number(*connections);
            out.tick(*empty_since);
            out.key(*item);
            out.tick(*until);
        }
        hasher.write(out);
        out.count(remembered.len());
        for hash in in_order(remembered.keys().copied().collect()) {
            let Some((Report { connections, ended_at, at }, until)) = remembered.get(&hash) else { continue };
            out.fixed(hash);
            out.number(*connections);
            out.moment(*ended_at);
            out.moment(*at);
            out.tick(*until);
        }
        out.count(forgotten.len());
        for (until, hash) in forgotten {
            out.tick(*until);
            out.fixed(*hash);
        }
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        let first = from.small();
        let mut ended = Self { first, next: first, ..Self::default() };
        let mut list = from.list();
        while from.has_next(&mut list) {
            let (name, connections, empty_since) = (from.text().into(), from.number(), from.tick());
            ended.push(Record { name, connections, empty_since, item: from.key(), until: from.tick() });
        }
        ended.hasher = NameHash::read(from);
        let mut list = from.list();
        while from.has_next(&mut list) {
            let hash = from.fixed();
            let report = Report { connections: from.number(), ended_at: from.moment(), at: from.moment() };
            ended.remembered.insert(hash, (report, from.tick()));
        }
        let mut list = from.list();
        while from.has_next(&mut list) {
            ended.forgotten.push_back((from.tick(), from.fixed()));
        }
        ended
    }

    /// The record of this number, as it is announced.
    pub(super) fn news(&self, number: u32, now: Now) -> EndedEvent<Rc<str>> {
        let record = self.records.get(number.wrapping_sub(self.first) as usize);
        let record = record.expect("an item of the journal has its record");
        let empty_ms = now.tick.ms_since(record.empty_since).min(AGE_MS_MAX);
        EndedEvent { namespace: record.name.clone(), connections: record.connections, empty_ms }
    }
}
