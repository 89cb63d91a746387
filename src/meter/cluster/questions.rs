//! What this node asks of the others.
//!
//! Owns the nonces, the first question, and the pace of questions about departed nodes. An answer that repeats a nonce is
//! no recording. A question about the items of one peer is paced by that peer's record.
//!
//! Invariant: no nonce is drawn twice.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use crate::collections::tick::Tick;
use crate::meter::news::NodeId;

/// How long an answer may take before the question is repeated.
pub(super) const ANSWER_TIME: Duration = Duration::from_millis(200);

/// When a question about departed nodes is repeated; doubled each time that nothing has come of it, up to the second.
const DEPARTED_GAP_MIN: Duration = Duration::from_millis(200);
const DEPARTED_GAP_MAX: Duration = Duration::from_secs(2);

/// The first question.
#[derive(Clone, Copy, Debug)]
struct Hello {
    /// What answers to it repeat.
    nonce: u64,
    /// Until when such an answer counts.
    until: Tick,
}

/// What this node asks.
#[derive(Debug)]
pub(super) struct Questions {
    node: NodeId,
    draw_count: u64,
    hello: Option<Hello>,
    departed_at: Tick,
    departed_gap: Duration,
    /// What this node knew of departed nodes when it last asked about them, as a digest.
    departed_digest: Option<u64>,
}

impl Questions {
    /// The questions of a node that has asked none.
    pub(super) fn new(node: NodeId) -> Self {
        Self {
            node,
            draw_count: 0,
            hello: None,
            departed_at: Tick(0),
            departed_gap: DEPARTED_GAP_MIN,
            departed_digest: None,
        }
    }

    /// Draws a nonce. A node that does not know this node's name before its first datagram cannot foresee it.
    pub(super) fn draw(&mut self) -> u64 {
        self.draw_count += 1;
        let mut hasher = DefaultHasher::new();
        (self.node, self.draw_count).hash(&mut hasher);
        hasher.finish()
    }

    /// Whether the first question was asked.
    pub(super) fn has_greeted(&self) -> bool {
        self.hello.is_some()
    }

    /// Asks the first question, the answers to which count until this time; returns its nonce.
    pub(super) fn greet(&mut self, until: Tick) -> u64 {
        let nonce = self.draw();
        self.hello = Some(Hello { nonce, until });
        nonce
    }

    /// Whether answers to the first question may still come.
    pub(super) fn is_newcomer(&self, now: Tick) -> bool {
        self.hello.is_none_or(|hello| now < hello.until)
    }

    /// What the answer of a peer that was not known has to repeat.
    pub(super) fn nonce_for_stranger(&mut self, now: Tick) -> u64 {
        let greeting = self.hello.filter(|hello| now < hello.until).map(|hello| hello.nonce);
        greeting.unwrap_or_else(|| self.draw())
    }

    /// A peer is forgotten. Its answer to the first question may have been recorded, so the next stranger has to repeat
    /// another nonce.
    pub(super) fn renew_hello(&mut self) {
        if let Some(Hello { until, .. }) = self.hello {
            self.hello = Some(Hello { nonce: self.draw(), until });
        }
    }

    /// Whether to ask a peer about departed nodes now, because its digest is not this node's own. Repeated questions to a
    /// peer that knows less than this node do not help, so they become rare.
    pub(super) fn asks_about_departed(&mut self, own_digest: u64, digest: u64, now: Tick) -> bool {
        if digest == own_digest || self.departed_at > now {
            return false;
        }
        let has_learned = self.departed_digest.replace(own_digest) != Some(own_digest);
        let gap = if has_learned { DEPARTED_GAP_MIN } else { self.departed_gap };
        self.departed_at = now.after(gap);
        self.departed_gap = (gap * 2).min(DEPARTED_GAP_MAX);
        true
    }
}
