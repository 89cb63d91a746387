//! Watchers of small audiences, with everything that can happen to both.

mod chance;
mod in_step;
mod limits;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::*;
use crate::collections::key::Key as _;
use crate::meter::news::NodeId;
use crate::meter::{MemberId, Membership, NotifyRule, Rules};

const CLEAN_DELAY: Duration = Duration::from_secs(3);
const BEAT_AFTER: Duration = Duration::from_secs(25);

/// After how many turns another program goes on.
const HANDED_OVER_TURNS: usize = 7;

/// An audience, its watchers, and what they have received.
struct World {
    meter: Meter,
    watches: Watches,
    membership: Option<Membership>,
    now: Now,
    there: BTreeSet<u32>,
    clients: BTreeMap<u32, Client>,
    beats: usize,
    turn_count: usize,
    /// Whether an update may be cut into pieces between which rounds pass.
    is_cut: bool,
}

#[derive(Default)]
struct Client {
    patterns: Vec<String>,
    known: BTreeMap<String, u64>,
    milestones: Vec<String>,
    lines: usize,
    /// How many pieces it takes until it stalls; for ever if `None`.
    takes: Option<usize>,
    has_stalled: bool,
}

fn pattern(text: &str) -> Pattern<'_> {
    text.strip_suffix('*').map_or(Pattern::Name(text), Pattern::Prefix)
}

impl World {
    fn new() -> Self {
        let delays = Duration::ZERO;
        let notify = NotifyRule { delta_ratio: 0.1, min_delay: delays, max_delay: Duration::MAX, budget: None };
        let rules = Rules {
            notify,
            increment_delay: delays,
            leave_delay: Duration::ZERO,
            namespace_clean_delay: CLEAN_DELAY,
            namespaces_max: usize::MAX,
        };
        let thresholds = Thresholds::new([10, 100]).unwrap();
        Self {
            meter: Meter::new(rules, NodeId(1), None),
            watches: Watches::new(thresholds, BEAT_AFTER),
            membership: None,
            now: Now::default(),
            there: BTreeSet::new(),
            clients: BTreeMap::new(),
            beats: 0,
            turn_count: 0,
            is_cut: false,
        }
    }

    fn join(&mut self, member: u32, name: &str) {
        self.meter.join(MemberId::new(member), name, None, self.now);
    }

    fn leave(&mut self, member: u32) {
        self.meter.leave(MemberId::new(member), self.now);
    }

    fn enter(&mut self, id: u32, patterns: &[&str]) {
        let all: Vec<Pattern> = patterns.iter().map(|text| pattern(text)).collect();
        self.watches.enter(WatcherId::new(id), &all, 0, &mut self.meter, self.now).unwrap();
        let patterns = patterns.iter().map(|&text| text.to_owned()).collect();
        self.clients.insert(id, Client { patterns, ..Client::default() });
    }

    fn go(&mut self, id: u32) {
        self.watches.leave(WatcherId::new(id), &mut self.meter);
        self.clients.remove(&id);
    }

    /// Lets a client take `takes` pieces, or all of them if `None`.
    fn let_take(&mut self, id: u32, takes: Option<usize>) {
        let client = self.clients.get_mut(&id).unwrap();
        client.takes = takes;
        client.has_stalled |= takes.is_some();
        if takes != Some(0) {
            self.watches.resume(WatcherId::new(id));
        }
    }

    /// A turn in which at most `pieces` pieces are sent.
    fn turn(&mut self, pieces: usize) {
        self.meter.handle_timeout(self.now, true);
        while self.meter.poll_output().is_some() {}
        self.watches.advance(&mut self.meter, self.now);
        let mut piece = Piece::default();
        for _ in 0..pieces {
            let Some(id) = self.watches.next_piece(&mut piece) else { break };
            self.take_piece(id.place().get(), &piece);
        }
        self.watches.subjects.check_invariants();
        self.turn_count += 1;
        if self.turn_count.is_multiple_of(HANDED_OVER_TURNS) {
            self.hand_over();
        }
    }

    /// Another program goes on in the place of this one.
    fn hand_over(&mut self) {
        let mut out = Writer::default();
        self.meter.hand_over(&mut out);
        self.watches.hand_over(&mut out);
        let (bytes, rules) = (out.into_bytes(), self.meter.book.rules);
        let (budgets, thresholds) = (self.watches.budgets, self.watches.subjects.thresholds.clone());
        let mut reader = Reader::new(&bytes, 0, "test");
        self.meter = Meter::take_over(rules, self.membership, &mut reader).unwrap();
        self.watches = Watches { budgets, ..Watches::take_over(thresholds, BEAT_AFTER, &mut reader).unwrap() };
        assert_eq!(reader.finish(), Ok(()));
        let mut again = Writer::default();
        self.meter.hand_over(&mut again);
        self.watches.hand_over(&mut again);
        assert!(again.into_bytes() == bytes, "the same is handed over again");
    }

    /// Whether there is nothing to do at this time.
    fn is_settled(&self) -> bool {
        self.watches.poll_timeout(&self.meter).is_none_or(|due| due > self.now.tick)
    }

    /// Turns, until there is nothing to do at this time.
    fn settle(&mut self) {
        for _ in 0..100_000 {
            self.turn(usize::MAX);
            if self.is_settled() {
                assert_eq!(self.watches.next_piece(&mut Piece::default()), None, "it waits with a piece to send");
                return;
            }
        }
        panic!("there is always something to do");
    }

    fn take_piece(&mut self, id: u32, piece: &Piece) {
        self.beats += usize::from(piece.is_beat);
        let client = self.clients.get_mut(&id).expect("a watcher that left is sent nothing");
        for (name, total) in &piece.counts {
            let before = client.known.insert(name.to_string(), *total);
            let may_repeat = self.is_cut || client.has_stalled;
            assert!(may_repeat || before != Some(*total), "{id}: {name} is {total} still");
            client.lines += 1;
        }
        let milestones =
            piece.milestones.iter().map(|(milestone, name, number)| format!("{name} {milestone} {number}"));
        client.milestones.extend(milestones);
        if let Some(takes) = &mut client.takes {
            *takes = takes.saturating_sub(1);
            if *takes == 0 {
                self.watches.stall(WatcherId::new(id));
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now.tick.after(time);
        while self.now.tick < end {
            self.now.tick = Tick(self.now.tick.0 + 10).min(end);
            self.settle();
        }
    }

    /// Checks that every client knows the totals of all that it watches.
    fn check(&self) {
        let totals: BTreeMap<&str, u64> =
            self.meter.namespaces().iter().map(|(_, namespace)| (namespace.name(), namespace.total())).collect();
        for (id, client) in &self.clients {
            let mut expected: BTreeMap<String, u64> = BTreeMap::new();
            for text in &client.patterns {
                let of = |name: &str| totals.get(name).copied().unwrap_or(0);
                let sum = match pattern(text) {
                    Pattern::Name(name) => of(name),
                    Pattern::Prefix(prefix) => {
                        let all = totals.iter().filter(|(name, _)| name.starts_with(prefix));
                        expected.extend(all.clone().map(|(name, &total)| ((*name).to_owned(), total)));
                        all.map(|(_, total)| total).sum()
                    }
                };
                expected.insert(text.clone(), sum);
            }
            let is_there = |(name, total): &(&String, &u64)| **total > 0 || client.patterns.contains(name);
            let known: Vec<_> = client.known.iter().filter(is_there).collect();
            let expected: Vec<_> = expected.iter().filter(is_there).collect();
            assert_eq!(known, expected, "{id} watches {:?}", client.patterns);
        }
    }
}

#[test]
fn a_new_watcher_receives_all_that_it_asks_for_and_then_the_changes() {
    let mut world = World::new();
    world.join(0, "a-1");
    world.join(1, "b");
    world.join(2, "a-left");
    world.leave(2);
    world.enter(7, &["b", "a-*", "empty"]);
    world.settle();
    world.check();
    let known = |world: &World| world.clients[&7].known.clone().into_iter().collect::<Vec<_>>();
    let pairs = |pairs: &[(&str, u64)]| pairs.iter().map(|&(name, total)| (name.to_owned(), total)).collect::<Vec<_>>();
    assert_eq!(known(&world), pairs(&[("a-*", 1), ("a-1", 1), ("b", 1), ("empty", 0)]));
    world.join(2, "a-2");
    world.leave(1);
    world.settle();
    world.pass(Duration::from_secs(1));
    world.check();
    assert_eq!(known(&world), pairs(&[("a-*", 2), ("a-1", 1), ("a-2", 1), ("b", 0), ("empty", 0)]));
    assert_eq!(world.clients[&7].lines, 4 + 3);
}

#[test]
fn a_name_that_ends_in_a_star_is_not_taken_for_a_sum() {
    let mut world = World::new();
    for (member, name) in (0..).zip(["*", "a*", "a**", "b"]) {
        world.join(member, name);
    }
    world.enter(0, &["*", "a*"]);
    world.settle();
    let known: Vec<(&str, u64)> = world.clients[&0].known.iter().map(|(name, &total)| (name.as_str(), total)).collect();
    assert_eq!(known, [("%2A", 1), ("*", 4), ("a%2A", 1), ("a*", 2), ("a*%2A", 1), ("b", 1)]);
}

#[test]
fn a_total_that_changes_often_is_sent_once_a_second_and_after_quiet_at_once() {
    let mut world = World::new();
    world.enter(0, &["a"]);
    world.pass(Duration::from_secs(5));
    world.join(0, "a");
    world.settle();
    assert_eq!(world.clients[&0].known["a"], 1, "at once");
    for member in 1..50 {
        world.join(member, "a");
        world.pass(Duration::from_millis(10));
    }
    assert_eq!(world.clients[&0].known["a"], 1);
    world.pass(Duration::from_secs(1));
    assert_eq!((world.clients[&0].known["a"], world.clients[&0].lines), (50, 3));
}

#[test]
fn nothing_wakes_without_watchers_and_a_beat_comes_when_nothing_changes() {
    let mut world = World::new();
    world.join(0, "a");
    assert_eq!(world.watches.poll_timeout(&world.meter), None);
    world.enter(0, &["*"]);
    world.settle();
    let due = world.watches.poll_timeout(&world.meter).unwrap();
    assert_eq!(due, world.now.tick.after(BEAT_AFTER));
    world.pass(BEAT_AFTER * 3 + ROUND);
    assert_eq!(world.beats, 3);
    world.go(0);
    world.settle();
    world.join(1, "a");
    assert_eq!(world.watches.poll_timeout(&world.meter), None);
}

#[test]
fn a_watcher_is_not_left_in_doubt_for_longer_than_a_dashboard_waits() {
    let mut world = World::new();
    world.watches = Watches::new(Thresholds::new([]).unwrap(), Duration::from_hours(1));
    world.enter(0, &["a"]);
    world.pass(BEAT_MAX * 3 + ROUND);
    assert_eq!(world.beats, 3);
}

#[test]
fn a_change_is_queued_once_while_watchers_come_and_go() {
    let mut world = World::new();
    for _ in 0..5 {
        world.enter(0, &["a"]);
        for name in 0..300 {
            world.join(name, &name.to_string());
        }
        world.go(0);
        (0..300).for_each(|member| world.leave(member));
        assert_eq!(world.meter.change_count(), 300);
    }
    world.enter(0, &["*"]);
    world.settle();
    world.pass(ROUND);
    assert_eq!(world.meter.change_count(), 0);
    world.check();
}

#[test]
fn a_forgotten_namespace_leaves_nothing_behind() {
    let mut world = World::new();
    world.enter(0, &["*"]);
    for member in 0..600 {
        world.join(member, &format!("n-{member}"));
    }
    world.pass(Duration::from_secs(2));
    world.check();
    (0..600).for_each(|member| world.leave(member));
    world.pass(CLEAN_DELAY + Duration::from_secs(2));
    world.check();
    assert_eq!(world.meter.namespaces().len(), 0);
    // The rounds go on, and drop the names that all watchers know to be empty.
    world.join(1, "last");
    world.pass(Duration::from_secs(2));
    world.join(2, "last");
    world.pass(Duration::from_secs(2));
    assert_eq!(world.watches.subjects.name_count(), 1);
}

#[test]
fn a_stalled_watcher_receives_the_newest_when_it_resumes_and_is_sent_away_if_it_never_does() {
    let mut world = World::new();
    world.enter(0, &["*"]);
    world.enter(1, &["*"]);
    world.settle();
    world.let_take(0, Some(0));
    world.watches.stall(WatcherId::new(0));
    for member in 0..900 {
        world.join(member, &format!("n-{member}"));
    }
    world.pass(Duration::from_secs(3));
    (0..450).for_each(|member| world.leave(member));
    world.pass(CLEAN_DELAY * 2);
    assert_eq!(world.clients[&0].lines, 1);
    // The watcher takes two pieces, while all totals change again.
    world.let_take(0, Some(2));
    world.pass(Duration::from_millis(500));
    (450..500).for_each(|member| world.leave(member));
    world.pass(CLEAN_DELAY * 2);
    world.let_take(0, None);
    world.pass(Duration::from_secs(3));
    world.check();
    world.let_take(0, Some(0));
    world.watches.stall(WatcherId::new(0));
    for member in 1000..1100 {
        world.join(member, "busy");
        world.pass(Duration::from_secs(1));
        if let Some(late) = world.watches.pop_late() {
            assert_eq!(late, WatcherId::new(0));
            assert!((member - 1000).abs_diff(LAG_MAX) <= 2, "after {} rounds", member - 1000);
            return;
        }
    }
    panic!("it was never sent away");
}

#[test]
fn made_up_prefixes_delay_no_other_watcher() {
    let mut world = World::new();
    let long = "x".repeat(40);
    for member in 0..20 {
        world.join(member, &format!("{long}{member}"));
    }
    world.enter(0, &["a"]);
    world.settle();
    world.watches.budgets.names = 1;
    let prefixes: Vec<String> = (1..=40).map(|length| format!("{}*", &long[..length])).collect();
    world.enter(1, &prefixes.iter().map(|prefix| &**prefix).collect::<Vec<_>>());
    for total in 1..=5 {
        world.join(100 + u32::try_from(total).unwrap(), "a");
        world.leave(u32::try_from(total).unwrap());
        world.now.tick = world.now.tick.after(ROUND);
        (0..100).for_each(|_| world.turn(1));
        assert_eq!(world.clients[&0].known["a"], total);
    }
    assert!(!world.watches.subjects.sums.are_complete(), "they should take longer");
    world.settle();
    world.pass(ROUND);
    world.check();
}
