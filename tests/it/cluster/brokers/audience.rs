//! What an audience is promised, over each kind of broker: totals, messages in order, uuids, one report of each event.

use std::fs;

use serde_json::Value;

use super::super::hosts::wait_nodes;
use super::super::totals::messages;
use super::{join, start, start_all, wait_members};
use audience_kit::*;

/// Does something with a broker of each kind and three hosts.
fn with_each(act: impl Fn(&Network, &Broker)) {
    for program in Program::ALL {
        let Some(network) = Network::build() else { return };
        let broker = Broker::start_at(&network, 0, program, &[]);
        act(&network, &broker);
    }
}

#[test]
fn totals_are_those_of_all_hosts_and_a_newcomer_has_them_at_once() {
    // A newcomer waits a moment for the answers of the others, and no longer.
    let _quiet = timed();
    with_each(|network, broker| {
        let mut nodes = start_all(network, &broker.url(), &[]);
        let mut open = Vec::new();
        for (index, node) in nodes.iter().cycle().take(9).enumerate() {
            open.push(join(node, "/ns"));
            wait_members(&nodes, index as u64 + 1);
        }
        open.truncate(4);
        wait_members(&nodes, 4);
        let connections = nodes.iter().map(|node| node.stat("connections"));
        assert_eq!(connections.collect::<Vec<_>>(), [9; 3]);
        let newcomer = Node::start_on(network, 1, Node::PORT + 1, &["-m", &broker.url()]);
        let mut stream = newcomer.within(|| Stream::join(newcomer.daemon.audience(), "/ns"));
        assert_eq!(stream.next_count(SOON), 5, "the first count that a newcomer pushes");
        nodes.push(newcomer);
        wait_members(&nodes, 5);
    });
}

#[test]
fn messages_come_once_and_in_the_order_of_each_sender() {
    const EACH: usize = 50;
    // A message is confirmed within a second, or the answer says that it is not.
    let _quiet = timed();
    with_each(|network, broker| {
        let nodes = start_all(network, &broker.url(), &[]);
        let mut open = nodes.iter().map(|node| join(node, "/ns")).collect::<Vec<_>>();
        wait_members(&nodes, 3);
        std::thread::scope(|scope| {
            for (sender, node) in nodes.iter().enumerate() {
                scope.spawn(move || {
                    for number in 0..EACH {
                        let reply = node.within(|| node.daemon.notify(&format!("/ns/from{sender}/{number}")));
                        assert_eq!(reply.expect_confirmed(), 3);
                    }
                });
            }
        });
        for stream in &mut open {
            let received = messages(stream, 3 * EACH);
            for sender in 0..3 {
                let name = format!("from{sender}=");
                let numbers = received.iter().filter_map(|text| text.strip_prefix(&name));
                let expected = (0..EACH).map(|number| number.to_string());
                assert!(numbers.eq(expected), "of {sender}: {received:?}");
            }
        }
    });
}

#[test]
fn of_one_uuid_the_newest_stays_whichever_host_it_is_at() {
    with_each(|network, broker| {
        let nodes = start_all(network, &broker.url(), &["--enable-uuid"]);
        let mut latest = join(&nodes[0], "/ns/me");
        let _other = join(&nodes[1], "/ns/you");
        for turn in 1..6 {
            let newer = join(&nodes[turn % 3], "/ns/me");
            latest.wait_farewell();
            wait_members(&nodes, 2);
            latest = newer;
        }
    });
}

#[test]
fn hosts_that_end_together_report_an_event_once() {
    with_each(|network, broker| {
        let folder = ScratchFolder::create("reports");
        let paths = (0..Network::HOSTS).map(|host| folder.file(&host.to_string())).collect::<Vec<_>>();
        let nodes = paths
            .iter()
            .enumerate()
            .map(|(host, path)| start(network, host, &broker.url(), &["--report-file", path.to_str().unwrap()]));
        let nodes = nodes.collect::<Vec<_>>();
        wait_nodes(&nodes, 3);
        let _open = nodes.iter().map(|node| join(node, "/ns")).collect::<Vec<_>>();
        wait_members(&nodes, 3);
        for node in &nodes {
            node.daemon.signal("TERM");
        }
        for mut node in nodes {
            assert!(node.daemon.wait_exit().success());
        }
        let reports = paths.iter().filter_map(|path| fs::read_to_string(path).ok()).collect::<String>();
        let [report] = reports.lines().collect::<Vec<_>>()[..] else { panic!("{reports}") };
        let report = serde_json::from_str::<Value>(report).unwrap();
        assert_eq!((report["namespace"].as_str(), report["connections"].as_u64()), (Some("ns"), Some(3)));
    });
}

#[test]
fn keyed_datagrams_count_and_those_of_another_key_do_not() {
    with_each(|network, broker| {
        let keys = ["a key of 16 bytes", "another key of 16"].map(|key| ScratchFile::with("key", key, 0o600));
        let with_key = |key: usize| ["--cluster-key-file", keys[key].path()];
        let nodes = (0..2).map(|host| start(network, host, &broker.url(), &with_key(0))).collect::<Vec<_>>();
        let stranger = start(network, 2, &broker.url(), &with_key(1));
        wait_nodes(&nodes, 2);
        let mut open = nodes.iter().map(|node| join(node, "/ns")).collect::<Vec<_>>();
        open.push(join(&stranger, "/ns"));
        wait_members(&nodes, 2);
        wait_until("that foreign datagrams are dropped", || {
            nodes[0].ask("/cluster")["datagrams"]["dropped"]["forged"].as_u64() > Some(0)
        });
        assert_eq!((nodes[0].nodes(), stranger.nodes(), stranger.stat("members")), (2, 1, 1));
    });
}
