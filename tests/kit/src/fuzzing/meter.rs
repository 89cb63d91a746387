//! Target `meter`: any bytes as a script of the world of many nodes, which compares meters with a naive observer.
//!
//! The seeds of the simulation make such scripts too, so a failing seed is a file of this target's corpus, and
//! `cargo +nightly fuzz tmin meter <file>` shortens it.

use crate::world;

/// Runs one script.
///
/// # Panics
/// If a meter's book and the observer's differ, or a meter breaks a promise.
pub fn meter(bytes: &[u8]) {
    world::run(bytes);
}
