//! One audience out of many nodes: what this node tells the others, asks of them, and makes of what it hears.
//!
//! Owns the conversation. Each node tells absolute counts of its own members, versioned by its journal:
//!
//! - A change after quiet is told in the same turn; further ones are gathered for the notify interval.
//! - A sign of life carries the version of the last change. Who has heard less asks for what it missed, and is told that
//!   and no more; so lost news heals within moments, and what does not change is never repeated.
//! - A newcomer asks everybody for everything. A node that is new to somebody, or back, is asked too, and counts once its
//!   answer repeats what was drawn for the question: recordings of dead nodes stay dead.
//! - What nodes that are gone had counted stays, and is told on: signs of life carry a digest of it, and who differs asks.
//! - Messages and claims are told at once, and again after 50 and 200 ms. Claims are journalled too: they are never lost.
//!
//! Invariant: names that are known only from others are never told as this node's own.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::rc::Rc;
use std::time::Duration;

use super::journal::{Journal, Stretch, Subject};
use super::news::{Age, Alive, Ask, Claim, Count, Datagram, Echo, Grave, Item, MessagePart, News, NodeId, Wanted};
use super::peers::{Peer, PeerId, Peers, Presence, name_digest};
use super::{Meter, NAME_MAX, NamespaceId, Output};
use crate::collections::tick::{Now, Tick};
use crate::collections::wheel::TimerWheel;

/// What a report's items may weigh, so that a datagram stays under 1,200 bytes with its head and its seal.
const ITEMS_WEIGHT_MAX: usize = 1_100;

/// The part of a message that goes into one datagram, in bytes; a name of the longest kind fits beside it.
const TEXT_PART_MAX: usize = 700;

/// How many datagrams one turn sends at most. With a turn per tick while there is more, that is 3,200 a second: a newcomer
/// learns 100,000 namespaces, some 2,000 datagrams, in 0.7 s, and nobody's receive buffer runs over.
const DATAGRAMS_PER_TURN: usize = 32;

/// When messages and claims are told again.
const COPIES_AFTER: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(200)];

/// How many copies may wait; beyond, there are none: the news was told once.
const COPIES_MAX: usize = 4096;

/// How long an answer may take before the question is repeated.
const ANSWER_TIME: Duration = Duration::from_millis(200);

/// How long a report that came out of turn waits for the one before it.
const REORDER_TIME: Duration = Duration::from_millis(50);

/// The first sign of life after something was told comes after this, the next ones after twice the time each, until they
/// are heartbeats: who has missed the last news finds out soon.
const ALIVE_GAP_MIN: Duration = Duration::from_millis(50);

/// How many heartbeats fit into the node timeout, at least. With 30 % loss, one in 170,000 nodes is taken for gone wrongly.
const HEARTBEATS_PER_TIMEOUT: u32 = 10;

/// When a question about those who are gone is repeated; doubled each time, up to the second.
const GRAVES_GAP: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(4));

/// How far the clock of another host may be ahead, in milliseconds.
const CLOCK_SKEW_MAX_MS: u64 = 24 * 3600 * 1000;

/// The nodes that are gone, and are remembered for what they had counted, for each that may be there.
const GONE_PER_NODE: usize = 4;

/// What the operator decided about the cluster.
#[derive(Clone, Copy, Debug)]
pub struct ClusterRules {
    /// How long changes are gathered after something was told.
    pub notify_interval: Duration,
    /// How long a node may be silent before its members are forgotten.
    pub node_timeout: Duration,
    /// How often a node that knows of no other makes itself heard.
    pub lone_interval: Duration,
    /// How many other nodes there may be.
    pub nodes_max: usize,
    /// How many namespaces one other node may tell of.
    pub namespaces_max: usize,
}

impl Default for ClusterRules {
    fn default() -> Self {
        Self {
            notify_interval: Duration::from_secs(2),
            node_timeout: Duration::from_secs(5),
            lone_interval: Duration::from_secs(30),
            nodes_max: 256,
            namespaces_max: 1_000_000,
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
    /// There are as many nodes as there may be.
    TooManyNodes,
}

/// This node among the others.
pub(super) struct Cluster {
    pub(super) node: NodeId,
    pub(super) journal: Journal,
    pub(super) peers: Peers,
    rules: ClusterRules,
    /// The number of the last datagram.
    number: u64,
    draws: u64,
    /// When to look at a peer: it may be silent, or has to be asked, or holds messages back.
    alarms: TimerWheel,
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
    graves_to_tell: VecDeque<(PeerId, NamespaceId)>,
    graves_ask_at: Tick,
    graves_gap: Duration,
    claim_time_ms: u64,
}

impl Cluster {
    pub(super) fn new(node: NodeId, rules: ClusterRules) -> Self {
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
            graves_to_tell: VecDeque::new(),
            graves_ask_at: Tick(0),
            graves_gap: GRAVES_GAP.0,
            claim_time_ms: 0,
        }
    }

    /// When there is something to tell or to look at.
    pub(super) fn poll_timeout(&self) -> Option<Tick> {
        let not_before = self.sent_at.map_or(Tick(0), |sent_at| Tick(sent_at.0 + 1));
        let has_fresh = self.journal.has(Stretch::Fresh) && !self.peers.is_alone();
        let fresh = has_fresh.then(|| self.fresh_at.max(not_before));
        let rest = (self.journal.has(Stretch::Repair) || !self.graves_to_tell.is_empty()).then_some(not_before);
        let copy = self.copies.keys().next().map(|&(at, _)| at.max(not_before));
        [Some(self.alive_at), fresh, rest, copy, self.alarms.next_deadline()].into_iter().flatten().min()
    }

    /// The time of a claim that is made now: later than all that were heard of.
    pub(super) fn claim_time_ms(&mut self, now: Now) -> u64 {
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
        News::Alive(Alive {
            version: self.journal.version(),
            message: self.message_number,
            graves: self.peers.graves(),
            echo,
        })
    }

    /// Looks at a peer at this time at the latest.
    fn look_at(&mut self, id: PeerId, at: Tick) {
        if self.alarms.deadline(id).is_none_or(|set| set > at) {
            self.alarms.set(id, at);
        }
    }

    /// Looks at a peer when there is something to see.
    fn look_again(&mut self, id: PeerId) {
        let Some(peer) = self.peers.get(id) else { return };
        let silent = peer.heard_at.after(self.rules.node_timeout);
        let is_asked = peer.is_ahead() || matches!(peer.presence, Presence::Away { nonce: Some(_) });
        let ask = is_asked.then_some(peer.ask_at);
        let deadlines =
            [Some(silent).filter(|_| peer.presence != Presence::Away { nonce: None }), ask, peer.inbox.skip_at()];
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

    /// How many others are there.
    fn living(&self) -> usize {
        self.peers.iter().filter(|(_, peer)| peer.presence == Presence::Living).count()
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

    /// How many members are counted at this node.
    #[must_use]
    pub fn own_members(&self) -> u64 {
        self.namespaces.iter().map(|(_, namespace)| u64::from(namespace.counted())).sum()
    }

    /// The other nodes that are there.
    pub fn nodes(&self, now: Now) -> impl Iterator<Item = NodeFigures> {
        let living = self.cluster.peers.iter().filter(|(_, peer)| peer.presence == Presence::Living);
        living.map(move |(_, peer)| NodeFigures {
            node: peer.node,
            members: peer.members,
            silent_ms: now.tick.ms_since(peer.heard_at),
        })
    }

    /// Has the other nodes tell their members of a namespace a message.
    pub fn tell_others(&mut self, name: &str, text: &str, now: Now) {
        if !self.is_clustered || name.len() > NAME_MAX {
            return;
        }
        let namespace: Rc<str> = name.into();
        let mut rest = text;
        let mut begins = true;
        loop {
            // A request target is ASCII, so every byte is a place to cut; other text is cut at the last whole character.
            let cut = rest.floor_char_boundary(TEXT_PART_MAX);
            let (part, after) = rest.split_at(cut);
            self.cluster.message_number += 1;
            let number = self.cluster.message_number;
            let continues = !after.is_empty();
            let part = MessagePart { number, namespace: namespace.clone(), text: part.into(), begins, continues };
            self.tell_thrice(News::Message(part), now);
            if !continues {
                break;
            }
            (rest, begins) = (after, false);
        }
    }

    /// The last word: all that is fresh, and a goodbye, twice, for there will be nobody to repeat it.
    pub fn say_goodbye(&mut self, now: Now) {
        if !self.is_clustered {
            return;
        }
        while self.tell_stretch(Stretch::Fresh, now) {}
        self.send(News::Bye);
        self.send(News::Bye);
    }

    /// Takes in what another node told.
    ///
    /// # Errors
    /// Why it has no effect.
    pub fn receive(&mut self, datagram: &Datagram<&str>, now: Now) -> Result<(), Rejection> {
        if datagram.sender == self.cluster.node {
            return Err(Rejection::Own);
        }
        let id = self.meet(datagram, now)?;
        let peer = self.cluster.peers.at_mut(id);
        if !peer.is_new(datagram.number) {
            return Err(Rejection::Replayed);
        }
        if peer.is_latest(datagram.number) {
            peer.heard_at = now.tick;
        }
        match &datagram.news {
            News::Alive(alive) => self.on_alive(id, *alive, now),
            News::Ask(ask) => self.on_ask(id, *ask, now),
            News::Bye => self.bury(id, now),
            _ if self.cluster.peers.at(id).presence != Presence::Living => {}
            News::Report { from, to, items } => self.on_report(id, datagram.number, (*from, *to), items, now),
            News::Graves(graves) => self.on_graves(graves, now),
            News::Message(part) => {
                let complete = self.cluster.peers.at_mut(id).inbox.receive(part, now.tick);
                self.deliver(complete);
            }
            News::Claimed(claim) => self.contest(claim, datagram.sender, now),
            News::GivenUp(claim) => self.contest(claim, NodeId(u64::MAX), now),
        }
        self.ask_if_due(id, now);
        self.cluster.look_again(id);
        self.check_invariants();
        Ok(())
    }

    /// The peer that sent a datagram. One that is new, or back, is asked to prove that it is there.
    fn meet(&mut self, datagram: &Datagram<&str>, now: Now) -> Result<PeerId, Rejection> {
        let cluster = &mut self.cluster;
        let found = cluster.peers.find(datagram.sender);
        if let Some(id) = found {
            if cluster.peers.at(id).presence == (Presence::Away { nonce: None }) && datagram.news != News::Bye {
                let nonce = cluster.draw();
                cluster.peers.set_presence(id, Presence::Away { nonce: Some(nonce) });
                cluster.peers.at_mut(id).ask_at = now.tick;
            }
            return Ok(id);
        }
        let present =
            cluster.peers.iter().filter(|(_, peer)| peer.pairs.is_empty() || peer.presence == Presence::Living);
        if present.count() >= cluster.rules.nodes_max {
            return Err(Rejection::TooManyNodes);
        }
        let greeted = cluster.hello.filter(|&(_, until)| now.tick < until).map(|(nonce, _)| nonce);
        let nonce = greeted.unwrap_or_else(|| cluster.draw());
        Ok(cluster.peers.insert(datagram.sender, Presence::Away { nonce: Some(nonce) }, now.tick))
    }

    fn on_alive(&mut self, id: PeerId, alive: Alive, now: Now) {
        let node = self.cluster.node;
        let echoed = alive.echo.filter(|echo| echo.asker == node).map(|echo| echo.nonce);
        let peer = self.cluster.peers.at_mut(id);
        if matches!(peer.presence, Presence::Away { nonce: Some(nonce) } if echoed == Some(nonce)) {
            let namespaces = &self.namespaces;
            self.cluster.peers.revive(id, |namespace| name_digest(namespaces.at(namespace).name()));
            // It is to be told what is here, and soon: it may have come to stay.
            self.cluster.alive_gap = ALIVE_GAP_MIN;
            self.cluster.alive_at = self.cluster.alive_at.min(now.tick.after(ALIVE_GAP_MIN));
        }
        let peer = self.cluster.peers.at_mut(id);
        if peer.presence != Presence::Living {
            return;
        }
        peer.version = peer.version.max(alive.version);
        peer.inbox.note_sent(alive.message, now.tick);
        let peer_node = peer.node;
        if alive.graves == self.cluster.peers.graves() {
            self.cluster.graves_gap = GRAVES_GAP.0;
        } else if self.cluster.graves_ask_at <= now.tick {
            self.cluster.graves_ask_at = now.tick.after(self.cluster.graves_gap);
            self.cluster.graves_gap = (self.cluster.graves_gap * 2).min(GRAVES_GAP.1);
            self.send(News::Ask(Ask { of: Some(peer_node), wanted: Wanted::Graves, nonce: 0 }));
        }
    }

    fn on_ask(&mut self, id: PeerId, ask: Ask, now: Now) {
        if ask.of.is_some_and(|of| of != self.cluster.node) {
            return;
        }
        let asker = self.cluster.peers.at(id).node;
        let echo = Echo { asker, nonce: ask.nonce };
        let alive = self.cluster.alive(Some(echo));
        self.send(alive);
        match ask.wanted {
            Wanted::Items { since } => self.cluster.journal.repair_since(since),
            Wanted::Graves => self.dig_up_graves(),
        }
        // News that nobody was there to hear is not fresh to the one who has come.
        self.cluster.fresh_at = self.cluster.fresh_at.min(now.tick);
    }

    fn on_report(&mut self, id: PeerId, number: u64, (from, to): (u64, u64), items: &[Item<&str>], now: Now) {
        if to <= self.cluster.peers.at(id).known {
            return;
        }
        for item in items {
            match item {
                Item::Count(count) => self.merge(id, number, count, now),
                Item::Claim(claim) => self.contest(claim, self.cluster.peers.at(id).node, now),
            }
        }
        let peer = self.cluster.peers.at_mut(id);
        peer.version = peer.version.max(to);
        if from <= peer.known {
            peer.known = to;
            // There is more on its way, most likely: no need to ask for it.
            peer.ask_at = now.tick.after(ANSWER_TIME);
        } else if peer.ask_at <= now.tick {
            peer.ask_at = now.tick.after(REORDER_TIME);
        }
    }

    /// Takes over what a peer says of its share of a namespace.
    fn merge(&mut self, id: PeerId, number: u64, count: &Count<&str>, now: Now) {
        let pairs = &self.cluster.peers.at(id).pairs;
        let is_of_no_use = match self.find(count.namespace).and_then(|namespace| pairs.get(&namespace)) {
            Some(pair) => pair.number >= number,
            None => pairs.len() >= self.cluster.rules.namespaces_max,
        };
        if is_of_no_use {
            return;
        }
        let Some(namespace) = self.find_or_hear_of(count.namespace, count.members > 0, count.age, now) else { return };
        let digest = name_digest(count.namespace);
        let raise = self.cluster.peers.raise_connections(id, namespace, digest, count.connections);
        let peer = self.cluster.peers.at_mut(id);
        let pair = peer.pairs.entry(namespace).or_default();
        let before = std::mem::replace(&mut pair.members, count.members);
        pair.number = number;
        peer.members = peer.members + u64::from(count.members) - u64::from(before);
        let entry = self.namespaces.at_mut(namespace);
        entry.hear_of_others(before, count.members, raise, count.age, now);
        self.reschedule(namespace, now);
    }

    fn on_graves(&mut self, graves: &[Grave<&str>], now: Now) {
        for grave in graves {
            if grave.node == self.cluster.node {
                continue;
            }
            let Some(namespace) = self.find_or_hear_of(grave.namespace, false, grave.age, now) else { continue };
            let cluster = &mut self.cluster;
            let found = cluster.peers.find(grave.node);
            let id = match found {
                Some(id) => id,
                None if cluster.peers.len() > cluster.rules.nodes_max * GONE_PER_NODE => continue,
                None => cluster.peers.insert(grave.node, Presence::Away { nonce: None }, now.tick),
            };
            let raise = cluster.peers.raise_connections(id, namespace, name_digest(grave.namespace), grave.connections);
            self.namespaces.at_mut(namespace).hear_of_others(0, 0, raise, grave.age, now);
            self.reschedule(namespace, now);
        }
    }

    /// The namespace of this name; one that is new here is made, unless it is about to be forgotten everywhere.
    fn find_or_hear_of(&mut self, name: &str, has_members: bool, age: Age, now: Now) -> Option<NamespaceId> {
        let found = self.find(name);
        if found.is_some() {
            return found;
        }
        let empty = Duration::from_millis(age.empty_ms);
        if !has_members && empty >= self.rules.namespace_clean_delay {
            return None;
        }
        let id = self.namespace_or_new(name, now);
        self.namespaces.at_mut(id).empty_since = now.tick.before(empty);
        Some(id)
    }

    /// Ends this node's member who holds the uuid, if the other claim is later.
    fn contest(&mut self, claim: &Claim<&str>, node: NodeId, now: Now) {
        // A clock that is a day ahead is broken: what it says still stands, but ours does not follow it.
        let plausible_ms = claim.time_ms.min(now.unix_ms + CLOCK_SKEW_MAX_MS);
        self.cluster.claim_time_ms = self.cluster.claim_time_ms.max(plausible_ms);
        let Some(namespace) = self.find(claim.namespace) else { return };
        let Some(time_ms) = self.claims.time_of(namespace, claim.uuid) else { return };
        if (claim.time_ms, node) > (time_ms, self.cluster.node) {
            self.end_claim_in(namespace, claim.uuid, now);
        }
    }

    /// Takes a peer for gone: its members are, too.
    fn bury(&mut self, id: PeerId, now: Now) {
        // What it said and was held back was said all the same.
        let complete = self.cluster.peers.at_mut(id).inbox.finish(now.tick);
        self.deliver(complete);
        let namespaces = &self.namespaces;
        let lost = self.cluster.peers.bury(id, |namespace| name_digest(namespaces.at(namespace).name()));
        for (namespace, members) in lost {
            self.namespaces.at_mut(namespace).hear_of_others(members, 0, 0, Age::default(), now);
            self.reschedule(namespace, now);
        }
        if self.cluster.peers.at(id).pairs.is_empty() {
            self.forget_peer(id);
        }
    }

    fn forget_peer(&mut self, id: PeerId) {
        self.cluster.alarms.cancel(id);
        self.cluster.peers.remove(id);
    }

    fn deliver(&mut self, messages: Vec<super::inbox::Message>) {
        for message in messages {
            if let Some(namespace) = self.find(&message.namespace) {
                self.outputs.push_back(Output::Message { namespace, text: message.text.into() });
            }
        }
    }

    /// Does what is due towards the others. `has_heard_all` says that nothing more was waiting to be received: only then
    /// may silence be taken for absence.
    pub(super) fn handle_cluster_timeout(&mut self, now: Now, has_heard_all: bool) {
        if self.cluster.hello.is_none() {
            self.say_hello(now);
        }
        self.cluster.alarms.expire(now.tick);
        while let Some(id) = self.cluster.alarms.pop_due() {
            self.look(id, now, has_heard_all);
        }
        if self.cluster.sent_at == Some(now.tick) {
            return;
        }
        let mut budget = DATAGRAMS_PER_TURN;
        while budget > 0 && self.tell_next(now) {
            self.cluster.sent_at = Some(now.tick);
            budget -= 1;
        }
    }

    fn say_hello(&mut self, now: Now) {
        let nonce = self.cluster.draw();
        self.cluster.hello = Some((nonce, now.tick.after(self.cluster.rules.node_timeout)));
        let hello = News::Ask(Ask { of: None, wanted: Wanted::Items { since: 0 }, nonce });
        self.tell_thrice(hello, now);
        self.cluster.alive_at = now.tick.after(ALIVE_GAP_MIN);
    }

    fn look(&mut self, id: PeerId, now: Now, has_heard_all: bool) {
        let Some(peer) = self.cluster.peers.get(id) else { return };
        let is_silent = peer.heard_at.after(self.cluster.rules.node_timeout) <= now.tick;
        if is_silent && !has_heard_all {
            return self.cluster.look_at(id, Tick(now.tick.0 + 1));
        }
        if is_silent && peer.presence == Presence::Living {
            return self.bury(id, now);
        }
        if is_silent && peer.pairs.is_empty() {
            return self.forget_peer(id);
        }
        if is_silent {
            self.cluster.peers.set_presence(id, Presence::Away { nonce: None });
        }
        let inbox = &mut self.cluster.peers.at_mut(id).inbox;
        if inbox.skip_at().is_some_and(|at| at <= now.tick) {
            if !has_heard_all {
                return self.cluster.look_at(id, Tick(now.tick.0 + 1));
            }
            let complete = inbox.skip(now.tick);
            self.deliver(complete);
        }
        self.ask_if_due(id, now);
        self.cluster.look_again(id);
    }

    /// Asks a peer for what is missing, or to prove that it is there.
    fn ask_if_due(&mut self, id: PeerId, now: Now) {
        let Some(peer) = self.cluster.peers.get(id).filter(|peer| peer.ask_at <= now.tick) else { return };
        let nonce = match peer.presence {
            Presence::Living if peer.is_ahead() => 0,
            Presence::Away { nonce: Some(nonce) } => nonce,
            _ => return,
        };
        let &Peer { node, known, .. } = peer;
        self.cluster.peers.at_mut(id).ask_at = now.tick.after(ANSWER_TIME);
        self.send(News::Ask(Ask { of: Some(node), wanted: Wanted::Items { since: known }, nonce }));
    }

    /// Sends the next datagram that is due; returns whether there was one.
    fn tell_next(&mut self, now: Now) -> bool {
        let is_heard = !self.cluster.peers.is_alone();
        if is_heard && self.cluster.journal.has(Stretch::Fresh) && self.cluster.fresh_at <= now.tick {
            self.tell_stretch(Stretch::Fresh, now);
            if !self.cluster.journal.has(Stretch::Fresh) {
                self.cluster.fresh_at = now.tick.after(self.cluster.rules.notify_interval);
            }
            if self.cluster.living() > 0 {
                self.cluster.alive_gap = ALIVE_GAP_MIN;
                self.cluster.alive_at = now.tick.after(ALIVE_GAP_MIN);
            }
            return true;
        }
        if let Some(copy) = self.cluster.copies.first_entry().filter(|copy| copy.key().0 <= now.tick) {
            let news = copy.remove();
            self.send(news);
            return true;
        }
        if self.cluster.alive_at <= now.tick {
            let alive = self.cluster.alive(None);
            self.send(alive);
            let cluster = &mut self.cluster;
            let heartbeat = cluster.rules.heartbeat();
            let next =
                if cluster.living() == 0 { cluster.rules.lone_interval } else { cluster.alive_gap.min(heartbeat) };
            cluster.alive_gap = (cluster.alive_gap * 2).min(heartbeat);
            cluster.alive_at = now.tick.after(next);
            return true;
        }
        self.tell_stretch(Stretch::Repair, now) || self.tell_graves(now)
    }

    /// Sends one report of a stretch; returns whether there was something.
    fn tell_stretch(&mut self, stretch: Stretch, now: Now) -> bool {
        let mut items = Vec::new();
        let mut room = ITEMS_WEIGHT_MAX;
        let (namespaces, claims) = (&self.namespaces, &self.claims);
        let told = self.cluster.journal.tell(stretch, |subject| {
            let item = match subject {
                Subject::Share(id) => Item::Count(namespaces.at(id).share(now)),
                Subject::Claim(id) => Item::Claim(claims.news(id, |id| namespaces.at(id).shared_name())),
            };
            let weight = item.weight();
            let fits = weight <= room;
            if fits {
                room -= weight;
                items.push(item);
            }
            fits
        });
        let Some((from, to)) = told else { return false };
        self.send(News::Report { from, to, items });
        true
    }

    /// Notes what is known of those who are gone, to be told from the beginning.
    fn dig_up_graves(&mut self) {
        if self.cluster.graves_to_tell.is_empty() {
            let away = self.cluster.peers.iter().filter(|(_, peer)| peer.presence != Presence::Living);
            let graves = away.flat_map(|(id, peer)| peer.pairs.keys().map(move |&namespace| (id, namespace)));
            self.cluster.graves_to_tell = graves.collect();
        }
    }

    /// Sends one datagram of what those who are gone had counted; returns whether there was something.
    fn tell_graves(&mut self, now: Now) -> bool {
        let mut graves = Vec::new();
        let mut room = ITEMS_WEIGHT_MAX;
        while let Some(&(id, namespace)) = self.cluster.graves_to_tell.front() {
            let pair = self.cluster.peers.get(id).and_then(|peer| Some((peer.node, peer.pairs.get(&namespace)?)));
            if let Some((node, pair)) = pair {
                let entry = self.namespaces.at(namespace);
                let age = entry.age(now);
                let grave = Grave { node, namespace: entry.shared_name(), connections: pair.connections, age };
                let Some(left) = room.checked_sub(grave.weight()) else { break };
                room = left;
                graves.push(grave);
            }
            self.cluster.graves_to_tell.pop_front();
        }
        if graves.is_empty() {
            return false;
        }
        self.send(News::Graves(graves));
        true
    }

    /// Sends news at once, and twice more.
    pub(super) fn tell_thrice(&mut self, news: News<Rc<str>>, now: Now) {
        self.cluster.copy_later(&news, now);
        self.send(news);
    }

    fn send(&mut self, news: News<Rc<str>>) {
        self.cluster.number += 1;
        let datagram = Datagram { sender: self.cluster.node, number: self.cluster.number, news };
        self.outputs.push_back(Output::Send(datagram));
    }
}
