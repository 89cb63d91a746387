//! The announcement of what departed nodes had counted.
//!
//! Owns its order: the names of the folded nodes come first, because their sums say nothing without; then the sums, and then
//! the shares of the nodes that are not folded. It sends nothing: the announcer asks for more when nothing is more urgent.
//!
//! Invariant: an announcement that has begun comes to its end, whatever is forgotten meanwhile.

use std::collections::VecDeque;
use std::rc::Rc;

use super::peers::{PeerId, Peers};
use crate::collections::key::Key as _;
use crate::collections::sections::{Reader, Writer};
use crate::collections::tick::Now;
use crate::meter::book::Book;
use crate::meter::book::keys::NamespaceId;
use crate::meter::news::{DepartedShare, FoldShare, News, NodeId};

/// How many namespaces are looked at for a datagram of departed shares, at 0.04 us each.
const LOOKS_PER_DATAGRAM: usize = 256;

/// How many names of folded nodes go into a datagram, at 8 bytes each.
const NAMES_PER_DATAGRAM: usize = 130;

/// The bytes of the digest that stands before the sums.
const DIGEST_WEIGHT: usize = 8;

/// Where the announcement goes on.
#[derive(Clone, Copy, Debug)]
enum Cursor {
    /// After this name of a folded node, or with the first.
    Name(Option<NodeId>),
    /// With the sum of this namespace.
    Sum(NamespaceId),
    /// With the share of this node in this namespace.
    Share(PeerId, NamespaceId),
}

/// The announcement of what departed nodes had counted.
#[derive(Debug, Default)]
pub(super) struct DepartedNews {
    /// The names that were listed here, and that no other node knows of yet.
    fresh: VecDeque<NodeId>,
    cursor: Option<Cursor>,
}

impl DepartedNews {
    pub(super) fn write(&self, out: &mut Writer) {
        let Self { fresh, cursor } = self;
        out.count(fresh.len());
        for name in fresh {
            out.fixed(name.0);
        }
        match *cursor {
            None => out.number(0),
            Some(Cursor::Name(after)) => {
                out.number(1);
                out.option(after.map(|name| name.0));
            }
            Some(Cursor::Sum(from)) => {
                out.number(2);
                out.key(from);
            }
            Some(Cursor::Share(peer, from)) => {
                out.number(3);
                out.key(peer);
                out.key(from);
            }
        }
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        let (mut fresh, mut list) = (VecDeque::new(), from.list());
        while from.has_next(&mut list) {
            fresh.push_back(NodeId(from.fixed()));
        }
        let cursor = match from.number() {
            1 => Some(Cursor::Name(from.option().map(NodeId))),
            2 => Some(Cursor::Sum(from.key())),
            3 => Some(Cursor::Share(from.key(), from.key())),
            number => {
                from.check(number == 0, "an unknown place in an announcement");
                None
            }
        };
        Self { fresh, cursor }
    }

    /// Begins the announcement; one that is under way goes on instead.
    pub(super) fn begin(&mut self) {
        self.cursor.get_or_insert(Cursor::Name(None));
    }

    /// Announces that this node has listed a name.
    pub(super) fn add_name(&mut self, name: NodeId) {
        self.fresh.push_back(name);
    }

    /// Whether there is something left to announce.
    pub(super) fn is_under_way(&self) -> bool {
        !self.fresh.is_empty() || self.cursor.is_some()
    }

    /// What goes into the next datagram, with lists of this weight at most; `None` if nothing does as yet.
    pub(super) fn next(&mut self, room: usize, peers: &Peers, book: &Book, now: Now) -> Option<News<Rc<str>>> {
        if !self.fresh.is_empty() {
            let count = self.fresh.len().min(NAMES_PER_DATAGRAM);
            return Some(News::Folded(self.fresh.drain(..count).collect()));
        }
        match self.cursor.take()? {
            Cursor::Name(after) => self.next_names(after, peers),
            // What is incomplete is announced once it is complete, to the nodes that ask again.
            Cursor::Sum(_) if peers.is_folding() => {
                self.cursor = Some(Cursor::Share(PeerId::FIRST, NamespaceId::FIRST));
                None
            }
            Cursor::Sum(from) => self.next_sums(from, room - DIGEST_WEIGHT, peers, book, now),
            Cursor::Share(peer, from) => self.next_shares(peer, from, room, peers, book, now),
        }
    }

    fn next_names(&mut self, after: Option<NodeId>, peers: &Peers) -> Option<News<Rc<str>>> {
        let names: Vec<NodeId> = peers.fold.names_after(after).take(NAMES_PER_DATAGRAM).collect();
        let Some(&last) = names.last() else {
            self.cursor = Some(Cursor::Sum(NamespaceId::FIRST));
            return None;
        };
        self.cursor = Some(Cursor::Name(Some(last)));
        Some(News::Folded(names))
    }

    fn next_sums(
        &mut self,
        mut from: NamespaceId,
        mut room: usize,
        peers: &Peers,
        book: &Book,
        now: Now,
    ) -> Option<News<Rc<str>>> {
        let mut shares = Vec::new();
        self.cursor = Some(Cursor::Share(PeerId::FIRST, NamespaceId::FIRST));
        for _ in 0..LOOKS_PER_DATAGRAM {
            if from.index() >= book.namespaces().place_count() {
                return sums_of(shares, peers);
            }
            if let Some(sums) = peers.fold_sums(from) {
                let namespace = book.at(from);
                let (age, peak) = (namespace.age(now), namespace.peak(now));
                let share = FoldShare { namespace: namespace.shared_name(), sums, age, peak };
                let Some(left) = room.checked_sub(share.weight()) else { break };
                room = left;
                shares.push(share);
            }
            from = from.next();
        }
        self.cursor = Some(Cursor::Sum(from));
        sums_of(shares, peers)
    }

    fn next_shares(
        &mut self,
        mut peer: PeerId,
        mut from: NamespaceId,
        mut room: usize,
        peers: &Peers,
        book: &Book,
        now: Now,
    ) -> Option<News<Rc<str>>> {
        let mut shares = Vec::new();
        for _ in 0..LOOKS_PER_DATAGRAM {
            if from.index() >= book.namespaces().place_count() {
                (peer, from) = (peer.next(), NamespaceId::FIRST);
            }
            let Some((found, single)) = peers.next_remembered(peer) else { return shares_of(shares) };
            if found != peer {
                (peer, from) = (found, NamespaceId::FIRST);
            }
            if let Some(sums) = single.pairs.sums(from, &peers.stays) {
                let namespace = book.at(from);
                let (age, peak) = (namespace.age(now), namespace.peak(now));
                let share =
                    DepartedShare { node: single.pairs.name(), namespace: namespace.shared_name(), sums, age, peak };
                let Some(left) = room.checked_sub(share.weight()) else { break };
                room = left;
                shares.push(share);
            }
            from = from.next();
        }
        self.cursor = Some(Cursor::Share(peer, from));
        shares_of(shares)
    }
}

fn sums_of(shares: Vec<FoldShare<Rc<str>>>, peers: &Peers) -> Option<News<Rc<str>>> {
    let list_digest = peers.fold.list_digest();
    (!shares.is_empty()).then_some(News::FoldShares { list_digest, shares })
}

fn shares_of(shares: Vec<DepartedShare<Rc<str>>>) -> Option<News<Rc<str>>> {
    (!shares.is_empty()).then_some(News::DepartedShares(shares))
}
