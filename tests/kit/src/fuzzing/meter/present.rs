//! What the naive book knows of one member.

use audience_meter::collections::tick::Tick;
use audience_meter::meter::MemberId;

/// A member that is there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Present {
    pub(super) member: MemberId,
    pub(super) uuid: Option<&'static str>,
    /// When it claimed the uuid, as it was told to the others.
    pub(super) claim_ms: u64,
    /// The how manieth of all who ever came it is.
    pub(super) serial: u64,
    /// When it will have stayed long enough to be counted; `None` while it is not to be.
    pub(super) counts_at: Option<Tick>,
    /// Since when it is counted.
    pub(super) counted_at: Option<Tick>,
    /// The last number that it was told, or 0.
    pub(super) heard: u64,
}

impl Present {
    /// Whether it is not to be counted.
    pub(super) fn is_left_out(&self) -> bool {
        self.counts_at.is_none()
    }

    /// Whether it has stayed long enough and is not counted.
    pub(super) fn is_to_be_counted(&self, now: Tick) -> bool {
        self.counted_at.is_none() && self.counts_at.is_some_and(|at| at <= now)
    }
}
