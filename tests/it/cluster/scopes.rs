//! Audiences on one network that are not the same stay apart: by their group and by their name, whatever carries their
//! datagrams from one to the other, and though they share a key.

use super::hosts::*;
use audience_kit::*;

/// One key for all audiences of these tests.
fn key() -> ScratchFile {
    ScratchFile::with("shared-key", "the key of two audiences\n", 0o600)
}

/// Starts a process of a group at a host.
#[track_caller]
fn start(network: &Network, host: usize, group: &str, options: &[&str]) -> Node {
    let here = address(host);
    Node::start(network, host, &[&["-m", group, "--cluster-interface", &here], options].concat())
}

/// The number of datagrams that a process has dropped because they are of another audience.
#[track_caller]
fn foreign(node: &Node) -> u64 {
    node.ask("/cluster")["datagrams"]["dropped"]["foreign_audience"].as_u64().unwrap_or(0)
}

/// Two processes at host 0 and one at host 1 are two audiences: so they count, and they drop each other's datagrams.
#[track_caller]
fn are_apart(network: &Network, here: &[Node], there: &Node) {
    let _crowds = [crowd(network, 0, 3), crowd(network, 1, 2)];
    wait_all(here, "members", 3);
    wait_all([there], "members", 2);
    wait_until("datagrams of the other audience", || here.iter().chain([there]).all(|node| foreign(node) > 10));
    wait_nodes(here, 2);
    assert_eq!((here[0].stat("connections"), here[1].stat("connections")), (3, 3));
    assert_eq!((there.nodes(), there.stat("members"), there.stat("connections")), (1, 2, 2));
}

#[test]
fn groups_with_one_key_stay_apart_though_a_relay_joins_them() {
    let Some(network) = Network::build() else { return };
    let groups = ["239.255.13.37:3140", "239.255.13.38:3141"];
    let Some(_relay) = Relay::start(&network, 2, &groups) else { return };
    let key = key();
    let options = ["--cluster-key-file", key.path()];
    let here = [0, 0].map(|host| start(&network, host, groups[0], &options));
    let there = start(&network, 1, groups[1], &options);
    are_apart(&network, &here, &there);
}

#[test]
fn names_on_one_group_stay_apart() {
    let Some(network) = Network::build() else { return };
    let group = "239.255.13.37:3140";
    let here = [0, 0].map(|host| start(&network, host, group, &["--cluster-name", "one"]));
    let there = start(&network, 1, group, &["--cluster-name", "two"]);
    are_apart(&network, &here, &there);
}

#[test]
fn names_among_peers_stay_apart() {
    let Some(network) = Network::build() else { return };
    let peers = [0, 1].map(|host| format!("{}:{}", address(host), Node::PORT)).join(",");
    let key = key();
    let options = |name| ["--cluster-key-file", key.path(), "--cluster-peers", &peers, "--cluster-name", name];
    let here = [0, 0].map(|host| Node::start(&network, host, &options("one")));
    let there = Node::start(&network, 1, &options("two"));
    let _crowds = [crowd(&network, 0, 3), crowd(&network, 1, 2)];
    wait_all(&here, "members", 3);
    wait_all([&there], "members", 2);
    // Each of two siblings receives a part of what comes by unicast, and passes nothing on that is of another audience. The other
    // process sends everything twice, once over its loopback.
    let received = || foreign(&here[0]) + foreign(&here[1]);
    wait_until("datagrams of the other audience", || received() > 10 && foreign(&there) > 10);
    let (received, sent) = (received(), there.ask("/cluster")["datagrams"]["sent"].as_u64().unwrap());
    assert!(received <= sent / 2, "{received} of {sent}");
    wait_nodes(&here, 2);
    assert_eq!(there.nodes(), 1);
}
