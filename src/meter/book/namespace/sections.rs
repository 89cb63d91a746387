//! A namespace as bytes, for the program that goes on in the place of this one.
//!
//! Owns the order of its figures. It does not know the members.

use super::Namespace;
use crate::collections::list::List;
use crate::collections::sections::{Reader, Writer};
use crate::meter::accounts::ending::Reported;
use crate::meter::accounts::stays::StaysTable;
use crate::meter::book::change::{Elsewhere, EstateSums};
use crate::meter::book::notice::Notice;

/// Writes a namespace. Its members and the walks along them follow elsewhere.
pub(in crate::meter::book) fn write(namespace: &Namespace, stays: &StaysTable, out: &mut Writer) {
    let Namespace {
        name,
        list: _,
        walks: _,
        is_ready,
        is_in_line,
        counted,
        uncounted,
        connections,
        member_ticks,
        elsewhere,
        estates,
        stays: stays_here,
        stays_elsewhere,
        peak,
        peak_at,
        history,
        census,
        is_hearsay,
        reported,
        share,
        created,
        modified,
        notice,
        empty_since,
    } = namespace;
    out.text(name);
    for &flag in [is_ready, is_in_line, is_hearsay] {
        out.flag(flag);
    }
    for it in [u64::from(*counted), u64::from(*uncounted), *connections, *peak] {
        out.number(it);
    }
    out.fixed(*member_ticks);
    elsewhere.write(out);
    estates.write(out);
    stays.write(*stays_here, out);
    stays.write(*stays_elsewhere, out);
    out.moment(*peak_at);
    out.option_key(*history);
    out.option_key(*census);
    reported.write(out);
    out.option_key(*share);
    out.moment(*created);
    out.option_tick(*modified);
    notice.write(out);
    out.tick(*empty_since);
}

/// The namespace that was written, without members.
pub(in crate::meter::book) fn read(stays: &mut StaysTable, from: &mut Reader<'_>) -> Namespace {
    let name = from.text().into();
    let [is_ready, is_in_line, is_hearsay] = [(); 3].map(|()| from.flag());
    let (counted, uncounted, connections, peak) = (from.small(), from.small(), from.number(), from.number());
    Namespace {
        name,
        list: List::EMPTY,
        walks: Vec::new(),
        is_ready,
        is_in_line,
        counted,
        uncounted,
        connections,
        member_ticks: from.fixed(),
        elsewhere: Elsewhere::read(from),
        estates: EstateSums::read(from),
        stays: stays.read(from),
        stays_elsewhere: stays.read(from),
        peak,
        peak_at: from.moment(),
        history: from.option_key(),
        census: from.option_key(),
        is_hearsay,
        reported: Reported::read(from),
        share: from.option_key(),
        created: from.moment(),
        modified: from.option_tick(),
        notice: Notice::read(from),
        empty_since: from.tick(),
    }
}
