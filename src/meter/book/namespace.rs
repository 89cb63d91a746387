//! One event: its figures, here and at other nodes.
//!
//! Owns the counters of a namespace and what it has come to. It does not own its members, only the ends of their list, and
//! it sets no timer. When its count is pushed is the matter of its [`Notice`].
//!
//! | file | owns |
//! |---|---|
//! | `sections` | a namespace as bytes |
//!
//! Invariant: a total is the counted members of this node and of all others.

pub(super) mod sections;

use std::rc::Rc;
use std::time::Duration;

#[cfg(any(test, debug_assertions))]
use super::change::{Apart, Present};
use super::change::{Change, Elsewhere, EstateSums, Weight};
use super::keys::{ItemId, MemberId, WalkId};
use super::notice::{CountPush, Notice, NotifyRule};
use super::whole::Whole;
use crate::collections::list::List;
use crate::collections::tick::{Moment, Now, TICK_MS, Tick};
use crate::meter::accounts::ending::Reported;
use crate::meter::accounts::history::HistoryId;
use crate::meter::accounts::stays::{StaysId, StaysTable};
use crate::meter::accounts::{self, Accounts, Reach};
use crate::meter::census::{CensusId, Censuses};
use crate::meter::news::{AGE_MS_MAX, Age, Count, MEMBER_TICKS_MAX, Peak, Sums};

/// One event and its audience.
#[derive(Debug)]
pub struct Namespace {
    pub(in crate::meter) name: Rc<str>,
    /// Its members, newest first: a push moves towards the older ones and never meets a newcomer.
    pub(super) list: List<MemberId>,
    /// The walks along its members that have not ended.
    pub(super) walks: Vec<WalkId>,
    /// Marked to be looked at in this turn.
    pub(super) is_ready: bool,
    /// Whether it is in the line of namespaces whose totals have changed.
    pub(super) is_in_line: bool,
    /// This node's counted members.
    counted: u32,
    /// This node's members that are not counted.
    uncounted: u32,
    connections: u64,
    /// The sum of ticks that this node's members were counted, modulo 2^64. It is kept as of the zero of the node's clock, as
    /// if all present members had been there since: with each tick it grows by their number.
    member_ticks: u64,
    /// The members of other nodes.
    pub(super) elsewhere: Elsewhere,
    /// What is known of their claims.
    pub(in crate::meter) estates: EstateSums,
    /// How long the former members of this node stayed.
    pub(super) stays: StaysId,
    /// The same of other nodes.
    pub(super) stays_elsewhere: StaysId,
    /// The most members that were present at once.
    peak: u64,
    /// Since when they were; valid only if there were some.
    peak_at: Moment,
    /// Its ring of rows; by now the key may be another ring's.
    pub(super) history: Option<HistoryId>,
    /// The census of its people.
    pub(super) census: Option<CensusId>,
    /// Whether it is known only from reports about departed nodes: this node may have forgotten it before.
    pub(in crate::meter) is_hearsay: bool,
    /// What other nodes have reported of its event.
    reported: Reported,
    /// This node's share in the journal; `None` if it never had one.
    pub(in crate::meter) share: Option<ItemId>,
    /// When the first member came.
    pub(super) created: Moment,
    /// When a count was last pushed.
    modified: Option<Tick>,
    notice: Notice,
    /// Since when it has been vacant; valid only while it is.
    pub(super) empty_since: Tick,
}

impl Namespace {
    pub(super) fn new(name: Rc<str>, history: Option<HistoryId>, now: Now) -> Self {
        Self {
            name,
            list: List::EMPTY,
            walks: Vec::new(),
            is_ready: false,
            is_in_line: false,
            counted: 0,
            uncounted: 0,
            connections: 0,
            member_ticks: 0,
            elsewhere: Elsewhere::default(),
            estates: EstateSums::default(),
            stays: StaysId::EMPTY,
            stays_elsewhere: StaysId::EMPTY,
            peak: 0,
            peak_at: now.tick.into(),
            history,
            census: None,
            is_hearsay: false,
            reported: Reported::default(),
            share: None,
            created: now.tick.into(),
            modified: None,
            notice: Notice::default(),
            empty_since: now.tick,
        }
    }

    /// The name, as its joins have it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number of counted members, at all nodes.
    #[must_use]
    pub fn total(&self) -> u64 {
        let Weight { orphans, overlap } = self.estates.weight;
        (self.announced() + u64::from(orphans)).saturating_sub(overlap.into())
    }

    /// The sum of what all nodes count. One that has moved may be in it twice, and one of a departed node is missing.
    fn announced(&self) -> u64 {
        u64::from(self.counted) + self.elsewhere.counted
    }

    /// The number of joins that were counted, at all nodes, since it was created.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.connections + self.elsewhere.connections
    }

    /// The number of different people, if that is known.
    pub(in crate::meter) fn reach(&self, censuses: &Censuses) -> Option<Reach> {
        censuses.reach(self.census?, self.connections, self.elsewhere.connections)
    }

    /// The number of streams that are served now, at all nodes, and are not in the count.
    #[must_use]
    pub fn uncounted(&self) -> u64 {
        u64::from(self.uncounted) + self.elsewhere.uncounted
    }

    /// The number of counted members, at all nodes, whose streams are gone and may come back.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        u64::from(self.estates.waiting) + self.elsewhere.waiting + u64::from(self.estates.weight.orphans)
    }

    /// When the first member came, in seconds since 1970.
    #[must_use]
    pub fn created_unix_s(&self, now: Now) -> u64 {
        self.created.unix_s(now)
    }

    /// When a count was last pushed, in seconds since 1970; 0 before.
    #[must_use]
    pub fn modified_unix_s(&self, now: Now) -> u64 {
        self.modified.map_or(0, |at| Moment::from(at).unix_s(now))
    }

    /// Whether every member that ever came left again before it was counted.
    pub(super) fn is_without_trace(&self) -> bool {
        self.is_vacant() && self.connections() == 0
    }

    /// Whether no member is present, at any node.
    pub(in crate::meter) fn is_vacant(&self) -> bool {
        let is_counted = self.announced() > 0 || self.estates.weight.orphans > 0;
        self.list.is_empty() && !is_counted && self.elsewhere.uncounted == 0
    }

    /// Since when no member is present; said of a vacant one.
    pub(in crate::meter) fn vacant_since(&self) -> Tick {
        self.empty_since
    }

    /// Another node has reported at `at` the event that ended at that time, with this number of joins. Returns whether it is
    /// this one.
    pub(super) fn mark_reported(&mut self, connections: u64, ended_at: Moment, at: Moment) -> bool {
        let is_this = !ended_at.is_clearly_before(self.created);
        if is_this {
            self.reported.add(connections, ended_at, at);
        }
        is_this
    }

    /// Whether members came, and no report is known that counts them all and was given after the last one had left.
    pub(in crate::meter) fn is_unreported(&self) -> bool {
        let vacant_since = self.is_vacant().then_some(self.empty_since);
        self.connections() > 0 && !self.reported.covers(self.connections(), vacant_since)
    }

    /// Whether a walk goes along its members.
    pub(in crate::meter) fn is_walked(&self) -> bool {
        !self.walks.is_empty()
    }

    /// This node's own share, as it is announced.
    pub(super) fn own_count(&self, stays: &StaysTable, now: Now) -> Count<Rc<str>> {
        let grown = u64::from(self.counted).wrapping_mul(now.tick.0);
        let member_ticks = self.member_ticks.wrapping_add(grown).min(MEMBER_TICKS_MAX);
        let sums = Sums { connections: self.connections, member_ticks, stays: stays.get(self.stays) };
        Count {
            namespace: self.name.clone(),
            members: self.counted,
            uncounted: self.uncounted,
            waiting: self.estates.waiting,
            sums,
            age: self.age(now),
            peak: self.peak(now),
        }
    }

    /// Takes out what this node's members have come to until now: those that are here count from now on.
    pub(super) fn take_sums(&mut self, stays: &mut StaysTable, now: Now) -> Sums {
        let running = u64::from(self.counted).wrapping_mul(now.tick.0);
        let sums = Sums {
            connections: std::mem::take(&mut self.connections),
            member_ticks: self.member_ticks.wrapping_add(running),
            stays: stays.get(self.stays),
        };
        self.member_ticks = 0_u64.wrapping_sub(running);
        stays.remove(std::mem::take(&mut self.stays));
        sums
    }

    /// Adds what the members of this node had come to before it was forgotten.
    pub(super) fn add_sums(&mut self, sums: &Sums, stays: &mut StaysTable) {
        self.connections += sums.connections;
        self.member_ticks = self.member_ticks.wrapping_add(sums.member_ticks);
        stays.add(&mut self.stays, &sums.stays);
    }

    /// The ticks for which members have been counted, at all nodes and all of them together.
    fn member_ticks(&self, now: Tick) -> u64 {
        let grown = self.announced().wrapping_mul(now.0);
        self.member_ticks.wrapping_add(self.elsewhere.member_ticks).wrapping_add(grown)
    }

    /// The most members that were ever present at once, at all nodes, as it is announced.
    pub(in crate::meter) fn peak(&self, now: Now) -> Peak {
        let ago_ms = if self.peak > 0 { self.peak_at.age_ms(now.tick).min(AGE_MS_MAX) } else { 0 };
        Peak { members: self.peak, ago_ms }
    }

    /// The most members that are known to have been present at once, those of now included.
    pub(in crate::meter) fn largest_total(&self) -> u64 {
        self.peak.max(self.total())
    }

    /// Whether the total is larger than the peak.
    pub(super) fn is_above_its_peak(&self) -> bool {
        self.total() > self.peak
    }

    /// This number of members was present at that moment, as was seen here or elsewhere. The larger peak stands, and
    /// of two equal ones the earlier, so peaks can be merged in any order and more than once.
    pub(super) fn merge_peak(&mut self, members: u64, at: Moment) {
        if members > self.peak || (members == self.peak && at.is_clearly_before(self.peak_at)) {
            (self.peak, self.peak_at) = (members, at);
        }
    }

    /// It is new here, and another node knew that of it.
    pub(super) fn begin_as(&mut self, whole: Whole, now: Now) {
        self.created = whole.created();
        self.empty_since = now.tick.before(Duration::from_millis(whole.age.empty_ms));
    }

    /// When it began, and for how long it has been vacant.
    pub(in crate::meter) fn age(&self, now: Now) -> Age {
        let empty_ms = if self.is_vacant() { now.tick.ms_since(self.empty_since) } else { 0 };
        Age { existed_ms: self.created.age_ms(now.tick).min(AGE_MS_MAX), empty_ms }
    }

    /// What it has come to, with the histograms of this table.
    pub(in crate::meter) fn accounts(&self, stays: &StaysTable, reach: Option<Reach>, now: Now) -> Accounts {
        let mut ended = stays.get(self.stays);
        for (count, elsewhere) in ended.iter_mut().zip(&stays.get(self.stays_elsewhere)) {
            *count += elsewhere;
        }
        let Age { existed_ms, empty_ms } = self.age(now);
        let peak_at_unix_s = if self.peak > 0 { self.peak_at.unix_s(now) } else { 0 };
        Accounts {
            connections: self.connections(),
            member_ms: self.member_ticks(now.tick).saturating_mul(TICK_MS),
            peak: accounts::Peak { members: self.largest_total(), at_unix_s: peak_at_unix_s },
            lasted_ms: existed_ms.saturating_sub(empty_ms),
            stays: ended,
            reach,
        }
    }

    /// The name, to keep. A namespace that was forgotten and is made again has another one.
    #[must_use]
    pub fn shared_name(&self) -> Rc<str> {
        self.name.clone()
    }

    /// Applies what has changed at another node, and what that node knew. Returns whether its event had begun earlier than was
    /// known.
    pub(super) fn apply(&mut self, change: &Change, whole: Whole, now: Now) -> bool {
        let was_vacant = self.is_vacant();
        self.elsewhere.apply(change);
        let Whole { age, peak, at } = whole;
        let is_older = whole.created().is_clearly_before(self.created);
        if is_older {
            self.created = whole.created();
        }
        self.merge_peak(peak.members, at.before_ms(peak.ago_ms));
        if change.before.counted != change.after.counted {
            self.modified = Some(now.tick);
        }
        if !was_vacant {
            self.end_presence(now);
            // All nodes forget it at the same time, and the report that it is vacant may have come late.
            self.empty_since = now.tick.before(Duration::from_millis(age.empty_ms));
        }
        is_older
    }

    pub(super) fn count_one(&mut self, now: Tick) {
        self.continue_one(now);
        self.connections += 1;
    }

    /// One that another node has counted so far is counted here.
    pub(super) fn continue_one(&mut self, now: Tick) {
        self.counted += 1;
        self.member_ticks = self.member_ticks.wrapping_sub(now.0);
    }

    pub(super) fn discount_one(&mut self, now: Tick) {
        self.counted -= 1;
        self.member_ticks = self.member_ticks.wrapping_add(now.0);
    }

    pub(super) fn add_uncounted(&mut self) {
        self.uncounted += 1;
    }

    pub(super) fn remove_uncounted(&mut self) {
        self.uncounted -= 1;
    }

    /// A member joins; returns the number of the push before which it came.
    pub(super) fn add_newcomer(&mut self) -> u16 {
        self.notice.add_newcomer()
    }

    /// A member that came before this push is about to leave the list.
    pub(super) fn remove_from_notice(&mut self, member: MemberId, push_number: u16) {
        self.notice.remove_member(push_number, self.list.head() == Some(member));
    }

    /// The newest member receives the total as it joins.
    pub(super) fn give_first_count(&mut self, now: Now) {
        let is_only_member = self.list.head() == self.list.tail();
        if self.notice.give_first_count(self.total(), is_only_member, now.tick) {
            self.modified = Some(now.tick);
        }
    }

    /// A member has left, here or elsewhere: what it leaves behind may be empty.
    pub(super) fn end_presence(&mut self, now: Now) {
        if self.total() == 0 {
            self.notice.forget_pushed();
        }
        if self.list.is_empty() {
            self.notice.forget_time();
        }
        if self.is_vacant() {
            self.empty_since = now.tick;
        }
    }

    /// When a push of the total is due, to one of the `members` here; `None` while none is counted, or none is in it.
    pub(super) fn due(&self, rule: &NotifyRule, members: u64) -> Option<Tick> {
        let has_receivers = self.total() > 0 && !self.list.is_empty();
        has_receivers.then(|| self.notice.due(self.total(), rule, members))
    }

    /// Marks the total as pushed; returns the push.
    pub(super) fn push(&mut self, rule: &NotifyRule, now: Now) -> CountPush {
        self.modified = Some(now.tick);
        self.notice.push(self.total(), rule, now.tick)
    }

    /// This node's members.
    #[cfg(any(test, debug_assertions))]
    pub(super) fn present(&self) -> Present {
        Present { counted: self.counted, apart: Apart { uncounted: self.uncounted, waiting: self.estates.waiting } }
    }
}
