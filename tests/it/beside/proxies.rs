//! The daemon behind `nginx` and `haproxy`, with TLS and HTTP/2, as the README configures them.
//!
//! The configurations are taken out of README.md, so what is proven here is what a reader copies; only ports, addresses and
//! the paths of certificates are put in their place, and where a test is about a setting, that setting. Each proxy is a
//! child of the test, in a folder of its own, and goes with it. The client is `curl`, and a whole browser in
//! `tests/browser/proxied.mjs`.

use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::beside::browser::assert_machine_has_all;
use crate::cluster::hosts::{Network, Node, address, command_in, output, run};
use audience_kit::{
    Daemon, Deadline, Event, SOON, Stream, contains, free_port, lossy, ms, now, show, source, wait_for, wait_until,
};

/// What is promised behind a proxy: that a count arrives, and that who leaves is counted out.
const PROMISED: Duration = ms(1000);

/// Every change is told, and soon.
const QUICK: [&str; 4] = ["--notify-min-delay", "0.1", "--notify-delta-ratio", "0"];

/// Where the kernel finds tools that are for root, where a user's shell does not.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// ---------------------------------------------------------------------------------------------
// A proxy
// ---------------------------------------------------------------------------------------------

/// Whose proxy it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Nginx,
    Haproxy,
}

const KINDS: [Kind; 2] = [Kind::Nginx, Kind::Haproxy];

/// A change to the text of the README: what stands there once, and what is to stand there instead.
type Edit<'a> = (&'a str, &'a str);

impl Kind {
    /// The configuration that the README gives.
    fn documented(self) -> &'static str {
        let fence = match self {
            Kind::Nginx => "\n```nginx\n",
            Kind::Haproxy => "\n```haproxy\n",
        };
        let readme = include_str!("../../../README.md");
        let mut parts = readme.split(fence);
        let (Some(_), Some(block), None) = (parts.next(), parts.next(), parts.next()) else {
            panic!("not one block of {fence:?} in README.md");
        };
        block.split_once("```").unwrap().0
    }

    /// The whole configuration file: for these addresses, with these edits.
    fn configuration(self, listen: SocketAddr, daemon: SocketAddr, folder: &Path, edits: &[Edit]) -> String {
        let (listen, daemon, at) = (listen.to_string(), daemon.to_string(), folder.to_str().unwrap());
        let certificate = format!("{at}/certificate.pem");
        let mut text = self.documented().to_owned();
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
fn surround(server: &str, folder: &str) -> String {
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
fn replace_one(text: &str, (from, to): Edit) -> String {
    assert_eq!(text.matches(from).count(), 1, "{from:?} once in:\n{text}");
    text.replace(from, to)
}

/// A running proxy, ended when this value is dropped.
struct Proxy {
    kind: Kind,
    child: Child,
    folder: Folder,
    at: SocketAddr,
}

impl Proxy {
    /// One in front of a daemon.
    #[track_caller]
    fn start(kind: Kind, daemon: SocketAddr, edits: &[Edit]) -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let proxy = Self::spawn(kind, listen, daemon, edits, |program| Command::new(program));
        wait_until("the proxy to listen", || TcpStream::connect(listen).is_ok());
        proxy
    }

    #[track_caller]
    fn spawn(
        kind: Kind,
        at: SocketAddr,
        daemon: SocketAddr,
        edits: &[Edit],
        command: impl Fn(&str) -> Command,
    ) -> Self {
        let folder = Folder::create();
        fs::write(folder.0.join("certificate.pem"), certificate()).unwrap();
        let text = kind.configuration(at, daemon, &folder.0, edits);
        let file = folder.0.join("configuration");
        fs::write(&file, text).unwrap();
        let mut command = match kind {
            Kind::Nginx => command("nginx"),
            Kind::Haproxy => command("haproxy"),
        };
        match kind {
            Kind::Nginx => command.args(["-e", "stderr", "-p"]).arg(&folder.0).arg("-c"),
            Kind::Haproxy => command.args(["-db", "-f"]),
        };
        let log = fs::File::create(folder.0.join("log")).unwrap();
        command.arg(&file).env("PATH", PATH).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().unwrap_or_else(|error| {
            panic!("{kind:?}: {error}; apt-get install --no-install-recommends nginx haproxy openssl")
        });
        Proxy { kind, child, folder, at }
    }

    fn url(&self, target: &str) -> String {
        format!("https://{}{target}", self.at)
    }

    /// Joins through the proxy.
    fn join(&self, target: &str, options: &[&str]) -> Member {
        Member::join(&self.url(target), options)
    }

    /// How many connections from clients there are.
    fn connections(&self) -> usize {
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
        let log = fs::read_to_string(self.folder.0.join("log")).unwrap_or_default();
        if std::thread::panicking() {
            show(&format!("{:?} said:\n{log}", self.kind));
        } else if let Some(status) = by_itself {
            panic!("{:?} ended by itself, {status}:\n{log}", self.kind);
        }
    }
}

/// A folder of a test's own, gone when this value is dropped.
struct Folder(PathBuf);

impl Folder {
    fn create() -> Self {
        static CREATED: AtomicU32 = AtomicU32::new(0);
        let number = CREATED.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("audience-meter-proxy-{}-{number}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A certificate and its key, made for this run.
fn certificate() -> &'static str {
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
struct Member {
    curl: Child,
    stream: Stream,
}

impl Member {
    fn join(url: &str, options: &[&str]) -> Self {
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
fn curl() -> Command {
    let mut command = Command::new("curl");
    command.args(["--silent", "--no-buffer", "--insecure", "--http2"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// A daemon, and a proxy in front of it.
struct Scene {
    proxy: Proxy,
    daemon: Daemon,
}

impl Scene {
    #[track_caller]
    fn set(kind: Kind, options: &[&str], edits: &[Edit]) -> Self {
        let daemon = Daemon::start(&[&QUICK[..], &["--trust-proxy", "127.0.0.1/32"], options].concat());
        let proxy = Proxy::start(kind, daemon.audience(), edits);
        Scene { proxy, daemon }
    }
}

// ---------------------------------------------------------------------------------------------
// What is promised
// ---------------------------------------------------------------------------------------------

#[test]
fn counts_and_messages_are_told_at_once_and_who_leaves_is_counted_out() {
    for kind in KINDS {
        for (workers, version) in [("1", "--http2"), ("2", "--http2"), ("2", "--http1.1")] {
            let Scene { proxy, daemon } = Scene::set(kind, &["-w", workers], &[]);
            let mut first = proxy.join("/ns", &[version]);
            // Nothing follows until there are two, so a proxy that gathers would say nothing at all.
            first.stream.expect_count(1);
            first.stream.expect_silence(ms(300));

            let mut second = proxy.join("/ns", &[version]);
            second.stream.expect_count(2);
            let told = first.stream.next_count(PROMISED);
            assert_eq!(told, 2, "{kind:?}, {workers} processes, {version}");

            daemon.notify("/ns/score/2:1").expect_empty();
            for member in [&mut first, &mut second] {
                assert_eq!(member.stream.next_event(PROMISED), Some(Event::Message("score=2:1".to_owned())));
            }
            drop(second);
            assert_eq!(first.stream.next_count(PROMISED), 1, "{kind:?}, {workers} processes, {version}");
            let left = now();
            drop(first);
            daemon.wait_members("ns", 0);
            assert!(now() - left < PROMISED, "{kind:?}, {workers} processes, {version}: {:?}", now() - left);
        }
    }
}

#[test]
fn without_the_daemons_word_nginx_would_gather() {
    let deaf = ("proxy_pass", "proxy_ignore_headers X-Accel-Buffering; proxy_pass");
    let Scene { proxy, daemon } = Scene::set(Kind::Nginx, &[], &[deaf]);
    let mut member = proxy.join("/ns", &[]);
    daemon.wait_members("ns", 1);
    member.stream.expect_silence(ms(700));
}

#[test]
fn without_abortonclose_haproxy_would_keep_who_left_over_http_1() {
    let keeps = ("option abortonclose", "no option abortonclose");
    let Scene { proxy, daemon } = Scene::set(Kind::Haproxy, &["--notify-max-delay", "60"], &[keeps]);
    let mut member = proxy.join("/ns", &["--http1.1"]);
    member.stream.expect_count(1);
    drop(member);
    let deadline = Deadline::after(PROMISED);
    while deadline.left().is_some() {
        assert_eq!(daemon.stat("ns", "members"), Some(1));
    }
}

#[test]
fn streams_that_share_a_connection_count_each() {
    const COUNT: u64 = 40;
    for kind in KINDS {
        let Scene { proxy, daemon } = Scene::set(kind, &["-w", "2"], &[]);
        let heard = Folder::create();
        let output = format!("{}/#1", heard.0.display());
        let parallel = ["--parallel", "--parallel-max", "100", "--output", &output];
        let url = format!("/ns?[1-{COUNT}]");
        let crowd = proxy.join(&url, &parallel);
        daemon.wait_members("ns", COUNT);
        assert_eq!(proxy.connections(), 1, "{kind:?}");
        for number in 1..=COUNT {
            wait_until("all to have heard of all", || {
                let told = fs::read_to_string(heard.0.join(number.to_string())).unwrap_or_default();
                told.ends_with(&format!("data: {COUNT}\n\n"))
            });
        }
        let left = now();
        drop(crowd);
        daemon.wait_members("ns", 0);
        assert!(now() - left < PROMISED, "{kind:?}: {:?}", now() - left);
    }
}

#[test]
fn tabs_of_a_browser_share_a_connection_and_are_counted_out_when_they_close() {
    let folder = source().join("tests/browser");
    assert_machine_has_all(&folder);
    for kind in KINDS {
        let Scene { proxy, daemon: _daemon } = Scene::set(kind, &["-w", "2"], &[]);
        let mut node = Command::new("timeout");
        node.args(["--kill-after=10", "60", "node", "proxied.mjs"]).arg(proxy.url("")).current_dir(&folder);
        let output = node.stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{kind:?}: {}", lossy(&output.stderr));
    }
}

#[test]
fn who_is_let_go_sees_a_clean_end() {
    for kind in KINDS {
        let Scene { proxy, mut daemon } = Scene::set(kind, &["--drain-delay", "0.2"], &[]);
        let mut members = ["--http1.1", "--http2"].map(|version| proxy.join("/ns", &[version]));
        daemon.wait_members("ns", 2);
        daemon.signal("TERM");
        for Member { curl, .. } in &mut members {
            // Of a stream that is cut short, curl makes an error.
            let end = wait_for("the end of the stream", || curl.try_wait().unwrap());
            assert_eq!(end.code(), Some(0), "{kind:?}");
        }
        assert!(daemon.wait_exit().success());
    }
}

#[test]
fn any_page_may_see_that_there_is_no_daemon() {
    for kind in KINDS {
        let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let proxy = Proxy::start(kind, nobody, &[]);
        let mut asking = curl();
        asking.args(["--include", "--header", "Accept: text/event-stream", "--max-time", "8"]).arg(proxy.url("/ns"));
        let answer = lossy(&asking.stdout(Stdio::piped()).output().unwrap().stdout);
        assert!(answer.starts_with("HTTP/2 503"), "{kind:?}: {answer}");
        assert!(answer.contains("\naccess-control-allow-origin: *\r\n"), "{kind:?}: {answer}");
    }
}

#[test]
fn who_posts_joins_and_the_head_passes() {
    for kind in KINDS {
        let Scene { proxy, daemon } = Scene::set(kind, &[], &[]);
        let mut posted = proxy.join("/ns", &["--data", "a=b"]);
        posted.stream.expect_count(1);

        let heads = Folder::create();
        let file = heads.0.join("head");
        let mut member = proxy.join("/ns", &["--dump-header", file.to_str().unwrap()]);
        member.stream.expect_count(2);
        daemon.wait_members("ns", 2);
        let head = fs::read_to_string(file).unwrap();
        assert!(head.starts_with("HTTP/2 200"), "{kind:?}: {head}");
        assert_eq!(head.matches("access-control-allow-origin").count(), 1, "{kind:?}: {head}");
        for field in ["content-type: text/event-stream", "cache-control: no-cache", "access-control-allow-origin: *"] {
            assert!(head.contains(&format!("\n{field}\r\n")), "{kind:?}: no {field} in {head}");
        }
        let script = curl().arg(proxy.url("/client/audience.js")).stdout(Stdio::piped()).output().unwrap();
        assert_eq!(lossy(&script.stdout), include_str!("../../../client/audience.js"), "{kind:?}");
    }
}

#[test]
fn the_visitors_address_is_passed_on() {
    // All of 127.0.0.0/8 is this machine, so a visitor can come from elsewhere than the proxy.
    const VISITOR: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
    for kind in KINDS {
        let daemon = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let proxy = Proxy::start(kind, daemon.local_addr().unwrap(), &[]);
        let claim = ["--interface", "127.0.0.3", "--header", "X-Forwarded-For: 9.9.9.9"];
        let _member = proxy.join("/ns", &claim);
        let mut socket = daemon.accept().unwrap().0;
        socket.set_read_timeout(Some(SOON)).unwrap();
        let mut head = Vec::new();
        while !contains(&head, b" HTTP/1.") || !head.ends_with(b"\r\n\r\n") {
            let mut more = [0; 1024];
            let count = socket.read(&mut more).unwrap();
            assert_ne!(count, 0, "{kind:?}: {:?}", lossy(&head));
            head.extend(&more[..count]);
        }
        match kind {
            Kind::Nginx => {
                let text = lossy(&head);
                let fields: Vec<_> = text.lines().filter(|line| line.starts_with("X-Forwarded-For:")).collect();
                assert_eq!(fields, [format!("X-Forwarded-For: {VISITOR}")], "{text}");
            }
            Kind::Haproxy => {
                // Signature, version 2 and PROXY, TCP over IPv4, length, source address.
                let expected = b"\r\n\r\n\0\r\nQUIT\n\x21\x11";
                assert!(head.starts_with(expected), "{:?}", lossy(&head));
                assert_eq!(head[16..20], VISITOR.octets(), "{:?}", lossy(&head));
            }
        }
    }
}

#[test]
fn visitors_of_one_address_are_counted_up_to_their_limit() {
    for kind in KINDS {
        let Scene { proxy, daemon } = Scene::set(kind, &["--max-conn-per-ip", "2"], &[]);
        let of = |address| ["--interface", address];
        let members: Vec<_> =
            ["127.0.0.3", "127.0.0.3", "127.0.0.4", "127.0.0.3"].map(|from| proxy.join("/ns", &of(from))).into();
        wait_until("that one of them is not counted", || {
            let present = ["members", "uncounted"].map(|key| daemon.stat("ns", key));
            present == [Some(3), Some(1)]
        });
        drop(members);
        daemon.wait_members("ns", 0);
    }
}

#[test]
fn a_repeated_count_keeps_a_member_that_silence_would_end() {
    // A minute of patience and a count every 25 s, 20 times as fast.
    let patience: [(Kind, &[Edit]); 2] = [
        (Kind::Nginx, &[("proxy_pass", "proxy_read_timeout 3s; proxy_pass")]),
        (Kind::Haproxy, &[("timeout server 60s", "timeout server 3s")]),
    ];
    for (kind, edits) in patience {
        let told = Scene::set(kind, &["--notify-max-delay", "1.2"], edits);
        let silent = Scene::set(kind, &["--notify-max-delay", "60"], edits);
        let mut kept = told.proxy.join("/ns", &[]);
        let mut ended = silent.proxy.join("/ns", &[]);
        ended.stream.expect_count(1);
        ended.stream.expect_closed();
        silent.daemon.wait_members("ns", 0);
        let deadline = Deadline::after(ms(7500));
        while deadline.left().is_some() {
            assert_eq!(kept.stream.next_count(ms(3000)), 1, "{kind:?}");
        }
        assert_eq!(told.daemon.stat("ns", "connections"), Some(1), "{kind:?}");
    }
}

// ---------------------------------------------------------------------------------------------
// Whose machine vanished
// ---------------------------------------------------------------------------------------------

/// A count is repeated every second, so something is always on its way to who vanished.
const REPEATED: [&str; 4] = ["--notify-max-delay", "1", "--notify-min-delay", "1"];

/// How long the proxy under test is to bear it: see each test.
const PATIENCE: Duration = ms(3000);

/// A second until the count, another if it was told just before, and what a busy machine takes.
const SLACK: Duration = ms(2000 + 2500);

/// The daemon and the proxy under test at host 0, those who vanish at host 1, and a proxy that bears it longer at host 2.
struct Vanishing {
    network: Network,
    node: Node,
    _proxies: [Proxy; 2],
    crowds: Vec<Child>,
}

/// How many vanish behind each proxy: so many over one HTTP/2 connection, and so many over HTTP/1.1.
const SHARED: u64 = 3;
const APART: u64 = 2;

impl Vanishing {
    #[track_caller]
    fn set(test: &str, kind: Kind, impatient: &[Edit], patient: &[Edit]) -> Option<Self> {
        let network = Network::build(&format!("proxies::{test}"))?;
        let trusted = [0, 2].map(address).join(",");
        let node = Node::start(&network, 0, &[&REPEATED[..], &["--trust-proxy", &trusted]].concat());
        let daemon = SocketAddr::new(address(0).parse().unwrap(), node.daemon.audience().port());
        let proxies = [(0, impatient), (2, patient)].map(|(host, edits)| {
            let at = SocketAddr::new(address(host).parse().unwrap(), 443);
            let inside = |program: &str| command_in(&network.hosts[host], program);
            let proxy = Proxy::spawn(kind, at, daemon, edits, inside);
            let curl = ["netns", "exec", &network.hosts[host], "curl", "--silent", "--insecure", "--max-time", "5"];
            wait_until("the proxy to listen", || output("ip", &[&curl[..], &[&proxy.url("/")]].concat()).is_ok());
            proxy
        });
        let mut crowds = Vec::new();
        for proxy in &proxies {
            for (count, version) in [(SHARED, "--http2"), (APART, "--http1.1")] {
                let mut curl = command_in(&network.hosts[1], "curl");
                curl.args(["--silent", "--insecure", "--parallel", version, "--header", "Accept: text/event-stream"]);
                curl.args(["--output", "/dev/null", &proxy.url(&format!("/ns?[1-{count}]"))]);
                curl.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
                crowds.push(curl.spawn().unwrap());
            }
        }
        let scene = Vanishing { network, node, _proxies: proxies, crowds };
        wait_until("everybody", || scene.node.stat("members") == 2 * (SHARED + APART));
        Some(scene)
    }

    /// Pulls the cable: those behind the proxy under test are counted out in time, and the others are not.
    #[track_caller]
    fn pull(&self) {
        self.network.set_cable(1, "down");
        let begun = now();
        wait_until("that half of them is counted out", || self.node.stat("members") == SHARED + APART);
        assert!(now() - begun < PATIENCE + SLACK, "{:?}", now() - begun);
    }
}

impl Drop for Vanishing {
    fn drop(&mut self) {
        for curl in &mut self.crowds {
            let _ = curl.kill();
            curl.wait().unwrap();
        }
    }
}

#[test]
fn haproxy_lets_go_of_who_vanished_after_its_user_timeout() {
    let name = "haproxy_lets_go_of_who_vanished_after_its_user_timeout";
    let (impatient, patient) = (("tcp-ut 30s", "tcp-ut 3s"), (" tcp-ut 30s", ""));
    let Some(scene) = Vanishing::set(name, Kind::Haproxy, &[impatient], &[patient]) else { return };
    scene.pull();
}

#[test]
fn nginx_lets_go_of_who_vanished_when_the_kernel_stops_asking() {
    let name = "nginx_lets_go_of_who_vanished_when_the_kernel_stops_asking";
    let Some(scene) = Vanishing::set(name, Kind::Nginx, &[], &[]) else { return };
    // What is on its way is sent again after 0.2, 0.6, 1.4 and 3 s. Two retransmissions stand for 1.4 s, counted from the
    // first one, so it is given up after 3 s.
    run("ip", &["netns", "exec", &scene.network.hosts[0], "sh", "-c", "echo 2 >/proc/sys/net/ipv4/tcp_retries2"]);
    scene.pull();
}
