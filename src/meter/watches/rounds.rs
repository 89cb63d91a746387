//! The stages of a round, and what is done in a turn before watchers are updated.
//!
//! Owns the order of things: the namespaces that are there are found, sums are made up, a round begins, names without use are
//! dropped, changes are taken over, and all watchers are updated. It does not know what a watcher receives.
//!
//! Invariant: while there is something to do, each turn does some of it.

use std::time::Duration;

use super::subjects::Subjects;
use crate::collections::key::Key as _;
use crate::collections::sections::{Reader, Writer};
use crate::collections::slab::Walk;
use crate::collections::tick::{Now, Tick};
use crate::meter::{Meter, NamespaceId};

/// The least time between two rounds.
pub(super) const ROUND: Duration = Duration::from_secs(1);

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// There are no watchers.
    Idle,
    /// The namespaces that are there already are looked through, from this one on.
    Find(NamespaceId),
    /// The next round is waited for.
    Rest,
    /// The changes of the last round are forgotten. The number of names that are still looked at, for they may be dropped.
    Drop(usize),
    /// The number of changes that are still taken over.
    TakeOver(usize),
    /// The number of watchers that still get an update, from the last of them on. (A watcher that takes the place of
    /// one that leaves comes from the end, and may be updated again, but is not passed over.)
    Update(usize),
}

/// The rounds.
#[derive(Debug)]
pub(super) struct Rounds {
    pub(super) stage: Stage,
    /// The number of this round, or of the last one.
    pub(super) number: u32,
    /// Whether all watchers receive something in this round.
    pub(super) is_beat: bool,
    /// Up to which round all watchers have received all changes.
    pub(super) known_by_all: u32,
    /// After which time of silence a beat is sent.
    beat_after: Duration,
    begun: Tick,
    beat_at: Tick,
}

impl Rounds {
    /// No round has begun.
    pub(super) fn new(beat_after: Duration) -> Self {
        Self {
            stage: Stage::Idle,
            number: 0,
            is_beat: false,
            known_by_all: 0,
            beat_after,
            begun: Tick(0),
            beat_at: Tick(0),
        }
    }

    pub(super) fn write(&self, out: &mut Writer) {
        let Self { stage, number, is_beat, known_by_all, beat_after: _, begun, beat_at } = self;
        let (kind, left) = match *stage {
            Stage::Idle => (0, 0),
            Stage::Find(from) => (1, from.index()),
            Stage::Rest => (2, 0),
            Stage::Drop(left) => (3, left),
            Stage::TakeOver(left) => (4, left),
            Stage::Update(left) => (5, left),
        };
        out.number(kind);
        out.count(left);
        for &round in [number, known_by_all] {
            out.number(round.into());
        }
        out.flag(*is_beat);
        for &tick in [begun, beat_at] {
            out.tick(tick);
        }
    }

    /// Goes on with the rounds that were written.
    pub(super) fn read(&mut self, from: &mut Reader<'_>) {
        let (kind, left) = (from.number(), from.size());
        self.stage = match kind {
            1 => Stage::Find(NamespaceId::from_index(left).unwrap_or(NamespaceId::FIRST)),
            2 => Stage::Rest,
            3 => Stage::Drop(left),
            4 => Stage::TakeOver(left),
            5 => Stage::Update(left),
            _ => Stage::Idle,
        };
        from.check(kind <= 5, "a round at an unknown stage");
        (self.number, self.known_by_all, self.is_beat) = (from.small(), from.small(), from.flag());
        (self.begun, self.beat_at) = (from.tick(), from.tick());
    }

    /// The first watcher has come.
    pub(super) fn start(&mut self, now: Now) {
        self.stage = Stage::Find(NamespaceId::FIRST);
        self.number = 1;
        self.known_by_all = 0;
        self.beat_at = now.tick.after(self.beat_after);
    }

    /// When the next round is due.
    pub(super) fn due(&self, change_count: usize) -> Tick {
        if change_count > 0 { self.begun.after(ROUND).min(self.beat_at) } else { self.beat_at }
    }

    /// Goes on with the stage, as far as a turn's budget of `names` goes. `is_over` says that no watcher has received only a
    /// part of this round.
    pub(super) fn advance(
        &mut self,
        subjects: &mut Subjects,
        names: usize,
        watcher_count: usize,
        is_over: bool,
        meter: &mut Meter,
        now: Now,
    ) {
        if !matches!(self.stage, Stage::Idle | Stage::Find(_)) {
            subjects.go_on_summing(names, self.number);
        }
        self.stage = match self.stage {
            Stage::Idle => {
                for _ in 0..names {
                    let Some(_) = meter.pop_changed() else { break };
                }
                Stage::Idle
            }
            Stage::Find(from) => self.find(from, subjects, names, meter),
            Stage::Rest if self.due(meter.change_count()) <= now.tick => self.begin(subjects, now),
            Stage::Drop(left) => self.drop_vacant(left, subjects, names, meter),
            Stage::TakeOver(left) => self.take_over(left, subjects, names, watcher_count, meter),
            Stage::Update(0) if is_over => Stage::Rest,
            stage => stage,
        };
    }

    fn find(&self, from: NamespaceId, subjects: &mut Subjects, names: usize, meter: &Meter) -> Stage {
        let mut walk = Walk::new(from, names);
        while let Some((_, namespace)) = meter.namespaces().step(&mut walk) {
            let total = namespace.total();
            let peak = namespace.largest_total();
            subjects.find(&namespace.name, total, peak, self.number);
        }
        walk.from.map_or(Stage::Rest, Stage::Find)
    }

    fn begin(&mut self, subjects: &Subjects, now: Now) -> Stage {
        // One a second, since the first watcher came: the numbers last for 136 years.
        self.number += 1;
        self.begun = now.tick;
        self.is_beat = self.beat_at <= now.tick;
        if self.is_beat {
            self.beat_at = now.tick.after(self.beat_after);
        }
        Stage::Drop(subjects.vacant_count())
    }

    fn drop_vacant(&self, left: usize, subjects: &mut Subjects, names: usize, meter: &Meter) -> Stage {
        let budget = subjects.forget_changes(names);
        let now = left.min(budget);
        for _ in 0..now {
            subjects.drop_vacant(self.known_by_all, |name| meter.find(name).is_none());
        }
        if left > now || budget == 0 { Stage::Drop(left - now) } else { Stage::TakeOver(meter.change_count()) }
    }

    fn take_over(
        &mut self,
        mut left: usize,
        subjects: &mut Subjects,
        names: usize,
        watcher_count: usize,
        meter: &mut Meter,
    ) -> Stage {
        let mut budget = names;
        while left > 0 && budget > 0 {
            let Some(changed) = meter.pop_changed() else { break };
            left -= 1;
            budget = budget.saturating_sub(subjects.change(&changed, self.number));
        }
        if budget == 0 || !subjects.change_sums(budget, self.number) {
            return Stage::TakeOver(left);
        }
        self.known_by_all = u32::MAX;
        Stage::Update(watcher_count)
    }
}
