//! Phones that lose the network for a while: nobody sees it in a count (`--leave-delay`).
//!
//! Hosts and cables are those of the kit. The daemon is at the first host, a phone at each of the others. The programs that join
//! are not ours: what a client does when its stream is lost is its own affair, and here it is ended in the tunnel and started
//! again behind it, at another address.

use std::process::{Child, Stdio};

use audience_kit::*;

/// The daemon finds the phones out while they are away, and says a count every half second.
const OPTIONS: [&str; 11] = [
    "--enable-uuid",
    "--leave-delay",
    "30",
    "--peer-timeout",
    "2",
    "--notify-min-delay",
    "0.1",
    "--notify-max-delay",
    "0.5",
    "--notify-delta-ratio",
    "0",
];

/// Clients of others, one for each phone, and how they ask for a stream.
const CLIENTS: [(&str, &[&str]); 2] = [
    ("curl", &["--silent", "--no-buffer", "--header"]),
    ("wget", &["--quiet", "--tries=1", "--output-document=-", "--header"]),
];

/// A client at a host, which ends with this value.
struct Phone(Child);

impl Phone {
    fn join(network: &Network, host: usize) -> Self {
        let (program, arguments) = CLIENTS[host - 1];
        let mut command = command_in(&network.hosts[host], program);
        command.args(arguments).arg(ACCEPT.trim_end());
        command.arg(format!("http://{}:{}/ns/phone-{host}", address(0), Node::PORT));
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        let _ = self.0.kill();
        self.0.wait().unwrap();
    }
}

#[test]
fn a_phone_in_a_tunnel_of_ten_seconds_does_not_show() {
    let Some(network) = Network::build() else { return };
    let node = Node::start(&network, 0, &OPTIONS);
    let figures = || ["members", "waiting", "connections"].map(|key| node.stat(key));
    let mut viewer = node.within(|| Stream::join(node.daemon.audience(), "/ns"));
    let phones = [1, 2].map(|host| Phone::join(&network, host));
    wait_until("everybody", || figures() == [3, 0, 3]);
    viewer.wait_count(3);

    let tunnel = Deadline::after(ms(10_000));
    for host in [1, 2] {
        network.set_cable(host, "down");
    }
    wait_until("the daemon to have lost both", || figures() == [3, 2, 3]);
    while tunnel.left().is_some() {
        viewer.expect_count(3);
    }
    drop(phones);
    for host in [1, 2] {
        network.set_address(host, "delete", &address(host));
        network.set_address(host, "add", &address(host + 100));
        network.set_cable(host, "up");
    }
    let _phones = [1, 2].map(|host| Phone::join(&network, host));
    wait_until("both to be back", || figures() == [3, 0, 3]);
    (0..3).for_each(|_| viewer.expect_count(3));
    let stays = node.ask("/")["ns"]["stays"].as_array().unwrap().clone();
    assert!(stays.iter().all(|count| *count == 0), "nobody has left: {stays:?}");
}
