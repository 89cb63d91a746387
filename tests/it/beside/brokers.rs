//! Message brokers of others, and their client libraries in another language: the second opinion on what a session with a
//! broker writes and reads.
//!
//! Owns a session that is driven over a socket without a daemon. What a daemon makes of a broker is judged in `cluster`.

use std::fs;
use std::io::{BufRead as _, BufReader, ErrorKind, Lines, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};

use audience_kit::*;
use audience_meter::wire::broker::{Event, Kind, Login, Refusal, Session};
use audience_meter::wire::report::DATAGRAM_MAX;

/// A session over a socket.
struct Ours {
    socket: TcpStream,
    session: Session,
    datagrams: Vec<Vec<u8>>,
    is_ready: bool,
}

impl Ours {
    /// Connects and logs in.
    fn log_in(address: SocketAddr, kind: Kind, login: Option<&Login>) -> Result<Self, Refusal> {
        let socket = connect(address);
        socket.set_read_timeout(Some(SOON)).unwrap();
        let session = Session::new(kind, "am", login);
        let mut ours = Self { socket, session, datagrams: Vec::new(), is_ready: false };
        while !ours.is_ready {
            ours.read()?;
        }
        Ok(ours)
    }

    /// Writes what there is, reads once, and answers.
    fn read(&mut self) -> Result<(), Refusal> {
        let outgoing = self.session.take_outgoing();
        let _ = self.socket.write_all(&outgoing);
        let mut bytes = [0; 7_000];
        let count = match self.socket.read(&mut bytes) {
            Ok(0) => return Err(self.session.closed()),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Err(self.session.closed()),
            Err(error) => panic!("{error}"),
        };
        let fed = self.session.feed(&bytes[..count], |event| match event {
            Event::Ready => self.is_ready = true,
            Event::Datagram(bytes) => self.datagrams.push(bytes.to_vec()),
            Event::Skipped => panic!("a datagram was skipped"),
        });
        self.socket.write_all(&self.session.take_outgoing()).unwrap();
        fed
    }

    fn publish(&mut self, datagram: &[u8]) {
        let mut out = Vec::new();
        self.session.publish(datagram, &mut out);
        self.socket.write_all(&out).unwrap();
    }

    fn ping(&mut self) {
        let mut out = Vec::new();
        self.session.ping(&mut out);
        self.socket.write_all(&out).unwrap();
    }

    /// Reads until the session is over.
    fn end(mut self) -> Refusal {
        loop {
            if let Err(refusal) = self.read() {
                return refusal;
            }
        }
    }
}

fn kind_of(program: Program) -> Kind {
    match program {
        Program::Nats => Kind::Nats,
        Program::Redis => Kind::Redis,
    }
}

fn log_in(broker: &Broker, kind: Kind, login: Option<&Login>) -> Result<Ours, Refusal> {
    Ours::log_in(broker.address(), kind, login)
}

/// Why a broker with these arguments refuses this login.
fn refusal(program: Program, args: &[&str], login: Option<&Login>) -> Option<Refusal> {
    log_in(&Broker::start(program, args), kind_of(program), login).err()
}

fn user(user: &str, secret: &str) -> Login {
    Login { user: Some(user.to_owned()), secret: secret.to_owned() }
}

fn secret(secret: &str) -> Login {
    Login { user: None, secret: secret.to_owned() }
}

/// Publishes each argument after the first, then shows what it receives.
const NATS_PY: &str = "
import asyncio, nats, sys
async def main():
    client = await nats.connect(sys.argv[1], user='user', password='pass word')
    for payload in sys.argv[2:]:
        await client.publish('am', bytes.fromhex(payload))
    subscription = await client.subscribe('am')
    await client.flush()
    print('ready', flush=True)
    async for message in subscription.messages:
        print(message.data.hex(), flush=True)
asyncio.run(main())
";

/// The same.
const REDIS_PY: &str = "
import redis, sys
client = redis.Redis.from_url(sys.argv[1], protocol=3, username='user', password='pass word')
for payload in sys.argv[2:]:
    client.publish('am', bytes.fromhex(payload))
channel = client.pubsub(ignore_subscribe_messages=False)
channel.subscribe('am')
for message in channel.listen():
    print('ready' if message['type'] == 'subscribe' else message['data'].hex(), flush=True)
";

/// A library that runs.
struct Theirs {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Theirs {
    fn start(program: &str, broker: &Broker, payloads: &[Vec<u8>]) -> Self {
        let mut command = Command::new("python3");
        command.env("PYTHONPATH", format!("{}/tests/browser/.python", env!("CARGO_MANIFEST_DIR")));
        command.args(["-c", program, &broker.url()]).args(payloads.iter().map(|payload| hex(payload)));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    #[track_caller]
    fn expect(&mut self, line: &str) {
        assert_eq!(self.lines.next().unwrap().unwrap(), line);
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits.map(|digit| char::from_digit(digit.into(), 16).unwrap()).collect()
}

/// A broker that lets one user in.
fn with_password(program: Program) -> Broker {
    match program {
        Program::Nats => Broker::start(program, &["--user", "user", "--pass", "pass word"]),
        Program::Redis => {
            let broker = Broker::start(program, &[]);
            broker.redis_cli(&["ACL", "SETUSER", "user", "on", ">pass word", "&am", "+@all"]);
            broker.redis_cli(&["ACL", "SETUSER", "default", "off"]);
            broker
        }
    }
}

#[test]
fn what_a_session_writes_other_libraries_read_and_the_other_way_round() {
    let every_byte = (0..=255).collect::<Vec<u8>>();
    let payloads = [vec![], b"\r\n+OK\r\n".to_vec(), every_byte, vec![0xff; DATAGRAM_MAX], b"last".to_vec()];
    for (program, library) in [(Program::Nats, NATS_PY), (Program::Redis, REDIS_PY)] {
        let broker = with_password(program);
        let mut ours = log_in(&broker, kind_of(program), Some(&user("user", "pass word"))).unwrap();
        let mut theirs = Theirs::start(library, &broker, &payloads);
        while ours.datagrams.len() < payloads.len() {
            ours.read().unwrap();
        }
        assert_eq!(ours.datagrams, payloads, "{program:?}");
        theirs.expect("ready");
        for payload in &payloads {
            ours.publish(payload);
        }
        for payload in &payloads {
            theirs.expect(&hex(payload));
        }
        // What a session publishes, Redis returns to it and NATS does not.
        ours.datagrams.clear();
        let own = if program == Program::Redis { payloads.len() } else { 0 };
        while ours.datagrams.len() < own {
            ours.read().unwrap();
        }
        // What comes next is the answer to a question, and nothing of its own is before it.
        ours.ping();
        ours.read().unwrap();
        assert_eq!(ours.datagrams, payloads[..own], "{program:?}");
    }
}

#[test]
fn each_way_to_log_in_is_one_and_a_wrong_one_is_refused() {
    let nats: [(&[&str], Login); 2] =
        [(&["--user", "u", "--pass", "p \"w\\"], user("u", "p \"w\\")), (&["--auth", "tok\"en"], secret("tok\"en"))];
    for (args, login) in nats {
        assert_eq!(refusal(Program::Nats, args, Some(&login)), None, "{args:?}");
        assert_eq!(refusal(Program::Nats, args, None), Some(Refusal::CredentialsNeeded), "{args:?}");
        assert_eq!(refusal(Program::Nats, args, Some(&secret("no"))), Some(Refusal::WrongCredentials), "{args:?}");
    }
    let password: &[&str] = &["--requirepass", "p w"];
    assert_eq!(refusal(Program::Redis, password, Some(&secret("p w"))), None);
    assert_eq!(refusal(Program::Redis, password, None), Some(Refusal::CredentialsNeeded));
    assert_eq!(refusal(Program::Redis, password, Some(&secret("no"))), Some(Refusal::WrongCredentials));
    assert_eq!(refusal(Program::Redis, &[], Some(&user("stranger", "p w"))), Some(Refusal::WrongCredentials));
}

#[test]
fn a_user_of_redis_needs_three_commands_and_the_channel() {
    let broker = Broker::start(Program::Redis, &[]);
    let allow = |rules: &[&str]| {
        broker.redis_cli(&[&["ACL", "SETUSER", "am", "reset", "on", ">pw"], rules].concat());
        let mut ours = log_in(&broker, Kind::Redis, Some(&user("am", "pw")))?;
        ours.publish(b"datagram");
        ours.ping();
        while ours.datagrams.is_empty() {
            ours.read()?;
        }
        Ok(())
    };
    assert_eq!(allow(&["resetchannels", "&am", "+hello", "+client|setname", "+subscribe", "+publish"]), Ok(()));
    for rules in [&["resetchannels", "&other", "+@all"][..], &["&am", "+hello", "+client|setname", "+publish"]] {
        let refusal = allow(rules).unwrap_err();
        assert!(matches!(&refusal, Refusal::NotAllowed(text) if text.starts_with("NOPERM")), "{refusal}");
    }
}

#[test]
fn a_server_of_nats_that_cannot_be_used_says_so() {
    let folder = ScratchFolder::create("nats");
    let config = |text: &str| {
        let path = folder.file("config");
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let small = refusal(Program::Nats, &["--config", &config("max_payload: 1000")], None);
    assert_eq!(small, Some(Refusal::MaxPayload(1_000)));
    let limit = config("authorization { users = [{ user: u, password: p, permissions: { publish: other } }] }");
    let broker = Broker::start(Program::Nats, &["--config", &limit]);
    let mut ours = log_in(&broker, Kind::Nats, Some(&user("u", "p"))).unwrap();
    ours.publish(b"datagram");
    assert!(matches!(ours.end(), Refusal::NotAllowed(_)));
    let (certificate, key) = certificate(&folder, "localhost");
    let tls = ["--tls", "--tlscert", &certificate, "--tlskey", &key];
    assert_eq!(refusal(Program::Nats, &tls, None), Some(Refusal::TlsWanted));
    let cluster = free_port();
    let broker = Broker::start(Program::Nats, &["--cluster", &format!("nats://127.0.0.1:{cluster}")]);
    let route = SocketAddr::from(([127, 0, 0, 1], cluster));
    // It listens to its clients first.
    wait_until("a port of routes", || TcpStream::connect(route).is_ok());
    assert_eq!(Ours::log_in(route, Kind::Nats, None).err(), Some(Refusal::WrongPort));
    // Lame duck mode: it lets its clients go before it ends.
    let ours = log_in(&broker, Kind::Nats, None).unwrap();
    broker.signal("USR2");
    assert_eq!(ours.end(), Refusal::Leaving);
}

#[test]
fn a_server_of_redis_that_cannot_be_used_says_so() {
    let folder = ScratchFolder::create("redis");
    let (certificate, key) = certificate(&folder, "localhost");
    let port = free_port();
    let tls = ["--tls-port", &port.to_string(), "--tls-cert-file", &certificate, "--tls-key-file", &key];
    let plain = Broker::start(Program::Redis, &[&tls[..], &["--tls-ca-cert-file", &certificate]].concat());
    let tls_port = SocketAddr::from(([127, 0, 0, 1], port));
    let wanted = Ours::log_in(tls_port, Kind::Redis, None).err().unwrap();
    assert!([Refusal::TlsWanted, Refusal::ClosedAtOnce].contains(&wanted), "{wanted}");
    plain.redis_cli(&["CONFIG", "SET", "maxclients", "1"]);
    let ours = log_in(&plain, Kind::Redis, None).unwrap();
    assert_eq!(log_in(&plain, Kind::Redis, None).err(), Some(Refusal::Full));
    drop(ours);
    assert_eq!(refusal(Program::Redis, &["--rename-command", "HELLO", ""], Some(&secret("pw"))), Some(Refusal::TooOld));
}

#[test]
fn a_replica_leads_to_its_master_whenever_it_becomes_one() {
    let [master, other] = [0; 2].map(|_| Broker::start(Program::Redis, &[]));
    let port = master.port().to_string();
    let mut ours = log_in(&other, Kind::Redis, None).unwrap();
    other.redis_cli(&["REPLICAOF", "127.0.0.1", &port]);
    ours.ping();
    let expected = Refusal::MasterAt { host: "127.0.0.1".to_owned(), port: master.port() };
    assert_eq!(ours.end(), expected);
    assert_eq!(log_in(&other, Kind::Redis, None).err(), Some(expected));
    other.redis_cli(&["REPLICAOF", "NO", "ONE"]);
    assert!(log_in(&other, Kind::Redis, None).is_ok());
}

#[test]
fn a_connection_that_a_broker_ends_is_over() {
    let broker = Broker::start(Program::Redis, &[]);
    let ours = log_in(&broker, Kind::Redis, None).unwrap();
    broker.redis_cli(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    assert_eq!(ours.end(), Refusal::Closed);
    for program in Program::ALL {
        let mut broker = Broker::start(program, &[]);
        let ours = log_in(&broker, kind_of(program), None).unwrap();
        broker.kill();
        assert_eq!(ours.end(), Refusal::Closed, "{program:?}");
    }
}

#[test]
fn each_broker_refuses_or_ignores_the_other_ones_client() {
    let [nats, redis] = Program::ALL.map(|program| Broker::start(program, &[]));
    assert_eq!(log_in(&nats, Kind::Redis, None).err(), Some(Refusal::NotThisProtocol));
    // Redis waits for the client, which waits for it: the caller's deadline ends that.
    let mut socket = connect(redis.address());
    socket.set_read_timeout(Some(ms(200))).unwrap();
    assert!(socket.read(&mut [0]).is_err());
    let daemon = Daemon::start(&[]);
    assert_eq!(Ours::log_in(daemon.audience(), Kind::Redis, None).err(), Some(Refusal::NotThisProtocol));
}
