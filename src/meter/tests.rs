//! The meter against its contract, event by event, on a clock that the test moves.

mod patience;
mod walks;

use crate::collections::key::Key as _;
use std::time::Duration;

use super::timeouts::TIMEOUTS_PER_TURN;
use super::*;
use crate::collections::tick::TICK_MS;

struct Scene {
    meter: Meter,
    now: Now,
}

/// Seconds, as the options give them.
fn s(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

impl Scene {
    fn new(change: impl FnOnce(&mut Rules)) -> Self {
        let mut rules = Rules {
            notify: NotifyRule { delta_ratio: 0.1, min_delay: s(2.0), max_delay: s(25.0), budget: None },
            increment_delay: Duration::ZERO,
            leave_delay: Duration::ZERO,
            namespace_clean_delay: s(60.0),
            namespaces_max: usize::MAX,
        };
        change(&mut rules);
        Self { meter: Meter::new(rules, NodeId(1), None), now: Now { tick: Tick(1_000), unix_ms: 1_300_000_000_000 } }
    }

    fn join(&mut self, member: u32, name: &str) -> Option<u64> {
        self.meter.join(MemberId::new(member), name, None, self.now)
    }

    fn claim(&mut self, member: u32, name: &str, uuid: &str) -> Option<u64> {
        self.meter.join(MemberId::new(member), name, Some(uuid), self.now)
    }

    fn join_uncounted(&mut self, member: u32, name: &str) -> Option<u64> {
        self.meter.join_uncounted(MemberId::new(member), name, None, self.now)
    }

    fn count(&mut self, member: u32) {
        self.meter.count(MemberId::new(member), self.now);
    }

    fn leave(&mut self, member: u32) {
        self.meter.leave(MemberId::new(member), self.now);
    }

    /// The outputs of the meter now.
    fn outputs(&mut self) -> Vec<Output> {
        self.meter.handle_timeout(self.now, true);
        assert!(self.meter.poll_timeout().is_none_or(|next| next > self.now.tick), "the shell would spin");
        let outputs = std::iter::from_fn(|| self.meter.poll_output()).collect();
        self.hand_over();
        outputs
    }

    /// Another program goes on in the place of this one.
    fn hand_over(&mut self) {
        let table = |meter: &Meter| {
            let mut out = Writer::default();
            meter.hand_over(&mut out);
            out.into_bytes()
        };
        let (bytes, rules) = (table(&self.meter), self.meter.book.rules);
        let mut reader = Reader::new(&bytes, 0, "test");
        self.meter = Meter::take_over(rules, None, &mut reader).unwrap();
        assert_eq!(reader.finish(), Ok(()));
        assert!(table(&self.meter) == bytes, "the same is handed over again");
    }

    /// The totals that the meter pushes now.
    fn pushed(&mut self) -> Vec<u64> {
        self.outputs()
            .into_iter()
            .filter_map(|output| match output {
                Output::Count { total, .. } => Some(total),
                Output::Ended(_) => None,
                other => panic!("unexpected {other:?}"),
            })
            .collect()
    }

    /// Lets time pass and wakes exactly when the meter asks to. Returns the totals that were pushed, each after its ms from the
    /// start.
    fn pass(&mut self, seconds: f64) -> Vec<(u64, u64)> {
        let passed_ms = u64::try_from(s(seconds).as_millis()).unwrap();
        let start = self.now.tick.0;
        let end = start + passed_ms / TICK_MS;
        let mut pushed = Vec::new();
        loop {
            pushed.extend(self.pushed().into_iter().map(|total| ((self.now.tick.0 - start) * TICK_MS, total)));
            match self.meter.poll_timeout() {
                Some(next) if next.0 <= end => self.now.tick = next,
                _ => break,
            }
        }
        self.now.tick = Tick(end);
        self.now.unix_ms += passed_ms;
        pushed
    }

    fn members(&self, name: &str) -> Option<(u64, u64)> {
        let id = self.meter.find(name)?;
        let namespace = self.meter.book.at(id);
        Some((namespace.total(), namespace.connections()))
    }

    fn uncounted(&self, name: &str) -> u64 {
        self.meter.find(name).map_or(0, |id| self.meter.book.at(id).uncounted())
    }
}

#[test]
fn the_first_count_is_the_total_with_this_member_in_it() {
    let mut scene = Scene::new(|_| {});
    for member in 0..50 {
        assert_eq!(scene.join(member, "a"), Some(u64::from(member) + 1));
    }
    assert_eq!(scene.join(50, "b"), Some(1));
    scene.leave(3);
    assert_eq!(scene.join(3, "a"), Some(50));
    assert_eq!(scene.members("a"), Some((50, 51)));
}

#[test]
fn a_lone_member_is_not_pushed_its_first_count_again() {
    let mut scene = Scene::new(|_| {});
    scene.join(0, "a");
    assert!(scene.pass(24.9).is_empty());
    assert_eq!(scene.pass(1.0), [(110, 1)], "but an unchanged count is pushed again");
}

#[test]
fn the_first_change_after_quiet_is_pushed_at_once_and_the_next_after_the_minimum() {
    let mut scene = Scene::new(|_| {});
    scene.join(0, "a");
    scene.pass(10.0);
    scene.join(1, "a");
    assert_eq!(scene.outputs(), [Output::Count { namespace: NamespaceId::FIRST, total: 2, skip_newest: true }]);
    scene.join(2, "a");
    scene.join(3, "a");
    assert_eq!(scene.pass(2.5), [(2010, 4)], "gathered for the minimum");
    scene.leave(3);
    assert_eq!(scene.pass(2.0), [(1520, 3)]);
}

#[test]
fn a_small_change_waits_for_the_maximum_delay() {
    let mut scene = Scene::new(|_| {});
    for member in 0..100 {
        scene.join(member, "a");
    }
    assert_eq!(scene.pass(3.0), [(2010, 100)]);
    for member in 0..9 {
        scene.leave(member);
    }
    assert!(scene.pass(10.0).is_empty(), "9 of 100 is less than a tenth");
    assert_eq!(scene.pass(20.0), [(14_020, 91)]);
    for member in 9..18 {
        scene.leave(member);
    }
    assert_eq!(scene.pass(0.1), [(0, 82)], "9 of 91 is a tenth, rounded down");
}

#[test]
fn a_newcomer_is_skipped_only_while_it_is_the_newest_and_right() {
    let mut scene = Scene::new(|_| {});
    scene.join(0, "a");
    scene.pass(5.0);
    scene.join(1, "a");
    scene.join(2, "a");
    scene.leave(0);
    assert_eq!(
        scene.outputs(),
        [Output::Count { namespace: NamespaceId::FIRST, total: 2, skip_newest: false }],
        "member 2 received 3"
    );
    scene.pass(5.0);
    scene.join(3, "a");
    scene.leave(3);
    scene.join(0, "a");
    scene.leave(0);
    assert!(scene.outputs().is_empty(), "nothing has changed in the end");
    assert_eq!(scene.pass(25.0), [(20_010, 2)]);
}

#[test]
fn a_newcomer_does_not_keep_a_first_count_that_is_no_longer_true() {
    let mut scene = Scene::new(|_| {});
    scene.join(0, "a");
    assert_eq!(scene.join(1, "a"), Some(2));
    scene.leave(0);
    assert_eq!(scene.pass(3.0), [(2010, 1)], "member 1 received 2, although the last total pushed is 1");
    scene.join(2, "a");
    scene.leave(2);
    assert!(scene.pass(3.0).is_empty(), "member 2 received 2 and is gone");
}

#[test]
fn nothing_is_pushed_to_an_empty_namespace_and_it_is_forgotten_after_the_clean_delay() {
    let mut scene = Scene::new(|_| {});
    scene.join(0, "a");
    scene.leave(0);
    assert!(scene.pass(59.9).is_empty());
    assert_eq!(scene.members("a"), Some((0, 1)), "remembered for the clean delay");
    scene.join(0, "a");
    scene.leave(0);
    scene.pass(59.9);
    assert_eq!(scene.members("a"), Some((0, 2)), "which begins anew");
    scene.pass(0.2);
    assert_eq!(scene.members("a"), None);
    assert_eq!(scene.meter.poll_timeout(), None, "nothing is left to wake up for");
}

#[test]
fn a_pending_member_receives_counts_but_counts_later_and_leaves_no_trace() {
    let mut scene = Scene::new(|rules| rules.increment_delay = s(5.0));
    assert_eq!(scene.join(0, "a"), None, "0 is never pushed");
    assert!(scene.pass(4.0).is_empty());
    scene.join(1, "a");
    assert_eq!(scene.pass(2.0), [(1010, 1)], "the first is counted");
    scene.leave(1);
    assert_eq!(scene.members("a"), Some((1, 1)), "the second never was");
    scene.join(2, "b");
    scene.leave(2);
    assert_eq!(scene.members("b"), None);
    assert!(scene.pass(20.0).is_empty());
    assert_eq!(scene.join(3, "a"), Some(1), "the truth, without the one that is not counted yet");
}

#[test]
fn an_uncounted_member_receives_the_count_and_is_reported_apart() {
    let mut scene = Scene::new(|_| {});
    assert_eq!(scene.join_uncounted(0, "a"), None, "0 is never pushed");
    assert_eq!((scene.members("a"), scene.uncounted("a")), (Some((0, 0)), 1));
    scene.join(1, "a");
    assert_eq!(scene.join_uncounted(2, "a"), Some(1));
    assert_eq!(scene.pushed(), [1], "the member that was alone receives it too");
    scene.count(2);
    scene.count(2);
    assert_eq!((scene.members("a"), scene.uncounted("a")), (Some((2, 2)), 1));
    scene.leave(0);
    scene.leave(1);
    scene.leave(2);
    assert_eq!((scene.members("a"), scene.uncounted("a")), (Some((0, 2)), 0));
    scene.count(2);
    assert_eq!(scene.members("a"), Some((0, 2)), "it is gone");
    scene.join_uncounted(3, "b");
    scene.leave(3);
    assert_eq!(scene.members("b"), None, "it left no trace");
}

#[test]
fn an_uncounted_member_that_is_counted_after_all_waits_for_the_increment_delay() {
    let mut scene = Scene::new(|rules| rules.increment_delay = s(5.0));
    scene.join_uncounted(0, "a");
    assert!(scene.pass(20.0).is_empty());
    scene.count(0);
    assert_eq!((scene.members("a"), scene.uncounted("a")), (Some((0, 0)), 0));
    assert_eq!(scene.pass(20.0), [(5010, 1)], "deadlines round up");
}

#[test]
fn a_second_claim_ends_the_first_and_counts_once() {
    let mut scene = Scene::new(|_| {});
    assert_eq!(scene.claim(0, "a", "u"), Some(1));
    assert_eq!(scene.claim(1, "a", "u"), Some(1));
    assert_eq!(scene.meter.poll_output(), Some(Output::Farewell(MemberId::new(0))));
    assert_eq!(scene.claim(2, "b", "u"), Some(1), "uuids are per namespace");
    assert_eq!(scene.meter.poll_output(), None);
    scene.leave(0);
    assert_eq!(scene.members("a"), Some((1, 2)), "a stream that was ended leaves once");
    scene.meter.uuids(scene.now).leave("a", "u", Leaving::default());
    assert_eq!(scene.meter.poll_output(), Some(Output::Left(MemberId::new(1))));
    assert_eq!(scene.members("a"), Some((0, 2)));
    scene.meter.uuids(scene.now).leave("a", "u", Leaving::default());
    scene.meter.uuids(scene.now).leave("nowhere", "u", Leaving::default());
    assert_eq!(scene.meter.poll_output(), None);
    assert_eq!(scene.claim(1, "a", "u"), Some(1), "the uuid is free again");
}

#[test]
fn a_second_claim_of_a_pending_member_keeps_the_namespace() {
    let mut scene = Scene::new(|rules| rules.increment_delay = s(1.0));
    scene.claim(0, "a", "u");
    scene.claim(1, "a", "u");
    assert_eq!(scene.outputs(), [Output::Farewell(MemberId::new(0))]);
    assert_eq!(scene.pass(1.5), [(1010, 1)]);
    assert_eq!(scene.members("a"), Some((1, 1)));
}

#[test]
fn names_that_killed_the_2011_daemon_are_names() {
    let mut scene = Scene::new(|_| {});
    for (member, name) in (0..).zip(["constructor", "__proto__", "@foo", "foo", "toString"]) {
        assert_eq!(scene.join(member, name), Some(1), "{name}");
    }
    scene.leave(2);
    scene.pass(61.0);
    assert_eq!(scene.members("@foo"), None);
    assert_eq!(scene.members("foo"), Some((1, 1)));
}

#[test]
fn modified_is_when_a_count_was_last_pushed() {
    let mut scene = Scene::new(|rules| rules.increment_delay = s(5.0));
    scene.join(0, "a");
    let modified = |scene: &Scene| scene.meter.book.at(NamespaceId::FIRST).modified_unix_s(scene.now);
    assert_eq!(modified(&scene), 0);
    scene.now.unix_ms += 7000;
    scene.now.tick = Tick(scene.now.tick.0 + 700);
    assert_eq!(scene.pushed(), [1]);
    assert_eq!(modified(&scene), scene.now.unix_s());
}

#[test]
fn delays_of_zero_do_not_spin() {
    let mut scene = Scene::new(|rules| {
        rules.notify.min_delay = Duration::ZERO;
        rules.notify.max_delay = Duration::ZERO;
        rules.namespace_clean_delay = Duration::ZERO;
    });
    scene.join(0, "a");
    assert_eq!(scene.pass(0.03), [(10, 1), (20, 1), (30, 1)]);
    scene.leave(0);
    assert!(scene.pushed().is_empty());
    assert_eq!(scene.members("a"), None);
}

#[test]
fn a_turn_does_a_bounded_number_of_things_that_are_due_at_once() {
    let mut scene = Scene::new(|rules| rules.increment_delay = s(1.0));
    let all = u32::try_from(3 * TIMEOUTS_PER_TURN).unwrap();
    for member in 0..all {
        scene.join(member, &format!("name {member}"));
    }
    let mut turns = Vec::new();
    let mut pushed = 0;
    scene.now.tick = scene.now.tick.after(s(1.0));
    while scene.meter.poll_timeout().is_some_and(|due| due <= scene.now.tick) {
        scene.meter.handle_timeout(scene.now, true);
        let outputs = std::iter::from_fn(|| scene.meter.poll_output()).count();
        assert!(outputs <= TIMEOUTS_PER_TURN);
        pushed += outputs;
        turns.push(scene.meter.namespaces().iter().map(|(_, namespace)| namespace.total()).sum::<u64>());
    }
    let each = TIMEOUTS_PER_TURN as u64;
    assert_eq!(turns, [each, 2 * each, 3 * each]);
    assert_eq!(pushed, 3 * TIMEOUTS_PER_TURN, "each has its count");

    for member in 0..all {
        scene.leave(member);
    }
    scene.now.tick = scene.now.tick.after(s(60.0));
    let mut left = Vec::new();
    while scene.meter.poll_timeout().is_some_and(|due| due <= scene.now.tick) {
        scene.meter.handle_timeout(scene.now, true);
        left.push(scene.meter.namespaces().len());
    }
    assert_eq!(left, [2 * TIMEOUTS_PER_TURN, TIMEOUTS_PER_TURN, 0], "forgotten");
}

#[test]
fn an_event_is_not_forgotten_before_there_is_room_for_its_report() {
    let mut scene = Scene::new(|_| {});
    for (member, name) in (0..).zip(["a", "b", "c", "d"]) {
        scene.join(member, name);
        scene.leave(member);
    }
    scene.meter.set_ending_room(1, Tick(0));
    scene.pass(61.0);
    assert_eq!(scene.meter.namespaces().len(), 3);
    scene.meter.set_ending_room(0, scene.now.tick.after(s(1.0)));
    scene.pass(10.0);
    assert_eq!(scene.meter.namespaces().len(), 3, "nothing of it is lost");
    scene.join(0, "d");
    scene.meter.set_ending_room(usize::MAX, Tick(0));
    scene.pass(1.0);
    assert_eq!((scene.meter.namespaces().len(), scene.members("d")), (1, Some((1, 2))), "one goes on");
}
