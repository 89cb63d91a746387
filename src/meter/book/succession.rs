//! How a place goes on at another node (`--leave-delay`): what is learned of the claims there, and what follows from them.
//!
//! Owns the steps between the estates of other nodes, the claims of this one and the totals. A member that comes back here takes
//! over the place that another node has counted so far, and the total stays what it is; that node's own count says so later. When
//! a node has departed, its places are counted for the delay, and one of the other nodes adopts them: so a node that comes new
//! learns of them, too.
//!
//! It does not know which nodes live, nor how claims travel.
//!
//! Invariant: a total has each person once whose claims are known.

use std::time::Duration;

use super::Book;
use super::claims::{Line, key_of};
use super::estates::{Estate, Estates, Fate, Rank, Terms};
use super::journal::Subject;
use super::keys::{ClaimId, EstateId, NamespaceId};
use super::members::low_bits;
use crate::collections::tick::{Now, TICK_MS};
use crate::meter::news::{Claim, NodeId, Patience};

/// The most claims of other nodes that are known, at some 150 bytes each. What is past it counts as if it had moved unseen.
const KNOWN_MAX: usize = 1_000_000;

/// For how long it is announced that a claim is over. A peer that has missed it asks within moments.
const RETIRED: Duration = Duration::from_secs(10);

/// After how long the next node adopts the places of a departed one, unless another has. Claims are known everywhere by then.
const TURN: Duration = Duration::from_millis(500);

/// How many places are adopted at a time, and after how long further ones are: 400 a second. The adopted claims and the count that
/// has them travel together, but not in one datagram if there are many, and in between a total would lack some.
const ADOPTED_AT_ONCE: usize = 8;
const ADOPTION_GAP: Duration = Duration::from_millis(10);

/// The claim of another node that a member takes over which claims the same uuid here.
pub(in crate::meter) fn inherit(namespace: NamespaceId, uuid: &str, book: &Book) -> Option<Terms> {
    if book.estates.is_empty() { None } else { book.estates.standing(&key_of(namespace, uuid)) }
}

/// The claims of a uuid have changed, here or elsewhere: the latest stands.
pub(super) fn settle(key: &[u8], book: &mut Book, now: Now) {
    if book.estates.is_empty() {
        return;
    }
    let own = book.claims.find_key(key);
    let own = own.map(|own| Rank::new(book.claims.order(own), book.claims.continued(own), book.node));
    for (record, estate, is_superseded) in book.estates.judge(key, own) {
        change(estate, book, now, &mut |estates| estates.set_superseded(record, is_superseded));
    }
}

/// A living node has a claim of a counted member in this namespace.
pub(in crate::meter) fn learn(
    node: NodeId,
    namespace: NamespaceId,
    claim: &Claim<&str>,
    patience: Patience,
    book: &mut Book,
    now: Now,
) {
    if book.rules.leave_delay.is_zero() || book.estates.len() >= KNOWN_MAX {
        return;
    }
    let counted_ago = u32::try_from(patience.counted_ms / TICK_MS).unwrap_or(u32::MAX);
    let counted_at = low_bits(now.tick).wrapping_sub(counted_ago);
    let terms = Terms { order: claim.order, continues: patience.continues, counted_at };
    let key = key_of(namespace, claim.uuid);
    let is_new = book.estates.find(node, namespace).is_none();
    let estate = book.estates.find_or_make(node, namespace);
    book.namespaces.at_mut(namespace).estates.count += u32::from(is_new);
    book.estates.put(estate, &key, terms);
    settle(&key, book, now);
    // The namespace may be new here, and its count never come.
    book.reschedule(namespace, now);
}

/// A living node has no claim of this uuid any more, up to this order.
pub(in crate::meter) fn unlearn(node: NodeId, claim: &Claim<&str>, book: &mut Book, now: Now) {
    let Some(namespace) = book.find(claim.namespace) else { return };
    let Some(estate) = book.estates.find(node, namespace) else { return };
    let key = key_of(namespace, claim.uuid);
    let record = book.estates.record_in(estate, &key).filter(|&record| book.estates.order(record) <= claim.order);
    if let Some(record) = record {
        change(estate, book, now, &mut |estates| estates.remove(record));
        settle(&key, book, now);
    }
}

/// The members of a departed node are taken off the counts of a namespace. Its places are counted from now on, for the delay.
/// `turn` is the number of nodes that may adopt them before this one.
pub(in crate::meter) fn orphan(node: NodeId, namespace: NamespaceId, turn: u32, book: &mut Book, now: Now) {
    let Some(estate) = book.estates.find(node, namespace) else { return };
    let (until, adopt_at) = (now.tick.after(book.rules.leave_delay), now.tick.after(TURN.saturating_mul(turn)));
    change(estate, book, now, &mut |estates| estates.orphan(estate, until, adopt_at));
}

/// Forgets the claims of nodes that are not living, and had no members where they claimed.
pub(in crate::meter) fn forget_nodes(is_living: &dyn Fn(NodeId) -> bool, book: &mut Book, now: Now) {
    for estate in book.estates.of_living(&|node, _| !is_living(node)) {
        change(estate, book, now, &mut |estates| estates.end(estate));
    }
}

/// A vacant namespace is about to be forgotten.
pub(in crate::meter) fn forget(namespace: NamespaceId, book: &mut Book, now: Now) {
    if book.get(namespace).is_some_and(|namespace| namespace.estates.count > 0) {
        for estate in book.estates.in_namespace(namespace) {
            change(estate, book, now, &mut |estates| estates.end(estate));
        }
    }
}

/// A claim is over. Where other nodes know of it, they learn that.
pub(super) fn retire(claim: ClaimId, is_known: bool, book: &mut Book, now: Now) {
    let key = book.claims.key(claim);
    let item = book.claims.item(claim);
    if let Some(item) = item.filter(|_| is_known && book.claims.is_patient()) {
        book.namespaces.at_mut(book.claims.namespace(claim)).estates.retired += 1;
        book.claims.retire(claim, now.tick.after(RETIRED));
        book.journal.replace(item, Subject::Retired(claim));
    } else if let Some(item) = book.claims.remove(claim) {
        book.journal.remove(item);
    }
    settle(&key, book, now);
}

/// Does what is due: places of departed nodes are adopted or are over, and the ends of claims are announced no more; at most
/// `most` of each.
pub(in crate::meter) fn advance(most: usize, book: &mut Book, now: Now) {
    if (0..ADOPTED_AT_ONCE).all(|_| adopt_next(book, now)) {
        book.estates.delay_adoption(now.tick.after(ADOPTION_GAP));
    }
    for _ in 0..most {
        let Some(estate) = book.estates.pop_orphaned(now.tick) else { break };
        change(estate, book, now, &mut |estates| estates.end(estate));
    }
    for _ in 0..most {
        if !book.estates.sweep() {
            break;
        }
    }
    for _ in 0..most {
        let Some((namespace, item)) = book.claims.pop_retired(now.tick) else { break };
        book.namespaces.at_mut(namespace).estates.retired -= 1;
        if let Some(item) = item {
            book.journal.remove(item);
        }
    }
}

/// A place of a departed node is one of this node from now on, and waits here. Its claim comes before the one that it continues:
/// if that node is there after all, it keeps its member.
fn adopt_next(book: &mut Book, now: Now) -> bool {
    let Some((estate, record)) = book.estates.next_adoption(now.tick) else { return false };
    let (key, Terms { order, counted_at, .. }) = book.estates.record(record);
    let Some(id) = book.estates.get(estate).map(|estate| estate.namespace) else { return false };
    if book.claims.find_key(&key).is_some() {
        // Its person is counted here already.
        change(estate, book, now, &mut |estates| estates.remove(record));
        return true;
    }
    let claim = book.claims.adopt(id, key.clone(), order.saturating_sub(1), order);
    book.claims.wait(claim, counted_at, now.tick.after(book.rules.leave_delay), Line::Lost);
    let namespace = book.namespaces.at_mut(id);
    namespace.estates.waiting += 1;
    book.members.adopt_place(namespace, now.tick);
    let item = book.journal.insert(Subject::Claim(claim));
    book.claims.set_item(claim, item);
    book.touch_share(id);
    settle(&key, book, now);
    true
}

/// Changes an estate, and the total of its namespace with it.
fn change(id: EstateId, book: &mut Book, now: Now, act: &mut dyn FnMut(&mut Estates)) {
    let counts = |estates: &Estates| {
        let estate = estates.get(id).filter(|estate| estate.fate != Fate::Over);
        estate.map(|estate| (estate.namespace, Estate::weight(estate)))
    };
    let before = counts(&book.estates);
    act(&mut book.estates);
    let (Some((id, before)), after) = (before, counts(&book.estates)) else { return };
    let after = after.map(|(_, weight)| weight);
    let namespace = book.namespaces.at_mut(id);
    namespace.estates.replace(before, after);
    if before != after.unwrap_or_default() {
        namespace.end_presence(now);
        book.record_total(id, 0, now);
        book.reschedule(id, now);
    }
}
