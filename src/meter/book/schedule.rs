//! When each namespace is looked at: to push its count, or to forget it.
//!
//! Owns one timer per namespace, and the line of the namespaces that are due in this turn. What is done with one that is
//! due, the book decides: its state may have changed since.
//!
//! Invariant: a namespace is in the line exactly while it is marked `is_ready`, or it is forgotten and its key is skipped.

use std::collections::VecDeque;
use std::time::Duration;

use super::keys::NamespaceId;
use super::namespace::Namespace;
use super::notice::{CountPush, NotifyRule};
use crate::collections::tick::Tick;
use crate::collections::wheel::TimerWheel;

/// What the operator decided about counting.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// When a count is pushed.
    pub notify: NotifyRule,
    /// How long a member must stay before it is counted.
    pub increment_delay: Duration,
    /// How long an empty namespace is remembered.
    pub namespace_clean_delay: Duration,
}

/// What a namespace that is due wants.
pub(in crate::meter) enum Due {
    /// A push of this count is due.
    Push(CountPush),
    /// It has been vacant for long enough.
    Forget,
}

/// When each namespace is looked at.
#[derive(Default)]
pub(in crate::meter) struct Schedule {
    /// Per namespace: when to repeat or push its count, or, when it is vacant, when to forget it.
    timers: TimerWheel<NamespaceId>,
    /// Namespaces that are due in this turn.
    ready: VecDeque<NamespaceId>,
}

impl Schedule {
    /// Sets the namespace's one timer from its state.
    pub(super) fn update(&mut self, id: NamespaceId, namespace: &mut Namespace, rules: &Rules, now: Tick) {
        if namespace.is_ready {
            return;
        }
        let due = if namespace.is_vacant() {
            Some(namespace.empty_since.after(rules.namespace_clean_delay))
        } else {
            namespace.due(&rules.notify)
        };
        match due {
            Some(due) if due > now => self.timers.set(id, due),
            Some(_) => {
                self.timers.cancel(id);
                self.mark_ready(id, namespace);
            }
            None => self.timers.cancel(id),
        }
    }

    /// Looks at the namespace at this time.
    pub(in crate::meter) fn set(&mut self, id: NamespaceId, at: Tick) {
        self.timers.set(id, at);
    }

    /// The namespace is forgotten.
    pub(super) fn cancel(&mut self, id: NamespaceId) {
        self.timers.cancel(id);
    }

    /// Puts the namespace in the line of this turn.
    pub(super) fn mark_ready(&mut self, id: NamespaceId, namespace: &mut Namespace) {
        namespace.is_ready = true;
        self.ready.push_back(id);
    }

    /// Moves time on; what is due by then can be popped.
    pub(in crate::meter) fn expire(&mut self, now: Tick) {
        self.timers.expire(now);
    }

    /// The next namespace whose timer has expired.
    pub(in crate::meter) fn pop_due(&mut self) -> Option<NamespaceId> {
        self.timers.pop_due()
    }

    /// The next namespace in the line.
    pub(in crate::meter) fn pop_ready(&mut self) -> Option<NamespaceId> {
        self.ready.pop_front()
    }

    /// When the next namespace is due; the first tick of all if some are due already.
    pub(super) fn next_deadline(&self) -> Option<Tick> {
        if self.ready.is_empty() { self.timers.next_deadline() } else { Some(Tick(0)) }
    }

    /// The number of timers that are set.
    pub(super) fn timer_count(&self) -> usize {
        self.timers.len()
    }

    /// Whether the namespace has a timer.
    #[cfg(any(test, debug_assertions))]
    pub(super) fn has_timer(&self, id: NamespaceId) -> bool {
        self.timers.deadline(id).is_some()
    }
}
