//! Floor 1: the domain. Which members are at which event, and when a count is pushed to them.
//!
//! Owns the namespaces, their members and the uuids that members claim. It performs no I/O and reads no clock: time is an
//! argument, so the same code runs under the daemon, in tests and under a fuzzer. It does not know what a connection is:
//! the caller chooses a [`MemberId`] for each, and has a table of its own under the same keys.
//!
//! Its verbs are inputs ([`Meter::join`], [`Meter::leave`], [`Uuids::leave`], [`Meter::receive`]),
//! [`Meter::handle_timeout`], [`Meter::poll_timeout`] and [`Meter::poll_output`]. The caller polls the outputs down; nothing
//! calls up. Calls inside run one way, too: [`Meter`] calls the cluster, and the cluster works on the book.
//!
//! | file | owns |
//! |---|---|
//! | `accounts/` | what an event comes to |
//! | `book/` | the namespaces, members and claims of this node |
//! | `cluster/` | the other nodes, and the conversation with them |
//! | `census/` | how many different people were counted |
//! | `digest` | hashes that all nodes agree on |
//! | `news` | what nodes announce to each other, as values |
//! | `output` | what the caller has to do |
//! | `sections` | all of it as bytes, for the program that goes on in the place of this one |
//! | `timeouts` | what is due when time has come |
//! | `watches/` | the watchers of many totals at once |
//! | `way` | where datagrams come from, and where they go |
//!
//! Invariants, checked after each input in debug builds: a namespace's `counted` is the number of its counted members. A claim
//! names a member that names the claim. A vacant namespace has a cleaning date. A total is the members of this node and its
//! peers: the living ones, and departed ones that are still being taken off the counts.

#![warn(clippy::indexing_slicing)]

mod accounts;
mod book;
mod census;
mod cluster;
mod digest;
pub mod news;
mod output;
mod sections;
mod timeouts;
pub mod watches;
mod way;

use std::rc::Rc;

use crate::collections::sections::{Malformed, Reader, Writer};
use crate::collections::slab::Slab;
use crate::collections::tick::{Now, Tick};
pub use accounts::ending::Ending;
pub use accounts::history::{HistoryCursor, Row};
pub use accounts::stays::{STAY_BUCKETS, Stays};
pub use accounts::{Accounts, Peak, Reach};
pub use book::changes::Changed;
pub use book::keys::{MakerId, MemberId, NamespaceId, WalkId};
use book::members::Admission;
pub use book::members::Member;
pub use book::namespace::Namespace;
pub use book::notice::NotifyRule;
pub use book::people::People;
pub use book::schedule::Rules;
use book::standing::Standing;
use book::{Book, joining, patience};
pub use census::Person;
pub use cluster::capacity::Capacity;
pub use cluster::departure::Departure;
pub use cluster::figures::NodeFigures;
pub use cluster::leaving::Leaving;
pub use cluster::mail::Mail;
pub use cluster::proofs::promise_of;
pub use cluster::rejection::Rejection;
pub use cluster::rules::{ClusterRules, Membership};
pub use cluster::uuids::Uuids;
use cluster::{Call, Cluster};
pub use digest::name_digest;
use news::{Address, Counter, Datagram, News, NodeId, Origin};
pub use news::{COUNTERS_MAX, NAME_MAX};
pub use output::Output;
use output::Outputs;

/// The audience of all events, as this node knows it.
pub struct Meter {
    book: Book,
    cluster: Cluster,
    outputs: Outputs,
}

impl Meter {
    /// A meter without members, at a node that may be one of many, or (`None`) knows no way to others.
    #[must_use]
    pub fn new(rules: Rules, node: NodeId, membership: Option<Membership>) -> Self {
        Self { book: Book::new(rules, node), cluster: Cluster::new(node, membership), outputs: Outputs::new() }
    }

    /// Writes all of it, for a program that goes on in the place of this one, by the same clock. The caller has carried out all
    /// outputs.
    pub fn hand_over(&self, out: &mut Writer) {
        let Self { book, cluster, outputs } = self;
        debug_assert!(outputs.is_empty(), "all outputs have been carried out");
        sections::write(book, cluster, out);
    }

    /// Goes on with a meter that was handed over, under the rules of now. It is the same node with the same keys, and its secret
    /// is the one that was handed over; whether there are other nodes, and whether places are kept, cannot change.
    ///
    /// # Errors
    /// What is wrong with the bytes. The reader is after the meter otherwise, and may hold more.
    pub fn take_over(rules: Rules, membership: Option<Membership>, from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (book, cluster) = sections::read(rules, membership, from);
        from.sound().map(|()| Self { book, cluster, outputs: Outputs::new() })
    }

    /// A stream opens: `member`, which is not present, joins the namespace of this name, made if need be.
    ///
    /// An earlier member with the same uuid leaves in the same moment, so the total never counts one person twice.
    /// Returns the total to push to the new member at once, or `None` while no member is counted, for 0 is never pushed.
    pub fn join(&mut self, member: MemberId, name: &str, uuid: Option<&str>, now: Now) -> Option<u64> {
        let admission = joining::join(member, name, uuid, Standing::Counted, &mut self.book, now);
        self.admit(admission, now)
    }

    /// A stream opens as in [`join`](Self::join), but stays out of the count until [`count`](Self::count). Pushes reach it
    /// like all members.
    pub fn join_uncounted(&mut self, member: MemberId, name: &str, uuid: Option<&str>, now: Now) -> Option<u64> {
        let admission = joining::join(member, name, uuid, Standing::Uncounted, &mut self.book, now);
        self.admit(admission, now)
    }

    /// A stream opens as in [`join`](Self::join), but never counts, claims no uuid and leaves no trace.
    pub fn visit(&mut self, member: MemberId, name: &str, now: Now) -> Option<u64> {
        let admission = joining::join(member, name, None, Standing::Never, &mut self.book, now);
        self.admit(admission, now)
    }

    fn admit(&mut self, Admission { total, ended, claim }: Admission, now: Now) -> Option<u64> {
        self.outputs.extend(ended.map(Output::Farewell));
        if let Some(claim) = claim
            && self.cluster.is_reachable()
        {
            let news = News::Claimed(self.book.claim_news(claim, now));
            let (cluster, call) = &mut self.parts(now);
            cluster.announce_thrice(news, call);
        }
        self.check_invariants();
        total
    }

    /// A member that is present without being counted is counted, as if it had joined now. Any other stays as it is.
    pub fn count(&mut self, member: MemberId, now: Now) {
        if book::counting::count(member, &mut self.book, now) {
            self.check_invariants();
        }
    }

    /// A stream is gone. An absent member changes nothing: leaving twice is leaving once. The place of one with a uuid may wait for
    /// it ([`Rules::leave_delay`]).
    pub fn leave(&mut self, member: MemberId, now: Now) {
        if let Some(id) = patience::lose(member, &mut self.book, now) {
            let (cluster, call) = &mut self.parts(now);
            cluster::ends::forget(id, cluster, call);
        }
        self.check_invariants();
    }

    /// The member here that a join with this uuid would end.
    #[must_use]
    pub fn claimant(&self, name: &str, uuid: &str) -> Option<MemberId> {
        self.book.claims.member(self.find(name)?, uuid)
    }

    /// The uuids that members claim.
    pub fn uuids(&mut self, now: Now) -> Uuids<'_> {
        let (cluster, call) = self.parts(now);
        Uuids { cluster, call }
    }

    /// Receives what another node announces.
    ///
    /// # Errors
    /// Why it has no effect.
    pub fn receive(&mut self, datagram: &Datagram<&str>, origin: Origin, now: Now) -> Result<(), Rejection> {
        let (cluster, call) = &mut self.parts(now);
        let received = cluster::receive::receive(datagram, origin, cluster, call);
        self.check_invariants();
        received
    }

    /// Time has come to `now.tick`: counts what stayed long enough, decides what is pushed and forgets what is empty; as much
    /// as fits into a turn, then [`poll_timeout`](Self::poll_timeout) has passed already.
    ///
    /// `is_bus_drained` says that no datagram of another node was left waiting: only then is silence taken for absence.
    pub fn handle_timeout(&mut self, now: Now, is_bus_drained: bool) {
        let (cluster, call) = &mut self.parts(now);
        timeouts::handle(is_bus_drained, cluster, call);
        self.check_invariants();
    }

    /// The caller takes this many reports of events that are over, and may take more from that time on: no event is forgotten
    /// whose report has no room. Until it says so, it takes all.
    pub fn set_ending_room(&mut self, room: usize, more_at: Tick) {
        self.book.schedule.set_room(room, more_at);
    }

    /// When the next call of [`handle_timeout`](Self::handle_timeout) is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Tick> {
        let cluster = if self.cluster.is_reachable() { self.cluster.poll_timeout(&self.book) } else { None };
        [self.book.next_deadline(), cluster].into_iter().flatten().min()
    }

    /// The next thing to do, until there is none.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The messages to and from other nodes, and questions to them.
    pub fn mail(&mut self, now: Now) -> Mail<'_> {
        let (cluster, call) = self.parts(now);
        Mail { cluster, call }
    }

    /// Whether an announcement of this node's counters is due. They go with its signs of life, and need no turn of their own.
    #[must_use]
    pub fn are_counters_due(&self, now: Now) -> bool {
        self.cluster.is_reachable() && self.cluster.are_counters_due(now)
    }

    /// Announces at most [`COUNTERS_MAX`] figures of this node, which stand in the order of their numbers.
    pub fn announce_counters(&mut self, counters: &[Counter], now: Now) {
        let (cluster, call) = &mut self.parts(now);
        cluster.announce_counters(counters, call);
    }

    /// The end of this node.
    pub fn departure(&mut self, now: Now) -> Departure<'_> {
        let (cluster, call) = self.parts(now);
        Departure { cluster, call }
    }

    /// The namespace of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<NamespaceId> {
        self.book.find(name)
    }

    /// All namespaces.
    #[must_use]
    pub fn namespaces(&self) -> &Slab<NamespaceId, Namespace> {
        self.book.namespaces()
    }

    /// The number of namespaces that were forgotten early, to make room for others.
    #[must_use]
    pub fn evicted_count(&self) -> u64 {
        self.book.vacancy.evicted
    }

    /// The room that there is for namespaces.
    pub fn capacity(&mut self, now: Now) -> Capacity<'_> {
        let (cluster, call) = self.parts(now);
        Capacity { cluster, call }
    }

    /// The number of timers that are set.
    #[must_use]
    pub fn timer_count(&self) -> usize {
        self.book.timer_count()
    }

    /// Begins to walk along the members of a present namespace, newest first.
    pub fn begin_walk(&mut self, id: NamespaceId, skip_newest: bool) -> WalkId {
        self.book.begin_walk(id, skip_newest)
    }

    /// Makes a walk visit all members once more, from where it is: the ones ahead, then the ones behind.
    pub fn restart_walk(&mut self, walk: WalkId) {
        self.book.walks.restart(walk);
    }

    /// The next member of a walk, or `None` at its end, with which the walk is gone.
    pub fn step_walk(&mut self, walk: WalkId) -> Option<MemberId> {
        self.book.step_walk(walk)
    }

    /// What a present namespace has come to.
    #[must_use]
    pub fn accounts(&self, id: NamespaceId, now: Now) -> Accounts {
        let namespace = self.book.at(id);
        namespace.accounts(&self.book.stays, namespace.reach(&self.book.censuses), now)
    }

    /// The different people of the events.
    pub fn people(&mut self, now: Now) -> People<'_> {
        People { book: &mut self.book, now }
    }

    /// Keeps the histories of the `limit` largest namespaces.
    pub fn keep_histories(&mut self, limit: usize) {
        self.book.histories = accounts::history::Histories::new(limit);
    }

    /// Begins to read the history of a namespace, which may be forgotten already, from the oldest row on; `None` if there is
    /// none.
    pub fn read_history(&mut self, name: &str, now: Now) -> Option<HistoryCursor> {
        let reach = self.find(name).and_then(|id| self.book.at(id).reach(&self.book.censuses));
        self.book.histories.cursor(name, reach.map(|reach| reach.people), now)
    }

    /// The next row, with when it began in seconds since 1970; the last is of the minute that goes on.
    pub fn next_history_row(&self, cursor: &mut HistoryCursor, now: Now) -> Option<(u64, Row)> {
        self.book.histories.next_row(cursor, now)
    }

    /// Keeps changes for [`pop_changed`](Self::pop_changed) from now on, or no longer. Changes that were kept stay.
    pub fn keep_changes(&mut self, is_wanted: bool) {
        self.book.changes.keep(is_wanted);
    }

    /// How many names have to be popped until all that has changed so far is known.
    #[must_use]
    pub fn change_count(&self) -> usize {
        self.book.changes.len()
    }

    /// The next namespace whose total may have changed.
    pub fn pop_changed(&mut self) -> Option<Changed> {
        self.book.pop_changed()
    }

    /// This node's name.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.cluster.node()
    }

    /// Gives a sign of life at once: other nodes may not have been able to receive the ones before.
    pub fn call_out(&mut self, now: Now) {
        self.cluster.call_out(now);
    }

    /// Whether nothing is missing of what living nodes have announced.
    #[must_use]
    pub fn knows_all(&self) -> bool {
        self.cluster.knows_all()
    }

    /// Whether nothing is missing of what living nodes had announced when they were met. Later changes are always on their
    /// way, and this node is as good as any other.
    #[must_use]
    pub fn has_met_all(&self) -> bool {
        self.cluster.has_met_all()
    }

    /// The addresses that datagrams for all go to beside those that the operator has listed.
    pub fn learned_addresses(&self) -> impl Iterator<Item = Address> {
        self.cluster.learned_addresses()
    }

    /// The number of counted members at this node.
    #[must_use]
    pub fn own_member_count(&self) -> u64 {
        self.book.own_member_count()
    }

    /// The number of nodes that were taken for gone, so far, because they fell silent.
    #[must_use]
    pub fn lost_node_count(&self) -> u64 {
        self.cluster.lost_count()
    }

    /// The latest figures of each living node about itself, in the order of [`nodes`](Self::nodes). A node that has announced
    /// none yet has none.
    pub fn counters(&self) -> impl Iterator<Item = (NodeId, &Rc<[Counter]>)> {
        self.cluster.counters()
    }

    /// The other nodes that are living.
    pub fn nodes(&self, now: Now) -> impl Iterator<Item = NodeFigures> {
        self.cluster.nodes(now)
    }

    /// The cluster, and what it works on in one call.
    fn parts(&mut self, now: Now) -> (&mut Cluster, Call<'_>) {
        (&mut self.cluster, Call { book: &mut self.book, outputs: &mut self.outputs, now })
    }

    /// Panics if the book does not balance.
    fn check_invariants(&self) {
        #[cfg(any(test, debug_assertions))]
        if book::invariants::is_small(&self.book) {
            book::invariants::check(&self.book, &self.cluster.check(&self.book));
        }
    }
}

#[cfg(test)]
mod tests;
