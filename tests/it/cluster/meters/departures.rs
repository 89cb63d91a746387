//! How the share of a departed node leaves the counts: in slices, whatever else happens meanwhile.

use super::*;

#[test]
fn a_departed_node_is_taken_off_the_counts_in_slices() {
    let mut scene = clustered_with(ClusterRules { removals_per_turn: 2, ..ClusterRules::default() });
    scene.meet(1);
    scene.join("b");
    scene.receive(3, counts(&["a", "b", "c"], 2));
    assert_eq!(scene.totals(), [3, 2, 2], "b, which was here before, a and c");
    scene.receive(4, BYE);
    let mut seen = Vec::new();
    while scene.is_due() {
        seen.push(scene.totals());
        // Even now it may come back, and is asked; but it is believed only once its share has left all counts.
        if seen.len() == 2 {
            scene.knock(5);
            assert_eq!(scene.node_count(), 0);
        }
        scene.wake();
    }
    seen.dedup();
    assert_eq!(seen, [[3, 2, 2], [1, 2, 2], [1, 0, 2]], "one after the other");
    assert_eq!(scene.totals(), [1, 0, 0]);
    assert_eq!(scene.members("a"), Some((0, 5)), "what it had counted stays");
    // It is asked once more meanwhile, and answers that.
    scene.outputs();
    scene.world.pass(100);
    scene.meet(7);
    scene.receive(9, counts(&["c"], 4));
    assert_eq!(scene.totals(), [1, 0, 4]);
}

#[test]
fn totals_are_right_though_members_leave_while_a_departed_node_is_taken_off() {
    let mut scene = clustered_with(ClusterRules { removals_per_turn: 1, ..ClusterRules::default() });
    scene.meet(1);
    let [_, second, third] = ["a", "b", "c"].map(|name| scene.join(name));
    scene.receive(3, counts(&["a", "b", "c", "d"], 1));
    scene.receive(4, BYE);
    scene.wake();
    assert_eq!(scene.totals(), [1, 2, 2, 1]);
    scene.leave(second);
    scene.leave(third);
    scene.join("d");
    assert_eq!(scene.totals(), [1, 1, 1, 2]);
    while scene.is_due() {
        scene.wake();
    }
    assert_eq!(scene.totals(), [1, 0, 0, 1]);
}

#[test]
fn uncounted_members_elsewhere_are_known_until_they_leave_or_their_node_departs() {
    let mut scene = clustered();
    scene.meet(1);
    let report = |from, uncounted| {
        let (sums, age, peak) = (Sums::default(), Age::default(), Peak::default());
        let count = Count { namespace: "a", members: 0, uncounted, waiting: 0, sums, age, peak };
        News::Report { from, to: from + 1, horizon: 0, name: 0, items: vec![Item::Count(count)] }
    };
    scene.receive(3, report(0, 3));
    assert_eq!((scene.members("a"), scene.uncounted("a")), (Some((0, 0)), 3));
    for number in 4..24 {
        scene.pass(4.0);
        scene.receive(number, News::Alive(Alive { version: 1, ..Alive::default() }));
    }
    assert_eq!(scene.uncounted("a"), 3, "it has members, so it is not forgotten");
    scene.receive(24, report(1, 1));
    assert_eq!(scene.uncounted("a"), 1);
    scene.receive(25, BYE);
    scene.pass(0.1);
    assert_eq!((scene.members("a"), scene.uncounted("a")), (Some((0, 0)), 0));
}
