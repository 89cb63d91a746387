//! Which watchers receive each round with its milestones, while watchers come, go and pause.

use super::*;
use crate::meter::news::{Age, Alive, Count, Datagram, Echo, Format, Formats, Item, News, Origin, Peak, Secret, Sums};
use crate::meter::{ClusterRules, Output};

#[test]
fn watchers_that_are_in_step_receive_milestones() {
    let mut world = World::new();
    world.enter(0, &["a*", "ab"]);
    world.settle();
    for member in 0..12 {
        world.join(member, if member % 2 == 0 { "ab" } else { "ac" });
    }
    world.pass(Duration::from_secs(1));
    let take = |world: &mut World| std::mem::take(&mut world.clients.get_mut(&0).unwrap().milestones);
    assert_eq!(take(&mut world), ["a* occupied 12", "a* crossed 10 12", "ab occupied 6", "ac occupied 6"]);
    (0..5).for_each(|member| world.leave(member));
    world.pass(Duration::from_secs(2));
    assert_eq!(take(&mut world), ["a* crossed 10 7"]);
    (20..30).for_each(|member| world.join(member, "ab"));
    (5..12).for_each(|member| world.leave(member));
    world.pass(Duration::from_secs(2));
    assert_eq!(take(&mut world), ["a* crossed 10 10", "ab peak 13", "ab crossed 10 10", "ac vacated 0"]);
}

#[test]
fn a_watcher_that_resumes_before_its_turn_is_in_step() {
    let mut world = World::new();
    (0..3).for_each(|id| world.enter(id, &["a"]));
    world.join(0, "a");
    world.settle();
    world.watches.stall(WatcherId::new(0));
    world.join(1, "a");
    world.now.tick = world.now.tick.after(ROUND);
    while world.clients[&2].milestones.is_empty() {
        world.turn(1);
    }
    world.watches.resume(WatcherId::new(0));
    world.settle();
    assert_eq!(world.clients[&0].milestones, ["a peak 2"]);
}

#[test]
fn a_watcher_that_missed_its_turn_is_in_step_until_the_next_round() {
    let mut world = World::new();
    (0..2).for_each(|id| world.enter(id, &["a", "*"]));
    world.join(0, "b");
    world.settle();
    world.watches.stall(WatcherId::new(0));
    world.join(1, "a");
    world.pass(ROUND);
    world.watches.resume(WatcherId::new(0));
    world.settle();
    assert_eq!(world.clients[&0].milestones, ["a occupied 1", "* peak 2"]);
    world.watches.stall(WatcherId::new(0));
    for member in 2..4 {
        world.join(member, "a");
        world.pass(ROUND);
    }
    world.watches.resume(WatcherId::new(0));
    world.settle();
    assert_eq!(world.clients[&0].milestones.len(), 2, "a round was missed");
    world.check();
}

#[test]
fn a_watcher_that_comes_in_the_middle_of_a_round_does_not_wait_for_its_end() {
    let mut world = World::new();
    (0..20).for_each(|id| world.enter(id, &["a"]));
    world.settle();
    world.pass(ROUND);
    world.join(0, "a");
    while world.clients.values().all(|client| client.lines == 1) {
        world.turn(1);
    }
    world.enter(20, &["a"]);
    (0..2).for_each(|_| world.turn(1));
    assert_eq!(world.clients[&20].known.get("a"), Some(&1));
    assert!(world.clients.values().filter(|client| client.lines == 1).count() > 10, "others wait for their turn");
}

#[test]
fn a_record_is_one_although_all_members_had_left_in_between() {
    let mut world = World::new();
    world.enter(0, &["*"]);
    world.settle();
    (0..2).for_each(|member| world.join(member, "a"));
    world.pass(ROUND);
    (0..2).for_each(|member| world.leave(member));
    for member in 10..12 {
        world.join(member, "b");
        world.pass(ROUND);
    }
    world.clients.get_mut(&0).unwrap().milestones.clear();
    (0..3).for_each(|member| world.join(member, "a"));
    world.pass(ROUND);
    assert_eq!(world.clients[&0].milestones, ["* peak 5", "a occupied 3", "a peak 3"]);
}

#[test]
fn what_has_changed_in_a_round_is_forgotten_with_it() {
    let mut world = World::new();
    world.enter(0, &["*"]);
    for member in 0..600 {
        world.join(member, &member.to_string());
    }
    world.settle();
    world.pass(ROUND);
    assert_eq!(world.watches.subjects.changed.len(), 0, "they were found, and have not changed");
    for member in 600..1200 {
        world.join(member, &member.to_string());
    }
    world.pass(ROUND);
    assert_eq!(world.watches.subjects.changed.len(), 600);
    world.join(1200, "0");
    world.pass(ROUND);
    assert_eq!(world.watches.subjects.changed.len(), 1);
}

#[test]
fn a_watcher_that_paused_goes_on_where_it_was() {
    let mut world = World::new();
    world.enter(0, &["*"]);
    world.settle();
    for member in 0..1000 {
        world.join(member, &member.to_string());
    }
    world.let_take(0, Some(2));
    world.pass(ROUND);
    assert!(world.clients[&0].lines < 400);
    world.let_take(0, None);
    world.settle();
    world.check();
    assert_eq!(world.clients[&0].lines, 1 + 1001, "each once");
}

#[test]
fn a_watcher_does_not_take_the_turn_of_one_that_had_its_key_before() {
    let mut world = World::new();
    world.enter(0, &["a"]);
    world.enter(1, &["a"]);
    world.go(1);
    world.enter(1, &["a"]);
    // Both know all totals now, and the turn of the watcher that is gone has yet to come.
    world.turn(2);
    assert!(world.clients.values().all(|client| client.lines == 1));
    world.join(0, "a");
    world.now.tick = world.now.tick.after(ROUND);
    world.settle();
    world.settle();
    assert_eq!(world.clients[&1].milestones, ["a occupied 1"]);
}

#[test]
fn a_namespace_that_was_forgotten_before_its_round_is_sent_once() {
    let mut world = World::new();
    world.enter(0, &["a", "*"]);
    world.settle();
    world.join(0, "a");
    world.leave(0);
    world.now.tick = world.now.tick.after(CLEAN_DELAY);
    world.meter.handle_timeout(world.now, true);
    assert_eq!(world.meter.namespaces().len(), 0);
    world.join(0, "a");
    world.settle();
    assert_eq!(world.clients[&0].milestones, ["a occupied 1", "* occupied 1"]);
}

#[test]
fn an_event_that_comes_again_has_a_peak_of_its_own() {
    for patterns in [&["*"][..], &["a"], &["a", "*"]] {
        let mut world = World::new();
        world.enter(0, patterns);
        world.settle();
        let of_a = |world: &mut World| {
            let mut milestones = std::mem::take(&mut world.clients.get_mut(&0).unwrap().milestones);
            milestones.retain(|milestone| milestone.starts_with("a "));
            milestones
        };
        for most in [4, 3, 2] {
            for member in 0..most {
                world.join(member, "a");
                world.pass(ROUND);
            }
            (0..most).for_each(|member| world.leave(member));
            world.pass(ROUND);
            let peaks = (2..=most).map(|peak| format!("a peak {peak}"));
            let expected: Vec<String> =
                ["a occupied 1".to_owned()].into_iter().chain(peaks).chain(["a vacated 0".to_owned()]).collect();
            assert_eq!(of_a(&mut world), expected, "{patterns:?}");
            // The namespace is forgotten, and no other total changes.
            world.pass(CLEAN_DELAY);
            assert_eq!(world.meter.namespaces().len(), 0);
        }
    }
}

#[test]
fn an_event_that_comes_again_before_its_round_has_a_peak_of_its_own_too() {
    let mut world = World::new();
    (0..4).for_each(|member| world.join(member, "a"));
    world.enter(0, &["a"]);
    world.settle();
    (0..4).for_each(|member| world.leave(member));
    world.now.tick = world.now.tick.after(CLEAN_DELAY);
    world.meter.handle_timeout(world.now, true);
    assert_eq!(world.meter.namespaces().len(), 0);
    world.join(0, "a");
    world.settle();
    world.pass(ROUND);
    assert_eq!((world.clients[&0].known["a"], &world.clients[&0].milestones), (1, &Vec::new()));
    world.join(1, "a");
    world.pass(ROUND);
    assert_eq!(world.clients[&0].milestones, ["a peak 2"]);
    world.check();
}

#[test]
fn a_total_of_other_nodes_is_a_record_before_they_announce_one() {
    let mut world = World::new();
    world.membership = Some(Membership {
        rules: ClusterRules::default(),
        secret: Secret([0; 2]),
        formats: Formats { oldest: 4, newest: 4 },
    });
    world.meter = Meter::new(world.meter.book.rules, NodeId(1), world.membership);
    let alive = |echo| News::Alive(Alive { echo, ..Alive::default() });
    world.receive(1, alive(None));
    let asked = std::iter::from_fn(|| world.meter.poll_output()).find_map(|output| match output {
        Output::Send(_, Datagram { news: News::Ask(ask), .. }) if ask.of == Some(NodeId(7)) => Some(ask.nonce),
        _ => None,
    });
    world.receive(2, alive(asked.map(|nonce| Echo { asker: NodeId(1), nonce })));
    world.enter(1, &["a"]);
    world.settle();
    for (number, members) in (3..).zip([2, 5]) {
        // Node 7 knows no record: its peak is of its own members alone.
        let (sums, peak) = (Sums { connections: 5, ..Sums::default() }, Peak { members: 1, ago_ms: 0 });
        let count = Count { namespace: "a", members, uncounted: 0, waiting: 0, sums, age: Age::default(), peak };
        let items = vec![Item::Count(count)];
        world.receive(number, News::Report { from: number - 3, to: number - 2, horizon: 0, name: 0, items });
        world.pass(ROUND);
    }
    assert_eq!(world.clients[&1].milestones, ["a occupied 2", "a peak 5"]);
}

impl World {
    /// Receives this from node 7.
    fn receive(&mut self, number: u64, news: News<&str>) {
        let datagram =
            Datagram { sender: NodeId(7), number, clock: number, format: Format { written: 4, newest: 4 }, news };
        let _ = self.meter.receive(&datagram, Origin::Loopback, self.now);
    }
}
