//! The census of one event.
//!
//! Owns its key, what is kept of the people, those who wait for the key, and what has not been announced yet. It sends nothing
//! and decides about no other event.
//!
//! When many nodes make one event in the same moment, each draws a key. They announce their keys at once, and have that moment
//! ([`AGREEMENT`]) until the first hash; by then all have the oldest one. A key that comes later, from the other side of a cut
//! network, takes the place of a younger one all the same: what was counted under that is a number from then on.
//!
//! Invariant: all hashes are of the one key, and no one waits once the event is settled.

use std::time::Duration;

use super::people::{FEW_MAX, People};
use super::person::Person;
use super::recent::{RECENT_MAX, Recent};
use super::sketch::mark_of;
use crate::collections::tick::Tick;
use crate::meter::book::keys::NamespaceId;
use crate::meter::digest::mix;
use crate::meter::news::census::{
    Apart, CensusKey, CensusNews, FINDINGS_BYTES_MAX, Findings, Gaps, HASH_BYTES, KeyName, Mention,
};

/// How long the first people wait for the oldest key: a report that is lost comes again within this time.
pub(super) const AGREEMENT: Duration = Duration::from_millis(300);

/// How many people wait at most, at 8 bytes each. One more settles the event.
const WAITING_MAX: usize = 4_096;

/// For how long a census has not changed when nodes compare it: what one of them lacks then is lost, and not on its way.
const QUIET: Duration = Duration::from_secs(1);

/// What a node has to do after it has received a part of a census.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::meter) struct Learned {
    /// There is more, and the sender has it.
    pub(in crate::meter) wants_more: bool,
    /// The others lack something that is known here.
    pub(in crate::meter) has_news: bool,
}

/// The different people of one event.
#[derive(Debug)]
pub(super) struct EventCensus {
    pub(super) namespace: NamespaceId,
    pub(super) name: u32,
    pub(super) key: Option<CensusKey>,
    pub(super) people: People,
    /// The people who wait for the key, in order.
    pub(super) waiting: Vec<Person>,
    pub(super) settles_at: Tick,
    pub(super) is_settled: bool,
    pub(super) recent: Recent,
    /// Whether others may not know the key, or the gaps.
    pub(super) is_key_fresh: bool,
    pub(super) gaps: Gaps,
    pub(super) changed_at: Tick,
    pub(super) is_mention_due: bool,
}

impl EventCensus {
    pub(super) fn new(namespace: NamespaceId, name_digest: u64, unseen: u64, now: Tick) -> Self {
        Self {
            namespace,
            name: short(name_digest),
            key: None,
            people: People::default(),
            waiting: Vec::new(),
            settles_at: now.after(AGREEMENT),
            is_settled: false,
            recent: Recent::default(),
            is_key_fresh: false,
            gaps: Gaps { unseen, ..Gaps::NONE },
            changed_at: now,
            is_mention_due: true,
        }
    }

    pub(super) fn settles_at(&self) -> Tick {
        self.settles_at
    }

    /// The key for people who are counted here, which `draw` makes if there is none.
    pub(super) fn make_key(&mut self, draw: impl FnOnce() -> CensusKey) {
        self.is_key_fresh |= self.key.is_none();
        self.key.get_or_insert_with(draw);
    }

    /// Counts a person, at this version of the journal. Returns whether there is something to announce.
    pub(super) fn count(&mut self, person: Person, version: u64, now: Tick) -> bool {
        if !self.is_settled {
            if let Err(place) = self.waiting.binary_search(&person) {
                self.waiting.insert(place, person);
                self.change(now);
            }
            return self.waiting.len() > WAITING_MAX && self.settle(version, now);
        }
        let Some(key) = &self.key else { return false };
        let hash = person.hash(key);
        let is_new = self.people.add(hash);
        if is_new {
            self.change(now);
            self.recent.push(hash, version);
        }
        is_new
    }

    /// The key stands: counts the people who have waited. Returns whether there is something to announce.
    pub(super) fn settle(&mut self, version: u64, now: Tick) -> bool {
        self.is_settled = true;
        let mut has_news = false;
        for person in std::mem::take(&mut self.waiting) {
            has_news |= self.count(person, version, now);
        }
        has_news
    }

    /// A number of joins were counted, here or elsewhere, whose people nothing is known of.
    pub(super) fn miss(&mut self, joins: u64, now: Tick) {
        if joins > 0 {
            self.gaps.unseen += joins;
            self.change(now);
        }
    }

    /// The number of people, and by how many it may be off; `None` while nothing is known.
    pub(super) fn number(&self) -> Option<(u64, u64)> {
        let key = self.key.as_ref()?;
        let kept = self.people.number();
        let waiting = self.waiting.iter().filter(|person| !self.people.has(person.hash(key))).count();
        let apart: u64 = self.gaps.apart.iter().map(|apart| apart.people).sum();
        let number = kept + waiting as u64 + apart;
        Some((number, self.people.error(kept) + apart + self.gaps.unseen))
    }

    /// Whether people may wait for the key, here and elsewhere.
    pub(super) fn is_settled(&self) -> bool {
        self.is_settled
    }

    /// What goes with the next count: all that was not announced yet.
    pub(super) fn fresh(&self) -> CensusNews {
        let (recent, has_lost_fresh) = (self.recent.fresh(), self.recent.has_lost_fresh());
        if recent.is_empty() && !self.is_key_fresh && !has_lost_fresh {
            return CensusNews::NOTHING;
        }
        let Some(key) = self.key else { return CensusNews::NOTHING };
        let (findings, is_all) = self.findings(recent);
        let (name, gaps) =
            if self.is_key_fresh { (KeyName::Whole(key), self.gaps) } else { (KeyName::Tag(key.tag()), Gaps::NONE) };
        CensusNews { key: Some(name), is_partial: has_lost_fresh || !is_all, gaps, findings }
    }

    /// All that is fresh was announced, at this version of the journal. While people are few, all of them are announced again
    /// when something was lost.
    pub(super) fn mark_announced(&mut self, version: u64) {
        if self.people.few().is_some() {
            self.recent.forget_announced(version);
        } else {
            self.recent.mark_announced();
        }
        self.is_key_fresh = false;
    }

    /// What goes with a count that is announced again to a node that knows all up to this version.
    pub(super) fn repair(&self, since: u64) -> CensusNews {
        let Some(key) = self.key else { return CensusNews::NOTHING };
        let few = self.people.few();
        let (findings, is_all) = self.findings(few.unwrap_or(self.recent.all()));
        let is_enough = few.is_some() || self.recent.suffice_after(since);
        CensusNews { key: Some(KeyName::Whole(key)), is_partial: !is_all || !is_enough, gaps: self.gaps, findings }
    }

    /// These hashes, as they are sent, and whether they all fit.
    fn findings(&self, hashes: &[u64]) -> (Findings, bool) {
        if self.people.few().is_some() {
            let fitting = hashes.len().min(FINDINGS_BYTES_MAX / HASH_BYTES);
            let sent = hashes.get(hashes.len() - fitting..).unwrap_or_default();
            return (Findings::Hashes(sent.to_vec()), fitting == hashes.len());
        }
        (Findings::Marks(hashes.iter().map(|&hash| mark_of(hash)).collect()), hashes.len() <= RECENT_MAX)
    }

    /// All that is known: its part of this number, of four.
    pub(super) fn part(&self, number: u8) -> Option<CensusNews> {
        let key = Some(KeyName::Whole(self.key?));
        let findings = match self.people.many() {
            Some(sketch) => Findings::Quarter { number, packed: sketch.quarter(number) },
            None if number == 0 => Findings::Hashes(self.people.few().unwrap_or_default().to_vec()),
            None => return None,
        };
        Some(CensusNews { key, is_partial: false, gaps: self.gaps, findings })
    }

    /// Learns what another node knows.
    pub(super) fn learn(&mut self, news: &CensusNews, now: Tick) -> Learned {
        let mut learned = Learned { wants_more: news.is_partial, has_news: false };
        match news.key {
            None => return learned,
            Some(KeyName::Tag(tag)) => {
                if self.key.is_none_or(|key| key.tag() != tag) {
                    // All of it comes with the key.
                    return Learned { wants_more: true, has_news: false };
                }
            }
            Some(KeyName::Whole(key)) => match self.key {
                Some(own) if own == key => {}
                Some(own) if own < key => {
                    // That node does not know of the older key.
                    self.is_key_fresh = true;
                    return Learned { wants_more: false, has_news: true };
                }
                _ => learned.has_news = self.adopt(key, now),
            },
        }
        if self.take_gaps(&news.gaps) | self.take_findings(&news.findings) {
            self.change(now);
        }
        learned
    }

    /// An older key stands from now on. Returns whether something was counted under another, which others have to know.
    fn adopt(&mut self, key: CensusKey, now: Tick) -> bool {
        let before = self.key.replace(key);
        let people = std::mem::take(&mut self.people).number();
        self.recent.clear();
        self.is_key_fresh = false;
        self.change(now);
        if let Some(before) = before.filter(|_| people > 0) {
            self.gaps.add(Apart { tag: before.tag(), people });
            self.is_key_fresh = true;
        }
        self.is_key_fresh
    }

    fn take_findings(&mut self, findings: &Findings) -> bool {
        let people = &mut self.people;
        match findings {
            Findings::Hashes(hashes) => hashes.iter().fold(false, |is_new, &hash| people.add(hash) | is_new),
            Findings::Marks(marks) => marks.iter().fold(false, |is_new, &mark| people.add_mark(mark) | is_new),
            Findings::Quarter { number, packed } => people.add_quarter(*number, packed),
        }
    }

    /// What the other node lacks is lacking here.
    fn take_gaps(&mut self, gaps: &Gaps) -> bool {
        let before = self.gaps;
        self.gaps.unseen = before.unseen.max(gaps.unseen);
        gaps.apart().iter().for_each(|&apart| self.gaps.add(apart));
        self.gaps != before
    }

    fn change(&mut self, now: Tick) {
        self.changed_at = now;
        self.is_mention_due = true;
    }

    /// Whether it is of the namespace with this digest.
    pub(super) fn is_of(&self, name: u32) -> bool {
        self.name == name
    }

    /// Whether nodes compare what they know of it.
    pub(super) fn is_quiet(&self, now: Tick) -> bool {
        self.changed_at.after(QUIET) <= now
    }

    /// Has it compared once more, when it is quiet.
    pub(super) fn mention_again(&mut self) {
        self.is_mention_due = true;
    }

    /// What other nodes have to compare now, since something has changed.
    pub(super) fn take_mention(&mut self, now: Tick) -> Option<Mention> {
        let mention = if self.is_mention_due { self.mention(now) } else { None };
        self.is_mention_due &= mention.is_none();
        mention
    }

    /// Digests of the name and of all that is known, while it is quiet.
    pub(super) fn mention(&self, now: Tick) -> Option<Mention> {
        self.is_quiet(now).then(|| Mention { name: self.name, census: self.digest() })
    }

    /// A digest of all that nodes have to agree on; not 0.
    pub(super) fn digest(&self) -> u32 {
        let key = self.key.map_or(0, |key| key.tag());
        let seed = mix(u64::from(key) ^ self.people.digest()).wrapping_add(self.gaps.unseen);
        // Their order may be different at different nodes.
        let add = |digest: u64, apart: &Apart| digest.wrapping_add(mix(apart.people ^ u64::from(apart.tag) << 32));
        short(mix(self.gaps.apart().iter().fold(seed, add))).max(1)
    }

    /// How many people have more than one member: an event without that was no event.
    pub(super) fn has_several(&self) -> bool {
        self.waiting.len() > 1 || self.people.few().is_none_or(|few| few.len() > 1)
    }
}

/// The first half of a digest.
fn short(digest: u64) -> u32 {
    (digest >> 32) as u32
}

const _: () = assert!(FEW_MAX * HASH_BYTES <= 600, "they fit into a datagram by themselves");
