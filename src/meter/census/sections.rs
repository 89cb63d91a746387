//! Censuses as bytes, for the program that goes on in the place of this one.
//!
//! Owns the order of their figures. It does not know which namespaces there are: the book checks that.

use super::Censuses;
use super::event::EventCensus;
use super::people::People;
use super::person::Person;
use super::recent::Recent;
use crate::collections::sections::{Reader, Writer};
use crate::collections::slab::Slab;
use crate::meter::accounts::precedence::{Precedence, Worth};
use crate::meter::news::Secret;
use crate::meter::news::census::{APART_MAX, Apart, CensusKey, Gaps};

/// Writes all censuses.
pub(in crate::meter) fn write(censuses: &Censuses, out: &mut Writer) {
    let Censuses { limit, secret: Secret([low, high]), draw_count, table, order, turn, settling } = censuses;
    out.count(*limit);
    out.fixed(*low);
    out.fixed(*high);
    out.number(*draw_count);
    out.count(*turn);
    table.write(out, &mut |census, out| write_census(census, out));
    for (id, _) in table.iter() {
        order.worth(id).write(out);
    }
    out.count(settling.len());
    for &(at, id) in settling {
        out.tick(at);
        out.key(id);
    }
}

/// The censuses that were written.
pub(in crate::meter) fn read(from: &mut Reader<'_>) -> Censuses {
    let (limit, secret, draw_count) = (from.size(), Secret([from.fixed(), from.fixed()]), from.number());
    let (turn, table) = (from.size(), Slab::read(from, &mut |_, from| Box::new(read_census(from))));
    let mut order = Precedence::default();
    for (id, _) in table.iter() {
        order.insert(id, Worth::read(from));
    }
    let (mut settling, mut list) = (Vec::new(), from.list());
    while from.has_next(&mut list) {
        settling.push((from.tick(), from.key()));
    }
    Censuses { limit, secret, draw_count, table, order, turn, settling }
}

fn write_census(census: &EventCensus, out: &mut Writer) {
    let EventCensus {
        namespace,
        name,
        key,
        people,
        waiting,
        settles_at,
        is_settled,
        recent,
        is_key_fresh,
        gaps,
        changed_at,
        is_mention_due,
    } = census;
    out.key(*namespace);
    out.number((*name).into());
    out.flag(key.is_some());
    if let Some(CensusKey { born_unix_ms, bytes }) = key {
        out.number(*born_unix_ms);
        out.bytes(bytes);
    }
    people.write(out);
    out.count(waiting.len());
    for person in waiting {
        person.write(out);
    }
    out.tick(*settles_at);
    for &flag in [is_settled, is_key_fresh, is_mention_due] {
        out.flag(flag);
    }
    recent.write(out);
    out.number(gaps.unseen);
    for Apart { tag, people } in gaps.apart {
        out.number(tag.into());
        out.number(people);
    }
    out.tick(*changed_at);
}

fn read_census(from: &mut Reader<'_>) -> EventCensus {
    let (namespace, name) = (from.key(), from.small());
    let key = from.flag().then(|| CensusKey { born_unix_ms: from.number(), bytes: key_bytes(from) });
    let people = People::read(from);
    let (mut waiting, mut list) = (Vec::new(), from.list());
    while from.has_next(&mut list) {
        waiting.push(Person::read(from));
    }
    from.check(waiting.is_sorted(), "people who wait out of order");
    let settles_at = from.tick();
    let [is_settled, is_key_fresh, is_mention_due] = [(); 3].map(|()| from.flag());
    let (recent, unseen) = (Recent::read(from), from.number());
    let apart = [(); APART_MAX].map(|()| Apart { tag: from.small(), people: from.number() });
    EventCensus {
        namespace,
        name,
        key,
        people,
        waiting,
        settles_at,
        is_settled,
        recent,
        is_key_fresh,
        gaps: Gaps { unseen, apart },
        changed_at: from.tick(),
        is_mention_due,
    }
}

fn key_bytes(from: &mut Reader<'_>) -> [u8; 16] {
    let bytes = from.bytes().try_into();
    from.check(bytes.is_ok(), "a key of another length");
    bytes.unwrap_or_default()
}
