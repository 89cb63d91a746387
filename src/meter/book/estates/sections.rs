//! Estates as bytes, for the program that goes on in the place of this one.
//!
//! Owns their order: each estate with its records, as the list of it has them. What follows from the records is not written.

use std::rc::Rc;

use super::{Estate, Estates, Fate, Record, Terms};
use crate::collections::list::{Link, List};
use crate::collections::sections::{Reader, Writer};
use crate::collections::slab::Slab;
use crate::collections::tick::Tick;
use crate::meter::book::claims::{key_of, uuid_of};
use crate::meter::book::keys::{EstateId, NamespaceId};
use crate::meter::news::NodeId;

/// Writes all estates, each with its records.
pub(in crate::meter::book) fn write(estates: &Estates, out: &mut Writer) {
    let Estates { records, by_key: _, table, living: _, orphans, adoptions, over } = estates;
    table.write(out, &mut |estate, out| {
        let Estate { namespace, node, fate, records: list, standing: _, superseded: _ } = estate;
        out.key(*namespace);
        out.fixed(node.0);
        let (kind, until) = match *fate {
            Fate::Living => (0, Tick(0)),
            Fate::Orphaned { until } => (1, until),
            Fate::Over => (2, Tick(0)),
        };
        out.number(kind);
        out.tick(until);
        out.count(list.iter(records).count());
        for id in list.iter(records) {
            let Record { link: _, key, next: _, estate: _, terms, is_superseded } = records.at(id);
            let Terms { order, continues, counted_at } = terms;
            out.key(id);
            out.text(uuid_of(key));
            for number in [*order, *continues, u64::from(*counted_at)] {
                out.number(number);
            }
            out.flag(*is_superseded);
        }
    });
    for line in [orphans, adoptions] {
        out.count(line.len());
        for &(at, id) in line {
            out.tick(at);
            out.key(id);
        }
    }
    out.count(over.len());
    for &id in over {
        out.key(id);
    }
}

/// The estates that were written, in namespaces that are `there`.
pub(in crate::meter::book) fn read(there: &dyn Fn(NamespaceId) -> bool, from: &mut Reader<'_>) -> Estates {
    let mut estates = Estates::default();
    let table = Slab::read(from, &mut |id, from| read_estate(id, &mut estates, there, from));
    estates.table = table;
    estates.records.mend();
    let Estates { orphans, adoptions, over, .. } = &mut estates;
    for line in [orphans, adoptions] {
        let mut list = from.list();
        while from.has_next(&mut list) {
            line.push_back((from.tick(), from.key()));
        }
    }
    let mut list = from.list();
    while from.has_next(&mut list) {
        over.push_back(from.key());
    }
    estates
}

fn read_estate(
    id: EstateId,
    estates: &mut Estates,
    there: &dyn Fn(NamespaceId) -> bool,
    from: &mut Reader<'_>,
) -> Estate {
    let (namespace, node, kind, until) = (from.key(), NodeId(from.fixed()), from.number(), from.tick());
    from.check(there(namespace) && kind < 3, "claims of a node in a namespace that is not there");
    let fate = match kind {
        0 => Fate::Living,
        1 => Fate::Orphaned { until },
        _ => Fate::Over,
    };
    let mut estate = Estate { namespace, node, fate, records: List::EMPTY, standing: 0, superseded: 0 };
    if fate == Fate::Living {
        estates.living.insert((node, namespace), id);
    }
    let mut list = from.list();
    while from.has_next(&mut list) {
        let (record, key) = (from.key(), Rc::<[u8]>::from(key_of(namespace, from.text())));
        let terms = Terms { order: from.number(), continues: from.number(), counted_at: from.small() };
        let is_superseded = from.flag();
        let next = estates.by_key.get(&key).copied();
        let restored = Record { link: Link::UNLINKED, key: key.clone(), next, estate: id, terms, is_superseded };
        let is_vacant = estates.records.restore(record, restored);
        if from.check(is_vacant, "one record of two claims") {
            estates.by_key.insert(key, record);
            estate.records.push_back(&mut estates.records, record);
            *if is_superseded { &mut estate.superseded } else { &mut estate.standing } += 1;
        }
    }
    estate
}
