//! What nodes say to each other of the uuids that members claim.
//!
//! Owns these values. It does not know what follows from them.

/// A claim of a uuid. Of two, the one of the larger order stands; of the same order, the one of the larger node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim<N> {
    /// The namespace's name.
    pub namespace: N,
    /// The uuid.
    pub uuid: N,
    /// One more than the largest order that the node knew of. It is no time, so that no clock decides between two claims.
    pub order: u64,
}

/// Whether a uuid is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldQuestion<N> {
    /// Counts the asker's questions from 1.
    pub number: u64,
    /// The namespace's name.
    pub namespace: N,
    /// The uuid.
    pub uuid: N,
}
