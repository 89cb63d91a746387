//! Many hosts, one audience: three hosts with two processes each tell the same truth, while the network loses datagrams,
//! a host is cut off, processes die and all are replaced.
//!
//! The hosts are network namespaces with an address each, joined by a bridge in a fourth; nothing outside of these four is
//! touched, and they go with the test, whatever its end. Members are streams that `curl` holds open within a host, and stats
//! are asked there too, for they are told on loopback only.
//!
//! Where a machine makes no namespaces (it takes root and iproute2), or lacks nftables or curl, each test says so by its
//! name on the standard error itself, which is shown even of tests that pass.

use std::io::Write as _;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;

use audience_kit::{Daemon, Deadline, SOON, ms, now, program, wait_for, wait_until};

/// How many hosts there are.
const HOSTS: usize = 3;

/// How many processes each has.
const PROCESSES: usize = 2;

/// The audience port. All hosts are the test's own, so it is free.
const PORT: u16 = 3000;

/// Silence is noticed soon, but not taken from a machine that is merely busy.
const BRISK: [&str; 4] = ["--cluster-notify-interval", "0.2", "--cluster-node-timeout", "2"];

/// The timeout in `BRISK`.
const BRISK_TIMEOUT: Duration = ms(2000);

/// What asking all processes may take on a busy machine.
const SLACK: Duration = ms(3000);

// ---------------------------------------------------------------------------------------------
// The network
// ---------------------------------------------------------------------------------------------

/// Three hosts at one switch. All that there is of it is gone when this value is dropped.
pub(crate) struct Network {
    pub(crate) hosts: [String; HOSTS],
    switch: String,
}

impl Network {
    /// Builds it, or says why the test of this name, with its file, is left out.
    pub(crate) fn build(test: &str) -> Option<Self> {
        static BUILT: AtomicU32 = AtomicU32::new(0);
        let prefix = format!("audience-{}-{}", std::process::id(), BUILT.fetch_add(1, Ordering::Relaxed));
        let network = Network {
            hosts: std::array::from_fn(|host| format!("{prefix}-host{host}")),
            switch: format!("{prefix}-switch"),
        };
        let missing = ["nft", "curl"].into_iter().find(|tool| output(tool, &["--version"]).is_err());
        let obstacle = match missing {
            Some(tool) => Err(format!("there is no {tool}")),
            None => output("ip", &["netns", "add", &network.switch]),
        };
        if let Err(why) = obstacle {
            skip(test, &why);
            return None;
        }
        run("ip", &["-n", &network.switch, "link", "add", "bridge", "type", "bridge", "mcast_snooping", "0"]);
        run("ip", &["-n", &network.switch, "link", "set", "bridge", "up"]);
        for host in 0..HOSTS {
            network.add_host(host);
        }
        Some(network)
    }

    fn add_host(&self, host: usize) {
        let (name, switch, cable) = (&*self.hosts[host], &*self.switch, &*cable(host));
        run("ip", &["netns", "add", name]);
        let interface = ["link", "add", "eth0", "netns", name, "type", "veth"];
        run("ip", &[&["-n", switch], &interface[..], &["peer", "name", cable]].concat());
        run("ip", &["-n", switch, "link", "set", cable, "master", "bridge", "up"]);
        run("ip", &["-n", name, "address", "add", &format!("{}/24", address(host)), "dev", "eth0"]);
        for interface in ["lo", "eth0"] {
            run("ip", &["-n", name, "link", "set", interface, "up"]);
        }
        // A cable takes a moment to carry.
        wait_until("the network", || {
            let shown = run("ip", &["-n", switch, "link", "show", cable]);
            shown.contains("state UP")
        });
    }

    /// Pulls the cable of a host, or puts it in again.
    pub(crate) fn set_cable(&self, host: usize, state: &str) {
        run("ip", &["-n", &self.switch, "link", "set", &cable(host), state]);
    }

    /// From now on every host loses a quarter of the datagrams that are for it, those over loopback too.
    fn lose_a_quarter(&self) {
        let rules = "add table inet loss; \
            add chain inet loss input { type filter hook input priority 0; }; \
            add rule inet loss input meta l4proto udp numgen random mod 100 < 25 counter drop";
        for host in &self.hosts {
            run("ip", &["netns", "exec", host, "nft", rules]);
        }
    }

    /// How many datagrams were lost at a host.
    fn lost(&self, host: usize) -> u64 {
        let rules = run("ip", &["netns", "exec", &self.hosts[host], "nft", "list", "chain", "inet", "loss", "input"]);
        let counter = rules.split_once("counter packets ").unwrap().1;
        counter.split(' ').next().unwrap().parse().unwrap()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for name in self.hosts.iter().chain([&self.switch]) {
            // One that was not made yet is not there to be deleted.
            let _ = output("ip", &["netns", "delete", name]);
        }
    }
}

/// The address of a host in its network.
pub(crate) fn address(host: usize) -> String {
    format!("10.77.13.{}", host + 1)
}

/// What a host's cable is called at the switch.
fn cable(host: usize) -> String {
    format!("cable{host}")
}

/// Says that a test is left out, on the standard error itself, and why.
pub(crate) fn skip(test: &str, why: &str) {
    let line = format!("SKIPPED {test}: {}\n", why.trim());
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// Runs a tool; its output, or why it failed.
pub(crate) fn output(tool: &str, args: &[&str]) -> Result<String, String> {
    let Output { status, stdout, stderr } =
        Command::new(tool).args(args).stdin(Stdio::null()).output().map_err(|error| format!("{tool}: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if status.success() { Ok(text(&stdout)) } else { Err(format!("{tool} {args:?}: {}", text(&stderr))) }
}

/// Runs a tool that must succeed; its output.
#[track_caller]
pub(crate) fn run(tool: &str, args: &[&str]) -> String {
    output(tool, args).unwrap_or_else(|error| panic!("{error}"))
}

/// A command within a host.
pub(crate) fn command_in(host: &str, program: &str) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", host, program]);
    command
}

// ---------------------------------------------------------------------------------------------
// Processes and members in it
// ---------------------------------------------------------------------------------------------

/// One process, and the host it runs on.
pub(crate) struct Node {
    pub(crate) daemon: Daemon,
    host: String,
}

/// Streams that are open to a host's processes, until this value is dropped.
pub(crate) struct Crowd(Child);

impl Drop for Crowd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        self.0.wait().unwrap();
    }
}

impl Node {
    #[track_caller]
    pub(crate) fn start(network: &Network, host: usize, options: &[&str]) -> Self {
        let name = &network.hosts[host];
        let port = PORT.to_string();
        let args = [&["-w", "1", "--port", &port, "--drain-delay", "0.2"], &BRISK[..], options].concat();
        Node { daemon: Daemon::start_with(|| command_in(name, program()), &args), host: name.clone() }
    }

    /// What this process answers on its stats port.
    #[track_caller]
    fn ask(&self, path: &str) -> Value {
        let url = format!("http://{}{path}", self.daemon.stats_port());
        let curl = ["netns", "exec", &self.host, "curl", "--silent", "--show-error", "--fail", "--max-time", "5", &url];
        let text = wait_for("an answer of the stats port", || match output("ip", &curl) {
            Ok(text) => Some(text),
            // A client that did not come to speak within 50 ms is taken for one that says nothing, and gets no HTTP.
            Err(error) if error.contains("HTTP/0.9") => None,
            Err(error) => panic!("{error}"),
        });
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text:?}"))
    }

    /// One number of the namespace, 0 if there is none.
    #[track_caller]
    pub(crate) fn stat(&self, key: &str) -> u64 {
        self.ask("/")["ns"][key].as_u64().unwrap_or(0)
    }

    /// All that it says, for a test that failed.
    fn answers(&self) -> String {
        format!("{} {}: {} {}", self.host, self.daemon.pid(), self.ask("/"), self.ask("/cluster"))
    }

    #[track_caller]
    fn nodes(&self) -> u64 {
        self.ask("/cluster")["nodes"].as_u64().unwrap()
    }

    /// How many members are counted at this process.
    #[track_caller]
    fn own_members(&self) -> u64 {
        self.ask("/cluster")["members"][0]["members"].as_u64().unwrap()
    }

    /// Ends the process, with or without a goodbye.
    #[track_caller]
    fn end(mut self, signal: &str) {
        self.daemon.signal(signal);
        self.daemon.wait_exit();
    }
}

/// So many members of the namespace at a host, at whichever of its processes.
#[track_caller]
fn crowd(network: &Network, host: usize, count: usize) -> Crowd {
    crowd_of(network, host, "127.0.0.1", count)
}

/// So many members of the namespace, who are at one host and come to the address of another.
#[track_caller]
pub(crate) fn crowd_of(network: &Network, host: usize, to: &str, count: usize) -> Crowd {
    // The query is no part of a namespace, so this is one URL for each.
    let url = format!("http://{to}:{PORT}/ns?[1-{count}]");
    let mut command = command_in(&network.hosts[host], "curl");
    command.args(["--silent", "--no-buffer", "--parallel", "--parallel-immediate", "--parallel-max", "100"]);
    command.args(["--header", "Accept: text/event-stream", "--output", "/dev/null", &url]);
    Crowd(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}

/// Waits until all of these processes say so of the namespace.
#[track_caller]
fn wait_all<'a>(nodes: impl IntoIterator<Item = &'a Node>, key: &str, value: u64) {
    let nodes: Vec<&Node> = nodes.into_iter().collect();
    let deadline = Deadline::after(SOON);
    while !nodes.iter().all(|node| node.stat(key) == value) {
        if deadline.left().is_none() {
            let answers: Vec<String> = nodes.iter().map(|node| node.answers()).collect();
            panic!("{key} is not {value} within {SOON:?}:\n{}", answers.join("\n"));
        }
    }
}

/// All of these processes know of each other and of no more.
#[track_caller]
fn wait_nodes(nodes: &[Node], count: u64) {
    for (index, node) in nodes.iter().enumerate() {
        wait_until(&format!("{count} nodes at process {index}"), || node.nodes() == count);
    }
}

/// How the hosts find each other.
#[derive(Clone, Copy)]
enum Way {
    Multicast,
    Peers,
}

impl Way {
    /// What says so to the processes of a host.
    fn options(self, host: usize) -> Vec<String> {
        let others = (0..HOSTS).filter(|&other| other != host).map(|other| format!("{}:{PORT}", address(other)));
        match self {
            Way::Multicast => {
                ["-m", "239.255.13.37:3140", "--cluster-interface", &address(host)].map(str::to_owned).into()
            }
            Way::Peers => vec!["--cluster-peers".to_owned(), others.collect::<Vec<_>>().join(",")],
        }
    }

    #[track_caller]
    fn start(self, network: &Network, host: usize) -> Node {
        let options = self.options(host);
        Node::start(network, host, &options.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// All processes, those of one host next to each other, once they know of each other.
    #[track_caller]
    fn start_all(self, network: &Network) -> Vec<Node> {
        let hosts = (0..HOSTS).flat_map(|host| [host; PROCESSES]);
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
    let Some(network) = Network::build("hosts::totals_agree_over_multicast") else { return };
    totals_agree(&network, Way::Multicast);
}

#[test]
fn totals_agree_between_peers() {
    let Some(network) = Network::build("hosts::totals_agree_between_peers") else { return };
    totals_agree(&network, Way::Peers);
}

/// A host that is cut off is forgotten on both sides, counts on, and comes back right.
fn cut_and_healed(network: &Network, way: Way) {
    let nodes = way.start_all(network);
    let (rest, cut) = nodes.split_at((HOSTS - 1) * PROCESSES);
    let mut crowds: Vec<Crowd> = (0..HOSTS).map(|host| crowd(network, host, 4)).collect();
    wait_all(&nodes, "members", 12);

    network.set_cable(HOSTS - 1, "down");
    let begun = now();
    wait_all(rest, "members", 8);
    wait_all(cut, "members", 4);
    let taken = now() - begun;
    assert!(taken < BRISK_TIMEOUT + SLACK, "forgotten after {taken:?}");
    wait_nodes(rest, rest.len() as u64);
    wait_nodes(cut, cut.len() as u64);

    // Life goes on, on both sides, and neither hears of the other.
    crowds.push(crowd(network, 0, 3));
    crowds.push(crowd(network, HOSTS - 1, 2));
    crowds.remove(1);
    wait_all(rest, "members", 7);
    wait_all(cut, "members", 6);

    network.set_cable(HOSTS - 1, "up");
    wait_nodes(&nodes, nodes.len() as u64);
    wait_all(&nodes, "members", 13);
    wait_all(&nodes, "connections", 17);
}

#[test]
fn a_host_that_is_cut_off_comes_back_over_multicast() {
    let Some(network) = Network::build("hosts::a_host_that_is_cut_off_comes_back_over_multicast") else { return };
    cut_and_healed(&network, Way::Multicast);
}

#[test]
fn a_host_that_is_cut_off_comes_back_between_peers() {
    let Some(network) = Network::build("hosts::a_host_that_is_cut_off_comes_back_between_peers") else { return };
    cut_and_healed(&network, Way::Peers);
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
    for host in 0..HOSTS {
        assert!(network.lost(host) > 0, "nothing was lost at host {host}");
    }
}

#[test]
fn a_quarter_lost_does_not_stop_convergence_over_multicast() {
    let Some(network) = Network::build("hosts::a_quarter_lost_does_not_stop_convergence_over_multicast") else {
        return;
    };
    lossy(&network, Way::Multicast);
}

#[test]
fn a_quarter_lost_does_not_stop_convergence_between_peers() {
    let Some(network) = Network::build("hosts::a_quarter_lost_does_not_stop_convergence_between_peers") else { return };
    lossy(&network, Way::Peers);
}

/// All processes are replaced one by one, every other one without a goodbye; what was counted is not lost with them.
fn rolling(network: &Network, way: Way) {
    let mut nodes = way.start_all(network);
    let crowds: Vec<Crowd> = (0..HOSTS).map(|host| crowd(network, host, 4)).collect();
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
    let crowds: Vec<Crowd> = (0..HOSTS).map(|host| crowd(network, host, 2)).collect();
    wait_all(&nodes, "members", 6);
    wait_all(&nodes, "connections", 18);
    drop(crowds);
}

#[test]
fn a_rolling_restart_loses_nothing_over_multicast() {
    let Some(network) = Network::build("hosts::a_rolling_restart_loses_nothing_over_multicast") else { return };
    rolling(&network, Way::Multicast);
}

#[test]
fn a_rolling_restart_loses_nothing_between_peers() {
    let Some(network) = Network::build("hosts::a_rolling_restart_loses_nothing_between_peers") else { return };
    rolling(&network, Way::Peers);
}
