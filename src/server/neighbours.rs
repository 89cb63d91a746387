//! Keeps two audiences from sharing a port by mistake.
//!
//! Processes of one audience share their ports (`SO_REUSEPORT`), and the kernel lets any process of the same user in. So a
//! second audience that forgot to choose other side ports would answer every other `nc localhost 1442`, and one that
//! listens on a more specific address would take the first one's members. To tell, each process puts up a name for each of
//! its ports in the abstract socket namespace, which says whose port it is; the kernel takes it down when the process ends.
//!
//! Invariant: of two that claim one number, at least the later one sees the other.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use super::conn::Port;
use crate::config::Config;
use crate::reactor::sys;

/// The names that are up.
#[derive(Default)]
pub(super) struct Neighbours {
    names: Vec<UnixDatagram>,
}

/// What a process says of a port.
#[derive(PartialEq, Eq)]
struct Claim<'a> {
    /// The address it listens on, or `*`.
    host: &'a str,
    /// Whose it is.
    audience: &'a str,
    /// Which of its ports it is.
    port: &'a str,
}

impl Neighbours {
    /// Puts up the name of a port; returns whether another audience has it.
    pub(super) fn claim(&mut self, port: Port, number: u16, host: &str, audience: &str) -> bool {
        let prefix = format!("audience-meter/{number}/");
        let port = port.to_string();
        let name = format!("{prefix}{host}/{audience}/{port}/{}", std::process::id());
        // Where there are no such names (another system call filter), there is no check; the kernel's own still holds.
        let up = SocketAddr::from_abstract_name(&name).and_then(|address| UnixDatagram::bind_addr(&address));
        self.names.extend(up);
        let own = Claim { host, audience, port: &port };
        let names = sys::unix_socket_names();
        names.lines().filter_map(|line| line.split_once(&prefix)).any(|(_, rest)| own.clashes_with(rest))
    }
}

impl Claim<'_> {
    /// Whether the claim of `other`, as it was put up, cannot stand beside this one.
    fn clashes_with(&self, other: &str) -> bool {
        let mut parts = other.split('/');
        let (Some(host), Some(audience), Some(port)) = (parts.next(), parts.next(), parts.next()) else {
            return false;
        };
        let overlaps = host == self.host || host == "*" || self.host == "*";
        overlaps && *self != Claim { host, audience, port }
    }
}

/// What names the audience that this process belongs to.
pub(super) fn audience_name(config: &Config, audience_port: u16) -> String {
    let cluster = &config.cluster;
    match cluster.group {
        Some(group) => format!("group:{group}"),
        None if !cluster.peers.is_empty() => format!("peers:{audience_port}"),
        None => format!("local:{}:{audience_port}", host_name(config)),
    }
}

/// The address that the public ports listen on.
fn host_name(config: &Config) -> String {
    config.host.map_or_else(|| "*".to_owned(), |host| host.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(host: &str, audience: &str, other: &str, clashes: bool) {
        let claim = Claim { host, audience, port: "stats" };
        assert_eq!(claim.clashes_with(other), clashes, "{host} {audience} and {other}");
    }

    #[test]
    fn a_port_is_shared_within_an_audience_only() {
        check("*", "local:*:80", "*/local:*:80/stats/17", false);
        check("*", "local:*:80", "*/local:*:81/stats/17", true);
        check("*", "local:*:80", "*/local:*:80/demo/17", true);
        check("127.0.0.1", "x", "127.0.0.2/y/stats/17", false);
        check("127.0.0.1", "x", "*/x/stats/17", true);
        check("*", "x", "127.0.0.1/x/stats/17", true);
        check("*", "x", "nonsense", false);
    }

    #[test]
    fn the_name_that_another_puts_up_is_seen() {
        let (mut one, mut same, mut other) = (Neighbours::default(), Neighbours::default(), Neighbours::default());
        // A number that no port has in this test's process; names of one process are told apart by the audience.
        assert!(!one.claim(Port::Stats, 9, "test", "a"));
        assert!(!same.claim(Port::Stats, 9, "test", "a"));
        assert!(other.claim(Port::Stats, 9, "test", "b"));
        drop(other);
        assert!(!one.claim(Port::Stats, 9, "test", "a"));
    }
}
