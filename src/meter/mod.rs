//! Floor 1: the domain. Who is at which event, and when whom to tell.
//!
//! Owns the namespaces, their members and the uuids that members claim. It performs no I/O and reads no clock: time is an
//! argument, so the same code runs under the daemon, in tests and under a fuzzer. It does not know what a connection is:
//! a [`MemberId`] is chosen by the caller, who has a table of its own under the same keys.
//!
//! Its verbs are inputs ([`Meter::join`], [`Meter::leave`], [`Meter::end_claim`]), [`Meter::handle_timeout`],
//! [`Meter::poll_timeout`] and [`Meter::poll_output`]. The caller polls the outputs down; nothing calls up.
//!
//! Invariants, checked after each input in debug builds: a namespace's `counted` is the number of its counted members; a
//! claim names a member that names the claim; a namespace without members has a cleaning date.

#![warn(clippy::indexing_slicing)]

mod claims;
mod members;
mod namespace;
mod walks;

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use crate::collections::slab::Slab;
use crate::collections::tick::{Now, Tick};
use crate::collections::wheel::TimerWheel;
use crate::collections::{Key, NONE};
use claims::Claims;
pub use members::Member;
use members::Members;
pub use namespace::{Namespace, NotifyRule};
pub use walks::WalkId;
use walks::Walks;

/// A member's key, chosen by the caller and unique among present members.
pub type MemberId = Key;

/// A namespace's key, valid until the namespace is forgotten.
pub type NamespaceId = Key;

/// What the operator decided about counting.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// When a count is told.
    pub notify: NotifyRule,
    /// How long a member must stay before it is counted.
    pub increment_delay: Duration,
    /// How long an empty namespace is remembered.
    pub namespace_clean_delay: Duration,
}

/// What the caller has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Tell every member of the namespace its total.
    Count {
        /// The namespace; it has members.
        namespace: NamespaceId,
        /// The number to tell, at least 1.
        total: u64,
        /// The newest member has just been told this very number by its own first count.
        skip_newest: bool,
    },
    /// End this member's stream with the farewell: its uuid was claimed anew or given up. It no longer counts.
    Farewell(MemberId),
}

/// The audience of all events at this node.
pub struct Meter {
    rules: Rules,
    namespaces: Slab<Namespace>,
    by_name: HashMap<Rc<str>, NamespaceId>,
    members: Members,
    claims: Claims,
    walks: Walks,
    /// Per namespace: when to repeat or tell its count, or, when it is empty, when to forget it.
    timers: TimerWheel,
    /// Per member: when it will have stayed long enough to be counted.
    pending: TimerWheel,
    /// Namespaces whose count is to be told in this turn.
    ready: VecDeque<NamespaceId>,
    outputs: VecDeque<Output>,
}

impl Meter {
    /// A meter of nobody.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            namespaces: Slab::default(),
            by_name: HashMap::new(),
            members: Members::default(),
            claims: Claims::default(),
            walks: Walks::default(),
            timers: TimerWheel::default(),
            pending: TimerWheel::default(),
            ready: VecDeque::new(),
            outputs: VecDeque::new(),
        }
    }

    /// A stream opens: `member`, which is not present, joins the namespace of this name, made if need be.
    ///
    /// An earlier member with the same uuid leaves in the same moment, so the total never counts one person twice.
    /// Returns the total to tell the new member at once, or `None` while nobody is counted, for 0 is never told.
    pub fn join(&mut self, member: MemberId, name: &str, uuid: Option<&str>, now: Now) -> Option<u64> {
        let id = self.namespace_or_new(name, now);
        let counted = self.rules.increment_delay.is_zero();
        self.members.enter(member, id, counted, self.namespaces.at_mut(id));
        if !counted {
            self.pending.set(member, now.tick.after(self.rules.increment_delay));
        }
        if let Some(uuid) = uuid {
            self.end_claim_in(id, uuid, now);
            self.members.get_mut(member).claim = self.claims.insert(id, uuid, member);
        }
        let namespace = self.namespaces.at_mut(id);
        let total = namespace.total();
        namespace.hear_first(total, &self.members, now);
        self.reschedule(id, now);
        self.check_invariants();
        (total > 0).then_some(total)
    }

    /// A stream is gone. A member that is not present is nobody: leaving twice is leaving once.
    pub fn leave(&mut self, member: MemberId, now: Now) {
        let Some(Member { namespace: id, claim, .. }) = self.members.get(member).copied() else {
            return;
        };
        self.pending.cancel(member);
        if claim != NONE {
            self.claims.remove(claim);
        }
        let namespace = self.namespaces.at_mut(id);
        self.walks.step_over(member, namespace, &self.members);
        self.members.exit(member, namespace);
        if namespace.is_without_trace() {
            self.forget(id);
        } else {
            namespace.note_departure(now);
            self.reschedule(id, now);
        }
        self.check_invariants();
    }

    /// A page says that it leaves: whoever claims `uuid` in the namespace of this name is sent the farewell.
    pub fn end_claim(&mut self, name: &str, uuid: &str, now: Now) {
        if let Some(&id) = self.by_name.get(name) {
            self.end_claim_in(id, uuid, now);
        }
    }

    /// Time has come to `now.tick`: counts what stayed long enough, decides what is told and forgets what is empty.
    pub fn handle_timeout(&mut self, now: Now) {
        self.pending.expire(now.tick);
        while let Some(member) = self.pending.pop_due() {
            self.count_in(member, now);
        }
        self.timers.expire(now.tick);
        while let Some(id) = self.timers.pop_due() {
            if self.namespaces.at(id).list.is_empty() {
                self.forget(id);
            } else {
                self.namespaces.at_mut(id).ready = true;
                self.ready.push_back(id);
            }
        }
        while let Some(id) = self.ready.pop_front() {
            self.tell(id, now);
        }
        self.check_invariants();
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Tick> {
        if !self.ready.is_empty() {
            return Some(Tick(0));
        }
        [self.timers.next_deadline(), self.pending.next_deadline()].into_iter().flatten().min()
    }

    /// The next thing to do, until there is none.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The namespace of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<NamespaceId> {
        self.by_name.get(name).copied()
    }

    /// Begins to walk along the members of a present namespace, newest first.
    pub fn begin_walk(&mut self, id: NamespaceId, skip_newest: bool) -> WalkId {
        self.walks.begin(id, skip_newest, self.namespaces.at_mut(id), &self.members)
    }

    /// Has a walk visit everybody once more, from where it is: the ones ahead, then the ones behind.
    pub fn restart_walk(&mut self, walk: WalkId) {
        self.walks.restart(walk);
    }

    /// The next member of a walk, or `None` at its end, with which the walk is gone.
    pub fn step_walk(&mut self, walk: WalkId) -> Option<MemberId> {
        let namespace = self.namespaces.get_mut(self.walks.namespace_of(walk));
        self.walks.step(walk, namespace, &self.members)
    }

    /// All namespaces from the key `from` on, in the order of their keys: a walk that can be taken up again.
    pub fn namespaces_from(&self, from: NamespaceId) -> impl Iterator<Item = (NamespaceId, &Namespace)> {
        self.namespaces.iter_from(from)
    }

    fn namespace_or_new(&mut self, name: &str, now: Now) -> NamespaceId {
        if let Some(&id) = self.by_name.get(name) {
            return id;
        }
        let name: Rc<str> = name.into();
        let id = self.namespaces.insert(Namespace::new(name.clone(), now));
        self.by_name.insert(name, id);
        id
    }

    fn end_claim_in(&mut self, id: NamespaceId, uuid: &str, now: Now) {
        let Some(member) = self.claims.holder(id, uuid) else {
            return;
        };
        // Taken off the count here, not when its stream is gone at last: the newcomer's first count is to be true.
        self.outputs.push_back(Output::Farewell(member));
        self.leave(member, now);
    }

    /// The member has stayed for the increment delay.
    fn count_in(&mut self, member: MemberId, now: Now) {
        let entry = self.members.get_mut(member);
        entry.counted = true;
        let id = entry.namespace;
        self.namespaces.at_mut(id).count_one();
        self.reschedule(id, now);
    }

    /// Sets the namespace's one timer from its state.
    fn reschedule(&mut self, id: NamespaceId, now: Now) {
        let namespace = self.namespaces.at_mut(id);
        if namespace.ready {
            return;
        }
        let due = if namespace.list.is_empty() {
            Some(namespace.empty_since.after(self.rules.namespace_clean_delay))
        } else {
            namespace.due(&self.rules.notify)
        };
        match due {
            Some(due) if due > now.tick => self.timers.set(id, due),
            Some(_) => {
                self.timers.cancel(id);
                namespace.ready = true;
                self.ready.push_back(id);
            }
            None => self.timers.cancel(id),
        }
    }

    /// Decides about a namespace that was marked ready; its state may have changed since.
    fn tell(&mut self, id: NamespaceId, now: Now) {
        let Some(namespace) = self.namespaces.get_mut(id).filter(|namespace| namespace.ready) else {
            return;
        };
        namespace.ready = false;
        if namespace.list.is_empty() && namespace.empty_since.after(self.rules.namespace_clean_delay) <= now.tick {
            return self.forget(id);
        }
        if namespace.due(&self.rules.notify).is_some_and(|due| due <= now.tick) && !namespace.list.is_empty() {
            let (total, skip_newest) = namespace.tell(&self.rules.notify, now);
            self.outputs.push_back(Output::Count { namespace: id, total, skip_newest });
        }
        self.reschedule(id, now);
    }

    fn forget(&mut self, id: NamespaceId) {
        self.timers.cancel(id);
        if let Some(namespace) = self.namespaces.remove(id) {
            self.by_name.remove(&namespace.name);
        }
    }
}

#[cfg(any(test, debug_assertions))]
impl Meter {
    /// Above this many members the whole book is no longer checked after each input: it would make tests quadratic.
    const CHECKED_MEMBERS_MAX: u64 = 256;

    /// Panics if the book does not balance.
    fn check_invariants(&self) {
        let total: u64 = self.namespaces.iter().map(|(_, namespace)| namespace.total()).sum();
        if total > Self::CHECKED_MEMBERS_MAX || self.namespaces.len() as u64 > Self::CHECKED_MEMBERS_MAX {
            return;
        }
        let mut claims = 0;
        for (id, namespace) in self.namespaces.iter() {
            assert_eq!(self.by_name.get(&namespace.name), Some(&id), "a namespace is found by its name");
            let mut counted = 0;
            for (key, member) in self.members.of(namespace) {
                assert_eq!(member.namespace, id, "a member is in its namespace's list");
                assert!(member.counted != self.pending.deadline(key).is_some(), "a member is counted or pending");
                counted += u32::from(member.counted);
                if member.claim != NONE {
                    claims += 1;
                    assert_eq!(self.claims.member_of(member.claim), Some(key), "a claim names its member");
                }
            }
            assert_eq!(namespace.counted(), counted, "what is told is what is there");
            let watched = namespace.ready || self.timers.deadline(id).is_some();
            assert!(watched || (!namespace.list.is_empty() && counted == 0), "nothing waits unwatched");
        }
        assert_eq!(self.by_name.len(), self.namespaces.len(), "no name leads nowhere");
        assert_eq!(self.claims.len(), claims, "no claim outlives its member");
    }
}

#[cfg(not(any(test, debug_assertions)))]
impl Meter {
    fn check_invariants(&self) {
        let _ = self;
    }
}

#[cfg(test)]
mod tests;
