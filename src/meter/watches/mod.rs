//! Who is told of many namespaces at once, and is not counted.
//!
//! Owns the watchers: who comes and goes, and who does not take what it is told. (`subjects` and `sums` are what they watch,
//! `watcher` is one of them, and `rounds` and `telling` are what is done in a turn.)
//!
//! Time goes in rounds, at most one a second: first the totals that have changed are taken over, then everybody who is in step
//! is told what has changed for it, and in between all totals stay as they are. Whoever comes, or was behind and can hear
//! again, catches up: it walks along all that it watches, and is told what is newer than what it has heard last. So nothing is
//! kept for anybody but a place in a table, and counts conflate by themselves; milestones are told to those who are in step.
//!
//! Everything is done in slices, and a round lasts until all have been told it who take it: with more to tell than there is
//! time for, the rounds become fewer, and nobody else waits.
//!
//! Invariant: between rounds, a watcher that is in step knows every total that it watches, as of the last round.

mod milestones;
mod rounds;
mod subjects;
mod sums;
mod telling;
mod watcher;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::{Meter, NamespaceId};
use crate::collections::key::Key as _;
use crate::collections::shards::BuildKeyHasher;
use crate::collections::tick::{Now, Tick};
use crate::key_type;
pub use milestones::{Milestone, THRESHOLDS_MAX, Thresholds};
use subjects::{Subject, Subjects};
pub use watcher::{Pattern, Piece};
use watcher::{Progress, Watcher};

key_type! {
    /// A watcher's key, chosen by the caller and unique among watchers.
    pub WatcherId
}

/// The least time between two rounds.
const ROUND: Duration = Duration::from_secs(1);

/// The longest time without a word. Those who watch know of no option of the daemon, and take three times as long for the end of
/// it.
const BEAT_MAX: Duration = Duration::from_secs(25);

/// How many patterns there may be, of all watchers together: with names and prefixes of their own, of full length, they take
/// some 10 MB.
pub const PATTERNS_MAX: usize = 16 * 1024;

/// For how many rounds somebody may be behind: so long it is remembered for it that nobody is left in a namespace.
const LAG_MAX: u32 = 30;

/// How much is done in one go.
#[derive(Clone, Copy, Debug)]
struct Budgets {
    /// How many names are found, summed up, taken over or dropped in a turn.
    names: usize,
    /// How many lines a piece has, how many names are looked at for it, and about how many bytes it takes when it is written.
    lines: usize,
    looks: usize,
    bytes: usize,
}

/// A name takes up to 0.4 us, so those of a turn 0.05 ms.
const BUDGETS: Budgets = Budgets { names: 128, lines: 128, looks: 256, bytes: 4096 };

/// There are as many patterns as there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// All who watch.
#[derive(Debug)]
pub struct Watches {
    budgets: Budgets,
    /// After which time without a word a beat is told.
    beat_after: Duration,
    subjects: Subjects,
    /// Subjects of times when others watched, to be dropped bit by bit.
    retired: Vec<Subjects>,
    watchers: HashMap<WatcherId, Watcher, BuildKeyHasher>,
    /// Each of them, in no order.
    everybody: Vec<WatcherId>,
    patterns: usize,
    stage: Stage,
    /// The number of this round, or of the last one.
    round: u32,
    begun: Tick,
    beat_at: Tick,
    /// Whether all are told something in this round.
    is_beat: bool,
    /// Up to which round everybody has heard.
    heard_by_all: u32,
    /// Those who are being told of this round and have not heard all of it.
    in_step: VecDeque<WatcherId>,
    catching_up: VecDeque<WatcherId>,
    /// Whether somebody who is catching up comes next, before others.
    is_their_turn: bool,
    /// Those who were behind for too long.
    late: Vec<WatcherId>,
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nobody watches.
    Idle,
    /// The namespaces are looked through that are there already, from this one on.
    Find(NamespaceId),
    /// The next round is waited for.
    Rest,
    /// What has changed in the last round is forgotten, and so many names are looked at that may be dropped.
    Drop(usize),
    /// So many changes are to be taken over.
    TakeOver(usize),
    /// So many are to be told, the first of `everybody`. (From the last of them on: whoever takes the place of one who leaves
    /// comes from the end, and may be told again, but is not passed over.)
    Tell(usize),
}

impl Watches {
    /// Nobody; of whom a beat is due after this long without a word, or 25 s.
    #[must_use]
    pub fn new(thresholds: Thresholds, beat_after: Duration) -> Self {
        Self {
            budgets: BUDGETS,
            subjects: Subjects::new(thresholds),
            beat_after: beat_after.clamp(ROUND, BEAT_MAX),
            retired: Vec::new(),
            watchers: HashMap::default(),
            everybody: Vec::new(),
            patterns: 0,
            stage: Stage::Idle,
            round: 0,
            begun: Tick(0),
            beat_at: Tick(0),
            is_beat: false,
            heard_by_all: 0,
            in_step: VecDeque::new(),
            catching_up: VecDeque::new(),
            is_their_turn: false,
            late: Vec::new(),
        }
    }

    /// How many watch.
    #[must_use]
    pub fn len(&self) -> usize {
        self.everybody.len()
    }

    /// Whether nobody watches.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.everybody.is_empty()
    }

    /// Somebody, who does not watch yet, begins to.
    ///
    /// # Errors
    /// When there would be more than [`PATTERNS_MAX`] patterns, less those that are reserved for others.
    pub fn enter(
        &mut self,
        id: WatcherId,
        patterns: &[Pattern<'_>],
        reserved: usize,
        meter: &mut Meter,
        now: Now,
    ) -> Result<(), Full> {
        if self.patterns + patterns.len() + reserved > PATTERNS_MAX {
            return Err(Full);
        }
        if self.stage == Stage::Idle {
            meter.keep_changes(true);
            self.stage = Stage::Find(NamespaceId::FIRST);
            self.round = 1;
            self.heard_by_all = 0;
            self.beat_at = now.tick.after(self.beat_after);
        }
        self.patterns += patterns.len();
        let subjects = patterns.iter().map(|&pattern| match pattern {
            Pattern::Name(name) => Subject::Name(self.subjects.pin_name(name)),
            Pattern::Prefix(prefix) => Subject::Prefix(self.subjects.sums.pin(prefix)),
        });
        let watcher = Watcher {
            subjects: subjects.collect(),
            place: self.everybody.len(),
            heard: 0,
            progress: Progress::Done,
            is_stalled: false,
        };
        self.watchers.insert(id, watcher);
        self.everybody.push(id);
        self.begin(id);
        Ok(())
    }

    /// Somebody is gone. Who does not watch is nobody.
    pub fn leave(&mut self, id: WatcherId, meter: &mut Meter) {
        let Some(Watcher { subjects, place, .. }) = self.watchers.remove(&id) else { return };
        self.patterns -= subjects.len();
        subjects.into_iter().for_each(|subject| self.subjects.unpin(subject));
        self.everybody.swap_remove(place);
        let moved = self.everybody.get(place).and_then(|moved| self.watchers.get_mut(moved));
        if let Some(moved) = moved {
            moved.place = place;
        }
        if let Stage::Tell(left) = &mut self.stage {
            *left = self.everybody.len().min(*left);
        }
        if self.everybody.is_empty() {
            meter.keep_changes(false);
            self.stage = Stage::Idle;
            let none = Subjects::new(self.subjects.thresholds.clone());
            self.retired.push(std::mem::replace(&mut self.subjects, none));
            self.in_step.clear();
            self.catching_up.clear();
            self.late.clear();
        }
    }

    /// A watcher has not taken all of what it was told last.
    pub fn stall(&mut self, id: WatcherId) {
        if let Some(watcher) = self.watchers.get_mut(&id) {
            watcher.is_stalled = true;
        }
    }

    /// It has by now. Who did not stall is nobody.
    pub fn resume(&mut self, id: WatcherId) {
        let Some(watcher) = self.watchers.get_mut(&id).filter(|watcher| watcher.is_stalled) else { return };
        watcher.is_stalled = false;
        match watcher.progress {
            Progress::CatchingUp { .. } => self.catching_up.push_back(id),
            Progress::InStep { round, .. } if round == self.round => self.in_step.push_back(id),
            Progress::Done if watcher.heard == self.round => {}
            _ => self.begin(id),
        }
    }

    /// Somebody who was behind for too long, and is to be sent away.
    pub fn pop_late(&mut self) -> Option<WatcherId> {
        self.late.pop()
    }
}

#[cfg(test)]
mod tests;
