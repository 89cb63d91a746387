//! What is done in a turn before somebody is told something.
//!
//! Owns the order of things: the namespaces that are there are found, sums are made up, a round begins, names that nobody needs
//! are dropped, changes are taken over, and everybody is told. It does not know who is told what.
//!
//! Invariant: while there is something to do, each turn does some of it.

use super::{ROUND, Stage, Watches};
use crate::collections::tick::{Now, Tick};
use crate::meter::{Meter, NamespaceId};

impl Watches {
    /// When there is something to do next.
    #[must_use]
    pub fn poll_timeout(&self, meter: &Meter) -> Option<Tick> {
        let is_waiting = match self.stage {
            Stage::Idle => self.retired.is_empty() && meter.changes() == 0,
            Stage::Rest => self.subjects.sums.are_complete() && self.in_step.is_empty() && self.catching_up.is_empty(),
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
        self.dismantle_retired();
        if !matches!(self.stage, Stage::Idle | Stage::Find(_)) {
            self.subjects.go_on_summing(self.budgets.names, self.round);
        }
        self.stage = match self.stage {
            Stage::Idle => {
                for _ in 0..self.budgets.names {
                    let Some(_) = meter.pop_changed() else { break };
                }
                Stage::Idle
            }
            Stage::Find(from) => self.find(from, meter),
            Stage::Rest if self.round_due(meter) <= now.tick => self.begin_round(now),
            Stage::Drop(left) => self.drop_vacant(left, meter),
            Stage::TakeOver(left) => self.take_over(left, meter),
            Stage::Tell(0) if self.in_step.is_empty() => Stage::Rest,
            stage => stage,
        };
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

    fn find(&mut self, from: NamespaceId, meter: &Meter) -> Stage {
        let mut namespaces = meter.namespaces_from(from);
        for (_, namespace) in namespaces.by_ref().take(self.budgets.names) {
            let total = namespace.total();
            let peak = namespace.peak().members.max(total);
            self.subjects.find(&namespace.name, total, peak, self.round);
        }
        namespaces.next().map_or(Stage::Rest, |(next, _)| Stage::Find(next))
    }

    fn begin_round(&mut self, now: Now) -> Stage {
        // One a second, since somebody has begun to watch: they last for 136 years.
        self.round += 1;
        self.begun = now.tick;
        self.is_beat = self.beat_at <= now.tick;
        if self.is_beat {
            self.beat_at = now.tick.after(self.beat_after);
        }
        Stage::Drop(self.subjects.vacant())
    }

    fn drop_vacant(&mut self, left: usize, meter: &Meter) -> Stage {
        let budget = self.subjects.forget_changes(self.budgets.names);
        let now = left.min(budget);
        for _ in 0..now {
            self.subjects.drop_vacant(self.heard_by_all, |name| meter.find(name).is_none());
        }
        if left > now || budget == 0 { Stage::Drop(left - now) } else { Stage::TakeOver(meter.changes()) }
    }

    fn take_over(&mut self, left: usize, meter: &mut Meter) -> Stage {
        let (mut left, mut budget) = (left, self.budgets.names);
        while left > 0 && budget > 0 {
            let Some(changed) = meter.pop_changed() else { break };
            left -= 1;
            budget = budget.saturating_sub(self.subjects.change(&changed, self.round));
        }
        if budget == 0 || !self.subjects.change_sums(budget, self.round) {
            return Stage::TakeOver(left);
        }
        self.heard_by_all = u32::MAX;
        Stage::Tell(self.everybody.len())
    }
}
