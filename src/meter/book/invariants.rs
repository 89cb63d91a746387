//! Checks that the book balances, after each input, in debug builds.
//!
//! Owns no state. What is checked here is what everybody else relies on.

use crate::meter::Meter;
#[cfg(any(test, debug_assertions))]
use crate::meter::{Standing, book::namespace::Present};

#[cfg(any(test, debug_assertions))]
impl Meter {
    /// Above this many members the whole book is no longer checked after each input: it would make tests quadratic.
    const CHECKED_MEMBERS_MAX: u64 = 256;

    /// Panics if the book does not balance.
    pub(in crate::meter) fn check_invariants(&self) {
        let total: u64 = self.namespaces.iter().map(|(_, namespace)| namespace.total()).sum();
        if total > Self::CHECKED_MEMBERS_MAX || self.namespaces.len() as u64 > Self::CHECKED_MEMBERS_MAX {
            return;
        }
        let elsewhere = self.cluster.peers.check(|id| crate::meter::name_digest(self.namespaces.at(id).name()));
        let mut claims = 0;
        let (mut all_counted, mut histograms) = (0, 0);
        for (id, namespace) in self.namespaces.iter() {
            assert_eq!(self.by_name.get(&namespace.name), Some(&id), "a namespace is found by its name");
            let mut present = Present::default();
            for (key, member) in self.members.of(namespace) {
                assert_eq!(member.namespace, Some(id), "a member is in its namespace's list");
                let is_timed = self.pending.deadline(key).is_some();
                assert_eq!(member.standing == Standing::Pending, is_timed, "who is pending will be counted");
                present.counted += u32::from(member.standing == Standing::Counted);
                present.uncounted += u32::from(member.standing == Standing::Uncounted);
                if let Some(claim) = member.claim {
                    claims += 1;
                    assert_eq!(self.claims.member_of(claim), Some(key), "a claim names its member");
                }
            }
            assert_eq!(namespace.present(), present, "what is told is what is there");
            all_counted += u64::from(present.counted);
            let others = elsewhere.get(&id).copied().unwrap_or_default();
            let totals = (u64::from(present.counted) + others.counted, u64::from(present.uncounted) + others.uncounted);
            assert_eq!((namespace.total(), namespace.uncounted()), totals, "a total is who is here and elsewhere");
            assert_eq!(namespace.member_ticks_elsewhere(), others.member_ticks, "how long they were elsewhere");
            assert_eq!(self.stays.get(namespace.stays_elsewhere), others.stays, "how long they stayed elsewhere");
            let has_seen = namespace.share.is_none() || !namespace.is_at_its_peak();
            assert!(has_seen, "{:?} is less than {}", namespace.peak(), namespace.total());
            histograms += [namespace.stays, namespace.stays_elsewhere].iter().filter(|id| id.has_place()).count();
            let is_watched = namespace.ready || self.timers.deadline(id).is_some();
            let is_due = namespace.is_vacant() || namespace.due(&self.rules.notify).is_some();
            assert!(is_watched || !is_due, "nothing waits unwatched");
        }
        assert_eq!(self.members.counted(), all_counted, "the sum is the sum");
        assert_eq!(self.stays.len(), histograms, "no histogram is left behind");
        assert_eq!(self.by_name.len(), self.namespaces.len(), "no name leads nowhere");
        assert_eq!(self.claims.len(), claims, "no claim outlives its member");
    }
}

#[cfg(not(any(test, debug_assertions)))]
impl Meter {
    pub(in crate::meter) fn check_invariants(&self) {
        let _ = self;
    }
}
