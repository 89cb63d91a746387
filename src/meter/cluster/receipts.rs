//! When this node confirms the messages of others.
//!
//! Owns which peers wait for that, and the pace. All nodes together send [`RECEIPTS_PER_TICK`] a tick, 1,000 a second, whatever
//! is said, and each has an even part of them. So a message after quiet is confirmed at once, and of two nodes each confirms
//! five times a tick. Of 100 nodes each does so every ten ticks, for all that has come meanwhile.
//!
//! A receipt goes back the way that the messages came, and to all senders of that way at once. A lost one heals: the sender
//! sends its message again, and a copy of what was handed on before is confirmed again.
//!
//! Invariant: nothing is confirmed but what the inbox of the peer says.

use super::announce::{Announcer, ITEMS_WEIGHT_MAX};
use super::inbox::Message;
use super::peers::{PeerId, Peers};
use crate::collections::sections::{Reader, Writer};
use crate::collections::tick::{Now, Tick};
use crate::meter::news::{MessageId, Origin, Receipt};
use crate::meter::output::{Output, Outputs};

/// How many receipts all nodes together may send in a tick.
const RECEIPTS_PER_TICK: usize = 10;

/// The receipts that are due.
#[derive(Debug, Default)]
pub(super) struct Receipts {
    /// In the order of their keys.
    due: Vec<PeerId>,
    not_before: Tick,
    /// When receipts were sent last, and how often in that tick.
    sent_at: Tick,
    sent_count: usize,
}

impl Receipts {
    /// This peer may wait for a receipt.
    pub(super) fn add_due(&mut self, id: PeerId, peers: &mut Peers) {
        if peers.at_mut(id).inbox.takes_receipt()
            && let Err(place) = self.due.binary_search(&id)
        {
            self.due.insert(place, id);
        }
    }

    /// Has messages of a peer pushed to the members here, and confirms what can be confirmed already.
    pub(super) fn deliver(&mut self, messages: Vec<Message>, id: PeerId, peers: &mut Peers, outputs: &mut Outputs) {
        let sender = peers.at(id).node;
        outputs.extend(messages.into_iter().map(|Message { number, namespace, text }| {
            let id = MessageId { sender, number };
            Output::Message { id, namespace, text: text.into() }
        }));
        self.add_due(id, peers);
    }

    pub(super) fn write(&self, out: &mut Writer) {
        let Self { due, not_before, sent_at, sent_count } = self;
        out.count(due.len());
        for &id in due {
            out.key(id);
        }
        out.tick(*not_before);
        out.tick(*sent_at);
        out.count(*sent_count);
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        let (mut due, mut list) = (Vec::new(), from.list());
        while from.has_next(&mut list) {
            due.push(from.key());
        }
        Self { due, not_before: from.tick(), sent_at: from.tick(), sent_count: from.size() }
    }

    /// When receipts are sent next.
    pub(super) fn next_deadline(&self) -> Option<Tick> {
        (!self.due.is_empty()).then_some(self.not_before)
    }

    /// Sends what is due. Of 256 senders at addresses of their own it is one datagram each, which the caller sends in slices.
    pub(super) fn announce(&mut self, peers: &Peers, announcer: &mut Announcer, outputs: &mut Outputs, now: Now) {
        if self.next_deadline().is_none_or(|at| at > now.tick) {
            return;
        }
        let mut ways: Vec<(Origin, Vec<Receipt>)> = Vec::new();
        for peer in std::mem::take(&mut self.due).into_iter().filter_map(|id| peers.get(id)) {
            let Some(receipt) = peer.inbox.receipt(peer.node).filter(|_| peer.is_living()) else { continue };
            match ways.iter_mut().find(|(origin, _)| *origin == peer.origin) {
                Some((_, receipts)) => receipts.push(receipt),
                None => ways.push((peer.origin, vec![receipt])),
            }
        }
        for (origin, receipts) in ways {
            send(origin, receipts, announcer, outputs, now);
        }
        self.pace(peers.living_count() + 1, now.tick);
    }

    /// Receipts were sent by one of this number of nodes.
    fn pace(&mut self, node_count: usize, now: Tick) {
        self.sent_count = if self.sent_at == now { self.sent_count + 1 } else { 1 };
        self.sent_at = now;
        let has_more = self.sent_count < RECEIPTS_PER_TICK / node_count;
        let gap = if has_more { 0 } else { node_count.div_ceil(RECEIPTS_PER_TICK) };
        self.not_before = Tick(now.0 + gap as u64);
    }
}

/// Sends receipts by one way, in as few datagrams as take them.
fn send(origin: Origin, receipts: Vec<Receipt>, announcer: &mut Announcer, outputs: &mut Outputs, now: Now) {
    let (mut some, mut room) = (Vec::new(), ITEMS_WEIGHT_MAX);
    for receipt in receipts {
        let weight = receipt.weight();
        if weight > room {
            announcer.confirm(origin, std::mem::take(&mut some), outputs, now);
            room = ITEMS_WEIGHT_MAX;
        }
        room = room.saturating_sub(weight);
        some.push(receipt);
    }
    announcer.confirm(origin, some, outputs, now);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_nodes_together_send_no_more_than_the_bus_carries() {
        for (node_count, expected) in [(1, 1_000), (2, 500), (3, 300), (10, 100), (11, 50), (96, 10), (256, 4)] {
            let mut receipts = Receipts::default();
            let mut sent = 0;
            for tick in 1_000..1_100 {
                while receipts.not_before <= Tick(tick) {
                    receipts.pace(node_count, Tick(tick));
                    sent += 1;
                }
            }
            assert_eq!(sent, expected, "of {node_count} nodes");
            assert!(sent * node_count <= 1_100, "{sent} of each of {node_count}");
        }
    }
}
