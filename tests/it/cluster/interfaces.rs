//! Interfaces that are made anew again and again: the processes of a host count together meanwhile, say that they cannot send,
//! and all hosts count together again when the network is back. (`healing` has what happens once.)

use std::fs;

use super::hosts::*;
use audience_kit::*;

/// Two processes at host 0 and one at host 1, with members at each.
struct Scene {
    network: Network,
    here: [Node; 2],
    there: Node,
    _crowds: [Crowd; 2],
}

/// The number of members at host 0, and at both.
const HERE: u64 = 8;
const ALL: u64 = 11;

impl Scene {
    fn on(network: Network, start: impl Fn(&Network, usize) -> Node) -> Self {
        let here = [0, 0].map(|host| start(&network, host));
        let there = start(&network, 1);
        let crowds = [crowd(&network, 0, HERE), crowd(&network, 1, ALL - HERE)];
        let scene = Self { network, here, there, _crowds: crowds };
        scene.is_one();
        scene
    }

    /// All count together.
    #[track_caller]
    fn is_one(&self) {
        wait_all(self.here.iter().chain([&self.there]), "members", ALL);
    }

    /// The hosts count apart, and the processes of host 0 together; these say that they cannot send.
    #[track_caller]
    fn is_apart(&self) {
        wait_all(&self.here, "members", HERE);
        wait_all([&self.there], "members", ALL - HERE);
        for node in &self.here {
            assert_eq!(node.nodes(), 2, "{}", node.answers());
            wait_until("that it says so", || troubles(node).iter().any(|place| place.starts_with("group:")));
        }
    }

    /// All count together, and no trouble is left.
    #[track_caller]
    fn is_whole(&self) {
        self.is_one();
        for node in self.here.iter().chain([&self.there]) {
            wait_until("that all is well", || troubles(node).is_empty());
            let dropped = &node.ask("/cluster")["datagrams"]["dropped"];
            assert_eq!(*dropped, serde_json::json!({}), "a copy is no drop");
        }
    }
}

/// What does not leave a process: by which way, and why.
fn troubles(node: &Node) -> Vec<String> {
    let page = node.ask("/cluster");
    let unsent = page["troubles"].as_array().unwrap().iter().filter(|trouble| trouble["kind"] == "unsent");
    unsent.map(|trouble| trouble["address"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_interface_by_the_routes_may_be_made_anew_more_often_than_a_socket_may_join() {
    let Some(network) = Network::build() else { return };
    let add_route = |network: &Network, host: usize| {
        run("ip", &["-n", &network.hosts[host], "route", "add", "224.0.0.0/4", "dev", "eth0"]);
    };
    for host in [0, 1] {
        network.within(host, || fs::write("/proc/sys/net/ipv4/igmp_max_memberships", "2").unwrap());
        add_route(&network, host);
    }
    let scene = Scene::on(network, |network, host| Node::start(network, host, &["-m", "239.255.13.37:3140"]));
    for _ in 0..4 {
        scene.network.delete_interface(0);
        scene.is_apart();
        scene.network.add_interface(0);
        add_route(&scene.network, 0);
        scene.is_whole();
    }
}
