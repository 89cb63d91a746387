//! Hosts that end together: each event is reported by one of them, whatever way their goodbyes take.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::hosts::*;
use audience_kit::*;

/// How often all hosts end.
const ROUNDS: usize = 4;

/// How many members are at each host.
const MEMBERS: u64 = 4;

/// All hosts are told to end within 10 ms, again and again.
fn end_together(network: &Network, way: Way, file: &str) {
    for round in 0..ROUNDS {
        let paths: Vec<PathBuf> = (0..Network::HOSTS)
            .map(|host| std::env::temp_dir().join(format!("audience-meter-it-{}-{file}-{host}", std::process::id())))
            .collect();
        let start = |(host, path): (usize, &PathBuf)| {
            let _ = fs::remove_file(path);
            let options = [way.options(host), vec!["--report-file".to_owned(), path.to_str().unwrap().to_owned()]];
            let options = options.concat();
            Node::start(network, host, &options.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let nodes: Vec<Node> = paths.iter().enumerate().map(start).collect();
        wait_nodes(&nodes, nodes.len() as u64);
        let crowds: Vec<Crowd> = (0..Network::HOSTS).map(|host| crowd(network, host, MEMBERS)).collect();
        wait_all(&nodes, "members", MEMBERS * nodes.len() as u64);
        for node in &nodes {
            node.daemon.signal("TERM");
        }
        for mut node in nodes {
            assert!(node.daemon.wait_exit().success());
        }
        drop(crowds);
        let lines: Vec<String> = paths
            .iter()
            .flat_map(|path| fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect::<Vec<_>>())
            .collect();
        let [line] = &lines[..] else { panic!("in round {round}: {lines:?}") };
        let report: Value = serde_json::from_str(line).unwrap();
        let counted = report["connections"].as_u64();
        assert_eq!((report["namespace"].as_str(), counted), (Some("ns"), Some(MEMBERS * Network::HOSTS as u64)));
        for path in &paths {
            fs::remove_file(path).unwrap();
        }
    }
}

#[test]
fn hosts_that_list_each_other_and_end_together_report_once() {
    let Some(network) = Network::build() else { return };
    end_together(&network, Way::Peers, "peers");
}

#[test]
fn hosts_in_one_group_that_end_together_report_once() {
    let Some(network) = Network::build() else { return };
    end_together(&network, Way::Multicast, "group");
}
