//! Addresses that change.

use super::scene::*;
use audience_kit::*;

/// The address that a host has later.
const LATER: &str = "10.77.13.101";

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
