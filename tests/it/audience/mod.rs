//! The audience port and those who listen at it: heads, refusals, streams, limits, watchers.

mod counts;
mod deaf_watchers;
mod http;
mod limits;
mod refused;
mod rfc9112;
mod stream;
mod uuids;
mod watcher;
mod watching;
