//! The bytes of a datagram to values.
//!
//! Owns what is well-formed. It allocates nothing but lists: names lie in the datagram. What a later version adds is skipped:
//! bytes after the fields of the news or of an entry, entries of unknown kinds, and news of unknown kinds.
//!
//! Invariant: a value has one form, so that what is read is written as the same bytes ([`writer`](super::writer)), less what
//! was skipped.

use super::format::{ARE_MARKS, Dropped, HAS_GAPS, HAS_KEY, HAS_TAG, IS_PARTIAL, IS_QUARTER, NUMBER_BITS, TEXT_MAX};
use super::kind;
use crate::meter::news::census::{
    Apart, CensusKey, CensusNews, Findings, Gaps, HASH_BYTES, KeyName, MARK_BYTES, MENTIONS_MAX, Mark, Mention,
    Mentions, QUARTER_BYTES, RANK_MAX, REGISTERS,
};
use crate::meter::news::{
    Age, Alive, Ask, Claim, Count, Counter, DepartedShare, Echo, EndedEvent, Farewell, FoldShare, HeldQuestion, Item,
    MEMBER_TICKS_MAX, MessagePart, News, NodeId, Patience, Peak, Promise, Receipt, SUMMAND_MAX, Stance, Sums, Wanted,
};
use crate::meter::{NAME_MAX, STAY_BUCKETS, Stays};
use crate::wire::name::is_canonical;
use crate::wire::sse::is_one_line;

/// The bytes of a datagram that are left.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn byte(&mut self) -> Result<u8, Dropped> {
        let (&byte, rest) = self.0.split_first().ok_or(Dropped::Malformed)?;
        self.0 = rest;
        Ok(byte)
    }

    fn flag(&mut self) -> Result<bool, Dropped> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Dropped::Malformed),
        }
    }

    /// A byte of flags, up to this one.
    fn flags(&mut self, all: u8) -> Result<u8, Dropped> {
        self.byte().and_then(|flags| if flags <= all { Ok(flags) } else { Err(Dropped::Malformed) })
    }

    pub(super) fn fixed(&mut self) -> Result<u64, Dropped> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(Dropped::Malformed)?;
        self.0 = rest;
        Ok(u64::from_le_bytes(*bytes))
    }

    /// A number of at most 56 bits, in as few bytes as it takes: one can be added to any of them.
    pub(super) fn number(&mut self) -> Result<u64, Dropped> {
        let mut number = 0;
        for shift in (0..NUMBER_BITS).step_by(7) {
            let byte = self.byte()?;
            if shift > 0 && byte == 0 {
                return Err(Dropped::Malformed);
            }
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Dropped::Malformed)
    }

    /// One line, so that no received text can break out of the place where it is written.
    fn text(&mut self, longest: usize) -> Result<&'a str, Dropped> {
        let length = usize::try_from(self.number()?).map_err(|_| Dropped::Malformed)?;
        let (text, rest) = self.0.split_at_checked(length).ok_or(Dropped::Malformed)?;
        let text = str::from_utf8(text).map_err(|_| Dropped::Malformed)?;
        if length > longest || !is_one_line(text) {
            return Err(Dropped::Malformed);
        }
        self.0 = rest;
        Ok(text)
    }

    /// In its canonical spelling: no node of ours sends another, and one event is never announced under two names.
    fn name(&mut self) -> Result<&'a str, Dropped> {
        let name = self.text(NAME_MAX)?;
        let is_name = !name.is_empty() && !name.contains('/') && is_canonical(name);
        if is_name { Ok(name) } else { Err(Dropped::Malformed) }
    }

    fn age(&mut self) -> Result<Age, Dropped> {
        Ok(Age { existed_ms: self.number()?, empty_ms: self.number()? })
    }

    fn claim(&mut self) -> Result<Claim<&'a str>, Dropped> {
        let (namespace, uuid, order) = (self.name()?, self.name()?, self.number()?);
        let patience = match self.number()?.checked_sub(1) {
            Some(continues) => Some(Patience { continues, counted_ms: self.number()? }),
            None => None,
        };
        Ok(Claim { namespace, uuid, order, patience })
    }

    pub(super) fn news(&mut self) -> Result<News<&'a str>, Dropped> {
        Ok(match self.byte()? {
            kind::ALIVE => {
                let (version, horizon) = (self.number()?, self.number()?);
                let (message, claim_order, departed_digest) = (self.number()?, self.number()?, self.fixed()?);
                let (unix_ms, flags) = (self.number()?, self.flags(3)?);
                let (echo, promise) = if flags & 1 != 0 {
                    let echo = Echo { asker: NodeId(self.fixed()?), nonce: self.fixed()? };
                    (Some(echo), Promise(self.fixed()?))
                } else {
                    (None, Promise::default())
                };
                let (is_behind, mentions) = (flags & 2 != 0, self.mentions());
                News::Alive(Alive {
                    version,
                    horizon,
                    message,
                    claim_order,
                    departed_digest,
                    unix_ms,
                    is_behind,
                    promise,
                    echo,
                    mentions,
                })
            }
            kind::ASK => {
                let of = self.flag()?.then(|| self.fixed().map(NodeId)).transpose()?;
                let nonce = self.fixed()?;
                let wanted =
                    if self.flag()? { Wanted::Items { since: self.number()? } } else { Wanted::DepartedShares };
                News::Ask(Ask { of, wanted, nonce })
            }
            kind::REPORT => {
                let (from, to, horizon, name) = (self.number()?, self.number()?, self.number()?, self.number()?);
                let items = self.list(Self::item)?;
                if from >= to {
                    return Err(Dropped::Malformed);
                }
                News::Report { from, to, horizon, name, items }
            }
            kind::DEPARTED_SHARES => News::DepartedShares(self.list(|list| list.entry()?.departed_share().map(Some))?),
            kind::FOLDED => News::Folded(self.list(|list| Ok(Some(NodeId(list.fixed()?))))?),
            kind::FOLD_SHARES => {
                let list_digest = self.fixed()?;
                News::FoldShares { list_digest, shares: self.list(|list| list.entry()?.fold_share().map(Some))? }
            }
            kind::ASK_CENSUS => News::AskCensus { of: NodeId(self.fixed()?), namespace: self.name()? },
            kind::CENSUS => News::Census { namespace: self.name()?, census: self.census()? },
            kind::COUNTERS => News::Counters(self.counters()?),
            kind::MESSAGE => News::Message(self.message_part()?),
            kind::CLAIMED => News::Claimed(self.claim()?),
            kind::GIVEN_UP => News::GivenUp { claim: self.claim()?, is_away: self.flag()? },
            kind::ASK_HELD => {
                let (number, namespace, uuid) = (self.number()?, self.name()?, self.name()?);
                News::AskHeld(HeldQuestion { number, namespace, uuid })
            }
            kind::HELD => News::Held { asker: NodeId(self.fixed()?), number: self.number()? },
            kind::RECEIVED => {
                let is_behind = self.flag()?;
                News::Received { is_behind, receipts: self.list(|list| list.entry()?.receipt().map(Some))? }
            }
            kind::BYE => News::Bye(Farewell([self.fixed()?, self.fixed()?])),
            kind::GOODBYE_RECEIVED => {
                let of = NodeId(self.fixed()?);
                let stances = [Stance::GoesOn, Stance::Departs, Stance::Covered, Stance::Reports];
                let stance = *stances.get(usize::from(self.byte()?)).ok_or(Dropped::Malformed)?;
                News::GoodbyeReceived { of, stance, version: self.number()? }
            }
            _ => News::Unknown,
        })
    }

    /// Bytes that have their length before them.
    fn entry(&mut self) -> Result<Self, Dropped> {
        let length = usize::try_from(self.number()?).map_err(|_| Dropped::Malformed)?;
        let (entry, rest) = self.0.split_at_checked(length).ok_or(Dropped::Malformed)?;
        self.0 = rest;
        Ok(Self(entry))
    }

    /// The entries of a list that are known here. The length of the datagram bounds them.
    fn list<T>(&mut self, mut one: impl FnMut(&mut Self) -> Result<Option<T>, Dropped>) -> Result<Vec<T>, Dropped> {
        let mut list = self.entry()?;
        let mut all = Vec::new();
        while !list.0.is_empty() {
            all.extend(one(&mut list)?);
        }
        Ok(all)
    }

    fn item(&mut self) -> Result<Option<Item<&'a str>>, Dropped> {
        let (kind, mut entry) = (self.byte()?, self.entry()?);
        Ok(match kind {
            kind::ITEM_COUNT => Some(Item::Count(entry.count()?)),
            kind::ITEM_CLAIM => Some(Item::Claim(entry.claim()?)),
            kind::ITEM_CENSUS => Some(Item::Census(entry.census()?)),
            kind::ITEM_RETIRED => Some(Item::Retired(entry.claim()?)),
            kind::ITEM_ENDED => {
                let (namespace, connections, empty_ms) = (entry.name()?, entry.number()?, entry.number()?);
                Some(Item::Ended(EndedEvent { namespace, connections, empty_ms }))
            }
            _ => None,
        })
    }

    fn count(&mut self) -> Result<Count<&'a str>, Dropped> {
        Ok(Count {
            namespace: self.name()?,
            members: self.head_count()?,
            uncounted: self.head_count()?,
            sums: self.sums()?,
            age: self.age()?,
            peak: self.peak()?,
            waiting: self.head_count()?,
        })
    }

    fn head_count(&mut self) -> Result<u32, Dropped> {
        self.number().and_then(|number| u32::try_from(number).map_err(|_| Dropped::Malformed))
    }

    /// A step of 0 would be the same counter again, and a value of 0 goes without saying.
    pub(super) fn counters(&mut self) -> Result<Vec<Counter>, Dropped> {
        let mut previous = 0;
        self.list(|list| {
            let (step, value) = (list.number()?, list.number()?);
            let number = u16::try_from(previous + step).map_err(|_| Dropped::Malformed)?;
            previous = number.into();
            if step == 0 || value == 0 { Err(Dropped::Malformed) } else { Ok(Some(Counter { number, value })) }
        })
    }

    fn departed_share(&mut self) -> Result<DepartedShare<&'a str>, Dropped> {
        Ok(DepartedShare {
            node: NodeId(self.fixed()?),
            namespace: self.name()?,
            sums: self.sums()?,
            age: self.age()?,
            peak: self.peak()?,
        })
    }

    /// Every lost part lies behind the one before it, and within what is confirmed.
    fn receipt(&mut self) -> Result<Receipt, Dropped> {
        let (sender, from) = (NodeId(self.fixed()?), self.number()?);
        let up_to = from + self.number()?;
        let mut last = from;
        let next = |list: &mut Self| {
            let step = list.number()?;
            last += step;
            if step == 0 || last > up_to { Err(Dropped::Malformed) } else { Ok(Some(last)) }
        };
        Ok(Receipt { sender, from, up_to, lost: self.list(next)? })
    }

    fn fold_share(&mut self) -> Result<FoldShare<&'a str>, Dropped> {
        Ok(FoldShare { namespace: self.name()?, sums: self.sums()?, age: self.age()?, peak: self.peak()? })
    }

    /// A number of which thousands can be added up.
    fn summand(&mut self) -> Result<u64, Dropped> {
        self.number().and_then(|number| if number <= SUMMAND_MAX { Ok(number) } else { Err(Dropped::Malformed) })
    }

    fn peak(&mut self) -> Result<Peak, Dropped> {
        Ok(Peak { members: self.summand()?, ago_ms: self.number()? })
    }

    fn sums(&mut self) -> Result<Sums, Dropped> {
        let (connections, member_ticks, buckets) = (self.summand()?, self.number()?, self.number()?);
        if member_ticks > MEMBER_TICKS_MAX || buckets >> STAY_BUCKETS != 0 {
            return Err(Dropped::Malformed);
        }
        let mut stays = Stays::default();
        for (_, count) in stays.iter_mut().enumerate().filter(|(bucket, _)| buckets >> bucket & 1 != 0) {
            *count = self.summand()?;
            if *count == 0 {
                return Err(Dropped::Malformed);
            }
        }
        Ok(Sums { connections, member_ticks, stays })
    }

    fn message_part(&mut self) -> Result<MessagePart<&'a str>, Dropped> {
        let flags = self.flags(3)?;
        let (number, namespace, text) = (self.number()?, self.name()?, self.text(TEXT_MAX)?);
        Ok(MessagePart { number, namespace, text, begins: flags & 1 != 0, continues: flags & 2 != 0 })
    }

    /// What is said of people ([`format`](super::format)).
    pub(super) fn census(&mut self) -> Result<CensusNews, Dropped> {
        let has = self.byte()?;
        let key = match has & (HAS_TAG | HAS_KEY) {
            0 if has == 0 => return Ok(CensusNews::NOTHING),
            HAS_TAG => KeyName::Tag(u32::from_le_bytes(self.bytes()?)),
            HAS_KEY => KeyName::Whole(CensusKey { bytes: self.bytes()?, born_unix_ms: self.number()? }),
            _ => return Err(Dropped::Malformed),
        };
        let gaps = if has & HAS_GAPS == 0 { Gaps::NONE } else { self.gaps()? };
        let findings = match has & !(HAS_TAG | HAS_KEY | IS_PARTIAL | HAS_GAPS) {
            0 => Findings::Hashes(self.numbers(HASH_BYTES)?),
            ARE_MARKS => Findings::Marks(self.marks()?),
            IS_QUARTER => self.quarter()?,
            _ => return Err(Dropped::Malformed),
        };
        Ok(CensusNews { key: Some(key), is_partial: has & IS_PARTIAL != 0, gaps, findings })
    }

    fn gaps(&mut self) -> Result<Gaps, Dropped> {
        let (unseen, numbers) = (self.summand()?, self.numbers(HASH_BYTES)?);
        let mut gaps = Gaps { unseen, ..Gaps::NONE };
        let (pairs, rest) = numbers.as_chunks();
        for (apart, &[tag, people]) in gaps.apart.iter_mut().zip(pairs) {
            *apart = Apart { tag: u32::try_from(tag).unwrap_or(0), people };
        }
        let is_whole = rest.is_empty() && gaps.apart().len() == pairs.len() && !gaps.is_empty();
        if is_whole { Ok(gaps) } else { Err(Dropped::Malformed) }
    }

    #[expect(clippy::cast_possible_truncation, reason = "they are the lower bytes of three")]
    fn marks(&mut self) -> Result<Vec<Mark>, Dropped> {
        let mut marks = Vec::new();
        for number in self.numbers(MARK_BYTES)? {
            let (register, rank) = ((number >> 8) as u16, number as u8);
            if register >= REGISTERS || rank == 0 || rank > RANK_MAX {
                return Err(Dropped::Malformed);
            }
            marks.push(Mark { register, rank });
        }
        Ok(marks)
    }

    fn quarter(&mut self) -> Result<Findings, Dropped> {
        let (number, packed) = (self.byte()?, self.entry()?.0.to_vec());
        let is_quarter = number < 4 && packed.len() == QUARTER_BYTES;
        if is_quarter { Ok(Findings::Quarter { number, packed }) } else { Err(Dropped::Malformed) }
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Dropped> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(Dropped::Malformed)?;
        self.0 = rest;
        Ok(*bytes)
    }

    /// A list of numbers of `width` bytes each.
    fn numbers(&mut self, width: usize) -> Result<Vec<u64>, Dropped> {
        let list = self.entry()?.0;
        let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte));
        let is_whole = list.len().is_multiple_of(width);
        if is_whole { Ok(list.chunks(width).map(number).collect()) } else { Err(Dropped::Malformed) }
    }

    /// The mentions after a sign of life. What is no list of them, a later version has added: it says nothing here.
    #[expect(clippy::cast_possible_truncation, reason = "the halves of a number")]
    fn mentions(&mut self) -> Mentions {
        let all = self.numbers(size_of::<u64>()).unwrap_or_default();
        let mut mentions = Mentions::default();
        let low = |number: u64| (number & u64::from(u32::MAX)) as u32;
        let is_known = all.len() <= MENTIONS_MAX && all.iter().all(|&number| low(number) != 0);
        for (mention, number) in mentions.iter_mut().zip(all.into_iter().filter(|_| is_known)) {
            *mention = Mention { name: (number >> 32) as u32, census: low(number) };
        }
        mentions
    }
}
