//! How events went over time: a row a minute, for a day, of the largest.
//!
//! Owns a ring of rows for each of a limited number of namespaces, by name. A row is of the total as this node saw it: the
//! least, the average over time and the most, and the joins and leaves. It has the number of different people so far, too. A
//! ring is kept when its namespace is forgotten, because that is when people ask how the event went. It is dropped when an event
//! with members needs its place ([`precedence`](super::precedence)).
//!
//! Each change costs a step in that order, and nothing is done in between: rows of minutes without a change are made up at
//! the next change, at most a day of them.
//!
//! Minutes are those of the monotonic clock, shifted once so that they begin with those of the wall clock. The wall clock gives
//! their time only when a reader asks, and may be set in between.
//!
//! Invariant: `min <= average <= max` in each row, and members go from row to row as `joins` and `leaves` say.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroU32;
use std::rc::Rc;

use super::precedence::{Precedence, Worth};
use crate::collections::key::key_type;
use crate::collections::sections::{Reader, Writer};
use crate::collections::slab::Slab;
use crate::collections::tick::{Now, TICK_MS, Tick};

key_type! {
    /// The key of a ring.
    pub(in crate::meter) HistoryId
}

/// The most rows of a ring: a day of them.
const HISTORY_ROWS: usize = 24 * 60;

const MINUTE_TICKS: u64 = 60_000 / TICK_MS;

/// What happened in a minute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// The least total.
    pub min: u32,
    /// The average of the total over time.
    pub average: f32,
    /// The largest total.
    pub max: u32,
    /// The number of joins.
    pub joins: u32,
    /// The number of leaves.
    pub leaves: u32,
    /// The number of different people that had come by its end; `None` if that is not known.
    pub people: Option<NonZeroU32>,
}

const _: () = assert!(size_of::<Row>() == 24);

/// The minute that goes on.
#[derive(Clone, Copy, Debug)]
struct Open {
    minute: u64,
    /// When it began, or this ring.
    since: Tick,
    min: u64,
    max: u64,
    joins: u64,
    leaves: u64,
    /// The sum of member ticks up to `at`.
    area: u64,
    at: Tick,
}

#[derive(Debug)]
struct Ring {
    name: Rc<str>,
    /// Distinguishes it from rings that were under this key before.
    serial: u64,
    rows: VecDeque<Row>,
    open: Open,
    total: u64,
    /// The different people so far, as of when a minute last ended or a reader asked.
    people: Option<NonZeroU32>,
    /// The largest total of all.
    peak: u64,
    /// Since when the total has been 0.
    empty_since: Tick,
}

/// Rings of the largest namespaces.
pub(in crate::meter) struct Histories {
    limit: usize,
    rings: Slab<HistoryId, Ring>,
    by_name: HashMap<Rc<str>, HistoryId>,
    order: Precedence<HistoryId>,
    serial: u64,
    /// By how much the wall clock was past a full minute when the monotonic clock was at zero, in ticks.
    shift: Option<u64>,
}

/// Where a reader of a ring is. Between two pieces the ring may grow, and its key may be another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryCursor {
    id: HistoryId,
    serial: u64,
    minute: u64,
}

impl Histories {
    /// Keeps at most `limit` rings.
    pub(in crate::meter) fn new(limit: usize) -> Self {
        Self {
            limit,
            rings: Slab::default(),
            by_name: HashMap::new(),
            order: Precedence::default(),
            serial: 0,
            shift: None,
        }
    }

    /// The ring of a namespace that is made anew, if there is one of its name.
    pub(in crate::meter) fn find(&self, name: &str) -> Option<HistoryId> {
        if self.by_name.is_empty() { None } else { self.by_name.get(name).copied() }
    }

    /// Records the total of a namespace, and the joins since the last record. Returns its ring, if it has one.
    ///
    /// `id` is the ring that it had last; by now the key may be another ring's. `people` are those until now, and are asked for
    /// when a minute is over.
    pub(in crate::meter) fn record_total(
        &mut self,
        id: Option<HistoryId>,
        name: &Rc<str>,
        total: u64,
        joins: u64,
        people: impl FnOnce() -> Option<u64>,
        now: Now,
    ) -> Option<HistoryId> {
        let is_its = |ring: &Ring| Rc::ptr_eq(&ring.name, name) || ring.name == *name;
        let id = id.filter(|&id| self.rings.get(id).is_some_and(is_its));
        let id = id.or_else(|| self.begin(name, total.saturating_sub(joins), total, now))?;
        let minute = self.minute(now);
        if let Some(ring) = self.rings.get_mut(id) {
            if ring.open.minute < minute {
                ring.set_people(people());
            }
            ring.roll(minute, now.tick, self.shift.unwrap_or(0));
            ring.change(total, joins, now.tick);
            self.order.set(id, ring.worth());
        }
        Some(id)
    }

    /// Keeps the number of people of a namespace that has this ring and is about to be forgotten.
    pub(in crate::meter) fn keep_people(&mut self, id: HistoryId, name: &Rc<str>, people: Option<u64>) {
        if let Some(ring) = self.rings.get_mut(id).filter(|ring| ring.name == *name) {
            ring.set_people(people);
        }
    }

    /// Begins to read the ring of this name, from the oldest row on, when it has had that many people.
    pub(in crate::meter) fn cursor(&mut self, name: &str, people: Option<u64>, now: Now) -> Option<HistoryCursor> {
        let id = self.by_name.get(name).copied()?;
        let minute = self.minute(now);
        let shift = self.shift.unwrap_or(0);
        let ring = self.rings.get_mut(id)?;
        ring.set_people(people);
        ring.roll(minute, now.tick, shift);
        Some(HistoryCursor { id, serial: ring.serial, minute: ring.first_minute() })
    }

    /// The next row, with when it began in seconds since 1970; the last is of the minute that goes on.
    pub(in crate::meter) fn next_row(&self, cursor: &mut HistoryCursor, now: Now) -> Option<(u64, Row)> {
        let ring = self.rings.get(cursor.id).filter(|ring| ring.serial == cursor.serial)?;
        cursor.minute = cursor.minute.max(ring.first_minute());
        let row = if cursor.minute == ring.open.minute {
            ring.open.row(ring.total, ring.people, now.tick)
        } else {
            *ring.rows.get(usize::try_from(cursor.minute - ring.first_minute()).ok()?)?
        };
        let shifted = now.tick.0 + self.shift.unwrap_or(0);
        let ago_ms = shifted.saturating_sub(cursor.minute * MINUTE_TICKS) * TICK_MS;
        // To the nearest minute: the wall clock may have been set since.
        let unix_s = (now.unix_ms.saturating_sub(ago_ms) + 30_000) / 60_000 * 60;
        cursor.minute += 1;
        Some((unix_s, row))
    }

    pub(in crate::meter) fn write(&self, out: &mut Writer) {
        let Self { limit, rings, by_name: _, order: _, serial, shift } = self;
        out.count(*limit);
        out.number(*serial);
        out.option(*shift);
        rings.write(out, &mut Ring::write);
    }

    pub(in crate::meter) fn read(from: &mut Reader<'_>) -> Self {
        let mut histories = Self::new(from.size());
        histories.serial = from.number();
        histories.shift = from.option();
        let Self { by_name, order, .. } = &mut histories;
        let rings = Slab::read(from, &mut |id, from| {
            let ring = Ring::read(from);
            order.insert(id, ring.worth());
            let is_first = by_name.insert(ring.name.clone(), id).is_none();
            from.check(is_first, "two histories of one name");
            ring
        });
        histories.rings = rings;
        histories
    }

    /// The minute that this moment is in.
    fn minute(&mut self, now: Now) -> u64 {
        let shift = *self.shift.get_or_insert_with(|| {
            let into_minute = now.unix_ms % 60_000 / TICK_MS;
            (into_minute + MINUTE_TICKS - now.tick.0 % MINUTE_TICKS) % MINUTE_TICKS
        });
        (now.tick.0 + shift) / MINUTE_TICKS
    }

    /// A ring for a namespace that has none, if there is room, or if another is worth less.
    fn begin(&mut self, name: &Rc<str>, before: u64, total: u64, now: Now) -> Option<HistoryId> {
        let is_full = self.rings.len() >= self.limit;
        if is_full && !self.deserves_a_place(total) {
            return None;
        }
        if let Some(&id) = self.by_name.get(name) {
            return Some(id);
        }
        if is_full {
            self.drop_first();
        }
        let minute = self.minute(now);
        self.serial += 1;
        let ring = Ring {
            name: name.clone(),
            serial: self.serial,
            rows: VecDeque::new(),
            open: Open::begin(minute, before, now.tick),
            total: before,
            people: None,
            peak: total.max(before),
            empty_since: now.tick,
        };
        let worth = ring.worth();
        let id = self.rings.insert(ring);
        self.by_name.insert(name.clone(), id);
        self.order.insert(id, worth);
        Some(id)
    }

    /// Whether an event of this size takes the place of the ring that goes first.
    fn deserves_a_place(&self, total: u64) -> bool {
        total > 0 && self.order.first().is_some_and(|(_, least)| Worth::Alive(total).displaces(least))
    }

    fn drop_first(&mut self) {
        let ring = self.order.remove_first().and_then(|id| self.rings.remove(id));
        if let Some(ring) = ring {
            self.by_name.remove(&ring.name);
        }
    }
}

impl Open {
    fn begin(minute: u64, total: u64, now: Tick) -> Self {
        Self { minute, since: now, min: total, max: total, joins: 0, leaves: 0, area: 0, at: now }
    }

    /// The row so far, the last part of which had this total.
    fn row(&self, total: u64, people: Option<NonZeroU32>, now: Tick) -> Row {
        let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let area = self.area + total * (now.0 - self.at.0);
        let ticks = now.0 - self.since.0;
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "7 digits are enough")]
        let average = if ticks == 0 { total as f32 } else { (area as f64 / ticks as f64) as f32 };
        let (min, max) = (small(self.min), small(self.max));
        Row { min, average, max, joins: small(self.joins), leaves: small(self.leaves), people }
    }
}

impl Row {
    fn write(self, out: &mut Writer) {
        let Self { min, average, max, joins, leaves, people } = self;
        for number in [min, average.to_bits(), max, joins, leaves, people.map_or(0, NonZeroU32::get)] {
            out.number(number.into());
        }
    }

    fn read(from: &mut Reader<'_>) -> Self {
        let (min, average, max) = (from.small(), f32::from_bits(from.small()), from.small());
        let (joins, leaves, people) = (from.small(), from.small(), NonZeroU32::new(from.small()));
        Self { min, average, max, joins, leaves, people }
    }
}

impl Open {
    fn write(self, out: &mut Writer) {
        let Self { minute, since, min, max, joins, leaves, area, at } = self;
        for number in [minute, since.0, min, max, joins, leaves, area, at.0] {
            out.number(number);
        }
    }

    fn read(from: &mut Reader<'_>) -> Self {
        let (minute, since, min, max) = (from.number(), from.tick(), from.number(), from.number());
        let (joins, leaves, area, at) = (from.number(), from.number(), from.number(), from.tick());
        Self { minute, since, min, max, joins, leaves, area, at }
    }
}

impl Ring {
    fn write(&self, out: &mut Writer) {
        let Self { name, serial, rows, open, total, people, peak, empty_since } = self;
        out.text(name);
        out.number(*serial);
        open.write(out);
        out.number(*total);
        out.number(people.map_or(0, NonZeroU32::get).into());
        out.number(*peak);
        out.tick(*empty_since);
        out.count(rows.len());
        for row in rows {
            row.write(out);
        }
    }

    fn read(from: &mut Reader<'_>) -> Self {
        let (name, serial, open) = (from.text().into(), from.number(), Open::read(from));
        let (total, people) = (from.number(), NonZeroU32::new(from.small()));
        let (peak, empty_since) = (from.number(), from.tick());
        let (mut rows, mut list) = (VecDeque::new(), from.list());
        while from.has_next(&mut list) {
            rows.push_back(Row::read(from));
        }
        from.check(rows.len() as u64 <= open.minute, "a history from before all minutes");
        Self { name, serial, rows, open, total, people, peak, empty_since }
    }

    /// This number of people had come by now, if that is known.
    fn set_people(&mut self, people: Option<u64>) {
        let known = people.map(|people| u32::try_from(people).unwrap_or(u32::MAX));
        self.people = known.map_or(self.people, NonZeroU32::new);
    }

    fn worth(&self) -> Worth {
        match self.total {
            0 if self.peak <= 1 => Worth::Trifle(self.empty_since),
            0 => Worth::Vacant(self.empty_since),
            total => Worth::Alive(total),
        }
    }

    fn first_minute(&self) -> u64 {
        self.open.minute - self.rows.len() as u64
    }

    /// Ends the minutes that are over.
    fn roll(&mut self, minute: u64, now: Tick, shift: u64) {
        if minute <= self.open.minute {
            return;
        }
        let end = |minute: u64| Tick(((minute + 1) * MINUTE_TICKS).saturating_sub(shift));
        self.push(self.open.row(self.total, self.people, end(self.open.minute)));
        // Since then nothing has changed.
        let total = self.total;
        let quiet = Open::begin(0, total, Tick(0)).row(total, self.people, Tick(1));
        let missed = minute - self.open.minute - 1;
        for _ in 0..missed.min(HISTORY_ROWS as u64) {
            self.push(quiet);
        }
        let begun = end(minute - 1).min(now);
        self.open = Open::begin(minute, total, begun);
    }

    fn push(&mut self, row: Row) {
        if self.rows.len() >= HISTORY_ROWS {
            self.rows.pop_front();
        }
        self.rows.push_back(row);
    }

    fn change(&mut self, total: u64, joins: u64, now: Tick) {
        let before = self.total;
        let open = &mut self.open;
        open.area += self.total * (now.0 - open.at.0);
        open.at = now;
        // Members that come back with a node that was taken for gone have joined, too.
        let joins = joins.max(total.saturating_sub(self.total));
        open.joins += joins;
        open.leaves += self.total + joins - total;
        open.min = open.min.min(total);
        open.max = open.max.max(total);
        self.total = total;
        self.peak = self.peak.max(total);
        if total == 0 && before > 0 {
            self.empty_since = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Half a minute after a full one.
    const START: Now = Now { tick: Tick(12_345), unix_ms: 1_700_000_010_000 };
    const FIRST_MINUTE_S: u64 = 1_699_999_980;

    fn at(seconds: u64) -> Now {
        Now { tick: Tick(START.tick.0 + seconds * 100), unix_ms: START.unix_ms + seconds * 1_000 }
    }

    fn rows(histories: &mut Histories, name: &str, now: Now) -> Vec<(u64, Row)> {
        let Some(mut cursor) = histories.cursor(name, None, now) else { return Vec::new() };
        std::iter::from_fn(|| histories.next_row(&mut cursor, now)).collect()
    }

    fn row(min: u32, average: f32, max: u32, joins: u32, leaves: u32) -> Row {
        Row { min, average, max, joins, leaves, people: None }
    }

    #[test]
    fn minutes_are_those_of_the_clock_and_quiet_ones_are_there() {
        let mut histories = Histories::new(1);
        let name: Rc<str> = "a".into();
        let mut id = None;
        // (seconds, total, joins): one comes, 3 come and one leaves, and much later all leave.
        for (seconds, total, joins) in [(0, 1, 1), (15, 3, 3), (30, 3, 0), (165, 0, 0)] {
            id = histories.record_total(id, &name, total, joins, || None, at(seconds));
        }
        let expected = [
            (FIRST_MINUTE_S, row(0, 2.0, 3, 4, 1)),
            (FIRST_MINUTE_S + 60, row(3, 3.0, 3, 0, 0)),
            (FIRST_MINUTE_S + 120, row(3, 3.0, 3, 0, 0)),
            (FIRST_MINUTE_S + 180, row(0, 1.5, 3, 0, 3)),
        ];
        assert_eq!(rows(&mut histories, "a", at(180)), expected);
        // The wall clock is set: the rows are the same, and are of other minutes.
        let mut later = at(200);
        later.unix_ms += 3_600_000 - 15;
        let moved: Vec<u64> = rows(&mut histories, "a", later).into_iter().map(|(minute, _)| minute).collect();
        assert_eq!(moved, expected.map(|(minute, _)| minute + 3_600));
        assert!(histories.cursor("b", None, at(180)).is_none());
        // A process that has just begun.
        let mut histories = Histories::new(1);
        let young = Now { tick: Tick(0), ..START };
        histories.record_total(None, &name, 1, 1, || None, young);
        assert_eq!(rows(&mut histories, "a", young), [(FIRST_MINUTE_S, row(0, 1.0, 1, 1, 0))]);
    }

    #[test]
    fn a_row_says_how_many_people_had_come_by_its_end() {
        let mut histories = Histories::new(1);
        let name: Rc<str> = "a".into();
        let mut id = None;
        // (seconds, total, people until then): one comes, and another a minute later, and both are there for two minutes.
        for (seconds, total, people) in [(0, 1, None), (40, 2, Some(1)), (170, 1, Some(2))] {
            id = histories.record_total(id, &name, total, 1, || people, at(seconds));
        }
        let people = |histories: &mut Histories, now: Now, people| {
            let mut cursor = histories.cursor("a", people, now).unwrap();
            let rows = std::iter::from_fn(|| histories.next_row(&mut cursor, now));
            rows.map(|(_, row)| row.people.map_or(0, NonZeroU32::get)).collect::<Vec<u32>>()
        };
        assert_eq!(people(&mut histories, at(175), Some(3)), [1, 2, 2, 3]);
        assert_eq!(people(&mut histories, at(300), None), [1, 2, 2, 3, 3, 3], "it was forgotten since");
        histories.keep_people(id.unwrap(), &name, Some(4));
        assert_eq!(people(&mut histories, at(300), None), [1, 2, 2, 3, 3, 4]);
        histories.keep_people(id.unwrap(), &"b".into(), Some(5));
        assert_eq!(people(&mut histories, at(300), None), [1, 2, 2, 3, 3, 4], "that is another's");
    }

    #[test]
    fn a_ring_is_a_day_and_members_go_from_row_to_row() {
        let mut histories = Histories::new(1);
        let name: Rc<str> = "a".into();
        let (mut id, mut total, mut random) = (None, 0_u64, 7_u64);
        for step in 0..9_000_u64 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(step | 1);
            let joins = random >> 40 & 7;
            total = (total + joins).saturating_sub(random >> 50 & 7);
            id = histories.record_total(id, &name, total, joins, || None, at(step * 17));
        }
        let now = at(9_000 * 17);
        let rows = rows(&mut histories, "a", now);
        assert_eq!(rows.len(), HISTORY_ROWS + 1);
        let mut members = None;
        for (index, (minute, row)) in rows.iter().enumerate() {
            assert_eq!(*minute, rows[0].0 + index as u64 * 60);
            let average = f64::from(row.average);
            assert!(f64::from(row.min) <= average && average <= f64::from(row.max), "{row:?}");
            if let Some(before) = members {
                let after: i64 = before + i64::from(row.joins) - i64::from(row.leaves);
                assert!((i64::from(row.min)..=i64::from(row.max)).contains(&before), "{row:?} begins with {before}");
                assert!((i64::from(row.min)..=i64::from(row.max)).contains(&after), "{row:?} ends with {after}");
                members = Some(after);
            } else if row.min == row.max {
                members = Some(row.min.into());
            }
        }
    }

    /// The names that have a ring.
    fn kept(histories: &Histories) -> Vec<&str> {
        let mut names: Vec<&str> = histories.by_name.keys().map(|name| &**name).collect();
        names.sort_unstable();
        assert_eq!((histories.rings.len(), histories.order.len()), (names.len(), names.len()));
        names
    }

    #[test]
    fn those_without_members_go_first_and_then_the_smallest_now() {
        let mut histories = Histories::new(2);
        let names: Vec<Rc<str>> = ["a", "b", "c", "d"].map(Rc::from).to_vec();
        let mut ids = [None; 4];
        let mut record = |histories: &mut Histories, which: usize, total, seconds| {
            ids[which] = histories.record_total(ids[which], &names[which], total, 0, || None, at(seconds));
        };
        record(&mut histories, 0, 50, 0);
        record(&mut histories, 1, 8, 0);
        record(&mut histories, 2, 10, 0);
        assert_eq!(kept(&histories), ["a", "b"], "a quarter larger is not larger");
        record(&mut histories, 2, 11, 1);
        assert_eq!(kept(&histories), ["a", "c"]);
        // What counts is what there is now: a was larger than all others.
        record(&mut histories, 0, 3, 2);
        record(&mut histories, 1, 9, 3);
        assert_eq!(kept(&histories), ["b", "c"]);
        // An event that is over stays until one with members needs its place, be it small.
        record(&mut histories, 2, 0, 4);
        record(&mut histories, 1, 0, 5);
        record(&mut histories, 3, 0, 6);
        assert_eq!(kept(&histories), ["b", "c"], "one without members takes no place");
        record(&mut histories, 3, 1, 3 * 24 * 3_600);
        assert_eq!(kept(&histories), ["b", "d"], "the one that is empty longest goes first");
        // One that never had two members goes before it.
        record(&mut histories, 3, 0, 3 * 24 * 3_600 + 1);
        record(&mut histories, 2, 1, 3 * 24 * 3_600 + 2);
        assert_eq!(kept(&histories), ["b", "c"]);
    }

    #[test]
    fn events_that_were_large_take_no_history_of_one_that_goes_on() {
        let mut histories = Histories::new(100);
        let real: Vec<Rc<str>> = (0..20).map(|number| format!("real-{number}").into()).collect();
        let ids: Vec<_> = real.iter().map(|name| histories.record_total(None, name, 10, 10, || None, at(0))).collect();
        for number in 0..1_000 {
            let name: Rc<str> = format!("fake-{number}").into();
            let mut id = None;
            for total in (1..=151).chain([0]) {
                id = histories.record_total(id, &name, total, u64::from(total > 0), || None, at(number + 1));
            }
        }
        assert_eq!(kept(&histories).iter().filter(|name| name.starts_with("real")).count(), 20);
        for (name, id) in real.iter().zip(ids) {
            assert_eq!(histories.record_total(id, name, 11, 1, || None, at(2_000)), id);
        }
    }

    /// What a ring is to say, kept naively: the total before it began, and what has changed when, by how many joins.
    struct Twin {
        before: u64,
        changes: Vec<(Tick, u64, u64)>,
    }

    impl Twin {
        fn total(&self) -> u64 {
            self.changes.last().map_or(self.before, |change| change.1)
        }

        /// What it is worth, in the order of what goes first.
        fn worth(&self) -> (bool, bool, u64) {
            let peak = self.changes.iter().map(|change| change.1).fold(self.before, u64::max);
            if self.total() > 0 {
                return (true, true, self.total());
            }
            let last = self.changes.iter().rposition(|change| change.1 > 0).map_or(0, |index| index + 1);
            (false, peak > 1, self.changes[last].0.0)
        }

        /// Whether an event with this total takes its place.
        fn is_displaced_by(&self, total: u64) -> bool {
            total > 0 && (self.total() == 0 || total > self.total() + self.total() / 4)
        }

        fn rows(&self, now: Tick, shift: u64) -> Vec<Row> {
            let minute_of = |tick: Tick| (tick.0 + shift) / MINUTE_TICKS;
            let (first, last) = (self.changes[0].0, minute_of(now));
            let oldest = minute_of(first).max(last.saturating_sub(HISTORY_ROWS as u64));
            (oldest..=last).map(|minute| self.row(minute, now, shift)).collect()
        }

        fn row(&self, minute: u64, now: Tick, shift: u64) -> Row {
            let begin = (minute * MINUTE_TICKS).saturating_sub(shift).max(self.changes[0].0.0);
            let end = ((minute + 1) * MINUTE_TICKS - shift).min(now.0);
            let mut total = self.before;
            let (mut totals, mut area, mut at, mut joins, mut leaves) = (Vec::new(), 0, begin, 0, 0);
            for &(tick, after, came) in &self.changes {
                if tick.0 >= begin && (tick.0 + shift) / MINUTE_TICKS == minute {
                    totals.push(total);
                    area += total * (tick.0 - at);
                    at = tick.0;
                    joins += came;
                    leaves += total + came - after;
                }
                if tick.0 < begin || (tick.0 + shift) / MINUTE_TICKS == minute {
                    total = after;
                }
            }
            totals.push(total);
            area += total * (end - at);
            let small = |number: u64| u32::try_from(number).unwrap();
            #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "they are small")]
            let average = if end == begin { total as f32 } else { (area as f64 / (end - begin) as f64) as f32 };
            let (min, max) = (totals.iter().min().unwrap(), totals.iter().max().unwrap());
            Row {
                min: small(*min),
                average,
                max: small(*max),
                joins: small(joins),
                leaves: small(leaves),
                people: None,
            }
        }
    }

    #[test]
    fn what_is_kept_of_which_event_is_what_a_naive_recorder_says() {
        for seed in 0..30_u64 {
            let mut random = seed;
            let mut below = |limit: u64| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                usize::try_from((random >> 33) % limit).unwrap()
            };
            let mut histories = Histories::new(3);
            let names: Vec<Rc<str>> = ["a", "b", "c", "d", "e", "f"].map(Rc::from).to_vec();
            let (mut ids, mut totals) = ([None; 6], [0_u64; 6]);
            let mut twins: HashMap<Rc<str>, Twin> = HashMap::new();
            let mut now = START;
            for step in 0..600 {
                let ticks = [0, 0, 7, 700, 6_000, 30_000, 400_000, 8_700_000][below(8)];
                (now.tick.0, now.unix_ms) = (now.tick.0 + ticks, now.unix_ms + ticks * TICK_MS);
                let which = below(6);
                let name = &names[which];
                let (joins, leaves) = (below(4) as u64, below(5) as u64);
                totals[which] = (totals[which] + joins).saturating_sub(leaves);
                if below(9) == 0 {
                    totals[which] = 0;
                }
                let total = totals[which];
                // Some joins are not known.
                let joins = if below(9) == 0 { 0 } else { joins };
                ids[which] = histories.record_total(ids[which], name, total, joins, || None, now);
                let kept: Vec<Rc<str>> = kept(&histories).into_iter().map(Rc::from).collect();
                let first = twins.values().map(Twin::worth).min();
                twins.retain(|gone, twin| {
                    let is_kept = kept.contains(gone);
                    let is_due = twin.is_displaced_by(total) && Some(twin.worth()) == first;
                    assert!(is_kept || is_due, "{gone} is dropped in step {step}");
                    is_kept
                });
                let before = total.saturating_sub(joins);
                if kept.contains(name) {
                    let twin = twins.entry(name.clone()).or_insert(Twin { before, changes: Vec::new() });
                    let joins = joins.max(total.saturating_sub(twin.total()));
                    twin.changes.push((now.tick, total, joins));
                } else {
                    assert_eq!((ids[which], kept.len()), (None, 3));
                    assert!(
                        !twins.values().any(|twin| twin.is_displaced_by(total)),
                        "{name} is not kept in step {step}"
                    );
                }
                assert_eq!(twins.len(), kept.len());
                if step % 20 == 0 {
                    let shift = histories.shift.unwrap();
                    for (name, twin) in &twins {
                        let rows: Vec<Row> = rows(&mut histories, name, now).into_iter().map(|(_, row)| row).collect();
                        assert_eq!(rows, twin.rows(now.tick, shift), "{name} of seed {seed} in step {step}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_reader_in_pieces_loses_what_is_too_old_meanwhile_and_meets_no_other_ring() {
        let mut histories = Histories::new(1);
        let (a, b): (Rc<str>, Rc<str>) = ("a".into(), "b".into());
        let id = histories.record_total(None, &a, 1, 1, || None, at(0));
        let day = 24 * 3_600;
        histories.record_total(id, &a, 2, 1, || None, at(day));
        let mut cursor = histories.cursor("a", None, at(day)).unwrap();
        assert_eq!(histories.next_row(&mut cursor, at(day)).map(|(minute, _)| minute), Some(FIRST_MINUTE_S));
        histories.record_total(id, &a, 3, 1, || None, at(day + 600));
        let next = histories.next_row(&mut cursor, at(day + 600));
        assert_eq!(next.map(|(minute, row)| (minute, row.max)), Some((FIRST_MINUTE_S + 600, 1)));
        // Its place, and its key, are another ring's.
        assert_eq!(histories.record_total(None, &b, 9, 9, || None, at(day + 600)), id);
        assert_eq!(histories.next_row(&mut cursor, at(day + 600)), None);
    }

    #[test]
    fn without_room_nothing_is_kept() {
        let mut histories = Histories::new(0);
        assert_eq!(histories.record_total(None, &"a".into(), 1, 1, || None, at(0)), None);
        assert_eq!(histories.find("a"), None);
        assert!(histories.cursor("a", None, at(0)).is_none());
    }
}
