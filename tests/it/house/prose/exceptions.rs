//! Where a word stays that has a plainer one, each with its reason.
//!
//! Owns the list alone. An exception that is no longer met fails a test.

/// The beginning of the path, the word, a part of the line, and the reason.
pub(super) const EXCEPTIONS: &[(&str, &str, &str, &str)] = &[];
