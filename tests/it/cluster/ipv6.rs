//! Groups of IPv6: totals of three hosts, a key, the hop limit, and interfaces that are made anew.

use super::hosts::*;
use audience_kit::*;

/// A group of a site, and one of each link.
const OF_SITE: &str = "[ff15::4d7]:3140";
const OF_LINK: &str = "[ff12::4d7%eth0]:3140";

/// Three hosts with addresses of IPv6.
fn network() -> Option<Network> {
    let network = Network::build()?;
    (0..Network::HOSTS).for_each(|host| network.add_ipv6(host));
    Some(network)
}

/// Two processes at host 0 and one at each other, with a group and further options, once they know of each other.
#[track_caller]
fn start_all(network: &Network, group: &str, options: &[&str]) -> Vec<Node> {
    let options = [&["-m", group], options].concat();
    let nodes = [0, 0, 1, 2].map(|host| Node::start(network, host, &options)).into_iter().collect::<Vec<_>>();
    wait_nodes(&nodes, 4);
    nodes
}

/// What has no effect at a process, by its reason.
fn dropped(node: &Node) -> serde_json::Value {
    node.ask("/cluster")["datagrams"]["dropped"].clone()
}

#[test]
fn totals_agree_with_an_interface_by_the_routes_and_by_name() {
    let by_routes: &[&str] = &[];
    let by_name = ["--cluster-interface", "eth0"];
    for (group, options) in [(OF_SITE, by_routes), (OF_SITE, &by_name), (OF_LINK, by_routes)] {
        let Some(network) = network() else { return };
        let nodes = start_all(&network, group, options);
        let mut crowds = Vec::new();
        for (host, total) in [(0, 4), (1, 7), (2, 9)] {
            crowds.push(crowd(&network, host, 4 - host as u64));
            wait_all(&nodes, "members", total);
        }
        crowds.remove(1);
        wait_all(&nodes, "members", 6);
        wait_all(&nodes, "connections", 9);
        for node in &nodes {
            assert_eq!(dropped(node), serde_json::json!({}), "each datagram comes once: {}", node.answers());
        }
    }
}

#[test]
fn keyed_datagrams_count_and_those_of_another_key_do_not() {
    let Some(network) = network() else { return };
    let keys = ["a key of 16 bytes", "another key of 16"].map(|key| ScratchFile::with("key", key, 0o600));
    let with = |key: usize| ["-m", OF_SITE, "--cluster-key-file", keys[key].path()];
    let nodes = [0, 1].map(|host| Node::start(&network, host, &with(0)));
    let stranger = Node::start(&network, 2, &with(1));
    wait_nodes(&nodes, 2);
    let _crowds = [crowd(&network, 0, 2), crowd(&network, 2, 3)];
    wait_all(&nodes, "members", 2);
    wait_all([&stranger], "members", 3);
    for node in nodes.iter().chain([&stranger]) {
        wait_until("that it drops them", || dropped(node)["forged"].as_u64() > Some(0));
    }
    assert_eq!((nodes[0].nodes(), stranger.nodes()), (2, 1));
}

#[test]
fn datagrams_have_the_hop_limit_that_the_operator_gives() {
    for (options, limit) in [(&[][..], 1), (&["--cluster-ttl", "7"], 7)] {
        let Some(network) = network() else { return };
        let any_but = |limit| format!("meta l4proto udp ip6 daddr ff15::4d7 ip6 hoplimit != {limit}");
        (0..Network::HOSTS).for_each(|host| network.filter(host, &any_but(limit)));
        let nodes = start_all(&network, OF_SITE, options);
        let _crowd = crowd(&network, 0, 2);
        wait_all(&nodes, "members", 2);
        (0..Network::HOSTS).for_each(|host| network.filter_nothing(host));
        network.filter(2, &any_but(limit + 1));
        wait_all(&nodes[3..], "members", 0);
    }
}

#[test]
fn an_interface_that_is_made_anew_is_used_again() {
    let by_name = ["--cluster-interface", "eth0"];
    for (group, options) in [(OF_SITE, &[][..]), (OF_SITE, &by_name), (OF_LINK, &[])] {
        let Some(network) = network() else { return };
        let nodes = start_all(&network, group, options);
        let _crowds = [crowd(&network, 0, 5), crowd(&network, 1, 3)];
        wait_all(&nodes, "members", 8);
        for _ in 0..2 {
            network.delete_interface(0);
            wait_all(&nodes[..2], "members", 5);
            wait_all(&nodes[2..], "members", 3);
            let has_unsent = |node: &Node| node.ask("/cluster")["troubles"][0]["kind"] == "unsent";
            wait_until("the trouble", || nodes[..2].iter().all(has_unsent));
            network.add_interface(0);
            network.add_ipv6(0);
            wait_all(&nodes, "members", 8);
            wait_nodes(&nodes, 4);
            wait_until("that all is well", || nodes.iter().all(|node| !has_unsent(node)));
        }
        // So fast that no process may have seen it gone.
        network.delete_interface(0);
        network.add_interface(0);
        network.add_ipv6(0);
        let _more = crowd(&network, 0, 1);
        wait_all(&nodes, "members", 9);
        let _others = crowd(&network, 2, 1);
        wait_all(&nodes, "members", 10);
    }
}
