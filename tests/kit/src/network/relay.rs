//! A relay: it carries every datagram of a multicast group to the others, as it is. Nothing keeps two networks apart less.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use super::{Network, address, command_in};
use crate::{output, skip};

/// Sockets of the groups on one interface, which do not receive what they send.
const PROGRAM: &str = r#"
import select, socket, sys
here, groups = sys.argv[1], [group.rsplit(":", 1) for group in sys.argv[2:]]
sockets = {}
for ip, port in groups:
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    interface = socket.inet_aton(here)
    one.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, interface)
    one.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
    one.bind((ip, int(port)))
    one.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(ip) + interface)
    sockets[one] = (ip, int(port))
print("ready", flush=True)
while True:
    for one in select.select(list(sockets), [], [])[0]:
        datagram = one.recv(65536)
        for other, group in sockets.items():
            if other is not one:
                other.sendto(datagram, group)
"#;

/// A relay that runs until this value is dropped.
pub struct Relay(Child);

impl Relay {
    /// Starts it at a host, between these groups; or says why the test is left out.
    pub fn start(network: &Network, host: usize, groups: &[&str]) -> Option<Self> {
        if let Err(why) = output("python3", &["--version"]) {
            skip(&why);
            return None;
        }
        let mut command = command_in(&network.hosts[host], "python3");
        command.args(["-c", PROGRAM, &address(host)]).args(groups).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut relay = Self(command.spawn().unwrap());
        let mut line = String::new();
        BufReader::new(relay.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        Some(relay)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
