//! What the naive book knows of one member.

use audience_meter::collections::tick::Tick;
use audience_meter::meter::MemberId;

use crate::world::people::Individual;

/// A member that is there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Present {
    pub(crate) member: MemberId,
    pub(crate) individual: Individual,
    pub(crate) uuid: Option<&'static str>,
    /// The order of its claim of the uuid, as it was announced to the other nodes.
    pub(crate) claim_order: u64,
    /// Its number among all members that ever came to this node.
    pub(crate) serial: u64,
    /// When it will have stayed long enough to be counted; `None` while it is left out.
    pub(crate) counts_at: Option<Tick>,
    /// Since when it is counted.
    pub(crate) counted_at: Option<Tick>,
    /// The last number that was pushed to it, or 0.
    pub(crate) pushed: u64,
}

impl Present {
    /// Whether it is not counted, now or later.
    pub(crate) fn is_left_out(&self) -> bool {
        self.counts_at.is_none()
    }

    /// Whether it has stayed long enough and is not counted.
    pub(crate) fn is_overdue(&self, now: Tick) -> bool {
        self.counted_at.is_none() && self.counts_at.is_some_and(|at| at <= now)
    }
}
