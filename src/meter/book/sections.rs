//! The book as bytes, for the program that goes on in the place of this one.
//!
//! Owns the order of the tables: each comes after those that its keys lead to, so they can be checked as they are read. What
//! follows from other tables is not written.
//!
//! Invariant: a key leads where it led before, for connections hold it too.

use super::changes::Changes;
use super::ended::Ended;
use super::former::Former;
use super::journal::{Journal, Subject};
use super::members::Members;
use super::schedule::{Rules, Schedule};
use super::vacancy::Vacancy;
use super::walks::Walks;
use super::{Book, NAME_SHARDS, claims, estates, namespace, people};
use crate::collections::sections::{Reader, Writer};
use crate::collections::shards::ShardMap;
use crate::collections::slab::Slab;
use crate::collections::wheel::TimerWheel;
use crate::meter::accounts::history::Histories;
use crate::meter::accounts::stays::StaysTable;
use crate::meter::census;
use crate::meter::news::NodeId;

/// Writes all of it but the rules, which the next program has of its own.
pub(in crate::meter) fn write(book: &Book, out: &mut Writer) {
    let Book {
        rules: _,
        namespaces,
        by_name: _,
        members,
        claims,
        estates,
        node: _,
        walks,
        stays,
        histories,
        censuses,
        unrecognized,
        changes,
        journal,
        schedule,
        ended,
        former,
        vacancy,
        pending,
    } = book;
    namespaces.write(out, &mut |namespace, out| {
        namespace::sections::write(namespace, stays, out);
        members.write(namespace, out);
    });
    out.number(members.counted());
    walks.write(out);
    claims::sections::write(claims, out);
    estates::sections::write(estates, out);
    ended.write(out);
    journal.write(out);
    former.write(stays, out);
    vacancy.write(out);
    schedule.write(out);
    pending.write(out);
    histories.write(out);
    census::sections::write(censuses, out);
    people::write(unrecognized, out);
    changes.write(out);
}

/// The book of `node` that was written. Keys lead where they led before.
pub(in crate::meter) fn read(rules: Rules, node: NodeId, from: &mut Reader<'_>) -> Book {
    let (mut stays, mut members) = (StaysTable::default(), Members::default());
    let mut by_name = ShardMap::new(NAME_SHARDS);
    let mut namespaces = Slab::read(from, &mut |id, from| {
        let mut namespace = namespace::sections::read(&mut stays, from);
        members.read(id, &mut namespace, from);
        let earlier = by_name.insert(namespace.name.clone(), id);
        from.check(earlier.is_none(), "two namespaces of one name");
        namespace
    });
    members.set_counted(from.number());
    let walks = Walks::read(&mut namespaces, &members, from);
    let has_namespace = |id| namespaces.get(id).is_some();
    let claims = claims::sections::read(&has_namespace, from);
    let estates = estates::sections::read(&has_namespace, from);
    let ended = Ended::read(from);
    let is_there = |subject| match subject {
        Subject::Share(id) => has_namespace(id),
        Subject::Claim(id) | Subject::Retired(id) => claims.has(id),
        Subject::Ended(number) => ended.has(number),
    };
    let journal = Journal::read(&is_there, from);
    let former = Former::read(&mut stays, from);
    let vacancy = Vacancy::read(&namespaces, from);
    let (schedule, pending) = (Schedule::read(from), TimerWheel::read(from));
    let (histories, censuses) = (Histories::read(from), census::sections::read(from));
    let (unrecognized, changes) = (people::read(from), Changes::read(from));
    let book = Book {
        rules,
        namespaces,
        by_name,
        members,
        claims,
        estates,
        node,
        walks,
        stays,
        histories,
        censuses,
        unrecognized,
        changes,
        journal,
        schedule,
        ended,
        former,
        vacancy,
        pending,
    };
    check_keys(&book, from);
    book
}

/// Checks that what names a value of another table names one that is there.
fn check_keys(book: &Book, from: &mut Reader<'_>) {
    let is_kept = !book.rules.leave_delay.is_zero();
    from.check(book.claims.is_patient() == is_kept, "places are kept there and not here, or the other way round");
    claims::sections::check(&book.claims, &book.members, &book.journal, from);
    for member in book.members.iter() {
        from.check(member.claim.is_none_or(|claim| book.claims.has(claim)), "a member without its claim");
    }
    for (_, namespace) in book.namespaces.iter() {
        from.check(namespace.share.is_none_or(|share| book.journal.has_item(share)), "a share without its item");
        from.check(namespace.census.is_none_or(|census| book.censuses.has(census)), "people of no event");
    }
    let is_counted =
        |(census, namespace)| book.get(namespace).is_some_and(|namespace| namespace.census == Some(census));
    from.check(book.censuses.namespaces().all(is_counted), "an event without its people");
    let is_there = book.unrecognized.keys().all(|&member| book.members.get(member).is_some());
    from.check(is_there, "a person without a member");
    let is_timed = book.schedule.timed().all(|id| book.namespaces.get(id).is_some());
    let is_pending = book.pending.keys().all(|member| book.members.get(member).is_some());
    from.check(is_timed && is_pending, "a timer of what is not there");
}
