//! A proxy in front of a daemon, with TLS and HTTP/2 where it speaks them, as the manual configures it.
//!
//! The configurations are taken out of the manual, so what is proven here is what a reader copies; only ports, addresses and
//! the paths of certificates are put in their place, and where a test is about a setting, that setting. Each proxy is a
//! child of the test, in a folder of its own, and goes with it.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

pub(super) use super::recipes::*;
use audience_kit::*;

/// How long a count, and the end of a member, may take behind a proxy: a second, and what a busy machine adds.
pub(super) const PROMISED: Duration = ms(5000);

/// Every change is told, and soon.
pub(super) const QUICK: [&str; 4] = ["--notify-min-delay", "0.1", "--notify-delta-ratio", "0"];

/// Where programs are: those of Python packages, and tools that are for root, which a user's shell does not find.
fn path() -> String {
    let python = source().join("tests/browser/.python");
    let system = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    format!("{0}/envoy/_bin:{0}/bin:{system}", python.display())
}

/// Those of which this suite asks most.
pub(super) const KINDS: [Kind; 2] = [Kind::Nginx, Kind::Haproxy];

/// A running proxy, ended when this value is dropped.
pub(super) struct Proxy {
    kind: Kind,
    child: Child,
    folder: ScratchFolder,
    at: SocketAddr,
}

impl Proxy {
    /// One in front of a daemon.
    #[track_caller]
    pub(super) fn start(kind: Kind, daemon: SocketAddr, edits: &[Edit]) -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let proxy = Self::spawn(kind, listen, daemon, edits, |program| Command::new(program));
        wait_until("the proxy to listen", || TcpStream::connect(listen).is_ok());
        proxy
    }

    #[track_caller]
    pub(super) fn spawn(
        kind: Kind,
        at: SocketAddr,
        daemon: SocketAddr,
        edits: &[Edit],
        command: impl Fn(&str) -> Command,
    ) -> Self {
        let folder = ScratchFolder::create("proxy");
        // What root starts is another user later.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        fs::write(folder.file("certificate.pem"), certificate()).unwrap();
        let place = Place { listen: at, daemon, folder: folder.path() };
        fs::write(folder.file("configuration.yml"), kind.configuration(&place, edits)).unwrap();
        let Recipe { program, package, arguments, .. } = kind.recipe();
        let log = fs::File::create(folder.file("log")).unwrap();
        let mut command = command(program);
        command.args(arguments.iter().map(|argument| place.fill(argument))).env("PATH", path());
        command.env("HOME", folder.path()).env_remove("XDG_CONFIG_HOME").env_remove("XDG_DATA_HOME");
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let child = command.spawn().unwrap_or_else(|error| panic!("{program}: {error}; it comes with {package}"));
        Proxy { kind, child, folder, at }
    }

    pub(super) fn url(&self, target: &str) -> String {
        let scheme = if self.kind.recipe().is_secure { "https" } else { "http" };
        format!("{scheme}://{}{target}", self.at)
    }

    /// The status of its answer to a plain request, 0 where there is none.
    pub(super) fn status(&self, target: &str, options: &[&str]) -> u16 {
        let mut asking = curl();
        asking.args(["--output", "/dev/null", "--write-out", "%{http_code}", "--max-time", "8"]).args(options);
        let output = asking.arg(self.url(target)).stdout(Stdio::piped()).output().unwrap();
        lossy(&output.stdout).parse().unwrap()
    }

    /// Joins through the proxy.
    pub(super) fn join(&self, target: &str, options: &[&str]) -> Member {
        Member::join(&self.url(target), options)
    }

    /// How many connections from clients there are.
    pub(super) fn connections(&self) -> usize {
        let table = fs::read_to_string("/proc/net/tcp").unwrap();
        let local = format!("0100007F:{:04X}", self.at.port());
        let is_one = |line: &&str| matches!(line.split_whitespace().collect::<Vec<_>>()[..], [_, to, _, "01", ..] if to == local);
        table.lines().filter(is_one).count()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let by_itself = self.child.try_wait().unwrap();
        end(&mut self.child);
        let log = fs::read_to_string(self.folder.file("log")).unwrap_or_default();
        if std::thread::panicking() {
            show(&format!("{:?} said:\n{log}", self.kind));
        } else if let Some(status) = by_itself {
            panic!("{:?} ended by itself, {status}:\n{log}", self.kind);
        }
    }
}

/// A certificate and its key, made for this run.
pub(super) fn certificate() -> &'static str {
    static CERTIFICATE: OnceLock<String> = OnceLock::new();
    CERTIFICATE.get_or_init(|| {
        let key = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
        let names = format!("subjectAltName=DNS:localhost,IP:127.0.0.1,IP:{}", address(0));
        let name = ["-days", "2", "-subj", "/CN=localhost", "-addext", &names];
        run("openssl", &[&key[..], &name[..], &["-keyout", "-", "-out", "-"]].concat())
    })
}

// ---------------------------------------------------------------------------------------------
// A member behind it
// ---------------------------------------------------------------------------------------------

/// A `curl` that joined, and what it hears. It leaves when this value is dropped.
pub(super) struct Member {
    pub(super) curl: Child,
    pub(super) stream: Stream,
}

impl Member {
    pub(super) fn join(url: &str, options: &[&str]) -> Self {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let near = TcpStream::connect(port.local_addr().unwrap()).unwrap();
        let far = OwnedFd::from(port.accept().unwrap().0);
        let curl = curl().args(["--header", "Accept: text/event-stream"]).args(options).arg(url).stdout(far).spawn();
        Member { curl: curl.unwrap(), stream: Stream::of_body(near) }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.curl.kill();
        self.curl.wait().unwrap();
    }
}

/// A client that prints what it is told at once, and nothing about itself.
pub(super) fn curl() -> Command {
    let mut command = Command::new("curl");
    command.args(["--silent", "--no-buffer", "--insecure", "--http2"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// A daemon, and a proxy in front of it.
pub(super) struct Scene {
    pub(super) proxy: Proxy,
    pub(super) daemon: Daemon,
}

impl Scene {
    #[track_caller]
    pub(super) fn set(kind: Kind, options: &[&str], edits: &[Edit]) -> Self {
        let daemon = Daemon::start(&[&QUICK[..], &["--trust-proxy", "127.0.0.1/32"], options].concat());
        let proxy = Proxy::start(kind, daemon.audience(), edits);
        // Traefik listens before it knows of the daemon.
        wait_until("an answer of the daemon", || proxy.status("/", &[]) == 200);
        Scene { proxy, daemon }
    }
}
