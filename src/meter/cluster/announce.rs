//! What this node announces to the others, and when.
//!
//! Owns the numbers of its datagrams, and the order of urgency: fresh news, copies, signs of life, then what a
//! peer has missed. Owns the budget of a turn, too. It does not know what is asked or received.
//!
//! | file | owns |
//! |---|---|
//! | `sections` | what this node announces, as bytes |
//!
//! Invariant: a datagram stays within its size, whatever the names.

pub(super) mod sections;

use std::rc::Rc;
use std::time::Duration;

use super::copies::Copies;
use super::departed::DepartedNews;
use super::messages::Messages;
use super::pace::{DATAGRAMS_PER_TURN, Pace};
use super::peers::Peers;
use super::proofs::promise_of;
use super::rules::{ALIVE_GAP_MIN, ClusterRules};
use super::surveys::Surveys;
use crate::collections::tick::{Now, Tick};
use crate::meter::book::journal::{Journal, Stretch, Versions};
use crate::meter::book::keys::ItemId;
use crate::meter::book::{Book, items};
use crate::meter::news::census::Mentions;
use crate::meter::news::{
    Alive, COUNTERS_MAX, Counter, Datagram, Echo, Farewell, Format, Formats, Item, News, NodeId, Origin, Promise,
    Receipt, Stance, To,
};
use crate::meter::output::{Output, Outputs};

/// What a report's items may weigh, so that a datagram stays under 1,200 bytes with its head and its seal.
pub(super) const ITEMS_WEIGHT_MAX: usize = 1_100;

/// After how long this node's counters are announced again: often enough for a scrape every 15 s, at some 40 bytes a second.
const COUNTERS_GAP: Duration = Duration::from_secs(5);

/// What this node announces.
pub(super) struct Announcer {
    node: NodeId,
    formats: Formats,
    /// The version that all living nodes read.
    format: u8,
    farewell: Farewell,
    /// The number of the last datagram.
    number: u64,
    pub(super) messages: Messages,
    /// Whether the members here lag far behind.
    is_behind: bool,
    /// Since when fresh news may be announced.
    fresh_at: Tick,
    pub(super) alive_at: Tick,
    alive_gap: Duration,
    /// The tick in which a datagram was sent last: what is left waits for the next one.
    sent_at: Option<Tick>,
    copies: Copies,
    pub(super) departed: DepartedNews,
    pub(super) pace: Pace,
    pub(super) surveys: Surveys,
    /// When this node's counters may be announced again.
    counters_at: Tick,
    /// When they were announced last.
    counters_sent_at: Option<Tick>,
    /// Where this node stands at its end.
    pub(super) stance: Stance,
}

impl Announcer {
    /// A node that has sent nothing.
    pub(super) fn new(node: NodeId, formats: Formats, farewell: Farewell) -> Self {
        Self {
            node,
            formats,
            format: formats.newest,
            farewell,
            number: 0,
            messages: Messages::default(),
            is_behind: false,
            fresh_at: Tick(0),
            alive_at: Tick(0),
            alive_gap: ALIVE_GAP_MIN,
            sent_at: None,
            copies: Copies::default(),
            departed: DepartedNews::default(),
            pace: Pace::default(),
            surveys: Surveys::default(),
            counters_at: Tick(0),
            counters_sent_at: None,
            stance: Stance::GoesOn,
        }
    }

    /// This node's name.
    pub(super) fn node(&self) -> NodeId {
        self.node
    }

    /// Has the next sign of life come at once, and some more soon.
    pub(super) fn call_out(&mut self, now: Now) {
        self.alive_at = now.tick;
        self.alive_gap = ALIVE_GAP_MIN;
    }

    /// Whether this node has said goodbye.
    pub(super) fn has_departed(&self) -> bool {
        self.stance != Stance::GoesOn
    }

    /// The newest version of the format that this node reads and writes.
    pub(super) fn newest_format(&self) -> u8 {
        self.formats.newest
    }

    /// From now on news is written in this version, which all living nodes read.
    pub(super) fn write_format(&mut self, version: u8) {
        self.format = version.max(self.formats.oldest);
    }

    /// When there is something to announce.
    pub(super) fn poll_timeout(&self, journal: &Journal, peers: &Peers) -> Option<Tick> {
        let not_before = self.sent_at.map_or(Tick(0), |sent_at| Tick(sent_at.0 + 1));
        let has_fresh = journal.has(Stretch::Fresh) && !peers.is_alone();
        let fresh = has_fresh.then(|| self.fresh_at.max(not_before));
        let has_rest = journal.has(Stretch::Repair) || self.departed.is_under_way() || self.surveys.has_answers();
        let rest = has_rest.then_some(not_before);
        let copy = self.copies.next_deadline().map(|at| at.max(not_before));
        let alive = Some(self.alive_at.max(not_before));
        let (messages, surveys) = (self.messages.next_deadline(), self.surveys.next_deadline());
        [alive, fresh, rest, copy, messages, surveys].into_iter().flatten().min()
    }

    /// Announces what is due, as much as fits into a turn. `is_bus_drained` says that no datagram was left waiting.
    pub(super) fn announce_due(
        &mut self,
        is_bus_drained: bool,
        peers: &Peers,
        rules: &ClusterRules,
        book: &mut Book,
        outputs: &mut Outputs,
        now: Now,
    ) {
        if self.sent_at == Some(now.tick) {
            return;
        }
        self.pace.begin_turn(is_bus_drained, now.tick);
        for _ in 0..DATAGRAMS_PER_TURN {
            if !self.announce_next(peers, rules, book, outputs, now) {
                break;
            }
            self.sent_at = Some(now.tick);
        }
    }

    /// Sends again what is not confirmed, and gives up what was waited for long enough.
    pub(super) fn repeat_messages(&mut self, outputs: &mut Outputs, now: Now) {
        for part in self.messages.handle_timeout(outputs, now.tick) {
            self.send(News::Message(part), outputs, now);
        }
    }

    /// A node has confirmed messages, those of this node among them.
    pub(super) fn take_receipts(&mut self, by: NodeId, receipts: &[Receipt], outputs: &mut Outputs) {
        for receipt in receipts.iter().filter(|receipt| receipt.sender == self.node) {
            self.messages.confirm(by, receipt, outputs);
        }
    }

    /// Confirms what was received of messages, the way that they came.
    pub(super) fn confirm(&mut self, origin: Origin, receipts: Vec<Receipt>, outputs: &mut Outputs, now: Now) {
        let received = News::Received { is_behind: self.is_behind, receipts };
        self.send_to(To::Origin(origin), received, outputs, now);
    }

    /// The members here lag far behind, or no longer. A change is announced at once, and again soon.
    pub(super) fn set_behind(&mut self, is_behind: bool, now: Now) {
        if std::mem::replace(&mut self.is_behind, is_behind) != is_behind {
            self.call_out(now);
        }
    }

    /// Whether this node's counters are due.
    pub(super) fn are_counters_due(&self, now: Now) -> bool {
        self.counters_at <= now.tick
    }

    /// Announces at most [`COUNTERS_MAX`] figures of this node, which stand in the order of their numbers.
    pub(super) fn announce_counters(&mut self, counters: &[Counter], outputs: &mut Outputs, now: Now) {
        self.counters_at = now.tick.after(COUNTERS_GAP);
        self.counters_sent_at = Some(now.tick);
        self.send(News::Counters(counters.iter().copied().take(COUNTERS_MAX).collect()), outputs, now);
    }

    /// Says goodbye, and where this node stands.
    pub(super) fn say_goodbye(&mut self, book: &Book, outputs: &mut Outputs, now: Now) {
        self.send(News::Bye(self.farewell), outputs, now);
        if self.stance != Stance::Departs {
            let (of, stance, version) = (self.node, self.stance, book.journal.version());
            self.send(News::GoodbyeReceived { of, stance, version }, outputs, now);
        }
        self.alive_at = now.tick.after(ALIVE_GAP_MIN);
    }

    /// When the last change of this share is announced; `None` if it was, or if there is no other node.
    pub(super) fn unannounced_until(&self, share: ItemId, journal: &Journal, peers: &Peers) -> Option<Tick> {
        (!journal.is_announced(share) && !peers.is_alone()).then_some(self.fresh_at)
    }

    /// A peer is waiting for the news that is there: fresh news is announced now.
    pub(super) fn hasten_news(&mut self, now: Now) {
        self.fresh_at = self.fresh_at.min(now.tick);
    }

    /// Fresh news is announced with the next tick at the earliest: what is due in this one was announced before.
    pub(super) fn delay_news(&mut self, now: Now) {
        self.fresh_at = self.fresh_at.max(Tick(now.tick.0 + 1));
    }

    /// A peer has come that is living: it shall have this node's counters, too. They are for all that have come meanwhile.
    pub(super) fn hasten_counters(&mut self, peers: &Peers, rules: &ClusterRules, now: Now) {
        let not_before =
            self.counters_sent_at.map_or(now.tick, |at| at.after(rules.gathering_time(peers.living_count())));
        self.counters_at = self.counters_at.min(not_before.max(now.tick));
    }

    /// A peer has come, perhaps to stay: a sign of life follows soon.
    pub(super) fn hasten_sign_of_life(&mut self, now: Now) {
        self.alive_gap = ALIVE_GAP_MIN;
        self.alive_at = self.alive_at.min(now.tick.after(ALIVE_GAP_MIN));
    }

    /// The first question was asked: it is a sign of life of its own.
    pub(super) fn delay_sign_of_life(&mut self, now: Now) {
        self.alive_at = now.tick.after(ALIVE_GAP_MIN);
    }

    /// Announces that this node has listed a name among the folded ones.
    pub(super) fn announce_folded(&mut self, name: NodeId) {
        self.departed.add_name(name);
    }

    /// Sends a sign of life to all.
    fn send_sign_of_life(&mut self, peers: &Peers, book: &mut Book, outputs: &mut Outputs, now: Now) {
        let mentions = book.censuses.take_mentions(now.tick);
        let alive = Alive { mentions, ..self.alive(book.journal.announced(), None, peers, book, now) };
        self.send(News::Alive(alive), outputs, now);
    }

    /// Answers a question, the way that it came. Fresh news is announced to a peer that asks at once, so the answer counts it.
    pub(super) fn answer(
        &mut self,
        echo: Echo,
        origin: Origin,
        peers: &Peers,
        book: &Book,
        outputs: &mut Outputs,
        now: Now,
    ) {
        if self.has_departed() {
            // It would be met, and forgotten.
            return;
        }
        let alive = self.alive(book.journal.version(), Some(echo), peers, book, now);
        self.send_to(To::Origin(origin), News::Alive(alive), outputs, now);
    }

    fn alive(&self, version: u64, echo: Option<Echo>, peers: &Peers, book: &Book, now: Now) -> Alive {
        Alive {
            version,
            horizon: book.journal.horizon(),
            message: self.messages.last(),
            claim_order: book.claims.latest(),
            departed_digest: peers.departed_digest(),
            unix_ms: now.unix_ms,
            is_behind: self.is_behind,
            promise: echo.map_or_else(Promise::default, |_| promise_of(self.farewell)),
            echo,
            mentions: Mentions::default(),
        }
    }

    /// Sends news at once, and twice more.
    pub(super) fn announce_thrice(&mut self, news: News<Rc<str>>, outputs: &mut Outputs, now: Now) {
        self.copies.add(&news, now.tick);
        self.send(news, outputs, now);
    }

    /// Sends news to all at once, and not again.
    pub(super) fn send(&mut self, news: News<Rc<str>>, outputs: &mut Outputs, now: Now) {
        self.send_to(To::All, news, outputs, now);
    }

    /// Sends news at once, and not again.
    pub(super) fn send_to(&mut self, to: To, news: News<Rc<str>>, outputs: &mut Outputs, now: Now) {
        self.number += 1;
        let written = if news.is_introduction() { self.formats.oldest } else { self.format };
        let format = Format { written, newest: self.formats.newest };
        let datagram = Datagram { sender: self.node, number: self.number, clock: now.tick.0, format, news };
        outputs.push_back(Output::Send(to, datagram));
    }

    /// Sends the next datagram that is due; returns whether there was one.
    fn announce_next(
        &mut self,
        peers: &Peers,
        rules: &ClusterRules,
        book: &mut Book,
        outputs: &mut Outputs,
        now: Now,
    ) -> bool {
        let has_fresh = !peers.is_alone() && book.journal.has(Stretch::Fresh) && self.fresh_at <= now.tick;
        if has_fresh && self.announce_stretch(Stretch::Fresh, peers, book, outputs, now) {
            self.pace_after_news(rules.gathering_time(peers.living_count()), book, peers, now);
            return true;
        }
        if let Some(news) = self.copies.pop_due(now.tick) {
            self.send(news, outputs, now);
            return true;
        }
        if self.alive_at <= now.tick && self.has_departed() {
            self.say_goodbye(book, outputs, now);
            return true;
        }
        if self.alive_at <= now.tick {
            self.send_sign_of_life(peers, book, outputs, now);
            let heartbeat = rules.heartbeat();
            let is_lone = peers.living_count() == 0;
            self.alive_at = now.tick.after(if is_lone { rules.lone_interval } else { self.alive_gap.min(heartbeat) });
            self.alive_gap = (self.alive_gap * 2).min(heartbeat);
            return true;
        }
        if !self.pace.take() {
            return false;
        }
        if self.announce_stretch(Stretch::Repair, peers, book, outputs, now) {
            return true;
        }
        if let Some(answer) = self.surveys.next_answer(book) {
            self.send(answer, outputs, now);
            return true;
        }
        self.announce_departed(peers, book, outputs, now)
    }

    /// Sets when the next news and the next sign of life are due, now that some news was announced.
    fn pace_after_news(&mut self, gathering_time: Duration, book: &Book, peers: &Peers, now: Now) {
        if !book.journal.has(Stretch::Fresh) {
            self.fresh_at = now.tick.after(gathering_time);
        }
        if peers.living_count() > 0 {
            // The news that is gathered meanwhile says as well how much there was to receive.
            self.alive_gap = ALIVE_GAP_MIN;
            self.alive_at = now.tick.after(gathering_time.max(ALIVE_GAP_MIN));
        }
    }

    /// Sends one report of a stretch; returns whether there was something. While the node's own sums are on their way into the
    /// fold, some are those under its name and some are not: all of them wait.
    pub(super) fn announce_stretch(
        &mut self,
        stretch: Stretch,
        peers: &Peers,
        book: &mut Book,
        outputs: &mut Outputs,
        now: Now,
    ) -> bool {
        if peers.renewal.is_some() {
            return false;
        }
        let mut items = Vec::new();
        let mut room = ITEMS_WEIGHT_MAX;
        let versions = items::announce(stretch, book, now, |item, census| {
            let census = census.map(Item::Census);
            let weight = item.weight() + census.as_ref().map_or(0, Item::weight);
            let Some(left) = room.checked_sub(weight) else { return false };
            room = left;
            items.push(item);
            items.extend(census);
            true
        });
        let Some(Versions { from, to }) = versions else { return false };
        let (horizon, (name, _)) = (book.journal.horizon(), peers.fold.name_of(self.node));
        self.send(News::Report { from, to, horizon, name, items }, outputs, now);
        true
    }

    /// Sends one datagram of departed shares, or at least looks for them; returns whether there was something left to do.
    fn announce_departed(&mut self, peers: &Peers, book: &Book, outputs: &mut Outputs, now: Now) -> bool {
        if !self.departed.is_under_way() {
            return false;
        }
        if let Some(news) = self.departed.next(ITEMS_WEIGHT_MAX, peers, book, now) {
            self.send(news, outputs, now);
        }
        true
    }
}
