//! Hosts that have nothing but a broker in common: a real NATS or Redis server, of which each test has one of its own.
//!
//! | file | owns |
//! |---|---|
//! | `audience` | what an audience is promised, over each kind of broker |
//! | `credentials` | a password is replaced while all nodes run |
//! | `names` | brokers that have a name, and move |
//! | `outages` | brokers that end, hang, move on, or let nobody in |
//! | `refused` | what is said of brokers that cannot be used |
//! | `tls` | the recipes of the manual for brokers that want TLS |
//! | `wholeness` | how soon all nodes are whole after an outage |
//!
//! The hosts are network namespaces, so the group on loopback carries nothing from one to another.

mod audience;
mod credentials;
mod names;
mod outages;
mod refused;
mod tls;
mod wholeness;

use audience_kit::*;

/// A host's node, over a broker and with further options.
#[track_caller]
fn start(network: &Network, host: usize, url: &str, options: &[&str]) -> Node {
    Node::start(network, host, &[&["-m", url], options].concat())
}

/// A node at each host, once they know of each other.
#[track_caller]
fn start_all(network: &Network, url: &str, options: &[&str]) -> Vec<Node> {
    let nodes = (0..Network::HOSTS).map(|host| start(network, host, url, options)).collect::<Vec<_>>();
    super::hosts::wait_nodes(&nodes, Network::HOSTS as u64);
    nodes
}

/// A member at a node, after its first count.
#[track_caller]
fn join(node: &Node, target: &str) -> Stream {
    let mut stream = node.within(|| Stream::join(node.daemon.audience(), target));
    stream.next_count(SOON);
    stream
}

/// Waits until all nodes say that so many members are in the namespace.
#[track_caller]
fn wait_members(nodes: &[Node], members: u64) {
    super::hosts::wait_all(nodes, "members", members);
}
