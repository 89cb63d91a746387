//! What this node asks of the others.
//!
//! Owns the first question, which nodes are asked to prove themselves, and the pace of questions about departed nodes. A
//! question about the items of one peer is paced by that peer's record.
//!
//! A node that has not proved itself costs nothing but the answer: a nonce can be checked without having been kept
//! ([`Proofs`]). The table of the nodes that were asked just now has a fixed size, and is no memory of nodes: it keeps one
//! from being asked twice in a row.
//!
//! Invariant: nodes that are not known are sent no more questions than they have paid for ([`Credit`]).

use std::time::Duration;

use super::proofs::Proofs;
use crate::collections::sections::{Reader, Writer};
use crate::collections::tick::Tick;
use crate::meter::news::{ANSWER_BYTES_MAX, ASK_BYTES, News, NodeId, Origin, Secret};

/// How long an answer may take before the question is repeated.
pub(super) const ANSWER_TIME: Duration = Duration::from_millis(200);

/// How often an address that is not listed is asked to prove that it is there.
const ADDRESS_GAP: Duration = Duration::from_secs(1);

/// How many nodes and addresses are remembered to have been asked just now.
const ASKED_MAX: usize = 256;

/// For how long no departed node may have come back until what is known of departed nodes is compared with others. While a fleet
/// meets again after a cut, no two nodes know the same of them, and there is nothing to learn.
const REUNION_GAP: Duration = Duration::from_millis(500);

/// How long that is waited for, in a fleet whose nodes depart and come back without a rest.
const REUNION_MAX: Duration = Duration::from_secs(10);

/// When a question about departed nodes is repeated; doubled each time that nothing has come of it, up to the second.
const DEPARTED_GAP_MIN: Duration = Duration::from_millis(200);
const DEPARTED_GAP_MAX: Duration = Duration::from_secs(2);

/// The same of a node without room for more namespaces. It may have forgotten what the other remembers, so the digests differ
/// for as long as the other does.
const DEPARTED_GAP_FULL: Duration = Duration::from_secs(10);

/// The first question.
#[derive(Clone, Copy, Debug)]
struct Hello {
    /// What answers to it repeat.
    nonce: u64,
    /// Until when such an answer counts.
    until: Tick,
}

/// A node or an address that was asked to prove itself.
#[derive(Clone, Copy, Debug, Default)]
struct Asked {
    name: u64,
    until: Tick,
}

/// What nodes that are not known have sent beyond what they were answered, in bytes: a flood in invented names draws
/// out no more than it brings in. Ten questions a second are free, which is 2 kB/s: nodes that find each other again
/// after a cut need not wait.
#[derive(Debug)]
struct Credit {
    bytes: u64,
    at: Tick,
}

impl Credit {
    /// A question with its seal of 16 bytes.
    const QUESTION: u64 = ASK_BYTES as u64 + 16;
    const MAX: u64 = 64 * Self::QUESTION;
    const FREE_GAP_MS: u64 = 100;

    fn new() -> Self {
        Self { bytes: Self::MAX, at: Tick(0) }
    }

    fn earn(&mut self, bytes: u64, now: Tick) {
        let free = now.ms_since(self.at) / Self::FREE_GAP_MS * Self::QUESTION;
        if free > 0 {
            self.at = now;
        }
        self.bytes = (self.bytes + free + bytes).min(Self::MAX);
    }

    fn spend(&mut self) -> bool {
        let left = self.bytes.checked_sub(Self::QUESTION);
        self.bytes = left.unwrap_or(self.bytes);
        left.is_some()
    }
}

/// A time in which departed nodes come back, one after another.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reunion {
    since: Tick,
    until: Tick,
}

impl Reunion {
    /// One more is back.
    pub(super) fn record_return(&mut self, now: Tick) {
        if self.until <= now {
            self.since = now;
        }
        self.until = now.after(REUNION_GAP);
    }

    fn is_under_way(self, now: Tick) -> bool {
        now < self.until.min(self.since.after(REUNION_MAX))
    }
}

/// The least that a datagram of an unknown node has brought in, in bytes, when it is answered: a question's length less that
/// of its answer, the 38 of the shortest sign of life, or the 24 that every datagram has.
pub(super) fn earned_by<N>(news: &News<N>) -> u64 {
    match news {
        News::Ask(_) => (ASK_BYTES - ANSWER_BYTES_MAX) as u64,
        News::Alive(_) => 38,
        _ => 24,
    }
}

/// What this node asks.
pub(super) struct Questions {
    pub(super) proofs: Proofs,
    hello: Option<Hello>,
    credit: Credit,
    asked: Box<[Asked]>,
    departed_at: Tick,
    departed_gap: Duration,
    pub(super) reunion: Reunion,
    /// What this node knew of departed nodes when it last asked about them, as a digest.
    departed_digest: Option<u64>,
}

impl Questions {
    /// The questions of a node that has asked none.
    pub(super) fn new(secret: Secret) -> Self {
        Self {
            proofs: Proofs::new(secret),
            hello: None,
            credit: Credit::new(),
            asked: vec![Asked::default(); ASKED_MAX].into(),
            departed_at: Tick(0),
            departed_gap: DEPARTED_GAP_MIN,
            reunion: Reunion::default(),
            departed_digest: None,
        }
    }

    pub(super) fn write(&self, out: &mut Writer) {
        let Self { proofs, hello, credit, asked, departed_at, departed_gap, reunion, departed_digest } = self;
        proofs.write(out);
        out.flag(hello.is_some());
        if let Some(Hello { nonce, until }) = hello {
            out.fixed(*nonce);
            out.tick(*until);
        }
        let Credit { bytes, at } = credit;
        out.number(*bytes);
        out.tick(*at);
        out.count(asked.len());
        for Asked { name, until } in asked {
            out.fixed(*name);
            out.tick(*until);
        }
        let Reunion { since, until } = reunion;
        for &tick in [departed_at, since, until] {
            out.tick(tick);
        }
        out.duration(*departed_gap);
        out.option(*departed_digest);
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        let mut questions = Self::new(Secret([0; 2]));
        questions.proofs = Proofs::read(from);
        questions.hello = from.flag().then(|| Hello { nonce: from.fixed(), until: from.tick() });
        questions.credit = Credit { bytes: from.number(), at: from.tick() };
        let (mut slots, mut list) = (questions.asked.iter_mut(), from.list());
        while from.has_next(&mut list) {
            let asked = Asked { name: from.fixed(), until: from.tick() };
            if let Some(slot) = slots.next() {
                *slot = asked;
            }
        }
        questions.departed_at = from.tick();
        questions.reunion = Reunion { since: from.tick(), until: from.tick() };
        questions.departed_gap = from.duration();
        questions.departed_digest = from.option();
        questions
    }

    /// Whether the first question was asked.
    pub(super) fn has_greeted(&self) -> bool {
        self.hello.is_some()
    }

    /// Asks the first question, the answers to which count until this time; returns its nonce.
    pub(super) fn greet(&mut self, until: Tick) -> u64 {
        let nonce = self.proofs.greeting();
        self.hello = Some(Hello { nonce, until });
        nonce
    }

    /// The nonce for a node that has not proved itself, if it is asked now. It has brought in `earned` bytes.
    pub(super) fn nonce_for_stranger(&mut self, node: NodeId, origin: Origin, earned: u64, now: Tick) -> Option<u64> {
        self.credit.earn(earned, now);
        let (node_alone, gap) = match origin {
            Origin::Unlisted(_) => (None, ADDRESS_GAP),
            _ => (Some(node), ANSWER_TIME),
        };
        let name = self.proofs.place_of(node_alone, origin);
        let slot = usize::try_from(name % ASKED_MAX as u64).unwrap_or(0);
        let asked = self.asked.get_mut(slot)?;
        if (asked.name == name && asked.until > now) || !self.credit.spend() {
            return None;
        }
        *asked = Asked { name, until: now.after(gap) };
        Some(self.proofs.nonce_for(node, origin, now))
    }

    /// Whether a node that is not known has proved that it is there, and gets what is sent to where it came from.
    pub(super) fn is_proof(&self, nonce: u64, node: NodeId, origin: Origin, now: Tick) -> bool {
        self.proofs.is_answer(nonce, node, origin, now) || self.is_greeted(nonce, origin, now)
    }

    /// Whether this answers the first question. It went to all, so it proves no address.
    fn is_greeted(&self, nonce: u64, origin: Origin, now: Tick) -> bool {
        let is_listed = !matches!(origin, Origin::Unlisted(_));
        is_listed
            && self
                .hello
                .is_some_and(|hello| now < hello.until && nonce == hello.nonce && hello.nonce == self.proofs.greeting())
    }

    /// Whether to ask a peer about departed nodes now, because its digest is not this node's own. Repeated questions to a
    /// peer that knows less than this node do not help, so they become rare. `has_room` says whether the node can learn of
    /// more namespaces.
    pub(super) fn asks_about_departed(&mut self, own_digest: u64, digest: u64, has_room: bool, now: Tick) -> bool {
        if digest == own_digest || self.departed_at > now || self.reunion.is_under_way(now) {
            return false;
        }
        let has_learned = self.departed_digest.replace(own_digest) != Some(own_digest);
        let gap = if has_learned { DEPARTED_GAP_MIN } else { self.departed_gap };
        self.departed_at = now.after(gap);
        self.departed_gap = (gap * 2).min(if has_room { DEPARTED_GAP_MAX } else { DEPARTED_GAP_FULL });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::news::Address;

    fn questions() -> Questions {
        Questions::new(Secret([3, 4]))
    }

    #[test]
    fn invented_names_are_asked_no_more_than_they_send() {
        let mut questions = questions();
        let asked = (0..10_000)
            .filter(|&node| questions.nonce_for_stranger(NodeId(node), Origin::Group, 38, Tick(9)).is_some())
            .count();
        assert_eq!(asked, 64 + 38 * 9_999 / 176, "a purse of 64, and five signs of life or so for a question");
    }

    #[test]
    fn an_address_is_asked_once_a_second_whatever_the_names() {
        let mut questions = questions();
        let origin = Origin::Unlisted(Address { ip: 5, port: 6 });
        let mut asks = |node, at| questions.nonce_for_stranger(NodeId(node), origin, 48, Tick(at)).is_some();
        assert!(asks(1, 100));
        assert!(!asks(2, 150) && !asks(3, 199));
        assert!(asks(4, 202));
    }

    #[test]
    fn departed_nodes_are_not_asked_about_while_some_come_back_unless_that_has_no_end() {
        let mut questions = questions();
        let mut asks = |at| questions.asks_about_departed(1, 2, true, Tick(at));
        assert!(asks(100));
        assert!(!asks(110), "that was just now");
        questions.reunion.record_return(Tick(1_000));
        let mut asks = |at| questions.asks_about_departed(1, 2, true, Tick(at));
        assert!(!asks(1_049));
        assert!(asks(1_051));
        let first_asked = (0..300).map(|step| 2_000 + 10 * step).find(|&at| {
            questions.reunion.record_return(Tick(at));
            questions.asks_about_departed(1, 2, true, Tick(at))
        });
        assert_eq!(first_asked, Some(3_010));
    }

    #[test]
    fn the_first_question_proves_nodes_and_no_addresses() {
        let mut questions = questions();
        let nonce = questions.greet(Tick(500));
        let unlisted = Origin::Unlisted(Address { ip: 5, port: 6 });
        assert!(questions.is_proof(nonce, NodeId(1), Origin::Group, Tick(9)));
        assert!(!questions.is_proof(nonce, NodeId(1), unlisted, Tick(9)));
        assert!(!questions.is_proof(nonce, NodeId(1), Origin::Group, Tick(500)), "it is over");
        questions.proofs.renew();
        assert!(
            !questions.is_proof(nonce, NodeId(1), Origin::Group, Tick(9)),
            "a recording of a node that has departed"
        );
    }
}
