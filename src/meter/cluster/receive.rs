//! What a datagram of another node changes.
//!
//! Owns the reception of each kind of news. Of several reports about one thing, the one with the largest datagram number is
//! the latest, in whatever order they arrive.
//!
//! Invariant: the datagram of a node that has not proved that it is there changes nothing.

use std::time::Duration;

use super::arrivals::Arrival;
use super::pairs::{Place, Stamp};
use super::peers::PeerId;
use super::proofs::promise_of;
use super::questions::ANSWER_TIME;
use super::rejection::Rejection;
use super::transit::Transit;
use super::{Call, Cluster, bequests, capacity, censuses, claims, goodbye, meeting};
use crate::collections::tick::Moment;
use crate::meter::book::change::{Apart, Present};
use crate::meter::book::whole::Whole;
use crate::meter::book::{elsewhere, learning, succession};
use crate::meter::news::census::CensusNews;
use crate::meter::news::{
    Alive, Ask, Count, Datagram, Echo, HeldQuestion, Item, News, NodeId, Origin, Sums, To, Wanted,
};

/// How long a report that came out of turn waits for the one before it.
const REORDER_TIME: Duration = Duration::from_millis(50);

/// For how long nothing of a living peer may have come in order until numbers out of all order are looked into.
const DISORDER_TIME: Duration = Duration::from_secs(1);

/// Receives a datagram of another node.
///
/// # Errors
/// Why it has no effect.
pub(in crate::meter) fn receive(
    datagram: &Datagram<&str>,
    origin: Origin,
    cluster: &mut Cluster,
    call: &mut Call<'_>,
) -> Result<(), Rejection> {
    cluster.wake(call.now);
    if datagram.sender == cluster.node() {
        return Err(Rejection::Own);
    }
    let known = cluster.peers.find(datagram.sender);
    let id = match known.filter(|&id| cluster.peers.at(id).is_living()) {
        Some(id) => {
            admit(id, datagram, origin, cluster, call)?;
            id
        }
        None => meeting::meet(known, datagram, origin, cluster, call)?,
    };
    let peer = cluster.peers.at_mut(id);
    peer.pairs.move_clock(datagram.clock);
    let sent_at = peer.transit.sent_at(datagram.clock, call.now.tick);
    if !peer.show_life(datagram.number, sent_at, origin, cluster.rules.node_timeout, call.now.tick) {
        peer.question.get_or_insert_with(|| cluster.questions.proofs.draw_question());
    }
    if std::mem::replace(&mut peer.newest_format, datagram.format.newest) != datagram.format.newest {
        cluster.agree_on_format();
    }
    let stamp = Stamp { number: datagram.number, clock: datagram.clock };
    Reception { cluster, call, id, origin, stamp, sent_at }.apply(&datagram.news);
    cluster.attend(id, call);
    Ok(())
}

/// Whether a living peer may be at this number, and has not sent it before.
fn admit(
    id: PeerId,
    datagram: &Datagram<&str>,
    origin: Origin,
    cluster: &mut Cluster,
    call: &mut Call<'_>,
) -> Result<(), Rejection> {
    let node = cluster.node();
    let peer = cluster.peers.at_mut(id);
    if let News::Bye(farewell) = datagram.news {
        return if promise_of(farewell) == peer.promise { Ok(()) } else { Err(Rejection::Forged) };
    }
    if let News::Alive(Alive { echo: Some(Echo { asker, nonce }), .. }) = datagram.news
        && asker == node
        && peer.question == Some(nonce)
    {
        peer.restart(datagram.number, origin, call.now.tick);
        peer.proof = datagram.number;
        peer.transit = Transit::new(datagram.clock, call.now.tick);
        return Ok(());
    }
    let arrival = peer.admit(datagram.number, origin, call.now.tick);
    if arrival == Arrival::New {
        return Ok(());
    }
    let is_in_disorder = peer.silence.since.after(DISORDER_TIME) <= call.now.tick;
    if !peer.is_jump(datagram.number) && !is_in_disorder {
        return Err(match arrival {
            _ if datagram.number < peer.proof => Rejection::BeforeProof,
            Arrival::Copied => Rejection::Copied,
            Arrival::New | Arrival::Known => Rejection::Replayed,
        });
    }
    if peer.question.is_none() {
        peer.question = Some(cluster.questions.proofs.draw_question());
    }
    cluster.attend(id, call);
    Err(Rejection::Unproven)
}

/// A datagram of a known peer that is being applied.
struct Reception<'a, 'b> {
    cluster: &'a mut Cluster,
    call: &'a mut Call<'b>,
    id: PeerId,
    origin: Origin,
    stamp: Stamp,
    sent_at: Moment,
}

impl Reception<'_, '_> {
    fn apply(&mut self, news: &News<&str>) {
        self.cluster.announcer.pace.record_received(news);
        match news {
            News::Alive(alive) => self.on_alive(*alive),
            News::Ask(ask) => self.on_ask(*ask),
            News::Bye(_) => goodbye::receive(self.id, self.origin, self.cluster, self.call),
            News::GoodbyeReceived { of, stance, version } => {
                goodbye::take_answer(self.id, *of, *stance, *version, self.cluster, self.call.now);
            }
            News::Report { to, .. } if !self.cluster.peers.at(self.id).wants(self.stamp.number, *to) => {}
            News::Report { from, to, horizon, name, items } => {
                if bequests::agree_on_name(self.id, *name, self.cluster, self.call) {
                    self.on_items(items, *name);
                    self.record_report(*from, *to, *horizon);
                }
            }
            News::DepartedShares(shares) => {
                for share in shares {
                    bequests::apply_share(share, self.sent_at, self.cluster, self.call);
                }
            }
            News::Folded(names) => bequests::list(names, self.cluster, self.call),
            News::FoldShares { list_digest, shares } => {
                for share in shares {
                    bequests::apply_fold_share(*list_digest, share, self.sent_at, self.cluster, self.call);
                }
            }
            News::AskCensus { of, namespace } if *of == self.cluster.node() => {
                censuses::answer(namespace, self.cluster, self.call.book);
            }
            News::Census { namespace, census } => censuses::take_answer(namespace, census, self.cluster, self.call),
            News::Counters(counters) => {
                self.cluster.peers.at_mut(self.id).set_counters(self.stamp.number, counters);
            }
            News::Message(part) => {
                let Cluster { receipts, peers, .. } = &mut *self.cluster;
                let complete = peers.at_mut(self.id).inbox.receive(part, self.call.now.tick);
                receipts.deliver(complete, self.id, peers, self.call.outputs);
            }
            News::Claimed(claim) => claims::receive_claimed(claim, self.node(), self.cluster, self.call),
            News::GivenUp { claim, is_away } => claims::receive_given_up(claim, *is_away, self.cluster, self.call),
            News::AskHeld(question) => self.on_ask_held(question),
            News::Received { is_behind, receipts } => {
                let peer = self.cluster.peers.at_mut(self.id);
                peer.set_behind(self.stamp.number, *is_behind);
                self.cluster.announcer.take_receipts(peer.node, receipts, self.call.outputs);
            }
            News::Held { asker, number } if *asker == self.cluster.node() => {
                claims::receive_held(*number, self.cluster, self.call);
            }
            News::AskCensus { .. } | News::Held { .. } | News::Unknown => {}
        }
    }

    /// The node that sent it.
    fn node(&self) -> NodeId {
        self.cluster.peers.at(self.id).node
    }

    fn on_alive(&mut self, alive: Alive) {
        let Call { now, .. } = *self.call;
        let node = self.cluster.node();
        let echoed = alive.echo.filter(|echo| echo.asker == node).map(|echo| echo.nonce);
        let peer = self.cluster.peers.at_mut(self.id);
        if !peer.has_received(alive.horizon) {
            // What was missed here is announced no more: the peer has forgotten the namespace. All of it is asked for anew.
            return self.cluster.depart(self.id, self.call);
        }
        if alive.echo.is_none() || echoed.is_some() {
            peer.version = peer.version.max(alive.version);
        }
        if peer.is_latest(self.stamp.number) {
            peer.departed_digest = Some(alive.departed_digest);
        }
        peer.inbox.expect_up_to(alive.message, now.tick);
        peer.set_behind(self.stamp.number, alive.is_behind);
        let node = peer.node;
        self.call.book.claims.see(alive.claim_order);
        self.learn_address(node, echoed);
        censuses::compare(&alive.mentions, node, self.cluster, self.call.book, now);
        let own_digest = self.cluster.peers.departed_digest();
        let has_room = learning::has_room(self.call.book);
        if self.cluster.questions.asks_about_departed(own_digest, alive.departed_digest, has_room, now.tick) {
            let ask = Ask { of: Some(node), wanted: Wanted::DepartedShares, nonce: 0 };
            self.cluster.announcer.send_to(To::Origin(self.origin), News::Ask(ask), self.call.outputs, now);
        }
    }

    /// Sends to an address that is not listed from now on, if it has returned what was sent to it alone; else asks it to.
    fn learn_address(&mut self, node: NodeId, echoed: Option<u64>) {
        let Origin::Unlisted(address) = self.origin else { return };
        let Call { now, .. } = *self.call;
        let Cluster { addresses, questions, announcer, peers, .. } = &mut *self.cluster;
        if addresses.refresh(address, now.tick) {
            return;
        }
        if echoed.is_some_and(|nonce| questions.proofs.is_answer(nonce, node, self.origin, now.tick)) {
            return addresses.learn(address, now.tick);
        }
        if let Some(nonce) = questions.nonce_for_stranger(node, self.origin, 0, now.tick) {
            let ask = Ask { of: Some(node), wanted: Wanted::Items { since: peers.at(self.id).known }, nonce };
            announcer.send_to(To::Origin(self.origin), News::Ask(ask), self.call.outputs, now);
        }
    }

    fn on_ask(&mut self, ask: Ask) {
        if ask.of.is_some_and(|of| of != self.cluster.node()) {
            return;
        }
        let Cluster { announcer, peers, .. } = &mut *self.cluster;
        let Call { book, outputs, now } = &mut *self.call;
        let echo = Echo { asker: peers.at(self.id).node, nonce: ask.nonce };
        announcer.answer(echo, self.origin, peers, book, outputs, *now);
        match ask.wanted {
            Wanted::Items { since } => book.journal.repair_since(since),
            Wanted::DepartedShares => announcer.departed.begin(),
        }
        // News that waited for a receiver waits no longer.
        announcer.hasten_news(*now);
    }

    /// Says that a member here holds the uuid. Where none does, nothing is said.
    fn on_ask_held(&mut self, question: &HeldQuestion<&str>) {
        let Call { book, outputs, now } = &mut *self.call;
        let Some(namespace) = book.find(question.namespace) else { return };
        if book.claims.member(namespace, question.uuid).is_some() {
            let held = News::Held { asker: self.cluster.peers.at(self.id).node, number: question.number };
            self.cluster.announcer.send_to(To::Origin(self.origin), held, outputs, *now);
        }
    }

    fn on_items(&mut self, items: &[Item<&str>], name: u64) {
        let node = self.node();
        // The sums under a former name are in the fold, as far as they are known; the members are there all the same.
        let (has_sums, no_sums) = (self.cluster.peers.fold.name_of(node).0 == name, Sums::default());
        let mut items = items.iter().peekable();
        while let Some(item) = items.next() {
            match item {
                Item::Count(count) => {
                    let census = items.next_if(|item| matches!(item, Item::Census(_)));
                    let census = if let Some(Item::Census(census)) = census { Some(census) } else { None };
                    self.on_count(count, if has_sums { &count.sums } else { &no_sums }, census);
                }
                Item::Claim(claim) => claims::receive_item(claim, self.id, self.cluster, self.call),
                Item::Retired(claim) => succession::unlearn(node, claim, self.call.book, self.call.now),
                Item::Ended(ended) => elsewhere::mark_reported(ended, self.sent_at, self.call.book, self.call.now),
                // Without the count before it, it says nothing.
                Item::Census(_) => {}
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

    /// Applies what the peer reports of its share of a namespace, and of the people there.
    fn on_count(&mut self, count: &Count<&str>, sums: &Sums, census: Option<&CensusNews>) {
        let now = self.call.now;
        let pairs = &self.cluster.peers.at(self.id).pairs;
        let known = self.call.book.find(count.namespace).and_then(|namespace| pairs.get(namespace));
        let is_of_no_use = match known {
            Some(pair) => pair.number >= self.stamp.number,
            None => pairs.len() >= self.cluster.rules.namespaces_max,
        };
        let node = self.cluster.peers.at(self.id).node;
        if is_of_no_use {
            // What an earlier report says of people is true for ever.
            if let Some(namespace) = self.call.book.find(count.namespace).filter(|_| census.is_some()) {
                censuses::learn(namespace, census, 0, node, self.cluster, self.call);
            }
            return;
        }
        let apart = Apart { uncounted: count.uncounted, waiting: count.waiting };
        let present = Present { counted: count.members, apart };
        let has_members = present != Present::default();
        let whole = Whole { age: count.age, peak: count.peak, at: self.sent_at };
        if has_members {
            // It counts in any case.
            capacity::make_for(count.namespace, self.cluster, self.call);
        }
        let found = learning::find_or_learn(count.namespace, has_members, whole, self.call.book, now);
        let Some(namespace) = found else { return };
        let place = Place::of(namespace, count.namespace);
        let change = self.cluster.peers.apply(self.id, place, self.stamp, present, sums);
        if has_members {
            self.call.book.set_hearsay(namespace, false);
        }
        learning::apply(namespace, &change, whole, self.call.book, now);
        censuses::learn(namespace, census, change.connections, node, self.cluster, self.call);
    }
}
