//! What the integration tests, the fuzz targets and the instrument share: the daemon as a child process, what is exchanged
//! with it, and the only clock of the tests.
//!
//! The kit starts the very program that is released, and speaks to it over sockets. It knows no test.
#![expect(clippy::unwrap_used, reason = "in a test, a value that is not there is the failure")]
#![expect(clippy::missing_panics_doc, reason = "whatever is not as it should be fails the test, by a panic")]
#![expect(clippy::must_use_candidate, reason = "tests also call these to wait, and drop what they return")]

mod clock;
mod daemon;
mod exchange;
pub mod fuzzing;
mod ports;
mod process;
mod program;
mod readme;
mod stream;
mod torture;
pub mod world;

pub use clock::{Deadline, SOON, TICK, ms, now, unix_now, wait_for, wait_until};
pub use daemon::Daemon;
pub use exchange::{
    ACCEPT, Reply, connect, contains, exchange, get, join_request, lossy, read_some, read_to_end, request,
};
pub use ports::{free_port, has_ipv6};
pub use process::{children, end, is_there, isolate, show, tell};
pub use program::{beside_this, program, source};
pub use readme::readme_script;
pub use stream::{Block, Event, Stream, member, members};
pub use torture::is_tortured;
