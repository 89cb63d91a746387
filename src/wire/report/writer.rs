//! Values to the bytes of a datagram.
//!
//! Owns how each is written. It does not know how long a datagram may be.
//!
//! Invariant: what is written is read as the same ([`reader`](super::reader)).

use super::format::{ARE_MARKS, HAS_GAPS, HAS_KEY, HAS_TAG, IS_PARTIAL, IS_QUARTER};
use super::kind;
use crate::meter::news::census::{
    Apart, CensusNews, Findings, HASH_BYTES, KeyName, MARK_BYTES, Mark, Mention, Mentions,
};
use crate::meter::news::{
    Age, Alive, Ask, Claim, Count, Counter, DepartedShare, Echo, Farewell, FoldShare, HeldQuestion, Item, MessagePart,
    News, NodeId, Patience, Peak, Receipt, Stance, Sums, Wanted,
};

/// The bytes of a datagram so far.
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub(super) fn fixed(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    pub(super) fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.byte((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.byte((number & 0x7f) as u8);
    }

    fn text(&mut self, text: &impl AsRef<str>) {
        let text = text.as_ref();
        self.number(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    /// Bytes whose length is written before them, so that a reader can skip what it does not know.
    fn entry(&mut self, write: impl FnOnce(&mut Self)) {
        let start = self.0.len();
        write(self);
        let mut length = Self(Vec::with_capacity(2));
        length.number((self.0.len() - start) as u64);
        self.0.splice(start..start, length.0);
    }

    fn age(&mut self, age: Age) {
        self.number(age.existed_ms);
        self.number(age.empty_ms);
    }

    fn peak(&mut self, peak: Peak) {
        self.number(peak.members);
        self.number(peak.ago_ms);
    }

    /// Of the buckets those that have something in them, after a mask that says which.
    fn sums(&mut self, sums: &Sums) {
        self.number(sums.connections);
        self.number(sums.member_ticks);
        self.number(sums.buckets());
        for &count in sums.stays.iter().filter(|&&count| count > 0) {
            self.number(count);
        }
    }

    fn alive(&mut self, alive: &Alive) {
        self.number(alive.version);
        self.number(alive.horizon);
        self.number(alive.message);
        self.number(alive.claim_order);
        self.fixed(alive.departed_digest);
        self.number(alive.unix_ms);
        self.byte(u8::from(alive.echo.is_some()) | u8::from(alive.is_behind) << 1);
        if let Some(Echo { asker, nonce }) = alive.echo {
            self.fixed(asker.0);
            self.fixed(nonce);
            self.fixed(alive.promise.0);
        }
        self.mentions(&alive.mentions);
    }

    fn ask(&mut self, ask: &Ask) {
        self.byte(u8::from(ask.of.is_some()));
        if let Some(node) = ask.of {
            self.fixed(node.0);
        }
        self.fixed(ask.nonce);
        match ask.wanted {
            Wanted::DepartedShares => self.byte(0),
            Wanted::Items { since } => {
                self.byte(1);
                self.number(since);
            }
        }
    }

    fn given_up<N: AsRef<str>>(&mut self, claim: &Claim<N>, is_away: bool) {
        self.news_of_claim(kind::GIVEN_UP, claim);
        self.byte(is_away.into());
    }

    fn goodbye_received(&mut self, of: NodeId, stance: Stance, version: u64) {
        self.byte(kind::GOODBYE_RECEIVED);
        self.fixed(of.0);
        self.byte(stance as u8);
        self.number(version);
    }

    pub(super) fn news<N: AsRef<str>>(&mut self, news: &News<N>) {
        match news {
            News::Alive(alive) => {
                self.byte(kind::ALIVE);
                self.alive(alive);
            }
            News::Ask(ask) => {
                self.byte(kind::ASK);
                self.ask(ask);
            }
            News::Report { from, to, horizon, name, items } => {
                self.byte(kind::REPORT);
                self.number(*from);
                self.number(*to);
                self.number(*horizon);
                self.number(*name);
                self.entry(|list| items.iter().for_each(|item| list.item(item)));
            }
            News::DepartedShares(shares) => {
                self.byte(kind::DEPARTED_SHARES);
                self.entry(|list| shares.iter().for_each(|share| list.entry(|entry| entry.departed_share(share))));
            }
            News::Folded(names) => {
                self.byte(kind::FOLDED);
                self.entry(|list| names.iter().for_each(|name| list.fixed(name.0)));
            }
            News::FoldShares { list_digest, shares } => self.fold_shares(*list_digest, shares),
            News::AskCensus { of, namespace } => {
                self.byte(kind::ASK_CENSUS);
                self.fixed(of.0);
                self.text(namespace);
            }
            News::Census { namespace, census } => {
                self.byte(kind::CENSUS);
                self.text(namespace);
                self.census(census);
            }
            News::Counters(counters) => {
                self.byte(kind::COUNTERS);
                self.counters(counters);
            }
            News::Message(part) => self.message(part),
            News::Claimed(claim) => self.news_of_claim(kind::CLAIMED, claim),
            News::GivenUp { claim, is_away } => self.given_up(claim, *is_away),
            News::AskHeld(HeldQuestion { number, namespace, uuid }) => {
                self.byte(kind::ASK_HELD);
                self.number(*number);
                self.text(namespace);
                self.text(uuid);
            }
            News::Held { asker, number } => {
                self.byte(kind::HELD);
                self.fixed(asker.0);
                self.number(*number);
            }
            News::Received { is_behind, receipts } => {
                self.byte(kind::RECEIVED);
                self.byte(u8::from(*is_behind));
                self.entry(|list| receipts.iter().for_each(|receipt| list.entry(|entry| entry.receipt(receipt))));
            }
            News::Bye(Farewell([first, second])) => {
                self.byte(kind::BYE);
                self.fixed(*first);
                self.fixed(*second);
            }
            News::GoodbyeReceived { of, stance, version } => self.goodbye_received(*of, *stance, *version),
            News::Unknown => self.byte(kind::UNKNOWN),
        }
    }

    fn message<N: AsRef<str>>(&mut self, part: &MessagePart<N>) {
        self.byte(kind::MESSAGE);
        self.byte(u8::from(part.begins) | u8::from(part.continues) << 1);
        self.number(part.number);
        self.text(&part.namespace);
        self.text(&part.text);
    }

    /// Their length in bytes, and of each its number, as the step from the one before, and its value.
    fn counters(&mut self, counters: &[Counter]) {
        let mut previous = 0;
        self.entry(|list| {
            for &Counter { number, value } in counters {
                debug_assert!(number > previous && value > 0, "counter {number} after {previous} is {value}");
                list.number((number - previous).into());
                list.number(value);
                previous = number;
            }
        });
    }

    pub(super) fn item<N: AsRef<str>>(&mut self, item: &Item<N>) {
        match item {
            Item::Count(count) => {
                self.byte(kind::ITEM_COUNT);
                self.entry(|entry| entry.count(count));
            }
            Item::Claim(claim) => {
                self.byte(kind::ITEM_CLAIM);
                self.entry(|entry| entry.claim(claim));
            }
            Item::Retired(claim) => {
                self.byte(kind::ITEM_RETIRED);
                self.entry(|entry| entry.claim(claim));
            }
            Item::Census(census) => {
                self.byte(kind::ITEM_CENSUS);
                self.entry(|entry| entry.census(census));
            }
            Item::Ended(ended) => {
                self.byte(kind::ITEM_ENDED);
                self.entry(|entry| {
                    entry.text(&ended.namespace);
                    entry.number(ended.connections);
                    entry.number(ended.empty_ms);
                });
            }
        }
    }

    fn count<N: AsRef<str>>(&mut self, count: &Count<N>) {
        self.text(&count.namespace);
        self.number(count.members.into());
        self.number(count.uncounted.into());
        self.sums(&count.sums);
        self.age(count.age);
        self.peak(count.peak);
        self.number(count.waiting.into());
    }

    fn departed_share<N: AsRef<str>>(&mut self, share: &DepartedShare<N>) {
        self.fixed(share.node.0);
        self.text(&share.namespace);
        self.sums(&share.sums);
        self.age(share.age);
        self.peak(share.peak);
    }

    fn receipt(&mut self, receipt: &Receipt) {
        self.fixed(receipt.sender.0);
        self.number(receipt.from);
        self.number(receipt.up_to - receipt.from);
        self.entry(|list| receipt.lost_steps().for_each(|step| list.number(step)));
    }

    fn fold_shares<N: AsRef<str>>(&mut self, list_digest: u64, shares: &[FoldShare<N>]) {
        self.byte(kind::FOLD_SHARES);
        self.fixed(list_digest);
        self.entry(|list| shares.iter().for_each(|share| list.entry(|entry| entry.fold_share(share))));
    }

    fn fold_share<N: AsRef<str>>(&mut self, share: &FoldShare<N>) {
        self.text(&share.namespace);
        self.sums(&share.sums);
        self.age(share.age);
        self.peak(share.peak);
    }

    fn news_of_claim<N: AsRef<str>>(&mut self, kind: u8, claim: &Claim<N>) {
        self.byte(kind);
        self.claim(claim);
    }

    fn claim<N: AsRef<str>>(&mut self, claim: &Claim<N>) {
        self.text(&claim.namespace);
        self.text(&claim.uuid);
        self.number(claim.order);
        let Some(Patience { continues, counted_ms }) = claim.patience else { return self.number(0) };
        self.number(continues + 1);
        self.number(counted_ms);
    }

    /// What is said of people ([`format`](super::format)).
    fn census(&mut self, census: &CensusNews) {
        let key = match census.key {
            None => return self.byte(0),
            Some(KeyName::Tag(_)) => HAS_TAG,
            Some(KeyName::Whole(_)) => HAS_KEY,
        };
        let findings = match census.findings {
            Findings::Hashes(_) => 0,
            Findings::Marks(_) => ARE_MARKS,
            Findings::Quarter { .. } => IS_QUARTER,
        };
        let partial = if census.is_partial { IS_PARTIAL } else { 0 };
        let gaps = if census.gaps.is_empty() { 0 } else { HAS_GAPS };
        self.byte(key | findings | partial | gaps);
        match census.key {
            None => {}
            Some(KeyName::Tag(tag)) => self.0.extend_from_slice(&tag.to_le_bytes()),
            Some(KeyName::Whole(key)) => {
                self.0.extend_from_slice(&key.bytes);
                self.number(key.born_unix_ms);
            }
        }
        if gaps != 0 {
            self.number(census.gaps.unseen);
            let apart = census.gaps.apart();
            self.number((apart.len() * 2 * HASH_BYTES) as u64);
            for &Apart { tag, people } in apart {
                self.low_bytes(HASH_BYTES, tag.into());
                self.low_bytes(HASH_BYTES, people);
            }
        }
        match &census.findings {
            Findings::Hashes(hashes) => {
                self.number((hashes.len() * HASH_BYTES) as u64);
                for &hash in hashes {
                    self.low_bytes(HASH_BYTES, hash);
                }
            }
            Findings::Marks(marks) => {
                self.number((marks.len() * MARK_BYTES) as u64);
                for &Mark { register, rank } in marks {
                    self.low_bytes(MARK_BYTES, u64::from(register) << 8 | u64::from(rank));
                }
            }
            Findings::Quarter { number, packed } => {
                self.byte(*number);
                self.number(packed.len() as u64);
                self.0.extend_from_slice(packed);
            }
        }
    }

    fn low_bytes(&mut self, count: usize, number: u64) {
        self.0.extend_from_slice(number.to_le_bytes().get(..count).unwrap_or_default());
    }

    /// The mentions of a sign of life, if there are some.
    fn mentions(&mut self, mentions: &Mentions) {
        let known = mentions.iter().take_while(|mention| mention.census != 0);
        let count = known.clone().count();
        if count > 0 {
            self.number((count * size_of::<u64>()) as u64);
            for &Mention { name, census } in known {
                self.fixed(u64::from(name) << 32 | u64::from(census));
            }
        }
    }
}
