//! The ports: which there are, who may come in, and whose they are.
//!
//! | file | owns |
//! |---|---|
//! | `listeners` | the listening sockets |
//! | `crowd` | what a port does when it is nearly full of slow heads |
//! | `capacity` | how many connections there may be on each port |
//! | `neighbours` | the names by which processes of this host know whose a port is |

pub(in crate::server) mod capacity;
mod crowd;
pub(in crate::server) mod listeners;
pub(in crate::server) mod neighbours;
