//! Other hosts, by name: those of `--cluster-peers`, and the servers of a broker.
//!
//! Owns their form. A name is looked up while the process runs.

use std::net::SocketAddr;

/// A host that the settings name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its name and port, as they were given.
    pub name: String,
    /// The address, if the name is one. What a name stands for, a worker may know from its supervisor.
    pub addresses: Vec<SocketAddr>,
}

/// The most addresses of peers: each datagram goes to all of them, at 8 us each, and a turn should stay below 5 ms.
pub const ADDRESSES_MAX: usize = 256;

/// The longest name of a host (RFC 1035 section 2.3.4).
const HOST_MAX: usize = 253;

/// Reads a list of hosts.
pub(super) fn parse_hosts(names: &[String]) -> Result<Vec<Peer>, String> {
    if names.len() > ADDRESSES_MAX {
        return Err(format!("has {} hosts; give {ADDRESSES_MAX} at most", names.len()));
    }
    let host = |name: &String| {
        if !has_host_and_port(name) {
            return Err(format!("has no host and port in {name:?}; give some such as 10.0.0.2:80"));
        }
        Ok(Peer { name: name.clone(), addresses: name.parse().into_iter().collect() })
    };
    names.iter().map(host).collect()
}

/// Whether a text is `host:port`: an address, or what may be a name.
fn has_host_and_port(text: &str) -> bool {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return address.port() != 0;
    }
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    text.rsplit_once(':').is_some_and(|(host, port)| {
        let has_port = port.parse::<u16>().is_ok_and(|port| port != 0);
        has_port && (1..=HOST_MAX).contains(&host.len()) && host.bytes().all(is_of_name)
    })
}
