//! The connections whose message is on its way to the other nodes.
//!
//! Owns which answer each of them waits for. The meter settles a message within about a second, so none waits longer; it does
//! not know what is answered.
//!
//! Invariant: a connection that is freed waits for nothing. Its key may be another's.

use std::collections::HashMap;

use super::answers::answer::Confirmation;
use super::conns::conn::ConnId;

/// The connections that wait, by the numbers of their messages.
#[derive(Default)]
pub(super) struct Awaiting {
    by_number: HashMap<u64, (ConnId, Confirmation)>,
}

impl Awaiting {
    /// A connection waits until its message is settled.
    pub(super) fn add(&mut self, id: ConnId, confirmation: Confirmation) {
        self.by_number.insert(confirmation.number, (id, confirmation));
    }

    /// The connection that waits for the message of this number, which is settled.
    pub(super) fn take(&mut self, number: u64) -> Option<(ConnId, Confirmation)> {
        self.by_number.remove(&number)
    }

    /// A connection that waited is freed: its client has gone. No more wait than there are messages that are not settled.
    pub(super) fn forget(&mut self, id: ConnId) {
        self.by_number.retain(|_, (of, _)| *of != id);
    }

    /// Whether none waits.
    pub(super) fn is_empty(&self) -> bool {
        self.by_number.is_empty()
    }
}
