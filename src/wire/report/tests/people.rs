//! What is said of the people of an event, in all its forms.

use std::rc::Rc;

use crate::meter::NAME_MAX;
use crate::meter::news::SUMMAND_MAX;
use crate::meter::news::census::FINDINGS_BYTES_MAX;
use crate::meter::news::census::{
    APART_MAX, Apart, CensusKey, CensusNews, Findings, Gaps, KeyName, MARK_BYTES, Mark, Mention, QUARTER_BYTES,
    RANK_MAX, REGISTERS,
};
use crate::meter::news::{Age, Alive, Count, Item, News, NodeId, Peak, Sums};
use crate::wire::report::format::{ARE_MARKS, Dropped, HAS_GAPS, HAS_KEY, HAS_TAG, IS_PARTIAL, IS_QUARTER};
use crate::wire::report::reader::Reader;
use crate::wire::report::writer::Writer;

const KEY: CensusKey = CensusKey { born_unix_ms: 1_790_000_000_456, bytes: *b"0123456789abcdef" };

fn gaps(count: usize) -> Gaps {
    let mut gaps = Gaps { unseen: SUMMAND_MAX, ..Gaps::NONE };
    for (tag, apart) in (1..).zip(gaps.apart.iter_mut().take(count)) {
        *apart = Apart { tag, people: SUMMAND_MAX };
    }
    gaps
}

fn marks() -> Vec<Mark> {
    let mark = |register| Mark { register, rank: if register % 2 == 0 { RANK_MAX } else { 1 } };
    (0..REGISTERS).step_by(25).map(mark).take(FINDINGS_BYTES_MAX / MARK_BYTES).collect()
}

/// What is said of people, the longest of each form among it.
pub(super) fn news() -> Vec<News<Rc<str>>> {
    let longest: Rc<str> = "n".repeat(NAME_MAX).into();
    let tag = CensusNews { key: Some(KeyName::Tag(u32::MAX)), ..CensusNews::NOTHING };
    let whole = CensusNews { key: Some(KeyName::Whole(KEY)), gaps: gaps(APART_MAX), ..CensusNews::NOTHING };
    let hashes = |count| Findings::Hashes((0..count).map(|number| (1 << 48) - 1 - number).collect());
    let quarter = |number| Findings::Quarter { number, packed: vec![0xa5; QUARTER_BYTES] };
    let with_count = [
        CensusNews::NOTHING,
        tag.clone(),
        CensusNews { is_partial: true, findings: hashes(1), ..tag.clone() },
        CensusNews { gaps: gaps(0), findings: hashes(80), ..whole.clone() },
        CensusNews { findings: Findings::Marks(marks()), ..tag },
        CensusNews { findings: Findings::Marks(marks()), is_partial: true, ..whole.clone() },
    ];
    let alone = [
        CensusNews { findings: hashes(100), ..whole.clone() },
        CensusNews { findings: quarter(0), gaps: Gaps::NONE, ..whole.clone() },
        CensusNews { findings: quarter(3), ..whole },
    ];
    let (sums, age, peak) = (Sums::default(), Age::default(), Peak::default());
    let count = Count {
        namespace: longest.clone(),
        members: u32::MAX,
        uncounted: u32::MAX,
        waiting: u32::MAX,
        sums,
        age,
        peak,
    };
    let report = |census| {
        let items = vec![Item::Count(count.clone()), Item::Census(census)];
        News::Report { from: 0, to: 1, horizon: 0, name: 0, items }
    };
    let part = |census| News::Census { namespace: longest.clone(), census };
    let question = News::AskCensus { of: NodeId(u64::MAX), namespace: longest.clone() };
    with_count.into_iter().map(report).chain(alone.into_iter().map(part)).chain([question]).collect()
}

#[test]
fn mentions_stand_after_a_sign_of_life_and_what_is_none_is_skipped() {
    let mut alive = Alive::default();
    for number in 1..=4 {
        alive.mentions[number as usize - 1] = Mention { name: u32::MAX - number, census: number };
        let mut out = Writer(Vec::new());
        out.news(&News::<&str>::Alive(alive));
        assert_eq!(Reader(&out.0).news(), Ok(News::Alive(alive)));
    }
    let mut plain = Writer(Vec::new());
    plain.news(&News::<&str>::Alive(Alive::default()));
    for tail in [&[0xff, 0, 0x2f][..], &[0], &[8], &[8, 1, 2, 3, 4, 5, 6, 7], &[8, 0, 0, 0, 0, 5, 6, 7, 8], &[40; 41]] {
        let bytes = [&plain.0, tail].concat();
        assert_eq!(Reader(&bytes).news(), Ok(News::Alive(Alive::default())), "{tail:?}");
    }
}

#[test]
fn what_is_not_well_formed_is_dropped() {
    let parse = |bytes: &[u8]| Reader(bytes).census();
    let tag = [1, 2, 3, 4];
    let of = |has: u8, rest: &[u8]| parse(&[&[has][..], &tag, rest].concat());
    assert!(of(HAS_TAG, &[0]).is_ok());
    for has in [HAS_TAG | HAS_KEY, IS_PARTIAL, HAS_GAPS, HAS_TAG | ARE_MARKS | IS_QUARTER, HAS_TAG | 64] {
        assert_eq!(of(has, &[0; 40]), Err(Dropped::Malformed), "{has}");
    }
    assert_eq!(of(HAS_TAG, &[5, 1, 2, 3, 4, 5]), Err(Dropped::Malformed), "a part of a hash");
    let mark = |register: u16, rank| {
        let [low, high] = register.to_le_bytes();
        of(HAS_TAG | ARE_MARKS, &[3, rank, low, high])
    };
    assert!(mark(REGISTERS - 1, RANK_MAX).is_ok());
    for (register, rank) in [(REGISTERS, 1), (0, 0), (0, RANK_MAX + 1)] {
        assert_eq!(mark(register, rank), Err(Dropped::Malformed), "{register} {rank}");
    }
    assert_eq!(of(HAS_TAG | IS_QUARTER, &[4, 0]), Err(Dropped::Malformed));
    assert_eq!(of(HAS_TAG | IS_QUARTER, &[0, 2, 1, 1]), Err(Dropped::Malformed));
    assert_eq!(of(HAS_TAG | HAS_GAPS, &[0, 0, 0]), Err(Dropped::Malformed), "no gaps are said by saying nothing");
    let of_none = [0, 12, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    assert_eq!(of(HAS_TAG | HAS_GAPS, &of_none), Err(Dropped::Malformed), "no key has this tag");
    let of_five = [&[0, 60][..], &[1; 60], &[0]].concat();
    assert_eq!(of(HAS_TAG | HAS_GAPS, &of_five), Err(Dropped::Malformed), "more than are kept");
}
