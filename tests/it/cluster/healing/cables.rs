//! Cables that are pulled, and directions in which nothing goes through.

use super::super::hosts::wait_all;
use super::scene::*;

/// Members come and go on both sides of the cut, and are counted everywhere after it.
#[track_caller]
fn cut(scene: &mut Scene) {
    scene.begin_fault(|scene| scene.network.set_cable(HERE, "down"));
    scene.settle([3, 12]);
    scene.join_one(0);
    scene.leave_one(3);
    scene.settle([4, 11]);
}

#[test]
fn a_cable_is_pulled() {
    let Some(mut scene) = Scene::build(Way::Group) else { return };
    cut(&mut scene);
    scene.end_fault(|scene| scene.network.set_cable(HERE, "up"));
    wait_all(&scene.nodes, "connections", 16);
    scene.finish("a cable is pulled, and plugged in", None);
}

#[test]
fn a_cable_of_peers_is_pulled() {
    let Some(mut scene) = Scene::build(Way::Peers) else { return };
    cut(&mut scene);
    scene.wait_trouble(HERE, "silent_peer");
    scene.wait_trouble(THERE, "silent_peer");
    scene.end_fault(|scene| scene.network.set_cable(HERE, "up"));
    wait_all(&scene.nodes, "connections", 16);
    scene.finish("a cable is pulled, and plugged in", Some("silent_peer"));
}

/// What the one host sends goes through.
#[track_caller]
fn make_deaf(scene: &mut Scene) {
    scene.begin_fault(|scene| scene.network.filter(HERE, "iifname eth0 meta l4proto udp"));
    scene.settle([3, 15]);
}

#[test]
fn nothing_reaches_a_host() {
    let Some(mut scene) = Scene::build(Way::Group) else { return };
    make_deaf(&mut scene);
    scene.end_fault(|scene| scene.network.filter_nothing(HERE));
    scene.finish("a host receives nothing; what it sends arrives", None);
}

#[test]
fn nothing_reaches_a_host_of_peers() {
    let Some(mut scene) = Scene::build(Way::Peers) else { return };
    make_deaf(&mut scene);
    scene.wait_trouble(HERE, "silent_peer");
    scene.end_fault(|scene| scene.network.filter_nothing(HERE));
    scene.finish("a host receives nothing; what it sends arrives", Some("silent_peer"));
}
