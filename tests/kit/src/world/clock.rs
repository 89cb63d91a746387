//! Time in a world: one clock that no node sees, and what the clocks of each node are off.

use audience_meter::collections::tick::{Now, TICK_MS, Tick};

use crate::Chance;

/// A long time ago, for clocks that can step backwards.
const EPOCH_MS: u64 = 1_700_000_000_000;

/// When worlds begin.
const START_TICK: u64 = 1_000;

/// By how much wall clocks are off at the start, at most: by 50 years, for nothing that nodes agree on depends on them.
const OFF_MS_MAX: u64 = 50 * 365 * 24 * 3600 * 1_000;

/// What a node's clocks are off.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Offset {
    /// Its wall clock, in milliseconds.
    pub(super) unix_ms: i64,
    /// What its monotonic clock is ahead, in ticks.
    pub(super) ticks: u64,
}

impl Offset {
    pub(super) fn draw(chance: &mut Chance, has_one_clock: bool) -> Self {
        let off_ms = i64::try_from(chance.below(2 * OFF_MS_MAX)).unwrap() - i64::try_from(OFF_MS_MAX).unwrap();
        Self { unix_ms: if has_one_clock { 0 } else { off_ms }, ticks: chance.below(1 << 40) }
    }
}

/// The world's clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    pub(super) tick: u64,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self { tick: START_TICK }
    }

    /// For how many ticks the world has been there.
    pub(super) fn passed(self) -> u64 {
        self.tick - START_TICK
    }

    /// What a node takes the time to be.
    pub(super) fn now(self, offset: Offset) -> Now {
        let passed_ms = (self.tick - START_TICK) * TICK_MS;
        let unix_ms =
            (EPOCH_MS + passed_ms).checked_add_signed(offset.unix_ms).expect("no clock is set to before 1970");
        Now { tick: Tick(self.tick + offset.ticks), unix_ms }
    }
}
