//! The other nodes as bytes, for the program that goes on in the place of this one.
//!
//! Owns their order. By which name a node is found, and how many are living, follows from the nodes, and is not written.

use std::collections::VecDeque;

use super::{Fold, Peer, Peers};
use crate::collections::sections::{Reader, Writer};
use crate::collections::slab::Slab;
use crate::meter::book::keys::NamespaceId;
use crate::meter::news::NodeId;

/// Writes all that is known of other nodes.
pub(in crate::meter::cluster) fn write(peers: &Peers, out: &mut Writer) {
    let Peers {
        table,
        by_name: _,
        living: _,
        removals,
        singles_digest,
        fold,
        moves,
        move_from,
        renewal,
        departure,
        stays,
    } = peers;
    table.write(out, &mut |peer, out| peer.write(stays, out));
    out.count(removals.len());
    for &id in removals {
        out.key(id);
    }
    out.fixed(*singles_digest);
    fold.write(stays, out);
    out.count(moves.len());
    for name in moves {
        out.fixed(name.0);
    }
    out.key(*move_from);
    out.option_key(*renewal);
    out.number(*departure);
}

/// The nodes that were written, with shares of namespaces that are `there`.
pub(in crate::meter::cluster) fn read(there: &dyn Fn(NamespaceId) -> bool, from: &mut Reader<'_>) -> Peers {
    let mut peers = Peers::default();
    let Peers { by_name, living, stays, .. } = &mut peers;
    let table = Slab::read(from, &mut |id, from| {
        let peer = Peer::read(there, stays, from);
        let is_first = by_name.insert(peer.pairs.name(), id).is_none();
        from.check(is_first, "two nodes of one name");
        *living += usize::from(peer.is_living());
        peer
    });
    peers.table = table;
    let (mut removals, mut list) = (VecDeque::new(), from.list());
    while from.has_next(&mut list) {
        removals.push_back(from.key());
    }
    peers.removals = removals;
    peers.singles_digest = from.fixed();
    peers.fold = Fold::read(there, &mut peers.stays, from);
    let mut list = from.list();
    while from.has_next(&mut list) {
        peers.moves.push_back(NodeId(from.fixed()));
    }
    (peers.move_from, peers.renewal, peers.departure) = (from.key(), from.option_key(), from.number());
    peers
}
