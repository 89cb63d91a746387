//! What has changed in a namespace elsewhere: the values by which other nodes come into the book.
//!
//! Owns their meaning. It does not know by what report, or whose end, they came to be.

use crate::meter::accounts::stays::Stays;

/// The members of one node in a namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::meter) struct Present {
    pub(in crate::meter) counted: u32,
    pub(in crate::meter) uncounted: u32,
}

/// What has changed in a namespace, by the report of another node or by its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::meter) struct Change {
    /// The members that it had there.
    pub(in crate::meter) before: Present,
    /// The members that it has.
    pub(in crate::meter) after: Present,
    /// By how much its `connections` have grown.
    pub(in crate::meter) connections: u64,
    /// By how much the sum of member ticks differs, at the zero of this node's clock and modulo 2^64.
    pub(in crate::meter) member_ticks: u64,
    /// The stays that have ended.
    pub(in crate::meter) stays: Stays,
    /// The members that are known to have joined just now.
    pub(in crate::meter) joins: u64,
}
