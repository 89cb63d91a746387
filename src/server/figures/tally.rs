//! What this process has done for its members since it started.
//!
//! Owns the running counts that belong to no single room, and the enums that distinguish them. It does not know which
//! metrics they become, and it never counts down.
//!
//! Invariant: an enum's `NAMES` are in the order of its variants, which is the order of the counters.

/// What is being pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum PushKind {
    /// A count, of which only the latest matters.
    Count,
    /// A message, of which each matters.
    Message,
}

impl PushKind {
    /// The names of the kinds in the metrics.
    pub(in crate::server) const NAMES: [&str; 2] = ["count", "message"];
}

/// What a stream found full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum NoRoom {
    /// The process has as many members as it may have.
    Members,
    /// The process has as many namespaces as it may have, and the stream asked for another.
    Namespaces,
    /// The process has as many watchers, or as many of their patterns, as it may have.
    Watchers,
    /// The address of the client has made as many of the namespaces as it may, and asked for another.
    AddressNamespaces,
}

impl NoRoom {
    /// The names of the reasons in the metrics.
    pub(in crate::server) const NAMES: [&str; 4] = ["members", "namespaces", "watchers", "address_namespaces"];
}

/// Why a join is refused, in the words that its page may read; `origin` is that of the page.
pub(in crate::server) const FORBIDDEN: [&str; 7] =
    ["origin", "name", "uuid", "unsigned", "malformed", "forged", "expired"];

/// Running counts.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::server) struct Tally {
    joins: u64,
    refusals: [u64; NoRoom::NAMES.len()],
    pushes: [u64; PushKind::NAMES.len()],
    messages: u64,
    lost_reports: u64,
    forbidden: [u64; FORBIDDEN.len()],
}

impl Tally {
    /// Counts a stream that was opened.
    pub(in crate::server) fn record_join(&mut self) {
        self.joins += 1;
    }

    /// Counts a stream for which there was no room.
    pub(in crate::server) fn record_refusal(&mut self, reason: NoRoom) {
        self.refusals[reason as usize] += 1;
    }

    /// Counts a request to join that is not let in, for one of the reasons in [`FORBIDDEN`].
    pub(in crate::server) fn record_forbidden(&mut self, reason: &str) {
        let place = FORBIDDEN.iter().position(|&name| name == reason);
        debug_assert!(place.is_some(), "{reason} is in the table");
        if let Some(count) = place.and_then(|place| self.forbidden.get_mut(place)) {
            *count += 1;
        }
    }

    /// Counts a push to one member.
    pub(in crate::server) fn record_push(&mut self, kind: PushKind) {
        self.pushes[kind as usize] += 1;
    }

    /// Counts a message for a namespace that the node knows.
    pub(in crate::server) fn record_message(&mut self) {
        self.messages += 1;
    }

    /// Counts a report of an event that is over for which the file had no room.
    pub(in crate::server) fn record_lost_report(&mut self) {
        self.lost_reports += 1;
    }

    /// The number of streams that were opened.
    pub(in crate::server) fn join_count(&self) -> u64 {
        self.joins
    }

    /// The number of streams for which there was no room, by reason.
    pub(in crate::server) fn refusal_counts(&self) -> [u64; NoRoom::NAMES.len()] {
        self.refusals
    }

    /// The number of requests to join that were not let in, by reason.
    pub(in crate::server) fn forbidden_counts(&self) -> [u64; FORBIDDEN.len()] {
        self.forbidden
    }

    /// The number of pushes, by kind.
    pub(in crate::server) fn push_counts(&self) -> [u64; PushKind::NAMES.len()] {
        self.pushes
    }

    /// The number of messages.
    pub(in crate::server) fn message_count(&self) -> u64 {
        self.messages
    }

    /// The number of reports that are in the log alone.
    pub(in crate::server) fn lost_report_count(&self) -> u64 {
        self.lost_reports
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_record_is_in_the_place_of_its_name() {
        let mut tally = Tally::default();
        tally.record_join();
        tally.record_message();
        let reasons = [NoRoom::Members, NoRoom::Namespaces, NoRoom::Watchers, NoRoom::AddressNamespaces];
        for (reason, name) in reasons.into_iter().zip(NoRoom::NAMES) {
            assert_eq!(format!("{reason:?}").to_lowercase(), name.replace('_', ""));
            (0..=reason as usize).for_each(|_| tally.record_refusal(reason));
        }
        for (kind, name) in [PushKind::Count, PushKind::Message].into_iter().zip(PushKind::NAMES) {
            assert_eq!(format!("{kind:?}").to_lowercase(), name);
            (0..=kind as usize).for_each(|_| tally.record_push(kind));
        }
        for (reason, count) in FORBIDDEN.into_iter().zip(1..) {
            (0..count).for_each(|_| tally.record_forbidden(reason));
        }
        assert_eq!(tally.forbidden_counts(), [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!((tally.join_count(), tally.message_count()), (1, 1));
        assert_eq!((tally.refusal_counts(), tally.push_counts()), ([1, 2, 3, 4], [1, 2]));
    }
}
