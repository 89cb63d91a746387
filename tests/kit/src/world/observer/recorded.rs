//! What an observer makes of members that came and left.

use audience_meter::collections::tick::TICK_MS;
use audience_meter::meter::{STAY_BUCKETS, Stays};

/// How many members came, for how many ticks in all they were there, and how long those stayed that have left.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Recorded {
    pub(crate) connections: u64,
    pub(crate) member_ticks: u64,
    pub(crate) stays: Stays,
}

impl Recorded {
    /// A member has left after so many ticks.
    pub(super) fn add_stay(&mut self, ticks: u64) {
        self.add_present(ticks);
        let bounds_ms = (0..STAY_BUCKETS - 1).map(|bucket| 1_000 << bucket);
        self.stays[bounds_ms.take_while(|&below_ms| ticks * TICK_MS >= below_ms).count()] += 1;
    }

    /// A member has been there for so many ticks.
    pub(super) fn add_present(&mut self, ticks: u64) {
        self.connections += 1;
        self.member_ticks += ticks;
    }

    /// What both come to.
    pub(crate) fn with(mut self, other: &Self) -> Self {
        self.connections += other.connections;
        self.member_ticks += other.member_ticks;
        self.stays.iter_mut().zip(other.stays).for_each(|(count, other)| *count += other);
        self
    }
}
