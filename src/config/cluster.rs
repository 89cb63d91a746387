//! The options of the cluster: how nodes find each other, and which datagrams they accept.
//!
//! Owns their names, defaults and limits.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, ToSocketAddrs as _};

use super::key::{self, KeySource};
use super::options::{Options, UsageError, parse_limit};
use crate::meter::ClusterRules;

/// Validated settings of the cluster.
#[derive(Debug)]
pub struct ClusterConfig {
    /// What the nodes announce to each other, and when.
    pub rules: ClusterRules,
    /// The multicast group on the network; `None` is loopback alone.
    pub group: Option<SocketAddrV4>,
    /// The address of the interface that the group is reached by; `None` lets the routes decide.
    pub interface: Option<Ipv4Addr>,
    /// How many routers a multicast datagram may pass, plus one.
    pub ttl: u8,
    /// Hosts that are reached by unicast.
    pub peers: Vec<SocketAddr>,
    /// The key that all nodes share.
    pub key: Option<KeySource>,
}

/// Reads the options.
pub(super) fn parse<E: Fn(&str) -> Option<OsString>>(options: &mut Options<E>) -> Result<ClusterConfig, UsageError> {
    let defaults = ClusterRules::default();
    let group = options.given(["-m", "--cluster-addr"], "--cluster-addr", None, parse_group)?;
    let peers = options.value("--cluster-peers", None, Vec::new(), parse_peers)?;
    let rules = ClusterRules {
        notify_interval: options.positive_duration("--cluster-notify-interval", 2.0)?,
        node_timeout: options.positive_duration("--cluster-node-timeout", 5.0)?,
        nodes_max: options.value("--cluster-max-nodes", None, defaults.nodes_max, parse_limit)?,
        namespaces_max: options.value("--cluster-max-namespaces", None, defaults.namespaces_max, parse_limit)?,
        ..defaults
    };
    // Loopback cannot be cut, so a node that is alone there need not call out for others again and again.
    let is_on_network = group.is_some() || !peers.is_empty();
    let lone_interval = if is_on_network { rules.notify_interval } else { rules.lone_interval };
    Ok(ClusterConfig {
        rules: ClusterRules { lone_interval, ..rules },
        group,
        interface: options.given("--cluster-interface", "--cluster-interface", None, |text| {
            text.parse().map_err(|_| "is not an IPv4 address; give that of an interface".to_owned())
        })?,
        ttl: options.value("--cluster-ttl", None, 1, |text| {
            text.parse().map_err(|_| "is not a TTL; give a number from 0 to 255".to_owned())
        })?,
        peers,
        key: key::parse(options)?,
    })
}

fn parse_group(text: &str) -> Result<SocketAddrV4, String> {
    let group = text.parse::<SocketAddrV4>().ok().filter(|group| group.ip().is_multicast() && group.port() != 0);
    group.ok_or_else(|| "is not a multicast ip:port; give one such as 239.255.13.37:314".to_owned())
}

/// `host:port`, separated by commas. Names are looked up now: a node that cannot be found is an error at start.
fn parse_peers(text: &str) -> Result<Vec<SocketAddr>, String> {
    let mut peers = Vec::new();
    for peer in text.split(',').map(str::trim) {
        let found = peer.to_socket_addrs().ok().and_then(|mut found| found.next()).filter(|peer| peer.port() != 0);
        peers.push(found.ok_or_else(|| format!("has no host and port in {peer:?}; give some such as 10.0.0.2:80"))?);
    }
    Ok(peers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Command, Config, parse};

    fn parse_line(line: &str) -> Result<Config, UsageError> {
        let args = line.split_whitespace().map(OsString::from).collect();
        match parse(args, |_| None)? {
            Command::Run(config) => Ok(*config),
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn refuses(line: &str, message: &str) {
        assert_eq!(parse_line(line).unwrap_err().to_string(), message, "{line}");
    }

    #[test]
    fn the_defaults_are_the_loopback_bus_alone() {
        let cluster = parse_line("").unwrap().cluster;
        assert_eq!((cluster.group, cluster.interface, cluster.ttl), (None, None, 1));
        assert!(cluster.peers.is_empty() && cluster.key.is_none());
        assert_eq!(cluster.rules.notify_interval.as_secs(), 2);
        assert_eq!(cluster.rules.node_timeout.as_secs(), 5);
        assert!(cluster.rules.lone_interval > cluster.rules.node_timeout);
    }

    #[test]
    fn a_group_and_peers_are_addresses() {
        let cluster = parse_line("-m 239.255.13.37:314 --cluster-ttl 4 --cluster-interface 10.0.0.1").unwrap().cluster;
        assert_eq!(cluster.group, Some("239.255.13.37:314".parse().unwrap()));
        assert_eq!((cluster.ttl, cluster.interface), (4, Some(Ipv4Addr::new(10, 0, 0, 1))));
        assert!(cluster.rules.lone_interval < cluster.rules.node_timeout, "the network can be cut and heal");
        let cluster = parse_line("--cluster-peers 10.0.0.2:80,[fd00::2]:81,localhost:82").unwrap().cluster;
        assert_eq!(cluster.peers.len(), 3);
        refuses(
            "-m 10.0.0.1:314",
            "--cluster-addr \"10.0.0.1:314\" is not a multicast ip:port; give one such as 239.255.13.37:314",
        );
        refuses(
            "-m 239.1.1.1",
            "--cluster-addr \"239.1.1.1\" is not a multicast ip:port; give one such as 239.255.13.37:314",
        );
        refuses(
            "--cluster-peers 10.0.0.2",
            "--cluster-peers \"10.0.0.2\" has no host and port in \"10.0.0.2\"; give some such as 10.0.0.2:80",
        );
        refuses("--cluster-ttl 256", "--cluster-ttl \"256\" is not a TTL; give a number from 0 to 255");
        refuses("--cluster-max-nodes 0", "--cluster-max-nodes \"0\" is not a limit; give a number from 1");
        refuses(
            "--cluster-interface eth0",
            "--cluster-interface \"eth0\" is not an IPv4 address; give that of an interface",
        );
    }
}
