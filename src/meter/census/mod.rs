//! How many different people have been counted at each of the largest events.
//!
//! A person who reloads a page, comes out of a tunnel or opens four tabs is four connections, and one person. A person is a
//! uuid, or an address and a program; see [`Person`]. Under a key of the event it becomes a hash, and of the hashes an event
//! keeps the first hundred, and then a sketch of 3 KiB.
//!
//! What is kept only grows, and merges as a set or as maxima. So each node has one census for the people of all nodes, and a
//! node that departs takes nothing with it. A node announces the hashes of its own people with its counts. What was lost on
//! the way is announced again with the counts that are repaired; if that is too much, or a node is new, it asks for all there
//! is. When an event is quiet, nodes compare digests. One goes with each sign of life, so in the end nothing stays lost.
//!
//! | file | owns |
//! |---|---|
//! | `event` | the census of one event |
//! | `people` | what is kept of people, and their number |
//! | `person` | what names a person, and what a key makes of it |
//! | `recent` | the hashes that are announced, and announced again |
//! | `sections` | all of it as bytes |
//! | `sketch` | the registers, and the estimate |
//!
//! This file owns the table of the censuses: which events have one. The smallest gives up its place
//! ([`precedence`](super::accounts::precedence)), and an event that comes to its place late is off by the joins before.
//!
//! Invariant: a namespace names its census, and the census names the namespace.

mod event;
mod people;
mod person;
mod recent;
pub(super) mod sections;
mod sketch;

use super::accounts::Reach;
use super::accounts::precedence::{Precedence, Worth};
use super::book::keys::NamespaceId;
use super::digest::name_digest;
use super::news::Secret;
use super::news::census::{CensusKey, CensusNews, Mention, Mentions};
use crate::collections::key::key_type;
use crate::collections::slab::Slab;
use crate::collections::tick::{Now, Tick};
use event::EventCensus;
pub(super) use event::Learned;
pub use person::Person;

key_type! {
    /// The key of a census.
    pub(super) CensusId
}

/// Events whose members differ by no more leave each other their places. A new census is announced to all nodes, and small events
/// would take their places from each other all the time.
const ALIKE: u64 = 4;

/// At every fourth sign of life one census is mentioned that has not changed.
const TURN_GAP: usize = 4;

/// The censuses of the largest events.
pub(super) struct Censuses {
    limit: usize,
    secret: Secret,
    draw_count: u64,
    table: Slab<CensusId, Box<EventCensus>>,
    order: Precedence<CensusId>,
    /// Counts the signs of life in which none has changed: [`TURN_GAP`] for the place of each.
    turn: usize,
    /// Those whose key is not settled, in the order in which it will be.
    settling: Vec<(Tick, CensusId)>,
}

impl Censuses {
    /// At most `limit` censuses. Their keys are drawn from the secret.
    pub(super) fn new(limit: usize, secret: Secret) -> Self {
        Self {
            limit,
            secret,
            draw_count: 0,
            table: Slab::default(),
            order: Precedence::default(),
            turn: 0,
            settling: Vec::new(),
        }
    }

    /// Whether there are any.
    pub(super) fn are_kept(&self) -> bool {
        self.limit > 0
    }

    /// Whether there is a census under this key.
    pub(super) fn has(&self, id: CensusId) -> bool {
        self.table.get(id).is_some()
    }

    /// The namespaces that have one.
    pub(super) fn namespaces(&self) -> impl Iterator<Item = (CensusId, NamespaceId)> {
        self.table.iter().map(|(id, census)| (id, census.namespace))
    }

    /// Begins the census of a namespace that has none, if there is room or another is worth less. Of that many joins nothing
    /// is known. Returns its key, and the namespace that has lost its census.
    pub(super) fn begin(
        &mut self,
        namespace: NamespaceId,
        name: &str,
        total: u64,
        unseen: u64,
        now: Tick,
    ) -> Option<(CensusId, Option<NamespaceId>)> {
        let mut displaced = None;
        if self.table.len() >= self.limit {
            let (least, worth) = self.order.first()?;
            let is_alike = matches!(worth, Worth::Alive(least) if total <= least + ALIKE);
            if total == 0 || is_alike || !Worth::Alive(total).displaces(worth) {
                return None;
            }
            displaced = Some(self.table.at(least).namespace);
            self.end(least);
        }
        let census = EventCensus::new(namespace, name_digest(name), unseen, now);
        let settles_at = census.settles_at();
        let id = self.table.insert(Box::new(census));
        self.order.insert(id, worth(total, false, now));
        self.settling.push((settles_at, id));
        Some((id, displaced))
    }

    /// Ends a census.
    pub(super) fn end(&mut self, id: CensusId) {
        self.order.remove(id);
        self.table.remove(id);
    }

    /// The namespace has this total from now on.
    pub(super) fn rank(&mut self, id: CensusId, total: u64, now: Tick) {
        let has_several = self.table.at(id).has_several();
        self.order.set(id, worth(total, has_several, now));
    }

    /// Counts a person at this node, at this version of the journal. Returns whether there is something to announce.
    pub(super) fn count(&mut self, id: CensusId, person: Person, version: u64, now: Now) -> bool {
        let Self { table, draw_count, secret, .. } = self;
        let census = table.at_mut(id);
        census.make_key(|| draw_key(*secret, draw_count, now));
        census.count(person, version, now.tick)
    }

    /// When the next key is settled.
    pub(super) fn next_deadline(&self) -> Option<Tick> {
        self.settling.first().map(|&(at, _)| at)
    }

    /// Settles the next key whose time has come by then. Returns its namespace, and whether there is something to announce.
    pub(super) fn settle_next(&mut self, version: u64, until: Tick, now: Tick) -> Option<(NamespaceId, bool)> {
        while let Some((at, id)) = self.settling.first().copied().filter(|&(at, _)| at <= until) {
            self.settling.remove(0);
            // By now it may be another's.
            if let Some(census) = self.table.get_mut(id).filter(|census| census.settles_at() == at) {
                return Some((census.namespace, census.settle(version, now)));
            }
        }
        None
    }

    /// A number of joins were counted of whose people nothing is known.
    pub(super) fn miss(&mut self, id: CensusId, joins: u64, now: Tick) {
        self.table.at_mut(id).miss(joins, now);
    }

    /// Learns what another node knows.
    pub(super) fn learn(&mut self, id: CensusId, news: &CensusNews, now: Tick) -> Learned {
        self.table.at_mut(id).learn(news, now)
    }

    /// The number of people of an event, who have joined that often here and elsewhere.
    pub(super) fn reach(&self, id: CensusId, here: u64, elsewhere: u64) -> Option<Reach> {
        let census = self.table.at(id);
        let (people, error) = census.number()?;
        // Each join is one person's, and those that wait elsewhere are not known yet.
        let unknown = if census.is_settled() { 0 } else { elsewhere };
        let joins = here + elsewhere;
        Some(Reach { people: people.clamp(joins.min(1), joins), error: (error + unknown).min(joins) })
    }

    /// What goes with the next count of its namespace.
    pub(super) fn fresh(&self, id: CensusId) -> CensusNews {
        self.table.at(id).fresh()
    }

    /// That was announced, at this version of the journal.
    pub(super) fn mark_announced(&mut self, id: CensusId, version: u64) {
        self.table.at_mut(id).mark_announced(version);
    }

    /// What goes with a count that is announced again to a node that knows all up to this version.
    pub(super) fn repair(&self, id: CensusId, since: u64) -> CensusNews {
        self.table.at(id).repair(since)
    }

    /// All that is known: its part of this number, of four.
    pub(super) fn part(&self, id: CensusId, number: u8) -> Option<CensusNews> {
        self.table.at(id).part(number)
    }

    /// Has all of them compared once more: a node has come, or gone.
    pub(super) fn mention_all(&mut self) {
        self.table.iter_mut().for_each(|(_, census)| census.mention_again());
    }

    /// What the next sign of life says of those that are quiet.
    pub(super) fn take_mentions(&mut self, now: Tick) -> Mentions {
        let mut mentions = Mentions::default();
        let due = self.table.iter_mut().filter_map(|(_, census)| census.take_mention(now));
        for (mention, due) in mentions.iter_mut().zip(due) {
            *mention = due;
        }
        let [first, ..] = &mut mentions;
        if *first == Mention::default() {
            *first = self.mention_in_turn(now).unwrap_or_default();
        }
        mentions
    }

    /// The mention of the one whose turn it is: what was said of it before may have been lost.
    fn mention_in_turn(&mut self, now: Tick) -> Option<Mention> {
        self.turn = (self.turn + 1) % (self.table.len() * TURN_GAP).max(1);
        if !self.turn.is_multiple_of(TURN_GAP) {
            return None;
        }
        self.table.iter().nth(self.turn / TURN_GAP).and_then(|(_, census)| census.mention(now))
    }

    /// The namespace of a mention that says something else than what is known here, where that is quiet, too.
    pub(super) fn differs(&mut self, mention: Mention, now: Tick) -> Option<NamespaceId> {
        let mut all = self.table.iter_mut().map(|(_, census)| census);
        let census = all.find(|census| census.is_of(mention.name))?;
        if !census.is_quiet(now) || census.digest() == mention.census {
            return None;
        }
        // What that node lacks, it has to find out.
        census.mention_again();
        Some(census.namespace)
    }
}

fn draw_key(Secret(secret): Secret, count: &mut u64, now: Now) -> CensusKey {
    let mut bytes = [0; 16];
    for half in bytes.chunks_exact_mut(8) {
        *count += 1;
        half.copy_from_slice(&person::draw(secret, *count).to_le_bytes());
    }
    CensusKey { born_unix_ms: now.unix_ms, bytes }
}

fn worth(total: u64, has_several: bool, now: Tick) -> Worth {
    match total {
        0 if has_several => Worth::Vacant(now),
        0 => Worth::Trifle(now),
        total => Worth::Alive(total),
    }
}
