//! Many hosts, one audience: three hosts with two processes each tell the same truth, while the network loses datagrams,
//! processes die and all are replaced.

use audience_kit::*;

/// How many processes each has.
const PROCESSES: usize = 2;

/// So many members of the namespace at a host, at whichever of its processes.
#[track_caller]
pub(super) fn crowd(network: &Network, host: usize, count: u64) -> Crowd {
    Crowd::join(network, host, "127.0.0.1", count)
}

/// Waits until all of these processes say so of the namespace.
#[track_caller]
pub(super) fn wait_all<'a>(nodes: impl IntoIterator<Item = &'a Node>, key: &str, value: u64) {
    let nodes: Vec<&Node> = nodes.into_iter().collect();
    let deadline = Deadline::after(SOON);
    while !nodes.iter().all(|node| node.stat(key) == value) {
        if deadline.left().is_none() {
            let answers: Vec<String> = nodes.iter().map(|node| node.answers()).collect();
            panic!("{key} is not {value} within {SOON:?}:\n{}", answers.join("\n"));
        }
        pass(ms(5));
    }
}

/// All of these processes know of each other and of no more.
#[track_caller]
pub(super) fn wait_nodes(nodes: &[Node], count: u64) {
    for (index, node) in nodes.iter().enumerate() {
        wait_until(&format!("{count} nodes at process {index}"), || node.nodes() == count);
    }
}

/// How the hosts find each other.
#[derive(Clone, Copy)]
pub(super) enum Way {
    Multicast,
    Peers,
}

impl Way {
    /// What says so to the processes of a host.
    pub(super) fn options(self, host: usize) -> Vec<String> {
        let others = (0..Network::HOSTS)
            .filter(|&other| other != host)
            .map(|other| format!("{}:{}", address(other), Node::PORT));
        match self {
            Way::Multicast => {
                ["-m", "239.255.13.37:3140", "--cluster-interface", &address(host)].map(str::to_owned).into()
            }
            Way::Peers => vec!["--cluster-peers".to_owned(), others.collect::<Vec<_>>().join(",")],
        }
    }

    #[track_caller]
    pub(super) fn start(self, network: &Network, host: usize) -> Node {
        let options = self.options(host);
        Node::start(network, host, &options.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// All processes, those of one host next to each other, once they know of each other.
    #[track_caller]
    fn start_all(self, network: &Network) -> Vec<Node> {
        let hosts = (0..Network::HOSTS).flat_map(|host| [host; PROCESSES]);
        let nodes: Vec<Node> = hosts.map(|host| self.start(network, host)).collect();
        wait_nodes(&nodes, nodes.len() as u64);
        nodes
    }
}

// ---------------------------------------------------------------------------------------------
// Tests, each by both ways
// ---------------------------------------------------------------------------------------------

/// Members come and go at every host; all processes agree on how many they are.
fn totals_agree(network: &Network, way: Way) {
    let nodes = way.start_all(network);
    let mut crowds = Vec::new();
    for (host, total) in [8, 16, 24].into_iter().enumerate() {
        crowds.push(crowd(network, host, 8));
        wait_all(&nodes, "members", total);
    }
    // Both processes of a host have members, most likely; that they all count is what the sum says.
    let own: u64 = nodes.iter().map(Node::own_members).sum();
    assert_eq!(own, 24);
    crowds.remove(1);
    wait_all(&nodes, "members", 16);
    wait_all(&nodes, "connections", 24);
    crowds.clear();
    wait_all(&nodes, "members", 0);
    wait_all(&nodes, "connections", 24);
    for node in &nodes {
        let dropped = &node.ask("/cluster")["datagrams"]["dropped"];
        assert_eq!(*dropped, serde_json::json!({}), "each datagram comes once");
    }
}

#[test]
fn totals_agree_over_multicast() {
    let Some(network) = Network::build() else { return };
    totals_agree(&network, Way::Multicast);
}

#[test]
fn totals_agree_between_peers() {
    let Some(network) = Network::build() else { return };
    totals_agree(&network, Way::Peers);
}

/// With a quarter of all datagrams lost, totals agree soon after each change, a killed process among them.
fn lossy(network: &Network, way: Way) {
    network.lose_a_quarter();
    let mut nodes = way.start_all(network);
    let mut crowds = Vec::new();
    for (host, total) in [5, 10, 15].into_iter().enumerate() {
        crowds.push(crowd(network, host, 5));
        wait_all(&nodes, "members", total);
    }
    crowds.remove(0);
    wait_all(&nodes, "members", 10);

    let dies = nodes.pop().unwrap();
    let members = dies.own_members();
    dies.end("KILL");
    wait_all(&nodes, "members", 10 - members);
    wait_nodes(&nodes, nodes.len() as u64);
    wait_all(&nodes, "connections", 15);
    for host in 0..Network::HOSTS {
        assert!(network.lost(host) > 0, "nothing was lost at host {host}");
    }
}

#[test]
fn a_quarter_lost_does_not_stop_convergence_over_multicast() {
    let Some(network) = Network::build() else {
        return;
    };
    lossy(&network, Way::Multicast);
}

#[test]
fn a_quarter_lost_does_not_stop_convergence_between_peers() {
    let Some(network) = Network::build() else { return };
    lossy(&network, Way::Peers);
}

/// All processes are replaced one by one, every other one without a goodbye; what was counted is not lost with them.
fn rolling(network: &Network, way: Way) {
    let mut nodes = way.start_all(network);
    let crowds: Vec<Crowd> = (0..Network::HOSTS).map(|host| crowd(network, host, 4)).collect();
    wait_all(&nodes, "members", 12);
    let mut members = 12;
    for slot in 0..nodes.len() {
        let newcomer = way.start(network, slot / PROCESSES);
        wait_all([&newcomer], "members", members);
        wait_all([&newcomer], "connections", 12);
        let old = std::mem::replace(&mut nodes[slot], newcomer);
        members -= old.own_members();
        old.end(if slot % 2 == 0 { "TERM" } else { "KILL" });
        wait_all(&nodes, "members", members);
        assert!(nodes.iter().all(|node| node.stat("connections") == 12), "after process {slot}");
    }
    assert_eq!(members, 0, "all streams were at processes that are gone");
    drop(crowds);
    wait_nodes(&nodes, nodes.len() as u64);
    let crowds: Vec<Crowd> = (0..Network::HOSTS).map(|host| crowd(network, host, 2)).collect();
    wait_all(&nodes, "members", 6);
    wait_all(&nodes, "connections", 18);
    drop(crowds);
}

#[test]
fn a_rolling_restart_loses_nothing_over_multicast() {
    let Some(network) = Network::build() else { return };
    rolling(&network, Way::Multicast);
}

#[test]
fn a_rolling_restart_loses_nothing_between_peers() {
    let Some(network) = Network::build() else { return };
    rolling(&network, Way::Peers);
}
