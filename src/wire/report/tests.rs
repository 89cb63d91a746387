//! Datagrams there and back, and all that is none.

mod people;

use super::format::NUMBER_BITS;
use super::*;
use crate::meter::news::{
    AGE_MS_MAX, ANSWER_BYTES_MAX, Age, Alive, Ask, Claim, Count, Counter, DepartedShare, Echo, Farewell, FoldShare,
    HeldQuestion, Item, MEMBER_TICKS_MAX, MessagePart, News, Peak, Promise, Receipt, Sums, Wanted,
};
use crate::meter::{COUNTERS_MAX, NAME_MAX};
use std::rc::Rc;

const LARGEST: u64 = (1 << NUMBER_BITS) - 1;

fn keys<'a>(keys: impl IntoIterator<Item = &'a str>) -> Keys {
    Keys::new(keys.into_iter().map(|key| key.as_bytes().to_vec()).collect())
}

fn scope(key: Option<&str>) -> Scope {
    Scope { id: 0x1234_5678_9abc_def0, keys: keys(key) }
}

fn datagram(news: News<Rc<str>>) -> Datagram<Rc<str>> {
    Datagram { sender: NodeId(u64::MAX - 1), number: 300, clock: 128, format: Format { written: 4, newest: 9 }, news }
}

/// As many counters as a node announces, as long as can be: 511 steps between 16-bit numbers may take two bytes.
fn most_counters() -> Vec<Counter> {
    let numbers = (1..).map(|index| index * 128 + 20_000);
    numbers.take(COUNTERS_MAX).map(|number| Counter { number, value: LARGEST }).collect()
}

/// Receipts with few and with many lost parts, and as large as can be.
fn receipts() -> Vec<Receipt> {
    let receipt = |from, up_to, lost: &[u64]| Receipt { sender: NodeId(u64::MAX), from, up_to, lost: lost.to_vec() };
    let half = LARGEST / 2;
    vec![
        receipt(0, 0, &[]),
        receipt(7, 300, &[8, 9, 300]),
        receipt(half, 2 * half, &(1..=16).map(|step| half + step * (half / 16)).collect::<Vec<_>>()),
        receipt(LARGEST, LARGEST, &[]),
    ]
}

/// What is said of departed nodes, with the longest name and the largest sums.
fn news_of_departed() -> Vec<News<Rc<str>>> {
    let age = Age { existed_ms: AGE_MS_MAX, empty_ms: 59_990 };
    let most = (1 << 48) - 1;
    let all = Sums { connections: most, member_ticks: MEMBER_TICKS_MAX, stays: [most; 16] };
    let (nothing, no_peak, peak) = (Sums::default(), Peak::default(), Peak { members: most, ago_ms: LARGEST });
    let (short, long): (Rc<str>, Rc<str>) = ("%C3%A9".into(), "n".repeat(NAME_MAX).into());
    vec![
        News::DepartedShares(vec![
            DepartedShare { node: NodeId(9), namespace: short.clone(), sums: nothing, age, peak: no_peak },
            DepartedShare { node: NodeId(9), namespace: long.clone(), sums: all, age, peak },
        ]),
        News::Folded(vec![]),
        News::Folded((0..130).map(NodeId).collect()),
        News::FoldShares { list_digest: 0, shares: vec![] },
        News::FoldShares {
            list_digest: u64::MAX,
            shares: vec![
                FoldShare { namespace: short, sums: nothing, age, peak: no_peak },
                FoldShare { namespace: long, sums: all, age, peak },
            ],
        },
    ]
}

/// One of each kind, with small and with large numbers.
fn all_news() -> Vec<News<Rc<str>>> {
    let age = Age { existed_ms: AGE_MS_MAX, empty_ms: 59_990 };
    let long: Rc<str> = "n".repeat(NAME_MAX).into();
    let claim = Claim { namespace: long.clone(), uuid: long.clone(), order: LARGEST, patience: None };
    let most = (1 << 48) - 1;
    let all = Sums { connections: most, member_ticks: MEMBER_TICKS_MAX, stays: [most; 16] };
    let mut some = Sums { connections: 9, member_ticks: 127, ..Sums::default() };
    (some.stays[0], some.stays[9]) = (1, 128);
    let peak = Peak { members: most, ago_ms: LARGEST };
    let count = Count { namespace: "a".into(), members: u32::MAX, uncounted: 7, waiting: 0, sums: some, age, peak };
    let longest = Count { namespace: long.clone(), sums: all, ..count.clone() };
    let echo = Some(Echo { asker: NodeId(1), nonce: 2 });
    let part = MessagePart {
        number: 1,
        namespace: long.clone(),
        text: "x".repeat(700).into(),
        begins: true,
        continues: false,
    };
    let mut news = vec![
        News::Alive(Alive::default()),
        News::Alive(Alive {
            version: LARGEST,
            horizon: LARGEST,
            message: 127,
            claim_order: LARGEST,
            departed_digest: 128,
            unix_ms: LARGEST,
            is_behind: true,
            promise: Promise(u64::MAX),
            echo,
            ..Alive::default()
        }),
        News::Ask(Ask { of: None, wanted: Wanted::Items { since: 0 }, nonce: 7 }),
        News::Ask(Ask { of: Some(NodeId(3)), wanted: Wanted::DepartedShares, nonce: 0 }),
        News::Report { from: 0, to: 1, horizon: 0, name: 0, items: vec![] },
        News::Report {
            from: 1,
            to: LARGEST,
            horizon: 128,
            name: 3,
            items: vec![Item::Count(count), Item::Claim(claim.clone())],
        },
        News::Report { from: 1, to: 2, horizon: LARGEST, name: 0, items: vec![Item::Count(longest)] },
        News::Counters(vec![]),
        News::Counters(vec![Counter { number: 1, value: 1 }, Counter { number: u16::MAX, value: LARGEST }]),
        News::Counters(most_counters()),
        News::Message(part.clone()),
        News::Message(MessagePart { text: "".into(), continues: true, begins: false, ..part }),
        News::Claimed(claim.clone()),
        News::GivenUp { claim, is_away: false },
        News::AskHeld(HeldQuestion { number: LARGEST, namespace: long.clone(), uuid: long }),
        News::Held { asker: NodeId(u64::MAX), number: LARGEST },
        News::Received { is_behind: false, receipts: vec![] },
        News::Received { is_behind: true, receipts: receipts() },
        News::Bye(Farewell([1, u64::MAX])),
    ];
    news.extend(news_of_departed());
    news.extend(people::news());
    news
}

#[test]
fn every_kind_comes_back_as_it_was_sent() {
    for key in [None, Some("a key of 16 bytes")] {
        for news in all_news() {
            let sent = datagram(news);
            let bytes = encode(&sent, &scope(key));
            let received = decode(&bytes, &scope(key)).unwrap();
            // Names that are sent and received differ in type only.
            assert_eq!(format!("{received:?}"), format!("{sent:?}"));
        }
    }
}

#[test]
fn a_datagram_cut_anywhere_is_dropped() {
    for key in [None, Some("a key of 16 bytes")] {
        for news in all_news() {
            let bytes = encode(&datagram(news), &scope(key));
            for cut in 0..bytes.len() {
                assert!(decode(&bytes[..cut], &scope(key)).is_err(), "cut at {cut}");
            }
        }
    }
}

#[test]
fn what_a_later_version_adds_is_skipped() {
    for key in [None, Some("a key of 16 bytes")] {
        let scope = scope(key);
        for news in all_news() {
            let sent = datagram(news);
            let mut bytes = unsealed(&sent, &scope);
            // A flag, and a tail.
            bytes[4] |= 0x80;
            bytes.extend_from_slice(&[0xff; 9]);
            if bytes.len() + SEAL_BYTES <= DATAGRAM_MAX {
                assert_eq!(format!("{:?}", decode(&seal(bytes, &scope), &scope).unwrap()), format!("{sent:?}"));
            }
        }
    }
    // Items of a kind that is not known, and a known one with more in it.
    let claim = [0x01, b'a', 0x01, b'b', 0x07, 0x00];
    let known = [&[kind::ITEM_CLAIM, 6][..], &claim].concat();
    let longer = [&[kind::ITEM_CLAIM, 8][..], &claim, &[0xff, 0xff]].concat();
    let list = [&[99, 2, 0xff, 0xff][..], &known, &[98, 0], &longer].concat();
    let report = [&[kind::REPORT, 1, 2, 0, 0, u8::try_from(list.len()).unwrap()][..], &list].concat();
    let News::Report { items, .. } = Reader(&report).news().unwrap() else { panic!("it is a report") };
    assert_eq!(items.len(), 2);
    assert_eq!(items[0], items[1]);
    assert_eq!(Reader(&[77, 1, 2, 3]).news(), Ok(News::Unknown));
}

#[test]
fn no_answer_is_longer_than_its_question() {
    let length = |news: &News<Rc<str>>| {
        unsealed(&Datagram { number: LARGEST, clock: LARGEST, ..datagram(news.clone()) }, &scope(None)).len()
    };
    for news in all_news() {
        match news {
            News::Alive(_) => assert!(length(&news) <= ANSWER_BYTES_MAX, "{} bytes", length(&news)),
            News::Ask(_) => assert_eq!(length(&news), ASK_BYTES),
            _ => {}
        }
    }
}

#[test]
fn what_is_not_for_us_is_dropped_for_its_reason() {
    let bytes = encode(&datagram(News::Bye(Farewell([1, 2]))), &scope(None));
    let sealed = encode(&datagram(News::Bye(Farewell([1, 2]))), &scope(Some("a key of 16 bytes")));
    let other = Scope { id: 1, keys: Keys::default() };
    assert_eq!(decode(&bytes, &other), Err(Dropped::ForeignScope));
    assert_eq!(decode(&bytes, &scope(Some("a key of 16 bytes"))), Err(Dropped::Unkeyed));
    assert_eq!(decode(&sealed, &scope(Some("another key here"))), Err(Dropped::Forged));
    assert_eq!(decode(&sealed, &scope(None)), Err(Dropped::Forged));
    let mut foreign = bytes.clone();
    foreign[2] = 3;
    assert_eq!(decode(&foreign, &scope(None)), Err(Dropped::ForeignVersion));
    assert_eq!(decode(b"", &scope(None)), Err(Dropped::Malformed));
    assert_eq!(decode(&[bytes, vec![0; DATAGRAM_MAX]].concat(), &scope(None)), Err(Dropped::Malformed));
    for index in 0..sealed.len() {
        let mut forged = sealed.clone();
        forged[index] ^= 0x40;
        assert!(decode(&forged, &scope(Some("a key of 16 bytes"))).is_err(), "byte {index}");
    }
}

#[test]
fn the_first_key_seals_and_all_are_accepted() {
    let (old, new) = ("the old key of 24 bytes.", "the new key of 24 bytes.");
    let steps = [vec![old], vec![old, new], vec![new, old], vec![new]];
    let accepts = |receiver: &[&str], sender: &[&str]| {
        let scope_of = |list: &[&str]| Scope { id: 7, keys: keys(list.iter().copied()) };
        decode(&encode(&datagram(News::Bye(Farewell([1, 2]))), &scope_of(sender)), &scope_of(receiver)).map(|_| ())
    };
    for (at, step) in steps.iter().enumerate() {
        let neighbours = steps.iter().skip(at.saturating_sub(1)).take(if at == 0 { 2 } else { 3 });
        for sender in neighbours {
            assert_eq!(accepts(step, sender), Ok(()), "{step:?} from {sender:?}");
        }
    }
    assert_eq!(accepts(&[old], &[new, old]), Err(Dropped::Forged));
    assert_eq!(accepts(&[new], &[old, new]), Err(Dropped::Forged));
    assert_eq!(accepts(&[], &[old, new]), Err(Dropped::Forged));
    assert_eq!(accepts(&[old, new], &[]), Err(Dropped::Unkeyed));
    assert_eq!(format!("{:?}", keys([old, new])), "2 keys");
}

#[test]
fn names_are_visible_ascii_without_a_slash_and_of_a_length_and_texts_are_lines() {
    let message = |namespace: &str, text: &str| {
        let part =
            MessagePart { number: 1, namespace: namespace.into(), text: text.into(), begins: true, continues: false };
        let bytes = encode(&datagram(News::Message(part)), &scope(None));
        decode(&bytes, &scope(None)).map(|_| ())
    };
    assert_eq!(message("a", ""), Ok(()));
    assert_eq!(message("a", "b=/c"), Ok(()));
    assert_eq!(message("a", "b= c \u{e9}\u{1f600}"), Ok(()));
    assert_eq!(message("caf%C3%A9%2F50%", "%63af%c3%a9"), Ok(()));
    // A name has one spelling.
    for name in ["", "a b", "a\n", "a/b", "\u{e9}", "\0", "caf%c3%a9", "%61", "a%2d", "%2f"] {
        assert_eq!(message(name, "x"), Err(Dropped::Malformed), "{name:?}");
    }
    for text in ["a\n\ndata: 7", "a\rb", "\0", "\t", "\u{7f}", "\u{85}", "\u{2028}"] {
        assert_eq!(message("a", text), Err(Dropped::Malformed), "{text:?}");
    }
    assert_eq!(message(&"n".repeat(NAME_MAX + 1), "x"), Err(Dropped::Malformed));
}

#[test]
fn numbers_have_one_form() {
    let number = |bytes: &[u8]| Reader(bytes).number();
    assert_eq!(number(&[0]), Ok(0));
    assert_eq!(number(&[0xff, 0x01]), Ok(255));
    assert_eq!(number(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]), Ok(LARGEST));
    for bad in [&[][..], &[0x80], &[0x80, 0x00], &[0xff; 8], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]] {
        assert_eq!(number(bad), Err(Dropped::Malformed), "{bad:?}");
    }
}

#[test]
fn counters_are_in_the_order_of_their_numbers_and_not_0() {
    let counters = |list: &[u8]| Reader(list).counters();
    let counter = |number, value| Counter { number, value };
    assert_eq!(counters(&[0]), Ok(vec![]));
    assert_eq!(counters(&[2, 64, 5]), Ok(vec![counter(64, 5)]));
    assert_eq!(
        counters(&[5, 64, 5, 1, 0xff, 1, 9]),
        Ok(vec![counter(64, 5), counter(65, 255)]),
        "what follows is not theirs"
    );
    assert_eq!(counters(&[4, 0xff, 0xff, 3, 1]), Ok(vec![counter(u16::MAX, 1)]));
    for (bad, why) in [
        (&[2, 0, 5][..], "a number of 0"),
        (&[4, 64, 5, 0, 5], "a number twice"),
        (&[2, 64, 0], "a value of 0"),
        (&[1, 64], "no value"),
        (&[3, 64, 5, 1], "no value of the second"),
        (&[2, 64], "cut"),
        (&[2, 64, 0x80, 1], "a value that ends after the list"),
        (&[4, 0x80, 0x80, 4, 1], "a number past 16 bits"),
        (&[6, 0xff, 0xff, 3, 1, 1, 1], "a sum past 16 bits"),
        (&[10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1, 1], "a step of 56 bits"),
        (&[], "no length"),
    ] {
        assert_eq!(counters(bad), Err(Dropped::Malformed), "{why}");
    }
}

#[test]
fn all_counters_fit_into_a_datagram() {
    let datagram = Datagram {
        sender: NodeId(0),
        number: LARGEST,
        clock: LARGEST,
        format: Format { written: 4, newest: 4 },
        news: News::Counters(most_counters()),
    };
    let length = encode::<Rc<str>>(&datagram, &scope(Some("a key of 16 bytes"))).len();
    assert!((COUNTERS_MAX * 10..=DATAGRAM_MAX).contains(&length), "{length} bytes");
}

#[test]
fn weights_are_the_bytes_that_are_written() {
    for news in all_news() {
        match news {
            News::Report { items, .. } => {
                for item in items {
                    let mut out = Writer(Vec::new());
                    out.item(&item);
                    assert_eq!(out.0.len(), item.weight(), "{item:?}");
                }
            }
            News::DepartedShares(shares) => {
                let weight: usize = shares.iter().map(DepartedShare::weight).sum();
                let mut out = Writer(Vec::new());
                out.news(&News::DepartedShares(shares));
                assert_eq!(out.0.len(), 1 + 2 + weight, "with the kind, and the length of the list");
            }
            News::Received { receipts, .. } => {
                let weight: usize = receipts.iter().map(Receipt::weight).sum();
                let is_behind = true;
                let mut out = Writer(Vec::new());
                out.news(&News::<Rc<str>>::Received { is_behind, receipts });
                let length = if weight < 128 { 1 } else { 2 };
                assert_eq!(out.0.len(), 2 + length + weight, "with the kind, the flag and the length of the list");
            }
            News::FoldShares { list_digest, shares } if !shares.is_empty() => {
                let weight: usize = shares.iter().map(FoldShare::weight).sum();
                let mut out = Writer(Vec::new());
                out.news(&News::FoldShares { list_digest, shares });
                assert_eq!(out.0.len(), 1 + 8 + 2 + weight, "with the kind, the digest, and the length of the list");
            }
            _ => {}
        }
    }
}

#[test]
fn lost_parts_are_in_order_and_within_what_is_confirmed() {
    let received = |receipt: &[u8]| {
        let entry = [&NodeId(7).0.to_le_bytes()[..], receipt].concat();
        let length = u8::try_from(entry.len()).unwrap();
        let bytes = [&[kind::RECEIVED, 0, length + 1, length][..], &entry].concat();
        Reader(&bytes).news().map(|news| format!("{news:?}"))
    };
    let receipts = |receipt| Ok(format!("{:?}", News::<&str>::Received { is_behind: false, receipts: vec![receipt] }));
    let receipt = Receipt { sender: NodeId(7), from: 5, up_to: 9, lost: vec![6, 9] };
    assert_eq!(received(&[5, 4, 2, 1, 3]), receipts(receipt.clone()));
    assert_eq!(received(&[5, 4, 0, 1, 3]), receipts(Receipt { lost: vec![], ..receipt }), "what follows is not known");
    for (bad, why) in [
        (&[5, 4, 2, 0, 1][..], "a step of 0"),
        (&[5, 4, 2, 1, 4], "a step past the end"),
        (&[5, 0, 1, 1], "a loss where nothing is confirmed"),
        (&[5, 4, 3, 1, 3], "a list that ends after its entry"),
        (&[5, 4], "no list"),
    ] {
        assert_eq!(received(bad), Err(Dropped::Malformed), "{why}");
    }
    let behind = Reader(&[kind::RECEIVED, 2, 0]).news();
    assert_eq!(behind, Err(Dropped::Malformed), "a flag is 0 or 1");
}

#[test]
fn what_a_datagram_claims_is_read_without_its_key() {
    let sealed = scope(Some("the key of this audience"));
    let datagram = datagram(News::Alive(Alive::default()));
    let bytes = encode(&datagram, &sealed);
    assert_eq!(sender_of(&bytes), Some(datagram.sender));
    assert_eq!(sender_of(bytes.get(..20).unwrap()), None);
}
