//! A later version of the program, as far as its datagrams go.
//!
//! Owns what such a program adds to the format: bytes after the known fields, entries of unknown kinds, unknown flags,
//! news of an unknown kind in the place of its figures, and a version number of its own where all nodes read that. What
//! it adds has no meaning, so the nodes of both versions are one audience.
//!
//! Invariant: what is added stands where this version skips it.

use audience_meter::meter::news::{Counter, Datagram, DepartedShare, Formats, Item, News, Receipt};
use audience_meter::wire::report::{self, DATAGRAM_MAX, FORMATS, Scope};

/// The versions of the later program.
pub const LATER: Formats = Formats { oldest: FORMATS.oldest, newest: FORMATS.newest + 1 };

/// Figures of the later program: one has a number that this version does not know.
pub(super) const FIGURES: [Counter; 2] = [Counter { number: 1, value: 1 }, Counter { number: u16::MAX, value: 7 }];

/// Where the flags are in a datagram, and one that this version does not know.
const FLAGS_AT: usize = 4;
const UNKNOWN_FLAG: u8 = 0x80;

/// A kind of news and of entries that this version does not know.
const UNKNOWN_KIND: u8 = 0xee;

/// What stands behind the known fields.
const TAIL: [u8; 3] = [0xff, 0, 0x2f];

/// The bytes of a datagram of a program that reads up to this version.
pub fn encode<N: AsRef<str> + Clone>(datagram: &Datagram<N>, scope: &Scope) -> Vec<u8> {
    if datagram.format.newest <= FORMATS.newest {
        return report::encode(datagram, scope);
    }
    let plain = report::encode(datagram, scope);
    let sealed = report::seal(with_more(datagram, scope), scope);
    // A datagram that is full already has no room for more.
    if sealed.len() <= DATAGRAM_MAX { sealed } else { plain }
}

/// The bytes of a datagram that a later program makes, but for the seal.
pub fn with_more<N: AsRef<str> + Clone>(datagram: &Datagram<N>, scope: &Scope) -> Vec<u8> {
    let is_later = datagram.format.written > FORMATS.newest;
    let mut bytes = match &datagram.news {
        News::Report { from, to, horizon, name, items } => {
            let report = |items| News::Report { from: *from, to: *to, horizon: *horizon, name: *name, items };
            let entries = items.iter().map(|item| item_with_more(item, datagram, scope));
            with_list(datagram, scope, report(Vec::new()), entries.chain([vec![UNKNOWN_KIND, 1, 9]]))
        }
        News::DepartedShares(shares) => {
            let entries = shares.iter().map(|share| share_with_more(share, datagram, scope));
            with_list(datagram, scope, News::DepartedShares(Vec::new()), entries)
        }
        News::Received { is_behind, receipts } => {
            let received = |receipts| News::Received { is_behind: *is_behind, receipts };
            let one = |receipt: &Receipt| {
                let list = list_of(&received(vec![receipt.clone()]), &received(Vec::new()), datagram, scope);
                entry_with_more(&list)
            };
            with_list(datagram, scope, received(Vec::new()), receipts.iter().map(one))
        }
        News::FoldShares { list_digest, shares } => {
            let of = |shares| News::FoldShares { list_digest: *list_digest, shares };
            let entries = shares
                .iter()
                .map(|share| entry_with_more(&list_of(&of(vec![share.clone()]), &of(Vec::new()), datagram, scope)));
            with_list(datagram, scope, of(Vec::new()), entries)
        }
        News::Counters(_) if is_later => {
            let mut bytes = report::unsealed(&Datagram { news: News::<N>::Unknown, ..datagram.clone() }, scope);
            *bytes.last_mut().unwrap() = UNKNOWN_KIND;
            bytes
        }
        News::GivenUp { is_away: false, .. } => [report::unsealed(datagram, scope), vec![0, 0]].concat(),
        News::Claimed(claim) if claim.patience.is_none() => [report::unsealed(datagram, scope), vec![0]].concat(),
        _ => report::unsealed(datagram, scope),
    };
    bytes[FLAGS_AT] |= UNKNOWN_FLAG;
    bytes.extend(TAIL);
    bytes
}

/// A datagram whose last field is an empty list, with these entries in it.
fn with_list<N: AsRef<str> + Clone>(
    datagram: &Datagram<N>,
    scope: &Scope,
    empty: News<N>,
    entries: impl Iterator<Item = Vec<u8>>,
) -> Vec<u8> {
    let mut bytes = report::unsealed(&Datagram { news: empty, ..datagram.clone() }, scope);
    assert_eq!(bytes.pop(), Some(0), "an empty list is its length");
    let list: Vec<u8> = entries.flatten().collect();
    put_length(list.len(), &mut bytes);
    bytes.extend(list);
    bytes
}

/// An item, with more behind its fields. What this version leaves out where it is nothing, a later one writes.
fn item_with_more<N: AsRef<str> + Clone>(item: &Item<N>, datagram: &Datagram<N>, scope: &Scope) -> Vec<u8> {
    let report = |items| News::Report { from: 0, to: 1, horizon: 0, name: 0, items };
    let list = list_of(&report(vec![item.clone()]), &report(Vec::new()), datagram, scope);
    let (kind, entry) = list.split_first().unwrap();
    let left_out: &[u8] = match item {
        Item::Count(count) if count.waiting == 0 => &[0],
        Item::Claim(claim) | Item::Retired(claim) if claim.patience.is_none() => &[0],
        _ => &[],
    };
    [vec![*kind], entry_with(entry, left_out)].concat()
}

/// A departed share, with more behind its fields.
fn share_with_more<N: AsRef<str> + Clone>(share: &DepartedShare<N>, datagram: &Datagram<N>, scope: &Scope) -> Vec<u8> {
    let one = News::DepartedShares(vec![share.clone()]);
    entry_with_more(&list_of(&one, &News::DepartedShares(Vec::new()), datagram, scope))
}

/// The bytes of the list in which some news ends, without its length.
fn list_of<N: AsRef<str> + Clone>(news: &News<N>, empty: &News<N>, datagram: &Datagram<N>, scope: &Scope) -> Vec<u8> {
    let bytes_of = |news: &News<N>| report::unsealed(&Datagram { news: news.clone(), ..datagram.clone() }, scope);
    let (bytes, start) = (bytes_of(news), bytes_of(empty).len() - 1);
    take_length(&bytes[start..]).1.to_vec()
}

/// An entry, its length before it, with more at its end.
fn entry_with_more(entry: &[u8]) -> Vec<u8> {
    entry_with(entry, &[])
}

/// The same, with these bytes before that.
fn entry_with(entry: &[u8], left_out: &[u8]) -> Vec<u8> {
    let (length, fields) = take_length(entry);
    assert_eq!(length, fields.len(), "it is one entry");
    let mut bytes = Vec::new();
    put_length(length + left_out.len() + TAIL.len(), &mut bytes);
    [&bytes, fields, left_out, &TAIL].concat()
}

/// A length, 7 bits a byte, the low ones first; and what stands behind it.
fn take_length(bytes: &[u8]) -> (usize, &[u8]) {
    let count = 1 + bytes.iter().take_while(|&&byte| byte & 0x80 != 0).count();
    let (length, rest) = bytes.split_at(count);
    (length.iter().rev().fold(0, |length, byte| length << 7 | usize::from(byte & 0x7f)), rest)
}

fn put_length(mut length: usize, to: &mut Vec<u8>) {
    while length >= 0x80 {
        to.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    to.push(u8::try_from(length).unwrap());
}
