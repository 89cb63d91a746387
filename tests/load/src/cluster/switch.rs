//! A switch with hosts: network namespaces, which go with the last process in them.
//!
//! Owns the network that this process moves into, which is the switch, and the cables from there to the hosts. Nothing that
//! is at one host is received at another, unless it is sent over the network: neither loopback nor Unix sockets are common.

use std::fs;
use std::net::Ipv4Addr;

use audience_kit::output;
use nix::sched::{CloneFlags, unshare};

use crate::Result;
use crate::host::Host;
use crate::poll::Poll;

/// The address of the switch.
pub(super) const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 77, 13, 254);

/// So many streams to a host may be open, or closed within the last minute.
const PORTS: &str = "1024 65535";

/// The hosts at a switch.
pub(super) struct Switch {
    pub(super) hosts: Vec<Host>,
}

impl Switch {
    /// Moves this process into a network of its own, with this number of hosts. It must not have other threads yet.
    ///
    /// # Errors
    /// It takes root and iproute2.
    pub(super) fn build(host_count: usize) -> Result<Self> {
        let refusal =
            |why: &dyn std::fmt::Display| format!("there can be no hosts here ({why}); this takes root and iproute2");
        output("ip", &["-V"]).map_err(|why| refusal(&why))?;
        // The threads of the hosts have to leave signals alone, too.
        let _signals = Poll::new()?;
        unshare(CloneFlags::CLONE_NEWNET).map_err(|why| refusal(&why))?;
        fs::write("/proc/sys/net/ipv4/ip_local_port_range", PORTS).map_err(|why| refusal(&why))?;
        ip("link set lo up")?;
        ip("link add bridge type bridge mcast_snooping 0")?;
        ip(&format!("address add {ADDRESS}/24 dev bridge"))?;
        ip("link set bridge up")?;
        let mut switch = Self { hosts: Vec::new() };
        for _ in 0..host_count {
            switch.add_host()?;
        }
        Ok(switch)
    }

    /// The address of a host.
    pub(super) fn address(host: usize) -> Result<Ipv4Addr> {
        Ok(Ipv4Addr::new(10, 77, 13, u8::try_from(host + 1)?))
    }

    fn add_host(&mut self) -> Result<()> {
        let host = Host::apart()?;
        let number = self.hosts.len();
        let thread = host.thread().ok_or("a host has no thread")?;
        ip(&format!("link add cable{number} type veth peer name eth0 netns {thread}"))?;
        ip(&format!("link set cable{number} master bridge up"))?;
        let address = Self::address(number)?;
        let settings =
            ["link set lo up".to_owned(), format!("address add {address}/24 dev eth0"), "link set eth0 up".to_owned()];
        host.within(move || settings.iter().try_for_each(|words| ip(words).map_err(std::io::Error::other)))?;
        self.hosts.push(host);
        Ok(())
    }
}

/// Runs `ip` in the network of this thread.
fn ip(words: &str) -> std::result::Result<(), String> {
    output("ip", &words.split(' ').collect::<Vec<_>>()).map(drop)
}
