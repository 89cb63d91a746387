//! The smallest things that news is made of.
//!
//! Owns the names of nodes and messages, what a node proves itself by, the versions that it speaks, and the bytes that numbers, names and entries take in a datagram.
//!
//! Invariant: a weight is what `wire::report` writes.

use std::fmt;

/// A node's name: drawn at random at each start, so that a restarted process is never taken for the one that died.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u64);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A message of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageId {
    /// The node that announces it.
    pub sender: NodeId,
    /// The number of its last part.
    pub number: u64,
}

/// The bytes of a number in a datagram: 7 bits in each.
pub(super) fn number_weight(number: u64) -> usize {
    (number | 1).ilog2() as usize / 7 + 1
}

/// The bytes of a name in a datagram.
pub(super) fn name_weight(name: &str) -> usize {
    number_weight(name.len() as u64) + name.len()
}

/// The bytes of an entry of a list, whose length is written before it.
pub(super) fn entry_weight(length: usize) -> usize {
    number_weight(length as u64) + length
}

/// What a process draws at its start and shows to no other: no other process can foresee what follows from it.
#[derive(Clone, Copy)]
pub struct Secret(pub [u64; 2]);

/// Which versions of the format a datagram speaks of. They are numbers of `wire::report`, which alone knows what they mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// The version that it is written in.
    pub written: u8,
    /// The newest version that its sender reads.
    pub newest: u8,
}

/// The versions of the format that a node writes and reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Formats {
    /// The first of them.
    pub oldest: u8,
    /// The last of them.
    pub newest: u8,
}

/// The proof of a goodbye. Only the node itself knows it until then: its answers carry a one-way hash of it, so the nodes that
/// believe in it can check its last word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Farewell(pub [u64; 2]);

/// What a node promises to say when it goes: a one-way hash of its [`Farewell`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Promise(pub u64);
