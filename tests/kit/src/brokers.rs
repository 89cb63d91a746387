//! Message brokers as child processes: `nats-server` and `redis-server`, as Debian has them, on ports of their own, on loopback
//! or at a host of a network.
//!
//! Owns how they are started, stopped and asked. A broker that is started again has the port that it had.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use crate::network::inside;
use crate::{
    Network, ScratchFolder, address, command_in, end, free_port, lossy, output, run, send_signal, show, wait_until,
};

/// A broker's program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `nats-server`
    Nats,
    /// `redis-server`
    Redis,
}

impl Program {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Nats, Self::Redis];

    /// Whether it can be started.
    ///
    /// # Errors
    /// It is not installed; the line says how to install it.
    pub fn find(self) -> Result<(), String> {
        let package = match self {
            Self::Nats => "nats-server",
            Self::Redis => "redis-server",
        };
        output(self.path(), &["--version"]).map(drop).map_err(|why| format!("{why}; install it: apt install {package}"))
    }

    /// Where it is. Debian has one of them where an ordinary user's `PATH` may not lead.
    pub fn path(self) -> &'static str {
        let at_home = "/usr/sbin/nats-server";
        match self {
            Self::Nats if std::path::Path::new(at_home).exists() => at_home,
            Self::Nats => "nats-server",
            Self::Redis => "redis-server",
        }
    }
}

/// The files of a certificate for a host of this name, which is its own authority, and of its key.
#[track_caller]
pub fn certificate(folder: &ScratchFolder, name: &str) -> (String, String) {
    let path = |name: &str| folder.file(name).to_str().unwrap().to_owned();
    let (certificate, key) = (path("cert.pem"), path("key.pem"));
    let (subject, alternative) = (format!("/CN={name}"), format!("subjectAltName=DNS:{name}"));
    let new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    let names = ["-subj", &subject, "-addext", &alternative];
    run("openssl", &[&new[..], &names, &["-keyout", &key, "-out", &certificate]].concat());
    (certificate, key)
}

/// A broker that runs, or has run.
pub struct Broker {
    program: Program,
    /// The network namespace that it is in, if it has one of its own.
    host: Option<String>,
    address: SocketAddr,
    args: Vec<String>,
    folder: ScratchFolder,
    child: Option<Child>,
}

impl Broker {
    /// Starts one on loopback with these arguments beside its port, and waits until it listens.
    #[track_caller]
    pub fn start(program: Program, args: &[&str]) -> Self {
        Self::start_in(None, (Ipv4Addr::LOCALHOST, free_port()).into(), program, args)
    }

    /// The same, on another address of this host.
    #[track_caller]
    pub fn start_on(ip: Ipv4Addr, program: Program) -> Self {
        Self::start_in(None, (ip, free_port()).into(), program, &[])
    }

    /// The same, at a host of a network.
    #[track_caller]
    pub fn start_at(network: &Network, host: usize, program: Program, args: &[&str]) -> Self {
        let ip = address(host).parse::<Ipv4Addr>().unwrap();
        Self::start_in(Some(network.hosts[host].clone()), (ip, free_port()).into(), program, args)
    }

    #[track_caller]
    fn start_in(host: Option<String>, address: SocketAddr, program: Program, args: &[&str]) -> Self {
        let args = args.iter().map(|&arg| arg.to_owned()).collect();
        let folder = ScratchFolder::create("broker");
        let mut broker = Self { program, host, address, args, folder, child: None };
        broker.start_again();
        broker
    }

    /// Ends it, and starts it at another host of the network, with the same port and arguments.
    #[track_caller]
    pub fn move_to(&mut self, network: &Network, host: usize, ip: &str) {
        self.kill();
        self.host = Some(network.hosts[host].clone());
        self.address.set_ip(ip.parse().unwrap());
        self.start_again();
    }

    /// Starts it again, with the same port and arguments, after its end.
    #[track_caller]
    pub fn start_again(&mut self) {
        assert!(self.child.is_none(), "it runs");
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.folder.file("log")).unwrap();
        let mut command = self.command(self.program.path());
        let (ip, port) = (self.address.ip().to_string(), self.address.port().to_string());
        match self.program {
            Program::Nats => command.args(["--addr", &ip, "--port", &port]),
            Program::Redis => command.args(["--bind", &ip, "--port", &port, "--protected-mode", "no"]).args([
                "--save",
                "",
                "--appendonly",
                "no",
            ]),
        };
        command.args(&self.args).current_dir(self.folder.path()).stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        let child = command.spawn().unwrap_or_else(|error| panic!("{:?}: {error}", self.program));
        self.child = Some(child);
        wait_until("a broker that listens", || {
            let status = self.child.as_mut().and_then(|child| child.try_wait().unwrap());
            assert!(status.is_none(), "{:?} has ended: {status:?}\n{}", self.program, self.log());
            self.within(|| TcpStream::connect(self.address).is_ok())
        });
    }

    /// A command where it is.
    fn command(&self, program: &str) -> Command {
        self.host.as_ref().map_or_else(|| Command::new(program), |host| command_in(host, program))
    }

    fn within<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        match &self.host {
            Some(host) => inside(host, act),
            None => act(),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// What `-m` takes for it.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme(), self.address())
    }

    /// The first part of such a URL.
    pub fn scheme(&self) -> &'static str {
        match self.program {
            Program::Nats => "nats",
            Program::Redis => "redis",
        }
    }

    /// All that it has logged.
    pub fn log(&self) -> String {
        std::fs::read(self.folder.file("log")).map(|log| lossy(&log)).unwrap_or_default()
    }

    /// Sends it a signal by its name.
    #[track_caller]
    pub fn signal(&self, name: &str) {
        send_signal(self.child.as_ref().unwrap().id(), name);
    }

    /// Lets it hang: its connections stay open and nothing is answered.
    #[track_caller]
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    #[track_caller]
    pub fn resume(&self) {
        self.signal("CONT");
    }

    /// Ends it without a word.
    #[track_caller]
    pub fn kill(&mut self) {
        end(&mut self.child.take().unwrap());
    }

    /// Has `redis-cli` send a command to it; the answer's lines.
    #[track_caller]
    pub fn redis_cli(&self, words: &[&str]) -> String {
        let (ip, port) = (self.address.ip().to_string(), self.address.port().to_string());
        let output = self.command("redis-cli").args(["-h", &ip, "-p", &port]).args(words).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", lossy(&output.stderr));
        lossy(&output.stdout)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            end(&mut child);
        }
        if std::thread::panicking() {
            show(&format!("the log of {:?}:\n{}", self.program, self.log()));
        }
    }
}
