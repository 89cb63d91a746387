//! Nodes that may come to be a trouble, until they have been one for long enough.
//!
//! Owns when each was first and last seen. A moment of trouble is usual, such as a datagram that had to wait, or a node that
//! proves itself with the next one.
//!
//! Invariant: there are at most [`SUSPECTS_MAX`]. The first ones are kept until they are not seen any more, so that one that
//! stays is found, whatever number of others pass by.

use std::time::Duration;

use crate::collections::tick::Tick;
use crate::meter::news::NodeId;

/// Most nodes that are remembered.
const SUSPECTS_MAX: usize = 4;

/// Nodes under suspicion.
pub(super) struct Suspects {
    /// How long one is seen before it is a trouble, and how long it is remembered without being seen.
    patience: Duration,
    suspects: Vec<Suspect>,
}

struct Suspect {
    node: NodeId,
    first: Tick,
    last: Tick,
}

impl Suspects {
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience, suspects: Vec::new() }
    }

    /// The node has given cause. Returns whether it has done so for long enough.
    pub(super) fn see(&mut self, node: NodeId, now: Tick) -> bool {
        let patience = self.patience;
        self.suspects.retain(|suspect| now < suspect.last.after(patience));
        let Some(suspect) = self.suspects.iter_mut().find(|suspect| suspect.node == node) else {
            if self.suspects.len() < SUSPECTS_MAX {
                self.suspects.push(Suspect { node, first: now, last: now });
            }
            return false;
        };
        suspect.last = now;
        now >= suspect.first.after(patience)
    }

    /// The node has given no cause.
    pub(super) fn clear(&mut self, node: Option<NodeId>) {
        self.suspects.retain(|suspect| Some(suspect.node) != node);
    }
}
