//! One audience out of many nodes: what this node announces, what it asks, and what it makes of the answers.
//!
//! Owns the peers and the conversation with them. It works on the book of this node, which knows no other node. Each node
//! announces absolute counts of its own members, under the versions of its journal:
//!
//! - A change after quiet is announced in the same turn. Further changes are gathered, for longer the more nodes there are,
//!   and for the notify interval at most: whatever their number, the bus carries no more than it can.
//! - A sign of life carries the version of the last announced change. A peer that has received less asks for what it missed,
//!   and is sent that and no more. So lost news heals within moments, and what does not change is never repeated.
//! - What is forgotten is announced once more before that, and then no more. Signs of life and reports carry how far that
//!   goes: a peer that has missed it takes the node for gone, and asks for everything.
//! - A newcomer asks all nodes to show themselves, and each for everything. A node that is new to a peer, or back, is asked
//!   too, and counts once its answer repeats the nonce: recordings stay dead. Until then nothing is kept of it.
//! - What departed nodes had counted is kept and announced in their name. Signs of life carry a digest of it, and a node
//!   whose digest differs asks. Of very many departed nodes the oldest are folded: their names are listed, and what they
//!   had counted becomes one sum for each namespace.
//! - Claims are sent at once, and again after 50 and 200 ms. They are journalled too: they are never lost.
//! - Messages are sent at once, and again for a second while a living node has not confirmed that it handed them on.
//!
//! | file | owns |
//! |---|---|
//! | `addresses` | the addresses of other nodes that are not listed |
//! | `announce` | this node's announcements: their order of urgency and their budget |
//! | `arrivals` | by which ways the datagrams of a peer come, and which have come before |
//! | `bequests` | what a datagram says about departed nodes |
//! | `capacity` | the room that there is for namespaces |
//! | `censuses` | what other nodes say of the people of events |
//! | `claims` | what claims at other nodes do to those of this one |
//! | `copies` | what is sent again |
//! | `departed` | the announcement of what departed nodes had counted |
//! | `departure` | the end of this node, as the caller deals with it |
//! | `ends` | how a namespace leaves all tables |
//! | `figures` | what another node looks like from here |
//! | `fold` | what the oldest departed nodes had counted, and their names |
//! | `folding` | when departed nodes are folded, and the slices of that |
//! | `goodbye` | how a node departs, and which of those that end together reports |
//! | `held` | the questions whether a uuid is held at another node |
//! | `inbox` | the messages of one peer: their order, and what is confirmed of them |
//! | `inquiry` | questions about the people of events |
//! | `leaving` | what a page says that leaves |
//! | `lookout` | when a peer is looked at, and what it is asked then |
//! | `mail` | messages, as the caller deals with them |
//! | `meeting` | a node that is not known to be there |
//! | `messages` | the messages of this node, until they are confirmed |
//! | `pace` | how fast this node repeats what others have missed |
//! | `pairs` | what one peer has counted in each namespace |
//! | `peer` | what is known of one other node |
//! | `peers` | the table of the other nodes |
//! | `proofs` | what only this process can know: nonces, and its goodbye |
//! | `questions` | the first question, which nodes are asked, and the pace of questions |
//! | `receipts` | when this node confirms the messages of others |
//! | `receive` | what a datagram changes |
//! | `rejection` | why a datagram of another node has no effect |
//! | `rules` | what the operator decided about the cluster |
//! | `sections` | the conversation as bytes |
//! | `silence` | for how long a peer has been silent, and what that means |
//! | `surveys` | what is asked of the people of events, and answered |
//! | `transit` | when a datagram of a peer was sent |
//! | `uuids` | the uuids that members claim, as the caller deals with them |
//!
//! Invariant: names that are known only from others are never announced as this node's own.

mod addresses;
mod announce;
mod arrivals;
mod bequests;
pub(super) mod capacity;
mod censuses;
mod claims;
mod copies;
mod departed;
pub(super) mod departure;
pub(super) mod ends;
pub(super) mod figures;
mod fold;
mod folding;
mod goodbye;
mod held;
mod inbox;
mod inquiry;
pub(super) mod leaving;
mod lookout;
pub(super) mod mail;
mod meeting;
mod messages;
mod pace;
mod pairs;
mod peer;
mod peers;
pub(super) mod proofs;
mod questions;
mod receipts;
pub(super) mod receive;
pub(super) mod rejection;
pub(super) mod rules;
pub(super) mod sections;
mod silence;
mod surveys;
mod transit;
pub(super) mod uuids;

#[cfg(any(test, debug_assertions))]
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use super::book::whole::Whole;
use super::book::{Book, succession};
#[cfg(any(test, debug_assertions))]
use super::book::{invariants::Elsewhere, keys::NamespaceId};
use super::digest::name_digest;
use super::news::{Address, Ask, Counter, News, NodeId, Wanted};
use super::output::{Output, Outputs};
use crate::collections::tick::{Now, Tick};
use addresses::Addresses;
use announce::Announcer;
use figures::NodeFigures;
use held::HeldQuestions;
use lookout::Lookout;
use peers::{PeerId, Peers};
use questions::Questions;
use receipts::Receipts;
use rules::{ClusterRules, Membership};
use silence::Wakefulness;

/// How many peers one turn looks at that may be silent or have to be asked. The dearest is one that has gone with 256
/// messages held back, which are pushed: 40 us, 0.6 ms in all.
const LOOKS_PER_TURN: usize = 16;

/// The time that a namespace with members of a departed node takes, in namespaces that have none.
const OCCUPIED_WEIGHT: usize = 7;

/// How often it is said that the list of folded nodes is full.
const FOLD_FULL_GAP: Duration = Duration::from_secs(10);

/// What one call of the meter works on.
pub(super) struct Call<'a> {
    pub(super) book: &'a mut Book,
    pub(super) outputs: &'a mut Outputs,
    pub(super) now: Now,
}

/// This node among the others.
pub(super) struct Cluster {
    rules: ClusterRules,
    /// Whether there is a way to other nodes.
    is_reachable: bool,
    announcer: Announcer,
    receipts: Receipts,
    questions: Questions,
    peers: Peers,
    addresses: Addresses,
    held: HeldQuestions,
    lookout: Lookout,
    wakefulness: Wakefulness,
    /// The number of nodes that were taken for gone because they fell silent.
    lost_count: u64,
    /// When it is said again that the list of folded nodes is full.
    fold_full_at: Tick,
}

impl Cluster {
    /// A node that may be one of many, or (`None`) knows no way to others.
    pub(super) fn new(node: NodeId, membership: Option<Membership>) -> Self {
        let Membership { rules, secret, formats } = membership.unwrap_or_else(Membership::of_none);
        let questions = Questions::new(secret);
        Self {
            is_reachable: membership.is_some(),
            rules,
            announcer: Announcer::new(node, formats, questions.proofs.farewell()),
            receipts: Receipts::default(),
            questions,
            peers: Peers::default(),
            addresses: Addresses::default(),
            held: HeldQuestions::default(),
            lookout: Lookout::default(),
            wakefulness: Wakefulness::default(),
            lost_count: 0,
            fold_full_at: Tick(0),
        }
    }

    /// This node's name.
    pub(super) fn node(&self) -> NodeId {
        self.announcer.node()
    }

    /// Whether there is a way to other nodes.
    pub(super) fn is_reachable(&self) -> bool {
        self.is_reachable
    }

    /// The number of peers, departed ones included.
    pub(super) fn peer_count(&self) -> usize {
        self.peers.len()
    }

    /// The number of nodes that were taken for gone because they fell silent.
    pub(super) fn lost_count(&self) -> u64 {
        self.lost_count
    }

    /// Gives a sign of life at once.
    pub(super) fn call_out(&mut self, now: Now) {
        self.announcer.call_out(now);
    }

    /// Whether nothing is missing of what living nodes have announced.
    pub(super) fn knows_all(&self) -> bool {
        self.peers.living().all(|peer| !peer.is_ahead())
    }

    /// Whether nothing is missing of what living nodes had announced when they were met.
    pub(super) fn has_met_all(&self) -> bool {
        self.peers.living().all(|peer| peer.known >= peer.base)
    }

    /// The addresses that datagrams go to beside the listed ones.
    pub(super) fn learned_addresses(&self) -> impl Iterator<Item = Address> {
        self.addresses.iter()
    }

    /// The latest figures of each living node about itself.
    pub(super) fn counters(&self) -> impl Iterator<Item = (NodeId, &Rc<[Counter]>)> {
        self.peers.living().map(|peer| (peer.node, &peer.counters))
    }

    /// The other nodes that are living.
    pub(super) fn nodes(&self, now: Now) -> impl Iterator<Item = NodeFigures> {
        self.peers.living().map(move |peer| NodeFigures {
            node: peer.node,
            members: peer.pairs.member_count(),
            silent_ms: now.tick.ms_since(peer.silence.since),
        })
    }

    /// Sends news at once, and twice more, if there is a way to other nodes.
    pub(super) fn announce_thrice(&mut self, news: News<Rc<str>>, call: &mut Call<'_>) {
        self.announcer.announce_thrice(news, call.outputs, call.now);
    }

    /// Whether this node's counters are due, and there are nodes to receive them.
    pub(super) fn are_counters_due(&self, now: Now) -> bool {
        self.announcer.are_counters_due(now) && self.peers.living_count() > 0
    }

    /// Announces figures of this node.
    pub(super) fn announce_counters(&mut self, counters: &[Counter], call: &mut Call<'_>) {
        self.announcer.announce_counters(counters, call.outputs, call.now);
    }

    /// When something is due towards the others.
    pub(super) fn poll_timeout(&self, book: &Book) -> Option<Tick> {
        if self.peers.is_removing() || self.peers.is_folding() {
            return Some(Tick(0));
        }
        let announcer = self.announcer.poll_timeout(&book.journal, &self.peers);
        let receipts = self.receipts.next_deadline();
        [announcer, self.lookout.next_deadline(), self.held.poll_timeout(), receipts].into_iter().flatten().min()
    }

    /// Does what is due towards the others. Silence is taken for absence only if no datagram was left waiting.
    pub(super) fn handle_timeout(&mut self, is_bus_drained: bool, call: &mut Call<'_>) {
        self.wake(call.now);
        if !self.questions.has_greeted() {
            self.greet(call);
        }
        self.lookout.expire(call.now.tick);
        for _ in 0..LOOKS_PER_TURN {
            let Some(id) = self.lookout.pop_due() else { break };
            self.watch(id, is_bus_drained, call);
        }
        held::ask(&mut self.held, &mut self.announcer, call.outputs, call.now);
        inquiry::ask(&self.peers, &mut self.announcer, call.book, call.outputs, call.now);
        self.addresses.forget_silent(self.rules.node_timeout, call.now.tick);
        self.work_off_departed(call);
        self.announcer.repeat_messages(call.outputs, call.now);
        self.receipts.announce(&self.peers, &mut self.announcer, call.outputs, call.now);
        let Call { book, outputs, now } = call;
        self.announcer.announce_due(is_bus_drained, &self.peers, &self.rules, book, outputs, *now);
    }

    /// What all other nodes have in each namespace. Panics if the peers do not balance.
    #[cfg(any(test, debug_assertions))]
    pub(super) fn check(&self, book: &Book) -> HashMap<NamespaceId, Elsewhere> {
        self.peers.check(|id| name_digest(book.at(id).name()))
    }

    /// Asks all nodes for everything.
    fn greet(&mut self, call: &mut Call<'_>) {
        let nonce = self.questions.greet(call.now.tick.after(self.rules.node_timeout));
        let hello = News::Ask(Ask { of: None, wanted: Wanted::Items { since: 0 }, nonce });
        self.announcer.announce_thrice(hello, call.outputs, call.now);
        self.announcer.delay_sign_of_life(call.now);
    }

    /// Looks at a peer: it may be silent, hold messages back behind a gap, or have to be asked.
    fn watch(&mut self, id: PeerId, is_bus_drained: bool, call: &mut Call<'_>) {
        let now = call.now;
        let Some(peer) = self.peers.get(id).filter(|peer| peer.is_living()) else { return };
        let is_due = |at: Option<Tick>| at.is_some_and(|at| at <= now.tick);
        let is_silent = is_due(Some(peer.silence.over_at(self.rules.node_timeout)));
        let is_called = is_due(peer.call_at(self.rules.node_timeout));
        let is_gap_over = is_due(peer.inbox.skip_at());
        if (is_silent || is_called || is_gap_over) && !is_bus_drained {
            return self.lookout.look_at(id, Tick(now.tick.0 + 1));
        }
        if is_silent {
            self.lost_count += 1;
            return self.depart(id, call);
        }
        if is_gap_over {
            let complete = self.peers.at_mut(id).inbox.skip(now.tick);
            self.receipts.deliver(complete, id, &mut self.peers, call.outputs);
        }
        self.attend(id, call);
    }

    /// Asks a peer if that is due, and looks at it again when there is something to see.
    fn attend(&mut self, id: PeerId, call: &mut Call<'_>) {
        let Self { lookout, peers, rules, announcer, .. } = self;
        lookout::ask_if_due(id, peers, rules, announcer, call.outputs, call.now);
        lookout.look_again(id, peers, rules);
    }

    /// This process is awake.
    fn wake(&mut self, now: Now) {
        let silences = self.peers.living_mut().map(|peer| &mut peer.silence);
        self.wakefulness.wake(self.rules.heartbeat(), silences, now.tick);
    }

    /// Writes in the newest version that all living nodes read.
    fn agree_on_format(&mut self) {
        self.announcer.write_format(self.peers.newest_format(self.announcer.newest_format()));
    }

    /// A peer has gone, with its members.
    fn depart(&mut self, id: PeerId, call: &mut Call<'_>) {
        // Its last words may not have come to all.
        call.book.censuses.mention_all();
        // Messages that were held back were said all the same.
        let complete = self.peers.at_mut(id).inbox.finish(call.now.tick);
        self.receipts.deliver(complete, id, &mut self.peers, call.outputs);
        self.announcer.messages.depart(self.peers.at(id).node, call.outputs);
        self.peers.depart(id);
        self.questions.proofs.renew();
        self.agree_on_format();
        if self.peers.at(id).pairs.is_empty() {
            self.forget_peer(id);
        }
    }

    /// Takes members of departed nodes off the counts, and moves sums into the fold, as far as a turn's budget goes.
    fn work_off_departed(&mut self, call: &mut Call<'_>) {
        let mut budget = self.rules.removals_per_turn;
        let name_digest_of = |id, book: &Book| name_digest(book.at(id).name());
        let was_removing = self.peers.is_removing();
        while let Some((id, namespace, change)) =
            self.peers.remove_next(&mut budget, |id| name_digest_of(id, call.book))
        {
            budget = budget.saturating_sub(OCCUPIED_WEIGHT);
            call.book.apply(namespace, &change, Whole::nothing(call.now), call.now);
            let node = self.peers.at(id).node;
            // One that lives may have got another name.
            if !self.peers.has_living(node) {
                succession::orphan(node, namespace, self.peers.lesser_count(self.node()), call.book, call.now);
            }
        }
        if was_removing && !self.peers.is_removing() {
            succession::forget_nodes(&|node| self.peers.has_living(node), call.book, call.now);
        }
        self.fold_oldest(call);
        folding::renew(&mut self.peers, call.book, &mut budget, call.now);
        while let Some(id) = folding::move_sums(&mut self.peers, &mut budget, |id| name_digest_of(id, call.book)) {
            self.forget_peer(id);
        }
    }

    /// Folds the oldest of very many departed nodes, if that is up to this node, and announces their names.
    fn fold_oldest(&mut self, call: &mut Call<'_>) {
        for name in folding::begin(self.node(), &mut self.peers, &self.rules) {
            self.announcer.announce_folded(name);
        }
        let is_too_full = self.peers.fold.is_full() && self.peers.single_count() > self.rules.fold_above;
        if is_too_full && self.fold_full_at <= call.now.tick {
            self.fold_full_at = call.now.tick.after(FOLD_FULL_GAP);
            call.outputs.push_back(Output::FoldFull);
        }
    }

    fn forget_peer(&mut self, id: PeerId) {
        self.lookout.forget(id);
        self.peers.remove(id);
    }
}
