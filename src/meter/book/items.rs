//! What the items of the journal say when they are announced.
//!
//! Owns the look-up: an item is announced as it is now, whatever it was when it changed. It does not know how much fits into a
//! datagram.
//!
//! Invariant: what is fresh of a census goes with the count of its namespace, and is fresh until that was taken.

use std::rc::Rc;

use super::Book;
use super::journal::{Stretch, Subject, Versions};
use crate::collections::tick::Now;
use crate::meter::news::Item;
use crate::meter::news::census::CensusNews;

/// Announces the next items of a stretch, each with what is said of its people, as long as `take` takes them; returns the
/// versions that they cover.
pub(in crate::meter) fn announce(
    stretch: Stretch,
    book: &mut Book,
    now: Now,
    mut take: impl FnMut(Item<Rc<str>>, Option<CensusNews>) -> bool,
) -> Option<Versions> {
    let Book { journal, namespaces, claims, members, stays, ended, censuses, .. } = book;
    let name_of = |id| namespaces.at(id).shared_name();
    let (repaired_since, version) = (journal.repaired_since(stretch), journal.version());
    journal.advance(stretch, |subject| match subject {
        Subject::Share(id) => {
            let namespace = namespaces.at(id);
            let count = Item::Count(namespace.own_count(stays, now));
            let Some(census) = namespace.census else { return take(count, None) };
            if let Some(since) = repaired_since {
                return take(count, Some(censuses.repair(census, since)));
            }
            let is_taken = take(count, Some(censuses.fresh(census)));
            if is_taken {
                censuses.mark_announced(census, version);
            }
            is_taken
        }
        Subject::Ended(number) => take(Item::Ended(ended.news(number, now)), None),
        Subject::Claim(id) => take(Item::Claim(claims.news(id, members, now.tick, name_of)), None),
        Subject::Retired(id) => take(Item::Retired(claims.news(id, members, now.tick, name_of)), None),
    })
}
