//! Attacks on running processes: by another user of the host, and by another host that has recorded what sealed datagrams there
//! were. The attacker knows names, scopes and the format, and no key.
//!
//! Owns the attacker, which is a process of its own: it reads one datagram of the group for the scope, gives its rights up, and
//! sends what it is given. The tests need root, as another user cannot be one without.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use super::siblings::*;
use audience_kit::*;
use audience_meter::meter::news::{Alive, Ask, Datagram, Farewell, Format, News, NodeId, Promise, Wanted};
use audience_meter::wire::report::{FORMATS, Keys, Scope, encode};

/// The largest number of a datagram.
const LAST: u64 = (1 << 56) - 1;

/// More names than nodes that there may be.
const NAMES: u64 = 300;

/// The key of a cluster on the network.
const KEY: &str = "the key of this audience";

/// Where a cluster on the network speaks.
const GROUP: (&str, u16) = ("239.255.13.37", 3140);

/// Its arguments: group, port, the address of the interface, and whom it becomes. Then it sends what it reads, line by
/// line, or waits.
const ATTACKER: &str = "
import os, socket, sys, time
group, port, interface, user = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
reader = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
reader.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
reader.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
reader.bind((group, port))
membership = socket.inet_aton(group) + socket.inet_aton(interface)
reader.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
print(reader.recv(2000)[5:13].hex(), flush=True)
reader.close()
os.setuid(user)
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(interface))
sender.bind((interface, 0))
for line in sys.stdin:
    if line.startswith('wait '):
        time.sleep(float(line[5:]))
    else:
        sender.sendto(bytes.fromhex(line), (group, port))
";

/// A process that sends what nobody has asked for.
struct Attacker {
    process: Child,
    scope: Scope,
}

impl Attacker {
    /// Another user of this host, who knows how the processes of this daemon's audience reach each other.
    fn beside(daemon: &Daemon) -> Option<Self> {
        let group = (&*LOOPBACK_GROUP.to_string(), daemon.audience().port());
        Self::start(Command::new("python3"), group, "127.0.0.1", 65_534, None)
    }

    /// Another host in the network of a keyed cluster. Of its recordings the test makes what it needs, so it is given the key.
    fn on_host(network: &Network, host: usize) -> Option<Self> {
        Self::start(command_in(&network.hosts[host], "python3"), GROUP, &address(host), 0, Some(KEY))
    }

    /// It begins once it has seen a datagram. Says why the test is left out if there cannot be one.
    fn start(mut command: Command, group: (&str, u16), interface: &str, user: u32, key: Option<&str>) -> Option<Self> {
        let args = ["-c", ATTACKER, group.0, &group.1.to_string(), interface, &user.to_string()];
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().map_err(|error| skip(&format!("python3: {error}"))).ok()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Ok(id) = u64::from_str_radix(line.trim(), 16) else {
            skip("python3 could not read the group; become root");
            process.wait().unwrap();
            return None;
        };
        let keys = Keys::new(key.map(|key| key.as_bytes().to_vec()).into_iter().collect());
        Some(Self { process, scope: Scope { id: id.swap_bytes(), keys } })
    }

    /// Sends some news in the name of a node.
    fn send(&mut self, sender: u64, number: u64, news: News<&str>) {
        let format = Format { written: FORMATS.oldest, newest: FORMATS.newest };
        let datagram = Datagram { sender: NodeId(sender), number, clock: number.min(1 << 30), format, news };
        let bytes = encode(&datagram, &self.scope);
        let hex = bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        self.write(&hex);
    }

    /// Waits before it sends more.
    fn wait(&mut self, seconds: f64) {
        self.write(&format!("wait {seconds}"));
    }

    fn write(&mut self, line: &str) {
        writeln!(self.process.stdin.as_ref().unwrap(), "{line}").unwrap();
    }

    /// Returns once all is sent.
    fn finish(mut self) {
        self.process.stdin.take();
        assert!(self.process.wait().unwrap().success(), "all is sent");
    }

    /// Sends a sign of life and a question in each of many names.
    fn send_names(&mut self) {
        for name in 1..=NAMES {
            self.send(name, 1, News::Alive(Alive { promise: Promise(name), ..Alive::default() }));
            self.send(name, 2, question(name));
        }
    }
}

impl Drop for Attacker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        self.process.wait().unwrap();
    }
}

/// A question for all that there is.
fn question(nonce: u64) -> News<&'static str> {
    News::Ask(Ask { of: None, wanted: Wanted::Items { since: 0 }, nonce })
}

#[test]
fn another_user_ends_no_process_and_silences_none() {
    let daemons = audience::<2>(&BRISK);
    let Some(mut attacker) = Attacker::beside(&daemons[0]) else { return };
    let mut open = members(&daemons[0], "/ns", 39);
    wait_totals(&daemons, "ns", 39);
    let names = daemons.each_ref().map(|daemon| u64::from_str_radix(&node_name(daemon), 16).unwrap());
    let deadline = Deadline::after(3 * BRISK_TIMEOUT);
    while deadline.left().is_some() {
        for name in names {
            attacker.send(name, LAST, News::Bye(Farewell([1, 2])));
            attacker.send(name, LAST, News::Alive(Alive { version: 1, ..Alive::default() }));
            attacker.send(name, LAST - 1, question(1));
        }
        assert!(daemons.iter().all(|daemon| daemon.stat("ns", "members") == Some(39)), "{}", daemons[0].stats_text());
        assert_eq!(daemons.each_ref().map(nodes), [2, 2]);
    }
    open.push(join_at(&daemons[1], "/ns").0);
    wait_totals(&daemons, "ns", 40);
}

#[test]
fn names_that_another_user_invents_keep_no_process_out() {
    let [stays, mut dies] = audience::<2>(&BRISK);
    let Some(mut attacker) = Attacker::beside(&stays) else { return };
    let _open = join_at(&stays, "/ns");
    attacker.send_names();
    let gone = join_at(&dies, "/ns");
    dies.signal("KILL");
    dies.wait_exit();
    drop(gone);
    attacker.send_names();
    let begins = beside(&stays, &BRISK);
    attacker.send_names();
    wait_until("that the names are seen", || cluster_page(&stays)["datagrams"]["received"].as_u64() > Some(0));
    let (_more, first) = join_at(&begins, "/ns");
    assert!(first <= 2, "{first}");
    for daemon in [&stays, &begins] {
        daemon.wait_members("ns", 2);
        wait_nodes(daemon, 2);
    }
}

/// One process on each of two hosts, of a cluster with a key.
fn keyed_hosts(network: &Network, key: &ScratchFile) -> [Node; 2] {
    let nodes = [0, 1].map(|host| start_keyed(network, key, host));
    for node in &nodes {
        wait_until("both", || node.nodes() == 2);
    }
    nodes
}

fn start_keyed(network: &Network, key: &ScratchFile, host: usize) -> Node {
    let group = format!("{}:{}", GROUP.0, GROUP.1);
    let options = ["-m", &group, "--cluster-interface", &address(host), "--cluster-key-file", key.path()];
    Node::start(network, host, &options)
}

#[test]
fn recordings_of_many_nodes_keep_no_process_out() {
    let Some(network) = Network::build() else { return };
    let key = ScratchFile::with("attacked-key", KEY, 0o600);
    let [stays, dies] = keyed_hosts(&network, &key);
    let Some(mut attacker) = Attacker::on_host(&network, 2) else { return };
    let _crowd = Crowd::join(&network, 0, "127.0.0.1", 3);
    attacker.send_names();
    dies.end("KILL");
    attacker.send_names();
    let begins = start_keyed(&network, &key, 1);
    attacker.send_names();
    let _crowd = Crowd::join(&network, 1, "127.0.0.1", 4);
    for node in [&stays, &begins] {
        wait_until("all members", || node.stat("members") == 7);
        wait_until("that the dead process is gone", || node.nodes() == 2);
    }
}

/// Bytes that a host has received and sent on its network so far.
fn traffic(network: &Network, host: usize) -> (u64, u64) {
    let table = run("ip", &["netns", "exec", &network.hosts[host], "cat", "/proc/net/dev"]);
    let row = table.lines().find_map(|row| row.trim().strip_prefix("eth0:")).unwrap();
    let fields: Vec<u64> = row.split_whitespace().map(|field| field.parse().unwrap()).collect();
    (fields[0], fields[8])
}

#[test]
fn a_flood_of_questions_draws_out_no_more_of_a_process_than_it_brings() {
    /// Some 67 kB a second, for three seconds.
    const QUESTIONS: u64 = 4 * 250;
    let Some(network) = Network::build() else { return };
    let key = ScratchFile::with("flooded-key", KEY, 0o600);
    let _nodes = keyed_hosts(&network, &key);
    let _crowd = Crowd::join(&network, 0, "127.0.0.1", 50);
    let Some(mut attacker) = Attacker::on_host(&network, 2) else { return };
    let before = traffic(&network, 2);
    for number in 1..=QUESTIONS {
        attacker.send(1_000 + number, 1, question(number));
        if number % 20 == 0 {
            attacker.wait(0.04);
        }
    }
    attacker.finish();
    let after = traffic(&network, 2);
    let (drawn, brought) = (after.0 - before.0, after.1 - before.1);
    assert!(brought > QUESTIONS * 160, "{brought} bytes were sent");
    // A question to all is answered by each, and both know that the other is there.
    assert!(drawn <= 2 * brought, "{drawn} bytes for {brought}");
}
