//! The different people of an event, as members and reports bring them into the book.
//!
//! Owns the steps between the tables: which namespace gets a census, that its people are announced with this node's share, and
//! the people whose members are not counted yet. What is made of a person is the matter of the [`census`](crate::meter::census).
//!
//! Invariant: a person is counted when a member of theirs is.

use std::collections::HashMap;

use super::Book;
use super::keys::{MemberId, NamespaceId};
use super::members::Member;
use super::standing::Standing;
use crate::collections::order::in_order;
use crate::collections::sections::{Reader, Writer};
use crate::collections::shards::BuildKeyHasher;
use crate::collections::tick::{Now, Tick};
use crate::meter::census::{CensusId, Censuses, Learned, Person};
use crate::meter::news::Secret;
use crate::meter::news::census::CensusNews;

/// The people of all events, for one call of the meter.
pub struct People<'a> {
    pub(in crate::meter) book: &'a mut Book,
    pub(in crate::meter) now: Now,
}

impl People<'_> {
    /// Counts the different people of the `limit` largest namespaces. What they are counted by is drawn from the secret.
    pub fn keep(&mut self, limit: usize, secret: Secret) {
        self.book.censuses = Censuses::new(limit, secret);
    }

    /// Whether different people are counted at all.
    #[must_use]
    pub fn are_counted(&self) -> bool {
        self.book.censuses.are_kept()
    }

    /// The member, which has just joined, is this person's.
    pub fn recognize(&mut self, member: MemberId, person: Person) {
        let Self { book, now } = self;
        if !book.censuses.are_kept() {
            return;
        }
        let Some(&Member { namespace: Some(id), standing, .. }) = book.members.get(member) else { return };
        match standing {
            Standing::Counted => count(id, person, book, *now),
            Standing::Pending | Standing::Uncounted => {
                book.unrecognized.insert(member, person);
            }
            Standing::Never => {}
        }
    }
}

/// The present member is counted from now on, and so is its person.
pub(super) fn count_with_member(id: NamespaceId, member: MemberId, book: &mut Book, now: Now) {
    if let Some(person) = book.unrecognized.remove(&member) {
        count(id, person, book, now);
    }
}

fn count(id: NamespaceId, person: Person, book: &mut Book, now: Now) {
    // Nothing is known of the joins before this one.
    let unseen = book.namespaces.at(id).connections().saturating_sub(1);
    let Some(census) = find_or_begin(id, unseen, book, now) else { return };
    if book.censuses.count(census, person, book.journal.version(), now) {
        book.touch_share(id);
    }
}

/// The census of a namespace, which is begun if there is none. Of that many joins nothing is known.
fn find_or_begin(id: NamespaceId, unseen: u64, book: &mut Book, now: Now) -> Option<CensusId> {
    let namespace = book.namespaces.at(id);
    if namespace.census.is_some() {
        return namespace.census;
    }
    let (census, displaced) = book.censuses.begin(id, namespace.name(), namespace.total(), unseen, now.tick)?;
    if let Some(displaced) = displaced {
        book.namespaces.at_mut(displaced).census = None;
    }
    book.namespaces.at_mut(id).census = Some(census);
    Some(census)
}

/// Settles the keys whose time has come, at most this number.
pub(in crate::meter) fn settle(most: usize, book: &mut Book, now: Now) {
    for _ in 0..most {
        if !settle_next(now.tick, book, now) {
            break;
        }
    }
}

/// Settles all keys: this node is about to end, and others have to learn of its people.
pub(in crate::meter) fn settle_all(book: &mut Book, now: Now) {
    while settle_next(Tick(u64::MAX), book, now) {}
}

/// Settles the next key whose time has come by then; returns whether there was one.
fn settle_next(until: Tick, book: &mut Book, now: Now) -> bool {
    let settled = book.censuses.settle_next(book.journal.version(), until, now.tick);
    if let Some((id, true)) = settled {
        book.touch_share(id);
    }
    settled.is_some()
}

/// Another node has reported that many more joins, and what it knows of the people; `None` if it counts none.
pub(in crate::meter) fn learn(
    id: NamespaceId,
    news: Option<&CensusNews>,
    joins: u64,
    book: &mut Book,
    now: Now,
) -> Learned {
    let Some(news) = news else {
        if let Some(census) = book.namespaces.at(id).census {
            book.censuses.miss(census, joins, now.tick);
        }
        return Learned::default();
    };
    let Some(census) = find_or_begin(id, 0, book, now) else { return Learned::default() };
    let learned = book.censuses.learn(census, news, now.tick);
    if learned.has_news && book.namespaces.at(id).share.is_some() {
        book.touch_share(id);
    }
    learned
}

/// The namespace is known from departed nodes alone; what they knew of its people, other nodes have.
pub(in crate::meter) fn begin_by_hearsay(id: NamespaceId, book: &mut Book, now: Now) {
    find_or_begin(id, 0, book, now);
}

/// A part of all that is known of the people of a namespace.
pub(in crate::meter) fn part(id: NamespaceId, number: u8, book: &Book) -> Option<CensusNews> {
    book.censuses.part(book.at(id).census?, number)
}

/// Writes the people whose members are not counted yet.
pub(super) fn write(unrecognized: &HashMap<MemberId, Person, BuildKeyHasher>, out: &mut Writer) {
    out.count(unrecognized.len());
    for (member, person) in in_order(unrecognized.iter().collect()) {
        out.key(*member);
        person.write(out);
    }
}

/// The people that were written.
pub(super) fn read(from: &mut Reader<'_>) -> HashMap<MemberId, Person, BuildKeyHasher> {
    let (mut unrecognized, mut list) = (HashMap::default(), from.list());
    while from.has_next(&mut list) {
        unrecognized.insert(from.key(), Person::read(from));
    }
    unrecognized
}
