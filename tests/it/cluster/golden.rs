//! Datagrams as they were written when their version was new: every later program reads the same values from them.
//!
//! Owns one file of bytes for each version, and the values that they stand for. A line of a file is a name, the bytes,
//! and the bytes with a seal. A file is never changed again once its version was released; a new kind of news is a new
//! line.

use std::fmt::Write as _;

use audience_kit::world::{LATER, with_more};
use audience_meter::meter::news::census::{
    Apart, CensusKey, CensusNews, Findings, Gaps, KeyName, MENTIONS_MAX, Mark, Mention, Mentions, QUARTER_BYTES,
};
use audience_meter::meter::news::{
    Age, Alive, Ask, Claim, Count, Counter, Datagram, DepartedShare, Echo, EndedEvent, Farewell, FoldShare, Format,
    HeldQuestion, Item, MessagePart, News, NodeId, Patience, Peak, Promise, Receipt, Stance, Sums, Wanted,
};
use audience_meter::wire::report::{self, Dropped, FORMATS, Keys, Scope, decode, decode_up_to, encode};

/// The datagrams of version 4.
const VERSION_4: &str = include_str!("golden/version-4.txt");

/// An event that is over.
const ENDED: EndedEvent<&str> = EndedEvent { namespace: "event", connections: 1_000, empty_ms: 60_010 };

/// The audience of all of them.
fn scope(is_sealed: bool) -> Scope {
    let key = is_sealed.then(|| b"the key of this audience".to_vec());
    Scope { id: 0x1234_5678_9abc_def0, keys: Keys::new(key.into_iter().collect()) }
}

fn datagram(news: News<&str>, format: Format) -> Datagram<&str> {
    Datagram { sender: NodeId(0xfedc_ba98_7654_3210), number: 300, clock: 123_456, format, news }
}

/// A sign of life.
const ALIVE: Alive = Alive {
    version: 17,
    horizon: 5,
    message: 129,
    claim_order: 6,
    departed_digest: 0x0102_0304_0506_0708,
    unix_ms: 1_790_000_000_456,
    is_behind: false,
    promise: Promise(0),
    echo: None,
    mentions: [Mention { name: 0, census: 0 }; MENTIONS_MAX],
};

/// What the lines say, by their names.
fn news() -> Vec<(&'static str, News<&'static str>)> {
    let claim = Claim { namespace: "event", uuid: "5f2b", order: 6, patience: None };
    let mut sums = Sums { connections: 1_000, member_ticks: 4_000_000, ..Sums::default() };
    (sums.stays[0], sums.stays[9]) = (990, 3);
    let (age, peak) = (Age { existed_ms: 3_600_000, empty_ms: 0 }, Peak { members: 800, ago_ms: 1_200_000 });
    let count = Count { namespace: "event", members: 7, uncounted: 2, waiting: 0, sums, age, peak };
    let quiet = Count { namespace: "caf%C3%A9", members: 0, uncounted: 0, ..count };
    let quiet = Count { age: Age { empty_ms: 59_990, ..age }, ..quiet };
    let alive = ALIVE;
    let promise = Promise(0x1122_3344_5566_7788);
    let echo = Some(Echo { asker: NodeId(9), nonce: 0xaabb_ccdd_eeff_0011 });
    let part = MessagePart { number: 128, namespace: "event", text: "%7Bhello", begins: true, continues: false };
    let receipt = Receipt { sender: NodeId(9), from: 100, up_to: 300, lost: vec![101, 280] };
    let (all, ended) = (Receipt { sender: NodeId(10), from: 0, up_to: 1, lost: vec![] }, Item::Ended(ENDED));
    vec![
        ("alive", News::Alive(alive)),
        ("behind", News::Alive(Alive { is_behind: true, ..alive })),
        ("answer", News::Alive(Alive { promise, echo, ..alive })),
        ("ask-for-items", News::Ask(Ask { of: Some(NodeId(9)), wanted: Wanted::Items { since: 300 }, nonce: 5 })),
        ("ask-for-departed-shares", News::Ask(Ask { of: None, wanted: Wanted::DepartedShares, nonce: 5 })),
        (
            "report",
            News::Report {
                from: 16,
                to: 19,
                horizon: 5,
                name: 1,
                items: vec![Item::Count(count), Item::Claim(claim), Item::Count(quiet)],
            },
        ),
        (
            "departed-shares",
            News::DepartedShares(vec![
                DepartedShare { node: NodeId(4), namespace: "event", sums, age, peak },
                DepartedShare { node: NodeId(5), namespace: "b", sums: Sums::default(), age, peak: Peak::default() },
            ]),
        ),
        ("folded", News::Folded(vec![NodeId(4), NodeId(0xfedc_ba98_7654_3210)])),
        (
            "fold-shares",
            News::FoldShares {
                list_digest: 0x0807_0605_0403_0201,
                shares: vec![
                    FoldShare { namespace: "event", sums, age, peak },
                    FoldShare { namespace: "b", sums: Sums::default(), age, peak: Peak::default() },
                ],
            },
        ),
        ("counters", News::Counters(vec![Counter { number: 1, value: 1 }, Counter { number: 700, value: 1 << 40 }])),
        ("message", News::Message(part.clone())),
        ("message-goes-on", News::Message(MessagePart { begins: false, continues: true, ..part })),
        ("claimed", News::Claimed(claim)),
        ("given-up", News::GivenUp { claim, is_away: false }),
        ("ask-held", News::AskHeld(HeldQuestion { number: 300, namespace: "event", uuid: "5f2b" })),
        ("held", News::Held { asker: NodeId(9), number: 300 }),
        ("received", News::Received { is_behind: false, receipts: vec![receipt.clone()] }),
        ("received-by-one-behind", News::Received { is_behind: true, receipts: vec![all, receipt] }),
        ("bye", News::Bye(Farewell([1, 0xffff_0000_ffff_0000]))),
        ("report-of-an-end", News::Report { from: 16, to: 17, horizon: 5, name: 0, items: vec![ended] }),
        ("goodbye-received", News::GoodbyeReceived { of: NodeId(9), stance: Stance::Departs, version: 300 }),
    ]
}

/// All of them.
fn all_news() -> Vec<(&'static str, News<&'static str>)> {
    [news(), news_of_places(), news_of_people()].concat()
}

/// What they say where places are kept.
fn news_of_places() -> Vec<(&'static str, News<&'static str>)> {
    let claim = Claim { namespace: "event", uuid: "5f2b", order: 6, patience: None };
    let place = Claim { patience: Some(Patience { continues: 5, counted_ms: 61_000 }), ..claim };
    let (age, peak) = (Age { existed_ms: 3_600_000, empty_ms: 0 }, Peak { members: 800, ago_ms: 1_200_000 });
    let count = Count { namespace: "event", members: 7, uncounted: 2, waiting: 3, sums: Sums::default(), age, peak };
    let items = vec![Item::Count(count), Item::Claim(place), Item::Retired(claim)];
    vec![
        ("given-up-away", News::GivenUp { claim, is_away: true }),
        ("claimed-place", News::Claimed(place)),
        ("report-of-places", News::Report { from: 16, to: 18, horizon: 5, name: 0, items }),
    ]
}

/// What is said of people, beside a count or a sign of life.
fn news_of_people() -> Vec<(&'static str, News<&'static str>)> {
    let (age, peak) = (Age { existed_ms: 3_600_000, empty_ms: 0 }, Peak { members: 800, ago_ms: 1_200_000 });
    let count = Count { namespace: "event", members: 7, uncounted: 2, waiting: 0, sums: Sums::default(), age, peak };
    let mut mentions = Mentions::default();
    mentions[0] = Mention { name: 0x0102_0304, census: 5 };
    let alive = Alive { mentions, ..ALIVE };
    let key = CensusKey { born_unix_ms: 1_790_000_000_123, bytes: *b"in sixteen bytes" };
    let mut gaps = Gaps { unseen: 300, ..Gaps::NONE };
    gaps.add(Apart { tag: 7, people: 128 });
    gaps.add(Apart { tag: 9, people: 1 });
    let hashes = Findings::Hashes(vec![0x0102_0304_0506, (1 << 48) - 1]);
    let marks = Findings::Marks(vec![Mark { register: 4_095, rank: 37 }, Mark { register: 256, rank: 1 }]);
    let first = CensusNews { key: Some(KeyName::Whole(key)), is_partial: false, gaps, findings: hashes };
    let next = CensusNews { key: Some(KeyName::Tag(key.tag())), is_partial: true, gaps: Gaps::NONE, findings: marks };
    let quarter = Findings::Quarter { number: 3, packed: vec![0x41; QUARTER_BYTES] };
    let part = CensusNews { findings: quarter, ..first.clone() };
    let items = [first.clone(), next, CensusNews::NOTHING].map(Item::Census);
    let counted = items.into_iter().flat_map(|census| [Item::Count(count.clone()), census]);
    vec![
        ("mentions", News::Alive(alive)),
        ("report-of-people", News::Report { from: 16, to: 19, horizon: 5, name: 0, items: counted.collect() }),
        ("ask-census", News::AskCensus { of: NodeId(9), namespace: "event" }),
        ("census-of-few", News::Census { namespace: "event", census: first }),
        ("census-of-many", News::Census { namespace: "event", census: part }),
    ]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn the_datagrams_of_version_4_are_read_as_what_they_said() {
    let lines: Vec<Vec<&str>> = VERSION_4.lines().map(|line| line.split(' ').collect()).collect();
    for (name, said) in all_news() {
        let line = lines.iter().find(|line| line[0] == name).unwrap_or_else(|| panic!("{name} is not in the file"));
        for (is_sealed, kept) in [(false, line[1]), (true, line[2])] {
            let kept = bytes(kept);
            let read = decode(&kept, &scope(is_sealed)).unwrap();
            assert_eq!(read, datagram(said.clone(), Format { written: 4, newest: 4 }), "{name}");
        }
    }
    assert_eq!(lines.len(), all_news().len(), "each line has its value");
}

#[test]
fn this_program_writes_version_4_as_it_always_was() {
    let mut written = String::new();
    for (name, news) in all_news() {
        let datagram = datagram(news, Format { written: 4, newest: 4 });
        let [plain, sealed] = [false, true].map(|is_sealed| hex(&encode(&datagram, &scope(is_sealed))));
        writeln!(written, "{name} {plain} {sealed}").unwrap();
    }
    assert_eq!(written, VERSION_4, "all of it: {written}");
}

#[test]
fn what_a_later_version_adds_is_skipped() {
    for is_sealed in [false, true] {
        let scope = scope(is_sealed);
        for (name, news) in all_news() {
            let sent = datagram(news, Format { written: FORMATS.newest, newest: LATER.newest });
            let bytes = report::seal(with_more(&sent, &scope), &scope);
            assert!(bytes.len() > encode(&sent, &scope).len(), "{name}: there is more");
            assert_eq!(decode(&bytes, &scope).as_ref(), Ok(&sent), "{name}");
        }
        // News of a kind of its own, and a counter with another number.
        let counters = News::Counters(vec![Counter { number: u16::MAX, value: 1 }]);
        let mut sent = datagram(counters, Format { written: LATER.newest, newest: LATER.newest });
        let bytes = report::seal(with_more(&sent, &scope), &scope);
        assert_eq!(decode(&bytes, &scope), Err(Dropped::ForeignVersion), "it is written for later versions only");
        sent.news = News::Unknown;
        assert_eq!(decode_up_to(LATER.newest, &bytes, &scope), Ok(sent));
    }
}
