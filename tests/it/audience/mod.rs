//! The audience port and those who listen at it: heads, refusals, streams, limits, watchers.

mod http;
mod limits;
mod rfc9112;
mod stream;
mod watching;
