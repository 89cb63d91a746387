//! What became of datagrams: the counters, and the reasons for which one has no effect.
//!
//! Owns the names of the reasons, as figures show them. It does not know how a datagram is judged.
//!
//! Invariant: a datagram that is received is counted once, unless it carries no news.

use std::io;

use crate::meter::Rejection;
use crate::server::troubles::Kind;
use crate::wire::report::Dropped;

/// What came and went.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) sent: u64,
    pub(super) bytes_sent: u64,
    pub(super) send_errors: u64,
    pub(super) received: u64,
    pub(super) bytes_received: u64,
    /// By reason.
    pub(super) dropped: [u64; DropReason::NAMES.len()],
}

impl Counters {
    pub(super) fn record_sent(&mut self, sent: &io::Result<usize>) {
        match sent {
            Ok(bytes) => {
                self.sent += 1;
                self.bytes_sent += *bytes as u64;
            }
            Err(_) => self.send_errors += 1,
        }
    }

    /// A datagram of this length has gone by this number of links.
    pub(super) fn record_sent_by_links(&mut self, count: usize, length: usize) {
        self.sent += count as u64;
        self.bytes_sent += (count * length) as u64;
    }

    /// A datagram of this length was given to the broker, which has dropped a number of others for it, or none is reached.
    pub(super) fn record_sent_over_broker(&mut self, sent: Option<usize>, length: usize) {
        match sent {
            Some(dropped) => {
                self.record_sent(&Ok(length));
                self.send_errors += dropped as u64;
            }
            None => self.send_errors += 1,
        }
    }

    pub(super) fn record_received(&mut self, length: usize) {
        self.received += 1;
        self.bytes_received += length as u64;
    }

    pub(super) fn record_dropped(&mut self, reason: DropReason) {
        self.dropped[reason as usize] += 1;
    }
}

/// What a datagram has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The meter has applied it.
    Used,
    /// It carries no news, and no counter counts it.
    NoNews,
    /// Its sender has not proved itself, and is asked.
    Unproven,
    /// It has no effect.
    Dropped(DropReason),
}

/// Why a datagram has no effect, in the order of the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DropReason {
    ForeignAudience,
    ForeignVersion,
    Forged,
    Malformed,
    Replayed,
    TooManyNodes,
    Unkeyed,
}

impl DropReason {
    /// What figures call them.
    pub(super) const NAMES: [&str; 7] =
        ["foreign_audience", "foreign_version", "forged", "malformed", "replayed", "too_many_nodes", "unkeyed"];

    /// The trouble that it shows, if it shows one, at a node with a key or without.
    pub(super) fn trouble(self, has_key: bool) -> Option<Kind> {
        match self {
            Self::ForeignAudience => Some(Kind::ForeignScope),
            Self::ForeignVersion => Some(Kind::ForeignVersion),
            Self::Forged if has_key => Some(Kind::DifferentKey),
            Self::Forged => Some(Kind::KeyedElsewhere),
            Self::Unkeyed => Some(Kind::Unkeyed),
            Self::Malformed | Self::Replayed | Self::TooManyNodes => None,
        }
    }
}

impl Outcome {
    pub(super) fn of_rejected(rejection: Rejection) -> Self {
        match rejection {
            Rejection::Own | Rejection::Copied | Rejection::BeforeProof | Rejection::NeverThere => Self::NoNews,
            Rejection::Unproven => Self::Unproven,
            Rejection::Forged => Self::Dropped(DropReason::Forged),
            Rejection::Replayed => Self::Dropped(DropReason::Replayed),
            Rejection::TooManyNodes => Self::Dropped(DropReason::TooManyNodes),
        }
    }

    pub(super) fn of_dropped(dropped: Dropped) -> Self {
        Self::Dropped(match dropped {
            Dropped::Malformed => DropReason::Malformed,
            Dropped::ForeignVersion => DropReason::ForeignVersion,
            Dropped::ForeignScope => DropReason::ForeignAudience,
            Dropped::Unkeyed => DropReason::Unkeyed,
            Dropped::Forged => DropReason::Forged,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_counted_under_its_name() {
        let reasons = [
            (Dropped::ForeignScope, "foreign_audience"),
            (Dropped::ForeignVersion, "foreign_version"),
            (Dropped::Forged, "forged"),
            (Dropped::Malformed, "malformed"),
            (Dropped::Unkeyed, "unkeyed"),
        ];
        let dropped = reasons.map(|(dropped, name)| (Outcome::of_dropped(dropped), name));
        let rejections = [(Rejection::Replayed, "replayed"), (Rejection::TooManyNodes, "too_many_nodes")];
        let rejected = rejections.map(|(rejection, name)| (Outcome::of_rejected(rejection), name));
        for (outcome, name) in dropped.into_iter().chain(rejected) {
            let Outcome::Dropped(reason) = outcome else { panic!("{name} is {outcome:?}") };
            assert_eq!(DropReason::NAMES[reason as usize], name);
        }
        assert!(DropReason::NAMES.is_sorted(), "pages have them in this order");
        let quiet = [Rejection::Own, Rejection::Copied, Rejection::BeforeProof, Rejection::NeverThere];
        assert!(quiet.iter().all(|&rejection| Outcome::of_rejected(rejection) == Outcome::NoNews));
    }
}
