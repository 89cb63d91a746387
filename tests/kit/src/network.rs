//! Three hosts with an address each, joined by a switch.
//!
//! The hosts are network namespaces and the switch is a bridge in a fourth; nothing outside of these four is touched, and
//! they go with the test, whatever its end; so do the folders of `/etc/netns` that have their names. A machine makes
//! namespaces for root alone, with iproute2; where it makes none, or lacks nftables or curl, the test is left out by its
//! name.
//!
//! | file | owns |
//! |---|---|
//! | `inside` | a thread of the test within a host |
//! | `later` | a process of a later version of the program |
//! | `node` | processes and members within the hosts of a network |
//! | `relay` | what carries datagrams from group to group |
//! | `resolver` | the name server of a network |

mod inside;
mod later;
mod node;
mod relay;
mod resolver;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::{output, run, skip, wait_until};

pub(crate) use inside::inside;
pub use later::LaterNode;
pub use node::{Crowd, Node};
pub use relay::Relay;
pub use resolver::Resolver;

/// Three hosts at one switch. All that there is of it is gone when this value is dropped.
pub struct Network {
    /// The names of the namespaces that are the hosts.
    pub hosts: [String; Network::HOSTS],
    switch: String,
}

impl Network {
    /// How many hosts there are.
    pub const HOSTS: usize = 3;

    /// Builds it, or says why the test is left out.
    pub fn build() -> Option<Self> {
        static BUILT: AtomicU32 = AtomicU32::new(0);
        let prefix = format!("audience-{}-{}", std::process::id(), BUILT.fetch_add(1, Ordering::Relaxed));
        let network = Network {
            hosts: std::array::from_fn(|host| format!("{prefix}-host{host}")),
            switch: format!("{prefix}-switch"),
        };
        let missing = ["nft", "curl"].into_iter().find(|tool| output(tool, &["--version"]).is_err());
        let obstacle = match missing {
            Some(tool) => Err(format!("there is no {tool}")),
            None => output("ip", &["netns", "add", &network.switch]),
        };
        if let Err(why) = obstacle {
            skip(&why);
            return None;
        }
        run("ip", &["-n", &network.switch, "link", "add", "bridge", "type", "bridge", "mcast_snooping", "0"]);
        run("ip", &["-n", &network.switch, "link", "set", "bridge", "up"]);
        for host in 0..Network::HOSTS {
            network.add_host(host);
        }
        Some(network)
    }

    fn add_host(&self, host: usize) {
        let name = &*self.hosts[host];
        run("ip", &["netns", "add", name]);
        run("ip", &["-n", name, "link", "set", "lo", "up"]);
        self.add_interface(host);
    }

    /// Gives a host its interface, with its address and a cable to the switch.
    pub fn add_interface(&self, host: usize) {
        let (name, switch, cable) = (&*self.hosts[host], &*self.switch, &*cable(host));
        let interface = ["link", "add", "eth0", "netns", name, "type", "veth"];
        run("ip", &[&["-n", switch], &interface[..], &["peer", "name", cable]].concat());
        run("ip", &["-n", switch, "link", "set", cable, "master", "bridge", "up"]);
        self.set_address(host, "add", &address(host));
        self.set_interface(host, "up");
        // A cable takes a moment to carry.
        wait_until("the network", || {
            let shown = run("ip", &["-n", switch, "link", "show", cable]);
            shown.contains("state UP")
        });
    }

    /// Pulls the cable of a host, or puts it in again.
    pub fn set_cable(&self, host: usize, state: &str) {
        run("ip", &["-n", &self.switch, "link", "set", &cable(host), state]);
    }

    /// Does something within a host, in a thread of its own, and returns what came of it. A socket that is opened there stays
    /// in the host's network.
    pub fn within<T: Send>(&self, host: usize, act: impl FnOnce() -> T + Send) -> T {
        inside(&self.hosts[host], act)
    }

    /// Takes the interface of a host away, and its cable with it.
    pub fn delete_interface(&self, host: usize) {
        run("ip", &["-n", &self.hosts[host], "link", "delete", "eth0"]);
    }

    /// Sets the interface of a host down, or up again.
    pub fn set_interface(&self, host: usize, state: &str) {
        run("ip", &["-n", &self.hosts[host], "link", "set", "eth0", state]);
    }

    /// Gives the interface of a host an address (`add`), or takes it away (`delete`).
    pub fn set_address(&self, host: usize, act: &str, address: &str) {
        run("ip", &["-n", &self.hosts[host], "address", act, &format!("{address}/24"), "dev", "eth0"]);
    }

    /// Gives the interface of a host an address of IPv6, which it may use at once.
    pub fn add_ipv6(&self, host: usize) {
        let own = format!("{}/64", address_v6(host));
        run("ip", &["-n", &self.hosts[host], "address", "add", &own, "dev", "eth0", "nodad"]);
    }

    /// A host drops what matches a rule of nftables as it comes in, until [`filter_nothing`](Self::filter_nothing).
    pub fn filter(&self, host: usize, rule: &str) {
        let rules = format!(
            "add table inet filter; \
             add chain inet filter input {{ type filter hook input priority 0; }}; \
             add rule inet filter input {rule} drop"
        );
        run("ip", &["netns", "exec", &self.hosts[host], "nft", &rules]);
    }

    /// A host drops nothing any more.
    pub fn filter_nothing(&self, host: usize) {
        run("ip", &["netns", "exec", &self.hosts[host], "nft", "delete", "table", "inet", "filter"]);
    }

    /// From now on programs that start at a host find these lines in their `/etc/hosts`.
    pub fn name_hosts(&self, host: usize, lines: &str) {
        let folder = settings_of(&self.hosts[host]);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("hosts"), lines).unwrap();
    }

    /// From now on every host loses a quarter of the datagrams that are for it, those over loopback too.
    pub fn lose_a_quarter(&self) {
        let rules = "add table inet loss; \
            add chain inet loss input { type filter hook input priority 0; }; \
            add rule inet loss input meta l4proto udp numgen random mod 100 < 25 counter drop";
        for host in &self.hosts {
            run("ip", &["netns", "exec", host, "nft", rules]);
        }
    }

    /// How many datagrams were lost at a host.
    pub fn lost(&self, host: usize) -> u64 {
        let rules = run("ip", &["netns", "exec", &self.hosts[host], "nft", "list", "chain", "inet", "loss", "input"]);
        let counter = rules.split_once("counter packets ").unwrap().1;
        counter.split(' ').next().unwrap().parse().unwrap()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for name in self.hosts.iter().chain([&self.switch]) {
            // One that was not made yet is not there to be deleted.
            let _ = output("ip", &["netns", "delete", name]);
            let _ = fs::remove_dir_all(settings_of(name));
        }
    }
}

/// Where `ip netns exec` finds the files that it puts over those in `/etc`.
fn settings_of(host: &str) -> PathBuf {
    PathBuf::from("/etc/netns").join(host)
}

/// The address of a host in its network.
pub fn address(host: usize) -> String {
    format!("10.77.13.{}", host + 1)
}

/// Its address of IPv6, once it has one.
pub fn address_v6(host: usize) -> String {
    format!("fd77:13::{}", host + 1)
}

/// What a host's cable is called at the switch.
fn cable(host: usize) -> String {
    format!("cable{host}")
}

/// A command within a host.
pub fn command_in(host: &str, program: &str) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", host, program]);
    command
}
