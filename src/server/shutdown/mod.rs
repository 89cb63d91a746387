//! The end of the process, and its signs of life until then.
//!
//! | file | owns |
//! |---|---|
//! | `drain` | the order and the pace in which members are let go |
//! | `ending` | what is written down of events that are over, and the node's departure |
//! | `heartbeat` | a worker's signs of life to its supervisor |
//! | `turnover` | events that end by the thousand: what the log says of them, and what becomes of their memory |

pub(in crate::server) mod drain;
pub(in crate::server) mod ending;
pub(in crate::server) mod heartbeat;
pub(in crate::server) mod turnover;
