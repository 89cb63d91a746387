//! What the event of a namespace came to, when it is over.
//!
//! Owns the step from the figures of a namespace to its report. It does not know whether one is due, or who gives it.
//!
//! Invariant: no event ends before it began, whatever nodes differ by.

use super::Book;
use super::keys::NamespaceId;
use crate::collections::tick::Now;
use crate::meter::accounts::ending::Ending;

/// What the event of a present namespace came to, if it is over now.
pub(in crate::meter) fn ending(id: NamespaceId, book: &Book, now: Now) -> Ending {
    let namespace = book.at(id);
    let created_unix_s = namespace.created_unix_s(now);
    // Nodes differ by half a second about the beginning.
    let ended_unix_s = (now.unix_ms.saturating_sub(namespace.age(now).empty_ms) / 1000).max(created_unix_s);
    let accounts = namespace.accounts(&book.stays, namespace.reach(&book.censuses), now);
    Ending { namespace: namespace.shared_name(), created_unix_s, ended_unix_s, accounts }
}
