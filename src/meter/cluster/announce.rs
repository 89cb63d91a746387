//! What this node tells the others, and when.
//!
//! Owns the order of urgency: fresh news, copies, signs of life, then what somebody has missed; and the budget of a turn.
//!
//! Invariant: a datagram stays within its size, whatever the names.

use std::rc::Rc;
use std::time::Duration;

use super::{ALIVE_GAP_MIN, ANSWER_TIME};
use crate::collections::key::Key as _;
use crate::collections::tick::{Now, Tick};
use crate::meter::book::journal::ItemId;
use crate::meter::book::journal::{Stretch, Subject};
use crate::meter::cluster::news::{Ask, Datagram, Grave, Item, MessagePart, News, Wanted};
use crate::meter::cluster::peers::{Peer, PeerId, Presence};
use crate::meter::{COUNTERS_MAX, Meter, NAME_MAX, NamespaceId, Output};

/// What a report's items may weigh, so that a datagram stays under 1,200 bytes with its head and its seal.
const ITEMS_WEIGHT_MAX: usize = 1_100;

/// The part of a message that goes into one datagram, in bytes; a name of the longest kind fits beside it.
const TEXT_PART_MAX: usize = 700;

/// How many datagrams one turn sends at most. With a turn per tick while there is more, that is 3,200 a second: a newcomer
/// learns 100,000 namespaces, some 2,000 datagrams, in 0.7 s, and nobody's receive buffer runs over.
///
/// To put one together takes 8 us, so a turn is at it for 0.3 ms.
const DATAGRAMS_PER_TURN: usize = 32;

/// How many namespaces are looked at for a datagram of what those who are gone had counted, at 0.04 us each.
const GRAVES_PER_DATAGRAM: usize = 256;

/// After how long this node's counters are told again: often enough for whoever asks every 15 s, at some 40 bytes a second.
const COUNTERS_GAP: Duration = Duration::from_secs(5);

/// How many peers one turn looks at that may be silent or have to be asked. The dearest is one that has gone with 256
/// messages held back, which are told: 40 us, 0.6 ms in all.
const LOOKS_PER_TURN: usize = 16;

impl Meter {
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

    /// Whether the others are to be told this node's counters. They go with its signs of life: it asks for no turn of its own.
    #[must_use]
    pub fn wants_counters(&self, now: Now) -> bool {
        self.is_clustered && self.cluster.counters_at <= now.tick && self.cluster.peers.living() > 0
    }

    /// Tells the others at most [`COUNTERS_MAX`] figures of this node, each below 2^56.
    pub fn tell_counters(&mut self, counters: &[u64], now: Now) {
        self.cluster.counters_at = now.tick.after(COUNTERS_GAP);
        self.send(News::Counters(counters.iter().copied().take(COUNTERS_MAX).collect()), now);
    }

    /// When the others, if there are any, are told the last change of this node's own count; `None` if they have been.
    pub(in crate::meter) fn untold_until(&self, share: Option<ItemId>) -> Option<Tick> {
        let is_to_be_told = self.is_clustered && share.is_some_and(|share| !self.cluster.journal.is_told(share));
        (is_to_be_told && !self.cluster.peers.is_alone()).then_some(self.cluster.fresh_at)
    }

    /// The last word: all that is fresh, and a goodbye, twice, for there will be nobody to repeat it.
    pub fn say_goodbye(&mut self, now: Now) {
        if !self.is_clustered {
            return;
        }
        while self.tell_stretch(Stretch::Fresh, now) {}
        self.cluster.has_ended = true;
        self.send(News::Bye, now);
        self.send(News::Bye, now);
    }

    /// Does what is due towards the others. `has_heard_all` says that nothing more was waiting to be received: only then
    /// may silence be taken for absence.
    pub(in crate::meter) fn handle_cluster_timeout(&mut self, now: Now, has_heard_all: bool) {
        if self.cluster.hello.is_none() {
            self.say_hello(now);
        }
        self.cluster.alarms.expire(now.tick);
        for _ in 0..LOOKS_PER_TURN {
            let Some(id) = self.cluster.alarms.pop_due() else { break };
            self.look(id, now, has_heard_all);
        }
        self.go_on_burying(now);
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
            self.cluster.lost += 1;
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
    pub(in crate::meter) fn ask_if_due(&mut self, id: PeerId, now: Now) {
        let Some(peer) = self.cluster.peers.get(id).filter(|peer| peer.ask_at <= now.tick) else { return };
        let nonce = match peer.presence {
            Presence::Living if peer.is_ahead() => 0,
            Presence::Away { nonce: Some(nonce) } => nonce,
            _ => return,
        };
        let &Peer { node, known, .. } = peer;
        self.cluster.peers.at_mut(id).ask_at = now.tick.after(ANSWER_TIME);
        self.send(News::Ask(Ask { of: Some(node), wanted: Wanted::Items { since: known }, nonce }), now);
    }

    /// Sends the next datagram that is due; returns whether there was one.
    fn tell_next(&mut self, now: Now) -> bool {
        let is_heard = !self.cluster.peers.is_alone();
        if is_heard && self.cluster.journal.has(Stretch::Fresh) && self.cluster.fresh_at <= now.tick {
            self.tell_stretch(Stretch::Fresh, now);
            if !self.cluster.journal.has(Stretch::Fresh) {
                self.cluster.fresh_at = now.tick.after(self.cluster.gathering_time());
            }
            if self.cluster.peers.living() > 0 {
                // What is gathered meanwhile says as well how much there was to hear.
                self.cluster.alive_gap = ALIVE_GAP_MIN;
                self.cluster.alive_at = now.tick.after(self.cluster.gathering_time().max(ALIVE_GAP_MIN));
            }
            return true;
        }
        if let Some(copy) = self.cluster.copies.first_entry().filter(|copy| copy.key().0 <= now.tick) {
            let news = copy.remove();
            self.send(news, now);
            return true;
        }
        if self.cluster.alive_at <= now.tick {
            let alive = self.cluster.alive(None);
            self.send(alive, now);
            let cluster = &mut self.cluster;
            let heartbeat = cluster.rules.heartbeat();
            let next = if cluster.peers.living() == 0 {
                cluster.rules.lone_interval
            } else {
                cluster.alive_gap.min(heartbeat)
            };
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
        let (namespaces, claims, stays) = (&self.namespaces, &self.claims, &self.stays);
        let told = self.cluster.journal.tell(stretch, |subject| {
            let item = match subject {
                Subject::Share(id) => Item::Count(namespaces.at(id).share(stays, now)),
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
        let horizon = self.cluster.journal.horizon();
        self.send(News::Report { from, to, horizon, items }, now);
        true
    }

    /// Has it told what those who are gone had counted, from the beginning.
    pub(in crate::meter) fn dig_up_graves(&mut self) {
        self.cluster.graves_to_tell.get_or_insert((PeerId::FIRST, NamespaceId::FIRST));
    }

    /// Sends one datagram of what those who are gone had counted, or at least looks for it; returns whether there was
    /// something left to do.
    fn tell_graves(&mut self, now: Now) -> bool {
        let Some((mut id, mut namespace)) = self.cluster.graves_to_tell else { return false };
        let mut graves = Vec::new();
        let mut room = ITEMS_WEIGHT_MAX;
        let mut is_done = false;
        for _ in 0..GRAVES_PER_DATAGRAM {
            if namespace.index() >= self.namespaces.place_count() {
                (id, namespace) = (id.next(), NamespaceId::FIRST);
            }
            let Some((found, peer)) = self.cluster.peers.next_remembered(id) else {
                is_done = true;
                break;
            };
            if found != id {
                (id, namespace) = (found, NamespaceId::FIRST);
            }
            if let Some(sums) = self.cluster.peers.sums_of(peer, namespace) {
                let entry = self.namespaces.at(namespace);
                let (node, age, peak) = (peer.node, entry.age(now), entry.peak());
                let grave = Grave { node, namespace: entry.shared_name(), sums, age, peak };
                let Some(left) = room.checked_sub(grave.weight()) else { break };
                room = left;
                graves.push(grave);
            }
            namespace = namespace.next();
        }
        self.cluster.graves_to_tell = Some((id, namespace)).filter(|_| !is_done);
        if !graves.is_empty() {
            self.send(News::Graves(graves), now);
        }
        true
    }

    /// Sends news at once, and twice more.
    pub(in crate::meter) fn tell_thrice(&mut self, news: News<Rc<str>>, now: Now) {
        self.cluster.copy_later(&news, now);
        self.send(news, now);
    }

    pub(in crate::meter) fn send(&mut self, news: News<Rc<str>>, now: Now) {
        self.cluster.number += 1;
        let (sender, number, clock) = (self.cluster.node, self.cluster.number, now.tick.0);
        let datagram = Datagram { sender, number, clock, news };
        self.outputs.push_back(Output::Send(datagram));
    }
}
