//! What another node looks like from here.
//!
//! Owns the view that pages and figures get of it. It changes nothing.

use crate::meter::news::NodeId;

/// What a node looks like from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeFigures {
    /// Its name.
    pub node: NodeId,
    /// The number of its counted members.
    pub members: u64,
    /// For how many milliseconds no datagram of it has come.
    pub silent_ms: u64,
}
