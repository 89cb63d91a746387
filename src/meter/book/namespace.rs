//! One event: its figures, and the rule by which its count is told.
//!
//! Owns the counters of a namespace and what was last told of it. It does not own its members, only the ends of their
//! list, and it sets no timer: it says when its count is due.
//!
//! Invariant: 0 is never told.

use std::rc::Rc;
use std::time::Duration;

use crate::collections::list::List;
use crate::collections::tick::{Now, Tick};
use crate::key_type;
use crate::meter::accounts::history::HistoryId;
use crate::meter::accounts::stays::{StaysId, StaysTable};
use crate::meter::book::journal::ItemId;
use crate::meter::book::members::Members;
use crate::meter::cluster::news::{Age, Count, MEMBER_TICKS_MAX, Peak, Sums};
use crate::meter::cluster::peers::Change;
use crate::meter::{MemberId, WalkId};

/// When a count is told to those who have heard another.
#[derive(Clone, Copy, Debug)]
pub struct NotifyRule {
    /// The change that is worth telling, as a fraction of the number last told.
    pub delta_ratio: f64,
    /// The least time between two tellings.
    pub min_delay: Duration,
    /// The time after which even an unchanged count is told again.
    pub max_delay: Duration,
}

impl NotifyRule {
    /// The least difference from the number last told that is worth telling.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an audience is far below 2^53, and a ratio is never negative"
    )]
    pub fn threshold(&self, told: u64) -> u64 {
        ((told as f64 * self.delta_ratio).floor() as u64).max(1)
    }
}

/// How many members a node has in a namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::meter) struct Present {
    pub(in crate::meter) counted: u32,
    pub(in crate::meter) uncounted: u32,
}

key_type! {
    /// A namespace's key, valid until the namespace is forgotten.
    pub NamespaceId
}

/// One event and its audience.
#[derive(Debug)]
pub struct Namespace {
    pub(in crate::meter) name: Rc<str>,
    /// Its members, newest first: a count that is being told moves towards the older ones and never meets a newcomer.
    pub(in crate::meter) list: List<MemberId>,
    /// The walks along its members that have not ended.
    pub(in crate::meter) walks: Vec<WalkId>,
    /// Marked to be told in this turn.
    pub(in crate::meter) ready: bool,
    /// Whether it is in the line of those whose totals have changed.
    pub(in crate::meter) is_in_line: bool,
    /// How many of this node's members are counted.
    counted: u32,
    /// How many other nodes count.
    counted_elsewhere: u64,
    /// How many of this node's members are there without being counted.
    uncounted: u32,
    /// How many other nodes have of those.
    uncounted_elsewhere: u64,
    connections: u64,
    connections_elsewhere: u64,
    /// The sum of ticks that this node's members were counted, at the zero of its clock and modulo 2^64, had those who are
    /// there been there since: with each tick it grows by their number.
    member_ticks: u64,
    /// The same of the members of other nodes.
    member_ticks_elsewhere: u64,
    /// How long those of this node's members stayed who have left.
    pub(in crate::meter) stays: StaysId,
    /// The same of other nodes.
    pub(in crate::meter) stays_elsewhere: StaysId,
    peak: Peak,
    /// Its ring of rows; it may be another's by now.
    pub(in crate::meter) history: Option<HistoryId>,
    /// Whether it is known only by what others say of nodes that are gone: it may have been forgotten here before.
    pub(in crate::meter) is_hearsay: bool,
    /// This node's share in the journal; `None` if it never had one.
    pub(in crate::meter) share: Option<ItemId>,
    created_unix_s: u64,
    modified_unix_s: u64,
    /// The number last told; 0 before, and again once nobody is counted.
    told: u64,
    /// When it was told; `None` before, and again once nobody is present.
    told_at: Option<Tick>,
    /// The first count that the newest member heard; 0 once that is no longer of use.
    newest_heard: u64,
    /// Counts the tellings, to know who came after the last one.
    telling: u16,
    /// How many are there who came after the last telling.
    newcomers: u32,
    /// The least and the largest first count that newcomers heard.
    newcomers_heard: (u64, u64),
    /// Since when it has been vacant; valid only while it is.
    pub(in crate::meter) empty_since: Tick,
}

impl Namespace {
    pub(in crate::meter) fn new(name: Rc<str>, history: Option<HistoryId>, now: Now) -> Self {
        Self {
            name,
            list: List::EMPTY,
            walks: Vec::new(),
            ready: false,
            is_in_line: false,
            counted: 0,
            counted_elsewhere: 0,
            uncounted: 0,
            uncounted_elsewhere: 0,
            connections: 0,
            connections_elsewhere: 0,
            member_ticks: 0,
            member_ticks_elsewhere: 0,
            stays: StaysId::EMPTY,
            stays_elsewhere: StaysId::EMPTY,
            peak: Peak::default(),
            history,
            is_hearsay: false,
            share: None,
            created_unix_s: now.unix_s(),
            modified_unix_s: 0,
            told: 0,
            told_at: None,
            newest_heard: 0,
            telling: 0,
            newcomers: 0,
            newcomers_heard: (0, 0),
            empty_since: now.tick,
        }
    }

    /// The name, as it was sent.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number of people who are counted now, at all nodes.
    #[must_use]
    pub fn total(&self) -> u64 {
        u64::from(self.counted) + self.counted_elsewhere
    }

    /// All who were ever counted, at all nodes, since `created_unix_s`.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.connections + self.connections_elsewhere
    }

    /// The number of streams that are served now, at all nodes, and are not to be counted.
    #[must_use]
    pub fn uncounted(&self) -> u64 {
        u64::from(self.uncounted) + self.uncounted_elsewhere
    }

    /// When the first member came, in seconds since 1970.
    #[must_use]
    pub fn created_unix_s(&self) -> u64 {
        self.created_unix_s
    }

    /// When a count was last told, in seconds since 1970; 0 before.
    #[must_use]
    pub fn modified_unix_s(&self) -> u64 {
        self.modified_unix_s
    }

    /// Whether all who ever came left again before they were counted.
    pub(in crate::meter) fn is_without_trace(&self) -> bool {
        self.is_vacant() && self.connections() == 0
    }

    /// Whether nobody is there, at any node.
    pub(in crate::meter) fn is_vacant(&self) -> bool {
        self.list.is_empty() && self.total() == 0 && self.uncounted_elsewhere == 0
    }

    /// What this node tells the others of it.
    pub(in crate::meter) fn share(&self, stays: &StaysTable, now: Now) -> Count<Rc<str>> {
        let grown = u64::from(self.counted).wrapping_mul(now.tick.0);
        let member_ticks = self.member_ticks.wrapping_add(grown).min(MEMBER_TICKS_MAX);
        let sums = Sums { connections: self.connections, member_ticks, stays: stays.get(self.stays) };
        Count {
            namespace: self.name.clone(),
            members: self.counted,
            uncounted: self.uncounted,
            sums,
            age: self.age(now),
            peak: self.peak,
        }
    }

    /// For how many ticks members have been counted, at all nodes and all of them together.
    pub(in crate::meter) fn member_ticks(&self, now: Tick) -> u64 {
        let grown = self.total().wrapping_mul(now.0);
        self.member_ticks.wrapping_add(self.member_ticks_elsewhere).wrapping_add(grown)
    }

    /// The most that were ever there at once, at all nodes.
    pub(in crate::meter) fn peak(&self) -> Peak {
        self.peak
    }

    /// Whether as many as now were never there before.
    pub(in crate::meter) fn is_at_its_peak(&self) -> bool {
        self.total() > self.peak.members
    }

    /// What was the most, here or as others saw it.
    pub(in crate::meter) fn merge_peak(&mut self, peak: Peak) {
        self.peak = self.peak.or(peak);
    }

    /// What is known of it as a whole.
    pub(in crate::meter) fn age(&self, now: Now) -> Age {
        let empty_ms = if self.is_vacant() { now.tick.ms_since(self.empty_since) } else { 0 };
        Age { created_unix_s: self.created_unix_s, empty_ms }
    }

    /// The name, to keep.
    pub(in crate::meter) fn shared_name(&self) -> Rc<str> {
        self.name.clone()
    }

    /// Another node counts otherwise than before.
    pub(in crate::meter) fn hear_of_others(&mut self, change: &Change, age: Age, now: Now) {
        let was_vacant = self.is_vacant();
        let &Change { before, after, connections, member_ticks, .. } = change;
        self.counted_elsewhere = self.counted_elsewhere + u64::from(after.counted) - u64::from(before.counted);
        self.uncounted_elsewhere = self.uncounted_elsewhere + u64::from(after.uncounted) - u64::from(before.uncounted);
        self.connections_elsewhere += connections;
        self.member_ticks_elsewhere = self.member_ticks_elsewhere.wrapping_add(member_ticks);
        if age.created_unix_s > 0 {
            self.created_unix_s = self.created_unix_s.min(age.created_unix_s);
        }
        if before.counted != after.counted {
            self.modified_unix_s = now.unix_s();
        }
        if !was_vacant {
            self.note_departure(now);
            // All nodes are to forget it at the same time, and this one may have been told late that it was left.
            self.empty_since = now.tick.before(Duration::from_millis(age.empty_ms));
        }
    }

    pub(in crate::meter) fn count_one(&mut self, now: Tick) {
        self.counted += 1;
        self.connections += 1;
        self.member_ticks = self.member_ticks.wrapping_sub(now.0);
    }

    pub(in crate::meter) fn discount_one(&mut self, now: Tick) {
        self.counted -= 1;
        self.member_ticks = self.member_ticks.wrapping_add(now.0);
    }

    pub(in crate::meter) fn add_uncounted(&mut self) {
        self.uncounted += 1;
    }

    pub(in crate::meter) fn remove_uncounted(&mut self) {
        self.uncounted -= 1;
    }

    /// The newest member hears `total` as it joins. If it is alone, that has told everybody.
    pub(in crate::meter) fn hear_first(&mut self, total: u64, members: &Members, now: Now) {
        self.newest_heard = total;
        let (least, largest) = self.newcomers_heard;
        self.newcomers_heard =
            if self.newcomers == 1 { (total, total) } else { (least.min(total), largest.max(total)) };
        let is_alone = self.list.head().is_none_or(|newest| members.next(newest).is_none());
        if total > 0 && is_alone {
            self.note_told(total, now);
        }
    }

    /// A member is about to enter; returns before which telling that is.
    pub(in crate::meter) fn note_arrival(&mut self) -> u16 {
        self.newcomers += 1;
        self.telling
    }

    /// The member, who came before this telling, is about to leave the list.
    pub(in crate::meter) fn note_leaving(&mut self, member: MemberId, telling: u16) {
        if telling == self.telling {
            self.newcomers = self.newcomers.saturating_sub(1);
        }
        if self.list.head() == Some(member) {
            self.newest_heard = 0;
        }
    }

    /// A member has left, here or elsewhere.
    pub(in crate::meter) fn note_departure(&mut self, now: Now) {
        if self.total() == 0 {
            self.told = 0;
        }
        if self.list.is_empty() {
            self.told_at = None;
        }
        if self.is_vacant() {
            self.empty_since = now.tick;
        }
    }

    /// When the total is to be told, which may be in the past; `None` while nobody is counted or here to listen.
    pub(in crate::meter) fn due(&self, rule: &NotifyRule) -> Option<Tick> {
        if self.total() == 0 || self.list.is_empty() {
            return None;
        }
        let Some(told_at) = self.told_at else {
            return Some(Tick(0));
        };
        let wait = if self.has_changed(rule) { rule.min_delay } else { rule.max_delay.max(rule.min_delay) };
        // Even without a minimum, a count is told once a tick: telling it again in the same turn would never end.
        Some(told_at.after(wait).max(Tick(told_at.0 + 1)))
    }

    /// Takes note that the total is being told. Returns it, and whether the newest member has heard it already.
    pub(in crate::meter) fn tell(&mut self, rule: &NotifyRule, now: Now) -> (u64, bool) {
        let total = self.total();
        // A repetition is told to everybody: it is there to find dead peers.
        let skip_newest = self.newest_heard == total && self.has_changed(rule);
        self.newest_heard = 0;
        self.note_told(total, now);
        (total, skip_newest)
    }

    /// Whether somebody has heard a number that the total has left behind: the one last told, or, by a newcomer, a first
    /// count. Without the latter, whoever joins just before others leave would see a wrong number until the repetition,
    /// because the total is back where it was told.
    fn has_changed(&self, rule: &NotifyRule) -> bool {
        let is_left_behind = |heard: u64| self.total().abs_diff(heard) >= rule.threshold(heard);
        let (least, largest) = self.newcomers_heard;
        is_left_behind(self.told) || (self.newcomers > 0 && (is_left_behind(least) || is_left_behind(largest)))
    }

    fn note_told(&mut self, total: u64, now: Now) {
        self.told = total;
        self.told_at = Some(now.tick);
        self.telling = self.telling.wrapping_add(1);
        self.newcomers = 0;
        self.modified_unix_s = now.unix_s();
    }

    /// How many of this node's members are there.
    #[cfg(any(test, debug_assertions))]
    pub(in crate::meter) fn present(&self) -> Present {
        Present { counted: self.counted, uncounted: self.uncounted }
    }

    /// The sum of member ticks of other nodes, at the zero of this node's clock.
    #[cfg(any(test, debug_assertions))]
    pub(in crate::meter) fn member_ticks_elsewhere(&self) -> u64 {
        self.member_ticks_elsewhere
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(delta_ratio: f64, told: u64, threshold: u64) {
        let rule = NotifyRule { delta_ratio, min_delay: Duration::ZERO, max_delay: Duration::ZERO };
        assert_eq!(rule.threshold(told), threshold, "{told} x {delta_ratio}");
    }

    #[test]
    fn the_threshold_is_the_floor_of_the_fraction_and_at_least_one() {
        check(0.1, 0, 1);
        check(0.1, 9, 1);
        check(0.1, 19, 1);
        check(0.1, 20, 2);
        check(0.1, 1_000_000, 100_000);
        check(0.0, 1_000_000, 1);
        check(1.5, 3, 4);
    }
}
