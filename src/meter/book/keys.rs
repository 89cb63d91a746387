//! The keys of the book's tables.
//!
//! Owns the types alone, so that a file which holds a key need not know the table behind it.

use crate::collections::key::key_type;

key_type! {
    /// A member's key, chosen by the caller and unique among present members.
    pub MemberId
}

key_type! {
    /// A namespace's key, valid until the namespace is forgotten.
    pub NamespaceId
}

key_type! {
    /// A walk's key, valid until the walk has ended.
    pub WalkId
}

key_type! {
    /// A claim's key.
    pub(in crate::meter) ClaimId
}

key_type! {
    /// The key of what another node has claimed in a namespace.
    pub(in crate::meter) EstateId
}

key_type! {
    /// The key of an item in the journal.
    pub(in crate::meter) ItemId
}

key_type! {
    /// The key of what has made a namespace, chosen by the caller and unique among those that have one.
    pub MakerId
}
