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
fn a_process_hangs() {
    let Some(mut scene) = Scene::build(Way::Group) else { return };
    scene.begin_fault(|scene| scene.stop(1));
    scene.settle([13, 13]);
    scene.end_fault(Scene::go_on);
    scene.finish("a process hangs, and goes on", None);
}
