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
    pub peers: Vec<Peer>,
    /// What the operator calls the audience on the network.
    pub name: String,
    /// The key that all nodes share.
    pub key: Option<KeySource>,
}

/// A host that is reached by unicast.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its name and port, as they were given.
    pub name: String,
    /// All that the name stands for; one at least, once a worker knows them from its supervisor.
    pub addresses: Vec<SocketAddr>,
}

/// The longest name of an audience, in bytes.
const NAME_MAX: usize = 64;

/// The most addresses of peers: each datagram goes to all of them, at 8 us each, and a turn should stay below 5 ms.
const ADDRESSES_MAX: usize = 256;

/// Reads the options.
pub(super) fn parse<E: Fn(&str) -> Option<OsString>>(options: &mut Options<E>) -> Result<ClusterConfig, UsageError> {
    let defaults = ClusterRules::default();
    let group = options.given(["-m", "--cluster-addr"], "--cluster-addr", parse_group)?;
    // A supervisor has looked them up, and hands the addresses on.
    let parse = if options.supervisor()?.is_some() { name_peers } else { parse_peers };
    let peers = options.value("--cluster-peers", Vec::new(), parse)?;
    let rules = ClusterRules {
        notify_interval: options.positive_duration("--cluster-notify-interval", 2)?,
        node_timeout: options.positive_duration("--cluster-node-timeout", 5)?,
        nodes_max: options.value("--cluster-max-nodes", defaults.nodes_max, parse_limit)?,
        namespaces_max: options.value("--cluster-max-namespaces", defaults.namespaces_max, parse_limit)?,
        ..defaults
    };
    // Loopback cannot be cut, so a node that is alone there need not call out for others again and again.
    let is_on_network = group.is_some() || !peers.is_empty();
    let lone_interval = if is_on_network { rules.notify_interval } else { rules.lone_interval };
    Ok(ClusterConfig {
        rules: ClusterRules { lone_interval, ..rules },
        group,
        interface: options.given("--cluster-interface", "--cluster-interface", |text| {
            text.parse().map_err(|_| "is not an IPv4 address; give that of an interface".to_owned())
        })?,
        ttl: options.value("--cluster-ttl", 1, |text| {
            text.parse().map_err(|_| "is not a TTL; give a number from 0 to 255".to_owned())
        })?,
        peers,
        name: options.value("--cluster-name", String::new(), parse_name)?,
        key: key::parse(options)?,
    })
}

fn parse_group(text: &str) -> Result<SocketAddrV4, String> {
    let group = text.parse::<SocketAddrV4>().ok().filter(|group| group.ip().is_multicast() && group.port() != 0);
    group.ok_or_else(|| "is not a multicast ip:port; give one such as 239.255.13.37:314".to_owned())
}

/// The names alone.
#[expect(clippy::unnecessary_wraps, reason = "it stands where names are looked up, too")]
fn name_peers(text: &str) -> Result<Vec<Peer>, String> {
    Ok(text.split(',').map(|name| Peer { name: name.trim().to_owned(), addresses: Vec::new() }).collect())
}

/// `host:port`, separated by commas. Names are looked up now: a node that cannot be found is an error at start.
fn parse_peers(text: &str) -> Result<Vec<Peer>, String> {
    let mut peers = Vec::new();
    for name in text.split(',').map(str::trim) {
        let found = name.to_socket_addrs().into_iter().flatten();
        let addresses = found.filter(|address| address.port() != 0).collect::<Vec<_>>();
        if addresses.is_empty() {
            return Err(format!("has no host and port in {name:?}; give some such as 10.0.0.2:80"));
        }
        peers.push(Peer { name: name.to_owned(), addresses });
    }
    let address_count: usize = peers.iter().map(|peer| peer.addresses.len()).sum();
    if address_count > ADDRESSES_MAX {
        return Err(format!("has {address_count} addresses; give names that have {ADDRESSES_MAX} at most"));
    }
    Ok(peers)
}

fn parse_name(text: &str) -> Result<String, String> {
    if text.len() > NAME_MAX || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!(
            "is not a name; give at most {NAME_MAX} letters, digits and signs of ASCII, without spaces"
        ));
    }
    Ok(text.to_owned())
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
        let addresses = cluster.peers.iter().map(|peer| peer.addresses.first().unwrap().to_string());
        assert_eq!(addresses.take(2).collect::<Vec<_>>(), ["10.0.0.2:80", "[fd00::2]:81"]);
        assert_eq!(cluster.peers[2].name, "localhost:82");
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
        let many = (0..=255).map(|host| format!("10.0.0.{host}:80")).collect::<Vec<_>>().join(",");
        assert_eq!(parse_line(&format!("--cluster-peers {many}")).unwrap().cluster.peers.len(), 256);
        let error = parse_line(&format!("--cluster-peers {many},10.0.1.0:80")).unwrap_err().to_string();
        assert!(error.ends_with("has 257 addresses; give names that have 256 at most"), "{error}");
        refuses("--cluster-ttl 256", "--cluster-ttl \"256\" is not a TTL; give a number from 0 to 255");
        refuses("--cluster-max-nodes 0", "--cluster-max-nodes \"0\" is not a limit; give a number from 1");
        refuses(
            "--cluster-interface eth0",
            "--cluster-interface \"eth0\" is not an IPv4 address; give that of an interface",
        );
    }

    #[test]
    fn a_name_is_visible_ascii_and_bounded() {
        let name = |line: &str| parse_line(line).map(|config| config.cluster.name);
        assert_eq!(name(""), Ok(String::new()));
        assert_eq!(name("--cluster-name=eu/west:1"), Ok("eu/west:1".to_owned()));
        let longest = "n".repeat(64);
        assert_eq!(name(&format!("--cluster-name {longest}")), Ok(longest.clone()));
        let rule = "is not a name; give at most 64 letters, digits and signs of ASCII, without spaces";
        for name in [&format!("{longest}n"), "caf\u{e9}", "a\u{7f}"] {
            refuses(&format!("--cluster-name {name}"), &format!("--cluster-name {name:?} {rule}"));
        }
    }
}
