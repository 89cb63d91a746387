//! What this node's members have come to, taken out of the book: they count from 0 then.
//!
//! Owns that step for one namespace. It does not know why, nor where the sums go; until the caller has added them to what
//! other nodes have counted, the totals lack them.
//!
//! Invariant: the other nodes learn that the share has changed.

use super::Book;
use super::keys::NamespaceId;
use crate::collections::tick::Now;
use crate::meter::news::Sums;

/// Takes out what the members of this node have come to in a namespace, if it ever had some.
pub(in crate::meter) fn take_own_sums(id: NamespaceId, book: &mut Book, now: Now) -> Option<Sums> {
    let namespace = book.namespaces.get_mut(id)?;
    namespace.share?;
    let sums = namespace.take_sums(&mut book.stays, now);
    book.touch_share(id);
    Some(sums)
}
