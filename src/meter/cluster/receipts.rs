//! When this node confirms the messages of others.
//!
//! Owns which peers wait for that, and the pace. A receipt goes out at once after quiet, then one for all that has come
//! meanwhile: after 1 ms for each living node, and in the next tick at the earliest. So all nodes together send 1,000
//! a second at most, whatever is said, and with up to ten nodes a message is confirmed in the tick in which it came.
//!
//! A receipt goes back the way that the messages came, and to all senders of that way at once. A lost one heals: the sender
//! sends its message again, and a copy of what was handed on before is confirmed again.
//!
//! Invariant: nothing is confirmed but what the inbox of the peer says.

use std::collections::BTreeSet;
use std::time::Duration;

use super::announce::{Announcer, ITEMS_WEIGHT_MAX};
use super::inbox::Message;
use super::peers::{PeerId, Peers};
use crate::collections::tick::{Now, Tick};
use crate::meter::news::{MessageId, Origin, Receipt};
use crate::meter::output::{Output, Outputs};

/// For how long receipts are gathered per living node.
const GATHERING_PER_NODE: Duration = Duration::from_millis(1);

/// With this number of nodes they may each send one receipt a tick.
const NODES_PER_TICK: usize = 10;

/// The receipts that are due.
#[derive(Debug, Default)]
pub(super) struct Receipts {
    due: BTreeSet<PeerId>,
    not_before: Tick,
}

impl Receipts {
    /// This peer may wait for a receipt.
    pub(super) fn add_due(&mut self, id: PeerId, peers: &mut Peers) {
        if peers.at_mut(id).inbox.takes_receipt() {
            self.due.insert(id);
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
        let node_count = peers.living_count();
        let gathering = GATHERING_PER_NODE.saturating_mul(u32::try_from(node_count).unwrap_or(u32::MAX));
        self.not_before = if node_count <= NODES_PER_TICK { Tick(now.tick.0 + 1) } else { now.tick.after(gathering) };
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
