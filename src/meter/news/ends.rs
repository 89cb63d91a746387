//! What nodes say to each other of ends: of events, and of nodes.
//!
//! Owns these values. It does not know what follows from them.

/// An event that is over, and has been reported: the other nodes need not report it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndedEvent<N> {
    /// The namespace's name.
    pub namespace: N,
    /// The joins that the report counts. To a node that knows of more, the report says nothing.
    pub connections: u64,
    /// For how long the namespace had been empty when the datagram was sent, in milliseconds: one that was created since is
    /// another event.
    pub empty_ms: u64,
}

/// Where a node stands towards the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stance {
    /// It goes on, or went on when the goodbye came, and has taken that node for gone.
    GoesOn,
    /// It departs too.
    Departs,
    /// It departs, and a node that goes on is answerable for its events.
    Covered,
    /// It departs, and reports the events that end.
    Reports,
}
