//! News as bytes, for the program that goes on in the place of this one: what waits to be sent again, or to be put together.
//!
//! Owns the form of those few kinds. Datagrams have a form of their own, which all nodes agree on.

use std::rc::Rc;

use super::{Ask, Claim, MessagePart, News, Patience, Wanted};
use crate::collections::sections::{Reader, Writer};

/// Writes news that is sent more than once: the first question, and what becomes of claims. (Of any other, nothing is said
/// again.)
pub(in crate::meter) fn write(news: &News<Rc<str>>, out: &mut Writer) {
    match news {
        News::Ask(ask) => {
            out.number(1);
            out.fixed(ask.nonce);
        }
        News::Claimed(claim) => {
            out.number(2);
            write_claim(claim, out);
        }
        News::GivenUp { claim, is_away } => {
            out.number(3);
            write_claim(claim, out);
            out.flag(*is_away);
        }
        _ => out.number(0),
    }
}

/// The news that was written.
pub(in crate::meter) fn read(from: &mut Reader<'_>) -> News<Rc<str>> {
    match from.number() {
        1 => News::Ask(Ask { of: None, wanted: Wanted::Items { since: 0 }, nonce: from.fixed() }),
        2 => News::Claimed(read_claim(from)),
        3 => News::GivenUp { claim: read_claim(from), is_away: from.flag() },
        number => {
            from.check(number == 0, "news of an unknown kind");
            News::Unknown
        }
    }
}

fn write_claim(claim: &Claim<Rc<str>>, out: &mut Writer) {
    let Claim { namespace, uuid, order, patience } = claim;
    out.text(namespace);
    out.text(uuid);
    out.number(*order);
    out.flag(patience.is_some());
    if let Some(Patience { continues, counted_ms }) = patience {
        out.number(*continues);
        out.number(*counted_ms);
    }
}

fn read_claim(from: &mut Reader<'_>) -> Claim<Rc<str>> {
    let (namespace, uuid, order) = (from.text().into(), from.text().into(), from.number());
    let patience = from.flag().then(|| Patience { continues: from.number(), counted_ms: from.number() });
    Claim { namespace, uuid, order, patience }
}

/// Writes a part of a message.
pub(in crate::meter) fn write_part(part: &MessagePart<Rc<str>>, out: &mut Writer) {
    let MessagePart { number, namespace, text, begins, continues } = part;
    out.number(*number);
    out.text(namespace);
    out.text(text);
    out.flag(*begins);
    out.flag(*continues);
}

/// The part that was written.
pub(in crate::meter) fn read_part(from: &mut Reader<'_>) -> MessagePart<Rc<str>> {
    let (number, namespace, text) = (from.number(), from.text().into(), from.text().into());
    MessagePart { number, namespace, text, begins: from.flag(), continues: from.flag() }
}
