//! The end of events: one node writes down what each came to, and it is true.
//!
//! Each run is one seed: members come to a few nodes and leave, all of them at last, and the events are forgotten. Nodes
//! end before that, politely or not, or all of them end at once and the events with them.

use super::*;

const RUNS: u64 = 150;

/// How long events are remembered here: who dies after the members have come and left is missed before the first of them is
/// forgotten.
const CLEAN_TICKS: u64 = 2_000;

impl World {
    /// Members come, and all of them leave; nobody crashes meanwhile.
    fn stage(seed: u64) -> Self {
        let mut world = Self::new(seed);
        // `new` has started some nodes, which remember for longer.
        world.nodes.clear();
        world.namespace_clean_delay = Duration::from_millis(CLEAN_TICKS * TICK_MS);
        for _ in 0..2 + world.random.below(4) {
            world.start_node();
        }
        for _ in 0..1_000 {
            if world.random.chance(10) {
                let index = usize::try_from(world.random.below(world.nodes.len() as u64)).unwrap();
                if world.random.chance(60) { world.join(index) } else { world.leave(index) }
            }
            world.step();
        }
        for index in 0..world.nodes.len() {
            world.leave_all(index);
        }
        world
    }

    fn pass(&mut self, ticks: u64) {
        for _ in 0..ticks {
            self.step();
        }
    }

    /// How often each event was reported.
    fn reports(&self) -> BTreeMap<&'static str, usize> {
        let count = |name| self.endings.iter().filter(|(_, ending)| &*ending.namespace == name).count();
        self.joined.keys().map(|&name| (name, count(name))).collect()
    }

    /// What was reported is what was recorded.
    fn check_endings(&self) {
        for (_, Ending { namespace, accounts, .. }) in &self.endings {
            let living = self.nodes.iter().flat_map(|node| node.visits.get(&**namespace).into_iter().flatten());
            let visits = living.map(|(_, visit)| visit).chain(self.buried.get(&**namespace).into_iter().flatten());
            let truth = Recorded::of(visits, self.tick);
            let told = (accounts.connections, accounts.member_ms / TICK_MS, accounts.stays);
            assert_eq!(told, (truth.connections, truth.member_ticks, truth.stays), "{namespace}: {accounts:?}");
        }
    }
}

/// All seeds, or the one that is asked for.
fn seeds() -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    match number("METER_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("METER_SEEDS").unwrap_or(RUNS),
    }
}

/// Runs all seeds.
fn run_all(run: impl Fn(u64) + std::panic::RefUnwindSafe) {
    for seed in seeds() {
        let outcome = std::panic::catch_unwind(|| run(seed));
        assert!(outcome.is_ok(), "run again with METER_SEED={seed}");
    }
}

/// All is forgotten, with some time for what was lost.
const FORGOTTEN_TICKS: u64 = CLEAN_TICKS + 1_000;

#[test]
fn each_event_is_reported_by_one_node_and_truly() {
    run_all(|seed| {
        let mut world = World::stage(seed);
        world.pass(FORGOTTEN_TICKS);
        world.check_endings();
        assert!(world.reports().values().all(|&count| count == 1), "{:?}: {:?}", world.reports(), world.endings);
    });
}

#[test]
fn who_is_gone_before_leaves_the_report_to_the_others() {
    run_all(|seed| {
        let mut world = World::stage(seed);
        // What was not told yet would be lost.
        world.pass(250);
        let is_polite = world.random.chance(50);
        let now = world.now(&world.nodes[0]);
        if is_polite {
            world.nodes[0].meter.say_goodbye(now);
            world.drain(0);
        }
        world.remove_node(0);
        world.pass(FORGOTTEN_TICKS);
        world.check_endings();
        assert!(world.reports().values().all(|&count| count == 1), "{:?}: {:?}", world.reports(), world.endings);
    });
}

#[test]
fn a_report_is_at_most_one_though_a_node_dies_at_any_time() {
    let lost = std::cell::Cell::new(0);
    for seed in seeds() {
        let mut world = World::stage(seed);
        let at = world.random.below(FORGOTTEN_TICKS);
        world.pass(at);
        world.remove_node(0);
        world.pass(FORGOTTEN_TICKS);
        for (name, count) in world.reports() {
            assert!(count <= 1, "{name} is reported {count} times: METER_SEED={seed}");
            lost.set(lost.get() + usize::from(count == 0));
        }
    }
    let all = seeds().count() * NAMESPACES.len();
    // One of three nodes or so has the report, and five of 30 seconds are those in which it is not missed yet.
    assert!(lost.get() * 5 < all || all < 100, "{} of {all} are lost", lost.get());
}

#[test]
fn nodes_that_end_together_report_once() {
    run_all(|seed| {
        let mut world = World::stage(seed);
        world.weather = Weather { loss_percent: 0, double_percent: 0, delay_ticks_max: 0 };
        world.pass(400);
        assert!(world.endings.is_empty());
        // Each says goodbye, and later reads what has come; in whatever order these mix.
        let nodes = world.nodes.len();
        let (mut said, mut read) = (vec![false; nodes], vec![false; nodes]);
        while read.contains(&false) {
            let index = usize::try_from(world.random.below(nodes as u64)).unwrap();
            let now = world.now(&world.nodes[index]);
            if !said[index] {
                said[index] = true;
                world.nodes[index].meter.say_goodbye(now);
                world.drain(index);
                world.deliver();
            } else if !read[index] {
                read[index] = true;
                for (_, bytes) in std::mem::take(&mut world.nodes[index].buffer) {
                    let _ = world.nodes[index].meter.receive(&report::decode(&bytes, &world.scope).unwrap(), now);
                }
                let endings: Vec<Ending> = world.nodes[index].meter.last_endings(now).collect();
                let node = world.nodes[index].id;
                world.endings.extend(endings.into_iter().map(|ending| (node, ending)));
            }
        }
        world.check_endings();
        assert!(world.reports().values().all(|&count| count == 1), "{:?}: {:?}", world.reports(), world.endings);
    });
}
