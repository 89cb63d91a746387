//! Hosts that are listed by a name are followed: what it stands for changes while the processes run.

use super::hosts::*;
use audience_kit::*;

/// The list of a process that only answers: there is no such host.
const NOBODY: &str = "10.77.13.99:3000";

/// Starts a process at a host that lists these peers.
#[track_caller]
fn start(network: &Network, host: usize, peers: &str) -> Node {
    Node::start(network, host, &["--cluster-peers", peers])
}

/// Waits for a line of a process about a trouble with a name.
#[track_caller]
fn wait_trouble(node: &Node, event: &str) -> String {
    node.daemon.wait_log(event, |line| line.contains(&format!(" event={event} kind=missing_name ")))
}

#[test]
fn a_name_that_stands_for_nothing_is_a_warning_and_is_found_later() {
    let Some(network) = Network::build() else { return };
    let resolver = Resolver::start(&network);
    let nodes = [start(&network, 0, "late.test:3000"), start(&network, 1, NOBODY)];
    let line = wait_trouble(&nodes[0], "cluster_trouble");
    assert!(line.contains(" address=late.test:3000 "), "{line}");
    assert_eq!(nodes[0].within(|| nodes[0].daemon.stats_page("/readyz").status), 200);
    let _crowds = [crowd(&network, 0, 2), crowd(&network, 1, 3)];
    wait_all([&nodes[0]], "members", 2);
    wait_all([&nodes[1]], "members", 3);
    resolver.set("late.test", &[address(1)]);
    wait_all(&nodes, "members", 5);
    wait_trouble(&nodes[0], "cluster_trouble_over");
    assert_eq!(nodes[0].ask("/cluster")["troubles"], serde_json::json!([]), "{}", nodes[0].answers());
}

#[test]
fn members_are_replaced_one_by_one_each_with_a_new_address() {
    let Some(network) = Network::build() else { return };
    let resolver = Resolver::start(&network);
    let mut addresses: Vec<String> = (0..Network::HOSTS).map(address).collect();
    resolver.set("members.test", &addresses);
    let begin = |host| (start(&network, host, "members.test:3000"), crowd(&network, host, host as u64 + 2));
    let mut members: Vec<_> = (0..Network::HOSTS).map(begin).collect();
    wait_all(members.iter().map(|(node, _)| node), "members", 9);
    for (connections, host) in [(11, 0), (14, 1), (18, 2)] {
        let (gone, crowd) = members.remove(0);
        drop(crowd);
        gone.end("TERM");
        wait_all(members.iter().map(|(node, _)| node), "members", 9 - (host as u64 + 2));
        network.set_address(host, "delete", &addresses[host]);
        addresses[host] = format!("10.77.13.{}", host + 11);
        network.set_address(host, "add", &addresses[host]);
        // The name service learns of a member when it is there.
        members.push(begin(host));
        resolver.set("members.test", &addresses);
        wait_all(members.iter().map(|(node, _)| node), "members", 9);
        wait_all(members.iter().map(|(node, _)| node), "connections", connections);
    }
}

#[test]
fn a_host_that_moves_is_followed_and_a_silent_name_server_holds_nothing_up() {
    let Some(network) = Network::build() else { return };
    let resolver = Resolver::start(&network);
    resolver.set("rest.test", &[address(1)]);
    let nodes = [start(&network, 0, "rest.test:3000"), start(&network, 1, NOBODY), start(&network, 2, NOBODY)];
    let _crowds = [crowd(&network, 0, 2), crowd(&network, 1, 3), crowd(&network, 2, 4)];
    wait_all(&nodes[..2], "members", 5);
    resolver.set_silent(true);
    let pid = nodes[0].daemon.pid();
    // It is looked up every 30 s.
    let deadline = Deadline::after(SOON * 2);
    while children(pid).is_empty() {
        assert!(deadline.left().is_some(), "the name is not looked up again");
        pass(ms(20));
    }
    let begun = now();
    while !children(pid).is_empty() {
        assert_eq!(children(pid).len(), 1);
        let asked = now();
        assert_eq!(nodes[0].stat("members"), 5, "what was found stays");
        assert!(asked.elapsed() < ms(2_000), "the name server holds the loop up: {:?}", asked.elapsed());
    }
    assert!(begun.elapsed() < ms(8_000), "a look-up ends after 5 s, not {:?}", begun.elapsed());
    wait_trouble(&nodes[0], "cluster_trouble");
    resolver.set("rest.test", &[address(2)]);
    resolver.set_silent(false);
    wait_all([&nodes[2]], "members", 6);
    wait_trouble(&nodes[0], "cluster_trouble_over");
}
