//! The daemon as a child process, on ports of its own.
//!
//! A `Daemon` ends only the process that it started, when it is dropped, and fails its test if that process ended by
//! itself or panicked.
//!
//! | file | owns |
//! |---|---|
//! | `log` | what a daemon writes to its standard error, gathered line by line while it runs |

mod log;

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use serde_json::Value;

use self::log::Log;
pub use self::log::without_time;
use crate::process::{Identity, below};
use crate::{
    Reply, connect, end, free_port, get, isolate, program, read_to_end, send_signal, show, wait_for, wait_until,
};

/// A running daemon, ended when this value is dropped.
pub struct Daemon {
    child: Child,
    log: Arc<Log>,
    ended: bool,
    /// Its workers when it was last signalled: without a supervisor they are below it no more, and one that hangs would stay.
    below: Mutex<Vec<Identity>>,
}

impl Daemon {
    /// Starts a daemon with these arguments, on free ports wherever they name none.
    #[track_caller]
    pub fn start(args: &[&str]) -> Self {
        Self::start_with(|| Command::new(program()), args)
    }

    /// The same behind a line of shell, such as `ulimit -n 64`.
    #[track_caller]
    pub fn start_after(shell: &str, args: &[&str]) -> Self {
        let line = format!("{shell}; exec \"$0\" \"$@\"");
        let command = || {
            let mut command = Command::new("sh");
            command.args(["-c", &line, program()]);
            command
        };
        Self::start_with(command, args)
    }

    /// The same from a command that carries an environment.
    #[track_caller]
    pub fn start_with(command: impl Fn() -> Command, args: &[&str]) -> Self {
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
        let child = command.spawn().unwrap();
        // From here on its end is that of the value.
        let mut daemon = Daemon { child, log: Arc::default(), ended: false, below: Mutex::default() };
        daemon.log.collect(daemon.child.stderr.take().unwrap());
        let is_ready = |line: &str| line == "level=info event=ready" || line.contains("\"event\":\"ready\"");
        if daemon.log.wait_line(is_ready).is_some() {
            return Ok(daemon);
        }
        let text = daemon.log().join("\n");
        daemon.kill();
        Err(text)
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All lines it has logged so far, without their times.
    pub fn log(&self) -> Vec<String> {
        self.timed_log().iter().map(|line| without_time(line).to_owned()).collect()
    }

    /// All lines it has logged so far, as they are.
    pub fn timed_log(&self) -> Vec<String> {
        self.log.lines.lock().unwrap().0.clone()
    }

    /// Waits for a log line that `matches`.
    #[track_caller]
    pub fn wait_log(&self, what: &str, matches: impl Fn(&str) -> bool) -> String {
        let line = self.log.wait_line(matches);
        line.unwrap_or_else(|| panic!("no log line for {what} in {:#?}", self.log()))
    }

    /// The addresses it says that it listens on for `port` (audience, stats, notification, demo).
    pub fn listening(&self, port: &str) -> Vec<SocketAddr> {
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
    pub fn audience(&self) -> SocketAddr {
        self.reachable("audience")
    }

    /// The stats port.
    #[track_caller]
    pub fn stats_port(&self) -> SocketAddr {
        self.reachable("stats")
    }

    /// The notification port.
    #[track_caller]
    pub fn notification(&self) -> SocketAddr {
        self.reachable("notification")
    }

    /// The demo port, on the loopback interface.
    #[track_caller]
    pub fn demo(&self) -> SocketAddr {
        self.reachable("demo")
    }

    /// A page of the stats port.
    #[track_caller]
    pub fn stats_page(&self, path: &str) -> Reply {
        get(self.stats_port(), path)
    }

    /// The stats as `nc` with a closed standard input gets them.
    #[track_caller]
    pub fn stats_text(&self) -> String {
        let mut socket = connect(self.stats_port());
        socket.shutdown(std::net::Shutdown::Write).unwrap();
        String::from_utf8(read_to_end(&mut socket)).unwrap()
    }

    /// The stats, parsed.
    #[track_caller]
    pub fn stats(&self) -> Value {
        let text = self.stats_text();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text:?}"))
    }

    /// The names of all namespaces, sorted.
    #[track_caller]
    pub fn namespaces(&self) -> Vec<String> {
        self.stats().as_object().unwrap().keys().cloned().collect()
    }

    /// One number of one namespace, if there is such a namespace.
    #[track_caller]
    pub fn stat(&self, namespace: &str, key: &str) -> Option<u64> {
        let stats = self.stats();
        let number = stats.get(namespace)?.get(key);
        Some(number.and_then(Value::as_u64).unwrap_or_else(|| panic!("no {key} in {stats}")))
    }

    /// Waits until `namespace` has exactly `members`.
    #[track_caller]
    pub fn wait_members(&self, namespace: &str, members: u64) {
        wait_until(&format!("{members} members in {namespace}"), || {
            self.stat(namespace, "members").unwrap_or(0) == members
        });
    }

    /// Sends a message through the notification port.
    #[track_caller]
    pub fn notify(&self, target: &str) -> Reply {
        get(self.notification(), target)
    }

    /// Sends a signal by its name.
    #[track_caller]
    pub fn signal(&self, name: &str) {
        self.remember_workers();
        send_signal(self.pid(), name);
    }

    fn remember_workers(&self) {
        *self.below.lock().unwrap_or_else(PoisonError::into_inner) = below(self.pid());
    }

    /// Waits until the process has ended by what the test did to it.
    #[track_caller]
    pub fn wait_exit(&mut self) -> ExitStatus {
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
        self.below.get_mut().unwrap_or_else(PoisonError::into_inner).iter().for_each(Identity::end);
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

/// One process, unless the test says otherwise.
fn add_workers(command: &mut Command, args: &[&str]) {
    let by_env = has_variable(command, "AUDIENCE_METER_WORKERS");
    if !by_env && !args.iter().any(|arg| arg.starts_with("-w") || arg.starts_with("--workers")) {
        command.args(["-w", "1"]);
    }
}

fn add_ports(command: &mut Command, args: &[&str]) {
    let by_env = has_variable(command, "PORT");
    for option in ["--port", "--stats-port", "--notification-port", "--demo-port"] {
        let given = args.iter().any(|arg| arg.split('=').next() == Some(option));
        let variable = format!("AUDIENCE_METER_{}", option.trim_matches('-').replace('-', "_").to_uppercase());
        if given || has_variable(command, &variable) || (option == "--port" && by_env) {
            continue;
        }
        let port = if option == "--port" { 0 } else { free_port() };
        command.arg(option).arg(port.to_string());
    }
}

fn has_variable(command: &Command, name: &str) -> bool {
    command.get_envs().any(|(key, value)| key == name && value.is_some())
}
