//! What a datagram of another node changes.
//!
//! Owns the reception of each kind of news. Of several reports about one thing, the one with the largest datagram number is
//! the latest, in whatever order they arrive.
//!
//! Invariant: the datagram of a peer that has not proved that it is there changes nothing but the wish to ask it.

use std::time::Duration;

use super::pairs::{Place, Stamp};
use super::peers::{PeerId, Presence};
use super::questions::ANSWER_TIME;
use super::transit::Transit;
use super::{Call, Cluster, deliver};
use crate::collections::tick::Moment;
use crate::meter::book::keys::NamespaceId;
use crate::meter::book::namespace::{Present, Whole};
use crate::meter::digest::name_digest;
use crate::meter::news::{Alive, Ask, Claim, Count, Datagram, DepartedShare, Echo, Item, News, NodeId, Origin, Wanted};

/// How long a report that came out of turn waits for the one before it.
const REORDER_TIME: Duration = Duration::from_millis(50);

/// The number of departed nodes that are remembered for what they had counted, for each node that may be there.
const DEPARTED_PER_NODE: usize = 4;

/// Why a datagram has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rejection {
    /// It is this node's own, come back.
    Own,
    /// It was received before, or is too old for the window.
    Replayed,
    /// It is the goodbye of a node that was not there.
    NeverThere,
    /// There are as many nodes as there may be.
    TooManyNodes,
}

/// Receives a datagram of another node.
///
/// # Errors
/// Why it has no effect.
pub(in crate::meter) fn receive(
    datagram: &Datagram<&str>,
    _origin: Origin,
    cluster: &mut Cluster,
    call: &mut Call<'_>,
) -> Result<(), Rejection> {
    if datagram.sender == cluster.node() {
        cluster.is_over |= cluster.announcer.has_departed() && datagram.news == News::Bye;
        return Err(Rejection::Own);
    }
    let id = meet(datagram, cluster, call)?;
    let peer = cluster.peers.at_mut(id);
    if !peer.is_new(datagram.number) {
        return Err(Rejection::Replayed);
    }
    if peer.is_latest(datagram.number) {
        peer.seen_at = call.now.tick;
    }
    let mut sent_at = call.now.tick.into();
    if peer.is_living() {
        peer.pairs.move_clock(datagram.clock);
        sent_at = peer.transit.sent_at(datagram.clock, call.now.tick);
    }
    let stamp = Stamp { number: datagram.number, clock: datagram.clock };
    Reception { cluster, call, id, stamp, sent_at }.apply(&datagram.news);
    cluster.ask_if_due(id, call);
    cluster.watch_again(id);
    Ok(())
}

/// The peer that sent a datagram. One that is new, or back, is asked to prove that it is there.
fn meet(datagram: &Datagram<&str>, cluster: &mut Cluster, call: &Call<'_>) -> Result<PeerId, Rejection> {
    let now = call.now.tick;
    if let Some(id) = cluster.peers.find(datagram.sender) {
        if cluster.peers.at(id).presence == (Presence::Away { nonce: None }) && datagram.news != News::Bye {
            let nonce = cluster.questions.draw();
            cluster.peers.set_presence(id, Presence::Away { nonce: Some(nonce) });
            cluster.peers.at_mut(id).ask_at = now;
        }
        return Ok(id);
    }
    if datagram.news == News::Bye {
        return Err(Rejection::NeverThere);
    }
    if cluster.peers.present_count() >= cluster.rules.nodes_max {
        return Err(Rejection::TooManyNodes);
    }
    let nonce = cluster.questions.nonce_for_stranger(now);
    Ok(cluster.peers.insert(datagram.sender, Presence::Away { nonce: Some(nonce) }, now))
}

/// A datagram of a known peer that is being applied.
struct Reception<'a, 'b> {
    cluster: &'a mut Cluster,
    call: &'a mut Call<'b>,
    id: PeerId,
    stamp: Stamp,
    /// When it was sent.
    sent_at: Moment,
}

impl Reception<'_, '_> {
    fn apply(&mut self, news: &News<&str>) {
        match news {
            News::Alive(alive) => self.on_alive(*alive),
            News::Ask(ask) => self.on_ask(*ask),
            // A node that says goodbye after this one has is there still, as far as this node goes.
            News::Bye if self.cluster.is_over => {}
            News::Bye => self.cluster.depart(self.id, self.call),
            _ if !self.cluster.peers.at(self.id).is_living() => {}
            News::Report { to, .. } if !self.cluster.peers.at(self.id).wants(self.stamp.number, *to) => {}
            News::Report { from, to, horizon, items } => {
                self.on_items(items);
                self.record_report(*from, *to, *horizon);
            }
            News::DepartedShares(shares) => shares.iter().for_each(|share| self.on_departed_share(share)),
            News::Counters(counters) => {
                self.cluster.peers.at_mut(self.id).set_counters(self.stamp.number, counters);
            }
            News::Message(part) => {
                let complete = self.cluster.peers.at_mut(self.id).inbox.receive(part, self.call.now.tick);
                deliver(complete, self.call);
            }
            News::Claimed(claim) => self.contest(claim, self.cluster.peers.at(self.id).node),
            News::GivenUp(claim) => self.contest(claim, NodeId(u64::MAX)),
        }
    }

    fn on_alive(&mut self, alive: Alive) {
        let node = self.cluster.node();
        let echoed = alive.echo.filter(|echo| echo.asker == node).map(|echo| echo.nonce);
        self.prove_living(echoed, alive.version);
        let peer = self.cluster.peers.at_mut(self.id);
        if !peer.is_living() {
            return;
        }
        if !peer.has_received(alive.horizon) {
            // What was missed here is announced no more: the peer has forgotten the namespace. All of it is asked for anew.
            return self.cluster.depart(self.id, self.call);
        }
        if alive.echo.is_none() || echoed.is_some() {
            peer.version = peer.version.max(alive.version);
        }
        peer.inbox.expect_up_to(alive.message, self.call.now.tick);
        let of = Some(peer.node);
        let own_digest = self.cluster.peers.departed_digest();
        if self.cluster.questions.asks_about_departed(own_digest, alive.departed_digest, self.call.now.tick) {
            let ask = Ask { of, wanted: Wanted::DepartedShares, nonce: 0 };
            self.cluster.announcer.send(News::Ask(ask), self.call.outputs, self.call.now);
        }
    }

    /// The peer is found to be living if it repeats its nonce. One whose members are still being removed is asked again.
    fn prove_living(&mut self, echoed: Option<u64>, version: u64) {
        let peer = self.cluster.peers.at_mut(self.id);
        let is_proof = matches!(peer.presence, Presence::Away { nonce: Some(nonce) } if echoed == Some(nonce));
        if !is_proof || peer.is_being_removed() {
            return;
        }
        self.cluster.peers.set_presence(self.id, Presence::Living);
        let peer = self.cluster.peers.at_mut(self.id);
        (peer.proof, peer.base) = (self.stamp.number, version);
        peer.pairs.set_clock(self.stamp.clock, self.call.now.tick);
        peer.transit = Transit::new(self.stamp.clock, self.call.now.tick);
        self.cluster.announcer.hasten_sign_of_life(self.call.now);
    }

    fn on_ask(&mut self, ask: Ask) {
        if ask.of.is_some_and(|of| of != self.cluster.node()) {
            return;
        }
        let Cluster { announcer, peers, .. } = &mut *self.cluster;
        let Call { book, outputs, now } = &mut *self.call;
        let echo = Echo { asker: peers.at(self.id).node, nonce: ask.nonce };
        announcer.send_sign_of_life(Some(echo), &book.journal, peers, outputs, *now);
        match ask.wanted {
            Wanted::Items { since } => book.journal.repair_since(since),
            Wanted::DepartedShares => announcer.begin_departed_shares(),
        }
        // News that waited for a receiver waits no longer.
        announcer.hasten_news(*now);
    }

    fn on_items(&mut self, items: &[Item<&str>]) {
        for item in items {
            match item {
                Item::Count(count) => self.on_count(count),
                Item::Claim(claim) => self.contest(claim, self.cluster.peers.at(self.id).node),
            }
        }
    }

    /// The peer has reported all that it knows of a stretch.
    fn record_report(&mut self, from: u64, to: u64, horizon: u64) {
        let now = self.call.now.tick;
        let peer = self.cluster.peers.at_mut(self.id);
        peer.version = peer.version.max(to);
        // If what was missed here is announced no more, this report does not make up for it: the peer is asked until a sign of
        // life says so. News that came out of turn may be on their way still.
        let is_all = peer.has_received(horizon);
        if is_all && from <= peer.base {
            peer.base = peer.base.max(to);
        }
        if is_all && from <= peer.known {
            peer.known = to;
            // There is more on its way, most likely: no need to ask for it.
            peer.ask_at = now.after(ANSWER_TIME);
        } else if peer.ask_at <= now {
            peer.ask_at = now.after(REORDER_TIME);
        }
    }

    /// Applies what the peer reports of its share of a namespace.
    fn on_count(&mut self, count: &Count<&str>) {
        let now = self.call.now;
        let pairs = &self.cluster.peers.at(self.id).pairs;
        let known = self.call.book.find(count.namespace).and_then(|namespace| pairs.get(namespace));
        let is_of_no_use = match known {
            Some(pair) => pair.number >= self.stamp.number,
            None => pairs.len() >= self.cluster.rules.namespaces_max,
        };
        if is_of_no_use {
            return;
        }
        let present = Present { counted: count.members, uncounted: count.uncounted };
        let has_members = present != Present::default();
        let whole = Whole { age: count.age, peak: count.peak, at: self.sent_at };
        let found = self.call.book.find_or_learn(count.namespace, has_members, whole, now);
        let Some(namespace) = found else { return };
        let place = place(namespace, count.namespace);
        let change = self.cluster.peers.apply(self.id, place, self.stamp, present, &count.sums);
        if has_members {
            self.call.book.set_hearsay(namespace, false);
        }
        self.call.book.apply(namespace, &change, whole, now);
    }

    /// Applies what a departed node had counted in a namespace.
    fn on_departed_share(&mut self, share: &DepartedShare<&str>) {
        let now = self.call.now;
        let Cluster { peers, rules, announcer, .. } = &mut *self.cluster;
        if share.node == announcer.node() {
            return;
        }
        let is_new = self.call.book.find(share.namespace).is_none();
        let whole = Whole { age: share.age, peak: share.peak, at: self.sent_at };
        let Some(namespace) = self.call.book.find_or_learn(share.namespace, false, whole, now) else { return };
        if is_new {
            self.call.book.set_hearsay(namespace, true);
        }
        let id = match peers.find(share.node) {
            Some(id) => id,
            None if peers.len() > rules.nodes_max * DEPARTED_PER_NODE => return,
            None => peers.insert(share.node, Presence::Away { nonce: None }, now.tick),
        };
        let change = peers.raise(id, place(namespace, share.namespace), &share.sums);
        self.call.book.apply(namespace, &change, whole, now);
    }

    /// Ends the claim of a member here on the uuid, if the other claim is later.
    fn contest(&mut self, claim: &Claim<&str>, node: NodeId) {
        self.call.book.claims.see(claim.order);
        let Some(namespace) = self.call.book.find(claim.namespace) else { return };
        let Some(order) = self.call.book.claims.order_of(namespace, claim.uuid) else { return };
        if (claim.order, node) > (order, self.cluster.node()) {
            self.cluster.end_claim(namespace, claim.uuid, self.call);
        }
    }
}

fn place(namespace: NamespaceId, name: &str) -> Place {
    Place { namespace, name_digest: name_digest(name) }
}
