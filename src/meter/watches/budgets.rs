//! How much is done for watchers in one go.
//!
//! Owns the budgets, so that tests can make every step a small one.

/// How much is done in one go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budgets {
    /// How many names are found, summed up, taken over or dropped in a turn.
    pub(super) names: usize,
    /// The most lines of a piece.
    pub(super) lines: usize,
    /// How many names are looked at for a piece.
    pub(super) looks: usize,
    /// About how many bytes a piece takes when it is written.
    pub(super) bytes: usize,
}

impl Default for Budgets {
    /// A name takes up to 0.4 us, so those of a turn 0.05 ms.
    fn default() -> Self {
        Self { names: 128, lines: 128, looks: 256, bytes: 4096 }
    }
}
