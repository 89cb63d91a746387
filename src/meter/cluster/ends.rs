//! How a vacant namespace is forgotten.
//!
//! Owns what has to be over before: walks, the announcement that the namespace is vacant, and a wait for room for its report.
//! Decides which node reports what the event came to. It does not know when a namespace has been vacant for long enough.
//!
//! Invariant: no key of a namespace is free for another while something of it is on its way.

use std::time::Duration;

use super::pairs::Place;
use super::peer::Peer;
use super::questions::ANSWER_TIME;
use super::{Call, Cluster};
use crate::collections::tick::Tick;
use crate::meter::accounts::ending::{self, Candidate};
use crate::meter::book::keys::{ItemId, NamespaceId};
use crate::meter::book::namespace::Namespace;
use crate::meter::book::{Book, closing, elsewhere, succession};
use crate::meter::digest::name_digest;
use crate::meter::output::Output;

/// After how long the next node reports an event of which no report is known: a report is known everywhere within 0.1 s, or a
/// second where much is lost.
const TURN: Duration = Duration::from_secs(2);

/// How long other nodes have to ask for what they have missed: four signs of life come in that time, and an answer.
const SETTLING: Duration = Duration::from_secs(2);

/// After how long a namespace is looked at again of which it is announced that claims are over.
const RETIRED_LOOK: Duration = Duration::from_secs(1);

/// Forgets a vacant namespace, unless something of it is on its way, and then tries again soon: a walk along its former
/// members, or the announcement that it is vacant. (Its key would be used again, and the walk would reach other members.)
pub(in crate::meter) fn forget(id: NamespaceId, cluster: &mut Cluster, call: &mut Call<'_>) {
    let now = call.now;
    let Some(namespace) = call.book.get(id) else { return };
    if let Some(until) = kept_until(namespace, cluster, call) {
        return call.book.schedule.set(id, until.max(Tick(now.tick.0 + 1)));
    }
    remove(id, cluster, call);
}

/// Forgets the vacant namespace that is worth least, to make room for another; returns whether there was one. Its report does
/// not wait for anything: there is no room to keep it. Those are taken first that are reported already, or by this node in any
/// case. Next come those of a node that is going to report them, for two nodes without room must not report the same one.
pub(super) fn evict(cluster: &mut Cluster, call: &mut Call<'_>) -> bool {
    let is_free = |id: &NamespaceId| {
        let namespace = call.book.at(*id);
        is_settled(namespace, cluster, call) && kept_until(namespace, cluster, call).is_none()
    };
    let is_reported = |id: &NamespaceId| !call.book.at(*id).is_unreported();
    let is_own = |id: &NamespaceId| rank(*id, call.book.at(*id), cluster) == 0;
    let is_others = |id: &NamespaceId| is_of_another(*id, call.book.at(*id), cluster);
    // Among what is missing may be a report, or a member.
    let is_behind = cluster.peers.living().any(Peer::is_ahead);
    let free = || call.book.vacancy.candidates().filter(is_free);
    let plain = free().find(|id| is_reported(id) || !is_behind && is_own(id));
    let next = || free().find(|id| is_own(id) || is_others(id)).or_else(|| free().next());
    let Some(id) = plain.or_else(next) else { return false };
    if !is_reported(&id) && !is_others(&id) {
        call.book.schedule.take_room();
        report(id, cluster, call);
    }
    erase(id, cluster, call);
    call.book.vacancy.evicted += 1;
    true
}

/// Whether other nodes have received, or asked for, what this node has announced of a vacant namespace last. One that had missed
/// that when it is announced no more would take this node for gone.
fn is_settled(namespace: &Namespace, cluster: &Cluster, call: &Call<'_>) -> bool {
    let is_own = namespace.share.is_some() && !cluster.peers.is_alone();
    !is_own || Duration::from_millis(namespace.age(call.now).empty_ms) >= SETTLING
}

/// Until when something of a namespace is on its way.
fn kept_until(namespace: &Namespace, cluster: &Cluster, call: &Call<'_>) -> Option<Tick> {
    if namespace.is_walked() {
        return Some(call.now.tick);
    }
    if namespace.estates.retired > 0 {
        return Some(call.now.tick.after(RETIRED_LOOK));
    }
    namespace.share.and_then(|share| unannounced_until(share, cluster, call.book))
}

/// Reports what a vacant namespace came to, if no report is known, and removes it from all tables: only in this node's turn, and
/// when the report has room.
fn remove(id: NamespaceId, cluster: &mut Cluster, call: &mut Call<'_>) {
    let now = call.now.tick;
    let Some(namespace) = call.book.get(id) else { return };
    if namespace.is_unreported() {
        if let Some(at) = report_at(id, namespace, cluster, call) {
            return call.book.schedule.set(id, at.max(Tick(now.0 + 1)));
        }
        if !call.book.schedule.take_room() {
            return call.book.schedule.hold(id, now);
        }
        report(id, cluster, call);
    }
    erase(id, cluster, call);
}

/// Reports what a vacant namespace came to, and lets the others know.
fn report(id: NamespaceId, cluster: &mut Cluster, call: &mut Call<'_>) {
    let now = call.now;
    call.outputs.push_back(Output::Ended(Box::new(closing::ending(id, call.book, now))));
    if !cluster.peers.is_alone() {
        elsewhere::record_report(id, cluster.rules.node_timeout, call.book, now);
        cluster.announcer.delay_news(now);
    }
}

/// Removes a namespace from all tables.
fn erase(id: NamespaceId, cluster: &mut Cluster, call: &mut Call<'_>) {
    succession::forget(id, call.book, call.now);
    let Some((name, maker)) = call.book.forget(id, call.now) else { return };
    call.outputs.extend(maker.map(Output::Unmade));
    for peer in cluster.peers.forget_namespace(Place { namespace: id, name_digest: name_digest(&name) }) {
        cluster.forget_peer(peer);
    }
}

/// When the last change of this share is announced; `None` if that is not to be waited for.
fn unannounced_until(share: ItemId, cluster: &Cluster, book: &Book) -> Option<Tick> {
    if !cluster.is_reachable {
        return None;
    }
    cluster.announcer.unannounced_until(share, &book.journal, &cluster.peers)
}

/// When this node looks again at a vacant namespace of which no report is known; `None` if it is its turn to report.
fn report_at(id: NamespaceId, namespace: &Namespace, cluster: &Cluster, call: &Call<'_>) -> Option<Tick> {
    let now = call.now.tick;
    if cluster.peers.is_alone() {
        return None;
    }
    let over_at = namespace.vacant_since().after(call.book.rules.namespace_clean_delay);
    let at = over_at.after(TURN.saturating_mul(rank(id, namespace, cluster))).max(cluster.wakefulness.behind_until);
    if at > now {
        return Some(at);
    }
    // Among what is missing may be a report, or a member.
    let is_behind = cluster.peers.living().any(Peer::is_ahead);
    (is_behind && at.after(cluster.rules.node_timeout) > now).then(|| now.after(ANSWER_TIME))
}

/// Whether a living node that has, or had, members in a namespace reports it before this one does.
fn is_of_another(id: NamespaceId, namespace: &Namespace, cluster: &Cluster) -> bool {
    rank(id, namespace, cluster) > 0 && cluster.peers.living().any(|peer| peer.pairs.get(id).is_some())
}

/// The number of nodes whose turn it is before this one.
fn rank(id: NamespaceId, namespace: &Namespace, cluster: &Cluster) -> u32 {
    let own = Candidate { node: cluster.node(), had_members: namespace.share.is_some() };
    let candidate = |peer: &Peer| Candidate { node: peer.node, had_members: peer.pairs.get(id).is_some() };
    ending::rank(namespace.name(), namespace.is_hearsay, own, cluster.peers.living().map(candidate))
}
