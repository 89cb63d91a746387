//! The places of members whose streams were lost, which are kept for them.
//!
//! Owns what becomes of a stream that ends without a word (`--leave-delay`): its place stays counted, and waits under its
//! claim. Its member may come back to it, with a new stream: that is no new connection, and one stay. It does not know how a
//! page says that it leaves, nor why a stream has ended.
//!
//! Invariant: a place that waits is counted, and nothing of it is announced but that it waits.

use std::time::Duration;

use super::Book;
use super::claims::{Holder, Line, Waiting};
use super::keys::{ClaimId, MemberId, NamespaceId};
use super::members::{Member, low_bits};
use super::standing::Standing;
use super::succession;
use crate::collections::tick::{Now, TICK_MS};
use crate::meter::accounts::stays::bucket_of;

/// Most places that wait, at some 150 bytes each. Past it, a stream that ends is a member that has left.
const WAITING_MAX: usize = 250_000;

/// For how long the place of a page is kept that was left: a reload is that, too, and takes no longer.
const AWAY: Duration = Duration::from_secs(5);

/// A member leaves; an absent one changes nothing. Returns its namespace if the caller has to forget that at once:
/// every member that it ever had left before it was counted.
pub(super) fn leave(member: MemberId, book: &mut Book, now: Now) -> Option<NamespaceId> {
    let &Member { namespace: Some(id), claim, standing, .. } = book.members.get(member)? else { return None };
    book.pending.cancel(member);
    book.unrecognized.remove(&member);
    let namespace = book.namespaces.at_mut(id);
    book.walks.step_over(member, namespace, &book.members);
    let stay = book.members.exit(member, namespace, now.tick);
    namespace.end_presence(now);
    if let Some(ticks) = stay {
        book.stays.add_one(&mut namespace.stays, bucket_of(ticks * TICK_MS));
    }
    let is_without_trace = namespace.is_without_trace();
    if let Some(claim) = claim {
        succession::retire(claim, standing == Standing::Counted, book, now);
    }
    if standing.is_announced() {
        book.touch_share(id);
    }
    book.record_total(id, 0, now);
    if is_without_trace {
        return Some(id);
    }
    book.reschedule(id, now);
    None
}

/// A stream is gone, and its page has said nothing. Returns the namespace that the caller has to forget, as [`leave`] does.
pub(in crate::meter) fn lose(member: MemberId, book: &mut Book, now: Now) -> Option<NamespaceId> {
    let claim = book.members.get(member)?.claim;
    let Some(claim) = claim.filter(|_| may_wait(member, book)) else { return leave(member, book, now) };
    wait(claim, member, Line::Lost, book, now);
    None
}

/// A page was left, and perhaps for a reload: the place of this claim is kept for a short time, if places are kept at all. Returns
/// the namespace to forget.
pub(in crate::meter) fn go_away(claim: ClaimId, book: &mut Book, now: Now) -> Option<NamespaceId> {
    match book.claims.holder(claim) {
        Holder::Waiting(waiting) => shorten(claim, waiting, book, now),
        Holder::Member(member) if may_wait(member, book) => wait(claim, member, Line::Away, book, now),
        Holder::Member(member) => return leave(member, book, now),
        Holder::Nothing => {}
    }
    None
}

/// Ends a claim, and counts its person no more. Returns the namespace to forget.
pub(in crate::meter) fn end(claim: ClaimId, book: &mut Book, now: Now) -> Option<NamespaceId> {
    match book.claims.holder(claim) {
        Holder::Member(member) => leave(member, book, now),
        Holder::Waiting(waiting) => {
            give_up(claim, waiting, true, book, now);
            None
        }
        Holder::Nothing => None,
    }
}

/// Another node goes on with the place of this claim: it counts the person from now on, and the stay goes on there. Returns the
/// namespace to forget.
pub(in crate::meter) fn hand_over(claim: ClaimId, book: &mut Book, now: Now) -> Option<NamespaceId> {
    if let Holder::Member(member) = book.claims.holder(claim) {
        if !is_counted(member, book) {
            return leave(member, book, now);
        }
        wait(claim, member, Line::Lost, book, now);
    }
    if let Holder::Waiting(waiting) = book.claims.holder(claim) {
        give_up(claim, waiting, false, book, now);
    }
    None
}

/// Another node has claimed the uuid of this claim: its stream ends. The place stays until that node's count is known, if it is one
/// that is kept; else the claim ends. Returns the namespace to forget.
pub(in crate::meter) fn give_way(claim: ClaimId, book: &mut Book, now: Now) -> Option<NamespaceId> {
    match book.claims.holder(claim) {
        Holder::Member(member) if may_wait(member, book) => wait(claim, member, Line::Lost, book, now),
        Holder::Member(_) => return end(claim, book, now),
        Holder::Waiting(_) | Holder::Nothing => {}
    }
    None
}

/// Gives up places that have waited for long enough, at most this number.
pub(in crate::meter) fn expire(most: usize, book: &mut Book, now: Now) {
    for _ in 0..most {
        let Some(claim) = book.claims.pop_over(now.tick) else { break };
        end(claim, book, now);
    }
}

/// Whether the place of a present member may wait.
fn may_wait(member: MemberId, book: &Book) -> bool {
    let is_kept = !book.rules.leave_delay.is_zero() && book.claims.waiting() < WAITING_MAX;
    is_kept && is_counted(member, book)
}

/// Whether a present member is counted.
pub(super) fn is_counted(member: MemberId, book: &Book) -> bool {
    book.members.get(member).is_some_and(|member| member.standing == Standing::Counted)
}

/// The place of a present member waits from now on.
fn wait(claim: ClaimId, member: MemberId, line: Line, book: &mut Book, now: Now) {
    let until = now.tick.after(time_of(line, book));
    let Some((id, counted_at)) = leave_place(member, book) else { return };
    book.claims.wait(claim, counted_at, until, line);
    let namespace = book.namespaces.at_mut(id);
    namespace.estates.waiting += 1;
    namespace.end_presence(now);
    book.touch_share(id);
    book.reschedule(id, now);
}

/// A place that waits already is kept for no longer than one of a page that was left.
fn shorten(claim: ClaimId, Waiting { counted_at, until }: Waiting, book: &mut Book, now: Now) {
    let latest = now.tick.after(time_of(Line::Away, book));
    let left_until = |tick: u32| tick.wrapping_sub(low_bits(now.tick));
    if left_until(until) > left_until(low_bits(latest)) {
        book.claims.wait(claim, counted_at, latest, Line::Away);
    }
}

/// How long places of this line are kept.
fn time_of(line: Line, book: &Book) -> Duration {
    let delay = book.rules.leave_delay;
    if line == Line::Lost { delay } else { delay.min(AWAY) }
}

/// A place is counted no more. If its stay is over, it is one that has ended.
fn give_up(claim: ClaimId, Waiting { counted_at, .. }: Waiting, is_over: bool, book: &mut Book, now: Now) {
    let id = book.claims.namespace(claim);
    let namespace = book.namespaces.at_mut(id);
    namespace.estates.waiting -= 1;
    let ticks = book.members.give_up_place(counted_at, namespace, now.tick);
    namespace.end_presence(now);
    if is_over {
        book.stays.add_one(&mut namespace.stays, bucket_of(ticks * TICK_MS));
    }
    succession::retire(claim, true, book, now);
    book.touch_share(id);
    book.record_total(id, 0, now);
    book.reschedule(id, now);
}

/// Takes a present member out of its namespace, and leaves its place in the count: the namespace, and the low bits of the tick
/// since which it is counted.
pub(super) fn leave_place(member: MemberId, book: &mut Book) -> Option<(NamespaceId, u32)> {
    let id = book.members.get(member)?.namespace?;
    let namespace = book.namespaces.at_mut(id);
    book.walks.step_over(member, namespace, &book.members);
    Some((id, book.members.leave_place(member, namespace)))
}
