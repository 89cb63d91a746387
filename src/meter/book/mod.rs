//! The book of this node: the namespaces, the members here, their claims, and the journal of what other nodes do not know yet.
//!
//! Owns the tables and keeps them in step with each other. It knows no other node: what others report reaches it as a
//! [`Change`] of a namespace. It gives no output either: its answers say what the caller has to do next.
//!
//! | file | owns |
//! |---|---|
//! | `change` | what has changed in a namespace at another node |
//! | `changes` | the names whose totals have changed, while there are watchers |
//! | `claims` | the uuids that members claim |
//! | `closing` | what an event came to, when it is over |
//! | `counting` | which members that are present come into the count later |
//! | `elsewhere` | what nodes say to each other of events that were reported |
//! | `ended` | the reports that were given of late, here and elsewhere |
//! | `former` | what members had come to in events that were forgotten |
//! | `estates` | what is known of the claims of other nodes |
//! | `invariants` | the check that the book balances, after each input in debug builds |
//! | `items` | what the items of the journal say when they are announced |
//! | `joining` | what a join does in all the tables |
//! | `journal` | the order of this node's own changes, and how far they have been announced |
//! | `keys` | the types of the keys of all these tables |
//! | `learning` | which namespaces of other nodes are taken in |
//! | `members` | one record per member, and the order of the members in their namespace |
//! | `name_hash` | hashes of names that no stranger foresees |
//! | `namespace` | the figures of one event |
//! | `notice` | the notify rule, and what was pushed last |
//! | `patience` | the places of members whose streams were lost |
//! | `people` | the different people of an event, as members and reports bring them |
//! | `renewal` | what this node's members have come to, taken out of the book |
//! | `schedule` | when each namespace is looked at |
//! | `sections` | the book as bytes |
//! | `standing` | whether a member is in the count |
//! | `succession` | how a place goes on at another node |
//! | `vacancy` | the vacant namespaces, and which of them is forgotten first when there are too many |
//! | `walks` | the cursors that move along the members of a namespace for many turns |
//! | `whole` | what another node knew of a namespace |
//!
//! Invariant: a namespace has a timer or is in the line of this turn whenever something becomes due.

pub(super) mod change;
pub(super) mod changes;
pub(super) mod claims;
pub(super) mod closing;
pub(super) mod counting;
pub(super) mod elsewhere;
mod ended;
mod estates;
mod former;
#[cfg(any(test, debug_assertions))]
pub(super) mod invariants;
pub(super) mod items;
pub(super) mod joining;
pub(super) mod journal;
pub(super) mod keys;
pub(super) mod learning;
pub(super) mod members;
mod name_hash;
pub(super) mod namespace;
pub(super) mod notice;
pub(super) mod patience;
pub(super) mod people;
pub(super) mod renewal;
pub(super) mod schedule;
pub(super) mod sections;
pub(super) mod standing;
pub(super) mod succession;
pub(super) mod vacancy;
pub(super) mod walks;
pub(super) mod whole;

use std::collections::HashMap;
use std::rc::Rc;

use super::accounts::history::Histories;
use super::accounts::stays::StaysTable;
use super::census::{Censuses, Person};
use super::news::{self, NodeId, Secret};
use crate::collections::shards::{BuildKeyHasher, ShardMap};
use crate::collections::slab::Slab;
use crate::collections::tick::{Now, Tick};
use crate::collections::wheel::TimerWheel;
use change::Change;
use changes::{Changed, Changes};
use claims::Claims;
use ended::Ended;
use estates::Estates;
use former::Former;
use journal::{Journal, Subject};
use keys::{ClaimId, MakerId, MemberId, NamespaceId, WalkId};
use members::Members;
use namespace::Namespace;
use schedule::{Due, Rules, Schedule};
use standing::Standing;
use vacancy::Vacancy;
use walks::Walks;
use whole::Whole;

/// In how many parts names are looked up: with 1,000,000 of them, one part takes 0.8 ms to grow.
const NAME_SHARDS: usize = 256;

/// The namespaces of this node, and the members here.
pub(super) struct Book {
    pub(super) rules: Rules,
    namespaces: Slab<NamespaceId, Namespace>,
    by_name: ShardMap<Rc<str>, NamespaceId>,
    members: Members,
    pub(super) claims: Claims,
    pub(super) estates: Estates,
    /// This node, whose claims are among those of the others.
    node: NodeId,
    pub(super) walks: Walks,
    /// How long former members stayed, by namespace.
    pub(super) stays: StaysTable,
    pub(super) histories: Histories,
    pub(super) censuses: Censuses,
    /// The people whose members are present, and not counted yet.
    unrecognized: HashMap<MemberId, Person, BuildKeyHasher>,
    pub(super) changes: Changes,
    pub(super) journal: Journal,
    pub(super) schedule: Schedule,
    ended: Ended,
    former: Former,
    pub(super) vacancy: Vacancy,
    /// Per member: when it will have stayed long enough to be counted.
    pending: TimerWheel<MemberId>,
}

impl Book {
    /// A book without entries.
    pub(super) fn new(rules: Rules, node: NodeId) -> Self {
        Self {
            rules,
            namespaces: Slab::default(),
            by_name: ShardMap::new(NAME_SHARDS),
            members: Members::default(),
            claims: Claims::new(!rules.leave_delay.is_zero()),
            estates: Estates::default(),
            node,
            walks: Walks::default(),
            stays: StaysTable::default(),
            histories: Histories::new(0),
            censuses: Censuses::new(0, Secret([0; 2])),
            unrecognized: HashMap::default(),
            changes: Changes::default(),
            journal: Journal::default(),
            schedule: Schedule::default(),
            ended: Ended::default(),
            former: Former::default(),
            vacancy: Vacancy::default(),
            pending: TimerWheel::default(),
        }
    }

    /// When the next member counts, or the next namespace is due.
    pub(super) fn next_deadline(&self) -> Option<Tick> {
        let members = [self.pending.next_deadline(), self.claims.next_deadline(), self.estates.next_deadline()];
        let others = [self.schedule.next_deadline(), self.ended.next_deadline(), self.censuses.next_deadline()];
        let deadlines = others.into_iter().chain(members);
        deadlines.flatten().min()
    }

    /// The number of timers that are set.
    pub(super) fn timer_count(&self) -> usize {
        self.schedule.timer_count() + self.pending.len()
    }

    /// The number of counted members, in all namespaces.
    pub(super) fn own_member_count(&self) -> u64 {
        self.members.counted()
    }

    /// The namespace of this name.
    pub(super) fn find(&self, name: &str) -> Option<NamespaceId> {
        self.by_name.get(name).copied()
    }

    /// The namespace of this key, if it is not forgotten.
    pub(super) fn get(&self, id: NamespaceId) -> Option<&Namespace> {
        self.namespaces.get(id)
    }

    /// The namespace of this key, which is there.
    pub(super) fn at(&self, id: NamespaceId) -> &Namespace {
        self.namespaces.at(id)
    }

    /// The table of the namespaces.
    pub(super) fn namespaces(&self) -> &Slab<NamespaceId, Namespace> {
        &self.namespaces
    }

    /// Whether the namespace is known only from reports about departed nodes.
    pub(super) fn set_hearsay(&mut self, id: NamespaceId, is_hearsay: bool) {
        self.namespaces.at_mut(id).is_hearsay = is_hearsay;
    }

    /// Applies what has changed at another node, and what that node knew at that moment of the namespace as a whole. Returns
    /// whether its event had begun earlier than was known.
    pub(super) fn apply(&mut self, id: NamespaceId, change: &Change, whole: Whole, now: Now) -> bool {
        let namespace = self.namespaces.at_mut(id);
        let is_older = namespace.apply(change, whole, now);
        self.stays.add(&mut namespace.stays_elsewhere, &change.stays);
        if self.record_total(id, change.joins, now) {
            // Perhaps no other node has seen this peak.
            self.touch_share(id);
        }
        self.reschedule(id, now);
        is_older
    }

    /// Marks a namespace whose timer has expired for this turn.
    pub(super) fn mark_ready(&mut self, id: NamespaceId) {
        self.schedule.mark_ready(id, self.namespaces.at_mut(id));
    }

    /// Decides about a namespace that was marked for this turn; its state may have changed since.
    pub(super) fn decide(&mut self, id: NamespaceId, now: Now) -> Option<Due> {
        let namespace = self.namespaces.get_mut(id).filter(|namespace| namespace.is_ready)?;
        namespace.is_ready = false;
        let mut due = None;
        if namespace.is_vacant() {
            if namespace.empty_since.after(self.rules.namespace_clean_delay) <= now.tick {
                return Some(Due::Forget);
            }
        } else if namespace.due(&self.rules.notify, self.members.present()).is_some_and(|due| due <= now.tick) {
            due = Some(Due::Push(namespace.push(&self.rules.notify, now)));
        }
        self.reschedule(id, now);
        due
    }

    /// Removes a vacant namespace along which no walk goes; returns its name, and what has made it.
    pub(super) fn forget(&mut self, id: NamespaceId, now: Now) -> Option<(Rc<str>, Option<MakerId>)> {
        self.schedule.cancel(id);
        let mut namespace = self.namespaces.remove(id)?;
        let maker = self.vacancy.remove(id);
        if self.namespaces.is_freed(id) {
            self.schedule.free_around(id);
            self.vacancy.free_around(id);
        }
        self.by_name.remove(&namespace.name);
        self.changes.queue_forgotten(&namespace.name);
        if let Some(share) = namespace.share {
            self.journal.remove(share);
        }
        self.stays.remove(namespace.stays_elsewhere);
        if let Some(census) = namespace.census {
            let reach = namespace.reach(&self.censuses);
            if let Some(history) = namespace.history {
                self.histories.keep_people(history, &namespace.name, reach.map(|reach| reach.people));
            }
            self.censuses.end(census);
        }
        let sums = namespace.take_sums(&mut self.stays, now);
        if self.rules.namespace_clean_delay >= former::CLEAN_DELAY_MIN {
            self.former.keep(&namespace.name, &sums, namespace.empty_since, &mut self.stays);
        }
        Some((namespace.name, maker))
    }

    /// A claim as it is announced.
    pub(super) fn claim_news(&self, claim: ClaimId, now: Now) -> news::Claim<Rc<str>> {
        self.claims.news(claim, &self.members, now.tick, |id| self.namespaces.at(id).shared_name())
    }

    /// Begins to walk along the members of a present namespace, newest first.
    pub(super) fn begin_walk(&mut self, id: NamespaceId, skip_newest: bool) -> WalkId {
        self.walks.begin(id, skip_newest, self.namespaces.at_mut(id), &self.members)
    }

    /// The next member of a walk, or `None` at its end, with which the walk is gone.
    pub(super) fn step_walk(&mut self, walk: WalkId) -> Option<MemberId> {
        let namespace = self.namespaces.get_mut(self.walks.namespace_of(walk));
        self.walks.step(walk, namespace, &self.members)
    }

    /// The next namespace whose total may have changed.
    pub(super) fn pop_changed(&mut self) -> Option<Changed> {
        let queued = self.changes.pop()?;
        let id = self.find(&queued.name);
        Some(queued.look_up(id.map(|id| self.namespaces.at_mut(id))))
    }

    fn find_or_make(&mut self, name: &str, now: Now) -> NamespaceId {
        if let Some(id) = self.find(name) {
            return id;
        }
        let name: Rc<str> = name.into();
        let history = self.histories.find(&name);
        let id = self.namespaces.insert(Namespace::new(name.clone(), history, now));
        self.by_name.insert(name, id);
        id
    }

    /// The first standing of a member that counts.
    fn first_standing(&self) -> Standing {
        if self.rules.increment_delay.is_zero() { Standing::Counted } else { Standing::Pending }
    }

    /// One more member of this namespace has this standing, which other nodes may have to know.
    fn announce_standing(&mut self, id: NamespaceId, standing: Standing, now: Now) {
        if standing.is_announced() {
            self.touch_share(id);
            // With a share of its own, a node sees the peak that it was a bystander of before.
            self.record_total(id, u64::from(standing == Standing::Counted), now);
        }
    }

    /// The pending member is counted when it has stayed for the increment delay.
    fn wait_to_count(&mut self, member: MemberId, now: Now) {
        self.pending.set(member, now.tick.after(self.rules.increment_delay));
    }

    /// This node's own count of a namespace has changed.
    fn touch_share(&mut self, id: NamespaceId) {
        let namespace = self.namespaces.at_mut(id);
        match namespace.share {
            None => namespace.share = Some(self.journal.insert(Subject::Share(id))),
            Some(share) => self.journal.touch(share),
        }
    }

    /// Records a changed total, and the joins that are known of. Returns whether it is a new peak, which others have to know.
    fn record_total(&mut self, id: NamespaceId, joins: u64, now: Now) -> bool {
        let namespace = self.namespaces.at_mut(id);
        let (name, total) = (&namespace.name, namespace.total());
        let people = || Some(namespace.reach(&self.censuses)?.people);
        namespace.history = self.histories.record_total(namespace.history, name, total, joins, people, now);
        if let Some(census) = namespace.census {
            self.censuses.rank(census, namespace.total(), now.tick);
        }
        let is_peak = namespace.is_above_its_peak() && namespace.share.is_some();
        if is_peak {
            namespace.merge_peak(namespace.total(), now.tick.into());
        }
        self.changes.queue_change(namespace);
        is_peak
    }

    fn reschedule(&mut self, id: NamespaceId, now: Now) {
        let namespace = self.namespaces.at_mut(id);
        self.vacancy.update(id, namespace);
        self.schedule.update(id, namespace, &self.rules, self.members.present(), now.tick);
    }
}
