//! Processes that end or hang.

use super::scene::*;
use audience_kit::*;

#[test]
fn a_process_is_killed() {
    let Some(mut scene) = Scene::build(Way::Group) else { return };
    scene.begin_fault(|scene| scene.kill(1));
    scene.settle([13, 13]);
    scene.end_fault(|scene| scene.replace(1));
    scene.finish("a process is killed, and another takes its place", None);
}

#[test]
fn members_of_a_killed_process_come_back() {
    let Some(mut scene) = Scene::build(Way::Group) else { return };
    scene.begin_fault(|scene| {
        scene.kill(1);
        scene.come_back(2, 0);
    });
    scene.wait_gone(1);
    scene.settle([ALL, ALL]);
    scene.finish("a process is killed, and its members come back to another", None);
}

#[test]
fn a_process_hangs() {
    let Some(mut scene) = Scene::build(Way::Group) else { return };
    scene.begin_fault(|scene| scene.stop(1));
    scene.settle([13, 13]);
    scene.end_fault(Scene::go_on);
    scene.finish("a process hangs, and goes on", None);
}

/// What comes by unicast comes to any process of the host, also to the one that hangs: so both do, one after the other.
#[test]
fn each_process_of_a_host_of_peers_hangs() {
    let Some(mut scene) = Scene::build(Way::Peers) else { return };
    for (process, rest) in [(0, 14), (1, 13)] {
        scene.begin_fault(|scene| scene.stop(process));
        scene.settle([rest, rest]);
        scene.stay([rest, rest], Node::TIMEOUT * 2);
        scene.end_fault(Scene::go_on);
        scene.wait_counts([ALL, ALL]);
    }
    scene.finish("a process hangs, and goes on", None);
}
