//! Different people at many nodes, on a virtual clock and a bad network: more of them than are counted one by one.

use audience_kit::world::{Individual, Setting, Weather, World, add_node, cut_at, heal, restart};
use audience_meter::meter::{ClusterRules, Reach};

/// The event.
const NAME: &str = "a";

/// How long it takes until nodes agree on what was lost, in ticks: 30 seconds.
const QUIET_TICKS: u64 = 3_000;

/// Four nodes on a network that loses this share of what is sent, and doubles a tenth.
fn world(chance: u64, loss_percent: u64) -> World {
    let weather = Weather { loss_percent, double_percent: 10, delay_ticks_max: 5 };
    let (cluster, names) = (Some(ClusterRules::default()), vec![NAME]);
    let mut world =
        World::new(Setting { nodes: 4, weather: Some(weather), cluster, names, chance, ..Setting::one_node() });
    world.pass(300);
    world
}

/// People with these numbers come to the nodes in turn, and go at once.
fn visit(world: &mut World, people: impl Iterator<Item = u32>, nodes: &[usize]) {
    for (person, &index) in people.zip(nodes.iter().cycle()) {
        world.step(index, |node, now| node.join_as(Individual::Client(person), NAME, true, now));
        let member = world.node(index).newest_member().unwrap();
        world.step(index, |node, now| node.leave(member, now));
        if person % 4 == 0 {
            world.pass(1);
        }
    }
}

/// What all nodes say of the people.
#[track_caller]
fn agreed(world: &mut World, nodes: usize) -> Reach {
    world.pass(QUIET_TICKS);
    let reach = |index: usize| {
        let now = world.now(index);
        let meter = &world.node(index).meter;
        meter.find(NAME).and_then(|id| meter.accounts(id, now).reach)
    };
    let said: Vec<Option<Reach>> = (0..nodes).map(reach).collect();
    assert!(said.iter().all(|of| of.is_some() && *of == said[0]), "{said:?}");
    said[0].unwrap()
}

/// Whether the number is within three standard errors of the truth.
#[track_caller]
fn assert_near(people: u64, truth: u64) {
    assert!(people.abs_diff(truth) * 64 * 100 <= truth * 3 * 104, "{people} of {truth}");
}

#[test]
fn thousands_are_the_same_at_all_nodes_whatever_is_lost_and_whichever_end() {
    for chance in 1..=5 {
        let mut world = world(chance, 20);
        // One stays, so the event is forgotten at none of them.
        world.step(2, |node, now| node.join_as(Individual::Client(0), NAME, true, now));
        visit(&mut world, 0..3_000, &[0, 1, 2, 3]);
        // They come again, to another node.
        visit(&mut world, 0..3_000, &[3, 0, 1, 2]);
        let before = agreed(&mut world, 4);
        assert_near(before.people, 3_000);
        restart(&mut world, 0, false);
        restart(&mut world, 1, true);
        add_node(&mut world);
        visit(&mut world, 2_000..4_000, &[0, 2, 4]);
        let after = agreed(&mut world, 5);
        assert_near(after.people, 4_000);
        assert!((after.people * 163).div_ceil(10_000) == after.error, "nothing else is unknown: {after:?}");
    }
}

#[test]
fn an_event_that_two_sides_of_a_cut_have_made_has_the_people_of_both_and_says_by_how_many_it_is_off() {
    for chance in 1..=5 {
        let mut world = world(chance, 0);
        cut_at(&mut world, 2);
        world.pass(1_000);
        visit(&mut world, 0..40, &[0, 1]);
        visit(&mut world, 30..90, &[2, 3]);
        world.pass(200);
        heal(&mut world);
        let reach = agreed(&mut world, 4);
        // 10 of them are people of both sides, and the younger key's people are not known one by one.
        assert!(reach.people == 100 && [40, 60].contains(&reach.error), "{reach:?} of 90");
        let younger = reach.error;
        visit(&mut world, 0..95, &[0, 1, 2, 3]);
        let reach = agreed(&mut world, 4);
        assert_eq!((reach.people, reach.error), (95 + younger, younger), "those of the younger key are counted again");
    }
}

#[test]
fn nodes_that_make_an_event_in_the_same_moment_agree_on_its_key_before_they_count() {
    for chance in 1..=20 {
        let mut world = world(chance, 5);
        for index in [3, 1, 0, 2] {
            world.step(index, |node, now| node.join_as(Individual::Client(7), NAME, true, now));
            let other = Individual::Client(u32::try_from(index).unwrap());
            world.step(index, |node, now| node.join_as(other, NAME, true, now));
        }
        let reach = agreed(&mut world, 4);
        // The oldest key may be lost on its way to one of them, and the question for it, too.
        assert!(reach.error <= 2 && reach.people == 5 + reach.error, "{reach:?}");
    }
}
