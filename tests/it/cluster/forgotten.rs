//! Events that some nodes have forgotten, and which go on at others: worlds of real meters.
//!
//! Owns what every node must say of such an event once it knows of the others: all who ever joined. The observer of the world
//! looks on.

use std::time::Duration;

use audience_kit::world::{Node, Setting, Weather, World, cut_at, heal, restart};
use audience_meter::meter::{ClusterRules, Ending, Namespace, Output};

const EVENT: &str = "a";

/// The nodes that are there.
const NODES: usize = 3;

/// How long an event without members is remembered, and how long a node may be silent, in ticks.
const CLEAN_TICKS: u64 = 2_000;
const TIMEOUT_TICKS: u64 = 500;

/// Within which time nodes agree that hear each other again.
const AGREEING_TICKS: u64 = 300;

/// How long it takes at most until an event is reported, one node after the other.
const REPORTING_TICKS: u64 = 1_500;

struct Scene {
    world: World,
    joined: u64,
}

impl Scene {
    fn new() -> Self {
        Self::folding(ClusterRules::default())
    }

    fn folding(rules: ClusterRules) -> Self {
        let (node_timeout, lone_interval) = (Duration::from_secs(5), Duration::from_millis(500));
        let mut setting = Setting {
            cluster: Some(ClusterRules { node_timeout, lone_interval, ..rules }),
            nodes: NODES,
            weather: Some(Weather { loss_percent: 0, double_percent: 0, delay_ticks_max: 0 }),
            chance: 7,
            names: vec![EVENT],
            keeps_outputs: true,
            ..Setting::one_node()
        };
        setting.rules.namespace_clean_delay = Duration::from_secs(20);
        let mut scene = Self { world: World::new(setting), joined: 0 };
        scene.world.pass(AGREEING_TICKS);
        scene
    }

    /// Members have come to the last node and left, and one is at the first.
    fn with_one_left(mut self) -> Self {
        self.join(NODES - 1, 3);
        self.join(0, 1);
        self.leave_all(NODES - 1);
        self
    }

    /// This number of members comes to a node.
    fn join(&mut self, node: usize, count: u64) {
        self.joined += count;
        for _ in 0..count {
            self.world.step(node, |node, now| node.join(EVENT, None, true, now));
        }
        self.world.pass(AGREEING_TICKS);
    }

    fn leave_all(&mut self, node: usize) {
        self.world.step(node, Node::leave_all);
        self.world.pass(AGREEING_TICKS);
    }

    /// What a node says of the joins so far; `None` if it has forgotten the event.
    fn told(&mut self, node: usize) -> Option<u64> {
        let meter = &self.world.node(node).meter;
        meter.find(EVENT).and_then(|id| meter.namespaces().get(id)).map(Namespace::connections)
    }

    /// Nothing is heard between the last node and the others, until it has forgotten the event and all that it knew of them, and
    /// what a node does meanwhile.
    fn cut(&mut self, during: impl FnOnce(&mut Self)) {
        cut_at(&mut self.world, NODES - 1);
        self.world.pass(TIMEOUT_TICKS + CLEAN_TICKS + REPORTING_TICKS);
        during(self);
        heal(&mut self.world);
        self.world.pass(2 * AGREEING_TICKS);
    }

    #[track_caller]
    fn check_all_agree(&mut self) {
        let told = [0, 1, 2].map(|node| self.told(node));
        assert_eq!(told, [Some(self.joined); NODES], "all who joined");
    }

    /// The reports that all nodes have given since this was asked last.
    fn reports(&mut self) -> Vec<Ending> {
        let mut reports = Vec::new();
        for node in 0..NODES {
            let outputs = std::iter::from_fn(|| self.world.node(node).next_output());
            reports.extend(
                outputs.filter_map(|output| if let Output::Ended(ending) = output { Some(*ending) } else { None }),
            );
        }
        reports
    }

    /// All leave, and the one report says what all came to.
    #[track_caller]
    fn check_report(&mut self) {
        self.reports();
        (0..NODES).for_each(|node| self.leave_all(node));
        self.world.pass(CLEAN_TICKS + REPORTING_TICKS);
        let reports = self.reports();
        let [report] = &*reports else { panic!("one report: {reports:?}") };
        let stays: u64 = report.accounts.stays.iter().sum();
        assert_eq!((report.accounts.connections, stays), (self.joined, self.joined));
    }
}

#[test]
fn a_node_that_was_cut_off_still_knows_its_members_of_before() {
    let mut scene = Scene::new().with_one_left();
    scene.cut(|scene| assert_eq!([0, 2].map(|node| scene.told(node)), [Some(4), None], "it goes on at the others"));
    scene.check_all_agree();
    scene.check_report();
}

#[test]
fn nodes_learn_from_the_one_where_an_event_went_on_what_they_had_counted_themselves() {
    let mut scene = Scene::new();
    scene.join(0, 3);
    scene.join(1, 1);
    scene.join(2, 2);
    (0..2).for_each(|node| scene.leave_all(node));
    scene.cut(|scene| assert_eq!([0, 1, 2].map(|node| scene.told(node)), [None, None, Some(6)]));
    scene.check_all_agree();
    scene.check_report();
}

#[test]
fn a_node_that_began_the_event_anew_counts_its_members_of_before_too() {
    let mut scene = Scene::new().with_one_left();
    scene.cut(|scene| {
        scene.join(2, 2);
        assert_eq!(scene.told(2), Some(2), "to this node it is another event");
    });
    scene.check_all_agree();
    scene.check_report();
}

#[test]
fn an_event_that_was_forgotten_twice_counts_both_times() {
    let mut scene = Scene::new().with_one_left();
    scene.cut(|scene| {
        scene.join(2, 2);
        scene.leave_all(2);
        scene.world.pass(CLEAN_TICKS + REPORTING_TICKS);
        assert_eq!(scene.told(2), None);
    });
    scene.check_all_agree();
    scene.check_report();
}

#[test]
fn a_node_that_was_stopped_still_knows_its_members_of_before() {
    let mut scene = Scene::new();
    scene.join(0, 2);
    scene.join(2, 1);
    scene.leave_all(2);
    scene.world.stop(2, TIMEOUT_TICKS + CLEAN_TICKS + REPORTING_TICKS);
    scene.world.pass(2 * AGREEING_TICKS);
    scene.check_all_agree();
    scene.check_report();
}

#[test]
fn what_nodes_know_that_come_later_is_the_same() {
    let mut scene = Scene::new().with_one_left();
    scene.cut(|scene| restart(&mut scene.world, 1, true));
    scene.check_all_agree();
    restart(&mut scene.world, 1, false);
    scene.world.pass(TIMEOUT_TICKS + AGREEING_TICKS);
    scene.check_all_agree();
}

#[test]
fn another_event_of_the_same_name_begins_at_nothing() {
    let mut scene = Scene::new();
    scene.join(2, 3);
    scene.join(0, 1);
    scene.check_report();
    assert_eq!([0, 1, 2].map(|node| scene.told(node)), [None; NODES], "it is over");
    scene.joined = 0;
    scene.join(0, 2);
    scene.join(2, 1);
    scene.check_all_agree();
    scene.check_report();
}

#[test]
fn a_node_that_was_folded_meanwhile_counts_its_members_once() {
    let rules = ClusterRules { fold_above: 3, fold_keep: 0, ..ClusterRules::default() };
    let mut scene = Scene::folding(rules).with_one_left();
    scene.cut(|scene| {
        for _ in 0..6 {
            // Each has had members, or nothing of it would be kept.
            scene.join(1, 1);
            scene.leave_all(1);
            restart(&mut scene.world, 1, true);
            scene.world.pass(AGREEING_TICKS);
        }
    });
    let folded =
        std::iter::from_fn(|| scene.world.node(2).next_output()).any(|output| matches!(output, Output::Folded));
    assert!(folded, "it is told that it was folded");
    scene.check_all_agree();
    scene.check_report();
}
