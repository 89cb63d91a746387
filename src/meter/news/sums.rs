//! What was counted in a namespace, and what is known of it as a whole.
//!
//! Owns the values that a share of a living node, of a departed one and of the fold have in common. It does not know whose they
//! are.
//!
//! Invariant: a weight is what `wire::report` writes.

use super::atoms::number_weight;
use crate::meter::accounts::stays::Stays;

/// The largest sum of member ticks that is announced: those of 10,000 members for a hundred years. Thousands of such sums
/// can be added up.
pub const MEMBER_TICKS_MAX: u64 = (1 << 52) - 1;

/// The largest number that thousands are added up of: of connections, of stays and of members.
pub const SUMMAND_MAX: u64 = (1 << 48) - 1;

/// What a node has counted in a namespace. No number of it ever falls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// The number of joins that were counted.
    pub connections: u64,
    /// For how many ticks members were counted, all of them together, up to now.
    pub member_ticks: u64,
    /// How long former members stayed.
    pub stays: Stays,
}

/// The largest age that is announced, in milliseconds: a thousand years.
pub const AGE_MS_MAX: u64 = 1 << 45;

/// The most members that were present at once, at all nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peak {
    /// The number of members.
    pub members: u64,
    /// How long before the datagram was sent that was so first, in milliseconds; 0 without members.
    pub ago_ms: u64,
}

impl Peak {
    pub(super) fn weight(self) -> usize {
        number_weight(self.members) + number_weight(self.ago_ms)
    }
}

/// For how long a namespace has been there, and for how long it has been empty everywhere; both as of when the datagram was
/// sent. Ages travel and no dates, so no node has to believe the wall clock of another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Age {
    /// How long ago its first member came, in milliseconds.
    pub existed_ms: u64,
    /// For how long it has had no members, in milliseconds; 0 while it has some. It travels with each report of an empty
    /// namespace, so that reports do not keep the namespace alive.
    pub empty_ms: u64,
}

impl Age {
    pub(super) fn weight(self) -> usize {
        number_weight(self.existed_ms) + number_weight(self.empty_ms)
    }
}

impl Sums {
    /// Bit `n` is set when a stay was of bucket `n`.
    #[must_use]
    pub fn buckets(&self) -> u64 {
        (0..).zip(&self.stays).fold(0, |mask, (bucket, &count)| mask | u64::from(count > 0) << bucket)
    }

    pub(super) fn weight(&self) -> usize {
        let stays = self.stays.iter().filter(|&&count| count > 0).map(|&count| number_weight(count));
        let numbers = [self.connections, self.member_ticks, self.buckets()].map(number_weight);
        stays.chain(numbers).sum()
    }
}
