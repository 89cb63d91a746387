//! A second book of one node's members, kept the slow way: who is there, in the order in which they came.
//!
//! Owns what a meter must answer, worked out from the rules alone: a list per namespace instead of lists, tables and
//! timers that are kept in step. It knows of other nodes only that they can add to a total.
//!
//! Invariant: after each step, the meter's book and this one say the same.

use std::collections::BTreeMap;
use std::time::Duration;

use super::NAMESPACES;
use super::present::Present;
use audience_meter::collections::tick::{Now, TICK_MS, Tick};
use audience_meter::meter::news::{Count, Datagram, Item, News, NodeId};
use audience_meter::meter::{
    Accounts, ClusterRules, Ending, MemberId, Meter, NamespaceId, Rules, STAY_BUCKETS, Stays, WalkId,
};

/// A namespace, whether the meter remembers it or not.
#[derive(Debug, Default)]
struct Page {
    /// Its members, oldest first.
    members: Vec<Present>,
    is_remembered: bool,
    /// How many of this node's members were counted while it was remembered.
    counted_ever: u64,
    /// The most connections that the meter has told of while it was remembered.
    connections: u64,
    total: u64,
    told_at: Option<Tick>,
    vacant_since: Option<Tick>,
    /// When a walk was last on its way here.
    walked_at: Option<Tick>,
    /// For how long each of this node's members was counted who has left, while it was remembered.
    stays: Vec<u64>,
    /// The most of this node's members that were counted at once.
    peak: u64,
    /// Whether the meter has said what it came to.
    has_ended: bool,
}

/// A walk: whom it visits next follows from the order in which members came.
#[derive(Debug)]
struct Walk {
    id: WalkId,
    name: &'static str,
    /// It goes on with the newest of those who came before this one.
    below: u64,
    /// It ends before those who came earlier than this one.
    floor: u64,
    /// At its end it begins anew with this floor.
    again: Option<u64>,
}

/// The book.
pub(super) struct Book {
    rules: Rules,
    /// Whether there are no other nodes: then the meter's numbers are known and not only bounded.
    is_lone: bool,
    pages: BTreeMap<&'static str, Page>,
    walks: Vec<Walk>,
    serial: u64,
}

impl Book {
    pub(super) fn new(rules: Rules, is_lone: bool) -> Self {
        let pages = NAMESPACES.iter().map(|&name| (name, Page::default())).collect();
        Self { rules, is_lone, pages, walks: Vec::new(), serial: 0 }
    }

    /// Who claims the uuid in this namespace.
    pub(super) fn holder(&self, name: &str, uuid: &str) -> Option<Present> {
        let mut holders = self.of(name).iter().filter(|present| present.uuid == Some(uuid));
        let holder = holders.next().copied();
        assert!(holders.next().is_none(), "{uuid} of {name} is claimed twice");
        holder
    }

    /// Whose claims are earlier than one of those in the datagram, which comes to `node`.
    pub(super) fn beaten_by(&self, datagram: &Datagram<&str>, node: NodeId) -> Vec<MemberId> {
        let items: &[Item<&str>] = if let News::Report { items, .. } = &datagram.news { items } else { &[] };
        let reported = items.iter().filter_map(|item| match item {
            Item::Claim(claim) => Some((claim, datagram.sender)),
            Item::Count(_) => None,
        });
        let told = match &datagram.news {
            News::Claimed(claim) => Some((claim, datagram.sender)),
            News::GivenUp(claim) => Some((claim, NodeId(u64::MAX))),
            _ => None,
        };
        let beaten = reported.chain(told).filter_map(|(claim, claimer)| {
            let holder = self.holder(claim.namespace, claim.uuid)?;
            ((claim.time_ms, claimer) > (holder.claim_ms, node)).then_some(holder.member)
        });
        beaten.collect()
    }

    /// All who are there.
    pub(super) fn all(&self) -> impl Iterator<Item = (&'static str, &Present)> {
        self.pages.iter().flat_map(|(&name, page)| page.members.iter().map(move |present| (name, present)))
    }

    /// A member has joined, and is not to be counted.
    pub(super) fn enter(&mut self, member: MemberId, name: &'static str, uuid: Option<&'static str>) {
        self.serial += 1;
        let serial = self.serial;
        let present = Present { member, uuid, claim_ms: 0, serial, counts_at: None, counted_at: None, heard: 0 };
        self.page(name).members.push(present);
    }

    /// A member is to be counted from now on, if it was not before.
    pub(super) fn count(&mut self, member: MemberId, now: Tick) {
        let delay = self.rules.increment_delay;
        for page in self.pages.values_mut() {
            let left_out = page.members.iter_mut().find(|present| present.member == member);
            if let Some(present) = left_out.filter(|present| present.is_left_out()) {
                present.counts_at = Some(now.after(delay));
                present.counted_at = delay.is_zero().then_some(now);
                page.counted_ever += u64::from(present.counted_at.is_some());
            }
        }
    }

    /// The newest member of a namespace has been told its first count, and when it claimed its uuid.
    pub(super) fn hear_first(&mut self, name: &str, told: Option<u64>, claim_ms: u64, now: Tick) {
        let page = self.page(name);
        let is_alone = page.members.len() == 1;
        if let Some(newest) = page.members.last_mut() {
            (newest.heard, newest.claim_ms) = (told.unwrap_or(0), claim_ms);
        }
        if is_alone && told.is_some() {
            page.told_at = Some(now);
        }
    }

    /// A member has left, if it was there.
    pub(super) fn leave(&mut self, member: MemberId, now: Tick) {
        for page in self.pages.values_mut() {
            let left = page.members.iter().filter(|present| present.member == member);
            page.stays.extend(left.filter_map(|present| Some(now.0 - present.counted_at?.0)));
            page.members.retain(|present| present.member != member);
        }
    }

    /// The node tells others what it has counted in a namespace.
    pub(super) fn tell(&self, count: &Count<impl AsRef<str>>, now: Tick) {
        let Some(page) = self.pages.get(count.namespace.as_ref()) else { return };
        let counted = page.members.iter().filter(|present| present.counted_at.is_some()).count() as u64;
        assert_eq!((u64::from(count.members), count.sums.connections), (counted, page.counted_ever), "{page:?}");
        assert_eq!(u64::from(count.uncounted), page.left_out(), "{page:?}");
        assert_eq!((count.sums.member_ticks, count.sums.stays), (page.member_ticks(now), page.stays()), "{page:?}");
        assert!(count.peak.members >= page.peak, "{:?} of {page:?}", count.peak);
    }

    /// The meter says what an event came to.
    pub(super) fn end(&mut self, ending: &Ending, now: Tick) {
        let is_lone = self.is_lone;
        let page = self.page(&ending.namespace);
        let accounts = &ending.accounts;
        assert!(page.is_remembered && !page.has_ended && page.members.is_empty(), "{page:?} is reported");
        assert!(
            accounts.connections >= page.counted_ever && accounts.peak.members >= page.peak,
            "{page:?}: {ending:?}"
        );
        if is_lone {
            page.check_accounts(accounts, now);
        }
        page.has_ended = true;
    }

    /// The meter has been shown this time.
    pub(super) fn count_in(&mut self, now: Tick) {
        for page in self.pages.values_mut() {
            for present in &mut page.members {
                if present.is_to_be_counted(now) {
                    present.counted_at = Some(now);
                    page.counted_ever += 1;
                }
            }
        }
    }

    /// Everybody in a namespace is told its total.
    pub(super) fn hear(&mut self, name: &str, total: u64, skip_newest: bool, now: Tick) {
        let min_delay = self.rules.notify.min_delay;
        let page = self.page(name);
        assert!(total > 0, "0 is never told");
        assert!(!page.members.is_empty(), "{name} is told to nobody");
        assert!(page.told_at.is_none_or(|at| at.after(min_delay) <= now && at < now), "{name} is told too soon");
        page.told_at = Some(now);
        if let (true, Some(newest)) = (skip_newest, page.members.last()) {
            assert_eq!(newest.heard, total, "the newest member of {name} is left out, and has heard another number");
        }
        for present in &mut page.members {
            present.heard = total;
        }
    }

    pub(super) fn begin_walk(&mut self, id: WalkId, name: &'static str, skip_newest: bool) {
        assert!(self.walks.iter().all(|walk| walk.id != id), "a walk's key is another's");
        let newest = self.of(name).last().map_or(0, |present| present.serial);
        self.walks.push(Walk { id, name, below: newest + u64::from(!skip_newest), floor: 0, again: None });
    }

    /// The key of one of the walks.
    pub(super) fn walk(&self, pick: usize) -> Option<WalkId> {
        self.walks.get(pick.checked_rem(self.walks.len())?).map(|walk| walk.id)
    }

    /// How many walks are on their way.
    pub(super) fn walks(&self) -> usize {
        self.walks.len()
    }

    /// A walk is to visit everybody once more.
    pub(super) fn restart_walk(&mut self, id: WalkId) {
        for walk in self.walks.iter_mut().filter(|walk| walk.id == id) {
            (walk.floor, walk.again) = (0, Some(walk.below));
        }
    }

    /// Whom a walk visits next.
    pub(super) fn step_walk(&mut self, id: WalkId) -> Option<MemberId> {
        let index = self.walks.iter().position(|walk| walk.id == id)?;
        let walk = self.walks.get_mut(index)?;
        let members = &self.pages.get(walk.name)?.members;
        loop {
            let is_ahead = |present: &&Present| (walk.floor..walk.below).contains(&present.serial);
            if let Some(next) = members.iter().rev().find(is_ahead) {
                walk.below = next.serial;
                return Some(next.member);
            }
            let Some(floor) = walk.again.take() else { break };
            (walk.below, walk.floor) = (u64::MAX, floor);
        }
        self.walks.remove(index);
        None
    }

    /// Compares the books, after anything whatever.
    pub(super) fn check(&mut self, meter: &mut Meter, at: Now) {
        let now = at.tick;
        let remembered: Vec<NamespaceId> = meter.namespaces().map(|(id, _)| id).collect();
        for (&name, page) in &mut self.pages {
            let found = meter.find(name);
            let has_walk = self.walks.iter().any(|walk| walk.name == name);
            page.walked_at = if has_walk { Some(now) } else { page.walked_at };
            let Some(id) = found else {
                page.check_forgotten(&self.rules, self.is_lone, has_walk, now);
                continue;
            };
            assert!(remembered.contains(&id), "{name} leads nowhere");
            page.check_figures(meter, id, self.is_lone, at);
            page.check_order(meter, id);
        }
        let counted = self.all().filter(|(_, present)| present.counted_at.is_some()).count() as u64;
        assert_eq!(meter.own_members(), counted, "this node's members");
        let named = self.pages.values().filter(|page| page.is_remembered).count();
        assert_eq!(named, remembered.len(), "a namespace that nobody has named");
    }

    /// What is left undone once the meter has been shown this time, or asked to be shown it later.
    pub(super) fn check_nothing_is_due(&self, now: Tick) {
        // The others are told first that nobody is there.
        let grace = if self.is_lone { Duration::ZERO } else { ClusterRules::default().notify_interval + TELLING };
        for (name, page) in &self.pages {
            let waits = page.members.iter().find(|present| present.is_to_be_counted(now));
            assert!(waits.is_none(), "{name}: {waits:?} has stayed long enough");
            page.check_told(name, &self.rules, now);
            let due = page.vacant_since.map(|since| since.after(self.rules.namespace_clean_delay).after(grace));
            let is_free = page.walked_at.is_none_or(|at| at < now);
            assert!(
                !page.is_remembered || !is_free || due.is_none_or(|due| due > now),
                "{name} is remembered too long"
            );
        }
    }

    fn page(&mut self, name: &str) -> &mut Page {
        self.pages.get_mut(name).expect("all namespaces have a page")
    }

    fn of(&self, name: &str) -> &[Present] {
        self.pages.get(name).map_or(&[], |page| &page.members)
    }
}

/// What it takes to tell, when it is time.
const TELLING: Duration = Duration::from_millis(50);

impl Page {
    /// The meter does not remember the namespace.
    fn check_forgotten(&mut self, rules: &Rules, is_lone: bool, has_walk: bool, now: Tick) {
        assert!(self.members.is_empty(), "{self:?} is forgotten, and has members");
        if self.is_remembered {
            assert!(!has_walk, "{self:?} is forgotten under a walk");
            let due = self.vacant_since.unwrap_or(now).after(rules.namespace_clean_delay);
            let is_early = is_lone && self.counted_ever > 0 && due > now;
            assert!(!is_early, "{self:?} is forgotten at {now:?}");
            assert!(self.has_ended || !is_lone || self.counted_ever == 0, "{self:?} is forgotten without a word");
        }
        *self = Self::default();
    }

    fn check_figures(&mut self, meter: &Meter, id: NamespaceId, is_lone: bool, at: Now) {
        let now = at.tick;
        let (_, namespace) = meter.namespaces_from(id).next().expect("it was found");
        let own = self.members.iter().filter(|present| present.counted_at.is_some()).count() as u64;
        self.total = namespace.total();
        assert!(self.total >= own, "{} of {own} are counted: {self:?}", self.total);
        assert!(namespace.connections() >= self.connections.max(self.counted_ever), "connections fell: {self:?}");
        self.connections = namespace.connections();
        self.peak = self.peak.max(own);
        let accounts = meter.accounts(id, at);
        assert!(accounts.peak.members >= self.peak.max(self.total), "{:?} of {self:?}", accounts.peak);
        assert!(accounts.average_hundredths() <= accounts.peak.members.saturating_mul(100), "{accounts:?}");
        if is_lone {
            let known = (self.total, namespace.uncounted(), self.connections);
            assert_eq!(known, (own, self.left_out(), self.counted_ever), "{self:?}");
            self.check_accounts(&accounts, now);
        }
        self.is_remembered = true;
        if self.members.is_empty() {
            self.told_at = None;
        }
        assert!(namespace.uncounted() >= self.left_out(), "{self:?}");
        let is_vacant = self.members.is_empty() && self.total == 0 && namespace.uncounted() == 0;
        self.vacant_since = is_vacant.then(|| self.vacant_since.unwrap_or(now));
    }

    /// How many of this node's members are not to be counted.
    fn left_out(&self) -> u64 {
        self.members.iter().filter(|present| present.is_left_out()).count() as u64
    }

    /// What this node's members have come to, if there are no others.
    fn check_accounts(&self, accounts: &Accounts, now: Tick) {
        assert_eq!(accounts.member_ms, self.member_ticks(now) * TICK_MS, "{self:?}");
        assert_eq!((accounts.stays, accounts.peak.members), (self.stays(), self.peak), "{self:?}");
        assert_eq!(accounts.connections, self.counted_ever, "{self:?}");
    }

    /// For how long this node's members were counted, all of them together.
    fn member_ticks(&self, now: Tick) -> u64 {
        let present = self.members.iter().filter_map(|present| Some(now.0 - present.counted_at?.0));
        self.stays.iter().copied().chain(present).sum()
    }

    fn stays(&self) -> Stays {
        let mut stays = Stays::default();
        for ticks in &self.stays {
            let bounds = (0..STAY_BUCKETS - 1).map(|bucket| 1_000 << bucket);
            let bucket = bounds.take_while(|&below_ms| ticks * TICK_MS >= below_ms).count();
            stays[bucket] += 1;
        }
        stays
    }

    /// A walk from the newest member on meets all members, newest first.
    fn check_order(&self, meter: &mut Meter, id: NamespaceId) {
        let walk = meter.begin_walk(id, false);
        for present in self.members.iter().rev() {
            assert_eq!(meter.step_walk(walk), Some(present.member), "{self:?}");
        }
        assert_eq!(meter.step_walk(walk), None, "{self:?}");
    }

    /// Nobody has waited too long for a count, or believes a number that the total has left behind.
    fn check_told(&self, name: &str, rules: &Rules, now: Tick) {
        if self.members.is_empty() || self.total == 0 {
            return;
        }
        let told_at = self.told_at.unwrap_or_else(|| panic!("{name} was never told {}", self.total));
        let due_after = |delay| told_at.after(delay).max(Tick(told_at.0 + 1));
        let notify = &rules.notify;
        assert!(due_after(notify.max_delay.max(notify.min_delay)) > now, "{name} is not told again");
        if due_after(notify.min_delay) <= now {
            for present in &self.members {
                let is_left_behind = self.total.abs_diff(present.heard) >= notify.threshold(present.heard);
                assert!(!is_left_behind, "{name} has {}, and believes otherwise: {present:?}", self.total);
            }
        }
    }
}
