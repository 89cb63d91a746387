//! The connections whose message is on its way to the other nodes.
//!
//! Owns which answer each of them waits for. The meter settles a message within about a second, so none waits longer; it does
//! not know what is answered.
//!
//! Invariant: a connection that is freed waits for nothing. Its key may be another's.

use super::answers::answer::Confirmation;
use super::conns::conn::ConnId;

/// The connections that wait: no more than there are messages that are not settled.
#[derive(Default)]
pub(super) struct Awaiting {
    all: Vec<(ConnId, Confirmation)>,
}

impl Awaiting {
    /// A connection waits until its message is settled.
    pub(super) fn add(&mut self, id: ConnId, confirmation: Confirmation) {
        self.all.push((id, confirmation));
    }

    /// The connection that waits for the message of this number, which is settled.
    pub(super) fn take(&mut self, number: u64) -> Option<(ConnId, Confirmation)> {
        let place = self.all.iter().position(|(_, confirmation)| confirmation.number == number)?;
        Some(self.all.swap_remove(place))
    }

    /// A connection that waited is freed: its client has gone.
    pub(super) fn forget(&mut self, id: ConnId) {
        self.all.retain(|(of, _)| *of != id);
    }

    /// Whether none waits.
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}
