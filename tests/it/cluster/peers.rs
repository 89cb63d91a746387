//! Hosts that list each other: all addresses of a name are used, and of a host's processes one receives each datagram, for all.

use std::fs;
use std::process::{Child, Stdio};

use super::hosts::*;
use audience_kit::*;

/// Starts a process at a host that lists these peers.
#[track_caller]
fn start(network: &Network, host: usize, peers: &str) -> Node {
    Node::start(network, host, &["--cluster-peers", peers])
}

/// The audience ports of these hosts, as a list.
fn list(hosts: &[usize]) -> String {
    hosts.iter().map(|&host| format!("{}:{}", address(host), Node::PORT)).collect::<Vec<_>>().join(",")
}

/// No process has dropped a datagram, failed to send one, or met a trouble.
#[track_caller]
fn have_no_trouble(nodes: &[Node]) {
    for node in nodes {
        have_dropped_nothing([node]);
        assert_eq!(node.ask("/cluster")["troubles"], serde_json::json!([]), "{}", node.answers());
    }
}

/// No process has dropped a datagram or failed to send one.
#[track_caller]
fn have_dropped_nothing<'a>(nodes: impl IntoIterator<Item = &'a Node>) {
    for node in nodes {
        let datagrams = &node.ask("/cluster")["datagrams"];
        assert_eq!(datagrams["dropped"], serde_json::json!({}), "{}", node.answers());
        assert_eq!(datagrams["send_errors"], 0, "{}", node.answers());
    }
}

#[test]
fn siblings_of_the_process_that_receives_learn_of_the_other_host() {
    let Some(network) = Network::build() else { return };
    // Each host has the same list, with its own address.
    let peers = list(&[0, 1]);
    let mut nodes: Vec<Node> = [0, 0, 0, 0, 1, 1, 1, 1].map(|host| start(&network, host, &peers)).into();
    wait_nodes(&nodes, 8);
    let mut crowds = vec![crowd(&network, 0, 12), crowd(&network, 1, 8)];
    wait_all(&nodes, "members", 20);
    crowds.remove(0);
    wait_all(&nodes, "members", 8);
    wait_all(&nodes, "connections", 20);
    have_no_trouble(&nodes);

    // Whichever process receives at a host, another one takes its place.
    while nodes.len() > 5 {
        let gone = nodes.remove(4);
        gone.end("TERM");
        wait_nodes(&nodes, nodes.len() as u64);
        wait_all(&nodes, "connections", 20);
    }
    wait_all(&nodes, "members", nodes[4].own_members());
    crowds.push(crowd(&network, 0, 5));
    wait_all(&nodes, "members", 5 + nodes[4].own_members());
}

#[test]
fn all_addresses_of_a_name_are_used() {
    let Some(network) = Network::build() else { return };
    network.name_hosts(0, &format!("{} rest\n{} rest\n", address(1), address(2)));
    let rest = format!("rest:{}", Node::PORT);
    // Each host of the name answers to the first alone, and lists no other.
    let nodes = [start(&network, 0, &rest), start(&network, 1, &list(&[0])), start(&network, 2, &list(&[0]))];
    wait_until("the nodes of a name", || nodes[0].nodes() == 3);
    let _crowds = [crowd(&network, 0, 2), crowd(&network, 1, 3), crowd(&network, 2, 4)];
    wait_all([&nodes[0]], "members", 9);
    wait_all([&nodes[1]], "members", 5);
    wait_all([&nodes[2]], "members", 6);
    have_no_trouble(&nodes);
}

#[test]
fn a_silent_peer_is_named_until_a_process_of_its_host_receives_it() {
    let Some(network) = Network::build() else { return };
    network.name_hosts(0, &format!("{} own\n{} other\n", address(0), address(1)));
    let list = ["own", "other"].map(|name| format!("{name}:{}", Node::PORT)).join(",");
    let nodes = [start(&network, 0, &list), start(&network, 0, &list)];
    let other = format!(" kind=silent_peer address=other:{} ", Node::PORT);
    let log = |node: &Node, event: &str| {
        let is_it = |line: &str| line.contains(&format!(" event={event} kind=silent_peer "));
        node.daemon.wait_log(event, is_it)
    };
    // It takes three timeouts.
    pass(Node::TIMEOUT * 2);
    let warned = nodes.each_ref().map(|node| log(node, "cluster_trouble"));
    assert!(warned.iter().all(|line| line.contains(&other)), "{warned:?}");
    let third = start(&network, 1, &format!("{}:{}", address(0), Node::PORT));
    for node in &nodes {
        log(node, "cluster_trouble_over");
    }
    wait_nodes(&nodes, 3);
    have_no_trouble(&nodes);
    have_no_trouble(&[third]);
}

/// Datagrams that a host has received by unicast since it was asked first.
fn receive_count(network: &Network, host: usize) -> u64 {
    let port = Node::PORT.to_string();
    let rule = format!(
        "add table inet count; add chain inet count input {{ type filter hook input priority 0; }}; \
         add rule inet count input ip daddr {} udp dport {port} counter",
        address(host)
    );
    let nft = |rules: &[&str]| output("ip", &[&["netns", "exec", &network.hosts[host], "nft"], rules].concat());
    let Ok(rules) = nft(&["list", "chain", "inet", "count", "input"]) else {
        nft(&[&rule]).unwrap();
        return 0;
    };
    let counter = rules.split_once("counter packets ").unwrap().1;
    counter.split(' ').next().unwrap().parse().unwrap()
}

/// What a member of the namespace `ns` at a host receives, in a file of its own.
pub(super) struct Listener {
    stream: Child,
    received: ScratchFile,
}

impl Listener {
    #[track_caller]
    pub(super) fn join(network: &Network, host: usize) -> Self {
        let received = ScratchFile::none("received");
        let mut command = command_in(&network.hosts[host], "curl");
        command.args(["--silent", "--no-buffer", "--header", "Accept: text/event-stream", "--output", received.path()]);
        command.arg(format!("http://127.0.0.1:{}/ns", Node::PORT));
        let stream = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self { stream, received }
    }

    /// The messages that have come, in order.
    pub(super) fn messages(&self) -> Vec<String> {
        let received = fs::read_to_string(self.received.path()).unwrap_or_default();
        let texts = received.lines().filter_map(|line| line.strip_prefix("data: "));
        texts.filter(|text| text.contains('=')).map(str::to_owned).collect()
    }

    fn has(&self, text: &str) -> bool {
        fs::read_to_string(self.received.path()).is_ok_and(|received| received.contains(text))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.stream.kill();
        let _ = self.stream.wait();
    }
}

/// Sends a message to the namespace `ns` at a process.
#[track_caller]
fn notify(network: &Network, host: usize, node: &Node, text: &str) {
    let url = format!("http://{}/ns/{text}", node.daemon.notification());
    run("ip", &["netns", "exec", &network.hosts[host], "curl", "--silent", "--fail", "--request", "POST", &url]);
}

/// Host 0 lists host 1, which does not list it: both know the whole truth all the same, until host 0 is gone.
#[track_caller]
fn one_way(processes: usize) {
    let Some(network) = Network::build() else { return };
    receive_count(&network, 0);
    // Host 2 is nowhere.
    let listed: Vec<Node> = (0..processes).map(|_| start(&network, 1, &list(&[2]))).collect();
    let lists: Vec<Node> = (0..processes).map(|_| start(&network, 0, &list(&[1]))).collect();
    for node in lists.iter().chain(&listed) {
        wait_until("the nodes of both hosts", || node.nodes() == 2 * processes as u64);
    }
    let members = [Listener::join(&network, 0), Listener::join(&network, 1)];
    wait_all(lists.iter().chain(&listed), "members", 2);
    notify(&network, 0, &lists[0], "from/lists");
    notify(&network, 1, &listed[0], "from/listed");
    for member in &members {
        wait_until("both messages", || member.has("from=lists") && member.has("from=listed"));
    }
    have_dropped_nothing(lists.iter().chain(&listed));

    assert!(receive_count(&network, 0) > 0);
    for node in lists {
        node.end("KILL");
    }
    wait_nodes(&listed, processes as u64);
    wait_all(&listed, "members", 1);
    pass(Node::TIMEOUT / 2);
    let sent_on = receive_count(&network, 0);
    pass(Node::TIMEOUT);
    assert_eq!(receive_count(&network, 0), sent_on, "the address is forgotten");
}

#[test]
fn a_host_that_is_not_listed_is_answered_and_counted() {
    one_way(1);
}

#[test]
fn siblings_of_a_host_that_is_not_listed_are_answered_and_counted() {
    one_way(3);
}
