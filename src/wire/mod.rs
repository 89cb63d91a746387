//! Floor 2: bytes to values and back, pure.
//!
//! Owns what goes over a connection: the request head, the steps of a connection's life, event-stream frames, replies and
//! what is still unwritten; and what a proxy says of its client. It does not know what an audience is nor where bytes come
//! from: fuzzers and tests drive it with slices.
//!
//! | file | owns |
//! |---|---|
//! | `http` | the request head |
//! | `session` | the steps of a connection's life |
//! | `name` | the one spelling of a name |
//! | `query` | the parameters of a query |
//! | `proxy` | the head of the PROXY protocol |
//! | `forwarded` | the chain of `X-Forwarded-For` |
//! | `reply` | response heads |
//! | `date` | dates as HTTP writes them |
//! | `sse` | event-stream frames |
//! | `gzip` | packed files, unpacked |
//! | `transfer` | the transfer coding of a stream |
//! | `watch` | the query of a watcher, and its frames |
//! | `leaving` | what a page says that leaves |
//! | `members` | the number of members without a stream, and its forms |
//! | `outbox` | bytes that a peer has not taken yet |
//! | `json` | texts and numbers of JSON |
//! | `stats` | the JSON of the stats port, and of an event that is over |
//! | `history` | rows of history, as JSON and as CSV |
//! | `report` | datagrams between nodes |
//! | `seal` | the code that a key makes of some bytes |
//! | `signature` | the signature of an address |
//! | `broker` | a session with a message broker |
//! | `table` | what a process hands on to its successor, and keeps on a disk |
//! | `handover` | what a supervisor and its worker say to each other |
//!
//! Invariant: no input panics, and the same bytes cut into any pieces give the same result.

#![warn(clippy::indexing_slicing)]

pub mod broker;
pub mod date;
pub mod forwarded;
pub mod gzip;
pub mod handover;
pub mod history;
pub mod http;
pub mod json;
pub mod leaving;
pub mod members;
pub mod name;
pub mod outbox;
pub mod proxy;
pub mod query;
pub mod reply;
pub mod report;
mod seal;
pub mod session;
pub mod signature;
pub mod sse;
pub mod stats;
pub mod table;
pub mod transfer;
pub mod watch;
