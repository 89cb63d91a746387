//! What a datagram says about departed nodes.
//!
//! Owns the reception of their shares, of the names of folded nodes, and of the fold's sums, with the limits of each. Whatever
//! comes can be received in any order and more than once.
//!
//! Invariant: what a departed node had counted is in the totals once, under its own name or in the fold.

use super::fold::NAMES_MAX;
use super::pairs::Place;
use super::peer::Peer;
use super::peers::PeerId;
use super::{Call, Cluster, folding};
use crate::collections::key::Key as _;
use crate::collections::tick::Moment;
use crate::meter::book::keys::NamespaceId;
use crate::meter::book::whole::Whole;
use crate::meter::book::{elsewhere, learning, people};
use crate::meter::digest::name_digest;
use crate::meter::news::{DepartedShare, FoldShare, NodeId};
use crate::meter::output::Output;

/// Applies what a departed node had counted in a namespace. Of a folded one it says nothing any more.
pub(super) fn apply_share(share: &DepartedShare<&str>, sent_at: Moment, cluster: &mut Cluster, call: &mut Call<'_>) {
    let own = cluster.peers.fold.name_of(cluster.node()).1;
    if share.node == own || cluster.peers.fold.contains(share.node) {
        return;
    }
    let known = cluster.peers.find_name(share.node);
    let pair_count = known.map_or(0, |id| cluster.peers.at(id).pairs.len());
    let is_known = |namespace| known.is_some_and(|id| cluster.peers.at(id).pairs.get(namespace).is_some());
    let is_one_more = !call.book.find(share.namespace).is_some_and(is_known);
    if is_one_more && pair_count >= cluster.rules.namespaces_max {
        return;
    }
    let whole = Whole { age: share.age, peak: share.peak, at: sent_at };
    let Some(place) = learn_place(share.namespace, whole, call) else { return };
    let id = match known {
        Some(id) => id,
        None if cluster.peers.single_count() >= cluster.rules.departed_max() => return,
        None => cluster.peers.insert(share.node, call.now.tick),
    };
    let change = cluster.peers.raise(id, place, &share.sums);
    learning::apply(place.namespace, &change, whole, call.book, call.now);
}

/// Applies a sum of the fold, to which a list of this digest belongs.
pub(super) fn apply_fold_share(
    list_digest: u64,
    share: &FoldShare<&str>,
    sent_at: Moment,
    cluster: &mut Cluster,
    call: &mut Call<'_>,
) {
    let fold = &cluster.peers.fold;
    let is_known = call.book.find(share.namespace).is_some_and(|namespace| fold.has(namespace));
    let is_too_much = !is_known && fold.pair_count() >= cluster.rules.namespaces_max;
    if !cluster.peers.takes_fold_of(list_digest) || is_too_much {
        return;
    }
    let &FoldShare { namespace, ref sums, age, peak } = share;
    let whole = Whole { age, peak, at: sent_at };
    let Some(place) = learn_place(namespace, whole, call) else { return };
    let change = cluster.peers.raise_fold(place, sums);
    learning::apply(place.namespace, &change, whole, call.book, call.now);
}

/// The namespace of this name, which may be new here and known only from such reports.
fn learn_place(name: &str, whole: Whole, call: &mut Call<'_>) -> Option<Place> {
    let is_new = call.book.find(name).is_none();
    let namespace = learning::find_or_learn(name, false, whole, call.book, call.now)?;
    if is_new {
        call.book.set_hearsay(namespace, true);
        elsewhere::recall_report(namespace, call.book, call.now);
        people::begin_by_hearsay(namespace, call.book, call.now);
    }
    Some(Place { namespace, name_digest: name_digest(name) })
}

/// Lists names of folded nodes. Their sums move into the fold, if they are known here. A node that lives goes on under its
/// next name, be it this one.
pub(super) fn list(names: &[NodeId], cluster: &mut Cluster, call: &mut Call<'_>) {
    for &name in names {
        let own = cluster.peers.fold.name_of(cluster.node()).1;
        let found = cluster.peers.find_name(name);
        if !cluster.peers.fold.list(name) {
            continue;
        }
        if name == own {
            cluster.peers.renewal = Some(NamespaceId::FIRST);
            learning::forget_former(call.book);
            call.outputs.push_back(Output::Folded);
        }
        if let Some(id) = found.filter(|&id| cluster.peers.at(id).is_living()) {
            if cluster.peers.rename(id, call.now.tick) {
                cluster.attend(id, call);
            } else {
                cluster.depart(id, call);
            }
        }
        folding::begin_move(name, &mut cluster.peers);
    }
}

/// A peer reports its sums under the name of this number: those under the names before are folded. Returns whether it is there
/// still.
pub(super) fn agree_on_name(id: PeerId, number: u64, cluster: &mut Cluster, call: &mut Call<'_>) -> bool {
    let node = cluster.peers.at(id).node;
    let (known, _) = cluster.peers.fold.name_of(node);
    for _ in known..number.min(NAMES_MAX - 1) {
        let (_, name) = cluster.peers.fold.name_of(node);
        list(&[name], cluster, call);
    }
    cluster.peers.get(id).is_some_and(Peer::is_living)
}
