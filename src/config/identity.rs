//! What names the audience that a process belongs to.
//!
//! Owns the one rule, for each of the two places where datagrams go. On the network the audience is the kind of bus, the
//! multicast group where there is one, and `--cluster-name`; the addresses, ports and lists of peers may differ, so none of
//! them is in it. On loopback it is the address and port that it listens on; where there is a multicast group, it is that of
//! the network there, too.
//!
//! Invariant: processes with one identity have one name and the same scopes.

use std::fmt;
use std::net::{IpAddr, SocketAddrV4};

use super::Config;
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
    /// The multicast group; without one the bus is unicast between peers.
    group: Option<SocketAddrV4>,
    /// What the operator calls the audience.
    name: &'a str,
}

impl<'a> Identity<'a> {
    /// The identity by the settings, and the number that the audience port has.
    #[must_use]
    pub fn of(config: &'a Config, audience_port: u16) -> Self {
        let cluster = &config.cluster;
        let is_on_network = cluster.group.is_some() || !cluster.peers.is_empty();
        let network = is_on_network.then_some(Network { group: cluster.group, name: &cluster.name });
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
            Some(Network { group: Some(group), name }) => name_digest(&format!("loopback of group {group} {name}")),
            _ => name_digest(&format!("{} {}", Host(self.host), self.port)),
        }
    }

    /// The number in every datagram on the network; `None` without a network.
    #[must_use]
    pub fn network_scope(self) -> Option<u64> {
        let Network { group, name } = self.network?;
        Some(name_digest(&match group {
            Some(group) => format!("group {group} {name}"),
            None => format!("peers {name}"),
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
        scopes("--cluster-peers 10.0.0.2:81", "* 80", Some("peers "));
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
        have_one_name("--cluster-peers 10.0.0.2:80", "--cluster-peers 10.0.0.3:80", true);
        have_one_name("--cluster-peers 10.0.0.2:80", "--cluster-peers 10.0.0.2:80 --host ::1", false);
        have_one_name("--cluster-peers 10.0.0.2:80", "--cluster-peers 10.0.0.2:80 --cluster-name b", false);
    }
}
