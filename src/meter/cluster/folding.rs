//! When departed nodes are folded, and how the fold comes to its sums in slices.
//!
//! Owns the decision: one node makes it for all, the lowest that lives, and only while all living nodes know the same of the
//! departed ones. What becomes part of the sum is then the same at all of them. It sends nothing.
//!
//! A node that is taken for gone, and lives, may be among the folded ones once hundreds of others have departed. Then what it
//! has counted so far moves into the fold at this node as at all others, and it counts from 0 under its next name. What it
//! had counted while it was away, and no other node knows, may be missing from the sums; nothing is in them twice.
//!
//! Invariant: a slice moves what was counted from one place to another, so no total changes.

use super::pairs::Place;
use super::peers::{PeerId, Peers};
use super::rules::ClusterRules;
use crate::collections::key::Key as _;
use crate::collections::tick::Now;
use crate::meter::book::keys::NamespaceId;
use crate::meter::book::whole::Whole;
use crate::meter::book::{Book, renewal};
use crate::meter::digest::name_digest;
use crate::meter::news::NodeId;

/// The time that it takes to move a pair into the fold, in keys that are looked at.
const MOVE_WEIGHT: usize = 10;

/// The time that it takes to move this node's own sums of a namespace, in namespaces that have none.
const RENEWAL_WEIGHT: usize = 20;

/// The names of the departed nodes that this node lists for all now.
pub(super) fn begin(own: NodeId, peers: &mut Peers, rules: &ClusterRules) -> Vec<NodeId> {
    let is_settled = !peers.is_removing() && !peers.is_folding();
    if peers.single_count() <= rules.fold_above || !is_settled || !is_agreed(own, peers, rules) {
        return Vec::new();
    }
    let mut names = peers.oldest_singles(rules.fold_keep);
    names.retain(|&name| peers.fold.list(name));
    for &name in &names {
        begin_move(name, peers);
    }
    names
}

/// Whether this node decides, and all living nodes know the same of the departed ones. Once there are more of those than are
/// learned of from others, they may never come to know the same: then the decision does not wait.
fn is_agreed(own: NodeId, peers: &Peers, rules: &ClusterRules) -> bool {
    let digest = peers.departed_digest();
    let is_pressing = peers.single_count() >= rules.departed_max();
    peers.living().all(|peer| own < peer.node && (is_pressing || peer.departed_digest == Some(digest)))
}

/// Moves this node's own sums into the fold, as far as the budget goes.
pub(super) fn renew(peers: &mut Peers, book: &mut Book, budget: &mut usize, now: Now) {
    while let Some(id) = peers.renewal.filter(|_| *budget > 0) {
        if id.index() >= book.namespaces().place_count() {
            peers.renewal = None;
            return;
        }
        *budget -= 1;
        if let Some(sums) = renewal::take_own_sums(id, book, now) {
            *budget = budget.saturating_sub(RENEWAL_WEIGHT);
            let change = peers.add_to_fold(place_of(id, book), &sums);
            book.apply(id, &change, Whole::nothing(now), now);
        }
        peers.renewal = Some(id.next());
    }
}

/// From now on, what a listed node had counted moves into the fold, if it is known here. The node is not living.
pub(super) fn begin_move(name: NodeId, peers: &mut Peers) {
    let Some(id) = peers.find_name(name) else { return };
    let peer = peers.table.at_mut(id);
    if peer.is_single() {
        peer.is_folding = true;
        peers.singles_digest = peers.singles_digest.wrapping_sub(peer.pairs.digest());
        peers.moves.push_back(name);
    }
}

/// Moves sums of listed nodes into the fold, and takes the time off the budget. Returns a peer of which nothing is left.
pub(super) fn move_sums(
    peers: &mut Peers,
    budget: &mut usize,
    digest_of: impl Fn(NamespaceId) -> u64,
) -> Option<PeerId> {
    while *budget > 0 {
        let id = peers.find_name(*peers.moves.front()?);
        let Some((id, peer)) = id.map(|id| (id, peers.at(id))).filter(|(_, peer)| peer.is_folding) else {
            end_move(peers);
            continue;
        };
        if peer.is_being_removed() {
            return None;
        }
        let (namespaces, next) = peer.pairs.some_namespaces(peers.move_from, budget);
        peers.move_from = next;
        for namespace in namespaces {
            let place = Place { namespace, name_digest: digest_of(namespace) };
            let sums = peers.table.at_mut(id).pairs.take(place, &mut peers.stays);
            peers.fold.add(place, &sums, &mut peers.stays);
            *budget = budget.saturating_sub(MOVE_WEIGHT);
        }
        if peers.at(id).pairs.is_empty() {
            end_move(peers);
            return Some(id);
        }
    }
    None
}

fn end_move(peers: &mut Peers) {
    peers.moves.pop_front();
    peers.move_from = NamespaceId::FIRST;
}

fn place_of(id: NamespaceId, book: &Book) -> Place {
    Place { namespace: id, name_digest: name_digest(book.at(id).name()) }
}
