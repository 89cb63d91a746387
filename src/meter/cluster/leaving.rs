//! What a page says that leaves.
//!
//! Owns the value. It does not know how the page says so, nor what follows from it.

/// What a page says that leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leaving {
    /// The stream that it had, by the number that [`Uuids::stream`](super::uuids::Uuids::stream) gave it; without, it means any.
    pub stream: Option<u64>,
    /// Whether it may be on its way back: its place is kept for a moment, if places are kept.
    pub is_away: bool,
}
