//! What every test here stands on: the daemon as a child process (`Daemon`), one request and its whole
//! reply (`exchange`), one member and what it hears (`Stream`), and the only clock of the tests.
//!
//! Nothing here sleeps to let something happen. What should come is awaited under a deadline (`SOON`,
//! which only a failing test waits out), what should not come is watched for over a stated while.
//! A `Daemon` ends only the process it started, and fails its test if that process ended by itself.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_audience-meter");

/// How long a test waits for what should come at once. Far above what a busy machine needs.
pub(crate) const SOON: Duration = Duration::from_secs(8);

/// How much earlier than its due time something may happen: the daemon counts time in ticks.
pub(crate) const TICK: Duration = Duration::from_millis(20);

/// What a join says of what it wants.
pub(crate) const ACCEPT: &str = "Accept: text/event-stream\r\n";

#[expect(
    clippy::disallowed_methods,
    reason = "the one clock of the tests: deadlines, and the unix time to hold stats against"
)]
fn clock() -> (Instant, SystemTime) {
    (Instant::now(), SystemTime::now())
}

/// The monotonic time.
pub(crate) fn now() -> Instant {
    clock().0
}

/// The unix time in whole seconds.
pub(crate) fn unix_now() -> u64 {
    let since = clock().1.duration_since(UNIX_EPOCH);
    since.unwrap().as_secs()
}

/// A number of milliseconds, to keep tables short.
pub(crate) const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A moment until which a test waits.
#[derive(Clone, Copy)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    /// The moment `within` from now.
    pub(crate) fn after(within: Duration) -> Self {
        Deadline(now() + within)
    }

    /// The time left, none once it has passed.
    pub(crate) fn left(self) -> Option<Duration> {
        let left = self.0.saturating_duration_since(now());
        (!left.is_zero()).then_some(left)
    }
}

/// Whether all daemons of this run are tortured: what they do takes more calls, and is the same.
pub(crate) fn is_tortured() -> bool {
    std::env::var_os("AUDIENCE_METER_TORTURE").is_some()
}

/// Waits until `condition` gives a value, looking again every few milliseconds.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Deadline::after(SOON);
    loop {
        if let Some(value) = condition() {
            return value;
        }
        let left = deadline.left();
        assert!(left.is_some(), "{what}: not within {SOON:?}");
        thread::park_timeout(ms(5));
    }
}

/// Waits until `condition` holds.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    wait_for(what, || condition().then_some(()));
}

/// A TCP port that nobody listens on, from below the range from which the kernel picks for `--port 0` and for clients.
///
/// Daemons of one user share a port without a word, so a port must never be handed out twice: each test process takes
/// ports from a block that is its own.
pub(crate) fn free_port() -> u16 {
    static BLOCK: OnceLock<(UnixListener, u16)> = OnceLock::new();
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let (_, first) = BLOCK.get_or_init(claim_block);
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed) % PORTS_PER_BLOCK;
        let free = |address: IpAddr| TcpListener::bind((address, port)).is_ok();
        let everywhere = free(Ipv6Addr::UNSPECIFIED.into()) || !has_ipv6();
        if everywhere && free(Ipv4Addr::UNSPECIFIED.into()) && free(Ipv4Addr::LOCALHOST.into()) {
            return port;
        }
    }
}

/// Some more than one run of all tests takes.
const PORTS_PER_BLOCK: u16 = 1_000;

/// The first port of a block that no other test process has. The claim is an abstract socket: it is as wide as the
/// network it stands for, and gone with the process.
fn claim_block() -> (UnixListener, u16) {
    let mut claims = (0..20).filter_map(|block| {
        let address = UnixAddress::from_abstract_name(format!("audience-meter-test-ports-{block}")).unwrap();
        Some((UnixListener::bind_addr(&address).ok()?, 11_000 + block * PORTS_PER_BLOCK))
    });
    claims.next().expect("twenty test processes at once")
}

/// Whether this machine speaks IPv6 to itself.
pub(crate) fn has_ipv6() -> bool {
    TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

// ---------------------------------------------------------------------------------------------
// The daemon
// ---------------------------------------------------------------------------------------------

/// What the daemon wrote to its standard error so far, a line each.
#[derive(Default)]
struct Log {
    lines: Mutex<(Vec<String>, bool)>,
    changed: Condvar,
}

impl Log {
    fn collect(self: &Arc<Self>, stderr: impl Read + Send + 'static) {
        let log = Arc::clone(self);
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                log.lines.lock().unwrap().0.push(line);
                log.changed.notify_all();
            }
            log.lines.lock().unwrap().1 = true;
            log.changed.notify_all();
        });
    }

    /// The first line that `matches`, or nothing if the process closed its log or `SOON` passed.
    fn wait_line(&self, matches: impl Fn(&str) -> bool) -> Option<String> {
        let deadline = Deadline::after(SOON);
        let mut lines = self.lines.lock().unwrap();
        loop {
            if let Some(line) = lines.0.iter().find(|line| matches(line)) {
                return Some(line.clone());
            }
            if lines.1 {
                return None;
            }
            lines = self.changed.wait_timeout(lines, deadline.left()?).unwrap().0;
        }
    }
}

/// A running daemon, ended when this value is dropped.
pub(crate) struct Daemon {
    child: Child,
    log: Arc<Log>,
    ended: bool,
}

impl Daemon {
    /// Starts a daemon with these arguments, on free ports wherever they name none.
    #[track_caller]
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_with(|| Command::new(BINARY), args)
    }

    /// The same behind a line of shell, such as `ulimit -n 64`.
    #[track_caller]
    pub(crate) fn start_after(shell: &str, args: &[&str]) -> Self {
        let line = format!("{shell}; exec \"$0\" \"$@\"");
        let command = || {
            let mut command = Command::new("sh");
            command.args(["-c", &line, BINARY]);
            command
        };
        Self::start_with(command, args)
    }

    /// The same from a command that carries an environment.
    #[track_caller]
    pub(crate) fn start_with(command: impl Fn() -> Command, args: &[&str]) -> Self {
        for _ in 0..5 {
            let mut command = command();
            add_workers(&mut command, args);
            add_ports(&mut command, args);
            match Self::launch(command.args(args)) {
                Ok(daemon) => return daemon,
                Err(log) => assert!(log.contains("in use"), "the daemon did not start:\n{log}"),
            }
        }
        panic!("no free ports");
    }

    fn launch(command: &mut Command) -> Result<Self, String> {
        isolate(command).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let log = Arc::new(Log::default());
        log.collect(child.stderr.take().unwrap());
        let daemon = Daemon { child, log, ended: false };
        if daemon.log.wait_line(|line| line == "level=info event=ready").is_some() {
            return Ok(daemon);
        }
        let text = daemon.log().join("\n");
        daemon.kill();
        Err(text)
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All lines it has logged so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lines.lock().unwrap().0.clone()
    }

    /// Waits for a log line that `matches`.
    #[track_caller]
    pub(crate) fn wait_log(&self, what: &str, matches: impl Fn(&str) -> bool) -> String {
        let line = self.log.wait_line(matches);
        line.unwrap_or_else(|| panic!("no log line for {what} in {:#?}", self.log()))
    }

    /// The addresses it says that it listens on for `port` (audience, stats, notification, demo).
    pub(crate) fn listening(&self, port: &str) -> Vec<SocketAddr> {
        let prefix = format!("level=info event=listening port={port} address=");
        let lines = self.log();
        let addresses = lines.iter().filter_map(|line| line.strip_prefix(&prefix));
        addresses.map(|address| address.parse().unwrap()).collect()
    }

    #[track_caller]
    fn reachable(&self, port: &str) -> SocketAddr {
        let addresses = self.listening(port);
        let v4 = addresses.iter().find(|address| address.is_ipv4());
        let address = v4.or(addresses.first());
        let mut address = *address.unwrap_or_else(|| panic!("no {port} port: {:#?}", self.log()));
        if address.ip().is_unspecified() {
            address.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        address
    }

    /// The audience port, on the loopback interface.
    #[track_caller]
    pub(crate) fn audience(&self) -> SocketAddr {
        self.reachable("audience")
    }

    /// The stats port.
    #[track_caller]
    pub(crate) fn stats_port(&self) -> SocketAddr {
        self.reachable("stats")
    }

    /// The notification port.
    #[track_caller]
    pub(crate) fn notification(&self) -> SocketAddr {
        self.reachable("notification")
    }

    /// The demo port, on the loopback interface.
    #[track_caller]
    pub(crate) fn demo(&self) -> SocketAddr {
        self.reachable("demo")
    }

    /// A page of the stats port.
    #[track_caller]
    pub(crate) fn stats_page(&self, path: &str) -> Reply {
        let address = self.stats_port();
        let bytes = wait_for("an answer of the stats port", || {
            let mut socket = connect(address);
            socket.write_all(request("GET", path, &format!("Host: {address}\r\n")).as_bytes()).unwrap();
            // A client that did not come to speak within 50 ms is taken for one that says nothing, and gets no HTTP.
            Some(read_to_end(&mut socket)).filter(|bytes| bytes.starts_with(b"HTTP/"))
        });
        Reply::parse(&bytes)
    }

    /// The stats as `nc` with a closed standard input gets them.
    #[track_caller]
    pub(crate) fn stats_text(&self) -> String {
        let mut socket = connect(self.stats_port());
        socket.shutdown(std::net::Shutdown::Write).unwrap();
        String::from_utf8(read_to_end(&mut socket)).unwrap()
    }

    /// The stats, parsed.
    #[track_caller]
    pub(crate) fn stats(&self) -> Value {
        let text = self.stats_text();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text:?}"))
    }

    /// The names of all namespaces, sorted.
    #[track_caller]
    pub(crate) fn namespaces(&self) -> Vec<String> {
        self.stats().as_object().unwrap().keys().cloned().collect()
    }

    /// One number of one namespace, if there is such a namespace.
    #[track_caller]
    pub(crate) fn stat(&self, namespace: &str, key: &str) -> Option<u64> {
        let stats = self.stats();
        let number = stats.get(namespace)?.get(key);
        Some(number.and_then(Value::as_u64).unwrap_or_else(|| panic!("no {key} in {stats}")))
    }

    /// Waits until `namespace` has exactly `members`.
    #[track_caller]
    pub(crate) fn wait_members(&self, namespace: &str, members: u64) {
        wait_until(&format!("{members} members in {namespace}"), || {
            self.stat(namespace, "members").unwrap_or(0) == members
        });
    }

    /// Sends a message through the notification port.
    #[track_caller]
    pub(crate) fn notify(&self, target: &str) -> Reply {
        get(self.notification(), target)
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let line = format!("kill -{name} {}", self.pid());
        assert!(Command::new("sh").args(["-c", &line]).status().unwrap().success());
    }

    /// Waits until the process has ended by what the test did to it.
    #[track_caller]
    pub(crate) fn wait_exit(&mut self) -> ExitStatus {
        self.ended = true;
        wait_for("the daemon's exit", || self.child.try_wait().unwrap())
    }

    fn kill(mut self) {
        self.ended = true;
        end(&mut self.child);
    }

    /// What must be true of every daemon at the end of its test.
    fn check_at_the_end(&mut self) -> Result<(), String> {
        let by_itself = if self.ended { None } else { self.child.try_wait().unwrap() };
        end(&mut self.child);
        if let Some(status) = by_itself {
            return Err(format!("the daemon ended by itself, {status}"));
        }
        match self.log().iter().find(|line| line.contains("panicked")) {
            Some(line) => Err(format!("the daemon panicked: {line}")),
            None => Ok(()),
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let end = self.check_at_the_end();
        if thread::panicking() {
            let note = end.err().unwrap_or_default();
            show(&format!("the daemon's log:\n{}\n{note}", self.log().join("\n")));
        } else if let Err(fault) = end {
            panic!("{fault}\n{}", self.log().join("\n"));
        }
    }
}

// ---------------------------------------------------------------------------------------------
// Processes
// ---------------------------------------------------------------------------------------------

/// Ends a process that a test has started, and all that there is below it: behind a tool such as `script` or `unshare` it is
/// the daemon that is below, and the end of the tool need not be its own.
pub(crate) fn end(child: &mut Child) {
    // Once it is buried, its number says nothing.
    let below = if child.try_wait().unwrap().is_none() { below(child.id()) } else { Vec::new() };
    let _ = child.kill();
    child.wait().unwrap();
    for (process, started) in below {
        // By then the number may be another's.
        if is_there(process) && stat_field(process, STARTED) == Some(started) {
            let _ = Command::new("kill").args(["-KILL", &process.to_string()]).stderr(Stdio::null()).status();
        }
    }
}

/// The processes that a process has started, and those that they have, each with when that was.
fn below(process: u32) -> Vec<(u32, String)> {
    let mut all = Vec::new();
    for child in children(process) {
        all.extend(stat_field(child, STARTED).map(|started| (child, started)));
        all.extend(below(child));
    }
    all
}

/// The processes that a process with one thread has started; none once it is gone.
pub(crate) fn children(process: u32) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    children.split_whitespace().map(|child| child.parse().unwrap()).collect()
}

/// Whether a process is there, and not only waits to be buried.
pub(crate) fn is_there(process: u32) -> bool {
    stat_field(process, STATE).is_some_and(|state| !["Z", "X"].contains(&state.as_str()))
}

/// A field of a process's `/proc/<id>/stat`, counted from the one after its name.
fn stat_field(process: u32, field: usize) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    Some(stat.rsplit_once(") ")?.1.split_whitespace().nth(field)?.to_owned())
}

const STATE: usize = 0;
const STARTED: usize = 19;

/// Sends a signal to a process that this test has started.
#[track_caller]
pub(crate) fn tell(process: u32, signal: &str) {
    let status = Command::new("kill").args([&format!("-{signal}"), &process.to_string()]).status();
    assert!(status.unwrap().success(), "{signal} to {process}");
}

/// Says more about a test that fails, or whose figures are asked for (`--nocapture`).
#[expect(clippy::print_stderr, reason = "a test shows the daemon's own words, and figures")]
pub(crate) fn show(text: &str) {
    eprintln!("{text}");
}

/// Keeps what is set around the tests out of the daemon.
pub(crate) fn isolate(command: &mut Command) -> &mut Command {
    for name in ["PORT", "HOST"] {
        let given = command.get_envs().any(|(key, value)| key == name && value.is_some());
        if !given {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null())
}

/// One process, unless the test says otherwise.
fn add_workers(command: &mut Command, args: &[&str]) {
    if !args.iter().any(|arg| arg.starts_with("-w") || arg.starts_with("--workers")) {
        command.args(["-w", "1"]);
    }
}

fn add_ports(command: &mut Command, args: &[&str]) {
    let by_env = command.get_envs().any(|(key, _)| key == "PORT");
    for option in ["--port", "--stats-port", "--notification-port", "--demo-port"] {
        let given = args.iter().any(|arg| arg.split('=').next() == Some(option));
        if given || (option == "--port" && by_env) {
            continue;
        }
        let port = if option == "--port" { 0 } else { free_port() };
        command.arg(option).arg(port.to_string());
    }
}

// ---------------------------------------------------------------------------------------------
// One request and its reply
// ---------------------------------------------------------------------------------------------

/// Connects, with the deadline that writes need.
#[track_caller]
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect_timeout(&address, SOON);
    let socket = socket.unwrap_or_else(|error| panic!("connect to {address}: {error}"));
    socket.set_nodelay(true).unwrap();
    socket.set_write_timeout(Some(SOON)).unwrap();
    socket
}

/// One read that waits until `deadline`: the bytes, none at the end, or `None` if nothing came.
#[track_caller]
fn read_some(socket: &mut TcpStream, deadline: Deadline) -> Option<Vec<u8>> {
    let mut buffer = [0; 16 * 1024];
    loop {
        socket.set_read_timeout(Some(deadline.left()?)).unwrap();
        match socket.read(&mut buffer) {
            Ok(count) => return Some(buffer[..count].to_vec()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => panic!("read: {error}"),
        }
    }
}

/// Everything until the peer closes.
#[track_caller]
pub(crate) fn read_to_end(socket: &mut TcpStream) -> Vec<u8> {
    let deadline = Deadline::after(SOON);
    let mut bytes = Vec::new();
    loop {
        match read_some(socket, deadline) {
            Some(more) if more.is_empty() => return bytes,
            Some(more) => bytes.extend(more),
            None => panic!("not closed within {SOON:?} after {:?}", lossy(&bytes)),
        }
    }
}

/// Bytes as text for a message.
pub(crate) fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A whole reply.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Reply {
    /// Takes the head and the body apart.
    #[track_caller]
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let text = lossy(bytes);
        let parts = text.split_once("\r\n\r\n");
        let (head, body) = parts.unwrap_or_else(|| panic!("no whole head in {text:?}"));
        let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status line in {head:?}"));
        Reply { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// The value of a header, whatever the case of its name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        let mut values = fields.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        values.next().map(|(_, value)| value.trim())
    }

    /// Fails unless the reply is `200`, empty, and the last on its connection.
    #[track_caller]
    pub(crate) fn expect_empty(&self) {
        assert_eq!(self.status, 200, "{self:?}");
        assert_eq!(self.header("Content-Length"), Some("0"), "{self:?}");
        assert_eq!(self.header("Connection"), Some("close"), "{self:?}");
        assert_eq!(self.body, "", "{self:?}");
    }
}

/// Sends these bytes and reads the reply until the server closes.
#[track_caller]
pub(crate) fn exchange(address: SocketAddr, request: impl AsRef<[u8]>) -> Reply {
    let mut socket = connect(address);
    socket.write_all(request.as_ref()).unwrap();
    Reply::parse(&read_to_end(&mut socket))
}

/// A plain GET.
#[track_caller]
pub(crate) fn get(address: SocketAddr, target: &str) -> Reply {
    exchange(address, request("GET", target, &format!("Host: {address}\r\n")))
}

/// A request head from its parts; `headers` are whole lines.
pub(crate) fn request(method: &str, target: &str, headers: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\n{headers}\r\n")
}

/// The request of a page that joins; `headers` are further whole lines.
pub(crate) fn join_request(target: &str, headers: &str) -> String {
    request("GET", target, &format!("Host: audience.test\r\n{ACCEPT}{headers}"))
}

// ---------------------------------------------------------------------------------------------
// One member
// ---------------------------------------------------------------------------------------------

/// One block of an event stream, as old clients tell them apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// `retry: <ms>`
    Retry(u64),
    /// `data: <integer>`
    Count(u64),
    /// `data: <anything else>`
    Message(String),
    /// What tells a superseded member to stay away.
    Farewell,
    /// A line that starts with a colon.
    Comment,
    /// The end of the body.
    Closed,
}

/// A part of the body of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Block {
    /// Lines, without the empty one that ends them.
    Lines(String),
    /// The end of the body.
    End,
}

/// An open stream whose head has been read.
pub(crate) struct Stream {
    pub(crate) socket: TcpStream,
    pub(crate) head: String,
    pending: Vec<u8>,
    closed: bool,
}

impl Stream {
    /// Joins `target` as a page does.
    #[track_caller]
    pub(crate) fn join(address: SocketAddr, target: &str) -> Self {
        Self::open(address, join_request(target, ""))
    }

    /// Sends a request that should open a stream, and reads the head.
    #[track_caller]
    pub(crate) fn open(address: SocketAddr, request: impl AsRef<[u8]>) -> Self {
        let mut socket = connect(address);
        socket.write_all(request.as_ref()).unwrap();
        Self::over(socket)
    }

    /// Reads the head of a stream that was asked for on `socket`.
    #[track_caller]
    pub(crate) fn over(socket: TcpStream) -> Self {
        let mut stream = Stream::of_body(socket);
        let deadline = Deadline::after(SOON);
        while !contains(&stream.pending, b"\r\n\r\n") {
            let more = stream.fill(deadline);
            assert!(more && !stream.closed, "no head of a stream: {:?}", lossy(&stream.pending));
        }
        let end = stream.pending.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        stream.head = lossy(&stream.pending[..end]);
        stream.pending.drain(..end + 4);
        assert!(stream.head.starts_with("HTTP/1.1 200 OK\r\n"), "{:?}", stream.head);
        assert!(stream.head.contains("\r\nContent-Type: text/event-stream\r\n"), "{}", stream.head);
        stream
    }

    /// A stream of which `socket` brings the body alone: somebody else has read the head.
    pub(crate) fn of_body(socket: TcpStream) -> Self {
        Stream { socket, head: String::new(), pending: Vec::new(), closed: false }
    }

    /// Takes in what comes until `deadline`; false if nothing did.
    #[track_caller]
    fn fill(&mut self, deadline: Deadline) -> bool {
        let Some(bytes) = read_some(&mut self.socket, deadline) else {
            return false;
        };
        self.closed |= bytes.is_empty();
        self.pending.extend(bytes);
        true
    }

    /// The next `count` bytes of the body.
    #[track_caller]
    pub(crate) fn take(&mut self, count: usize) -> Vec<u8> {
        let deadline = Deadline::after(SOON);
        while self.pending.len() < count {
            let more = self.fill(deadline);
            assert!(more && !self.closed, "{} of {count} bytes", self.pending.len());
        }
        self.pending.drain(..count).collect()
    }

    /// The next block, or nothing if none came `within` that time.
    #[track_caller]
    pub(crate) fn next(&mut self, within: Duration) -> Option<Event> {
        Some(match self.next_block(within)? {
            Block::Lines(block) => read_block(&block),
            Block::End => Event::Closed,
        })
    }

    /// The next block as it is, or nothing if none came `within` that time.
    #[track_caller]
    pub(crate) fn next_block(&mut self, within: Duration) -> Option<Block> {
        let deadline = Deadline::after(within);
        loop {
            if let Some(end) = self.pending.windows(2).position(|two| two == b"\n\n") {
                let block = self.pending.drain(..end + 2).take(end).collect::<Vec<_>>();
                return Some(Block::Lines(lossy(&block)));
            }
            if self.closed {
                assert!(self.pending.is_empty(), "half a block: {:?}", lossy(&self.pending));
                return Some(Block::End);
            }
            if !self.fill(deadline) {
                return None;
            }
        }
    }

    /// The next block that is neither `retry:` nor a comment.
    #[track_caller]
    pub(crate) fn next_event(&mut self, within: Duration) -> Option<Event> {
        let deadline = Deadline::after(within);
        loop {
            let event = self.next(deadline.left().unwrap_or_default())?;
            if !matches!(event, Event::Retry(_) | Event::Comment) {
                return Some(event);
            }
        }
    }

    /// The next event, which must be a count and come `within` that time.
    #[track_caller]
    pub(crate) fn next_count(&mut self, within: Duration) -> u64 {
        match self.next_event(within) {
            Some(Event::Count(count)) => count,
            other => panic!("wanted a count within {within:?}, got {other:?}"),
        }
    }

    /// Fails unless the next event is this count.
    #[track_caller]
    pub(crate) fn expect_count(&mut self, count: u64) {
        self.expect(&Event::Count(count));
    }

    /// Fails unless the next event is this one.
    #[track_caller]
    pub(crate) fn expect(&mut self, event: &Event) {
        let next = self.next_event(SOON);
        assert_eq!(next.as_ref(), Some(event), "within {SOON:?}");
    }

    /// Reads counts until this one comes.
    #[track_caller]
    pub(crate) fn wait_count(&mut self, count: u64) {
        let deadline = Deadline::after(SOON);
        while self.next_count(deadline.left().unwrap_or_default()) != count {}
    }

    /// Fails unless the body ends now, without another event.
    #[track_caller]
    pub(crate) fn expect_closed(&mut self) {
        self.expect(&Event::Closed);
    }

    /// Fails if an event or the end comes within `this_long`.
    #[track_caller]
    pub(crate) fn expect_silence(&mut self, this_long: Duration) {
        let event = self.next_event(this_long);
        assert_eq!(event, None, "in what should be {this_long:?} of silence");
    }
}

#[track_caller]
fn read_block(block: &str) -> Event {
    if block == "id: farewell\nretry: -1" {
        return Event::Farewell;
    }
    if block.starts_with(':') {
        return Event::Comment;
    }
    assert!(!block.contains('\n'), "a block of more than one line: {block:?}");
    match (block.strip_prefix("retry: "), block.strip_prefix("data: ")) {
        (Some(retry), _) => Event::Retry(retry.parse().unwrap()),
        (_, Some(data)) => match data.parse() {
            Ok(count) if format!("{count}") == data => Event::Count(count),
            _ => Event::Message(data.to_owned()),
        },
        _ => panic!("not a block of an event stream: {block:?}"),
    }
}

/// The shell script of the README that begins with this line.
#[track_caller]
pub(crate) fn readme_script(first_line: &str) -> String {
    let readme = include_str!("../../README.md");
    let (_, rest) = readme.split_once(&format!("```sh\n{first_line}\n")).unwrap_or_else(|| panic!("{first_line}"));
    format!("{first_line}\n{}\n", rest.split_once("\n```").unwrap().0)
}

/// Whether `part` is in `whole`.
pub(crate) fn contains(whole: &[u8], part: &[u8]) -> bool {
    whole.windows(part.len()).any(|window| window == part)
}

/// A member of `target` that has heard its first count, and this count.
#[track_caller]
pub(crate) fn member(daemon: &Daemon, target: &str) -> (Stream, u64) {
    let mut stream = Stream::join(daemon.audience(), target);
    let first = stream.next_count(SOON);
    (stream, first)
}

/// So many members of `target`, each of which has heard its first count.
#[track_caller]
pub(crate) fn members(daemon: &Daemon, target: &str, count: usize) -> Vec<Stream> {
    (0..count).map(|_| member(daemon, target).0).collect()
}
