//! What this node makes of what others tell.
//!
//! Owns the reception of each kind of news, and the end of a peer that is gone. Of several reports about one thing, the one
//! with the largest datagram number is the latest, in whatever order they come.
//!
//! Invariant: news of a peer that has not proved that it is there change nothing but the wish to ask it.

use std::time::Duration;

use super::{ALIVE_GAP_MIN, ANSWER_TIME, GRAVES_GAP, Rejection};
use crate::collections::tick::Now;
use crate::meter::book::namespace::Present;
use crate::meter::cluster::inbox::Message;
use crate::meter::cluster::news::{
    Age, Alive, Ask, Claim, Count, Datagram, Echo, Grave, Item, News, NodeId, Peak, Wanted,
};
use crate::meter::cluster::peers::{PeerId, Presence};
use crate::meter::{Meter, NamespaceId, Output, name_digest};

/// How far the clock of another host may be ahead, in milliseconds.
const CLOCK_SKEW_MAX_MS: u64 = 24 * 3600 * 1000;

/// How long a report that came out of turn waits for the one before it.
const REORDER_TIME: Duration = Duration::from_millis(50);

/// The nodes that are gone, and are remembered for what they had counted, for each that may be there.
const GONE_PER_NODE: usize = 4;

/// A namespace that has members of somebody who is gone takes as long as so many that have none.
const LOST_WEIGHT: usize = 7;

impl Meter {
    /// Takes in what another node told.
    ///
    /// # Errors
    /// Why it has no effect.
    pub fn receive(&mut self, datagram: &Datagram<&str>, now: Now) -> Result<(), Rejection> {
        if datagram.sender == self.cluster.node {
            self.cluster.is_over |= self.cluster.has_ended && datagram.news == News::Bye;
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
        if peer.presence == Presence::Living {
            peer.clock = peer.clock.max(datagram.clock);
        }
        let said = (datagram.number, datagram.clock);
        match &datagram.news {
            News::Alive(alive) => self.on_alive(id, said, *alive, now),
            News::Ask(ask) => self.on_ask(id, *ask, now),
            // Who says so after this node has is there still, as far as this node goes.
            News::Bye if self.cluster.is_over => {}
            News::Bye => self.bury(id, now),
            _ if self.cluster.peers.at(id).presence != Presence::Living => {}
            News::Report { to, .. } if !self.cluster.peers.at(id).wants(datagram.number, *to) => {}
            News::Report { from, to, horizon, items } => {
                self.on_items(id, said, items, now);
                self.note_report(id, (*from, *to), *horizon, now);
            }
            News::Graves(graves) => self.on_graves(graves, now),
            News::Counters(counters) => self.cluster.peers.at_mut(id).note_counters(datagram.number, counters),
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
        if datagram.news == News::Bye {
            return Err(Rejection::NeverThere);
        }
        if cluster.peers.not_only_remembered() >= cluster.rules.nodes_max {
            return Err(Rejection::TooManyNodes);
        }
        let greeted = cluster.hello.filter(|&(_, until)| now.tick < until).map(|(nonce, _)| nonce);
        let nonce = greeted.unwrap_or_else(|| cluster.draw());
        Ok(cluster.peers.insert(datagram.sender, Presence::Away { nonce: Some(nonce) }, now.tick))
    }

    /// `said` is the number of the datagram, and what the peer's clock showed.
    fn on_alive(&mut self, id: PeerId, said: (u64, u64), alive: Alive, now: Now) {
        let node = self.cluster.node;
        let echoed = alive.echo.filter(|echo| echo.asker == node).map(|echo| echo.nonce);
        let peer = self.cluster.peers.at_mut(id);
        // One that is still being buried is asked again.
        let is_settled = !peer.is_being_buried();
        if is_settled && matches!(peer.presence, Presence::Away { nonce: Some(nonce) } if echoed == Some(nonce)) {
            self.cluster.peers.set_presence(id, Presence::Living);
            let peer = self.cluster.peers.at_mut(id);
            (peer.proof, peer.base) = (said.0, alive.version);
            peer.set_clock(said.1, now.tick);
            // It is to be told what is here, and soon: it may have come to stay.
            self.cluster.alive_gap = ALIVE_GAP_MIN;
            self.cluster.alive_at = self.cluster.alive_at.min(now.tick.after(ALIVE_GAP_MIN));
        }
        let peer = self.cluster.peers.at_mut(id);
        if peer.presence != Presence::Living {
            return;
        }
        if !peer.has_heard(alive.horizon) {
            // What was missed here is not told any more: it forgot the namespace. Then all of it is asked for anew.
            return self.bury(id, now);
        }
        if alive.echo.is_none() || echoed.is_some() {
            peer.version = peer.version.max(alive.version);
        }
        peer.inbox.note_sent(alive.message, now.tick);
        let peer_node = peer.node;
        let own = self.cluster.peers.graves();
        if alive.graves == own || self.cluster.graves_ask_at > now.tick {
            return;
        }
        // It does not help to ask again and again who knows less than this node, while others agree with it.
        let has_learned = self.cluster.graves_asked.replace(own) != Some(own);
        let gap = if has_learned { GRAVES_GAP.0 } else { self.cluster.graves_gap };
        self.cluster.graves_ask_at = now.tick.after(gap);
        self.cluster.graves_gap = (gap * 2).min(GRAVES_GAP.1);
        self.send(News::Ask(Ask { of: Some(peer_node), wanted: Wanted::Graves, nonce: 0 }), now);
    }

    fn on_ask(&mut self, id: PeerId, ask: Ask, now: Now) {
        if ask.of.is_some_and(|of| of != self.cluster.node) {
            return;
        }
        let asker = self.cluster.peers.at(id).node;
        let echo = Echo { asker, nonce: ask.nonce };
        let alive = self.cluster.alive(Some(echo));
        self.send(alive, now);
        match ask.wanted {
            Wanted::Items { since } => self.cluster.journal.repair_since(since),
            Wanted::Graves => self.dig_up_graves(),
        }
        // News that nobody was there to hear is not fresh to the one who has come.
        self.cluster.fresh_at = self.cluster.fresh_at.min(now.tick);
    }

    fn on_items(&mut self, id: PeerId, said: (u64, u64), items: &[Item<&str>], now: Now) {
        for item in items {
            match item {
                Item::Count(count) => self.merge(id, said, count, now),
                Item::Claim(claim) => self.contest(claim, self.cluster.peers.at(id).node, now),
            }
        }
    }

    /// A peer has told all that it knows of a stretch.
    fn note_report(&mut self, id: PeerId, (from, to): (u64, u64), horizon: u64, now: Now) {
        let peer = self.cluster.peers.at_mut(id);
        peer.version = peer.version.max(to);
        // If what was missed here is not told any more, this report does not make up for it: it is asked until it says so with
        // a sign of life. News that came out of turn may be on their way still.
        let is_all = peer.has_heard(horizon);
        if is_all && from <= peer.base {
            peer.base = peer.base.max(to);
        }
        if is_all && from <= peer.known {
            peer.known = to;
            // There is more on its way, most likely: no need to ask for it.
            peer.ask_at = now.tick.after(ANSWER_TIME);
        } else if peer.ask_at <= now.tick {
            peer.ask_at = now.tick.after(REORDER_TIME);
        }
    }

    /// Takes over what a peer says of its share of a namespace.
    fn merge(&mut self, id: PeerId, said: (u64, u64), count: &Count<&str>, now: Now) {
        let pairs = &self.cluster.peers.at(id).pairs;
        let is_of_no_use = match self.find(count.namespace).and_then(|namespace| pairs.get(&namespace)) {
            Some(pair) => pair.number >= said.0,
            None => pairs.len() >= self.cluster.rules.namespaces_max,
        };
        if is_of_no_use {
            return;
        }
        let present = Present { counted: count.members, uncounted: count.uncounted };
        let has_members = present != Present::default();
        let Some(namespace) = self.find_or_hear_of(count.namespace, has_members, count.age, now) else { return };
        let digest = name_digest(count.namespace);
        let change = self.cluster.peers.hear(id, namespace, digest, said, present, &count.sums);
        self.namespaces.at_mut(namespace).is_hearsay &= !has_members;
        self.take_over(namespace, &change, count.age, count.peak, now);
    }

    fn on_graves(&mut self, graves: &[Grave<&str>], now: Now) {
        for grave in graves {
            if grave.node == self.cluster.node {
                continue;
            }
            let is_new = self.find(grave.namespace).is_none();
            let Some(namespace) = self.find_or_hear_of(grave.namespace, false, grave.age, now) else { continue };
            self.namespaces.at_mut(namespace).is_hearsay |= is_new;
            let cluster = &mut self.cluster;
            let found = cluster.peers.find(grave.node);
            let id = match found {
                Some(id) => id,
                None if cluster.peers.len() > cluster.rules.nodes_max * GONE_PER_NODE => continue,
                None => cluster.peers.insert(grave.node, Presence::Away { nonce: None }, now.tick),
            };
            let change = cluster.peers.raise(id, namespace, name_digest(grave.namespace), &grave.sums);
            self.take_over(namespace, &change, grave.age, grave.peak, now);
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
    pub(in crate::meter) fn bury(&mut self, id: PeerId, now: Now) {
        // What it said and was held back was said all the same.
        let complete = self.cluster.peers.at_mut(id).inbox.finish(now.tick);
        self.deliver(complete);
        self.cluster.peers.bury(id);
        if self.cluster.peers.at(id).pairs.is_empty() {
            self.forget_peer(id);
        }
    }

    /// Takes members of those who are gone off the counts, as many as fit into a turn.
    pub(in crate::meter) fn go_on_burying(&mut self, now: Now) {
        let mut budget = self.cluster.rules.burials_per_turn;
        loop {
            let namespaces = &self.namespaces;
            let digest_of = |id| name_digest(namespaces.at(id).name());
            let Some((namespace, change)) = self.cluster.peers.next_lost(&mut budget, digest_of) else { break };
            budget = budget.saturating_sub(LOST_WEIGHT);
            self.take_over(namespace, &change, Age::default(), Peak::default(), now);
        }
    }

    pub(in crate::meter) fn forget_peer(&mut self, id: PeerId) {
        self.cluster.alarms.cancel(id);
        self.cluster.peers.remove(id);
        // Its answer to the first question may have been recorded: the next one who is met is asked for something else.
        if let Some((_, until)) = self.cluster.hello {
            self.cluster.hello = Some((self.cluster.draw(), until));
        }
    }

    pub(in crate::meter) fn deliver(&mut self, messages: Vec<Message>) {
        for message in messages {
            if self.find(&message.namespace).is_some() {
                let text = message.text.into();
                self.outputs.push_back(Output::Message { namespace: message.namespace, text });
            }
        }
    }
}
