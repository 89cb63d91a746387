//! How soon all nodes are whole after an outage: within two announcements of a quiet node.

use super::super::hosts::wait_nodes;
use super::{join, wait_members};
use audience_kit::*;

/// `--cluster-notify-interval`, the longest interval between the announcements of a node, and twice of it.
const INTERVAL: &str = "1";
const TWO_INTERVALS: std::time::Duration = ms(2_000);

#[test]
fn all_nodes_are_whole_within_two_announcements_once_they_are_back() {
    let _quiet = timed();
    for program in Program::ALL {
        let Some(network) = Network::build() else { return };
        let mut broker = Broker::start_at(&network, 0, program, &[]);
        let (url, port) = (broker.url(), Node::PORT.to_string());
        let options = ["-m", &url, "--port", &port];
        let rules = ["--cluster-notify-interval", INTERVAL, "--cluster-node-timeout", "3"];
        let start = |host| Node::start_plain(&network, host, &[&options[..], &rules].concat());
        let nodes = (0..Network::HOSTS).map(start).collect::<Vec<_>>();
        wait_nodes(&nodes, 3);
        let mut open = nodes.iter().map(|node| join(node, "/ns")).collect::<Vec<_>>();
        wait_members(&nodes, 3);
        for round in 1..=3 {
            broker.kill();
            wait_members(&nodes[1..2], 1);
            // What changes meanwhile at each node, and an event that nobody else knows.
            for node in &nodes {
                open.push(join(node, &format!("/round{round}")));
            }
            broker.start_again();
            let is_back = |node: &Node| {
                let log = node.daemon.log();
                log.iter().filter(|line| line.contains(" event=broker_reached ")).count() == round + 1
            };
            wait_until("that all are back", || nodes.iter().all(is_back));
            let back = now();
            let is_whole = |node: &Node| {
                let stats = node.ask("/");
                stats["ns"]["members"] == 3 && stats[format!("round{round}")]["members"] == 3 && node.nodes() == 3
            };
            wait_until("that all are whole", || nodes.iter().all(is_whole));
            assert!(back.elapsed() < TWO_INTERVALS, "{program:?}: {:?}", back.elapsed());
        }
    }
}
