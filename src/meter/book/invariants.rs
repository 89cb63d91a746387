//! Checks that the book balances, after each input, in debug builds.
//!
//! Owns no state. The other files rely on what is checked here.

use std::collections::HashMap;

use super::Book;
use super::change::{Apart, Present, Weight};
use super::keys::NamespaceId;
use super::namespace::Namespace;
use super::standing::Standing;
use crate::meter::accounts::stays::Stays;

/// Above this many members or namespaces the book is no longer checked after each input: it would make tests quadratic.
const CHECKED_MAX: u64 = 256;

/// What all other nodes together have in a namespace.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::meter) struct Elsewhere {
    pub(in crate::meter) counted: u64,
    pub(in crate::meter) uncounted: u64,
    pub(in crate::meter) waiting: u64,
    /// The sum of member ticks at the zero of this node's clock.
    pub(in crate::meter) member_ticks: u64,
    pub(in crate::meter) stays: Stays,
}

/// Whether the book is small enough to be checked after each input.
pub(in crate::meter) fn is_small(book: &Book) -> bool {
    let total: u64 = book.namespaces.iter().map(|(_, namespace)| namespace.total()).sum();
    total <= CHECKED_MAX && book.namespaces.len() as u64 <= CHECKED_MAX
}

/// What the namespaces add up to.
#[derive(Default)]
struct Sums {
    counted: u64,
    claims: usize,
    histograms: usize,
}

/// Panics if the book does not balance with what other nodes have in each namespace.
pub(in crate::meter) fn check(book: &Book, elsewhere: &HashMap<NamespaceId, Elsewhere>) {
    let (mut sums, estates) = (Sums::default(), book.estates.check());
    for (id, namespace) in book.namespaces.iter() {
        let present = check_members(book, id, namespace, &mut sums);
        check_totals(book, namespace, present, &elsewhere.get(&id).copied().unwrap_or_default());
        let (weight, count) = estates.get(&id).copied().unwrap_or_default();
        let known = (namespace.estates.weight, namespace.estates.count);
        assert_eq!(known, (weight, count), "what estates add to the total of {}", namespace.name());
        let is_in_line = book.vacancy.has(id);
        assert!(!is_in_line || namespace.is_vacant(), "a namespace in a line is vacant");
        assert!(
            is_in_line || !namespace.is_vacant() || namespace.is_without_trace(),
            "a vacant namespace is in a line"
        );
        let has_seen = namespace.share.is_none() || !namespace.is_above_its_peak();
        assert!(has_seen, "the peak of {} is less than its total", namespace.name());
        sums.histograms += [namespace.stays, namespace.stays_elsewhere].iter().filter(|id| id.has_row()).count();
        let is_watched = namespace.is_ready || book.schedule.has_timer(id);
        let is_due = namespace.is_vacant() || namespace.due(&book.rules.notify, 0).is_some();
        assert!(is_watched || !is_due, "nothing waits unwatched");
    }
    assert_eq!(book.members.counted(), sums.counted, "the sum over all namespaces");
    assert_eq!(book.stays.len(), sums.histograms + book.former.histogram_count(), "no histogram is left behind");
    assert_eq!(book.by_name.len(), book.namespaces.len(), "no name leads nowhere");
    assert_eq!(book.claims.len(), sums.claims, "no claim outlives its member and the place of that");
}

fn check_members(book: &Book, id: NamespaceId, namespace: &Namespace, sums: &mut Sums) -> Present {
    assert_eq!(book.by_name.get(&namespace.name), Some(&id), "a namespace is found by its name");
    let mut present = Present::default();
    for (key, member) in book.members.of(namespace) {
        assert_eq!(member.namespace, Some(id), "a member is in its namespace's list");
        let is_timed = book.pending.deadline(key).is_some();
        assert_eq!(member.standing == Standing::Pending, is_timed, "a pending member will be counted");
        present.counted += u32::from(member.standing == Standing::Counted);
        present.apart.uncounted += u32::from(member.standing == Standing::Uncounted);
        if let Some(claim) = member.claim {
            sums.claims += 1;
            assert_eq!(book.claims.holder(claim).member(), Some(key), "a claim names its member");
        }
    }
    let waiting = book.claims.waiting_in(id);
    sums.claims += waiting;
    present.apart.waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
    present.counted += present.apart.waiting;
    sums.counted += u64::from(present.counted);
    present
}

fn check_totals(book: &Book, namespace: &Namespace, present: Present, others: &Elsewhere) {
    assert_eq!(namespace.present(), present, "the counters are the members");
    let Apart { uncounted, waiting } = present.apart;
    let totals = [(present.counted, others.counted), (uncounted, others.uncounted), (waiting, others.waiting)];
    let [members, uncounted, waiting] = totals.map(|(here, elsewhere)| u64::from(here) + elsewhere);
    let Weight { orphans, overlap } = namespace.estates.weight;
    let members = (members + u64::from(orphans)).saturating_sub(overlap.into());
    let totals = [members, uncounted, waiting + u64::from(orphans)];
    let known = [namespace.total(), namespace.uncounted(), namespace.waiting()];
    assert_eq!(known, totals, "a total is the members here and elsewhere");
    assert_eq!(namespace.elsewhere.member_ticks, others.member_ticks, "how long they were elsewhere");
    assert_eq!(book.stays.get(namespace.stays_elsewhere), others.stays, "how long they stayed elsewhere");
}
