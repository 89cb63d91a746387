//! The watchers: clients that receive the totals of many namespaces, and are not counted.
//!
//! Owns the watchers: their coming and going, and which of them do not take what they are sent.
//!
//! Time goes in rounds, at most one a second. First the totals that have changed are taken over, then every watcher that is in
//! step is updated with the changes that it watches, and in between all totals stay as they are. A watcher that comes, or was
//! behind and takes pieces again, catches up: it walks along all that it watches, and receives the totals that are newer than
//! its last round. So a watcher costs no more than a place in a table, and counts conflate by themselves. Milestones reach the
//! watchers that are in step.
//!
//! Everything is done in slices, and a round lasts until all watchers that take their pieces have received it. With more to
//! send than there is time for, rounds become fewer, and members do not wait for watchers.
//!
//! | file | owns |
//! |---|---|
//! | `budgets` | how much is done in one go |
//! | `milestones` | the thresholds, and what a total has passed since the last round |
//! | `queues` | the order of the watchers within a round |
//! | `rounds` | the stages of a round |
//! | `subjects` | the totals as of the last round |
//! | `sums` | the sums of prefixes |
//! | `watcher` | what one watcher watches, and how much of it it has received |
//!
//! Invariant: between rounds, a watcher that is in step knows every total that it watches, as of the last round.

mod budgets;
mod milestones;
mod queues;
mod rounds;
mod subjects;
mod sums;
mod watcher;

use std::collections::HashMap;
use std::time::Duration;

use super::Meter;
use crate::collections::sections::{Malformed, Reader, Tag, Writer};
use crate::collections::shards::BuildKeyHasher;
use crate::collections::tick::{Now, Tick};
use budgets::Budgets;
pub use milestones::{Milestone, THRESHOLDS_MAX, Thresholds};
use queues::Queues;
use rounds::{ROUND, Rounds, Stage};
pub use subjects::Pattern;
use subjects::Subjects;
pub use watcher::{Piece, WatcherId};
use watcher::{Progress, Watcher};

/// The longest silence. Watchers know of no option of the daemon, and take three times as long for the end of it.
const BEAT_MAX: Duration = Duration::from_secs(25);

/// How many patterns there may be, of all watchers together: with names and prefixes of their own, of full length, they take
/// some 10 MB.
pub const PATTERNS_MAX: usize = 16 * 1024;

/// Most rounds that a watcher may be behind: empty namespaces are remembered for it as long.
const LAG_MAX: u32 = 30;

/// The watchers in what is handed over, after the meter.
const WATCHERS: Tag = Tag { number: 40, name: "watchers" };

/// There are as many patterns as there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// All watchers.
#[derive(Debug)]
pub struct Watches {
    budgets: Budgets,
    subjects: Subjects,
    /// Subjects of former watchers, to be dropped bit by bit.
    retired: Vec<Subjects>,
    watchers: HashMap<WatcherId, Watcher, BuildKeyHasher>,
    /// The keys of all watchers, in no order.
    all: Vec<WatcherId>,
    pattern_count: usize,
    rounds: Rounds,
    queues: Queues,
    /// Watchers that were behind for too long.
    late: Vec<WatcherId>,
}

impl Watches {
    /// No watchers. A beat is sent after `beat_after` of silence, 25 s at most.
    #[must_use]
    pub fn new(thresholds: Thresholds, beat_after: Duration) -> Self {
        Self {
            budgets: Budgets::default(),
            subjects: Subjects::new(thresholds),
            retired: Vec::new(),
            watchers: HashMap::default(),
            all: Vec::new(),
            pattern_count: 0,
            rounds: Rounds::new(beat_after.clamp(ROUND, BEAT_MAX)),
            queues: Queues::default(),
            late: Vec::new(),
        }
    }

    /// Writes all watchers, for a program that goes on in the place of this one, by the same clock.
    pub fn hand_over(&self, out: &mut Writer) {
        let Self { budgets: _, subjects, retired: _, watchers, all, pattern_count: _, rounds, queues, late } = self;
        let section = out.open(WATCHERS);
        subjects.write(out);
        rounds.write(out);
        queues.write(out);
        out.count(all.len());
        for id in all {
            out.key(*id);
            watchers.get(id).into_iter().for_each(|watcher| watcher.write(out));
        }
        out.count(late.len());
        for &id in late {
            out.key(id);
        }
        out.close(section);
    }

    /// Goes on with watchers that were handed over: each knows what it has received. The thresholds may be others.
    ///
    /// # Errors
    /// What is wrong with the bytes. The reader is after the watchers otherwise, and may hold more.
    pub fn take_over(thresholds: Thresholds, beat_after: Duration, from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let outer = from.enter(WATCHERS);
        let mut all = Self::new(thresholds.clone(), beat_after);
        all.subjects = Subjects::read(thresholds, from);
        all.rounds.read(from);
        all.queues = Queues::read(from);
        let mut list = from.list();
        while from.has_next(&mut list) {
            let id = from.key();
            let watcher = Watcher::read(all.all.len(), &all.subjects, from);
            all.pattern_count = all.pattern_count.saturating_add(watcher.subjects.len());
            let is_first = all.watchers.insert(id, watcher).is_none();
            from.check(is_first && all.pattern_count <= PATTERNS_MAX, "a watcher that is there twice");
            all.all.push(id);
        }
        let mut list = from.list();
        while from.has_next(&mut list) {
            all.late.push(from.key());
        }
        from.leave(outer);
        from.sound().map(|()| all)
    }

    /// The number of watchers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are no watchers.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// A watcher that is not there yet comes.
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
        if self.pattern_count + patterns.len() + reserved > PATTERNS_MAX {
            return Err(Full);
        }
        if self.rounds.stage == Stage::Idle {
            meter.keep_changes(true);
            self.rounds.start(now);
        }
        self.pattern_count += patterns.len();
        let subjects = patterns.iter().map(|&pattern| self.subjects.pin(pattern));
        let watcher = Watcher::new(subjects.collect(), self.all.len());
        self.watchers.insert(id, watcher);
        self.all.push(id);
        self.begin(id);
        Ok(())
    }

    /// How many more patterns there may be.
    #[must_use]
    pub fn free_pattern_count(&self) -> usize {
        PATTERNS_MAX - self.pattern_count
    }

    /// A watcher is gone. An absent one changes nothing; returns whether it was there.
    pub fn leave(&mut self, id: WatcherId, meter: &mut Meter) -> bool {
        let Some(Watcher { subjects, place, .. }) = self.watchers.remove(&id) else { return false };
        self.pattern_count -= subjects.len();
        subjects.into_iter().for_each(|subject| self.subjects.unpin(subject));
        self.all.swap_remove(place);
        let moved = self.all.get(place).and_then(|moved| self.watchers.get_mut(moved));
        if let Some(moved) = moved {
            moved.place = place;
        }
        if let Stage::Update(left) = &mut self.rounds.stage {
            *left = self.all.len().min(*left);
        }
        if self.all.is_empty() {
            meter.keep_changes(false);
            self.rounds.stage = Stage::Idle;
            let none = Subjects::new(self.subjects.thresholds.clone());
            self.retired.push(std::mem::replace(&mut self.subjects, none));
            self.queues.clear();
            self.late.clear();
        }
        true
    }

    /// A watcher has not taken all of its last piece.
    pub fn stall(&mut self, id: WatcherId) {
        if let Some(watcher) = self.watchers.get_mut(&id) {
            watcher.is_stalled = true;
        }
    }

    /// A watcher has taken its last piece by now. One that did not stall is not affected.
    pub fn resume(&mut self, id: WatcherId) {
        let Some(watcher) = self.watchers.get_mut(&id).filter(|watcher| watcher.is_stalled) else { return };
        watcher.is_stalled = false;
        match watcher.progress {
            Progress::CatchingUp { .. } => self.queues.push_catching_up(id),
            Progress::InStep { round, .. } if round == self.rounds.number => self.queues.push_in_step(id),
            Progress::Done if watcher.known_round == self.rounds.number => {}
            _ => self.begin(id),
        }
    }

    /// A watcher that was behind for too long, for the caller to send away.
    pub fn pop_late(&mut self) -> Option<WatcherId> {
        self.late.pop()
    }

    /// When there is something to do next.
    #[must_use]
    pub fn poll_timeout(&self, meter: &Meter) -> Option<Tick> {
        let change_count = meter.change_count();
        let is_waiting = match self.rounds.stage {
            Stage::Idle => self.retired.is_empty() && change_count == 0,
            Stage::Rest => self.subjects.sums.are_complete() && self.queues.is_empty(),
            _ => false,
        };
        match (is_waiting, self.rounds.stage) {
            (false, _) => Some(Tick(0)),
            (true, Stage::Idle) => None,
            (true, _) => Some(self.rounds.due(change_count)),
        }
    }

    /// Goes on with all that has to be done before watchers are updated, as much as fits into a turn.
    pub fn advance(&mut self, meter: &mut Meter, now: Now) {
        self.dismantle_retired();
        let (names, is_over) = (self.budgets.names, self.queues.is_round_over());
        self.rounds.advance(&mut self.subjects, names, self.all.len(), is_over, meter, now);
    }

    /// Puts the next part of an update into `piece`; returns the watcher that it is for. `None` when there is no update now, or
    /// something has to be done first.
    pub fn next_piece(&mut self, piece: &mut Piece) -> Option<WatcherId> {
        piece.clear();
        let mut looks = self.budgets.looks;
        while looks > 0 && matches!(self.rounds.stage, Stage::Rest | Stage::Update(_)) {
            let mut next = self.queues.pop();
            if next.is_none() && self.begin_next() {
                looks -= 1;
                continue;
            }
            next = next.or_else(|| self.queues.pop_catching_up());
            let Some(id) = next else { break };
            looks = looks.saturating_sub(self.update(id, piece));
            if !piece.is_empty() {
                return Some(id);
            }
        }
        None
    }

    /// The round comes to the next watcher; returns whether there is one.
    fn begin_next(&mut self) -> bool {
        let Stage::Update(left) = &mut self.rounds.stage else { return false };
        let Some(next) = left.checked_sub(1) else { return false };
        let Some(&id) = self.all.get(next) else { return false };
        *left = next;
        let Some(watcher) = self.watchers.get_mut(&id) else { return true };
        let needed_from = watcher.needs_changes_since();
        self.rounds.known_by_all = self.rounds.known_by_all.min(needed_from);
        if watcher.is_stalled {
            if self.rounds.number.saturating_sub(needed_from) > LAG_MAX {
                self.late.push(id);
            }
        } else if watcher.progress == Progress::Done && watcher.known_round != self.rounds.number {
            self.begin(id);
        }
        true
    }

    /// Begins to update a watcher: with this round, if it knows all that was before, else with all that is newer.
    fn begin(&mut self, id: WatcherId) {
        let Some(watcher) = self.watchers.get_mut(&id) else { return };
        if watcher.begin(self.rounds.number) {
            self.queues.push_in_step(id);
        } else {
            self.queues.push_catching_up(id);
        }
    }

    /// Puts the next part of this watcher's update into `piece`; returns how many names were looked at.
    fn update(&mut self, id: WatcherId, piece: &mut Piece) -> usize {
        let round = self.rounds.number;
        let Some(watcher) = self.watchers.get_mut(&id).filter(|watcher| !watcher.is_stalled) else { return 1 };
        let was_in_step = matches!(watcher.progress, Progress::InStep { .. });
        if matches!(watcher.progress, Progress::InStep { round: begun, .. } if begun != round) {
            self.begin(id);
            return 1;
        }
        if watcher.waits_for_sums(&self.subjects) {
            self.queues.push_catching_up(id);
            return 1;
        }
        let looks = watcher.update(&self.subjects, round, self.budgets, piece);
        match watcher.progress {
            Progress::InStep { .. } => self.queues.push_in_step(id),
            Progress::CatchingUp { .. } => self.queues.push_catching_up(id),
            Progress::Done if watcher.known_round != round => self.begin(id),
            Progress::Done => piece.is_beat = self.rounds.is_beat && was_in_step && piece.is_empty(),
        }
        looks
    }

    fn dismantle_retired(&mut self) {
        let mut budget = self.budgets.names;
        while let Some(subjects) = self.retired.last_mut() {
            budget = subjects.dismantle(budget);
            if budget == 0 {
                return;
            }
            self.retired.pop();
        }
    }
}

#[cfg(test)]
mod tests;
