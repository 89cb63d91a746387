//! Hosts that list each other, each with several processes: each process is an ear of its host, and one that hangs deafens
//! none of the others.

use std::net::UdpSocket;

use super::hosts::{crowd, wait_all, wait_nodes};
use audience_kit::*;

/// How many processes each of the two hosts has.
const PROCESSES: usize = 4;

/// How many datagrams are sent from one socket to see which process each comes to.
const PROBES: u64 = 400;

/// Hosts that list both.
fn start(network: &Network, host: usize) -> Node {
    let peers = [0, 1].map(|host| format!("{}:{}", address(host), Node::PORT)).join(",");
    Node::start(network, host, &["--cluster-peers", &peers])
}

/// All processes, those of one host next to each other, once they know of each other.
fn start_all(network: &Network) -> Vec<Node> {
    let nodes: Vec<Node> =
        [0, 1].into_iter().flat_map(|host| [host; PROCESSES]).map(|host| start(network, host)).collect();
    wait_nodes(&nodes, nodes.len() as u64);
    nodes
}

/// How many datagrams each process has dropped.
fn dropped(nodes: &[Node]) -> Vec<u64> {
    let sum = |node: &Node| {
        let page = node.ask("/cluster");
        page["datagrams"]["dropped"].as_object().unwrap().values().filter_map(serde_json::Value::as_u64).sum()
    };
    nodes.iter().map(sum).collect()
}

/// How many datagrams of one socket of another host each process of host 0 receives. They are no datagrams of an audience, so
/// each is dropped where it comes in.
fn probe(network: &Network, nodes: &[Node]) -> Vec<u64> {
    let before = dropped(nodes);
    network.within(2, || {
        let socket = UdpSocket::bind((address(2), 0)).unwrap();
        for _ in 0..PROBES {
            socket.send_to(b"is this an ear?", (address(0), Node::PORT)).unwrap();
        }
    });
    let mut received = Vec::new();
    wait_until("all datagrams to be dropped", || {
        received = dropped(nodes).iter().zip(&before).map(|(after, before)| after - before).collect();
        received.iter().sum::<u64>() >= PROBES
    });
    received
}

#[test]
fn datagrams_of_one_sender_are_spread_over_the_processes_of_a_host() {
    let Some(network) = Network::build() else { return };
    let mut nodes: Vec<Node> = (0..PROCESSES).map(|_| start(&network, 0)).collect();
    wait_nodes(&nodes, PROCESSES as u64);
    // Of each process an equal part is expected, and the deviation of 400 datagrams over 3 or 4 is 9.
    let is_even = |received: &[u64]| {
        let part = PROBES / received.len() as u64;
        received.iter().all(|&count| count.abs_diff(part) < 50)
    };
    wait_until("datagrams to be spread", || is_even(&probe(&network, &nodes)));
    let gone = nodes.remove(0);
    gone.end("TERM");
    wait_nodes(&nodes, nodes.len() as u64);
    wait_until("datagrams to be spread over those that are left", || is_even(&probe(&network, &nodes)));
    nodes.push(start(&network, 0));
    wait_nodes(&nodes, PROCESSES as u64);
    wait_until("datagrams to be spread over the newcomer, too", || is_even(&probe(&network, &nodes)));
}

/// For this number of timeouts all these processes say that there are as many nodes as they are, and this many members.
#[track_caller]
fn stay_right(nodes: &[&Node], members: u64, timeouts: u32) {
    let begun = now();
    while now() - begun < Node::TIMEOUT * timeouts {
        for node in nodes {
            let told = (node.nodes(), node.stat("members"));
            assert_eq!(told, (nodes.len() as u64, members), "{}", node.answers());
        }
    }
}

#[test]
fn a_process_that_hangs_takes_no_host_from_its_siblings() {
    let Some(network) = Network::build() else { return };
    let nodes = start_all(&network);
    wait_until("datagrams to be spread", || probe(&network, &nodes[..PROCESSES]).iter().all(|&count| count > 0));
    let _crowds = [crowd(&network, 0, 12), crowd(&network, 1, 12)];
    wait_all(&nodes, "members", 24);
    // If all datagrams of a host came to one of its processes, it would be one of these.
    for (index, timeouts) in (0..PROCESSES).zip([3, 1, 1, 1]) {
        let hung = &nodes[index];
        let hung_members = hung.own_members();
        hung.daemon.signal("STOP");
        let living: Vec<&Node> =
            nodes.iter().enumerate().filter(|&(other, _)| other != index).map(|(_, node)| node).collect();
        for node in &living {
            wait_until("the process that hangs to be missed", || node.nodes() == living.len() as u64);
        }
        let crowd = crowd(&network, 1, 5);
        wait_all(living.iter().copied(), "members", 29 - hung_members);
        // No other node is missed, whichever datagrams the process that hangs keeps.
        stay_right(&living, 29 - hung_members, timeouts);
        hung.daemon.signal("CONT");
        wait_nodes(&nodes, nodes.len() as u64);
        wait_all(&nodes, "members", 29);
        drop(crowd);
        wait_all(&nodes, "members", 24);
    }
    wait_all(&nodes, "connections", 24 + 5 * PROCESSES as u64);
}
