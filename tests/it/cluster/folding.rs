//! Fleets whose processes come and go for so long that the oldest departed ones are folded: worlds of real meters.
//!
//! Owns fleets, and what their nodes must agree on: the connections of each event, and a digest of what they know of departed
//! nodes. The observer of the world looks on. `FLEET_RESTARTS=<n>` restarts that many processes instead of a thousand.

use std::time::Duration;

use audience_kit::world::{Kind, Node, Setting, Weather, World, add_node, cut_at, heal, restart, sent_count};
use audience_meter::meter::news::{News, NodeId};
use audience_meter::meter::{ClusterRules, Output};

const NAMES: [&str; 3] = ["a", "b", "c"];

/// Nothing is lost, and a datagram takes one tick.
const CALM: Weather = Weather { loss_percent: 0, double_percent: 0, delay_ticks_max: 0 };

/// Some processes that are one audience.
struct Fleet {
    world: World,
    size: usize,
    joined: [u64; 3],
}

impl Fleet {
    /// A fleet of this size, in which a node folds all but `keep` of more than `above` departed ones.
    fn new(size: usize, (above, keep): (usize, usize), weather: Weather) -> Self {
        let cluster = ClusterRules {
            fold_above: above,
            fold_keep: keep,
            lone_interval: Duration::from_millis(500),
            ..ClusterRules::default()
        };
        let mut setting = Setting {
            cluster: Some(cluster),
            nodes: size,
            weather: Some(weather),
            network: Kind::Loopback,
            chance: 7,
            names: NAMES.to_vec(),
            keeps_outputs: true,
            ..Setting::one_node()
        };
        // No event is forgotten.
        setting.rules.namespace_clean_delay = Duration::from_hours(1_000);
        let mut fleet = Self { world: World::new(setting), size, joined: [0; 3] };
        fleet.world.pass(300);
        fleet
    }

    /// A member comes to an event at a node.
    fn join(&mut self, node: usize, name: usize) {
        self.joined[name] += 1;
        self.world.step(node, |node, now| node.join(NAMES[name], None, true, now));
    }

    /// A member comes to each event at a node, and the node ends; another begins.
    fn serve_and_restart(&mut self, node: usize, is_polite: bool) {
        (0..NAMES.len()).for_each(|name| self.join(node, name));
        // The last change is announced.
        self.world.pass(20);
        restart(&mut self.world, node, is_polite);
        // By then it is known that it is gone, and the new one has learned what there was.
        self.world.pass(if is_polite { 300 } else { 800 });
    }

    /// How many connections a node knows of, event by event.
    fn connections(&mut self, node: usize) -> [u64; 3] {
        let meter = &self.world.node(node).meter;
        NAMES.map(|name| {
            let found = meter.find(name).and_then(|id| meter.namespaces().get(id));
            found.map_or(0, audience_meter::meter::Namespace::connections)
        })
    }

    /// All nodes know of all connections.
    fn check_connections(&mut self) {
        self.world.pass(300);
        let all: Vec<[u64; 3]> = (0..self.size).map(|node| self.connections(node)).collect();
        assert!(all.iter().all(|known| *known == self.joined), "{all:?}, and truly {:?}", self.joined);
    }

    /// What a node has wanted done since this was asked last.
    fn outputs(&mut self, node: usize) -> Vec<Output> {
        std::iter::from_fn(|| self.world.node(node).next_output()).collect()
    }

    fn forget_outputs(&mut self) {
        (0..self.size).for_each(|node| drop(self.outputs(node)));
    }

    /// What a node has said since this was asked last.
    fn said(&mut self, node: usize) -> Vec<News<std::rc::Rc<str>>> {
        let news = |output| if let Output::Send(_, datagram) = output { Some(datagram.news) } else { None };
        self.outputs(node).into_iter().filter_map(news).collect()
    }

    /// All nodes say the same of departed ones, and nothing but that they are there: no more datagrams than a fleet without a
    /// past.
    fn check_quiet(&mut self) {
        self.world.pass(500);
        self.forget_outputs();
        let before = sent_count(&self.world);
        self.world.pass(1_000);
        let sent = sent_count(&self.world) - before;
        assert!(sent <= 21 * self.size as u64, "{sent} datagrams in ten quiet seconds");
        let mut digests: Vec<u64> = Vec::new();
        for node in 0..self.size {
            let said = self.said(node);
            assert!(said.iter().all(|news| matches!(news, News::Alive(_))), "node {node}: {said:?}");
            let digest =
                |news: &News<_>| if let News::Alive(alive) = news { Some(alive.departed_digest) } else { None };
            digests.extend(said.iter().filter_map(digest));
        }
        digests.dedup();
        assert_eq!(digests.len(), 1, "{digests:?}");
    }

    /// The numbers of folded names, of sums, and of nodes that stand alone, in what is announced to a newcomer.
    fn announced_to_newcomer(&mut self) -> (usize, usize, usize) {
        self.forget_outputs();
        add_node(&mut self.world);
        self.size += 1;
        self.world.pass(700);
        let said: Vec<News<_>> = (0..self.size).flat_map(|node| self.said(node)).collect();
        let (mut names, mut sums, mut alone) = (Vec::new(), Vec::new(), Vec::new());
        for news in said {
            match news {
                News::Folded(some) => names.extend(some),
                News::FoldShares { shares, .. } => sums.extend(shares.into_iter().map(|share| share.namespace)),
                News::DepartedShares(shares) => alone.extend(shares.into_iter().map(|share| share.node)),
                _ => {}
            }
        }
        (distinct(names), distinct(sums), distinct(alone))
    }
}

fn distinct<T: Ord>(mut all: Vec<T>) -> usize {
    all.sort_unstable();
    all.dedup();
    all.len()
}

#[test]
fn a_thousand_restarts_leave_all_in_step_and_as_quiet_as_before() {
    let mut fleet = Fleet::new(4, (64, 32), CALM);
    let restarts = std::env::var("FLEET_RESTARTS").map_or(1_000, |number| number.parse().unwrap());
    for round in 0..restarts {
        let node = round % 4;
        fleet.join(node, round % 3);
        fleet.world.pass(20);
        restart(&mut fleet.world, node, true);
        // It meets the others, and learns what there was.
        fleet.world.pass(60);
        fleet.forget_outputs();
    }
    fleet.world.pass(1_000);
    fleet.check_connections();
    fleet.check_quiet();
    let (names, sums, alone) = fleet.announced_to_newcomer();
    assert!(names >= restarts - 100 && sums == 3 && alone <= 64, "{names} names, {sums} sums, {alone} nodes");
    fleet.check_connections();
    fleet.check_quiet();
}

#[test]
fn a_newcomer_learns_all_that_was_folded() {
    let mut fleet = Fleet::new(3, (12, 4), CALM);
    for round in 0..40 {
        fleet.serve_and_restart(round % 2, round % 5 > 0);
    }
    fleet.check_connections();
    let (names, sums, alone) = fleet.announced_to_newcomer();
    assert!(names >= 24 && sums == 3 && (4..=12).contains(&alone), "{names} names, {sums} sums, {alone} nodes");
    fleet.check_connections();
    fleet.check_quiet();
}

#[test]
fn a_node_that_is_alone_folds_for_itself() {
    let mut fleet = Fleet::new(2, (10, 4), CALM);
    for _ in 0..10 {
        fleet.serve_and_restart(1, true);
    }
    (0..2).for_each(|node| fleet.join(node, 0));
    fleet.check_connections();
    fleet.forget_outputs();
    // Each takes the other for gone: that is one more than there may be.
    cut_at(&mut fleet.world, 1);
    fleet.world.pass(700);
    for node in 0..2 {
        let said = fleet.said(node);
        assert!(said.iter().any(|news| matches!(news, News::Folded(_))), "node {node}: {said:?}");
    }
    heal(&mut fleet.world);
    fleet.world.pass(600);
    fleet.check_connections();
    fleet.check_quiet();
}

#[test]
fn two_sides_that_folded_other_nodes_agree_when_the_cut_heals() {
    let mut fleet = Fleet::new(4, (12, 8), CALM);
    for round in 0..11 {
        fleet.serve_and_restart(round % 4, true);
    }
    fleet.check_connections();
    fleet.forget_outputs();
    cut_at(&mut fleet.world, 2);
    fleet.world.pass(600);
    // Of the nodes that both sides know, each folds some, in another order: those of the other side are among the departed.
    for round in 0..4 {
        fleet.serve_and_restart(round % 2, true);
        fleet.serve_and_restart(2 + round % 2, true);
    }
    let mut folded = [Vec::new(), Vec::new()];
    for node in 0..4 {
        let names = fleet
            .said(node)
            .into_iter()
            .filter_map(|news| if let News::Folded(names) = news { Some(names) } else { None });
        folded[node / 2].extend(names.flatten().collect::<Vec<NodeId>>());
    }
    assert!(folded.iter().all(|names| !names.is_empty()), "both sides fold: {folded:?}");
    heal(&mut fleet.world);
    fleet.world.pass(1_500);
    fleet.check_connections();
    fleet.check_quiet();
}

#[test]
fn lost_datagrams_of_a_fold_are_made_up_for() {
    let rough = Weather { loss_percent: 30, double_percent: 20, delay_ticks_max: 15 };
    let mut fleet = Fleet::new(4, (12, 4), rough);
    for round in 0..60 {
        (0..NAMES.len()).for_each(|name| fleet.join(round % 4, name));
        // Time enough that the last change is known everywhere, whatever is lost.
        fleet.world.pass(300);
        restart(&mut fleet.world, round % 4, true);
        fleet.world.pass(100);
        fleet.forget_outputs();
    }
    fleet.world.pass(2_000);
    fleet.check_connections();
    let (names, ..) = fleet.announced_to_newcomer();
    assert!(names >= 44, "{names} are folded");
    fleet.world.pass(1_000);
    fleet.check_connections();
}

#[test]
fn a_node_that_comes_back_after_it_was_folded_counts_once() {
    // All are folded, once there are seven.
    let mut fleet = Fleet::new(3, (6, 0), CALM);
    (0..NAMES.len()).for_each(|name| fleet.join(2, name));
    fleet.world.pass(100);
    fleet.forget_outputs();
    cut_at(&mut fleet.world, 2);
    fleet.world.pass(600);
    for round in 0..12 {
        fleet.serve_and_restart(round % 2, true);
    }
    heal(&mut fleet.world);
    fleet.world.pass(1_000);
    let outputs = fleet.outputs(2);
    assert!(outputs.iter().any(|output| matches!(output, Output::Folded)), "it is told that it was folded");
    fleet.check_connections();
    // It counts on, and its members are there once.
    (0..NAMES.len()).for_each(|name| fleet.join(2, name));
    fleet.world.pass(300);
    fleet.check_connections();
    for node in 0..3 {
        let meter = &fleet.world.node(node).meter;
        let totals: Vec<u64> = meter.namespaces().iter().map(|(_, namespace)| namespace.total()).collect();
        assert_eq!(totals, [2; 3], "at node {node}");
    }
    fleet.check_quiet();
    // What it counts from now on outlives it as well.
    fleet.world.step(2, Node::leave_all);
    fleet.world.pass(100);
    restart(&mut fleet.world, 2, true);
    fleet.world.pass(600);
    fleet.check_connections();
    fleet.check_quiet();
}
