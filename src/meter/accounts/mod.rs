//! What an event comes to: the peak, how long it lasted, and how long its members stayed.
//!
//! Owns the figures that follow from the sums of a namespace. They are kept up to date at O(1) for each join and leave. The
//! sums over all nodes are of what each node counted itself. The peak is of the total as seen by a node that has, or had,
//! members there, and the largest one wins. A total that only a bystander saw, between one report and the next, is not
//! announced: the bystander would have to keep and announce the namespace for it.
//!
//! A stay begins when the member is counted: a member that left before `--increment-delay` leaves no trace here either.
//!
//! | file | owns |
//! |---|---|
//! | `ending` | the figures of an event that is over, and the choice of the node that reports them |
//! | `history` | a row per minute of the largest events |
//! | `precedence` | which history gives up its place first |
//! | `stays` | histograms of how long members stayed |
//!
//! Invariant: once all stays have been reported, stays and members add up to connections, but for those of nodes that were
//! killed.

pub(super) mod ending;
pub(super) mod history;
pub(super) mod precedence;
pub(super) mod stays;

use stays::Stays;

/// The most members that were present at once, as people read it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peak {
    /// The number of members.
    pub members: u64,
    /// Since when, in seconds since 1970; 0 if it is not known.
    pub at_unix_s: u64,
}

/// The number of different people of an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// The number of people.
    pub people: u64,
    /// By how many it may be off: the standard error, the people who were counted twice at most, and the joins that were not
    /// seen. 0 if it is exact.
    pub error: u64,
}

/// What an event has come to so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    /// The number of joins that were counted.
    pub connections: u64,
    /// For how many milliseconds members were counted, all of them together.
    pub member_ms: u64,
    /// The most members that were present at once, and since when.
    pub peak: Peak,
    /// For how many milliseconds the event has gone on, or went on until it was empty.
    pub lasted_ms: u64,
    /// How long its former members stayed.
    pub stays: Stays,
    /// How many different people were counted; `None` if that is not known.
    pub reach: Option<Reach>,
}

impl Accounts {
    /// The members that were present on average of time, in hundredths.
    #[must_use]
    pub fn average_hundredths(&self) -> u64 {
        let average = u128::from(self.member_ms) * 100 / u128::from(self.lasted_ms.max(1));
        // Members that a node reports may have come before the moment that it reports as the first.
        u64::try_from(average).unwrap_or(u64::MAX).min(self.peak.members.saturating_mul(100))
    }

    /// For how many milliseconds each of its members has been present on average.
    #[must_use]
    pub fn average_watch_ms(&self) -> u64 {
        self.member_ms / self.connections.max(1)
    }
}
