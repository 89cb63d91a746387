//! The options of the cluster: how nodes find each other, and which datagrams they accept.
//!
//! Owns their names, defaults and limits.

use std::ffi::OsString;
use std::net::SocketAddr;

use super::broker::{Broker, Problem};
use super::credentials::CredentialsSource;
use super::group::{self, Interface};
use super::hosts::{Peer, parse_hosts};
use super::key::{self, KeySource};
use super::options::{Options, UsageError, parse_limit};
use crate::meter::ClusterRules;

/// Validated settings of the cluster.
#[derive(Debug)]
pub struct ClusterConfig {
    /// What the nodes announce to each other, and when.
    pub rules: ClusterRules,
    /// The multicast group on the network.
    pub group: Option<SocketAddr>,
    /// The broker on the network; without it and a group there is loopback alone.
    pub broker: Option<Broker>,
    /// What lets this process in at the broker.
    pub credentials: Option<CredentialsSource>,
    /// The interface that the group is reached by; `None` lets the routes decide.
    pub interface: Option<Interface>,
    /// How many routers a multicast datagram may pass, plus one.
    pub ttl: u8,
    /// Hosts that are reached by unicast.
    pub peers: Vec<Peer>,
    /// What the operator calls the audience on the network.
    pub name: String,
    /// The key that all nodes share.
    pub key: Option<KeySource>,
}

/// The longest name of an audience, in bytes.
const NAME_MAX: usize = 64;

/// Reads the options.
pub(super) fn parse<E: Fn(&str) -> Option<OsString>>(options: &mut Options<E>) -> Result<ClusterConfig, UsageError> {
    let defaults = ClusterRules::default();
    let bus = options.given("--cluster-addr", parse_bus)?;
    let (group, zone, broker) = match bus {
        None => (None, None, None),
        Some(Bus::Group(group, zone)) => (Some(group), zone, None),
        Some(Bus::Broker(broker)) => (None, None, Some(broker)),
        Some(Bus::WithSecret) => {
            let source = options.source("--cluster-addr");
            return Err(UsageError(format!(
                "{source} has an @, and may have a secret before it, which all users of this host can read; put \
                 user:password into a file for --cluster-credentials-file, or into AUDIENCE_METER_CLUSTER_CREDENTIALS"
            )));
        }
    };
    let interface = options.given("--cluster-interface", |text| Interface::parse(text, group))?;
    let interface = interface.or(zone);
    if let Some(group) = group.filter(|&group| group::needs_interface(group) && interface.is_none()) {
        let source = options.source("--cluster-addr");
        return Err(UsageError(format!(
            "{source} {group} is a group of each link; give the name of an interface with --cluster-interface"
        )));
    }
    let peers = options.value("--cluster-peers", Vec::new(), parse_peers)?;
    let rules = ClusterRules {
        notify_interval: options.positive_duration("--cluster-notify-interval", 2)?,
        node_timeout: options.positive_duration("--cluster-node-timeout", 5)?,
        nodes_max: options.value("--cluster-max-nodes", defaults.nodes_max, parse_limit)?,
        namespaces_max: options.value("--cluster-max-namespaces", defaults.namespaces_max, parse_limit)?,
        ..defaults
    };
    // Loopback cannot be cut, so a node that is alone there need not call out for others again and again.
    let is_on_network = group.is_some() || broker.is_some() || !peers.is_empty();
    let lone_interval = if is_on_network { rules.notify_interval } else { rules.lone_interval };
    Ok(ClusterConfig {
        rules: ClusterRules { lone_interval, ..rules },
        group,
        broker,
        credentials: CredentialsSource::parse(options)?,
        interface,
        ttl: options.value("--cluster-ttl", 1, |text| {
            text.parse().map_err(|_| "is not a TTL; give a number from 0 to 255".to_owned())
        })?,
        peers,
        name: options.value("--cluster-name", String::new(), parse_name)?,
        key: key::parse(options, "--cluster-key-file")?,
    })
}

/// What `--cluster-addr` names.
enum Bus {
    /// A group, and the interface that stands with it.
    Group(SocketAddr, Option<Interface>),
    Broker(Broker),
    /// A URL of which nothing may be shown.
    WithSecret,
}

fn parse_bus(text: &str) -> Result<Bus, String> {
    match Broker::parse(text) {
        None => group::parse(text).map(|(group, zone)| Bus::Group(group, zone)),
        Some(Ok(broker)) => Ok(Bus::Broker(broker)),
        Some(Err(Problem::Secret)) => Ok(Bus::WithSecret),
        Some(Err(Problem::Form(problem))) => Err(problem),
    }
}

/// `host:port`, separated by commas.
fn parse_peers(text: &str) -> Result<Vec<Peer>, String> {
    parse_hosts(&text.split(',').map(|name| name.trim().to_owned()).collect::<Vec<_>>())
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
    use std::net::Ipv4Addr;

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
        assert_eq!((cluster.ttl, cluster.interface), (4, Some(Interface::Address(Ipv4Addr::new(10, 0, 0, 1)))));
        assert!(cluster.rules.lone_interval < cluster.rules.node_timeout, "the network can be cut and heal");
        let cluster = parse_line("--cluster-peers 10.0.0.2:80,[fd00::2]:81,localhost:82").unwrap().cluster;
        let addresses = cluster.peers.iter().map(|peer| peer.addresses.first().unwrap().to_string());
        assert_eq!(addresses.take(2).collect::<Vec<_>>(), ["10.0.0.2:80", "[fd00::2]:81"]);
        assert_eq!(cluster.peers[2].name, "localhost:82");
        refuses(
            "--cluster-peers 10.0.0.2",
            "--cluster-peers \"10.0.0.2\" has no host and port in \"10.0.0.2\"; give some such as 10.0.0.2:80",
        );
        for wrong in
            [":80", "10.0.0.2:0", "a:http", "a/b:80", "a@b:80", "[::1]", "a:65536", &format!("{}:1", "a".repeat(254))]
        {
            assert!(parse_line(&format!("--cluster-peers {wrong}")).is_err(), "{wrong}");
        }
        let unknown = parse_line("--cluster-peers no-such-name.invalid:80").unwrap().cluster.peers;
        assert_eq!(unknown, [Peer { name: "no-such-name.invalid:80".to_owned(), addresses: Vec::new() }]);
        let many = (0..=255).map(|host| format!("10.0.0.{host}:80")).collect::<Vec<_>>().join(",");
        assert_eq!(parse_line(&format!("--cluster-peers {many}")).unwrap().cluster.peers.len(), 256);
        let error = parse_line(&format!("--cluster-peers {many},10.0.1.0:80")).unwrap_err().to_string();
        assert!(error.ends_with("has 257 hosts; give 256 at most"), "{error}");
        refuses("--cluster-ttl 256", "--cluster-ttl \"256\" is not a TTL; give a number from 0 to 255");
        refuses("--cluster-max-nodes 0", "--cluster-max-nodes \"0\" is not a limit; give a number from 1");
    }

    #[test]
    fn a_group_of_ipv6_is_reached_by_the_name_of_an_interface() {
        let given = |line: &str| parse_line(line).map(|config| (config.cluster.group, config.cluster.interface));
        let by = |name: &str| Some(Interface::Name(name.to_owned()));
        let group = |text: &str| Some(text.parse().unwrap());
        assert_eq!(given("-m [ff15::4d7]:314"), Ok((group("[ff15::4d7]:314"), None)));
        assert_eq!(given("-m [ff12::4d7%eth0.1]:314"), Ok((group("[ff12::4d7]:314"), by("eth0.1"))));
        assert_eq!(given("-m [ff02::4d7]:314 --cluster-interface a"), Ok((group("[ff02::4d7]:314"), by("a"))));
        assert_eq!(given("-m [ff15::4d7%a]:314 --cluster-interface b"), Ok((group("[ff15::4d7]:314"), by("b"))));
        refuses(
            "-m [ff12::4d7]:314",
            "--cluster-addr [ff12::4d7]:314 is a group of each link; give the name of an interface with \
             --cluster-interface",
        );
        refuses(
            "-m [ff15::4d7]:314 --cluster-interface 10.0.0.1:8",
            "--cluster-interface \"10.0.0.1:8\" is not the name of an interface; give one such as eth0",
        );
    }

    #[test]
    fn a_broker_is_on_the_network_and_its_secret_is_never_shown() {
        let cluster = parse_line("-m nats://10.0.0.1/events").unwrap().cluster;
        let broker = cluster.broker.unwrap();
        assert_eq!((broker.kind.name(), broker.channel.as_str(), cluster.group), ("nats", "events", None));
        assert!(cluster.rules.lone_interval < cluster.rules.node_timeout, "the network can be cut and heal");
        for line in ["-m nats://me:hunter2@10.0.0.1", "-m redis://:hunter2@10.0.0.1:1", "-m foo://hunter2@h"] {
            let error = parse_line(line).unwrap_err().to_string();
            assert!(!error.contains("hunter2") && error.contains("--cluster-credentials-file"), "{error}");
        }
        let problem = "is not a known kind of URL; give nats:// or redis://, or a multicast ip:port";
        refuses("-m amqp://10.0.0.1", &format!("--cluster-addr \"amqp://10.0.0.1\" {problem}"));
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
