//! Another node, as it is known here.
//!
//! Owns what is known of one node: whether it is there, how far its news was received, and its way. What it has counted is
//! in its [`Pairs`]. It does not know the other nodes.
//!
//! Invariant: a datagram is new once.

use std::rc::Rc;
use std::time::Duration;

use super::arrivals::{Arrival, Arrivals};
use super::inbox::Inbox;
use super::pairs::Pairs;
use super::silence::Silence;
use super::transit::Transit;
use crate::collections::sections::{Reader, Writer};
use crate::collections::tick::{Moment, Tick};
use crate::meter::accounts::stays::StaysTable;
use crate::meter::book::keys::NamespaceId;
use crate::meter::news::{Counter, NodeId, Origin, Promise};

/// Whether a peer is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// It is there.
    Living,
    /// It is not: it has said goodbye, was silent for too long, or is known from others only.
    Departed,
}

/// What a node has said of its end. What it says later is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LastWord {
    /// Nothing.
    None,
    /// Goodbye.
    Goodbye,
    /// It departs, and has answered the goodbye of this node.
    Departs,
    /// A node that goes on is answerable for its events.
    Covered,
    /// It reports the events that end.
    Reports,
}

impl LastWord {
    fn read(from: &mut Reader<'_>) -> Self {
        match from.number() {
            1 => Self::Goodbye,
            2 => Self::Departs,
            3 => Self::Covered,
            4 => Self::Reports,
            number => {
                from.check(number == 0, "an unknown last word");
                Self::None
            }
        }
    }
}

/// Another node.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) node: NodeId,
    pub(super) presence: Presence,
    /// By which way it is answered.
    pub(super) origin: Origin,
    /// The newest version of the format that it reads.
    pub(super) newest_format: u8,
    /// What its goodbye has to fit.
    pub(super) promise: Promise,
    /// The nonce that it has to repeat before a number that is out of all order counts.
    pub(super) question: Option<u64>,
    pub(super) silence: Silence,
    /// Up to which version all of its items are known.
    pub(super) known: u64,
    /// The number of the datagram by which it was found to be living.
    pub(super) proof: u64,
    /// Up to which version all is known that it has announced since then; of older items only later announcements have
    /// come. While a newcomer is still sent what there is, this is ahead of `known`.
    pub(super) base: u64,
    /// The version that it is at, as far as is known.
    pub(super) version: u64,
    /// When it may be asked again.
    pub(super) ask_at: Tick,
    pub(super) pairs: Pairs,
    /// While its members are being removed: the first namespace in which they may still be counted. It is living again
    /// after that at the earliest.
    pub(super) removal: Option<NamespaceId>,
    pub(super) inbox: Inbox,
    /// Whether its members lag so far behind that no more messages shall be announced.
    pub(super) is_behind: bool,
    /// What it has said of its end.
    pub(super) last_word: LastWord,
    /// Whether its name is listed: its sums are on their way into the fold.
    pub(super) is_folding: bool,
    /// Its place in the order in which nodes departed, as far as is known here.
    pub(super) departure: u64,
    /// What it last said that it knows of departed nodes, as a digest.
    pub(super) departed_digest: Option<u64>,
    /// Its latest figures of itself.
    pub(super) counters: Rc<[Counter]>,
    /// When its datagrams were sent.
    pub(super) transit: Transit,
    pub(super) arrivals: Arrivals,
}

impl Peer {
    pub(super) fn new(node: NodeId, now: Tick) -> Self {
        Self {
            node,
            presence: Presence::Departed,
            origin: Origin::Loopback,
            newest_format: u8::MAX,
            promise: Promise::default(),
            question: None,
            silence: Silence::begin(now),
            known: 0,
            proof: 0,
            base: 0,
            version: 0,
            ask_at: now,
            pairs: Pairs::new(node),
            removal: None,
            last_word: LastWord::None,
            is_folding: false,
            departure: 0,
            departed_digest: None,
            inbox: Inbox::default(),
            is_behind: false,
            counters: Rc::default(),
            transit: Transit::default(),
            arrivals: Arrivals::default(),
        }
    }

    pub(super) fn write(&self, stays: &StaysTable, out: &mut Writer) {
        let Self {
            node,
            presence,
            origin,
            newest_format,
            promise,
            question,
            silence,
            known,
            proof,
            base,
            version,
            ask_at,
            pairs,
            removal,
            inbox,
            is_behind,
            last_word,
            is_folding,
            departure,
            departed_digest,
            counters,
            transit,
            arrivals,
        } = self;
        for number in [node.0, promise.0] {
            out.fixed(number);
        }
        for flag in [*presence == Presence::Living, *is_behind, *is_folding] {
            out.flag(flag);
        }
        origin.write(out);
        for number in [u64::from(*newest_format), *last_word as u64] {
            out.number(number);
        }
        for &number in [known, proof, base, version, departure] {
            out.number(number);
        }
        for &number in [question, departed_digest] {
            out.option(number);
        }
        silence.write(out);
        out.tick(*ask_at);
        out.option_key(*removal);
        pairs.write(stays, out);
        inbox.write(out);
        out.count(counters.len());
        for Counter { number, value } in counters.iter() {
            out.number((*number).into());
            out.number(*value);
        }
        transit.write(out);
        arrivals.write(out);
    }

    /// The peer that was written, with pairs of namespaces that are `there`.
    pub(super) fn read(there: &dyn Fn(NamespaceId) -> bool, stays: &mut StaysTable, from: &mut Reader<'_>) -> Self {
        let mut peer = Self::new(NodeId(from.fixed()), Tick(0));
        peer.promise = Promise(from.fixed());
        peer.presence = if from.flag() { Presence::Living } else { Presence::Departed };
        (peer.is_behind, peer.is_folding) = (from.flag(), from.flag());
        peer.origin = Origin::read(from);
        peer.newest_format = u8::try_from(from.number()).unwrap_or(u8::MAX);
        peer.last_word = LastWord::read(from);
        for number in [&mut peer.known, &mut peer.proof, &mut peer.base, &mut peer.version, &mut peer.departure] {
            *number = from.number();
        }
        (peer.question, peer.departed_digest) = (from.option(), from.option());
        (peer.silence, peer.ask_at, peer.removal) = (Silence::read(from), from.tick(), from.option_key());
        (peer.pairs, peer.inbox) = (Pairs::read(there, stays, from), Inbox::read(from));
        let (mut counters, mut list) = (Vec::new(), from.list());
        while from.has_next(&mut list) {
            counters.push(Counter { number: from.short(), value: from.number() });
        }
        peer.counters = counters.into();
        (peer.transit, peer.arrivals) = (Transit::read(from), Arrivals::read(from));
        peer
    }

    /// What the datagram of this number is: one that was received, or is too old for the window, is not new.
    pub(super) fn admit(&mut self, number: u64, origin: Origin, now: Tick) -> Arrival {
        self.arrivals.admit(number, origin, now)
    }

    /// Whether this number is so far ahead that the peer has to prove it.
    pub(super) fn is_jump(&self, number: u64) -> bool {
        self.arrivals.is_jump(number)
    }

    /// The peer has proved that this is its number now.
    pub(super) fn restart(&mut self, number: u64, origin: Origin, now: Tick) {
        self.question = None;
        self.arrivals.restart(number, origin, now);
    }

    /// Whether no later datagram than the one of this number has come. Only such a one is a sign of life: others may have
    /// been recorded, and kept for this.
    pub(super) fn is_latest(&self, number: u64) -> bool {
        self.arrivals.is_latest(number)
    }

    /// Takes the datagram of this number for a sign of life, unless one that was sent later has come. Returns whether there is
    /// no doubt: one that was on its way for longer than a node may be silent says nothing of now. It may be a recording of a
    /// node that is dead. Or this process was stopped, or the peer's clock; the answer to a question sets that right.
    pub(super) fn show_life(
        &mut self,
        number: u64,
        sent_at: Moment,
        origin: Origin,
        node_timeout: Duration,
        now: Tick,
    ) -> bool {
        if !self.is_latest(number) {
            return true;
        }
        let is_recent = Duration::from_millis(sent_at.age_ms(now)) <= node_timeout;
        if is_recent {
            self.silence = Silence::begin(now);
            self.origin = self.arrivals.nearest(origin, node_timeout, now);
        }
        is_recent
    }

    /// Whether it is living.
    pub(super) fn is_living(&self) -> bool {
        self.presence == Presence::Living
    }

    /// Whether it departs, and has not said which node is answerable for its events.
    pub(super) fn is_departing(&self) -> bool {
        matches!(self.last_word, LastWord::Goodbye | LastWord::Departs)
    }

    /// Whether it is away, and its sums stand under its own name.
    pub(super) fn is_single(&self) -> bool {
        !self.is_living() && !self.is_folding
    }

    /// Whether nothing is left of it but what it had counted.
    pub(super) fn is_remembered(&self) -> bool {
        self.is_single() && !self.pairs.is_empty()
    }

    /// Whether its members are still being taken off the counts.
    pub(super) fn is_being_removed(&self) -> bool {
        self.removal.is_some()
    }

    /// Takes its figures of itself from the datagram of this number, unless a later one has come. Those that this program
    /// does not know are among them; the length of a datagram bounds them all.
    pub(super) fn set_counters(&mut self, number: u64, counters: &[Counter]) {
        if self.is_latest(number) {
            self.counters = counters.into();
        }
    }

    /// Takes from the datagram of this number whether its members lag behind, unless a later one has come.
    pub(super) fn set_behind(&mut self, number: u64, is_behind: bool) {
        if self.is_latest(number) {
            self.is_behind = is_behind;
        }
    }

    /// Whether a report in the datagram of this number, up to this version, may have news. A report from before the peer was
    /// found to be living may say what the peer has taken back since, unseen.
    pub(super) fn wants(&self, number: u64, to: u64) -> bool {
        number > self.proof && to > self.known
    }

    /// Whether nothing was missed of what it has announced up to this version.
    pub(super) fn has_received(&self, version: u64) -> bool {
        version <= self.base.max(self.known)
    }

    /// When it is asked again for what is missing, or to prove its number.
    pub(super) fn repeat_at(&self) -> Option<Tick> {
        (self.is_ahead() || self.question.is_some()).then_some(self.ask_at)
    }

    /// When it is asked whether it is there. One whose datagrams reach all processes of this host is not.
    pub(super) fn call_at(&self, node_timeout: Duration) -> Option<Tick> {
        let is_by_unicast = matches!(self.origin, Origin::Listed(_) | Origin::Unlisted(_));
        if is_by_unicast { self.silence.call_at(node_timeout) } else { None }
    }

    /// Whether it is at a later version than is known.
    pub(super) fn is_ahead(&self) -> bool {
        self.is_living() && self.known < self.version
    }
}
