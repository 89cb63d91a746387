//! The recipes of the manual for brokers that want TLS, as they stand there: only the file of the authority is the test's own.

use std::net::TcpStream;
use std::process::{Child, Stdio};

use super::super::hosts::wait_nodes;
use super::{join, start, wait_members};
use audience_kit::*;

/// What the recipes trust.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// A program beside a daemon, until this value is dropped.
struct Sidecar(Child, #[expect(dead_code, reason = "it is gone with the value")] ScratchFile);

impl Sidecar {
    /// Starts it at a host with a recipe, and waits until it takes connections at this port.
    #[track_caller]
    fn start(network: &Network, host: usize, program: &[&str], recipe: &str, port: u16) -> Self {
        let file = ScratchFile::with("recipe", recipe, 0o600);
        let mut command = command_in(&network.hosts[host], program[0]);
        command.args(&program[1..]).arg(file.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        wait_until("a sidecar that listens", || {
            assert_eq!(child.try_wait().unwrap(), None, "{program:?} has ended");
            network.within(host, || TcpStream::connect(("127.0.0.1", port)).is_ok())
        });
        Self(child, file)
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        end(&mut self.0);
    }
}

/// Two hosts count together over a broker at the third one, with a sidecar each.
#[track_caller]
fn count_together(network: &Network, url: &str) -> (Vec<Node>, Vec<Stream>) {
    let nodes = [0, 1].map(|host| start(network, host, url, &[])).into_iter().collect::<Vec<_>>();
    wait_nodes(&nodes, 2);
    let open = nodes.iter().map(|node| join(node, "/ns")).collect::<Vec<_>>();
    wait_members(&nodes, 2);
    (nodes, open)
}

#[test]
fn redis_behind_stunnel_carries_an_audience_and_its_loss_is_said() {
    let Some(network) = Network::build() else { return };
    (0..2).for_each(|host| network.name_hosts(host, &format!("{} redis.internal\n", address(2))));
    let folder = ScratchFolder::create("tls");
    let (certificate, key) = certificate(&folder, "redis.internal");
    let tls = ["--tls-port", "6380", "--tls-auth-clients", "no", "--tls-cert-file", &certificate];
    let files = ["--tls-key-file", &key, "--tls-ca-cert-file", &certificate];
    let mut broker = Broker::start_at(&network, 2, Program::Redis, &[&tls[..], &files].concat());
    let recipe = manual::block("ini", "; /etc/stunnel/audience.conf").replace(AUTHORITIES, &certificate);
    let recipe = format!("foreground = yes\n{recipe}");
    let _sidecars = [0, 1].map(|host| Sidecar::start(&network, host, &["stunnel"], &recipe, 6379));
    let (nodes, mut open) = count_together(&network, "redis://127.0.0.1:6379");
    broker.kill();
    wait_members(&nodes[..1], 1);
    nodes[0].daemon.wait_log("the loss", |line| line.contains(" event=broker_lost "));
    broker.start_again();
    open.push(join(&nodes[0], "/ns"));
    wait_members(&nodes, 3);
}

#[test]
fn a_leaf_node_of_nats_carries_an_audience_over_tls() {
    let Some(network) = Network::build() else { return };
    (0..2).for_each(|host| network.name_hosts(host, &format!("{} nats.internal\n", address(2))));
    let folder = ScratchFolder::create("tls");
    let (certificate, key) = certificate(&folder, "nats.internal");
    let tls = format!("tls {{ cert_file: \"{certificate}\", key_file: \"{key}\" }}");
    let config = ScratchFile::with("config", &format!("{tls}\nleafnodes {{ port: 7422, {tls} }}\n"), 0o600);
    let mut broker = Broker::start_at(&network, 2, Program::Nats, &["--config", config.path()]);
    let recipe = manual::block("text", "# /etc/nats-leaf.conf").replace(AUTHORITIES, &certificate);
    let program = [Program::Nats.path(), "--config"];
    let _sidecars = [0, 1].map(|host| Sidecar::start(&network, host, &program, &recipe, 4222));
    let (nodes, mut open) = count_together(&network, "nats://127.0.0.1:4222");
    broker.kill();
    wait_members(&nodes[..1], 1);
    assert!(!nodes[0].daemon.log().iter().any(|line| line.contains(" event=broker_lost ")));
    broker.start_again();
    open.push(join(&nodes[0], "/ns"));
    wait_members(&nodes, 3);
}
