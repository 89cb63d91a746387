//! What nodes say to each other of the uuids that members claim.
//!
//! Owns these values. It does not know what follows from them.

use super::atoms::{name_weight, number_weight};

/// A claim of a uuid. Of two, the one of the larger order stands; of the same order, the one of the larger node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim<N> {
    /// The namespace's name.
    pub namespace: N,
    /// The uuid.
    pub uuid: N,
    /// One more than the largest order that the node knew of. It is no time, so that no clock decides between two claims.
    pub order: u64,
    /// What other nodes have to know if the place of its member is kept; `None` while that is not counted.
    pub patience: Option<Patience>,
}

impl<N: AsRef<str>> Claim<N> {
    /// Its bytes in an entry.
    pub(super) fn weight(&self) -> usize {
        let patience = self
            .patience
            .map_or(1, |Patience { continues, counted_ms }| number_weight(continues + 1) + number_weight(counted_ms));
        name_weight(self.namespace.as_ref()) + name_weight(self.uuid.as_ref()) + number_weight(self.order) + patience
    }
}

/// What a node has to know to go on with the place of a member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Patience {
    /// The order of the claim whose place this one has taken over, at whatever node; 0 if it has taken over none.
    pub continues: u64,
    /// For how long its person has been counted when the datagram was sent, in milliseconds.
    pub counted_ms: u64,
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
