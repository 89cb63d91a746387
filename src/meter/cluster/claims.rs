//! What claims of uuids at other nodes do to those of this one, and the other way round.
//!
//! Owns the contest: of two claims the later stands. Where places are kept, a claim that is announced at once ends the stream of an
//! earlier one, and the claim in the report of its node ends the place, too: the count of that node is in the same report.
//!
//! It does not know how a place waits, nor how a total is made of the claims of all nodes.
//!
//! Invariant: a claim of a node that is not there has no effect.

use std::rc::Rc;

use super::held::{self, Purpose};
use super::leaving::Leaving;
use super::peers::PeerId;
use super::{Call, Cluster, capacity, ends};
use crate::collections::tick::Now;
use crate::meter::book::keys::{ClaimId, MemberId, NamespaceId};
use crate::meter::book::whole::Whole;
use crate::meter::book::{Book, learning, patience, succession};
use crate::meter::news::{Claim, HeldQuestion, NAME_MAX, News, NodeId, Patience};
use crate::meter::output::Output;

/// A peer has just claimed a uuid; the claim is in its next report, too.
pub(super) fn receive_claimed(claim: &Claim<&str>, node: NodeId, cluster: &mut Cluster, call: &mut Call<'_>) {
    let Some(own) = beaten_by(claim, node, cluster, call) else { return };
    let end = if claim.patience.is_some() { patience::give_way } else { patience::end };
    end_stream(own, Output::Farewell, end, cluster, call);
}

/// A peer reports a claim of one of its members.
pub(super) fn receive_item(claim: &Claim<&str>, id: PeerId, cluster: &mut Cluster, call: &mut Call<'_>) {
    let node = cluster.peers.at(id).node;
    if let Some(own) = beaten_by(claim, node, cluster, call) {
        let is_continued = claim.patience.is_some_and(|patience| continues(patience, own, call.book));
        let end = if is_continued { patience::hand_over } else { patience::end };
        end_stream(own, Output::Farewell, end, cluster, call);
    }
    let Some(patience) = claim.patience else {
        return succession::unlearn(node, claim, call.book, call.now);
    };
    if let Some(namespace) = find_or_learn(claim.namespace, id, cluster, call) {
        succession::learn(node, namespace, claim, patience, call.book, call.now);
    }
}

/// A page leaves that has no later claim than this.
pub(super) fn receive_given_up(claim: &Claim<&str>, is_away: bool, cluster: &mut Cluster, call: &mut Call<'_>) {
    if let Some((own, order)) = own_claim(claim, call.book)
        && claim.order >= order
    {
        end_claim(own, is_away, cluster, call);
    }
}

/// The page of a claim leaves: its member does, if that is present. The place of one that is away is kept for a moment, if places
/// are kept.
pub(super) fn end_claim(claim: ClaimId, is_away: bool, cluster: &mut Cluster, call: &mut Call<'_>) {
    let end = if is_away { patience::go_away } else { patience::end };
    end_stream(claim, Output::Left, end, cluster, call);
}

/// The uuid that a question asked for is held at a peer. If its page leaves, the claim ends.
pub(super) fn receive_held(number: u64, cluster: &mut Cluster, call: &mut Call<'_>) {
    let Some((HeldQuestion { namespace, uuid, .. }, purpose)) = cluster.held.answer(number) else { return };
    match purpose {
        Purpose::Answer => call.outputs.push_back(Output::Held { number, is_held: true }),
        Purpose::Leave(leaving) => {
            // No claim is later than those that are known, whatever the page says.
            let latest = call.book.claims.latest();
            let order = leaving.stream.map_or_else(|| call.book.claims.next_order(), |stream| stream.min(latest));
            announce_leaving((namespace, uuid), order, leaving.is_away, cluster, call);
        }
    }
}

/// A page leaves whose uuid is not claimed here.
pub(super) fn leave_elsewhere(name: &str, uuid: &str, leaving: Leaving, cluster: &mut Cluster, call: &mut Call<'_>) {
    let known = call.book.find(name).and_then(|id| succession::inherit(id, uuid, call.book));
    match (known, leaving.stream) {
        (Some(terms), Some(stream)) if terms.order > stream => {}
        (Some(terms), _) => announce_leaving((name.into(), uuid.into()), terms.order, leaving.is_away, cluster, call),
        (None, _) => {
            ask_held(name, uuid, Purpose::Leave(leaving), cluster, call);
        }
    }
}

/// Asks the other nodes whether they hold a uuid. Returns the number of the question; `None` if it is not asked.
pub(super) fn ask_held(
    name: &str,
    uuid: &str,
    purpose: Purpose,
    cluster: &mut Cluster,
    call: &mut Call<'_>,
) -> Option<u64> {
    // No member can have claimed what would not fit into a datagram.
    if cluster.peers.is_alone() || name.len() > NAME_MAX || uuid.len() > NAME_MAX {
        return None;
    }
    let number = cluster.held.add(name.into(), uuid.into(), purpose, call.now.tick);
    held::ask(&mut cluster.held, &mut cluster.announcer, call.outputs, call.now);
    number
}

/// Says to the other nodes that a page leaves which has joined there.
fn announce_leaving(
    (namespace, uuid): (Rc<str>, Rc<str>),
    order: u64,
    is_away: bool,
    cluster: &mut Cluster,
    call: &mut Call<'_>,
) {
    let claim = Claim { namespace, uuid, order, patience: None };
    cluster.announce_thrice(News::GivenUp { claim, is_away }, call);
}

/// Ends the stream of a claim, whose member is owed `last_word`, and its place as `end` does.
fn end_stream(
    claim: ClaimId,
    last_word: fn(MemberId) -> Output,
    end: fn(ClaimId, &mut Book, Now) -> Option<NamespaceId>,
    cluster: &mut Cluster,
    call: &mut Call<'_>,
) {
    // It leaves now and not when its stream ends: the first count of the member that takes its place has to be true.
    call.outputs.extend(call.book.claims.holder(claim).member().map(last_word));
    if let Some(id) = end(claim, call.book, call.now) {
        ends::forget(id, cluster, call);
    }
}

/// The claim of the same uuid here, if it is earlier than this one of another node.
fn beaten_by(claim: &Claim<&str>, node: NodeId, cluster: &Cluster, call: &mut Call<'_>) -> Option<ClaimId> {
    let (own, order) = own_claim(claim, call.book)?;
    ((claim.order, node) > (order, cluster.node())).then_some(own)
}

/// The claim of the same uuid here, and its order.
fn own_claim(claim: &Claim<&str>, book: &mut Book) -> Option<(ClaimId, u64)> {
    book.claims.see(claim.order);
    let own = book.claims.find(book.find(claim.namespace)?, claim.uuid)?;
    Some((own, book.claims.order(own)))
}

/// Whether another node goes on with the place of a claim here: it has taken over this one, or the same one as this.
fn continues(patience: Patience, own: ClaimId, book: &Book) -> bool {
    let (order, continued) = (book.claims.order(own), book.claims.continued(own));
    patience.continues == order || (patience.continues == continued && continued > 0)
}

/// The namespace of a claim, which may be new here: the count that comes with it has a member.
fn find_or_learn(name: &str, id: PeerId, cluster: &mut Cluster, call: &mut Call<'_>) -> Option<NamespaceId> {
    let found = call.book.find(name);
    if found.is_some() || cluster.peers.at(id).pairs.len() >= cluster.rules.namespaces_max {
        return found;
    }
    capacity::make_for(name, cluster, call);
    learning::find_or_learn(name, true, Whole::nothing(call.now), call.book, call.now)
}
