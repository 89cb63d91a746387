//! The daemon as it is built, driven from outside: every test starts the real binary on ports of its own and speaks to
//! it over sockets, so that what is proven here is what a page, a script or an operator meets. What needs no socket is
//! tested beside the code.
//!
//! The tests run in parallel, wait for conditions under explicit deadlines, and share nothing but the counter that hands
//! out ports.
#![expect(clippy::unwrap_used, reason = "in a test, a value that is not there is the failure")]

mod accounts;
mod admin;
mod bench;
mod browser;
mod cli;
mod cluster;
mod container;
mod corpus;
mod dead;
mod drain;
mod faults;
mod hosts;
mod http;
mod injected;
mod layers;
mod limits;
mod metrics;
mod proxies;
mod rfc9112;
mod rrd;
mod simulation;
mod slow;
mod stream;
mod supervisor;
mod support;
mod tools;
mod torture;
mod watching;
