//! `nginx` and `haproxy` in front of a daemon, with TLS and HTTP/2, as the manual configures them.
//!
//! The configurations are taken out of the manual, so what is proven here is what a reader copies; only ports, addresses and
//! the paths of certificates are put in their place, and where a test is about a setting, that setting. Each proxy is a
//! child of the test, in a folder of its own, and goes with it.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use audience_kit::*;

/// How long a count, and the end of a member, may take behind a proxy: a second, and what a busy machine adds.
pub(super) const PROMISED: Duration = ms(5000);

/// Every change is told, and soon.
pub(super) const QUICK: [&str; 4] = ["--notify-min-delay", "0.1", "--notify-delta-ratio", "0"];

/// Where the kernel finds tools that are for root, where a user's shell does not.
pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Whose proxy it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Nginx,
    Haproxy,
}

pub(super) const KINDS: [Kind; 2] = [Kind::Nginx, Kind::Haproxy];

/// A change to the text of the manual: what stands there once, and what is to stand there instead.
pub(super) type Edit<'a> = (&'a str, &'a str);

impl Kind {
    /// The configuration that the manual gives.
    pub(super) fn documented(self) -> String {
        match self {
            Kind::Nginx => manual::block("nginx", ""),
            Kind::Haproxy => manual::block("haproxy", ""),
        }
    }

    /// The whole configuration file: for these addresses, with these edits.
    pub(super) fn configuration(self, listen: SocketAddr, daemon: SocketAddr, folder: &str, edits: &[Edit]) -> String {
        let (listen, daemon, at) = (listen.to_string(), daemon.to_string(), folder);
        let certificate = format!("{at}/certificate.pem");
        let mut text = self.documented();
        let placed: [Edit; 3] = match self {
            Kind::Nginx => [
                ("listen 443", &format!("listen {listen}")),
                ("/etc/ssl/audience.pem", &certificate),
                ("/etc/ssl/audience.key", &certificate),
            ],
            Kind::Haproxy => [
                ("bind :443", &format!("bind {listen}")),
                ("/etc/haproxy/audience.pem", &certificate),
                ("127.0.0.1:8000", "127.0.0.1:8000"),
            ],
        };
        for edit in edits.iter().chain(&placed).chain(&[("127.0.0.1:8000", &*daemon)]) {
            text = replace_one(&text, *edit);
        }
        match self {
            Kind::Haproxy => text,
            Kind::Nginx => surround(&text, at),
        }
    }
}

/// What nginx wants around a `server`, in one process, with nothing outside of the folder.
pub(super) fn surround(server: &str, folder: &str) -> String {
    let mut http = String::new();
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        write!(http, "{kind}_temp_path {folder}/{kind}; ").unwrap();
    }
    format!(
        "daemon off; master_process off; pid {folder}/pid; error_log stderr; events {{}}\n\
         http {{ access_log off; {http}\n{server}}}\n"
    )
}

#[track_caller]
pub(super) fn replace_one(text: &str, (from, to): Edit) -> String {
    assert_eq!(text.matches(from).count(), 1, "{from:?} once in:\n{text}");
    text.replace(from, to)
}

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
        fs::write(folder.file("certificate.pem"), certificate()).unwrap();
        let text = kind.configuration(at, daemon, folder.path(), edits);
        let file = folder.file("configuration");
        fs::write(&file, text).unwrap();
        let mut command = match kind {
            Kind::Nginx => command("nginx"),
            Kind::Haproxy => command("haproxy"),
        };
        match kind {
            Kind::Nginx => command.args(["-e", "stderr", "-p"]).arg(folder.path()).arg("-c"),
            Kind::Haproxy => command.args(["-db", "-f"]),
        };
        let log = fs::File::create(folder.file("log")).unwrap();
        command.arg(&file).env("PATH", PATH).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().unwrap_or_else(|error| {
            panic!("{kind:?}: {error}; apt-get install --no-install-recommends nginx haproxy openssl")
        });
        Proxy { kind, child, folder, at }
    }

    pub(super) fn url(&self, target: &str) -> String {
        format!("https://{}{target}", self.at)
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
        let _ = self.child.kill();
        self.child.wait().unwrap();
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
        let name = ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
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
        Scene { proxy, daemon }
    }
}
