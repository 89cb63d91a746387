//! The ports: which there are, in what they differ, how many connections fit, and whose they are.
//!
//! | file | owns |
//! |---|---|
//! | `port` | the four ports, and the table of their policies |
//! | `capacity` | how many connections fit on each port |
//! | `sockets` | the sockets of all ports, bound or handed on |
//! | `listeners` | the listening sockets, and when they accept |
//! | `crowd` | when silent connections wait in the kernel |
//! | `neighbours` | the names by which processes of this host know whose a port is |
//! | `seat` | the number of this process among those of its host |
//!
//! `port` and `capacity` are values without state, and every room may name them. `listeners` counts no connections: whether
//! one more fits, its caller says.

pub(in crate::server) mod capacity;
mod crowd;
pub(in crate::server) mod listeners;
pub(in crate::server) mod neighbours;
pub(in crate::server) mod port;
pub(in crate::server) mod seat;
pub(in crate::server) mod sockets;
