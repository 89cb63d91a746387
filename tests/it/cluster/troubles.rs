//! What makes a total wrong or doubtful is said: one warning, a metric, an entry of the page, and a line when it is over.

use std::net::{Ipv4Addr, UdpSocket};
use std::process::Command;

use serde_json::Value;

use super::hosts::{Way, wait_nodes};
use audience_kit::*;

/// A trouble is over 6 s after it was last seen: 12 node timeouts.
const BRIEF: [&str; 4] = ["--cluster-notify-interval", "0.1", "--cluster-node-timeout", "0.5"];

/// A multicast group on the network, reached over loopback.
struct Group(String);

impl Group {
    fn new() -> Self {
        Self(format!("239.255.13.38:{}", free_port()))
    }

    #[track_caller]
    fn start(&self, options: &[&str]) -> Daemon {
        Daemon::start(&self.args(options))
    }

    fn args<'a>(&'a self, options: &[&'a str]) -> Vec<&'a str> {
        [&["-w", "1", "-m", &self.0, "--cluster-interface", "127.0.0.1"], &BRIEF[..], options].concat()
    }

    /// A socket that sends to groups over loopback.
    fn stranger() -> UdpSocket {
        UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()
    }
}

/// What the daemon says of troubles of a kind.
#[derive(Debug, PartialEq)]
struct Said {
    warnings: usize,
    ends: usize,
    gauge: u64,
    addresses: Vec<String>,
}

#[track_caller]
fn said(daemon: &Daemon, kind: &str) -> Said {
    let log = daemon.log();
    let count = |event: &str| log.iter().filter(|line| line.contains(&format!(" event={event} kind={kind} "))).count();
    let page = cluster_page(daemon);
    let entries = page["troubles"].as_array().unwrap().iter().filter(|trouble| trouble["kind"] == kind);
    let address = |trouble: &Value| trouble["address"].as_str().unwrap_or("others").to_owned();
    let metrics = daemon.stats_page("/metrics").body;
    let label = format!("kind=\"{kind}\"}} ");
    let own = metrics.lines().filter(|line| line.starts_with("audience_meter_cluster_trouble{"));
    let gauges = own.filter_map(|line| line.split_once(&label)).map(|(_, gauge)| gauge.parse().unwrap());
    let gauges = gauges.collect::<Vec<u64>>();
    assert_eq!(gauges.len(), 1, "all kinds are always there: {metrics}");
    Said {
        warnings: count("cluster_trouble"),
        ends: count("cluster_trouble_over"),
        gauge: gauges[0],
        addresses: entries.map(address).collect(),
    }
}

/// The trouble lasts, with one warning that names the place and has the remedy of the page. Returns the place.
#[track_caller]
fn lasts(daemon: &Daemon, kind: &str) -> String {
    daemon.wait_log("the warning", |line| line.contains(&format!(" event=cluster_trouble kind={kind} ")));
    wait_until(&format!("{kind} at /metrics"), || said(daemon, kind).gauge == 1);
    let said = said(daemon, kind);
    let address = said.addresses.first().unwrap_or_else(|| panic!("no place in {said:?}")).clone();
    assert_eq!(said, Said { warnings: 1, ends: 0, gauge: 1, addresses: vec![address.clone()] });
    let page = cluster_page(daemon);
    let entry = page["troubles"].as_array().unwrap().iter().find(|trouble| trouble["kind"] == kind).unwrap();
    let fields = format!("level=warn event=cluster_trouble kind={kind} address={address} ");
    let remedy = format!(" remedy={:?}", entry["remedy"].as_str().unwrap());
    let line = daemon.wait_log("the warning", |line| line.starts_with(&fields));
    assert!(line.ends_with(&remedy), "{line}");
    assert!(entry["count"].as_u64().unwrap() >= 1 && entry["since_s"].as_u64().unwrap() < 60, "{entry}");
    address
}

/// The trouble ends, with one line, and nothing is left of it.
#[track_caller]
fn ends(daemon: &Daemon, kind: &str) {
    daemon.wait_log("its end", |line| line.starts_with(&format!("level=info event=cluster_trouble_over kind={kind} ")));
    wait_until(&format!("the end of {kind} at /metrics"), || said(daemon, kind).gauge == 0);
    assert_eq!(said(daemon, kind), Said { warnings: 1, ends: 1, gauge: 0, addresses: Vec::new() });
}

#[track_caller]
fn has_none(daemon: &Daemon) {
    assert_eq!(cluster_page(daemon)["troubles"], Value::Array(Vec::new()));
    assert!(!daemon.log().iter().any(|line| line.contains("cluster_trouble")), "{:#?}", daemon.log());
}

/// The trouble lasts at both, by the address of the other, and neither counts it.
#[track_caller]
fn are_apart(daemons: [&Daemon; 2], kind: &str) {
    for daemon in daemons {
        assert!(lasts(daemon, kind).starts_with("127.0.0.1:"));
        assert_eq!(nodes(daemon), 1);
    }
}

fn keys() -> [ScratchFile; 2] {
    [1, 2].map(|number| {
        ScratchFile::with(&format!("trouble-key-{number}"), &format!("the key no. {number} of a test\n"), 0o600)
    })
}

#[test]
fn a_loopback_bus_without_a_key_is_said() {
    // Siblings are found in `/proc`, which is not there.
    let command = || {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", "mount -t tmpfs none /proc && exec \"$0\" \"$@\"", program()]);
        command
    };
    if let Err(why) = output("unshare", &["--mount", "true"]) {
        return skip(&why);
    }
    let daemon = Daemon::start_with(command, &BRIEF);
    assert_eq!(lasts(&daemon, "unsealed_loopback"), "loopback");
    // For longer than what no datagram renews.
    pass(ms(7_000));
    assert_eq!(lasts(&daemon, "unsealed_loopback"), "loopback");
    has_none(&Daemon::start(&BRIEF));
}

#[test]
fn different_keys_are_said_at_both_nodes_until_one_is_gone() {
    let group = Group::new();
    let keys = keys();
    let [one, other] = keys.each_ref().map(|key| group.start(&["--cluster-key-file", key.path()]));
    are_apart([&one, &other], "different_key");
    drop(other);
    ends(&one, "different_key");
}

#[test]
fn a_key_here_and_none_there_is_said_at_both_nodes() {
    let group = Group::new();
    let [key, _] = keys();
    let (keyed, unkeyed) = (group.start(&["--cluster-key-file", key.path()]), group.start(&[]));
    lasts(&keyed, "unkeyed");
    lasts(&unkeyed, "keyed_elsewhere");
    drop(unkeyed);
    ends(&keyed, "unkeyed");
}

#[test]
fn another_version_is_said_with_the_address_of_its_sender() {
    let group = Group::new();
    let nodes = [(), ()].map(|()| group.start(&[]));
    wait_until("two nodes", || nodes.iter().all(|daemon| audience_kit::nodes(daemon) == 2));
    nodes.iter().for_each(has_none);
    let stranger = Group::stranger();
    let datagram = [b"AM".as_slice(), &[77], &[0; 40]].concat();
    // A crowd of datagrams is one warning, too.
    for _ in 0..50 {
        stranger.send_to(&datagram, &*group.0).unwrap();
    }
    let address = stranger.local_addr().unwrap().to_string();
    for daemon in &nodes {
        assert_eq!(lasts(daemon, "foreign_version"), address);
    }
    for daemon in &nodes {
        ends(daemon, "foreign_version");
    }
}

#[test]
fn another_audience_in_the_group_is_said_at_both_nodes() {
    let group = Group::new();
    let [one, other] = ["one", "other"].map(|name| group.start(&["--cluster-name", name]));
    are_apart([&one, &other], "foreign_scope");
    drop(one);
    ends(&other, "foreign_scope");
}

#[test]
fn a_listed_peer_that_is_not_there_is_said_until_it_comes() {
    let port = free_port().to_string();
    let start = |host: &str, peer: &str| {
        let ways = ["-w", "1", "--host", host, "--port", &port, "--cluster-peers", peer];
        Daemon::start(&[&ways, &BRIEF[..]].concat())
    };
    let (here, there) = ("127.0.0.1", "127.0.0.2");
    let one = start(here, &format!("{here}:{port},{there}:{port}"));
    assert_eq!(lasts(&one, "silent_peer"), format!("{there}:{port}"));
    let other = start(there, &format!("{here}:{port}"));
    ends(&one, "silent_peer");
    assert_eq!(said(&other, "silent_peer").warnings, 0);
    assert_eq!([nodes(&one), nodes(&other)], [2, 2]);
}

#[test]
fn a_node_that_receives_nothing_does_not_prove_itself() {
    let Some(network) = Network::build() else { return };
    let deaf = "add table inet deaf; \
        add chain inet deaf input { type filter hook input priority 0; }; \
        add rule inet deaf input meta l4proto udp iifname eth0 drop";
    run("ip", &["netns", "exec", &network.hosts[1], "nft", deaf]);
    let [node, other] = [0, 1].map(|host| Way::Multicast.start(&network, host));
    let line = node.daemon.wait_log("the warning", |line| line.contains(" event=cluster_trouble kind=unproven_node "));
    assert!(line.contains(&format!(" address={}:", address(1))), "{line}");
    assert_eq!((node.nodes(), other.nodes()), (1, 1));
    run("ip", &["netns", "exec", &network.hosts[1], "nft", "delete", "table", "inet", "deaf"]);
    wait_nodes(&[node, other], 2);
}

#[test]
fn a_clock_that_differs_is_said_at_both_nodes() {
    let library = match output("faketime", &["-f", "+0", "printenv", "LD_PRELOAD"]) {
        Ok(library) => library,
        Err(why) => return skip(&why),
    };
    let group = Group::new();
    let fast = || {
        let mut command = Command::new(program());
        command.env("LD_PRELOAD", library.trim()).env("FAKETIME", "+5").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        command
    };
    let one = group.start(&[]);
    let other = Daemon::start_with(fast, &group.args(&[]));
    for daemon in [&one, &other] {
        assert!(lasts(daemon, "clock_skew").starts_with("127.0.0.1:"));
        assert_eq!(nodes(daemon), 2, "it counts all the same");
    }
    drop(other);
    ends(&one, "clock_skew");
}
