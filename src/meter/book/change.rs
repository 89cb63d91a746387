//! What has changed in a namespace elsewhere: the values by which other nodes come into the book.
//!
//! Owns their meaning. It does not know by what report, or whose end, they came to be.

use crate::collections::sections::{Reader, Writer};
use crate::meter::accounts::stays::Stays;

/// The members of one node in a namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::meter) struct Present {
    pub(in crate::meter) counted: u32,
    pub(in crate::meter) apart: Apart,
}

/// The members that stand apart, which are few.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::meter) struct Apart {
    /// Those that are not counted.
    pub(in crate::meter) uncounted: u32,
    /// Those of the counted ones whose places wait.
    pub(in crate::meter) waiting: u32,
}

impl Apart {
    pub(in crate::meter) fn write(self, out: &mut Writer) {
        let Self { uncounted, waiting } = self;
        out.number(uncounted.into());
        out.number(waiting.into());
    }

    pub(in crate::meter) fn read(from: &mut Reader<'_>) -> Self {
        Self { uncounted: from.small(), waiting: from.small() }
    }
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

/// The members of all other nodes in a namespace.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Elsewhere {
    pub(super) counted: u64,
    pub(super) uncounted: u64,
    pub(super) waiting: u64,
    pub(super) connections: u64,
    /// The sum of their ticks, as that of this node's members.
    pub(super) member_ticks: u64,
}

impl Elsewhere {
    pub(super) fn write(&self, out: &mut Writer) {
        let &Self { counted, uncounted, waiting, connections, member_ticks } = self;
        for number in [counted, uncounted, waiting, connections] {
            out.number(number);
        }
        out.fixed(member_ticks);
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        let (counted, uncounted, waiting) = (from.number(), from.number(), from.number());
        Self { counted, uncounted, waiting, connections: from.number(), member_ticks: from.fixed() }
    }

    /// Applies what has changed at one of the nodes.
    pub(super) fn apply(&mut self, change: &Change) {
        let &Change { before, after, .. } = change;
        let (was, is) = (before.apart, after.apart);
        self.counted = self.counted + u64::from(after.counted) - u64::from(before.counted);
        self.uncounted = self.uncounted + u64::from(is.uncounted) - u64::from(was.uncounted);
        self.waiting = self.waiting + u64::from(is.waiting) - u64::from(was.waiting);
        self.connections += change.connections;
        self.member_ticks = self.member_ticks.wrapping_add(change.member_ticks);
    }
}

/// What estates add to the total of a namespace, and take off it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::meter) struct Weight {
    /// The places of departed nodes that are counted still.
    pub(in crate::meter) orphans: u32,
    /// The places that living nodes count, and that are counted elsewhere already.
    pub(in crate::meter) overlap: u32,
}

/// What a namespace keeps of the estates in it.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::meter) struct EstateSums {
    /// What all of them weigh.
    pub(super) weight: Weight,
    /// The number of those that count.
    pub(super) count: u32,
    /// The number of claims of this node that are over, while that is announced.
    pub(in crate::meter) retired: u32,
    /// Of this node's counted members those whose places wait.
    pub(super) waiting: u32,
}

impl EstateSums {
    pub(super) fn write(self, out: &mut Writer) {
        let Self { weight: Weight { orphans, overlap }, count, retired, waiting } = self;
        for number in [orphans, overlap, count, retired, waiting] {
            out.number(number.into());
        }
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        let weight = Weight { orphans: from.small(), overlap: from.small() };
        Self { weight, count: from.small(), retired: from.small(), waiting: from.small() }
    }

    /// What one of them weighs has changed; without a weight it counts no more.
    pub(super) fn replace(&mut self, before: Weight, after: Option<Weight>) {
        self.count -= u32::from(after.is_none());
        let after = after.unwrap_or_default();
        self.weight.orphans = self.weight.orphans + after.orphans - before.orphans;
        self.weight.overlap = self.weight.overlap + after.overlap - before.overlap;
    }
}
