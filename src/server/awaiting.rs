//! The connections whose answer depends on other nodes.
//!
//! Owns which answer each of them waits for. The meter settles a message within about a second, and a question within 200 ms,
//! so none waits longer; it does not know what is answered.
//!
//! Invariant: a connection that is freed waits for nothing. Its key may be another's.

use super::answers::answer::{Awaited, Settled};
use super::conns::conn::ConnId;

/// The connections that wait: no more than there are messages that are not settled, and questions that are not answered.
#[derive(Default)]
pub(super) struct Awaiting {
    all: Vec<(ConnId, Awaited)>,
}

impl Awaiting {
    /// A connection waits for this.
    pub(super) fn add(&mut self, id: ConnId, awaited: Awaited) {
        self.all.push((id, awaited));
    }

    /// The connection that waits for this, and what is known of its answer.
    pub(super) fn take(&mut self, settled: Settled) -> Option<(ConnId, Awaited)> {
        let waits = |(_, awaited): &(ConnId, Awaited)| match (awaited, settled) {
            (Awaited::Message(of), Settled::Message { number, .. }) => of.number == number,
            (Awaited::Return(of), Settled::Question { number, .. }) => of.number == number,
            _ => false,
        };
        let place = self.all.iter().position(waits)?;
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
