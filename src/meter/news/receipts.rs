//! What a node confirms of the messages of others.
//!
//! Owns what a receipt says, and what it costs. When receipts are sent, and what waits for them, `meter::cluster` decides.
//!
//! Invariant: a receipt stays true. A part that it confirms was handed on, whatever is confirmed later.

use super::atoms::{NodeId, entry_weight, number_weight};

/// What has become of the parts of one sender at the node that confirms them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The node that sent the parts.
    pub sender: NodeId,
    /// Of parts up to this number nothing is confirmed: they came before the sender was known, or are long past.
    pub from: u64,
    /// All later parts up to this number were received and handed on, but for the lost ones.
    pub up_to: u64,
    /// The parts among them that are lost, in order.
    pub lost: Vec<u64>,
}

/// What a receipt says of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was handed on.
    HandedOn,
    /// It is lost there.
    Lost,
    /// It is not known yet.
    Open,
}

impl Receipt {
    /// What has become of the message whose last part has this number.
    #[must_use]
    pub fn fate(&self, number: u64) -> Fate {
        match number {
            _ if number > self.up_to => Fate::Open,
            _ if number <= self.from || self.lost.binary_search(&number).is_ok() => Fate::Lost,
            _ => Fate::HandedOn,
        }
    }

    /// The numbers of the lost parts, each as the step from the one before.
    pub fn lost_steps(&self) -> impl Iterator<Item = u64> {
        let before = std::iter::once(self.from).chain(self.lost.iter().copied());
        self.lost.iter().zip(before).map(|(&number, before)| number - before)
    }

    /// Its bytes in a datagram.
    #[must_use]
    pub fn weight(&self) -> usize {
        let steps = self.lost_steps().map(number_weight).sum();
        entry_weight(8 + number_weight(self.from) + number_weight(self.up_to - self.from) + entry_weight(steps))
    }
}
