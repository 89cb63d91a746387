//! Who is told of many namespaces at once, and is not counted.
//!
//! Owns the watchers, what each of them watches, and how much of it each has heard. Time goes in rounds, at most one a second:
//! first the totals that have changed are taken over, then everybody who is in step is told what has changed for it, and in
//! between all totals stay as they are. Whoever comes, or was behind and can hear again, catches up: it walks along all that it
//! watches, and is told what is newer than what it has heard last. So nothing is kept for anybody but a place in a table, and
//! counts conflate by themselves; milestones are told to those who are in step.
//!
//! Everything is done in slices, and a round lasts until all have been told it who take it: with more to tell than there is
//! time for, the rounds become fewer, and nobody else waits.
//!
//! Invariant: between rounds, a watcher that is in step knows every total that it watches, as of the last round.

mod milestones;
mod subjects;
mod watcher;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::{Meter, NamespaceId};
use crate::collections::Key;
use crate::collections::shards::BuildKeyHasher;
use crate::collections::tick::{Now, Tick};
pub use milestones::{Milestone, THRESHOLDS_MAX, Thresholds};
use subjects::{Subject, Subjects};
use watcher::{LOOKS_PER_PIECE, Place, Progress, Watcher};
pub use watcher::{Pattern, Piece};

/// A watcher's key, chosen by the caller and unique among those who watch.
pub type WatcherId = Key;

/// The least time between two rounds.
const ROUND: Duration = Duration::from_secs(1);

/// How many names are found, summed up, taken over or dropped in a turn: at up to 0.4 us each, 0.05 ms.
const NAMES_PER_TURN: usize = 128;

/// How many patterns there may be, of all watchers together: with names and prefixes of their own, of full length, they take
/// some 10 MB.
pub const PATTERNS_MAX: usize = 16 * 1024;

/// For how many rounds somebody may be behind: so long it is remembered for it that nobody is left in a namespace.
const LAG_MAX: u32 = 30;

/// There are as many patterns as there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// All who watch.
#[derive(Debug)]
pub struct Watches {
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
    /// Sums are made up, if any are missing.
    Rest,
    /// So many names are looked at that may be dropped.
    Drop(usize),
    /// So many changes are to be taken over.
    TakeOver(usize),
    /// Everybody from this place on is to be told.
    Tell(usize),
}

impl Watches {
    /// Nobody; of whom a beat is due after this long without a word.
    #[must_use]
    pub fn new(thresholds: Thresholds, beat_after: Duration) -> Self {
        Self {
            subjects: Subjects::new(thresholds),
            beat_after: beat_after.max(ROUND),
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
    /// When there would be more than [`PATTERNS_MAX`] patterns.
    pub fn enter(&mut self, id: WatcherId, patterns: &[Pattern<'_>], meter: &mut Meter, now: Now) -> Result<(), Full> {
        if self.patterns + patterns.len() > PATTERNS_MAX {
            return Err(Full);
        }
        if self.stage == Stage::Idle {
            meter.keep_changes(true);
            self.stage = Stage::Find(0);
            self.round = self.round.wrapping_add(1).max(1);
            self.beat_at = now.tick.after(self.beat_after);
        }
        self.patterns += patterns.len();
        let subjects = patterns.iter().map(|&pattern| match pattern {
            Pattern::Name(name) => Subject::Name(self.subjects.pin_name(name)),
            Pattern::Prefix(prefix) => Subject::Prefix(self.subjects.pin_prefix(prefix)),
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
        self.catch_up(id);
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
        let is_to_come = matches!(self.stage, Stage::Drop(_) | Stage::TakeOver(_));
        match watcher.progress {
            Progress::CatchingUp { .. } => self.catching_up.push_back(id),
            Progress::InStep { round, .. } if round == self.round => self.in_step.push_back(id),
            Progress::Done if watcher.heard == self.round || is_to_come => {}
            _ => self.catch_up(id),
        }
    }

    /// Somebody who was behind for too long, and is to be sent away.
    pub fn pop_late(&mut self) -> Option<WatcherId> {
        self.late.pop()
    }

    /// When there is something to do next.
    #[must_use]
    pub fn poll_timeout(&self, meter: &Meter) -> Option<Tick> {
        let is_waiting = match self.stage {
            Stage::Idle => self.retired.is_empty() && meter.changes() == 0,
            Stage::Rest => self.subjects.are_summed() && self.in_step.is_empty() && self.catching_up.is_empty(),
            _ => false,
        };
        match (is_waiting, self.stage) {
            (false, _) => Some(Tick(0)),
            (true, Stage::Idle) => None,
            (true, _) => Some(self.round_due(meter)),
        }
    }

    fn round_due(&self, meter: &Meter) -> Tick {
        if meter.changes() > 0 { self.begun.after(ROUND).min(self.beat_at) } else { self.beat_at }
    }

    /// Goes on with all that has to be done before somebody is told something, as much as fits into a turn.
    pub fn go_on(&mut self, meter: &mut Meter, now: Now) {
        if let Some(retired) = self.retired.last_mut()
            && retired.dismantle(NAMES_PER_TURN)
        {
            self.retired.pop();
        }
        self.stage = match self.stage {
            Stage::Idle => {
                for _ in 0..NAMES_PER_TURN {
                    let Some(_) = meter.pop_changed() else { break };
                }
                Stage::Idle
            }
            Stage::Find(from) => self.find(from, meter),
            stage @ (Stage::Rest | Stage::Tell(_)) if !self.subjects.are_summed() => {
                self.subjects.go_on_summing(NAMES_PER_TURN, self.round);
                stage
            }
            Stage::Rest if self.round_due(meter) <= now.tick => self.begin_round(now),
            Stage::Drop(left) => self.drop_vacant(left, meter),
            Stage::TakeOver(left) => self.take_over(left, meter),
            Stage::Tell(place) if place >= self.everybody.len() && self.in_step.is_empty() => Stage::Rest,
            stage => stage,
        };
    }

    fn find(&mut self, from: NamespaceId, meter: &Meter) -> Stage {
        let mut namespaces = meter.namespaces_from(from);
        for (_, namespace) in namespaces.by_ref().take(NAMES_PER_TURN) {
            let total = namespace.total();
            let peak = namespace.peak().members.max(total);
            self.subjects.find(&namespace.name, total, peak, self.round);
        }
        namespaces.next().map_or(Stage::Rest, |(next, _)| Stage::Find(next))
    }

    fn begin_round(&mut self, now: Now) -> Stage {
        self.round = self.round.wrapping_add(1).max(1);
        self.begun = now.tick;
        self.is_beat = self.beat_at <= now.tick;
        if self.is_beat {
            self.beat_at = now.tick.after(self.beat_after);
        }
        self.subjects.begin_round();
        Stage::Drop(self.subjects.vacant())
    }

    fn drop_vacant(&mut self, left: usize, meter: &Meter) -> Stage {
        let now = left.min(NAMES_PER_TURN);
        for _ in 0..now {
            self.subjects.drop_vacant(self.heard_by_all, |name| meter.find(name).is_none());
        }
        if left > now { Stage::Drop(left - now) } else { Stage::TakeOver(meter.changes()) }
    }

    fn take_over(&mut self, left: usize, meter: &mut Meter) -> Stage {
        let (mut left, mut budget) = (left, NAMES_PER_TURN);
        while left > 0 && budget > 0 {
            let Some(changed) = meter.pop_changed() else { break };
            left -= 1;
            budget = budget.saturating_sub(self.subjects.change(&changed, self.round));
        }
        if budget == 0 || !self.subjects.change_sums(budget, self.round) {
            return Stage::TakeOver(left);
        }
        self.heard_by_all = u32::MAX;
        Stage::Tell(0)
    }

    /// Puts the next part of what somebody is to be told into `piece`; `None` when there is nothing to tell now, or has to be
    /// done first.
    pub fn tell(&mut self, piece: &mut Piece) -> Option<WatcherId> {
        piece.clear();
        let mut looks = LOOKS_PER_PIECE;
        while looks > 0 && matches!(self.stage, Stage::Rest | Stage::Tell(_)) && self.subjects.are_summed() {
            let id = match self.next_to_tell() {
                Next::This(id) => id,
                Next::NotThisOne => {
                    looks -= 1;
                    continue;
                }
                Next::Nobody => break,
            };
            looks = looks.saturating_sub(self.tell_one(id, piece));
            if !piece.is_empty() {
                return Some(id);
            }
        }
        None
    }

    /// Who has begun to hear of this round comes first, then those who have not; and every other time, who catches up.
    fn next_to_tell(&mut self) -> Next {
        self.is_their_turn = !self.is_their_turn;
        let from_queue = |queue: &mut VecDeque<WatcherId>| queue.pop_front().map_or(Next::Nobody, Next::This);
        if self.is_their_turn && !self.catching_up.is_empty() {
            return from_queue(&mut self.catching_up);
        }
        if !self.in_step.is_empty() {
            return from_queue(&mut self.in_step);
        }
        if let Stage::Tell(place) = self.stage
            && let Some(&id) = self.everybody.get(place)
        {
            self.stage = Stage::Tell(place + 1);
            return self.begin_to_tell(id);
        }
        from_queue(&mut self.catching_up)
    }

    /// The round has come to this watcher.
    fn begin_to_tell(&mut self, id: WatcherId) -> Next {
        let Some(watcher) = self.watchers.get_mut(&id) else { return Next::NotThisOne };
        let needed_from = watcher.needs_changes_since();
        self.heard_by_all = self.heard_by_all.min(needed_from);
        if watcher.is_stalled {
            if self.round.saturating_sub(needed_from) > LAG_MAX {
                self.late.push(id);
            }
            return Next::NotThisOne;
        }
        if watcher.progress != Progress::Done || watcher.heard == self.round {
            return Next::NotThisOne;
        }
        if watcher.heard + 1 == self.round {
            watcher.progress = Progress::InStep { round: self.round, at: Place::default() };
            return Next::This(id);
        }
        self.catch_up(id);
        Next::NotThisOne
    }

    fn catch_up(&mut self, id: WatcherId) {
        if let Some(watcher) = self.watchers.get_mut(&id) {
            watcher.progress = Progress::CatchingUp { since: 0, at: Place::default() };
            self.catching_up.push_back(id);
        }
    }

    /// Puts the next part of what this watcher is to be told into `piece`; returns how many names were looked at.
    fn tell_one(&mut self, id: WatcherId, piece: &mut Piece) -> usize {
        let Some(watcher) = self.watchers.get_mut(&id).filter(|watcher| !watcher.is_stalled) else { return 1 };
        let was_in_step = matches!(watcher.progress, Progress::InStep { .. });
        if matches!(watcher.progress, Progress::InStep { round, .. } if round != self.round) {
            self.catch_up(id);
            return 1;
        }
        let looks = watcher.tell(&self.subjects, self.round, piece);
        match watcher.progress {
            Progress::InStep { .. } => self.in_step.push_back(id),
            Progress::CatchingUp { .. } => self.catching_up.push_back(id),
            Progress::Done if watcher.heard != self.round => self.catch_up(id),
            Progress::Done => piece.is_beat = self.is_beat && was_in_step && piece.is_empty(),
        }
        looks
    }
}

/// Who is to be told something next.
enum Next {
    This(WatcherId),
    /// It was somebody's turn for whom there is nothing to do now.
    NotThisOne,
    Nobody,
}

#[cfg(test)]
mod tests;
