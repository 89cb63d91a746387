//! Why a datagram of another node has no effect.
//!
//! Owns the reasons, which the caller counts.

/// Why a datagram has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rejection {
    /// It is this node's own, come back.
    Own,
    /// It was received before, or is too old for the window.
    Replayed,
    /// It was received before, by another way.
    Copied,
    /// It was sent before its sender proved that it is there. It was overtaken, or is a recording.
    BeforeProof,
    /// It is the goodbye of a node that was not there.
    NeverThere,
    /// There are as many nodes as there may be.
    TooManyNodes,
    /// Its sender is not known to be there, or is, and cannot be at this number. It is asked.
    Unproven,
    /// It says goodbye in the name of a node that is there, and cannot prove it.
    Forged,
}
