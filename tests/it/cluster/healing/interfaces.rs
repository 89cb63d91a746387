//! Interfaces that come and go, addresses that change, and filters.

use super::scene::*;
use audience_kit::*;

/// The address that a host has later.
const LATER: &str = "10.77.13.101";

/// What the host sends does not leave it by this way, which both of its processes say, until it is mended.
#[track_caller]
fn lose(way: Way, lose: fn(&Network), counts: [u64; 2], says: &str, mend: fn(&Network), fault: &'static str) {
    let Some(mut scene) = Scene::build(way) else { return };
    scene.begin_fault(|scene| lose(&scene.network));
    scene.settle(counts);
    scene.wait_unsent(HERE, says);
    scene.end_fault(|scene| mend(&scene.network));
    scene.wait_sent();
    scene.finish(fault, Some("unsent"));
}

fn delete(network: &Network) {
    network.delete_interface(HERE);
}

fn make_anew(network: &Network) {
    network.add_interface(HERE);
}

#[test]
fn an_interface_is_deleted() {
    lose(Way::Group, delete, [3, 12], "group:", make_anew, "an interface is deleted, and made anew");
}

#[test]
fn an_interface_of_peers_is_deleted() {
    lose(Way::Peers, delete, [3, 12], "unicast:", make_anew, "an interface is deleted, and made anew");
}

#[test]
fn an_interface_is_set_down() {
    let down = |network: &Network| network.set_interface(HERE, "down");
    let up = |network: &Network| network.set_interface(HERE, "up");
    lose(Way::Group, down, [3, 12], "group:", up, "an interface is set down, and up again");
}

/// What the other host sends still comes.
#[test]
fn an_address_is_taken_away() {
    let take = |network: &Network| network.set_address(HERE, "delete", &address(HERE));
    let give = |network: &Network| network.set_address(HERE, "add", &address(HERE));
    lose(Way::Group, take, [ALL, 12], "group:", give, "an address is taken away, and given back");
}

#[test]
fn an_address_changes() {
    let Some(network) = Network::build() else { return };
    for host in [HERE, THERE] {
        run("ip", &["-n", &network.hosts[host], "route", "add", "224.0.0.0/4", "dev", "eth0"]);
    }
    let mut scene = Scene::with(network, Way::Group, |_| ["-m", GROUP].map(str::to_owned).into());
    scene.begin_fault(|scene| change_address(&scene.network));
    scene.settle([ALL, ALL]);
    scene.stay([ALL, ALL], Node::TIMEOUT * 2);
    scene.finish("an address changes, without `--cluster-interface`", None);
}

#[test]
fn an_address_of_peers_changes() {
    let Some(mut scene) = Scene::build(Way::Peers) else { return };
    scene.begin_fault(|scene| change_address(&scene.network));
    scene.settle([ALL, ALL]);
    scene.stay([ALL, ALL], Node::TIMEOUT * 2);
    scene.finish("an address changes", None);
}

fn change_address(network: &Network) {
    network.set_address(HERE, "delete", &address(HERE));
    network.set_address(HERE, "add", LATER);
    let route = ["route", "replace", "224.0.0.0/4", "dev", "eth0"];
    run("ip", &[&["-n", &network.hosts[HERE]], &route[..]].concat());
}

#[test]
fn multicast_is_filtered_on_loopback() {
    let Some(mut scene) = Scene::build(Way::Peers) else { return };
    scene.begin_fault(|scene| scene.network.filter(HERE, "ip daddr 224.0.0.0/4"));
    scene.settle([ALL, ALL]);
    scene.stay([ALL, ALL], Node::TIMEOUT * 2);
    scene.wait_trouble(HERE, "filtered_loopback");
    scene.end_fault(|scene| scene.network.filter_nothing(HERE));
    scene.finish("a host drops multicast, on loopback too", Some("filtered_loopback"));
}
