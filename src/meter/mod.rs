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
//! claim names a member that names the claim; a vacant namespace has a cleaning date; a total is
//! this node's members and those of the peers that are there, or are gone and still being taken off the counts.

#![warn(clippy::indexing_slicing)]

mod accounts;
mod book;
mod cluster;
pub mod watches;

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use crate::collections::shards::ShardMap;
use crate::collections::slab::Slab;
use crate::collections::tick::{Now, Tick};
use crate::collections::wheel::TimerWheel;
pub use accounts::Accounts;
pub use accounts::ending::Ending;
use accounts::history::Histories;
pub use accounts::history::{HistoryCursor, Row};
use accounts::stays::StaysTable;
pub use accounts::stays::{STAY_BUCKETS, Stays};
pub use book::changes::Changed;
use book::changes::Changes;
use book::claims::Claims;
use book::journal::Subject;
pub use book::members::{Member, MemberId};
use book::members::{Members, Standing};
pub use book::namespace::{Namespace, NamespaceId, NotifyRule};
pub use book::walks::WalkId;
use book::walks::Walks;
use cluster::Cluster;
pub use cluster::digest::name_digest;
pub use cluster::news;
use cluster::news::{Datagram, NodeId};
pub use cluster::{ClusterRules, NodeFigures, Rejection};

/// The longest name of a namespace, and the longest uuid, in bytes: both have to fit into a datagram.
pub const NAME_MAX: usize = 255;

/// How many figures of itself a node tells the others: in 8 bytes each they fit into a datagram.
pub const COUNTERS_MAX: usize = 128;

/// How many members are counted in, how many timers of namespaces fire, and how many counts are told in one turn: at 0.4 us
/// each, 0.3 ms in all.
const TIMEOUTS_PER_TURN: usize = 256;

/// A namespace that is forgotten is forgotten of each peer, too; so many of them cost as much as another timer.
const PEERS_PER_TIMEOUT: usize = 32;

/// In how many parts names are looked up: with 1,000,000 of them, one part takes 0.8 ms to grow.
const NAME_SHARDS: usize = 256;

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
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// Tell every member of the namespace this message of another node.
    Message {
        /// The namespace by its name: it may be forgotten, and its key another's, before this is done.
        namespace: Rc<str>,
        /// The message.
        text: Rc<str>,
    },
    /// Send this to all other nodes.
    Send(Datagram<Rc<str>>),
    /// An event is over: write down what it came to, for nobody else does.
    Ended(Box<Ending>),
}

/// The audience of all events, as this node knows it.
pub struct Meter {
    rules: Rules,
    cluster: Cluster,
    /// Whether there is a way to other nodes.
    is_clustered: bool,
    namespaces: Slab<NamespaceId, Namespace>,
    by_name: ShardMap<Rc<str>, NamespaceId>,
    members: Members,
    claims: Claims,
    walks: Walks,
    /// How long members stayed who have left, by namespace.
    stays: StaysTable,
    histories: Histories,
    changes: Changes,
    /// Per namespace: when to repeat or tell its count, or, when it is empty, when to forget it.
    timers: TimerWheel<NamespaceId>,
    /// Per member: when it will have stayed long enough to be counted.
    pending: TimerWheel<MemberId>,
    /// Namespaces whose count is to be told in this turn.
    ready: VecDeque<NamespaceId>,
    outputs: VecDeque<Output>,
}

impl Meter {
    /// A meter of nobody, at a node that may be one of many, or (`None`) knows no way to others.
    #[must_use]
    pub fn new(rules: Rules, node: NodeId, cluster_rules: Option<ClusterRules>) -> Self {
        Self {
            rules,
            is_clustered: cluster_rules.is_some(),
            cluster: Cluster::new(node, cluster_rules.unwrap_or_default()),
            namespaces: Slab::default(),
            by_name: ShardMap::new(NAME_SHARDS),
            members: Members::default(),
            claims: Claims::default(),
            walks: Walks::default(),
            stays: StaysTable::default(),
            histories: Histories::new(0),
            changes: Changes::default(),
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
        self.admit(member, name, uuid, self.first_standing(), now)
    }

    fn admit(&mut self, member: MemberId, name: &str, uuid: Option<&str>, standing: Standing, now: Now) -> Option<u64> {
        let id = self.namespace_or_new(name, now);
        self.members.enter(member, id, standing, self.namespaces.at_mut(id), now.tick);
        if standing == Standing::Pending {
            self.wait_to_count(member, now);
        }
        if let Some(uuid) = uuid {
            self.end_claim_in(id, uuid, now);
            self.claim(id, uuid, member, now);
        }
        self.note_standing(id, standing, now);
        let namespace = self.namespaces.at_mut(id);
        let total = namespace.total();
        namespace.hear_first(total, &self.members, now);
        self.reschedule(id, now);
        self.check_invariants();
        (total > 0).then_some(total)
    }

    /// A stream is gone. A member that is not present is nobody: leaving twice is leaving once.
    pub fn leave(&mut self, member: MemberId, now: Now) {
        let Some(&Member { namespace: Some(id), claim, standing, .. }) = self.members.get(member) else { return };
        self.pending.cancel(member);
        if let Some(item) = claim.and_then(|claim| self.claims.remove(claim)) {
            self.cluster.journal.remove(item);
        }
        let namespace = self.namespaces.at_mut(id);
        self.walks.step_over(member, namespace, &self.members);
        let stay = self.members.exit(member, namespace, now.tick);
        namespace.note_departure(now);
        let is_without_trace = namespace.is_without_trace();
        if standing != Standing::Pending {
            self.touch_share(id);
        }
        match stay {
            Some(ticks) => self.note_stay(id, ticks, now),
            // Who takes its place may be counted already.
            None => drop(self.note_total(id, 0, now)),
        }
        if is_without_trace {
            self.forget(id, now);
        } else {
            self.reschedule(id, now);
        }
        self.check_invariants();
    }

    /// Time has come to `now.tick`: counts what stayed long enough, decides what is told and forgets what is empty; as much
    /// as fits into a turn, then [`poll_timeout`](Self::poll_timeout) has passed already.
    ///
    /// `has_heard_all` says that no datagram of another node was left waiting: only then is silence taken for absence.
    pub fn handle_timeout(&mut self, now: Now, has_heard_all: bool) {
        self.pending.expire(now.tick);
        for _ in 0..TIMEOUTS_PER_TURN {
            let Some(member) = self.pending.pop_due() else { break };
            self.set_standing(member, Standing::Counted, now);
        }
        if self.is_clustered {
            self.handle_cluster_timeout(now, has_heard_all);
        }
        self.timers.expire(now.tick);
        let mut budget = TIMEOUTS_PER_TURN;
        while budget > 0 {
            let Some(id) = self.timers.pop_due() else { break };
            budget -= 1;
            if self.namespaces.at(id).is_vacant() {
                self.forget(id, now);
                budget = budget.saturating_sub(self.cluster.peers.len() / PEERS_PER_TIMEOUT);
            } else {
                self.namespaces.at_mut(id).ready = true;
                self.ready.push_back(id);
            }
        }
        for _ in 0..TIMEOUTS_PER_TURN {
            let Some(id) = self.ready.pop_front() else { break };
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
        let cluster = if self.is_clustered { self.cluster.poll_timeout() } else { None };
        [self.timers.next_deadline(), self.pending.next_deadline(), cluster].into_iter().flatten().min()
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

    /// How many timers are set.
    #[must_use]
    pub fn timers(&self) -> usize {
        self.timers.len() + self.pending.len()
    }

    /// How many namespaces there are.
    #[must_use]
    pub fn namespace_count(&self) -> usize {
        self.namespaces.len()
    }

    /// All namespaces, in the order of their keys.
    pub fn namespaces(&self) -> impl Iterator<Item = (NamespaceId, &Namespace)> {
        self.namespaces.iter()
    }

    /// The namespaces from the key `from` on, in the order of their keys: a walk that can be taken up again.
    pub fn namespaces_from(&self, from: NamespaceId) -> impl Iterator<Item = (NamespaceId, &Namespace)> {
        self.namespaces.iter_from(from)
    }

    fn namespace_or_new(&mut self, name: &str, now: Now) -> NamespaceId {
        if let Some(&id) = self.by_name.get(name) {
            return id;
        }
        let name: Rc<str> = name.into();
        let history = self.histories.find(&name);
        let id = self.namespaces.insert(Namespace::new(name.clone(), history, now));
        self.by_name.insert(name, id);
        id
    }

    /// This node's own count of a namespace has changed.
    fn touch_share(&mut self, id: NamespaceId) {
        let namespace = self.namespaces.at_mut(id);
        match namespace.share {
            None => namespace.share = Some(self.cluster.journal.insert(Subject::Share(id))),
            Some(share) => self.cluster.journal.touch(share),
        }
    }

    /// Sets the namespace's one timer from its state.
    fn reschedule(&mut self, id: NamespaceId, now: Now) {
        let namespace = self.namespaces.at_mut(id);
        if namespace.ready {
            return;
        }
        let due = if namespace.is_vacant() {
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
        if namespace.is_vacant() {
            if namespace.empty_since.after(self.rules.namespace_clean_delay) <= now.tick {
                return self.forget(id, now);
            }
        } else if namespace.due(&self.rules.notify).is_some_and(|due| due <= now.tick) {
            let (total, skip_newest) = namespace.tell(&self.rules.notify, now);
            self.outputs.push_back(Output::Count { namespace: id, total, skip_newest });
        }
        self.reschedule(id, now);
    }
}

#[cfg(test)]
mod tests;
