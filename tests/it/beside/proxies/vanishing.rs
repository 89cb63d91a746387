//! Visitors behind a proxy whose machine vanishes without a word.

use std::net::SocketAddr;
use std::process::{Child, Stdio};

use super::proxy::*;
use audience_kit::*;

/// A count is repeated every second, so something is always on its way to who vanished.
const REPEATED: [&str; 4] = ["--notify-max-delay", "1", "--notify-min-delay", "1"];

/// The daemon and the proxy under test at host 0, those who vanish at host 1, and a proxy that bears it longer at host 2.
struct Vanishing {
    network: Network,
    node: Node,
    _proxies: [Proxy; 2],
    _crowds: Ended,
}

/// Programs that are ended when this value is dropped.
struct Ended(Vec<Child>);

/// How many vanish behind each proxy: so many over one HTTP/2 connection, and so many over HTTP/1.1.
const SHARED: u64 = 3;
const APART: u64 = 2;

/// A number of members, and their version of HTTP.
type Members = (u64, &'static str);

const ALL_VERSIONS: [Members; 2] = [(SHARED, "--http2"), (APART, "--http1.1")];

/// Members of host 1 behind a proxy.
fn crowds(network: &Network, proxy: &Proxy, versions: &[Members]) -> Vec<Child> {
    let crowds = versions.iter().map(|(count, version)| {
        let mut curl = command_in(&network.hosts[1], "curl");
        curl.args(["--silent", "--insecure", "--parallel", version, "--header", "Accept: text/event-stream"]);
        curl.args(["--output", "/dev/null", &proxy.url(&format!("/ns?[1-{count}]"))]);
        curl.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    });
    crowds.collect()
}

/// Starts a proxy at this host, and waits until it passes on what the daemon answers.
#[track_caller]
fn start(network: &Network, kind: Kind, (host, port): (usize, u16), daemon: SocketAddr, edits: &[Edit<'_>]) -> Proxy {
    let at = SocketAddr::new(address(host).parse().unwrap(), port);
    let proxy = Proxy::spawn(kind, at, daemon, edits, |program| command_in(&network.hosts[host], program));
    let curl = ["netns", "exec", &network.hosts[host], "curl", "--silent", "--insecure", "--fail", "--max-time", "5"];
    wait_until(&format!("an answer of the daemon behind {kind:?}"), || {
        output("ip", &[&curl[..], &[&proxy.url("/")]].concat()).is_ok()
    });
    proxy
}

/// What is on its way is sent again after 0.2, 0.6, 1.4 and 3 s. Two retransmissions stand for 1.4 s, counted from the first
/// one, so it is given up after 3 s, and later on a machine whose answers are late. Otherwise it takes 15 minutes.
fn let_the_kernel_give_up(network: &Network) {
    run("ip", &["netns", "exec", &network.hosts[0], "sh", "-c", "echo 2 >/proc/sys/net/ipv4/tcp_retries2"]);
}

impl Vanishing {
    #[track_caller]
    fn set(kind: Kind, impatient: &[Edit], patient: &[Edit]) -> Option<Self> {
        let network = Network::build()?;
        let trusted = [0, 2].map(address).join(",");
        let node = Node::start(&network, 0, &[&REPEATED[..], &["--trust-proxy", &trusted]].concat());
        let daemon = SocketAddr::new(address(0).parse().unwrap(), node.daemon.audience().port());
        let proxies =
            [(0, impatient), (2, patient)].map(|(host, edits)| start(&network, kind, (host, 443), daemon, edits));
        let crowds = proxies.iter().flat_map(|proxy| crowds(&network, proxy, &ALL_VERSIONS)).collect();
        let scene = Vanishing { network, node, _proxies: proxies, _crowds: Ended(crowds) };
        wait_until("everybody", || scene.node.stat("members") == 2 * (SHARED + APART));
        Some(scene)
    }

    /// Pulls the cable: the members behind the proxy under test are counted out, and those behind the other proxy stay.
    #[track_caller]
    fn pull(&self) {
        self.network.set_cable(1, "down");
        wait_until("that half of them is counted out", || self.node.stat("members") == SHARED + APART);
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        for curl in &mut self.0 {
            let _ = curl.kill();
            curl.wait().unwrap();
        }
    }
}

#[test]
fn haproxy_lets_go_of_who_vanished_after_its_user_timeout() {
    let (impatient, patient) = (("tcp-ut 30s", "tcp-ut 3s"), (" tcp-ut 30s", ""));
    let Some(scene) = Vanishing::set(Kind::Haproxy, &[impatient], &[patient]) else { return };
    scene.pull();
}

#[test]
fn nginx_lets_go_of_who_vanished_when_the_kernel_stops_asking() {
    let Some(scene) = Vanishing::set(Kind::Nginx, &[], &[]) else { return };
    let_the_kernel_give_up(&scene.network);
    scene.pull();
}

#[test]
fn the_others_let_go_of_who_vanished_when_the_kernel_stops_asking() {
    const OTHERS: [Kind; 8] =
        [Kind::Caddy, Kind::Traefik, Kind::Envoy, Kind::H2o, Kind::Lighttpd, Kind::Apache, Kind::Squid, Kind::Varnish];
    let Some(network) = Network::build() else { return };
    let node = Node::start(&network, 0, &REPEATED);
    let daemon = SocketAddr::new(address(0).parse().unwrap(), node.daemon.audience().port());
    let ports = 4430..;
    let proxies =
        OTHERS.into_iter().zip(ports).map(|(kind, port)| (kind, start(&network, kind, (0, port), daemon, &[])));
    let proxies = proxies.collect::<Vec<_>>();
    let (mut crowds, mut count) = (Ended(Vec::new()), 0);
    for (kind, proxy) in &proxies {
        let is_shared = ![Kind::Apache, Kind::Squid, Kind::Varnish].contains(kind);
        let versions = if is_shared { &ALL_VERSIONS[..] } else { &ALL_VERSIONS[1..] };
        crowds.0.extend(self::crowds(&network, proxy, versions));
        count += versions.iter().map(|(count, _)| count).sum::<u64>();
    }
    wait_until("all members", || node.stat("members") == count);
    let_the_kernel_give_up(&network);
    network.set_cable(1, "down");
    wait_until("that all are counted out", || node.stat("members") == 0);
}
