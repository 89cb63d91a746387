//! When a namespace's total is pushed to its members.
//!
//! Owns the notify rule, the number that was pushed last, and the first counts of the members that joined after that push.
//! It knows neither members nor timers: the namespace reports joins and leaves, and asks when its count is due.
//!
//! Invariant: 0 is never pushed, and a count is pushed at most once per tick.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::collections::sections::{Reader, Writer};
use crate::collections::tick::Tick;

/// When a count is pushed to members that have received another.
#[derive(Clone, Copy, Debug)]
pub struct NotifyRule {
    /// The change that is worth a push, as a fraction of the number pushed last.
    pub delta_ratio: f64,
    /// The least time between two pushes.
    pub min_delay: Duration,
    /// The time after which even an unchanged count is pushed again.
    pub max_delay: Duration,
    /// How many members a process may push changed counts to in a second; `None` is any number.
    pub budget: Option<NonZeroU32>,
}

impl NotifyRule {
    /// The least difference from a received number that is worth a push, at least 1.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an audience is far below 2^53, and a ratio is never negative"
    )]
    pub fn threshold(&self, received: u64) -> u64 {
        ((received as f64 * self.delta_ratio).floor() as u64).max(1)
    }

    /// The least time between two pushes of a changed count in a process that has this many members: at that pace all of them
    /// together stay within the budget. A repetition is not put off: a page would take its stream for dead.
    fn least_delay(&self, members: u64) -> Duration {
        let pace = |budget: NonZeroU32| Duration::from_millis(members * 1_000 / u64::from(budget.get()));
        self.budget.map_or(self.min_delay, |budget| self.min_delay.max(pace(budget).min(self.max_delay)))
    }

    /// Whether the total has left a received number behind.
    fn is_left_behind(&self, received: u64, total: u64) -> bool {
        total.abs_diff(received) >= self.threshold(received)
    }
}

/// A count to push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::meter) struct CountPush {
    pub(in crate::meter) total: u64,
    /// The newest member received this number as its first count.
    pub(in crate::meter) skip_newest: bool,
}

/// The range of the first counts of several members.
#[derive(Clone, Copy, Debug, Default)]
struct FirstCounts {
    least: u64,
    largest: u64,
}

/// The pushes of one namespace.
#[derive(Debug, Default)]
pub(in crate::meter) struct Notice {
    /// The number pushed last; 0 before, and again once no member is counted.
    pushed: u64,
    /// When it was pushed; `None` before, and again once no member is present here.
    pushed_at: Option<Tick>,
    /// The first count of the newest member; 0 once it is no longer of use.
    newest_received: u64,
    /// Counts the pushes, so that members that joined after the last one differ from older ones.
    push_number: u16,
    /// The number of present members that joined after the last push.
    newcomers: u32,
    /// What those newcomers received.
    first_counts: FirstCounts,
}

impl Notice {
    pub(super) fn write(&self, out: &mut Writer) {
        let Self { pushed, pushed_at, newest_received, push_number, newcomers, first_counts } = self;
        let FirstCounts { least, largest } = first_counts;
        out.option_tick(*pushed_at);
        for number in [*pushed, *newest_received, u64::from(*push_number), u64::from(*newcomers), *least, *largest] {
            out.number(number);
        }
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        let (pushed_at, pushed, newest_received) = (from.option_tick(), from.number(), from.number());
        let (push_number, newcomers) = (from.short(), from.small());
        let first_counts = FirstCounts { least: from.number(), largest: from.number() };
        Self { pushed, pushed_at, newest_received, push_number, newcomers, first_counts }
    }

    /// A member joins; returns the number of the push before which it came.
    pub(super) fn add_newcomer(&mut self) -> u16 {
        self.newcomers += 1;
        self.push_number
    }

    /// A member leaves that came before this push.
    pub(super) fn remove_member(&mut self, push_number: u16, is_newest: bool) {
        if push_number == self.push_number {
            self.newcomers = self.newcomers.saturating_sub(1);
        }
        if is_newest {
            self.newest_received = 0;
        }
    }

    /// The newest member receives `total` as it joins. If it is the only member, that was a push to all; returns whether.
    pub(super) fn give_first_count(&mut self, total: u64, is_only_member: bool, now: Tick) -> bool {
        self.newest_received = total;
        let FirstCounts { least, largest } = self.first_counts;
        self.first_counts = if self.newcomers == 1 {
            FirstCounts { least: total, largest: total }
        } else {
            FirstCounts { least: least.min(total), largest: largest.max(total) }
        };
        let is_push = total > 0 && is_only_member;
        if is_push {
            self.mark_pushed(total, now);
        }
        is_push
    }

    /// No member is counted at any node: the next count is the first one.
    pub(super) fn forget_pushed(&mut self) {
        self.pushed = 0;
    }

    /// No member is present here: the next count need not wait.
    pub(super) fn forget_time(&mut self) {
        self.pushed_at = None;
    }

    /// When a push of the total is due in a process that has this many members; it may be in the past.
    pub(super) fn due(&self, total: u64, rule: &NotifyRule, members: u64) -> Tick {
        let Some(pushed_at) = self.pushed_at else {
            return Tick(0);
        };
        let wait = match (self.has_changed(total, rule), self.pushed) {
            (true, 0) => rule.min_delay,
            (true, _) => rule.least_delay(members),
            (false, _) => rule.max_delay.max(rule.min_delay),
        };
        // Even without a minimum, a count is pushed once a tick: a second push in the same turn would never end.
        pushed_at.after(wait).max(Tick(pushed_at.0 + 1))
    }

    /// Marks the total as pushed; returns the push.
    pub(super) fn push(&mut self, total: u64, rule: &NotifyRule, now: Tick) -> CountPush {
        // A repetition goes to all members: it is there to find dead peers.
        let skip_newest = self.newest_received == total && self.has_changed(total, rule);
        self.newest_received = 0;
        self.mark_pushed(total, now);
        CountPush { total, skip_newest }
    }

    /// Whether a member has received a number that the total has left behind: the one pushed last, or its own first count.
    /// Without the latter, a member that joins just before others leave would show a wrong number until the repetition,
    /// because the total is back at the number that was pushed.
    fn has_changed(&self, total: u64, rule: &NotifyRule) -> bool {
        let FirstCounts { least, largest } = self.first_counts;
        rule.is_left_behind(self.pushed, total)
            || (self.newcomers > 0 && (rule.is_left_behind(least, total) || rule.is_left_behind(largest, total)))
    }

    fn mark_pushed(&mut self, total: u64, now: Tick) {
        self.pushed = total;
        self.pushed_at = Some(now);
        self.push_number = self.push_number.wrapping_add(1);
        self.newcomers = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: NotifyRule = NotifyRule {
        delta_ratio: 0.1,
        min_delay: Duration::from_secs(2),
        max_delay: Duration::from_secs(25),
        budget: None,
    };

    #[track_caller]
    fn check(delta_ratio: f64, received: u64, threshold: u64) {
        let rule = NotifyRule { delta_ratio, ..RULE };
        assert_eq!(rule.threshold(received), threshold, "{received} x {delta_ratio}");
    }

    #[test]
    fn the_threshold_is_the_floor_of_the_fraction_and_at_least_one() {
        check(0.1, 0, 1);
        check(0.1, 9, 1);
        check(0.1, 19, 1);
        check(0.1, 20, 2);
        check(0.1, 1_000_000, 100_000);
        check(0.0, 1_000_000, 1);
        check(1.5, 3, 4);
    }

    /// A notice by which `total` was pushed to several members at tick 1,000.
    fn pushed(total: u64) -> Notice {
        let mut notice = Notice::default();
        notice.push(total, &RULE, Tick(1_000));
        notice
    }

    #[test]
    fn a_change_waits_for_the_minimum_and_a_repetition_for_the_maximum() {
        assert_eq!(Notice::default().due(1, &RULE, 1), Tick(0), "the first count is due at once");
        for (total, due) in [(100, 3_501), (109, 3_501), (110, 1_201), (91, 3_501), (90, 1_201)] {
            assert_eq!(pushed(100).due(total, &RULE, 1), Tick(due), "{total} after 100");
        }
        let at_once = NotifyRule { min_delay: Duration::ZERO, max_delay: Duration::ZERO, ..RULE };
        assert_eq!(pushed(100).due(100, &at_once, 1), Tick(1_001), "once a tick");
    }

    #[test]
    fn with_a_budget_changes_come_the_slower_the_larger_the_audience_is() {
        let rule = NotifyRule { budget: NonZeroU32::new(1_000), ..RULE };
        for (members, seconds) in [(0, 2), (2_000, 2), (5_000, 5), (24_999, 25), (25_000, 25), (1_000_000, 25)] {
            let due = pushed(100).due(110, &rule, members);
            assert!(due <= Tick(1_000).after(Duration::from_secs(seconds)), "{members}: {due:?}");
            assert!(due > Tick(1_000).after(Duration::from_secs(seconds - 1)), "{members}: {due:?}");
        }
        assert_eq!(pushed(100).due(100, &rule, 1_000_000), Tick(3_501), "a repetition");
        let mut vacated = pushed(1);
        vacated.forget_pushed();
        assert_eq!(vacated.due(1, &rule, 1_000_000), Tick(1_201), "it was 0");
    }

    #[test]
    fn a_first_count_is_a_push_to_the_only_member() {
        let mut notice = Notice::default();
        notice.add_newcomer();
        assert!(!notice.give_first_count(0, true, Tick(5)), "0 is never pushed");
        assert!(notice.give_first_count(1, true, Tick(5)));
        assert_eq!(notice.due(1, &RULE, 1), Tick(5).after(RULE.max_delay));
        notice.add_newcomer();
        assert!(!notice.give_first_count(2, false, Tick(6)));
        assert_eq!(notice.push(2, &RULE, Tick(500)), CountPush { total: 2, skip_newest: true });
        assert_eq!(notice.push(2, &RULE, Tick(900)), CountPush { total: 2, skip_newest: false }, "a repetition");
    }

    #[test]
    fn a_newcomer_keeps_no_first_count_that_the_total_has_left_behind() {
        let mut notice = pushed(1);
        let push_number = notice.add_newcomer();
        notice.give_first_count(2, false, Tick(1_001));
        assert_eq!(notice.due(1, &RULE, 1), Tick(1_201), "the newcomer received 2, although 1 was pushed last");
        notice.remove_member(push_number, true);
        assert_eq!(notice.due(1, &RULE, 1), Tick(3_501), "it has left, and all others know of 1");
        notice.push(1, &RULE, Tick(2_000));
        notice.add_newcomer();
        notice.remove_member(push_number, false);
        assert_eq!(notice.newcomers, 1, "an older member is no newcomer");
    }

    #[test]
    fn what_is_forgotten_makes_the_next_count_a_first_one() {
        let mut notice = pushed(100);
        notice.forget_pushed();
        assert_eq!(notice.due(1, &RULE, 1), Tick(1_201), "1 differs from 0");
        notice.forget_time();
        assert_eq!(notice.due(1, &RULE, 1), Tick(0));
    }
}
