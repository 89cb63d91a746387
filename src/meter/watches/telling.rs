//! Whose turn it is to be told something.
//!
//! Owns the order of the watchers within a round. What one of them is told, it knows itself.
//!
//! Invariant: who has something to hear, and takes it, is in a queue or comes in this round. (A queue may have somebody twice,
//! or one who is gone: each time there is nothing to do for it, or a part of what there is.)

use std::collections::VecDeque;

use super::watcher::{Piece, Place, Progress};
use super::{LAG_MAX, Stage, WatcherId, Watches};

impl Watches {
    /// Puts the next part of what somebody is to be told into `piece`; `None` when there is nothing to tell now, or has to be
    /// done first.
    pub fn tell(&mut self, piece: &mut Piece) -> Option<WatcherId> {
        piece.clear();
        let mut looks = self.budgets.looks;
        while looks > 0 && matches!(self.stage, Stage::Rest | Stage::Tell(_)) {
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
        if let Stage::Tell(left) = &mut self.stage
            && let Some(next) = left.checked_sub(1)
            && let Some(&id) = self.everybody.get(next)
        {
            *left = next;
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
        self.begin(id);
        Next::NotThisOne
    }

    /// Somebody is to be told what it has not heard: of this round, if it knows all that was before, else of all that is newer.
    pub(super) fn begin(&mut self, id: WatcherId) {
        let Some(watcher) = self.watchers.get_mut(&id) else { return };
        let at = Place::default();
        if watcher.heard > 0 && watcher.heard + 1 == self.round {
            watcher.progress = Progress::InStep { round: self.round, at };
            self.in_step.push_back(id);
        } else {
            watcher.progress = Progress::CatchingUp { since: 0, at };
            self.catching_up.push_back(id);
        }
    }

    /// Puts the next part of what this watcher is to be told into `piece`; returns how many names were looked at.
    fn tell_one(&mut self, id: WatcherId, piece: &mut Piece) -> usize {
        let Some(watcher) = self.watchers.get_mut(&id).filter(|watcher| !watcher.is_stalled) else { return 1 };
        let was_in_step = matches!(watcher.progress, Progress::InStep { .. });
        if matches!(watcher.progress, Progress::InStep { round, .. } if round != self.round) {
            self.begin(id);
            return 1;
        }
        if watcher.waits_for_sums(&self.subjects) {
            self.catching_up.push_back(id);
            return 1;
        }
        let looks = watcher.tell(&self.subjects, self.round, self.budgets, piece);
        match watcher.progress {
            Progress::InStep { .. } => self.in_step.push_back(id),
            Progress::CatchingUp { .. } => self.catching_up.push_back(id),
            Progress::Done if watcher.heard != self.round => self.begin(id),
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
