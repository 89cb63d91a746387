//! Floor 4: joins the floors. The reactor says what is ready, the sessions what was said, the meter what is due.
//!
//! | room | owns |
//! |---|---|
//! | `turn` | the order of things: wait, dispatch, expire, push, reap |
//! | `bus` | datagrams to and from the other nodes |
//! | `ports` | the listeners, and how many connections there may be on each |
//! | `conns` | one connection, and the table of all of them with their deadlines |
//! | `audience` | what a request does to the audience, and the fan-out |
//! | `answers` | what a request asks for, and the pages |
//! | `figures` | what the pages of the stats port say, and the metrics of all nodes |
//! | `shutdown` | how a process ends |
//!
//! Invariant: nothing but `turn`'s `reap` frees a connection, and nothing outlives it.

mod answers;
mod audience;
mod bus;
mod conns;
mod figures;
mod ports;
mod shutdown;
mod turn;

pub use ports::listeners::BindError;
pub use turn::Server;
