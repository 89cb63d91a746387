//! Claims as bytes, for the program that goes on in the place of this one.
//!
//! Owns their order. What they are looked up by follows from them, and is not written.

use std::rc::Rc;

use super::{Claim, Claims, Holder, Waiting, key_of, uuid_of};
use crate::collections::sections::{Reader, Writer};
use crate::collections::slab::Slab;
use crate::meter::book::journal::Journal;
use crate::meter::book::keys::NamespaceId;
use crate::meter::book::members::Members;

/// Writes all claims.
pub(in crate::meter::book) fn write(claims: &Claims, out: &mut Writer) {
    let Claims { table, by_key: _, latest, waiting: _, lines: [lost, away], over, is_patient } = claims;
    out.flag(*is_patient);
    out.number(*latest);
    table.write(out, &mut |claim, out| {
        let Claim { namespace, key, holder, order, continues, item } = claim;
        out.key(*namespace);
        out.text(uuid_of(key));
        write_holder(*holder, out);
        out.number(*order);
        out.number(*continues);
        out.option_key(*item);
    });
    for line in [lost, away, over] {
        out.count(line.len());
        for &(until, id) in line {
            out.tick(until);
            out.key(id);
        }
    }
}

/// The claims that were written, in namespaces that are `there`.
pub(in crate::meter::book) fn read(there: &dyn Fn(NamespaceId) -> bool, from: &mut Reader<'_>) -> Claims {
    let mut claims = Claims::new(from.flag());
    claims.latest = from.number();
    let Claims { by_key, waiting, .. } = &mut claims;
    let table = Slab::read(from, &mut |id, from| {
        let (namespace, uuid) = (from.key(), from.text());
        from.check(there(namespace), "a claim in a namespace that is not there");
        let key: Rc<[u8]> = key_of(namespace, uuid).into();
        let holder = read_holder(from);
        *waiting += usize::from(matches!(holder, Holder::Waiting(_)));
        // One that is over may have been claimed again.
        let earlier = if holder == Holder::Nothing { None } else { by_key.insert(key.clone(), id) };
        from.check(earlier.is_none(), "a uuid that is claimed twice");
        Claim { namespace, key, holder, order: from.number(), continues: from.number(), item: from.option_key() }
    });
    claims.table = table;
    let Claims { lines: [lost, away], over, .. } = &mut claims;
    for line in [lost, away, over] {
        let mut entries = from.list();
        while from.has_next(&mut entries) {
            line.push_back((from.tick(), from.key()));
        }
    }
    claims
}

/// Checks that each claim stands for a member that is there, and for an item of the journal that is.
pub(in crate::meter::book) fn check(claims: &Claims, members: &Members, journal: &Journal, from: &mut Reader<'_>) {
    for (_, claim) in claims.table.iter() {
        let is_held = claim.holder.member().is_none_or(|member| members.get(member).is_some());
        let is_entered = claim.item.is_none_or(|item| journal.has_item(item));
        from.check(is_held && is_entered, "a claim without its member or its item");
    }
}

fn write_holder(holder: Holder, out: &mut Writer) {
    match holder {
        Holder::Nothing => out.number(0),
        Holder::Member(member) => {
            out.number(1);
            out.key(member);
        }
        Holder::Waiting(Waiting { counted_at, until }) => {
            out.number(2);
            out.number(counted_at.into());
            out.number(until.into());
        }
    }
}

fn read_holder(from: &mut Reader<'_>) -> Holder {
    match from.number() {
        1 => Holder::Member(from.key()),
        2 => Holder::Waiting(Waiting { counted_at: from.small(), until: from.small() }),
        number => {
            from.check(number == 0, "a claim of an unknown kind");
            Holder::Nothing
        }
    }
}
