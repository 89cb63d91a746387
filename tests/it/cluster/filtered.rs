//! A filter of packets on a host that drops multicast over loopback: its processes count together by streams, say what is
//! wrong, and are ready.

use std::io::{Read as _, Write as _};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::time::Duration;

use super::hosts::*;
use super::shared_key::names;
use super::siblings;
use audience_kit::*;

/// What a firewall that knows no multicast drops.
const MULTICAST: &str = "ip daddr 224.0.0.0/4";

/// The processes of host 0, which know of each other.
#[track_caller]
fn start<const COUNT: usize>(network: &Network, options: &[&str]) -> [Node; COUNT] {
    let nodes = std::array::from_fn(|_| Node::start(network, 0, options));
    wait_nodes(&nodes, COUNT as u64);
    nodes
}

/// How many siblings a process does not receive over loopback.
fn filtered(node: &Node) -> usize {
    let page = node.ask("/cluster");
    page["troubles"].as_array().unwrap().iter().filter(|trouble| trouble["kind"] == "filtered_loopback").count()
}

fn is_ready(node: &Node) -> bool {
    node.within(|| node.daemon.stats_page("/readyz").status) == 200
}

/// Whether the process holds streams to siblings.
fn has_links(node: &Node) -> bool {
    let list = node.within(|| std::fs::read_to_string("/proc/net/unix").unwrap());
    // State 03: connected. The end at whose door it was knocked has the door's name.
    let is_link = |line: &&str| line.contains("@audience-meter/") && line.split_whitespace().nth(5) == Some("03");
    list.lines().filter(is_link).count() > 0
}

/// Drops multicast as it goes out, so that sends fail.
fn filter_output(network: &Network) {
    let rules = format!(
        "add table inet output; add chain inet output output {{ type filter hook output priority 0; }}; \
         add rule inet output output {MULTICAST} drop"
    );
    run("ip", &["netns", "exec", &network.hosts[0], "nft", &rules]);
}

/// Members come and go, and all processes agree.
#[track_caller]
fn agree(network: &Network, nodes: &[Node], before: u64) {
    let crowds = [crowd(network, 0, 4), crowd(network, 0, 5)];
    wait_all(nodes, "members", before + 9);
    let [first, _second] = crowds;
    drop(first);
    wait_all(nodes, "members", before + 5);
}

#[test]
fn siblings_count_together_while_multicast_is_filtered_and_say_so() {
    let Some(network) = Network::build() else { return };
    let nodes = start::<3>(&network, &[]);
    let _crowd = crowd(&network, 0, 6);
    wait_all(&nodes, "members", 6);
    wait_until("that there is no link while all is well", || nodes.iter().all(|node| !has_links(node)));
    network.filter(0, MULTICAST);
    for node in &nodes {
        wait_until("that it says so", || filtered(node) == 2);
        node.daemon.wait_log("the warning", |line| line.contains("event=cluster_trouble kind=filtered_loopback "));
    }
    agree(&network, &nodes, 6);
    for node in &nodes {
        assert!(is_ready(node) && node.nodes() == 3, "{}", node.answers());
        let page = node.ask("/cluster");
        assert_eq!(page["datagrams"]["dropped"], serde_json::json!({}), "each datagram comes once: {page}");
    }
    let answer = nodes[0].within(|| nodes[0].daemon.notify("/ns/chat/hello"));
    assert!(answer.status == 200 && !answer.body.contains("unconfirmed"), "messages go by links, too: {answer:?}");
    network.filter_nothing(0);
    for node in &nodes {
        wait_until("that it is over", || filtered(node) == 0);
    }
    wait_until("that no link is left", || !has_links(&nodes[0]));
    agree(&network, &nodes, 6);
}

#[test]
fn a_process_that_starts_behind_a_filter_knows_the_truth_before_it_serves() {
    let Some(network) = Network::build() else { return };
    network.filter(0, MULTICAST);
    let first = Node::start(&network, 0, &["-d"]);
    let _crowd = crowd(&network, 0, 6);
    wait_all([&first], "members", 6);
    let second = Node::start(&network, 0, &["-d"]);
    assert_eq!(second.stat("members"), 6);
    second.daemon.wait_log("the start", |line| line.contains("event=caught_up ") && line.ends_with(" nodes=2"));
    let nodes = [first, second];
    agree(&network, &nodes, 6);
    for node in &nodes {
        wait_until("that it says so", || filtered(node) == 1);
        assert!(is_ready(node));
    }
}

#[test]
fn what_cannot_be_sent_is_said_and_siblings_count_together() {
    let Some(network) = Network::build() else { return };
    let nodes = start::<2>(&network, &[]);
    filter_output(&network);
    for node in &nodes {
        wait_until("both troubles", || {
            let page = node.ask("/cluster");
            let troubles = page["troubles"].as_array().unwrap();
            let unsent = |kind: &str| troubles.iter().any(|trouble| trouble["kind"] == kind);
            unsent("unsent") && unsent("filtered_loopback")
        });
    }
    agree(&network, &nodes, 0);
}

#[test]
fn a_sibling_that_hangs_is_no_filter() {
    let Some(network) = Network::build() else { return };
    let nodes = start::<3>(&network, &[]);
    let [hung, rest @ ..] = &nodes;
    hung.daemon.signal("STOP");
    wait_nodes(rest, 2);
    pass(Node::TIMEOUT * 2);
    for node in rest {
        assert!(is_ready(node) && filtered(node) == 0, "{}", node.answers());
        assert!(!node.daemon.log().join("\n").contains("filtered_loopback"));
    }
    hung.daemon.signal("CONT");
    wait_nodes(&nodes, 3);
}

#[test]
fn a_sibling_that_hangs_behind_a_filter_is_gone_and_comes_back() {
    let Some(network) = Network::build() else { return };
    let nodes = start::<3>(&network, &[]);
    network.filter(0, MULTICAST);
    for node in &nodes {
        wait_until("that it says so", || filtered(node) == 2);
    }
    nodes[0].daemon.signal("STOP");
    wait_nodes(&nodes[1..], 2);
    assert!(nodes[1..].iter().all(is_ready), "{}", nodes[1].answers());
    nodes[0].daemon.signal("CONT");
    wait_nodes(&nodes, 3);
    agree(&network, &nodes, 0);
    let [killed, rest @ ..] = nodes;
    killed.end("KILL");
    wait_nodes(&rest, 2);
    for node in &rest {
        wait_until("that it says what is there", || filtered(node) == 1 && is_ready(node));
    }
}

#[test]
fn what_one_sibling_receives_from_another_host_reaches_the_others_behind_a_filter() {
    let Some(network) = Network::build() else { return };
    network.filter(0, MULTICAST);
    let here = [0, 0, 0].map(|host| Way::Peers.start(&network, host));
    let there = Way::Peers.start(&network, 1);
    let _crowds = [crowd(&network, 0, 6), crowd(&network, 1, 3)];
    wait_all(here.iter().chain([&there]), "members", 9);
    wait_nodes(&here, 4);
    let _more = crowd(&network, 1, 2);
    wait_all(here.iter().chain([&there]), "members", 11);
}

#[test]
fn siblings_of_a_group_count_together_without_a_network_and_behind_a_filter() {
    let Some(network) = Network::build() else { return };
    let key = ScratchFile::with("filtered-key", "the key of a test of links\n", 0o600);
    let options = ["-m", "239.255.13.37:3140", "--cluster-interface", &address(0), "--cluster-key-file", key.path()];
    let nodes = start::<2>(&network, &options);
    network.filter(0, MULTICAST);
    network.set_interface(0, "down");
    for node in &nodes {
        wait_until("that it says so", || filtered(node) == 1);
    }
    agree(&network, &nodes, 0);
}

#[test]
fn siblings_on_two_ports_count_together_without_their_network() {
    let Some(network) = Network::build() else { return };
    let options = ["-m", "239.255.13.37:3140", "--cluster-interface", &address(0)];
    let one = Node::start(&network, 0, &options);
    let other = Node::start_on(&network, 0, Node::PORT + 1, &options);
    let nodes = [one, other];
    wait_nodes(&nodes, 2);
    network.set_interface(0, "down");
    let _crowd = crowd(&network, 0, 4);
    wait_all(&nodes, "members", 4);
    wait_nodes(&nodes, 2);
    wait_until("that both are ready", || nodes.iter().all(is_ready));
    assert!(nodes.iter().all(|node| filtered(node) == 0));
}

#[test]
fn siblings_count_together_behind_a_filter_under_torture() {
    let Some(network) = Network::build() else { return };
    network.filter(0, MULTICAST);
    let nodes = [1, 2, 3].map(|seed: u64| Node::start(&network, 0, &["--torture", &seed.to_string()]));
    wait_nodes(&nodes, 3);
    agree(&network, &nodes, 0);
}

#[test]
fn a_sibling_that_is_there_and_received_by_no_way_makes_a_process_not_ready() {
    let port = free_port();
    let options = ["--port", &port.to_string()];
    let first = siblings::start(&options);
    let own = names(port).into_iter().find(|name| name.contains("/audience/")).unwrap();
    drop(first);
    // A door that is answered, by a process that says nothing more.
    let door = format!("{}/{:016x}", own.rsplit_once('/').unwrap().0, 7);
    let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&door).unwrap()).unwrap();
    listener.set_nonblocking(true).unwrap();
    let daemon = siblings::start(&[&options[..], &siblings::BRISK].concat());
    let mut guests = Vec::new();
    let mut answer = || {
        while let Ok((mut guest, _)) = listener.accept() {
            // One that did not wait is gone.
            if guest.write_all(&[2, 0, 7, 7, 7, 7, 7, 7, 7, 7]).is_ok() {
                guests.push(guest);
            }
        }
        daemon.stats_page("/readyz")
    };
    wait_until("that it is not ready", || answer().status == 503);
    assert_eq!(answer().body, "a process of this host is there, and its counts do not come\n");
    wait_until("that it says so", || answer().status == 503 && siblings_filtered(&daemon));
    // The link has the name of this process; what comes by it that is no frame ends it.
    let mut hello = [0; 10];
    let found = guests.iter_mut().any(|guest| {
        guest.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        guest.read_exact(&mut hello).is_ok() && guest.write_all(&[0; 64]).is_ok()
    });
    assert!(found && hello[..2] == [2, 0], "{hello:?}");
    drop((listener, guests));
    wait_until("that it is ready", || daemon.stats_page("/readyz").status == 200);
}

fn siblings_filtered(daemon: &Daemon) -> bool {
    let page = cluster_page(daemon);
    page["troubles"].as_array().unwrap().iter().any(|trouble| trouble["kind"] == "filtered_loopback")
}
