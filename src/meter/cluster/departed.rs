//! The announcement of what departed nodes had counted.
//!
//! Owns where it goes on. It sends nothing: the announcer asks for the next shares when nothing is more urgent.
//!
//! Invariant: an announcement that has begun comes to its end, whatever is forgotten meanwhile.

use std::rc::Rc;

use super::peers::{PeerId, Peers};
use crate::collections::key::Key as _;
use crate::collections::tick::Now;
use crate::meter::book::Book;
use crate::meter::book::keys::NamespaceId;
use crate::meter::news::DepartedShare;

/// How many namespaces are looked at for a datagram of departed shares, at 0.04 us each.
const LOOKS_PER_DATAGRAM: usize = 256;

/// Where the announcement goes on.
#[derive(Clone, Copy, Debug)]
struct Cursor {
    peer: PeerId,
    namespace: NamespaceId,
}

/// The announcement of the shares of departed nodes.
#[derive(Debug, Default)]
pub(super) struct DepartedShares {
    cursor: Option<Cursor>,
}

impl DepartedShares {
    /// Begins the announcement; one that is under way goes on instead.
    pub(super) fn begin(&mut self) {
        self.cursor.get_or_insert(Cursor { peer: PeerId::FIRST, namespace: NamespaceId::FIRST });
    }

    /// Whether there is something left to announce.
    pub(super) fn is_under_way(&self) -> bool {
        self.cursor.is_some()
    }

    /// The shares of the next datagram, of this weight at most, or none as yet; `None` if nothing was left to do.
    pub(super) fn next_shares(
        &mut self,
        mut room: usize,
        peers: &Peers,
        book: &Book,
        now: Now,
    ) -> Option<Vec<DepartedShare<Rc<str>>>> {
        let mut cursor = self.cursor.take()?;
        let mut shares = Vec::new();
        for _ in 0..LOOKS_PER_DATAGRAM {
            if cursor.namespace.index() >= book.namespaces().place_count() {
                cursor = Cursor { peer: cursor.peer.next(), namespace: NamespaceId::FIRST };
            }
            let Some((found, peer)) = peers.next_remembered(cursor.peer) else { return Some(shares) };
            if found != cursor.peer {
                cursor = Cursor { peer: found, namespace: NamespaceId::FIRST };
            }
            if let Some(sums) = peers.sums_of(peer, cursor.namespace) {
                let namespace = book.at(cursor.namespace);
                let (node, age, peak) = (peer.node, namespace.age(now), namespace.peak(now));
                let share = DepartedShare { node, namespace: namespace.shared_name(), sums, age, peak };
                let Some(left) = room.checked_sub(share.weight()) else { break };
                room = left;
                shares.push(share);
            }
            cursor.namespace = cursor.namespace.next();
        }
        self.cursor = Some(cursor);
        Some(shares)
    }
}
