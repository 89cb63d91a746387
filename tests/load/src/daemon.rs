//! A daemon that is measured: where it is, what its side ports say, and, if this process started it, its life.
//!
//! Owns the child process and speaks to the side ports. It does not join.
//!
//! Invariant: a child that was started is killed and reaped before this process ends.

use std::fs::File;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::Duration;

use audience_kit::connect_from;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::de::DeserializeOwned;

use super::host::Host;
use super::options::Running;
use super::pages::{ClusterPage, ProcessPage, Stats};
use super::ports::free_port;
use super::process::Process;
use super::turns::rest;
use super::{Result, now};

/// The least time between two counts of a daemon that pushes them: a batch of joins or leaves fits in between, so the
/// cost of the pushes is not mixed with theirs.
const OWN_MIN_DELAY: Duration = Duration::from_secs(1);

/// The least time between two counts of a daemon that withholds them: longer than a run takes.
const NEVER: Duration = Duration::from_hours(1);

/// The least time between two counts of a daemon that was running already: the default, and some to spare.
const RUNNING_MIN_DELAY: Duration = Duration::from_millis(2100);

/// How long a side port may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// The daemon's program.
#[derive(Clone, Debug)]
pub(super) struct Program(PathBuf);

impl Program {
    /// The one that lies beside this program.
    ///
    /// # Errors
    /// There is none; the line says how to build it.
    pub(super) fn beside_this() -> Result<Self> {
        Self::at(&std::env::current_exe()?.with_file_name("audience-meter"))
    }

    /// # Errors
    /// There is no such file; the line says how to build one.
    pub(super) fn at(file: &Path) -> Result<Self> {
        if file.is_file() {
            return Ok(Self(file.to_owned()));
        }
        let file = file.display();
        Err(format!("{file} is not there; build it (cargo build --release --workspace), or give --program").into())
    }

    pub(super) fn file(&self) -> &Path {
        &self.0
    }

    /// The program with the options that every daemon here gets.
    pub(super) fn command(&self, audience: u16, stats: u16, notification: u16) -> Command {
        let mut command = Command::new(&self.0);
        command.args(["-w", "1", "--port", &audience.to_string(), "--demo-port", "0"]).args([
            "--stats-port",
            &stats.to_string(),
            "--notification-port",
            &notification.to_string(),
        ]);
        command
    }
}

/// A daemon, or the floor in its place.
pub(super) struct Daemon {
    pub(super) audience: SocketAddr,
    stats: Option<SocketAddr>,
    notification: Option<SocketAddr>,
    /// What the kernel knows of it, if it is on this machine.
    pub(super) process: Option<Process>,
    /// The least time between two counts.
    pub(super) min_delay: Duration,
    child: Option<(Child, Option<BufReader<ChildStderr>>)>,
    host: Host,
}

/// Which counts are pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counts {
    /// All changes, at most one a second.
    Pushed,
    /// The first one of each member alone, so that its cost is measured alone.
    Withheld,
}

/// A message that was sent and is not confirmed yet.
pub(super) struct Sent {
    stream: TcpStream,
    /// What has come of the answer.
    answer: Vec<u8>,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was delivered to the members of its event.
    Delivered,
    /// There is no such event.
    NoEvent,
}

impl Daemon {
    /// Starts a daemon on an audience port that others may share.
    pub(super) fn start(program: &Program, audience: u16, counts: Counts) -> Result<Self> {
        let min_delay = if counts == Counts::Pushed { OWN_MIN_DELAY } else { NEVER };
        let seconds = min_delay.as_secs_f64().to_string();
        let rules = ["--host", "127.0.0.1", "--notify-min-delay", &seconds, "--notify-delta-ratio", "0"];
        // Nothing falls due by itself in an idle phase.
        let delays = ["--notify-max-delay", "3600", "--max-conn-duration", "3600"];
        let mut this = Self::launch(program, audience, &[&rules[..], &delays].concat())?;
        this.min_delay = min_delay;
        Ok(this)
    }

    /// Starts the floor, on an audience port that others may share.
    pub(super) fn start_floor(audience: u16) -> Result<Self> {
        let notification = free_port()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["floor", "--port", &audience.to_string(), "--notification-port", &notification.to_string()]);
        command.stderr(Stdio::piped());
        let mut this = Self::spawn(command, audience, None, notification, &Host::default())?;
        this.await_ready()?;
        Ok(this)
    }

    /// Starts one of several daemons of one audience, at a host and on an address of it, with further options. It remembers
    /// empty namespaces for longer than a run takes.
    pub(super) fn start_node(host: &Host, audience: SocketAddr, program: &Program, options: &[String]) -> Result<Self> {
        let (stats, notification) = (free_port()?, free_port()?);
        let mut command = program.command(audience.port(), stats, notification);
        command.args(["--namespace-clean-delay", "3600", "--max-conn-duration", "0"]).args(options);
        command.stderr(Stdio::piped());
        let mut this = Self::spawn(command, audience.port(), Some(stats), notification, host)?;
        this.audience = audience;
        this.await_ready()?;
        Ok(this)
    }

    /// Starts a daemon with these options at a host, its log in a file, and does not wait until it
    /// [is ready](Self::is_ready).
    pub(super) fn begin_at(host: &Host, log: File, program: &Program, audience: u16, options: &[&str]) -> Result<Self> {
        let (stats, notification) = (free_port()?, free_port()?);
        let mut command = program.command(audience, stats, notification);
        command.args(options).stderr(log);
        Self::spawn(command, audience, Some(stats), notification, host)
    }

    /// Starts a daemon with these options, and does not wait until it [answers](Self::await_answer).
    pub(super) fn begin(program: &Program, audience: u16, options: &[&str]) -> Result<Self> {
        let (stats, notification) = (free_port()?, free_port()?);
        let mut command = program.command(audience, stats, notification);
        command.args(options).stderr(Stdio::piped());
        Self::spawn(command, audience, Some(stats), notification, &Host::default())
    }

    fn launch(program: &Program, audience: u16, options: &[&str]) -> Result<Self> {
        let mut this = Self::begin(program, audience, options)?;
        this.await_ready()?;
        Ok(this)
    }

    fn spawn(mut command: Command, audience: u16, stats: Option<u16>, notification: u16, host: &Host) -> Result<Self> {
        let program = command.get_program().to_owned();
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let spawned = host.within(move || command.spawn());
        let mut child = spawned.map_err(|error| format!("cannot start {}: {error}", program.display()))?;
        let stderr = child.stderr.take();
        Ok(Self {
            audience: (Ipv4Addr::LOCALHOST, audience).into(),
            stats: stats.map(|port| (Ipv4Addr::LOCALHOST, port).into()),
            notification: Some((Ipv4Addr::LOCALHOST, notification).into()),
            process: Some(Process::new(child.id())),
            min_delay: OWN_MIN_DELAY,
            child: Some((child, stderr.map(BufReader::new))),
            host: host.clone(),
        })
    }

    /// A daemon that is running already.
    pub(super) fn at(running: &Running) -> Self {
        let side = |port| Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).filter(|side| side.port() != 0);
        Self {
            audience: running.audience,
            stats: side(running.stats_port),
            notification: side(running.notification_port),
            process: running.pid.map(Process::new),
            min_delay: RUNNING_MIN_DELAY,
            child: None,
            host: Host::default(),
        }
    }

    /// The stats, as a client gets them that sends nothing; `None` if there is no stats port.
    pub(super) fn find_stats(&self) -> Result<Option<Stats>> {
        let Some(address) = self.stats else { return Ok(None) };
        let stream = self.connect(address, "--stats-port")?;
        stream.shutdown(Shutdown::Write)?;
        let text =
            read_all(stream).map_err(|error| format!("no stats from {address}: {error}; is it --stats-port?"))?;
        let stats = serde_json::from_str(&text);
        Ok(Some(
            stats.map_err(|error| format!("the stats at {address} are unreadable ({error}); is it --stats-port?"))?,
        ))
    }

    /// The stats, which must be there.
    pub(super) fn stats(&self) -> Result<Stats> {
        self.find_stats()?.ok_or_else(|| "there is no --stats-port".into())
    }

    /// What it says of the cluster that it is part of.
    pub(super) fn cluster_page(&self) -> Result<ClusterPage> {
        self.page("/cluster")
    }

    /// What it says of its own process.
    pub(super) fn process_page(&self) -> Result<ProcessPage> {
        self.page("/process")
    }

    /// Whether it serves, and knows the counts of the others; false, too, of one that does not listen yet.
    pub(super) fn is_ready(&self) -> bool {
        self.answer("/readyz").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200 "))
    }

    /// The metrics, as Prometheus gets them.
    pub(super) fn metrics(&self) -> Result<String> {
        Ok(body(&self.answer("/metrics")?).to_owned())
    }

    fn answer(&self, path: &str) -> Result<String> {
        let mut stream = self.connect(self.stats_address()?, "--stats-port")?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())?;
        read_all(stream)
    }

    /// A connection to the stats port, from an address of this machine.
    pub(super) fn stats_from(&self, source: Ipv4Addr) -> Result<TcpStream> {
        match self.stats {
            Some(SocketAddr::V4(stats)) => Ok(self.host.within(move || connect_from(source, stats))?),
            _ => Err("there is no --stats-port on IPv4".into()),
        }
    }

    fn page<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let answer = self.answer(path)?;
        Ok(serde_json::from_str(body(&answer))
            .map_err(|error| format!("{path} is unreadable ({error}): {answer:?}"))?)
    }

    /// A stream that watches all events.
    pub(super) fn watch_all(&self) -> Result<TcpStream> {
        let mut stream = self.connect(self.stats_address()?, "--stats-port")?;
        stream.write_all(b"GET /?watch=* HTTP/1.0\r\n\r\n")?;
        Ok(stream)
    }

    /// Whether messages can be sent.
    pub(super) fn takes_messages(&self) -> bool {
        self.notification.is_some()
    }

    /// Sends a message to the members of a namespace.
    pub(super) fn send_message(&self, namespace: &str, text: &str) -> Result<Sent> {
        let address = self.notification.ok_or("there is no --notification-port")?;
        let mut stream = self.connect(address, "--notification-port")?;
        stream.write_all(format!("GET /{namespace}/bench/{text} HTTP/1.0\r\n\r\n").as_bytes())?;
        Ok(Sent { stream, answer: Vec::new() })
    }

    /// Sends it a signal. It has not been waited for, so its process id is still its own.
    pub(super) fn signal(&self, signal: Signal) -> Result<()> {
        let (child, _) = self.child.as_ref().ok_or("the daemon is not ours")?;
        Ok(kill(Pid::from_raw(i32::try_from(child.id())?), signal)?)
    }

    /// How it has ended, if it has.
    pub(super) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        let (child, _) = self.child.as_mut().ok_or("the daemon is not ours")?;
        Ok(child.try_wait()?)
    }

    /// Adds the daemon's last words to an error, if the daemon has ended.
    pub(super) fn explain(&mut self, error: Box<dyn std::error::Error>) -> Box<dyn std::error::Error> {
        let Some((child, Some(stderr))) = &mut self.child else { return error };
        let Ok(Some(status)) = child.try_wait() else { return error };
        let mut text = String::new();
        // Whatever can be read of it will do.
        let _ = stderr.read_to_string(&mut text);
        format!("{error}; the daemon has ended ({status}): {}", text.lines().last().unwrap_or("without a word")).into()
    }

    /// Where its figures are.
    pub(super) fn stats_address(&self) -> Result<SocketAddr> {
        self.stats.ok_or_else(|| "there is no --stats-port".into())
    }

    /// Waits until it serves, whatever it logs.
    pub(super) fn await_answer(&self) -> Result<()> {
        let give_up = now() + ANSWER_TIMEOUT;
        loop {
            match self.process_page() {
                Err(_) if now() < give_up => rest(Duration::from_millis(20)),
                page => return page.map(drop),
            }
        }
    }

    fn connect(&self, address: SocketAddr, option: &str) -> Result<TcpStream> {
        let connected = self.host.within(move || TcpStream::connect_timeout(&address, ANSWER_TIMEOUT));
        let stream = connected.map_err(|error| {
            format!("cannot connect to {address}: {error}; give the daemon's {option}, or 0 to do without")
        })?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        Ok(stream)
    }

    fn await_ready(&mut self) -> Result<()> {
        let Some((_, Some(stderr))) = &mut self.child else { return Ok(()) };
        let mut lines = stderr.lines();
        let mut last = "it ends without a word".to_owned();
        while let Some(line) = lines.next().transpose()? {
            if line.ends_with("event=ready") {
                return Ok(());
            }
            last = line;
        }
        Err(format!("the daemon does not start: {last}").into())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some((child, _)) = &mut self.child {
            // It may have ended by itself; either way it is reaped.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Sent {
    /// Waits until the message has been delivered.
    pub(super) fn confirm(mut self) -> Result<()> {
        self.stream.read_to_end(&mut self.answer)?;
        match self.judge()? {
            Outcome::Delivered => Ok(()),
            Outcome::NoEvent => Err("the notification port knows no such event".into()),
        }
    }

    /// Takes what has come of the answer, and does not wait for the rest; `None` if it is not whole.
    pub(super) fn outcome(&mut self) -> Result<Option<Outcome>> {
        self.stream.set_nonblocking(true)?;
        match self.stream.read_to_end(&mut self.answer) {
            Ok(_) => self.judge().map(Some),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn judge(&self) -> Result<Outcome> {
        let text = String::from_utf8_lossy(&self.answer);
        match text.split(' ').nth(1) {
            Some("200") => Ok(Outcome::Delivered),
            Some("404") => Ok(Outcome::NoEvent),
            _ => Err(format!("the notification port says {:?}", text.lines().next().unwrap_or_default()).into()),
        }
    }
}

/// What follows the head.
fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

fn read_all(mut stream: TcpStream) -> Result<String> {
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}
