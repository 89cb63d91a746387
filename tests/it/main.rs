//! The daemon as it is built, driven from outside: every test starts the real binary on ports of its own and speaks to
//! it over sockets, so that what is proven here is what a page, a script or an operator meets. What needs no socket is
//! tested beside the code.
//!
//! The tests run in parallel, wait for conditions under explicit deadlines, and share nothing but the counter that hands
//! out ports.
//!
//! | file | owns |
//! |---|---|
//! | `audience` | the audience port and those who listen at it |
//! | `beside` | what stands beside the daemon |
//! | `cluster` | many processes and many hosts that are one audience |
//! | `faults` | clients, kernels and clocks that misbehave |
//! | `house` | what is read instead of run |
//! | `operation` | what an operator meets |
#![expect(clippy::unwrap_used, reason = "in a test, a value that is not there is the failure")]

mod audience;
mod beside;
mod cluster;
mod faults;
mod house;
mod operation;
