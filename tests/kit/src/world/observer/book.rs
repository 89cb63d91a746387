//! A second book of one node's members, kept the slow way: which are there, in the order in which they came.
//!
//! Owns what a meter must answer, worked out from the rules alone: a list per namespace instead of lists, tables and
//! timers that are kept in step. It knows of other nodes only that they can add to a total.
//!
//! Invariant: after each step, the meter's book and this one say the same.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use audience_meter::collections::key::Key as _;
use audience_meter::collections::tick::{Now, TICK_MS, Tick};
use audience_meter::meter::news::{Count, Datagram, Item, News, NodeId};
use audience_meter::meter::{ClusterRules, Ending, MemberId, Meter, Rules, WalkId};

use super::page::Page;
use super::present::Present;
use super::recorded::Recorded;
use super::walks::Walk;
use crate::world::people::Individual;

/// What it takes to announce something, when it is time.
const ANNOUNCING: Duration = Duration::from_millis(50);

/// How long an event may wait for its report at a node: fifteen turns of two seconds may come before, and for five seconds more
/// it may know that something is missing.
const REPORTING: Duration = Duration::from_secs(40);

/// After how long without a look a node counts as paused: two of its heartbeats.
const PAUSE: Duration = Duration::from_secs(1);

/// The book.
pub(crate) struct Book {
    rules: Rules,
    /// Whether there are no other nodes: then the meter's numbers are known and not only bounded.
    is_lone: bool,
    pages: BTreeMap<&'static str, Page>,
    walks: Vec<Walk>,
    serial: u64,
    /// When the node was last looked at, and since when it has not been paused.
    seen_at: Tick,
    awake_since: Tick,
}

impl Book {
    pub(crate) fn new(rules: Rules, is_lone: bool, names: &[&'static str]) -> Self {
        let pages = names.iter().map(|&name| (name, Page::default())).collect();
        Self { rules, is_lone, pages, walks: Vec::new(), serial: 0, seen_at: Tick(0), awake_since: Tick(0) }
    }

    /// The member that claims the uuid in this namespace.
    pub(crate) fn holder(&self, name: &str, uuid: &str) -> Option<Present> {
        let mut holders = self.of(name).iter().filter(|present| present.uuid == Some(uuid));
        let holder = holders.next().copied();
        assert!(holders.next().is_none(), "{uuid} of {name} is claimed twice");
        holder
    }

    /// The members whose claims are earlier than one of those in the datagram, which comes to `node`.
    pub(crate) fn beaten_by(&self, datagram: &Datagram<&str>, node: NodeId) -> Vec<MemberId> {
        let items: &[Item<&str>] = if let News::Report { items, .. } = &datagram.news { items } else { &[] };
        let reported = items.iter().filter_map(|item| match item {
            Item::Claim(claim) => Some((claim, datagram.sender)),
            Item::Count(_) | Item::Census(_) | Item::Retired(_) | Item::Ended(_) => None,
        });
        let announced = match &datagram.news {
            News::Claimed(claim) => Some((claim, datagram.sender)),
            News::GivenUp { claim, .. } => Some((claim, NodeId(u64::MAX))),
            _ => None,
        };
        let beaten = reported.chain(announced).filter_map(|(claim, claimer)| {
            let holder = self.holder(claim.namespace, claim.uuid)?;
            ((claim.order, claimer) > (holder.claim_order, node)).then_some(holder.member)
        });
        beaten.collect()
    }

    /// The name of a namespace, as the book has it.
    pub(crate) fn name(&self, name: &str) -> Option<&'static str> {
        self.pages.get_key_value(name).map(|(&name, _)| name)
    }

    /// All members that are there.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, &Present)> {
        self.pages.iter().flat_map(|(&name, page)| page.members.iter().map(move |present| (name, present)))
    }

    /// One of the members that are there, in the order in which they came.
    pub(crate) fn pick(&self, pick: usize) -> Option<MemberId> {
        self.pick_by(pick, |present| present.serial)
    }

    /// The same, those first that are left out of the count.
    pub(crate) fn pick_left_out(&self, pick: usize) -> Option<MemberId> {
        self.pick_by(pick, |present| (!present.is_left_out(), present.serial))
    }

    fn pick_by<K: Ord>(&self, pick: usize, key: impl Fn(&Present) -> K) -> Option<MemberId> {
        let mut all: Vec<&Present> = self.all().map(|(_, present)| present).collect();
        all.sort_by_key(|present| key(present));
        Some(all[pick.checked_rem(all.len())?].member)
    }

    /// The first key below `limit` that no member has.
    pub(crate) fn free_member(&self, limit: usize) -> Option<MemberId> {
        (0..limit).filter_map(MemberId::from_index).find(|key| self.all().all(|(_, present)| present.member != *key))
    }

    /// What this node's members have come to in a namespace, in all.
    pub(crate) fn recorded(&self, name: &str, now: Tick) -> Recorded {
        self.pages.get(name).map_or_else(Recorded::default, |page| page.recorded_ever(now))
    }

    /// The different people that were counted in a namespace.
    pub(crate) fn people(&self, name: &str) -> BTreeSet<Individual> {
        self.pages.get(name).map_or_else(BTreeSet::default, |page| page.people.clone())
    }

    /// A member of this person has joined, and is left out of the count.
    pub(crate) fn enter(&mut self, member: MemberId, name: &'static str, individual: Individual) {
        self.serial += 1;
        let serial = self.serial;
        let present = Present {
            member,
            individual,
            uuid: individual.uuid(),
            claim_order: 0,
            serial,
            counts_at: None,
            counted_at: None,
            pushed: 0,
        };
        self.page(name).members.push(present);
    }

    /// A member counts from now on, or once it has stayed long enough, if it was left out before.
    pub(crate) fn count(&mut self, member: MemberId, now: Tick) {
        let delay = self.rules.increment_delay;
        for page in self.pages.values_mut() {
            let left_out = page.members.iter_mut().find(|present| present.member == member);
            if let Some(present) = left_out.filter(|present| present.is_left_out()) {
                present.counts_at = Some(now.after(delay));
                present.counted_at = delay.is_zero().then_some(now);
                page.counted_ever += u64::from(present.counted_at.is_some());
                page.people.extend(present.counted_at.map(|_| present.individual));
            }
        }
    }

    /// The newest member of a namespace has its first count, and has claimed its uuid with this order.
    pub(crate) fn push_first(&mut self, name: &str, total: Option<u64>, claim_order: u64, now: Tick) {
        let page = self.page(name);
        let is_alone = page.members.len() == 1;
        if let Some(newest) = page.members.last_mut() {
            (newest.pushed, newest.claim_order) = (total.unwrap_or(0), claim_order);
        }
        if is_alone && total.is_some() {
            page.pushed_at = Some(now);
        }
    }

    /// A member has left, if it was there.
    pub(crate) fn leave(&mut self, member: MemberId, now: Tick) {
        for page in self.pages.values_mut() {
            let left = page.members.iter().filter(|present| present.member == member);
            page.stays.extend(left.filter_map(|present| Some(now.0 - present.counted_at?.0)));
            page.members.retain(|present| present.member != member);
        }
    }

    /// The book of a node that has departed: all its members have left.
    pub(crate) fn closed(mut self, now: Tick) -> Self {
        let members: Vec<MemberId> = self.all().map(|(_, present)| present.member).collect();
        for member in members {
            self.leave(member, now);
        }
        self
    }

    /// The node announces what it has counted in a namespace: from its beginning on, or only since it was folded.
    pub(crate) fn announce(&mut self, count: &Count<impl AsRef<str>>, is_folded: bool, now: Tick) {
        let Some(page) = self.pages.get_mut(count.namespace.as_ref()) else { return };
        page.recall(count.sums.connections);
        let recorded = page.recorded(now);
        let counted = page.counted().count() as u64;
        assert_eq!(u64::from(count.members), counted, "{page:?}");
        assert_eq!(u64::from(count.uncounted), page.left_out(), "{page:?}");
        let sums = (count.sums.connections, count.sums.member_ticks, count.sums.stays);
        let all = (page.counted_ever, recorded.member_ticks, recorded.stays);
        if is_folded {
            let is_part = sums.0 <= all.0 && sums.1 <= all.1 && sums.2.iter().zip(all.2).all(|(&of, all)| of <= all);
            assert!(is_part, "{sums:?} of {page:?}");
        } else {
            assert_eq!(sums, all, "{page:?}");
        }
        assert!(count.peak.members >= page.peak, "{:?} of {page:?}", count.peak);
    }

    /// The meter reports what an event came to.
    pub(crate) fn end(&mut self, ending: &Ending, now: Tick) {
        let is_lone = self.is_lone;
        let is_full = self.rules.namespaces_max < usize::MAX;
        let page = self.page(&ending.namespace);
        if is_full && !page.is_remembered {
            // One datagram has named it, and another event that has taken its place.
            return;
        }
        let accounts = &ending.accounts;
        assert!(page.is_remembered && !page.has_ended && page.members.is_empty(), "{page:?} is reported");
        let is_whole = accounts.connections >= page.counted_ever && accounts.peak.members >= page.peak;
        assert!(is_whole, "{page:?}: {ending:?}");
        if is_lone {
            page.check_lone(accounts, now);
        }
        page.has_ended = true;
    }

    /// The meter has been shown this time.
    pub(crate) fn count_in(&mut self, now: Tick) {
        for page in self.pages.values_mut() {
            for present in &mut page.members {
                if present.is_overdue(now) {
                    present.counted_at = Some(now);
                    page.counted_ever += 1;
                    page.people.insert(present.individual);
                }
            }
        }
    }

    /// The total of a namespace is pushed to its members.
    pub(crate) fn push(&mut self, name: &str, total: u64, skip_newest: bool, now: Tick) {
        let min_delay = self.rules.notify.min_delay;
        let page = self.page(name);
        assert!(total > 0, "0 is never pushed");
        assert!(!page.members.is_empty(), "{name} has no member to push to");
        let is_soon = page.pushed_at.is_some_and(|at| at.after(min_delay) > now || at >= now);
        assert!(!is_soon, "{name} is pushed too soon");
        page.pushed_at = Some(now);
        if let (true, Some(newest)) = (skip_newest, page.members.last()) {
            assert_eq!(newest.pushed, total, "the newest member of {name} is left out, and has another number");
        }
        for present in &mut page.members {
            present.pushed = total;
        }
    }

    pub(crate) fn begin_walk(&mut self, id: WalkId, name: &'static str, skip_newest: bool) {
        assert!(self.walks.iter().all(|walk| walk.id != id), "a walk's key is another's");
        let walk = Walk::new(id, name, self.of(name), skip_newest);
        self.walks.push(walk);
    }

    /// The key of one of the walks.
    pub(crate) fn walk(&self, pick: usize) -> Option<WalkId> {
        self.walks.get(pick.checked_rem(self.walks.len())?).map(|walk| walk.id)
    }

    pub(crate) fn walk_count(&self) -> usize {
        self.walks.len()
    }

    pub(crate) fn restart_walk(&mut self, id: WalkId) {
        self.walks.iter_mut().filter(|walk| walk.id == id).for_each(Walk::restart);
    }

    /// The member that a walk visits next.
    pub(crate) fn step_walk(&mut self, id: WalkId) -> Option<MemberId> {
        let index = self.walks.iter().position(|walk| walk.id == id)?;
        let walk = &mut self.walks[index];
        let next = walk.step(&self.pages[walk.name].members);
        if next.is_none() {
            self.walks.remove(index);
        }
        next
    }

    /// Compares the books, after anything whatever.
    pub(crate) fn check(&mut self, meter: &mut Meter, at: Now) {
        let now = at.tick;
        for (&name, page) in &mut self.pages {
            let found = meter.find(name);
            let has_walk = self.walks.iter().any(|walk| walk.name == name);
            page.walked_at = if has_walk { Some(now) } else { page.walked_at };
            let Some(id) = found else {
                page.check_forgotten(&self.rules, self.is_lone, has_walk, now);
                continue;
            };
            let is_its = meter.namespaces().get(id).is_some_and(|namespace| namespace.name() == name);
            assert!(is_its, "{name} leads elsewhere");
            page.check_figures(meter, id, self.is_lone, at);
            page.check_order(meter, id);
        }
        self.check_sums(meter, at);
    }

    /// Another meter goes on in the place of the one before: the events are the same.
    pub(crate) fn follow(&mut self, meter: &Meter) {
        for (&name, page) in &mut self.pages {
            page.follow(meter.find(name).and_then(|id| meter.namespaces().get(id)));
        }
    }

    fn check_sums(&self, meter: &Meter, at: Now) {
        let counted = self.pages.values().map(|page| page.counted().count() as u64).sum::<u64>();
        assert_eq!(meter.own_member_count(), counted, "this node's members");
        let named = self.pages.values().filter(|page| page.is_remembered).count();
        assert_eq!(named, meter.namespaces().len(), "a namespace that no node has named");
        let totals: u64 = meter.namespaces().iter().map(|(_, namespace)| namespace.total()).sum();
        let others: u64 = meter.nodes(at).map(|other| other.members).sum();
        // Members of departed nodes may still be on their way off the counts.
        assert!(totals >= counted + others, "all totals are own members and those of others");
    }

    /// What is left undone once the meter has been shown this time, or asked to be shown it later.
    pub(crate) fn check_nothing_is_due(&mut self, now: Tick) {
        if self.seen_at.after(PAUSE) < now {
            self.awake_since = now;
        }
        self.seen_at = now;
        // The others learn first that no member is there. And a turn has room for one report, so those of a moment take some.
        let grace = if self.is_lone {
            Duration::from_millis(TICK_MS * self.pages.len() as u64)
        } else {
            ClusterRules::default().notify_interval + ANNOUNCING + REPORTING
        };
        for (name, page) in &self.pages {
            let waits = page.members.iter().find(|present| present.is_overdue(now));
            assert!(waits.is_none(), "{name}: {waits:?} has stayed long enough");
            page.check_pushed(name, &self.rules, now);
            let due = page.vacant_since.map(|since| since.after(self.rules.namespace_clean_delay).after(grace));
            let is_free = page.walked_at.is_none_or(|at| at < now);
            // A node that was paused receives what it has missed before it reports.
            let due = due.map(|due| due.max(self.awake_since.after(grace)));
            let is_overdue = page.is_remembered && is_free && due.is_some_and(|due| due <= now);
            assert!(!is_overdue, "{name} is remembered too long");
        }
    }

    fn page(&mut self, name: &str) -> &mut Page {
        self.pages.get_mut(name).expect("all namespaces have a page")
    }

    fn of(&self, name: &str) -> &[Present] {
        self.pages.get(name).map_or(&[], |page| &page.members)
    }
}
