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
use crate::collections::sections::{Reader, Writer};
use crate::collections::tick::Tick;
use crate::collections::wheel::TimerWheel;

/// How many namespaces are looked at again in one tick that wait for room for their reports: 128 of them every 10 ms take
/// 0.5 % of a processor, and 12,800 reports find room in a second.
const HELD_PER_TICK: usize = 128;

/// What the operator decided about counting.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// When a count is pushed.
    pub notify: NotifyRule,
    /// How long a member must stay before it is counted.
    pub increment_delay: Duration,
    /// How long a member with a uuid is counted whose stream was lost; with zero, not at all.
    pub leave_delay: Duration,
    /// How long an empty namespace is remembered.
    pub namespace_clean_delay: Duration,
    /// Most namespaces. One more takes the place of a vacant one.
    pub namespaces_max: usize,
}

/// What a namespace that is due wants.
pub(in crate::meter) enum Due {
    /// A push of this count is due.
    Push(CountPush),
    /// It has been vacant for long enough.
    Forget,
}

/// How many reports of events that are over the caller takes, and when it may take more.
#[derive(Clone, Copy, Debug)]
struct ReportCapacity {
    left: usize,
    more_at: Tick,
}

impl Default for ReportCapacity {
    fn default() -> Self {
        Self { left: usize::MAX, more_at: Tick(0) }
    }
}

/// When each namespace is looked at.
#[derive(Default)]
pub(in crate::meter) struct Schedule {
    /// Per namespace: when to repeat or push its count, or, when it is vacant, when to forget it.
    timers: TimerWheel<NamespaceId>,
    /// Namespaces that are due in this turn.
    ready: VecDeque<NamespaceId>,
    capacity: ReportCapacity,
    /// Whether something waits that may change what is reported.
    is_late: bool,
    /// The tick in which the last namespace that waits for room is looked at again, and how many are looked at in it.
    held: (Tick, usize),
}

impl Schedule {
    /// Sets the namespace's one timer from its state. There are `members` here, in all namespaces.
    pub(super) fn update(
        &mut self,
        id: NamespaceId,
        namespace: &mut Namespace,
        rules: &Rules,
        members: u64,
        now: Tick,
    ) {
        if namespace.is_ready {
            return;
        }
        let due = if namespace.is_vacant() {
            Some(namespace.empty_since.after(rules.namespace_clean_delay))
        } else {
            namespace.due(&rules.notify, members)
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

    pub(super) fn write(&self, out: &mut Writer) {
        let Self { timers, ready, capacity: ReportCapacity { left, more_at }, is_late, held: (last, count) } = self;
        timers.write(out);
        out.count(ready.len());
        for &id in ready {
            out.key(id);
        }
        out.count(*left);
        out.tick(*more_at);
        out.flag(*is_late);
        out.tick(*last);
        out.count(*count);
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        let (timers, mut ready, mut list) = (TimerWheel::read(from), VecDeque::new(), from.list());
        while from.has_next(&mut list) {
            ready.push_back(from.key());
        }
        let capacity = ReportCapacity { left: from.size(), more_at: from.tick() };
        Self { timers, ready, capacity, is_late: from.flag(), held: (from.tick(), from.size()) }
    }

    /// The namespaces that have a timer.
    pub(super) fn timed(&self) -> impl Iterator<Item = NamespaceId> {
        self.timers.keys()
    }

    /// Looks at the namespace at this time.
    pub(in crate::meter) fn set(&mut self, id: NamespaceId, at: Tick) {
        self.timers.set(id, at);
    }

    /// The caller takes this many reports, and may take more from that time on.
    pub(in crate::meter) fn set_room(&mut self, left: usize, more_at: Tick) {
        self.capacity = ReportCapacity { left, more_at };
    }

    /// Says whether something waits that may change what is reported. Then there is no room.
    pub(in crate::meter) fn set_late(&mut self, is_late: bool) {
        self.is_late = is_late;
    }

    /// Takes room for one report, if there is some.
    pub(in crate::meter) fn take_room(&mut self) -> bool {
        if self.is_late {
            return false;
        }
        let left = self.capacity.left.checked_sub(1);
        self.capacity.left = left.unwrap_or(0);
        left.is_some()
    }

    /// Looks at the namespace again once there may be room for its report.
    pub(in crate::meter) fn hold(&mut self, id: NamespaceId, now: Tick) {
        let (last, count) = self.held;
        let earliest = self.capacity.more_at.max(Tick(now.0 + 1));
        self.held = match count < HELD_PER_TICK {
            _ if last < earliest => (earliest, 1),
            true => (last, count + 1),
            false => (Tick(last.0 + 1), 1),
        };
        self.timers.set(id, self.held.0);
    }

    /// The namespace is forgotten.
    pub(super) fn cancel(&mut self, id: NamespaceId) {
        self.timers.cancel(id);
    }

    /// Frees the memory of the timers around the key of a namespace: no namespace is there any more.
    pub(super) fn free_around(&mut self, id: NamespaceId) {
        self.timers.free_around(id);
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
