//! One namespace in the naive book of one node, whether the meter remembers it or not.
//!
//! Owns what is true of this node's members, and what the meter's figures of the namespace may be. Of other nodes it knows only
//! that they can add to a total.
//!
//! Invariant: the list of members is in the order in which they came.

use std::collections::BTreeSet;
use std::rc::Rc;

use audience_meter::collections::tick::{Now, TICK_MS, Tick};
use audience_meter::meter::{Accounts, Meter, Namespace, NamespaceId, Rules};

use super::present::Present;
use super::recorded::Recorded;
use crate::world::people::Individual;

/// A namespace at one node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    /// Its members, oldest first.
    pub(super) members: Vec<Present>,
    pub(super) is_remembered: bool,
    /// The name as the meter keeps it: once it has forgotten the namespace, it keeps another.
    known_as: Option<Rc<str>>,
    /// How many of this node's members were counted while it was remembered.
    pub(super) counted_ever: u64,
    /// The different people of these.
    pub(super) people: BTreeSet<Individual>,
    /// For how many ticks each counted member stayed that has left; those before `forgotten` left before the meter last forgot
    /// the namespace.
    pub(super) stays: Vec<u64>,
    forgotten: usize,
    /// The same before the meter last forgot it, and before that.
    forgotten_before: Vec<usize>,
    /// The least that the meter may say of it from now on.
    least: Option<Accounts>,
    total: u64,
    pub(super) pushed_at: Option<Tick>,
    pub(super) vacant_since: Option<Tick>,
    /// When a walk was last on its way here.
    pub(super) walked_at: Option<Tick>,
    /// The most of this node's members that were counted at once.
    pub(super) peak: u64,
    /// Whether the meter has reported what it came to.
    pub(super) has_ended: bool,
}

impl Page {
    /// Its counted members.
    pub(super) fn counted(&self) -> impl Iterator<Item = &Present> {
        self.members.iter().filter(|present| present.counted_at.is_some())
    }

    /// How many of this node's members are left out of the count.
    pub(super) fn left_out(&self) -> u64 {
        self.members.iter().filter(|present| present.is_left_out()).count() as u64
    }

    /// What this node's members have come to since the meter has remembered the namespace.
    pub(super) fn recorded(&self, now: Tick) -> Recorded {
        self.recorded_since(self.forgotten, now)
    }

    /// What this node's members have come to in all.
    pub(super) fn recorded_ever(&self, now: Tick) -> Recorded {
        self.recorded_since(0, now)
    }

    fn recorded_since(&self, first: usize, now: Tick) -> Recorded {
        let mut recorded = Recorded::default();
        self.stays.iter().skip(first).for_each(|&ticks| recorded.add_stay(ticks));
        self.counted().filter_map(|present| present.counted_at).for_each(|at| recorded.add_present(now.0 - at.0));
        recorded
    }

    /// The meter does not remember the namespace.
    pub(super) fn check_forgotten(&mut self, rules: &Rules, is_lone: bool, has_walk: bool, now: Tick) {
        assert!(self.members.is_empty(), "{self:?} is forgotten, and has members");
        if !self.is_remembered {
            return;
        }
        assert!(!has_walk, "{self:?} is forgotten under a walk");
        let due = self.vacant_since.unwrap_or(now).after(rules.namespace_clean_delay);
        // Where there is little room, another namespace may have taken it.
        let is_known = is_lone && rules.namespaces_max == usize::MAX;
        let is_early = is_known && self.counted_ever > 0 && due > now;
        assert!(!is_early, "{self:?} is forgotten at {now:?}");
        assert!(self.has_ended || !is_lone || self.counted_ever == 0, "{self:?} is forgotten without a report");
        self.forget();
    }

    /// From now on the meter remembers nothing of what was so far, but the members that are there.
    fn forget(&mut self) {
        let stays = std::mem::take(&mut self.stays);
        let mut forgotten_before = std::mem::take(&mut self.forgotten_before);
        forgotten_before.push(self.forgotten);
        *self = Self { forgotten: stays.len(), forgotten_before, stays, ..Self::default() };
    }

    /// The event goes on that the meter had forgotten: its members of before count again, as far back as it takes for these
    /// connections.
    pub(super) fn recall(&mut self, connections: u64) {
        while self.counted_ever < connections {
            let Some(first) = self.forgotten_before.pop() else { break };
            self.counted_ever += (self.forgotten - first) as u64;
            self.forgotten = first;
        }
    }

    /// The event goes on in another meter, if it is remembered.
    pub(super) fn follow(&mut self, namespace: Option<&Namespace>) {
        assert_eq!(self.known_as.is_some() && self.is_remembered, namespace.is_some(), "{self:?}");
        self.known_as = namespace.map(Namespace::shared_name);
    }

    pub(super) fn check_figures(&mut self, meter: &Meter, id: NamespaceId, is_lone: bool, at: Now) {
        let now = at.tick;
        let namespace = meter.namespaces().get(id).expect("it was found");
        let name = namespace.shared_name();
        if self.known_as.as_ref().is_some_and(|known| !Rc::ptr_eq(known, &name)) {
            // Another namespace had taken its room, and then it was named again.
            assert!(self.members.is_empty(), "{self:?} is forgotten, and has members");
            self.forget();
        }
        self.known_as = Some(name);
        let own = self.counted().count() as u64;
        self.total = namespace.total();
        assert!(self.total < 1 << 32, "a count below zero: {self:?}");
        assert!(self.total >= own, "{} of {own} are counted: {self:?}", self.total);
        self.peak = self.peak.max(own);
        let accounts = meter.accounts(id, at);
        self.check_accounts(&accounts, namespace.connections());
        let left_out = self.left_out();
        if is_lone {
            let known = (self.total, namespace.uncounted(), namespace.connections());
            assert_eq!(known, (own, left_out, self.counted_ever), "{self:?}");
            self.check_lone(&accounts, now);
        }
        self.is_remembered = true;
        if self.members.is_empty() {
            self.pushed_at = None;
        }
        assert!(namespace.uncounted() >= left_out, "{self:?}");
        let is_vacant = self.members.is_empty() && self.total == 0 && namespace.uncounted() == 0;
        self.vacant_since = is_vacant.then(|| self.vacant_since.unwrap_or(now));
    }

    /// Peaks hold, and no sum falls.
    fn check_accounts(&mut self, accounts: &Accounts, connections: u64) {
        assert!(connections >= self.counted_ever, "{connections} connections of {self:?}");
        assert!(accounts.peak.members >= self.peak.max(self.total), "{:?} of {self:?}", accounts.peak);
        assert!(accounts.average_hundredths() <= accounts.peak.members.saturating_mul(100), "{accounts:?}");
        let before = self.least.replace(*accounts).unwrap_or(*accounts);
        assert!(accounts.connections >= before.connections, "connections fell from {before:?} to {accounts:?}");
        let has_fallen = accounts.stays.iter().zip(before.stays).any(|(&now, before)| now < before);
        assert!(!has_fallen, "stays fell from {before:?} to {accounts:?}");
    }

    /// What this node's members have come to, if there are no others.
    pub(super) fn check_lone(&self, accounts: &Accounts, now: Tick) {
        let recorded = self.recorded(now);
        assert_eq!(accounts.member_ms, recorded.member_ticks * TICK_MS, "{self:?}");
        assert_eq!((accounts.stays, accounts.peak.members), (recorded.stays, self.peak), "{self:?}");
        assert_eq!(accounts.connections, self.counted_ever, "{self:?}");
    }

    /// A walk from the newest member on meets all members, newest first.
    pub(super) fn check_order(&self, meter: &mut Meter, id: NamespaceId) {
        let walk = meter.begin_walk(id, false);
        for present in self.members.iter().rev() {
            assert_eq!(meter.step_walk(walk), Some(present.member), "{self:?}");
        }
        assert_eq!(meter.step_walk(walk), None, "{self:?}");
    }

    /// No member has waited too long for a count, or believes a number that the total has left behind.
    pub(super) fn check_pushed(&self, name: &str, rules: &Rules, now: Tick) {
        if self.members.is_empty() || self.total == 0 {
            return;
        }
        let pushed_at = self.pushed_at.unwrap_or_else(|| panic!("{} of {name} was never pushed", self.total));
        let due_after = |delay| pushed_at.after(delay).max(Tick(pushed_at.0 + 1));
        let notify = &rules.notify;
        assert!(due_after(notify.max_delay.max(notify.min_delay)) > now, "{name} is not pushed again");
        if due_after(notify.min_delay) <= now {
            for present in &self.members {
                let is_left_behind = self.total.abs_diff(present.pushed) >= notify.threshold(present.pushed);
                assert!(!is_left_behind, "{name} has {}, and believes otherwise: {present:?}", self.total);
            }
        }
    }
}
