//! Floor 4: joins the floors. The reactor says what is ready, the sessions what was said, the meter whom to tell what.
//!
//! | file | owns |
//! |---|---|
//! | `turn` | the order of things: wait, dispatch, expire, push, reap |
//! | `listeners`, `room` | the ports, and how many connections there may be on each |
//! | `conn`, `conns` | one connection, and the table of all of them with their deadlines |
//! | `heads` | what may be held of requests that are not whole |
//! | `clients`, `addresses` | for whom a connection is, and how many of one address are counted |
//! | `drain` | how a process ends that was told to |
//! | `ending` | last words: of events that are over, and of the process |
//! | `serve` | what an event, an answer or a deadline makes of one connection |
//! | `service` | what a request is answered with, and what it does to the audience |
//! | `stats` | what is at the stats port |
//! | `route`, `admin` | what a request asks for, on the audience port and on the side ports |
//! | `figures`, `metrics` | what the pages of the stats port say, and the figures of all nodes as Prometheus has them |
//! | `pieces` | replies that are too long for one turn |
//! | `push` | telling many, in slices |
//! | `watching` | telling those who watch many namespaces, and are not counted |
//! | `bus` | datagrams to and from the other nodes |
//! | `neighbours` | whose a port is, when two audiences want it, and who else is of this one |
//! | `assets` | the embedded pages and scripts |
//! | `heartbeat` | telling a supervisor, if there is one, that the turns go on |
//! | `torture` | the kernel on its worst day, for the tests |
//!
//! Invariant: nothing but `turn`'s `reap` frees a connection, and nothing outlives it.

mod addresses;
mod admin;
mod assets;
mod bus;
mod clients;
mod conn;
mod conns;
mod drain;
mod ending;
mod figures;
mod heads;
mod heartbeat;
mod jitter;
mod listeners;
mod metrics;
mod neighbours;
mod pieces;
mod push;
mod room;
mod route;
mod serve;
mod service;
mod stats;
mod torture;
mod turn;
mod watching;

pub use listeners::BindError;
pub use turn::Server;
