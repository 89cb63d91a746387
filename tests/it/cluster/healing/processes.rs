//! Processes that end or hang.

use super::scene::*;

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
