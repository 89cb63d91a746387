//! What names the audience that a process belongs to.
//!
//! Owns the one rule, for each of the two places where datagrams go. On the network the audience is the kind of bus, the
//! multicast group or the channel of a broker where there is one, and `--cluster-name`; the addresses, ports and lists of
//! peers and of brokers may differ, so none of them is in it. On loopback it is the address and port that it listens on; where there is a group or a broker, it is that
//! of the network there, too.
//!
//! Invariant: processes with one identity have one name and the same scopes.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::{Broker, Config};
use crate::meter::name_digest;

/// The audience of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity<'a> {
    host: Option<IpAddr>,
    port: u16,
    network: Option<Network<'a>>,
}

/// The audience on the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network<'a> {
    bus: Bus<'a>,
    /// What the operator calls the audience.
    name: &'a str,
}

/// By which way all hosts of the network are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bus<'a> {
    Group(SocketAddr),
    /// What the broker speaks, and the channel.
    Broker(&'static str, &'a str),
    /// Unicast between peers.
    Peers,
}

impl<'a> Identity<'a> {
    /// The identity by the settings, and the number that the audience port has.
    #[must_use]
    pub fn of(config: &'a Config, audience_port: u16) -> Self {
        let cluster = &config.cluster;
        let of_broker = |broker: &'a Broker| Bus::Broker(broker.kind.name(), &broker.channel);
        let bus = cluster.group.map(Bus::Group).or_else(|| cluster.broker.as_ref().map(of_broker));
        let bus = bus.or_else(|| (!cluster.peers.is_empty()).then_some(Bus::Peers));
        let network = bus.map(|bus| Network { bus, name: &cluster.name });
        Self { host: config.host, port: audience_port, network }
    }

    /// Whether the audience is of this host alone.
    #[must_use]
    pub fn is_local(self) -> bool {
        self.network.is_none()
    }

    /// The number in every datagram on loopback.
    #[must_use]
    pub fn loopback_scope(self) -> u64 {
        match self.network {
            Some(Network { bus: Bus::Group(group), name }) => name_digest(&format!("loopback of group {group} {name}")),
            Some(Network { bus: Bus::Broker(kind, channel), name }) => {
                name_digest(&format!("loopback of {kind} {channel} {name}"))
            }
            _ => name_digest(&format!("{} {}", Host(self.host), self.port)),
        }
    }

    /// The number in every datagram on the network; `None` without a network.
    #[must_use]
    pub fn network_scope(self) -> Option<u64> {
        let Network { bus, name } = self.network?;
        Some(name_digest(&match bus {
            Bus::Group(group) => format!("group {group} {name}"),
            Bus::Broker(kind, channel) => format!("{kind} {channel} {name}"),
            Bus::Peers => format!("peers {name}"),
        }))
    }
}

/// The name that neighbours read: a number, for it must fit into the name of a socket.
///
/// The processes that share it may share their side ports. In a multicast group, they need not listen on one address.
impl fmt::Display for Identity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", name_digest(&format!("{:x} {:x?}", self.loopback_scope(), self.network_scope())))
    }
}

/// The address that the public ports listen on.
struct Host(Option<IpAddr>);

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(host) => write!(f, "{host}"),
            None => f.write_str("*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Command, parse};

    fn config(line: &str) -> Config {
        let Ok(Command::Run(config)) = parse(line.split_whitespace().map(Into::into).collect(), |_| None) else {
            panic!("{line} is no command line");
        };
        *config
    }

    #[track_caller]
    fn scopes(line: &str, loopback: &str, network: Option<&str>) {
        let config = config(line);
        let identity = Identity::of(&config, 80);
        assert_eq!(identity.loopback_scope(), name_digest(loopback), "{line}");
        assert_eq!(identity.network_scope(), network.map(name_digest), "{line}");
        assert_eq!(identity.is_local(), network.is_none(), "{line}");
    }

    #[test]
    fn loopback_is_scoped_by_the_address_and_the_network_by_its_bus() {
        scopes("", "* 80", None);
        scopes("--host 127.0.0.1 --cluster-name a", "127.0.0.1 80", None);
        scopes("--host ::1", "::1 80", None);
        let group = "239.255.13.37:314";
        let (loopback, network) = (format!("loopback of group {group} "), format!("group {group} "));
        scopes(&format!("-m {group} --host 127.0.0.1"), &loopback, Some(&network));
        scopes(&format!("-m {group} --cluster-peers 10.0.0.2:81"), &loopback, Some(&network));
        scopes(&format!("-m {group} --cluster-name a"), &format!("{loopback}a"), Some(&format!("{network}a")));
        // The interface has another name on each host.
        scopes("-m [ff12::4d7%eth0]:314", "loopback of group [ff12::4d7]:314 ", Some("group [ff12::4d7]:314 "));
        scopes("--cluster-peers 10.0.0.2:81", "* 80", Some("peers "));
        let (loopback, network) = ("loopback of nats audience-meter a", "nats audience-meter a");
        scopes("-m nats://10.0.0.1:1,10.0.0.2:2 --host ::1 --cluster-name a", loopback, Some(network));
        scopes("-m redis://10.0.0.1/b --cluster-peers 10.0.0.2:81", "loopback of redis b ", Some("redis b "));
        scopes("--cluster-peers 10.0.0.3:80,10.0.0.2:81 --cluster-name a", "* 80", Some("peers a"));
    }

    #[track_caller]
    fn have_one_name(one: &str, other: &str, expected: bool) {
        let names = [one, other].map(|line| Identity::of(&config(line), 80).to_string());
        assert_eq!(names[0] == names[1], expected, "{one:?} and {other:?}: {names:?}");
        assert!(names.iter().all(|name| name.len() == 16), "{names:?}");
    }

    #[test]
    fn one_audience_has_one_name() {
        let group = "-m 239.255.13.37:314";
        have_one_name("", "--host 127.0.0.1", false);
        have_one_name("", group, false);
        have_one_name("", "--cluster-peers 10.0.0.2:80", false);
        have_one_name(group, &format!("{group} --host 127.0.0.1"), true);
        have_one_name(group, &format!("{group} --cluster-name a"), false);
        have_one_name(group, "-m 239.255.13.37:315", false);
        have_one_name("-m nats://10.0.0.1", "-m nats://10.0.0.2:1,10.0.0.3/audience-meter", true);
        have_one_name("-m nats://10.0.0.1", "-m redis://10.0.0.1", false);
        have_one_name("-m nats://10.0.0.1", "-m nats://10.0.0.1/b", false);
        have_one_name("--cluster-peers 10.0.0.2:80", "--cluster-peers 10.0.0.3:80", true);
        have_one_name("--cluster-peers 10.0.0.2:80", "--cluster-peers 10.0.0.2:80 --host ::1", false);
        have_one_name("--cluster-peers 10.0.0.2:80", "--cluster-peers 10.0.0.2:80 --cluster-name b", false);
    }
}
