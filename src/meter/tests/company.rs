//! The meter among other nodes, which are no more than what they say.

mod accounting;
mod gathering;
mod missed;

use super::*;
use crate::meter::news::News;

/// A meter that tells others.
fn clustered() -> Scene {
    clustered_with(ClusterRules::default())
}

fn clustered_with(rules: ClusterRules) -> Scene {
    let mut scene = Scene::new(|_| {});
    scene.meter = Meter::new(scene.meter.book.rules, NodeId(1), Some(rules));
    scene.outputs();
    scene
}

#[test]
fn what_fits_into_no_datagram_is_not_told() {
    let mut scene = clustered();
    let long = "u".repeat(NAME_MAX + 1);
    scene.meter.end_claim("a", &long, scene.now);
    scene.meter.end_claim(&long, "u", scene.now);
    scene.meter.announce_message(&long, "s=x", scene.now);
    assert_eq!(scene.meter.poll_output(), None);
    scene.meter.end_claim("a", &long[1..], scene.now);
    assert!(matches!(scene.meter.poll_output(), Some(Output::Send(_))));
}

#[test]
fn the_goodbye_of_a_stranger_is_no_acquaintance() {
    let mut scene = clustered();
    let datagram = |news| Datagram { sender: NodeId(7), number: 1, clock: 1, news };
    assert_eq!(scene.meter.receive(&datagram(News::Bye), scene.now), Err(Rejection::NeverThere));
    assert_eq!(scene.meter.poll_output(), None, "nobody is asked");
    assert!(scene.meter.is_alone());
    assert_eq!(scene.meter.receive(&datagram(News::Alive(news::Alive::default())), scene.now), Ok(()));
    assert!(!scene.meter.is_alone());
}

#[test]
fn a_recorded_answer_to_the_first_question_proves_nothing_once_its_sender_is_gone() {
    let mut scene = clustered();
    let nonce = scene.pass_in_company(0.1).into_iter().find_map(|output| match output {
        Output::Send(Datagram { news: News::Ask(ask), .. }) if ask.of.is_none() => Some(ask.nonce),
        _ => None,
    });
    let echo = nonce.map(|nonce| news::Echo { asker: NodeId(1), nonce });
    let answer = News::Alive(news::Alive { echo, ..news::Alive::default() });
    scene.hear(1, answer.clone());
    assert_eq!(scene.meter.nodes(scene.now).count(), 1);
    scene.hear(2, News::Bye);
    scene.hear(1, answer);
    assert_eq!(scene.meter.nodes(scene.now).count(), 0);
    assert_ne!(scene.asked().map(|ask| ask.nonce), nonce);
}

#[test]
fn a_restarted_walk_of_a_namespace_that_is_gone_meets_nobody_of_the_next() {
    let mut scene = Scene::new(|rules| rules.namespace_clean_delay = Duration::ZERO);
    scene.join(0, "a");
    scene.join(1, "a");
    let walk = scene.walk(false);
    scene.meter.restart_walk(walk);
    scene.leave(0);
    scene.leave(1);
    scene.outputs();
    scene.join(2, "b");
    assert!(scene.steps(walk, 9).is_empty());
}

impl Scene {
    /// Hears this from node 7.
    fn hear(&mut self, number: u64, news: News<&str>) {
        assert_eq!(self.meter.receive(&Datagram { sender: NodeId(7), number, clock: number, news }, self.now), Ok(()));
    }

    /// Node 7 says that it is there, answers what it is asked, and is believed. It takes two of its datagrams.
    fn meet(&mut self, number: u64) {
        self.meet_as(number, news::Alive::default());
    }

    /// The same, with these words.
    fn meet_as(&mut self, number: u64, alive: news::Alive) {
        self.hear(number, News::Alive(alive));
        let echo = self.asked().map(|ask| news::Echo { asker: NodeId(1), nonce: ask.nonce });
        self.hear(number + 1, News::Alive(news::Alive { echo, ..alive }));
    }

    /// The node of this number says that it is there, and answers what it is asked.
    fn meet_node(&mut self, node: u64) {
        let mut say = |number, echo| {
            let news = News::Alive(news::Alive { echo, ..news::Alive::default() });
            let datagram = Datagram { sender: NodeId(node), number, clock: 1, news };
            assert_eq!(self.meter.receive(&datagram, self.now), Ok(()));
            self.meter.handle_timeout(self.now, true);
            std::iter::from_fn(|| self.meter.poll_output()).find_map(|output| match output {
                Output::Send(Datagram { news: News::Ask(ask), .. }) if ask.of == Some(NodeId(node)) => Some(ask.nonce),
                _ => None,
            })
        };
        let nonce = say(1, None).expect("who is new is asked");
        say(2, Some(news::Echo { asker: NodeId(1), nonce }));
    }

    /// What node 7 is asked.
    fn asked(&mut self) -> Option<news::Ask> {
        std::iter::from_fn(|| self.meter.poll_output()).find_map(|output| match output {
            Output::Send(Datagram { news: News::Ask(ask), .. }) if ask.of == Some(NodeId(7)) => Some(ask),
            _ => None,
        })
    }

    fn totals(&self) -> Vec<u64> {
        self.meter.namespaces().map(|(_, namespace)| namespace.total()).collect()
    }
}

/// A share of so many members, of 5 who ever came.
fn count(namespace: &str, members: u32, age: news::Age) -> news::Count<&str> {
    let sums = news::Sums { connections: 5, ..news::Sums::default() };
    news::Count { namespace, members, uncounted: 1, sums, age, peak: news::Peak::default() }
}

/// Node 7 has as many members in each of these.
fn counts<'a>(names: &[&'a str], members: u32) -> News<&'a str> {
    let age = news::Age::default();
    let item = |&namespace| news::Item::Count(count(namespace, members, age));
    News::Report { from: 0, to: 9, horizon: 0, items: names.iter().map(item).collect() }
}

#[test]
fn a_node_that_is_gone_is_taken_off_the_counts_in_slices() {
    let mut scene = clustered_with(ClusterRules { removals_per_turn: 2, ..ClusterRules::default() });
    scene.meet(1);
    scene.join(0, "b");
    scene.hear(3, counts(&["a", "b", "c"], 2));
    assert_eq!(scene.totals(), [3, 2, 2], "b, which was here before, a and c");
    scene.hear(4, News::Bye);
    let mut seen = Vec::new();
    while scene.meter.poll_timeout().is_some_and(|due| due <= scene.now.tick) {
        seen.push(scene.totals());
        // Even now it may come back, and is asked; but it is believed only when it is missed everywhere.
        if seen.len() == 2 {
            scene.meet(5);
            assert_eq!(scene.meter.nodes(scene.now).count(), 0);
        }
        scene.meter.handle_timeout(scene.now, true);
    }
    seen.dedup();
    assert_eq!(seen, [[3, 2, 2], [1, 2, 2], [1, 0, 2]], "one after the other");
    assert_eq!(scene.totals(), [1, 0, 0]);
    assert_eq!(scene.members("a"), Some((0, 5)), "what it had counted stays");
    scene.now.tick = scene.now.tick.after(s(1.0));
    scene.meet(7);
    scene.hear(9, counts(&["c"], 4));
    assert_eq!(scene.totals(), [1, 0, 4]);
}

#[test]
fn what_is_forgotten_or_left_while_a_node_is_buried_is_counted_right() {
    let mut scene = clustered_with(ClusterRules { removals_per_turn: 1, ..ClusterRules::default() });
    scene.meet(1);
    for member in 0..3 {
        scene.join(member, ["a", "b", "c"][member as usize]);
    }
    scene.hear(3, counts(&["a", "b", "c", "d"], 1));
    scene.hear(4, News::Bye);
    scene.meter.handle_timeout(scene.now, true);
    assert_eq!(scene.totals(), [1, 2, 2, 1]);
    scene.leave(1);
    scene.leave(2);
    scene.join(3, "d");
    assert_eq!(scene.totals(), [1, 1, 1, 2]);
    while scene.meter.poll_timeout().is_some_and(|due| due <= scene.now.tick) {
        scene.meter.handle_timeout(scene.now, true);
    }
    assert_eq!(scene.totals(), [1, 0, 0, 1]);
}

#[test]
fn a_turn_does_a_bounded_number_of_things_that_are_due_at_once() {
    let mut scene = Scene::new(|rules| rules.increment_delay = s(1.0));
    let all = u32::try_from(3 * TIMEOUTS_PER_TURN).unwrap();
    for member in 0..all {
        scene.join(member, &format!("name {member}"));
    }
    let mut turns = Vec::new();
    let mut told = 0;
    scene.now.tick = scene.now.tick.after(s(1.0));
    while scene.meter.poll_timeout().is_some_and(|due| due <= scene.now.tick) {
        scene.meter.handle_timeout(scene.now, true);
        let outputs = std::iter::from_fn(|| scene.meter.poll_output()).count();
        assert!(outputs <= TIMEOUTS_PER_TURN);
        told += outputs;
        turns.push(scene.totals().iter().sum::<u64>());
    }
    let each = TIMEOUTS_PER_TURN as u64;
    assert_eq!(turns, [each, 2 * each, 3 * each]);
    assert_eq!(told, 3 * TIMEOUTS_PER_TURN, "each is told its count");

    for member in 0..all {
        scene.leave(member);
    }
    scene.now.tick = scene.now.tick.after(s(60.0));
    let mut left = Vec::new();
    while scene.meter.poll_timeout().is_some_and(|due| due <= scene.now.tick) {
        scene.meter.handle_timeout(scene.now, true);
        left.push(scene.totals().len());
    }
    assert_eq!(left, [2 * TIMEOUTS_PER_TURN, TIMEOUTS_PER_TURN, 0], "forgotten");
}

#[test]
fn a_message_names_its_namespace_which_may_be_forgotten_before_it_is_told() {
    let mut scene = clustered();
    scene.join(0, "a");
    scene.leave(0);
    scene.meet(1);
    scene.now.tick = scene.now.tick.after(s(60.0));
    let part = news::MessagePart { number: 1, namespace: "a", text: "s=x", begins: true, continues: false };
    scene.hear(3, News::Message(part));
    scene.meter.handle_timeout(scene.now, true);
    assert_eq!(scene.members("a"), None);
    let told = std::iter::from_fn(|| scene.meter.poll_output()).find(|output| matches!(output, Output::Message { .. }));
    assert_eq!(told, Some(Output::Message { namespace: "a".into(), text: "s=x".into() }));
}

#[test]
fn who_is_not_counted_elsewhere_is_known_until_it_leaves_or_its_node_is_gone() {
    let mut scene = clustered();
    scene.meet(1);
    let report = |from, uncounted| {
        let nothing = news::Sums::default();
        let (age, peak) = (news::Age::default(), news::Peak::default());
        let count = news::Count { namespace: "a", members: 0, uncounted, sums: nothing, age, peak };
        News::Report { from, to: from + 1, horizon: 0, items: vec![news::Item::Count(count)] }
    };
    scene.hear(3, report(0, 3));
    assert_eq!((scene.members("a"), scene.uncounted("a")), (Some((0, 0)), 3));
    for number in 4..24 {
        scene.pass_in_company(4.0);
        scene.hear(number, News::Alive(news::Alive { version: 1, ..news::Alive::default() }));
    }
    assert_eq!(scene.uncounted("a"), 3, "somebody is there, so it is not forgotten");
    scene.hear(24, report(1, 1));
    assert_eq!(scene.uncounted("a"), 1);
    scene.hear(25, News::Bye);
    scene.pass_in_company(0.1);
    assert_eq!((scene.members("a"), scene.uncounted("a")), (Some((0, 0)), 0));
}

#[test]
fn what_a_node_tells_of_itself_is_known_while_it_is_there() {
    let mut scene = clustered();
    assert!(!scene.meter.are_counters_due(scene.now), "nobody is there");
    scene.hear(1, News::Counters(vec![9]));
    scene.meet(2);
    assert!(scene.meter.are_counters_due(scene.now));
    scene.meter.announce_counters(&[4; COUNTERS_MAX + 1], scene.now);
    assert!(!scene.meter.are_counters_due(scene.now), "they were told just now");
    let told = std::iter::from_fn(|| scene.meter.poll_output()).find_map(|output| match output {
        Output::Send(Datagram { news: News::Counters(counters), .. }) => Some(counters),
        _ => None,
    });
    assert_eq!(told, Some(vec![4; COUNTERS_MAX]));

    let known = |scene: &Scene| scene.meter.counters().map(|(node, all)| (node.0, all.to_vec())).collect::<Vec<_>>();
    assert_eq!(known(&scene), [(7, vec![])], "not what it said before it was known to be there");
    scene.hear(5, News::Counters(vec![1, 2]));
    scene.hear(4, News::Counters(vec![0]));
    assert_eq!(known(&scene), [(7, vec![1, 2])], "not what is older");
    scene.hear(6, News::Bye);
    assert_eq!(known(&scene), []);
    scene.now.tick = scene.now.tick.after(s(6.0));
    assert!(!scene.meter.are_counters_due(scene.now), "nobody is there any more");
}

#[test]
fn a_node_that_fell_silent_is_told_from_one_that_said_goodbye() {
    let mut scene = clustered();
    scene.meet(1);
    scene.hear(3, News::Bye);
    scene.pass_in_company(9.0);
    assert_eq!(scene.meter.lost_node_count(), 0);
    scene.meet(4);
    scene.pass_in_company(4.0);
    scene.hear(6, News::Alive(news::Alive::default()));
    scene.pass_in_company(4.0);
    assert_eq!((scene.meter.nodes(scene.now).count(), scene.meter.lost_node_count()), (1, 0));
    scene.pass_in_company(9.0);
    assert_eq!((scene.meter.nodes(scene.now).count(), scene.meter.lost_node_count()), (0, 1), "once");
}

#[test]
fn a_namespace_is_not_forgotten_before_the_others_have_been_told_that_it_was_left() {
    let mut scene = clustered();
    scene.meter.book.rules.namespace_clean_delay = Duration::ZERO;
    let alive = News::Alive(news::Alive::default());
    scene.meter.receive(&Datagram { sender: NodeId(7), number: 1, clock: 1, news: alive }, scene.now).unwrap();
    scene.join(0, "a");
    scene.pass_in_company(0.02);
    scene.leave(0);
    scene.pass_in_company(0.01);
    assert_eq!(scene.members("a"), Some((0, 1)), "the change is gathered with others");
    let told = |output| match output {
        Output::Send(Datagram { news: News::Report { items, .. }, .. }) => Some(items),
        _ => None,
    };
    let items: Vec<_> = scene.pass_in_company(2.0).into_iter().filter_map(told).flatten().collect();
    let [news::Item::Count(count)] = &items[..] else { panic!("{items:?}") };
    assert_eq!((count.members, count.sums.connections), (0, 1));
    assert_eq!(scene.members("a"), None);
}

#[test]
fn nodes_forget_a_namespace_together_though_some_are_told_late_that_it_was_left() {
    let mut scene = clustered();
    scene.meet(1);
    let report = |from, members, empty_ms| {
        let age = news::Age { created_unix_s: 1, empty_ms };
        let count = news::Count { uncounted: 0, ..count("a", members, age) };
        News::Report { from, to: from + 1, horizon: 0, items: vec![news::Item::Count(count)] }
    };
    scene.hear(3, report(0, 1, 0));
    // Its changes were gathered for two seconds.
    scene.hear(4, report(1, 0, 2_000));
    scene.pass_in_company(57.5);
    assert_eq!(scene.members("a"), Some((0, 5)));
    scene.pass_in_company(1.0);
    assert_eq!(scene.members("a"), None, "60 s after it was left");
}

#[test]
fn a_node_that_is_gone_takes_nobody_s_place_once_nothing_is_left_of_it() {
    let mut scene = clustered_with(ClusterRules { nodes_max: 1, ..ClusterRules::default() });
    let knock = |scene: &mut Scene, number| {
        let news = News::Alive(news::Alive::default());
        scene.meter.receive(&Datagram { sender: NodeId(8), number, clock: number, news }, scene.now)
    };
    scene.meet(1);
    let age = news::Age { created_unix_s: 1, empty_ms: 0 };
    let item = news::Item::Count(count("a", 0, age));
    scene.hear(3, News::Report { from: 0, to: 1, horizon: 0, items: vec![item] });
    assert_eq!(knock(&mut scene, 1), Err(Rejection::TooManyNodes));
    scene.hear(4, News::Bye);
    assert_eq!(scene.members("a"), Some((0, 5)));
    scene.pass_in_company(70.0);
    assert_eq!(scene.members("a"), None);
    assert_eq!(knock(&mut scene, 2), Ok(()));
}
