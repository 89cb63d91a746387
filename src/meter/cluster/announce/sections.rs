//! What this node announces as bytes, for the program that goes on in the place of this one.
//!
//! Owns the order of the figures. What the program that goes on knows itself is not written: the versions of the format that it
//! reads. The farewell follows from the secret.

use super::{Announcer, Copies, DepartedNews, Messages, Pace, Stance, Surveys};
use crate::collections::sections::{Reader, Writer};

/// Writes what this node announces.
pub(in crate::meter::cluster) fn write(announcer: &Announcer, out: &mut Writer) {
    let Announcer {
        node: _,
        formats: _,
        format: _,
        farewell: _,
        number,
        messages,
        is_behind,
        fresh_at,
        alive_at,
        alive_gap,
        sent_at,
        copies,
        departed,
        surveys,
        pace,
        counters_at,
        counters_sent_at,
        stance,
    } = announcer;
    out.number(*number);
    messages.write(out);
    out.flag(*is_behind);
    for &tick in [fresh_at, alive_at, counters_at] {
        out.tick(tick);
    }
    out.duration(*alive_gap);
    for &tick in [sent_at, counters_sent_at] {
        out.option_tick(tick);
    }
    copies.write(out);
    departed.write(out);
    surveys.write(out);
    pace.write(out);
    out.number(*stance as u64);
}

/// Goes on with what was written, as a node that has sent nothing under its name yet.
pub(in crate::meter::cluster) fn read(announcer: &mut Announcer, from: &mut Reader<'_>) {
    announcer.number = from.number();
    announcer.messages = Messages::read(from);
    announcer.is_behind = from.flag();
    for tick in [&mut announcer.fresh_at, &mut announcer.alive_at, &mut announcer.counters_at] {
        *tick = from.tick();
    }
    announcer.alive_gap = from.duration();
    (announcer.sent_at, announcer.counters_sent_at) = (from.option_tick(), from.option_tick());
    announcer.copies = Copies::read(from);
    announcer.departed = DepartedNews::read(from);
    announcer.surveys = Surveys::read(from);
    announcer.pace = Pace::read(from);
    announcer.stance = match from.number() {
        1 => Stance::Departs,
        2 => Stance::Covered,
        3 => Stance::Reports,
        number => {
            from.check(number == 0, "an unknown stance");
            Stance::GoesOn
        }
    };
}
