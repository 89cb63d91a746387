//! The order in which watchers are updated within a round.
//!
//! Owns two queues: watchers that are in step with the round and have received a part of it, and watchers that catch up. A
//! queue may hold a watcher twice, or one that has left: each time there is nothing to do for it, or a part of what there is.
//!
//! Invariant: watchers that catch up come every other time, so that none of the two queues starves the other.

use std::collections::VecDeque;

use super::watcher::WatcherId;
use crate::collections::sections::{Reader, Writer};

/// Watchers that wait for their next piece.
#[derive(Debug, Default)]
pub(super) struct Queues {
    in_step: VecDeque<WatcherId>,
    catching_up: VecDeque<WatcherId>,
    /// Whether a watcher that catches up comes next, before others.
    is_catch_up_turn: bool,
}

impl Queues {
    pub(super) fn push_in_step(&mut self, id: WatcherId) {
        self.in_step.push_back(id);
    }

    pub(super) fn push_catching_up(&mut self, id: WatcherId) {
        self.catching_up.push_back(id);
    }

    /// The next watcher of both queues. Every other time one that catches up comes first.
    pub(super) fn pop(&mut self) -> Option<WatcherId> {
        self.is_catch_up_turn = !self.is_catch_up_turn;
        let first = if self.is_catch_up_turn { self.catching_up.pop_front() } else { None };
        first.or_else(|| self.in_step.pop_front())
    }

    /// The next watcher that catches up.
    pub(super) fn pop_catching_up(&mut self) -> Option<WatcherId> {
        self.catching_up.pop_front()
    }

    /// Whether no watcher has received only a part of this round.
    pub(super) fn is_round_over(&self) -> bool {
        self.in_step.is_empty()
    }

    /// Whether no watcher waits.
    pub(super) fn is_empty(&self) -> bool {
        self.in_step.is_empty() && self.catching_up.is_empty()
    }

    pub(super) fn write(&self, out: &mut Writer) {
        let Self { in_step, catching_up, is_catch_up_turn } = self;
        for queue in [in_step, catching_up] {
            out.count(queue.len());
            for &id in queue {
                out.key(id);
            }
        }
        out.flag(*is_catch_up_turn);
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        let mut queues = Self::default();
        for queue in [&mut queues.in_step, &mut queues.catching_up] {
            let mut list = from.list();
            while from.has_next(&mut list) {
                queue.push_back(from.key());
            }
        }
        queues.is_catch_up_turn = from.flag();
        queues
    }

    pub(super) fn clear(&mut self) {
        self.in_step.clear();
        self.catching_up.clear();
    }
}
