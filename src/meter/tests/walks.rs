//! Walks along the members of a namespace, while members and the namespace itself come and go.

use super::*;

fn begin(scene: &mut Scene, skip_newest: bool) -> WalkId {
    let id = scene.meter.find("a").unwrap();
    scene.meter.begin_walk(id, skip_newest)
}

/// The members that the next steps of a walk visit.
fn steps(scene: &mut Scene, walk: WalkId, most: usize) -> Vec<u32> {
    std::iter::from_fn(|| scene.meter.step_walk(walk)).take(most).map(|member| member.place().get()).collect()
}

/// Members 0 to 5 of "a", 5 the newest.
fn six() -> Scene {
    let mut scene = Scene::new(|_| {});
    for member in 0..6 {
        scene.join(member, "a");
    }
    scene
}

#[test]
fn a_walk_meets_the_members_that_were_there_and_stay() {
    let mut scene = six();
    let (all, others) = (begin(&mut scene, false), begin(&mut scene, true));
    assert_eq!(steps(&mut scene, all, 2), [5, 4]);
    scene.join(6, "a");
    for member in [5, 3, 0] {
        scene.leave(member);
    }
    assert_eq!(steps(&mut scene, all, 9), [2, 1]);
    assert_eq!(steps(&mut scene, others, 9), [4, 2, 1]);
}

#[test]
fn a_walk_ends_when_all_members_leave_and_its_namespace_may_be_forgotten() {
    let mut scene = six();
    let walk = begin(&mut scene, false);
    assert_eq!(steps(&mut scene, walk, 1), [5]);
    for member in 0..6 {
        scene.leave(member);
    }
    scene.pass(61.0);
    assert_eq!(scene.members("a"), Some((0, 6)), "its key is not free while a walk is under way");
    assert!(steps(&mut scene, walk, 9).is_empty());
    scene.pass(0.1);
    assert_eq!(scene.members("a"), None);
    assert_eq!(scene.meter.poll_timeout(), None);
}

#[test]
fn a_restarted_walk_meets_all_members_once_more_and_the_ones_ahead_first() {
    for leaves in 0..7 {
        let mut scene = six();
        let walk = begin(&mut scene, false);
        assert_eq!(steps(&mut scene, walk, 3), [5, 4, 3]);
        scene.meter.restart_walk(walk);
        scene.leave(leaves);
        let expected: Vec<u32> = [2, 1, 0, 5, 4, 3].into_iter().filter(|&member| member != leaves).collect();
        assert_eq!(steps(&mut scene, walk, 9), expected, "{leaves} leaves");
    }
}

#[test]
fn a_restarted_walk_ends_though_its_mark_leaves_on_the_way() {
    for (before, leaves) in (0..6).flat_map(|before| (0..6).map(move |leaves| (before, leaves))) {
        let mut scene = six();
        let walk = begin(&mut scene, false);
        steps(&mut scene, walk, 5);
        scene.meter.restart_walk(walk);
        let mut met = steps(&mut scene, walk, before);
        scene.leave(leaves);
        met.extend(steps(&mut scene, walk, 9));
        let missed = (0..6).filter(|member| !met.contains(member)).collect::<Vec<_>>();
        assert!(missed.is_empty() || missed == [leaves], "{leaves} leaves after {before}: {met:?}");
        assert!(met.len() <= 6, "{leaves} leaves after {before}: {met:?}");
    }
}

#[test]
fn a_restarted_walk_of_a_forgotten_namespace_visits_no_member_of_the_next() {
    let mut scene = Scene::new(|rules| rules.namespace_clean_delay = Duration::ZERO);
    scene.join(0, "a");
    scene.join(1, "a");
    let walk = begin(&mut scene, false);
    scene.meter.restart_walk(walk);
    scene.leave(0);
    scene.leave(1);
    scene.outputs();
    scene.join(2, "b");
    assert!(steps(&mut scene, walk, 9).is_empty());
}
