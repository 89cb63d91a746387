//! What the integration tests, the fuzz targets and the instrument share: the daemon as a child process, what is exchanged
//! with it, and the only clock of the tests.
//!
//! The kit starts the very program that is released, and speaks to it over sockets. It knows no test.
//!
//! | file | owns |
//! |---|---|
//! | `brokers` | message brokers as child processes |
//! | `chance` | chance that is the same in each run |
//! | `clock` | the one clock of the tests |
//! | `daemon` | the daemon as a child process, on ports of its own |
//! | `exchange` | one request and its whole reply, under a deadline |
//! | `faketime` | time that libfaketime makes up for a daemon |
//! | `fuzzing` | the bodies of the fuzz targets, one file each |
//! | `network` | three hosts with an address each, joined by a switch |
//! | `pages` | what a daemon says of itself on the pages of its stats port |
//! | `ports` | TCP ports that are handed out once |
//! | `proc` | what the kernel says of a process, by its files below `/proc` |
//! | `process` | child processes |
//! | `program` | where the programs under test are, and the source that they were built from |
//! | `quiet` | tests that judge time, kept apart from tests that take the machine for themselves |
//! | `refusal` | a daemon that ends by itself |
//! | `scratch` | files and folders of a test's own, in the folder for temporary files |
//! | `skip` | tests that are left out |
//! | `stream` | one member |
//! | `tool` | programs of others, run to their end |
//! | `tracer` | strace at a process that runs already |
//! | `manual` | the examples of README.md and of the manual, for tests that run them as they stand |
//! | `sockets` | connections with options that std does not set |
//! | `world` | the one world of many nodes, on a virtual clock and any network |
#![expect(clippy::unwrap_used, reason = "in a test, a value that is not there is the failure")]
#![expect(clippy::missing_panics_doc, reason = "whatever is not as it should be fails the test, by a panic")]
#![expect(clippy::must_use_candidate, reason = "tests also call these to wait, and drop what they return")]

mod brokers;
mod chance;
mod clock;
mod daemon;
mod exchange;
mod faketime;
pub mod fuzzing;
pub mod manual;
mod network;
mod pages;
mod ports;
mod proc;
mod process;
mod program;
mod quiet;
mod refusal;
mod scratch;
mod skip;
mod sockets;
mod stream;
mod tool;
mod tracer;
pub mod world;

pub use brokers::{Broker, Program, certificate};
pub use chance::Chance;
pub use clock::{Deadline, SOON, TICK, ms, now, unix_now, wait_for, wait_until};
pub use daemon::{Daemon, without_time};
pub use exchange::{ACCEPT, Reply, connect, contains, exchange, get, join_request, lossy, read_to_end, request};
pub use faketime::Time;
pub use network::{Crowd, LaterNode, Network, Node, Relay, Resolver, address, address_v6, command_in};
pub use pages::{cluster_page, figure, nodes, open_connections, process_page};
pub use ports::{free_port, has_ipv6};
pub use proc::{
    anonymous_memory, children, cpu_ticks, descriptors, is_there, pass, sleeps, sockets, wait_rest, wait_settled,
};
pub use process::{Running, end, isolate, send_signal, show};
pub use program::{program, source};
pub use quiet::{Quiet, heavy, timed};
pub use refusal::{Exit, run_to_end};
pub use scratch::{ScratchFile, ScratchFolder};
pub use skip::{is_tortured, skip, skip_under_torture};
pub use sockets::{connect_from, reset_on_close};
pub use stream::{Block, Event, Stream, member, members};
pub use tool::{output, run};
pub use tracer::{Tracer, injected};
