//! What names the audience that a process belongs to.
//!
//! Owns the one rule: on the network the group or the list of hosts is the audience; on loopback it is the address. Two
//! daemons that listen on different addresses are two audiences, though their ports, and so their groups on loopback, are
//! the same.
//!
//! Invariant: processes with one identity have one name and one number, and the two never disagree about which processes are local.

use std::fmt;
use std::net::{IpAddr, SocketAddrV4};

use super::Config;
use crate::meter::name_digest;

/// The audience of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// A multicast group on the network.
    Group(SocketAddrV4),
    /// Hosts that list each other, by the audience port that they share.
    Peers(u16),
    /// Processes of this host, by the address of the audience port.
    Local(Option<IpAddr>, u16),
}

impl Identity {
    /// The identity by the settings, and the number that the audience port has.
    #[must_use]
    pub fn of(config: &Config, audience_port: u16) -> Self {
        match config.cluster.group {
            Some(group) => Self::Group(group),
            None if !config.cluster.peers.is_empty() => Self::Peers(audience_port),
            None => Self::Local(config.host, audience_port),
        }
    }

    /// Whether the audience is of this host alone.
    #[must_use]
    pub fn is_local(self) -> bool {
        matches!(self, Self::Local(..))
    }

    /// The number in every datagram. Datagrams of the network have 0: its groups and lists keep audiences apart already.
    #[must_use]
    pub fn scope_id(self) -> u64 {
        match self {
            Self::Local(host, port) => name_digest(&format!("{} {port}", Host(host))),
            Self::Group(_) | Self::Peers(_) => 0,
        }
    }
}

/// The name that neighbours read.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Group(group) => write!(f, "group:{group}"),
            Self::Peers(port) => write!(f, "peers:{port}"),
            Self::Local(host, port) => write!(f, "local:{}:{port}", Host(host)),
        }
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

    #[track_caller]
    fn check(line: &str, name: &str, is_local: bool, scoped_by: Option<&str>) {
        let Ok(Command::Run(config)) = parse(line.split_whitespace().map(Into::into).collect(), |_| None) else {
            panic!("{line} is no command line");
        };
        let identity = Identity::of(&config, 80);
        assert_eq!((identity.to_string().as_str(), identity.is_local()), (name, is_local), "{line}");
        assert_eq!(identity.scope_id(), scoped_by.map_or(0, name_digest), "{line}");
    }

    #[test]
    fn the_group_the_hosts_or_the_address_name_an_audience() {
        check("", "local:*:80", true, Some("* 80"));
        check("--host 127.0.0.1", "local:127.0.0.1:80", true, Some("127.0.0.1 80"));
        check("--host ::1", "local:::1:80", true, Some("::1 80"));
        check("-m 239.255.13.37:314 --host 127.0.0.1", "group:239.255.13.37:314", false, None);
        check("--cluster-peers 10.0.0.2:81", "peers:80", false, None);
        check("-m 239.255.13.37:314 --cluster-peers 10.0.0.2:81", "group:239.255.13.37:314", false, None);
    }
}
