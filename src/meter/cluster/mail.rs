//! Messages, as the caller of the meter deals with them.
//!
//! Owns what the caller says of messages: it announces those of its own senders, and hands those of other nodes on to the
//! members here, or has no room for them. Numbers and copies of the ones are in `messages`, the order of the others in
//! `inbox`.
//!
//! Invariant: a message of another node is confirmed after it was handed on, never before.

use super::held::Purpose;
use super::pace::DATAGRAMS_PER_TURN;
use super::{Call, Cluster, claims};
use crate::meter::book::journal::Stretch;
use crate::meter::news::{MessageId, NAME_MAX, News, NodeId};

/// For how many milliseconds an event is new: far longer than changes are gathered.
const NEW_MS: u64 = 2_000;

/// The messages of a meter, for one call.
pub struct Mail<'a> {
    pub(in crate::meter) cluster: &'a mut Cluster,
    pub(in crate::meter) call: Call<'a>,
}

impl Mail<'_> {
    /// Whether a message may be announced now: each node has room for it, as far as is known.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.cluster.announcer.messages.has_room() && !self.cluster.peers.living().any(|peer| peer.is_behind)
    }

    /// Announces a message, which the other nodes push to their members of a namespace. Returns its number, under which
    /// [`Output::Settled`](crate::meter::Output::Settled) comes within about a second; `None` if no other node has to
    /// confirm it.
    pub fn announce(&mut self, name: &str, text: &str) -> Option<u64> {
        let Cluster { is_reachable, announcer, peers, .. } = &mut *self.cluster;
        if !*is_reachable || name.len() > NAME_MAX {
            return None;
        }
        let readers: Vec<NodeId> = peers.living().map(|peer| peer.node).collect();
        let is_awaited = !readers.is_empty();
        for part in announcer.messages.announce(name, text, readers, self.call.now.tick) {
            announcer.send(News::Message(part), self.call.outputs, self.call.now);
        }
        is_awaited.then(|| announcer.messages.last())
    }

    /// Asks the other nodes whether a member there claims `uuid` in the namespace of this name. Returns the number under which
    /// [`Output::Held`](crate::meter::Output::Held) comes within 200 ms; `None` if there is no other node, or too many
    /// questions wait.
    pub fn ask_held(&mut self, name: &str, uuid: &str) -> Option<u64> {
        claims::ask_held(name, uuid, Purpose::Answer, self.cluster, &mut self.call)
    }

    /// The members of the event of this name, at all nodes; `None` while no such event is known here.
    #[must_use]
    pub fn member_count(&self, name: &str) -> Option<u64> {
        let book = &self.call.book;
        book.find(name).map(|id| book.at(id).total())
    }

    /// A message of another node was handed on to the members of its namespace here, or (`is_pushed` is false) there was no
    /// room for it. Its sender learns of the namespace, if that is new, before it learns that.
    pub fn confirm(&mut self, id: MessageId, namespace: &str, is_pushed: bool) {
        self.announce_if_new(namespace);
        if let Some(peer) = self.cluster.peers.find(id.sender) {
            self.cluster.peers.at_mut(peer).inbox.hand_on(id.number, is_pushed);
            self.cluster.receipts.add_due(peer, &mut self.cluster.peers);
        }
    }

    /// The members here lag far behind, or no longer: the other nodes learn of it at once.
    pub fn set_behind(&mut self, is_behind: bool) {
        self.cluster.announcer.set_behind(is_behind, self.call.now);
    }

    /// Announces a namespace that began here a moment ago: its announcement may wait to be gathered with others.
    fn announce_if_new(&mut self, name: &str) {
        let Self { cluster: Cluster { announcer, peers, .. }, call: Call { book, outputs, now } } = self;
        let Some(namespace) = book.find(name).map(|id| book.at(id)) else { return };
        let is_new = namespace.age(*now).existed_ms < NEW_MS && !peers.is_alone();
        let Some(share) = namespace.share.filter(|_| is_new) else { return };
        for _ in 0..DATAGRAMS_PER_TURN {
            let is_known = book.journal.is_announced(share);
            if is_known || !announcer.announce_stretch(Stretch::Fresh, peers, book, outputs, *now) {
                break;
            }
        }
    }
}
