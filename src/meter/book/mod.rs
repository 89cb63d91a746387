//! The book of this node: its namespaces, its members, what they claim, and what the other nodes are to know of that.
//!
//! | file | owns |
//! |---|---|
//! | `changes` | the names whose totals have changed, while there are watchers |
//! | `claims` | the uuids that members claim |
//! | `invariants` | the check that the book balances, after each input in debug builds |
//! | `journal` | the order of this node's own changes, and how far they have been announced |
//! | `members` | one record per member, and the order of the members in their namespace |
//! | `namespace` | the figures of one event |
//! | `standing` | whether a member is in the count |
//! | `walks` | the cursors that move along the members of a namespace for many turns |

pub(super) mod changes;
pub(super) mod claims;
mod invariants;
pub(super) mod journal;
pub(super) mod members;
pub(super) mod namespace;
mod standing;
pub(super) mod walks;
