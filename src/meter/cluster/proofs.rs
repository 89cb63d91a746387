//! What only this process can know, and no other can make up.
//!
//! Owns the secret, and all that is derived from it by a keyed hash (SipHash-2-4). A process that is shown some of
//! these numbers learns nothing of the others. It keeps nothing of any node.
//!
//! Invariant: a number is derived from its purpose too, so that one that was shown for one purpose serves no other.

#[expect(deprecated, reason = "the other hashers of std take no key from their caller")]
use std::hash::SipHasher;
use std::hash::{Hash, Hasher as _};
use std::time::Duration;

use crate::collections::sections::{Reader, Writer};
use crate::collections::tick::Tick;
use crate::meter::news::{Farewell, NodeId, Origin, Promise, Secret};

/// How long the nonce for a node stays the same. It counts for as long again, so an answer has this long at least.
const EPOCH: Duration = Duration::from_secs(10);

/// What a number is for.
#[derive(Clone, Copy, Hash)]
enum Purpose {
    /// The nonce of a question to a node of which nothing is kept.
    Stranger,
    /// A nonce that is kept until it is answered.
    Question,
    /// The first question.
    Greeting,
    /// The goodbye.
    Farewell,
    /// The place of an address in a table.
    Place,
}

/// The secret of this process.
#[derive(Clone, Copy)]
pub(super) struct Proofs {
    secret: Secret,
    /// Moves when a node departs: what answers proved before proves nothing after.
    generation: u64,
    draw_count: u64,
}

impl Proofs {
    pub(super) fn new(secret: Secret) -> Self {
        Self { secret, generation: 0, draw_count: 0 }
    }

    pub(super) fn write(self, out: &mut Writer) {
        let Self { secret: Secret(halves), generation, draw_count } = self;
        for half in halves {
            out.fixed(half);
        }
        out.number(generation);
        out.number(draw_count);
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        let secret = Secret([from.fixed(), from.fixed()]);
        Self { secret, generation: from.number(), draw_count: from.number() }
    }

    /// What this process alone knows.
    pub(super) fn secret(&self) -> Secret {
        self.secret
    }

    /// Answers to earlier questions prove nothing from now on: they may have been recorded.
    pub(super) fn renew(&mut self) {
        self.generation += 1;
    }

    /// What a node that is not known here has to repeat, as in SYN cookies (RFC 4987 section 3.6). An address that is not
    /// listed is in it, so the answer proves the address, too.
    pub(super) fn nonce_for(&self, node: NodeId, origin: Origin, now: Tick) -> u64 {
        self.nonce_of_epoch(node, origin, epoch(now))
    }

    /// Whether a node that is not known here has repeated what it was asked by this way, in this epoch or the last one.
    pub(super) fn is_answer(&self, nonce: u64, node: NodeId, origin: Origin, now: Tick) -> bool {
        let epoch = epoch(now);
        [epoch, epoch.saturating_sub(1)].into_iter().any(|epoch| self.nonce_of_epoch(node, origin, epoch) == nonce)
    }

    /// A nonce that was never drawn before.
    pub(super) fn draw_question(&mut self) -> u64 {
        self.draw_count += 1;
        self.derive(Purpose::Question, self.draw_count)
    }

    /// The nonce of the first question.
    pub(super) fn greeting(&self) -> u64 {
        self.derive(Purpose::Greeting, self.generation)
    }

    /// What this node says when it goes.
    pub(super) fn farewell(&self) -> Farewell {
        Farewell([0, 1].map(|half: u8| self.derive(Purpose::Farewell, half)))
    }

    /// A number that others cannot foresee, for this way to a node. Another one follows when answers have to be renewed.
    pub(super) fn place_of(&self, node: Option<NodeId>, origin: Origin) -> u64 {
        self.derive(Purpose::Place, (self.generation, node, way(origin)))
    }

    fn nonce_of_epoch(&self, node: NodeId, origin: Origin, epoch: u64) -> u64 {
        self.derive(Purpose::Stranger, (self.generation, node, way(origin), epoch))
    }

    fn derive(&self, purpose: Purpose, of: impl Hash) -> u64 {
        keyed_hash(self.secret.0, (purpose, of))
    }
}

/// What this farewell was promised by. `SipHash` does not give its key away, and the farewell is the key.
#[must_use]
pub fn promise_of(Farewell(key): Farewell) -> Promise {
    Promise(keyed_hash(key, Purpose::Farewell))
}

/// A way, as far as an answer has to come by it. The operator vouches for all listed addresses alike, and a host may have
/// several.
fn way(origin: Origin) -> Origin {
    const ANY_LISTED: Origin = Origin::Listed(crate::meter::news::Address { ip: 0, port: 0 });
    if let Origin::Listed(_) = origin { ANY_LISTED } else { origin }
}

fn epoch(now: Tick) -> u64 {
    now.ms_since(Tick(0)) / u64::try_from(EPOCH.as_millis()).unwrap_or(u64::MAX)
}

#[expect(deprecated, reason = "the other hashers of std take no key from their caller")]
fn keyed_hash([first, second]: [u64; 2], of: impl Hash) -> u64 {
    let mut hasher = SipHasher::new_with_keys(first, second);
    of.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::news::Address;

    const NODE: NodeId = NodeId(7);

    fn address(port: u16) -> Address {
        Address { ip: 1, port }
    }

    #[test]
    fn an_answer_proves_the_node_the_address_and_the_moment() {
        let proofs = Proofs::new(Secret([1, 2]));
        let (here, there) = (Origin::Unlisted(address(1)), Origin::Unlisted(address(2)));
        let asked_at = Tick(1_500);
        let nonce = proofs.nonce_for(NODE, here, asked_at);
        assert!(proofs.is_answer(nonce, NODE, here, asked_at));
        assert!(proofs.is_answer(nonce, NODE, here, Tick(2_999)), "the epoch after");
        assert!(!proofs.is_answer(nonce, NODE, here, Tick(3_000)), "a recording");
        assert!(!proofs.is_answer(nonce, NODE, there, asked_at), "another address");
        assert!(!proofs.is_answer(nonce, NodeId(8), here, asked_at), "another node");
        assert!(!proofs.is_answer(nonce, NODE, Origin::Group, asked_at), "another way");
        assert!(!Proofs::new(Secret([1, 3])).is_answer(nonce, NODE, here, asked_at), "another process");
    }

    #[test]
    fn a_host_may_answer_from_another_of_its_listed_addresses() {
        let proofs = Proofs::new(Secret([1, 2]));
        let nonce = proofs.nonce_for(NODE, Origin::Listed(address(1)), Tick(0));
        assert!(proofs.is_answer(nonce, NODE, Origin::Listed(address(2)), Tick(0)));
    }

    #[test]
    fn what_was_proved_before_a_node_departed_is_to_be_proved_again() {
        let mut proofs = Proofs::new(Secret([1, 2]));
        let (nonce, greeting) = (proofs.nonce_for(NODE, Origin::Group, Tick(0)), proofs.greeting());
        proofs.renew();
        assert!(!proofs.is_answer(nonce, NODE, Origin::Group, Tick(0)));
        assert_ne!(proofs.greeting(), greeting);
    }

    #[test]
    fn a_farewell_keeps_its_promise_and_no_other() {
        let farewell = Proofs::new(Secret([1, 2])).farewell();
        assert_eq!(promise_of(farewell), promise_of(farewell));
        let Farewell([first, second]) = farewell;
        for other in [[first ^ 1, second], [first, second ^ 1], [second, first], [0, 0]] {
            assert_ne!(promise_of(Farewell(other)), promise_of(farewell));
        }
    }
}
