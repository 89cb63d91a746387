//! The daemon that is measured: where it is, what it says of its audience, and, if it is our own, its life.
//!
//! Owns the child process and speaks to the side ports. It does not join.
//!
//! Invariant: a child that was started is killed and reaped before this process ends.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use audience_meter::reactor::sys;

use super::Result;
use super::options::Running;
use super::process::Process;

/// Our own daemon tells counts this often at most: long enough that a batch of joins or leaves fits in between two, so
/// that what they cost is not mixed with what telling costs.
const OWN_MIN_DELAY: Duration = Duration::from_secs(1);

/// How long a daemon that is to tell no counts waits between two: longer than a run takes.
const NEVER: Duration = Duration::from_hours(1);

/// What a daemon that we did not start is taken to wait between two counts: the default, and some to spare.
const RUNNING_MIN_DELAY: Duration = Duration::from_millis(2100);

/// How long a side port may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// A daemon.
pub(super) struct Daemon {
    pub(super) audience: SocketAddr,
    stats: Option<SocketAddr>,
    notification: Option<SocketAddr>,
    /// Where its figures are, if it is on this machine.
    pub(super) process: Option<Process>,
    /// The least time between two counts.
    pub(super) min_delay: Duration,
    child: Option<(Child, BufReader<ChildStderr>)>,
}

/// When counts are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Telling {
    /// At every change, once a second at most.
    Soon,
    /// Never: only first counts, so that what they cost is measured alone.
    Never,
}

/// A message that was handed over and not confirmed yet.
pub(super) struct Notified(TcpStream);

impl Daemon {
    /// Starts the daemon that was built with this program, on an audience port that others may share.
    pub(super) fn start(audience: u16, telling: Telling) -> Result<Self> {
        let min_delay = if telling == Telling::Soon { OWN_MIN_DELAY } else { NEVER };
        let seconds = min_delay.as_secs_f64().to_string();
        let rules = ["--host", "127.0.0.1", "--notify-min-delay", &seconds, "--notify-delta-ratio", "0"];
        // Nothing is due by itself in an idle phase.
        let delays = ["--notify-max-delay", "3600", "--max-conn-duration", "3600"];
        let mut this = Self::launch(audience, &[&rules[..], &delays].concat())?;
        this.min_delay = min_delay;
        Ok(this)
    }

    /// Starts the floor, on an audience port that others may share.
    pub(super) fn start_floor(audience: u16) -> Result<Self> {
        let notification = free_port()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["floor", "--port", &audience.to_string(), "--notification-port", &notification.to_string()]);
        let mut this = Self::spawn(command, audience, None, notification)?;
        this.await_ready()?;
        Ok(this)
    }

    /// Starts one of several daemons that are one audience, on a port that they share. Empty namespaces are remembered
    /// for longer than a run takes.
    pub(super) fn start_node(audience: u16) -> Result<Self> {
        Self::launch(audience, &["--namespace-clean-delay", "3600", "--max-conn-duration", "0"])
    }

    /// The daemon's program, which was built with this one.
    pub(super) fn program() -> Result<PathBuf> {
        Ok(std::env::current_exe()?.with_file_name("audience-meter"))
    }

    /// Starts the daemon with these options and does not wait until it is ready: its [`log`](Self::log) will say so.
    pub(super) fn begin(audience: u16, options: &[&str]) -> Result<Self> {
        let (command, stats, notification) = Self::command(audience, options)?;
        Self::spawn(command, audience, Some(stats), notification)
    }

    fn launch(audience: u16, options: &[&str]) -> Result<Self> {
        let mut this = Self::begin(audience, options)?;
        this.await_ready()?;
        Ok(this)
    }

    fn command(audience: u16, options: &[&str]) -> Result<(Command, u16, u16)> {
        let (stats, notification) = (free_port()?, free_port()?);
        let mut command = Command::new(Self::program()?);
        command
            .args(["-w", "1", "--port", &audience.to_string(), "--demo-port", "0"])
            .args(["--stats-port", &stats.to_string(), "--notification-port", &notification.to_string()])
            .args(options);
        Ok((command, stats, notification))
    }

    fn spawn(mut command: Command, audience: u16, stats: Option<u16>, notification: u16) -> Result<Self> {
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.map_err(|error| {
            let program = command.get_program().display();
            format!("cannot start {program}: {error}; build it (cargo build --release), or give --port")
        })?;
        let stderr = child.stderr.take().ok_or("the daemon has no standard error")?;
        Ok(Self {
            audience: (Ipv4Addr::LOCALHOST, audience).into(),
            stats: stats.map(|port| (Ipv4Addr::LOCALHOST, port).into()),
            notification: Some((Ipv4Addr::LOCALHOST, notification).into()),
            process: Some(Process::new(child.id())),
            min_delay: OWN_MIN_DELAY,
            child: Some((child, BufReader::new(stderr))),
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
        }
    }

    /// The members of each namespace by the stats; `None` if there is no stats port.
    pub(super) fn members(&self) -> Result<Option<HashMap<String, u64>>> {
        let Some(address) = self.stats else { return Ok(None) };
        let mut stream = connect(address, "--stats-port")?;
        let mut text = String::new();
        stream
            .read_to_string(&mut text)
            .map_err(|error| format!("no stats from {address}: {error}; is it --stats-port?"))?;
        let stats: HashMap<String, serde_json::Value> = serde_json::from_str(&text)
            .map_err(|error| format!("the stats at {address} are not JSON ({error}); is it --stats-port?"))?;
        let members = |figures: &serde_json::Value| figures.get("members")?.as_u64();
        Ok(Some(stats.iter().map(|(name, figures)| (name.clone(), members(figures).unwrap_or(0))).collect()))
    }

    /// A stream that watches all events.
    pub(super) fn watch_all(&self) -> Result<TcpStream> {
        let mut stream = connect(self.stats.ok_or("there is no --stats-port")?, "--stats-port")?;
        stream.write_all(b"GET /?watch=* HTTP/1.0\r\n\r\n")?;
        Ok(stream)
    }

    /// The stats as they are sent to who says nothing.
    pub(super) fn stats_text(&self) -> Result<String> {
        let stream = connect(self.stats.ok_or("there is no --stats-port")?, "--stats-port")?;
        stream.shutdown(Shutdown::Write)?;
        read_all(stream)
    }

    /// What it says of the cluster that it is part of, or of itself: `/cluster` or `/process` of the stats port.
    pub(super) fn figures(&self, path: &str) -> Result<serde_json::Value> {
        let mut stream = connect(self.stats.ok_or("there is no --stats-port")?, "--stats-port")?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())?;
        let answer = read_all(stream)?;
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        Ok(serde_json::from_str(body).map_err(|error| format!("{path} is not JSON ({error}): {answer:?}"))?)
    }

    /// Whether messages can be sent.
    pub(super) fn takes_messages(&self) -> bool {
        self.notification.is_some()
    }

    /// Hands a message to the members of a namespace over.
    pub(super) fn notify(&self, namespace: &str, text: &str) -> Result<Notified> {
        let address = self.notification.ok_or("there is no --notification-port")?;
        let mut stream = connect(address, "--notification-port")?;
        stream.write_all(format!("GET /{namespace}/bench/{text} HTTP/1.0\r\n\r\n").as_bytes())?;
        Ok(Notified(stream))
    }

    /// What it logs from now on.
    pub(super) fn log(&self) -> Result<OwnedFd> {
        let (_, stderr) = self.child.as_ref().ok_or("the daemon is not ours")?;
        Ok(stderr.get_ref().as_fd().try_clone_to_owned()?)
    }

    /// Sends it a signal.
    pub(super) fn signal(&self, number: i32) -> Result<()> {
        let (child, _) = self.child.as_ref().ok_or("the daemon is not ours")?;
        Ok(sys::signal(child, number)?)
    }

    /// How it has ended, if it has.
    pub(super) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        let (child, _) = self.child.as_mut().ok_or("the daemon is not ours")?;
        Ok(child.try_wait()?)
    }

    /// Adds to an error what the daemon has to say to it, if it has ended.
    pub(super) fn explain(&mut self, error: Box<dyn std::error::Error>) -> Box<dyn std::error::Error> {
        let Some((child, stderr)) = &mut self.child else { return error };
        let Ok(Some(status)) = child.try_wait() else { return error };
        let mut text = String::new();
        // What there is of it will do.
        let _ = stderr.read_to_string(&mut text);
        format!("{error}; the daemon has ended ({status}): {}", text.lines().last().unwrap_or("without a word")).into()
    }

    fn await_ready(&mut self) -> Result<()> {
        let Some((_, stderr)) = &mut self.child else { return Ok(()) };
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

impl Notified {
    /// Waits for the answer.
    pub(super) fn confirm(mut self) -> Result<()> {
        let mut answer = String::new();
        self.0.read_to_string(&mut answer)?;
        if answer.starts_with("HTTP/1.1 200 ") {
            return Ok(());
        }
        Err(format!("the notification port says {:?}", answer.lines().next().unwrap_or_default()).into())
    }
}

fn connect(address: SocketAddr, option: &str) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, ANSWER_TIMEOUT).map_err(|error| {
        format!("cannot connect to {address}: {error}; give the daemon's {option}, or 0 to do without")
    })?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    Ok(stream)
}

fn read_all(mut stream: TcpStream) -> Result<String> {
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

/// The ports that daemons are started on: below those from which the kernel picks for clients, one of which could take it
/// before the daemon does.
const PORTS: std::ops::Range<u16> = 31_000..32_768;

/// A port that nobody listens on.
pub(super) fn free_port() -> Result<u16> {
    // Who runs two benchmarks has them begin at different ports.
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    for _ in PORTS {
        let number = std::process::id().wrapping_mul(101).wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed));
        let port = PORTS.start + u16::try_from(number % u32::try_from(PORTS.len())?)?;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(format!("no port from {} to {} is free", PORTS.start, PORTS.end - 1).into())
}
