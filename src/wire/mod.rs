//! Floor 2: bytes to values and back, pure.
//!
//! Owns what goes over a connection: the request head, the steps of a connection's life, event-stream frames, replies and
//! what is still unwritten; and what a proxy says of its client. It does not know what an audience is nor where bytes come
//! from: fuzzers and tests drive it with slices.
//!
//! Invariant: no input panics, and the same bytes cut into any pieces give the same result.

#![warn(clippy::indexing_slicing)]

pub mod forwarded;
pub mod history;
pub mod http;
pub mod json;
pub mod outbox;
pub mod proxy;
pub mod query;
pub mod reply;
pub mod report;
mod seal;
pub mod session;
pub mod sse;
pub mod stats;
pub mod watch;
