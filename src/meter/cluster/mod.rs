//! One audience out of many nodes: what this node tells the others, asks of them, and makes of what it hears.
//!
//! Owns the conversation. Each node tells absolute counts of its own members, versioned by its journal:
//!
//! - A change after quiet is told in the same turn; further ones are gathered, for longer the more nodes there are, and for
//!   the notify interval at most: however many they are, the bus carries no more than it can.
//! - A sign of life carries the version of the last change that was told. Who has heard less asks for what it missed, and is
//!   told that and no more; so lost news heals within moments, and what does not change is never repeated.
//! - What is forgotten is told once more before that, and then no more. Signs of life and reports carry how far that goes: who
//!   has missed it takes the node for gone, and asks for everything.
//! - A newcomer asks everybody for everything. A node that is new to somebody, or back, is asked too, and counts once its
//!   answer repeats what was drawn for the question: recordings of dead nodes stay dead.
//! - What nodes that are gone had counted stays, and is told on: signs of life carry a digest of it, and who differs asks.
//! - Messages and claims are told at once, and again after 50 and 200 ms. Claims are journalled too: they are never lost.
//!
//! Invariant: names that are known only from others are never told as this node's own.

mod announce;
pub(super) mod digest;
pub(super) mod inbox;
pub mod news;
pub(super) mod peers;
mod receive;
pub(super) mod window;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::rc::Rc;
use std::time::Duration;

use crate::collections::tick::{Now, Tick};
use crate::collections::wheel::TimerWheel;
use crate::meter::book::journal::{Journal, Stretch};
use crate::meter::cluster::news::{Alive, Echo, News, NodeId};
use crate::meter::cluster::peers::{PeerId, Peers, Presence};
use crate::meter::{Meter, NamespaceId};

/// When messages and claims are told again.
const COPIES_AFTER: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(200)];

/// How many copies may wait; beyond, there are none: the news was told once.
const COPIES_MAX: usize = 4096;

/// How long an answer may take before the question is repeated.
const ANSWER_TIME: Duration = Duration::from_millis(200);

/// The first sign of life after something was told comes after this, the next ones after twice the time each, until they
/// are heartbeats: who has missed the last news finds out soon.
const ALIVE_GAP_MIN: Duration = Duration::from_millis(50);

/// Changes are gathered for so much of each node that is there, and for the least of the gaps between signs of life at least:
/// all together tell something 200 times a second at most, and with up to ten nodes each knows of every change after 50 ms.
const GATHERING_PER_NODE: Duration = Duration::from_millis(5);

/// How many heartbeats fit into the node timeout, at least. With 30 % loss, one in 170,000 nodes is taken for gone wrongly.
const HEARTBEATS_PER_TIMEOUT: u32 = 10;

/// When a question about those who are gone is repeated; doubled each time that nothing has come of it, up to the second.
const GRAVES_GAP: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));

/// What the operator decided about the cluster.
#[derive(Clone, Copy, Debug)]
pub struct ClusterRules {
    /// How long changes are gathered at most, after something was told.
    pub notify_interval: Duration,
    /// How long a node may be silent before its members are forgotten.
    pub node_timeout: Duration,
    /// How often a node that knows of no other makes itself heard.
    pub lone_interval: Duration,
    /// How many other nodes there may be.
    pub nodes_max: usize,
    /// How many namespaces one other node may tell of.
    pub namespaces_max: usize,
    /// How many namespaces one turn looks at, to take a node that is gone off their counts: at 0.05 us, or 0.4 us for one
    /// that had members of it, 0.1 ms.
    pub burials_per_turn: usize,
}

impl Default for ClusterRules {
    fn default() -> Self {
        Self {
            notify_interval: Duration::from_secs(2),
            node_timeout: Duration::from_secs(5),
            lone_interval: Duration::from_secs(30),
            nodes_max: 256,
            namespaces_max: 1_000_000,
            burials_per_turn: 2048,
        }
    }
}

impl ClusterRules {
    fn heartbeat(&self) -> Duration {
        self.notify_interval.min(self.node_timeout / HEARTBEATS_PER_TIMEOUT)
    }
}

/// Why a datagram has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rejection {
    /// It is this node's own, come back.
    Own,
    /// It was heard before, or is too old to tell.
    Replayed,
    /// It is the goodbye of a node that was not there.
    NeverThere,
    /// There are as many nodes as there may be.
    TooManyNodes,
}

/// This node among the others.
pub(in crate::meter) struct Cluster {
    pub(in crate::meter) node: NodeId,
    pub(in crate::meter) journal: Journal,
    pub(in crate::meter) peers: Peers,
    rules: ClusterRules,
    /// The number of the last datagram.
    number: u64,
    draws: u64,
    /// When to look at a peer: it may be silent, or has to be asked, or holds messages back.
    alarms: TimerWheel<PeerId>,
    /// What answers to the first question repeat, and until when that counts.
    hello: Option<(u64, Tick)>,
    /// Since when fresh news may be told.
    fresh_at: Tick,
    alive_at: Tick,
    alive_gap: Duration,
    /// The tick in which something was sent last: what is left waits for the next one.
    sent_at: Option<Tick>,
    message_number: u64,
    copies: BTreeMap<(Tick, u64), News<Rc<str>>>,
    /// From which peer and which namespace on it is still to be told what those who are gone had counted.
    graves_to_tell: Option<(PeerId, NamespaceId)>,
    graves_ask_at: Tick,
    graves_gap: Duration,
    /// What it knew of those who are gone when it last asked, as a digest.
    graves_asked: Option<u64>,
    claim_time_ms: u64,
    /// When this node's counters may be told again.
    counters_at: Tick,
    /// How many nodes were taken for gone because they fell silent.
    lost: u64,
    /// Whether this node has said goodbye.
    has_ended: bool,
    /// Whether it has heard its own goodbye: who says so after that ends after this node.
    is_over: bool,
}

impl Cluster {
    pub(in crate::meter) fn new(node: NodeId, rules: ClusterRules) -> Self {
        Self {
            node,
            journal: Journal::default(),
            peers: Peers::default(),
            rules,
            number: 0,
            draws: 0,
            alarms: TimerWheel::default(),
            hello: None,
            fresh_at: Tick(0),
            alive_at: Tick(0),
            alive_gap: ALIVE_GAP_MIN,
            sent_at: None,
            message_number: 0,
            copies: BTreeMap::new(),
            graves_to_tell: None,
            graves_ask_at: Tick(0),
            graves_gap: GRAVES_GAP.0,
            graves_asked: None,
            claim_time_ms: 0,
            counters_at: Tick(0),
            lost: 0,
            has_ended: false,
            is_over: false,
        }
    }

    /// When there is something to tell or to look at.
    pub(in crate::meter) fn poll_timeout(&self) -> Option<Tick> {
        if self.peers.is_burying() {
            return Some(Tick(0));
        }
        let not_before = self.sent_at.map_or(Tick(0), |sent_at| Tick(sent_at.0 + 1));
        let has_fresh = self.journal.has(Stretch::Fresh) && !self.peers.is_alone();
        let fresh = has_fresh.then(|| self.fresh_at.max(not_before));
        let rest = (self.journal.has(Stretch::Repair) || self.graves_to_tell.is_some()).then_some(not_before);
        let copy = self.copies.keys().next().map(|&(at, _)| at.max(not_before));
        let alive = Some(self.alive_at.max(not_before));
        [alive, fresh, rest, copy, self.alarms.next_deadline()].into_iter().flatten().min()
    }

    /// The time of a claim that is made now: later than all that were heard of.
    pub(in crate::meter) fn claim_time_ms(&mut self, now: Now) -> u64 {
        self.claim_time_ms = now.unix_ms.max(self.claim_time_ms + 1);
        self.claim_time_ms
    }

    /// A number that nobody can foresee who does not know this node's name before it has spoken, and none is drawn twice.
    fn draw(&mut self) -> u64 {
        self.draws += 1;
        let mut hasher = DefaultHasher::new();
        (self.node, self.draws).hash(&mut hasher);
        hasher.finish()
    }

    fn alive(&self, echo: Option<Echo>) -> News<Rc<str>> {
        // Who asks is told at once what is fresh.
        let version = if echo.is_some() { self.journal.version() } else { self.journal.told() };
        News::Alive(Alive {
            version,
            horizon: self.journal.horizon(),
            message: self.message_number,
            graves: self.peers.graves(),
            echo,
        })
    }

    /// How long changes are gathered, now that some were told.
    fn gathering_time(&self) -> Duration {
        let nodes = u32::try_from(self.peers.living()).unwrap_or(u32::MAX);
        GATHERING_PER_NODE.saturating_mul(nodes).max(ALIVE_GAP_MIN).min(self.rules.notify_interval)
    }

    /// Looks at a peer at this time at the latest.
    fn look_at(&mut self, id: PeerId, at: Tick) {
        if self.alarms.deadline(id).is_none_or(|set| set > at) {
            self.alarms.set(id, at);
        }
    }

    /// Forgets what everybody has counted in a namespace.
    pub(in crate::meter) fn forget_namespace(&mut self, id: NamespaceId, name_digest: u64) {
        for peer in self.peers.forget_namespace(id, name_digest) {
            self.look_again(peer);
        }
    }

    /// Looks at a peer when there is something to see.
    fn look_again(&mut self, id: PeerId) {
        let Some(peer) = self.peers.get(id) else { return };
        let silent = peer.heard_at.after(self.rules.node_timeout);
        let is_asked = peer.is_ahead() || matches!(peer.presence, Presence::Away { nonce: Some(_) });
        let ask = is_asked.then_some(peer.ask_at);
        // Who is gone is forgotten once nothing is left of it, which takes the place of somebody else.
        let is_watched = peer.presence != Presence::Away { nonce: None } || peer.pairs.is_empty();
        let deadlines = [Some(silent).filter(|_| is_watched), ask, peer.inbox.skip_at()];
        if let Some(at) = deadlines.into_iter().flatten().min() {
            self.look_at(id, at);
        }
    }

    /// Puts news in line to be told again, soon.
    fn copy_later(&mut self, news: &News<Rc<str>>, now: Now) {
        for after in COPIES_AFTER {
            if self.copies.len() < COPIES_MAX {
                self.draws += 1;
                self.copies.insert((now.tick.after(after), self.draws), news.clone());
            }
        }
    }
}

/// What a node looks like from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeFigures {
    /// Its name.
    pub node: NodeId,
    /// How many members it has.
    pub members: u64,
    /// For how many milliseconds nothing was heard of it.
    pub silent_ms: u64,
}

impl Meter {
    /// This node's name.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.cluster.node
    }

    /// Whether nobody else is there, as far as this node has heard.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.cluster.peers.is_alone()
    }

    /// Whether nothing is missing of what those who are there have told.
    #[must_use]
    pub fn knows_all(&self) -> bool {
        let mut peers = self.cluster.peers.iter();
        peers.all(|(_, peer)| !peer.is_ahead() && !matches!(peer.presence, Presence::Away { nonce: Some(_) }))
    }

    /// Whether nothing is missing of what those who are there had to tell when they were met. What has changed since then is
    /// always on its way, and this node as good as any other.
    ///
    /// A newcomer also waits for those it has only heard of. But not for ever: they may not hear what it says.
    #[must_use]
    pub fn has_met_all(&self, now: Now) -> bool {
        let is_newcomer = self.cluster.hello.is_none_or(|(_, until)| now.tick < until);
        self.cluster.peers.iter().all(|(_, peer)| match peer.presence {
            Presence::Living => peer.known >= peer.base,
            Presence::Away { nonce } => nonce.is_none() || !is_newcomer,
        })
    }

    /// How many members are counted at this node.
    #[must_use]
    pub fn own_members(&self) -> u64 {
        self.members.counted()
    }

    /// How many nodes were taken for gone, so far, because nothing was heard of them.
    #[must_use]
    pub fn lost_nodes(&self) -> u64 {
        self.cluster.lost
    }

    /// What the other nodes that are there last told of themselves.
    pub fn counters(&self) -> impl Iterator<Item = (NodeId, &[u64])> {
        let living = self.cluster.peers.iter().filter(|(_, peer)| peer.presence == Presence::Living);
        living.map(|(_, peer)| (peer.node, &*peer.counters))
    }

    /// The other nodes that are there.
    pub fn nodes(&self, now: Now) -> impl Iterator<Item = NodeFigures> {
        let living = self.cluster.peers.iter().filter(|(_, peer)| peer.presence == Presence::Living);
        living.map(move |(_, peer)| NodeFigures {
            node: peer.node,
            members: peer.members(),
            silent_ms: now.tick.ms_since(peer.heard_at),
        })
    }
}
