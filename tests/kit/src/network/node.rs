//! Processes and members within the hosts of a network. Stats are asked within a host too, for they are there for loopback
//! only.

use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::inside::inside;
use super::{Network, command_in};
use crate::{Daemon, ms, program};

/// Silence is noticed soon, but not taken from a machine that is merely busy.
const BRISK: [&str; 4] = ["--cluster-notify-interval", "0.2", "--cluster-node-timeout", "2"];

/// One process, and the host it runs on.
pub struct Node {
    /// The process.
    pub daemon: Daemon,
    host: String,
}

/// Streams that are open to a host's processes, until this value is dropped.
pub struct Crowd(Child);

impl Crowd {
    /// Opens `count` streams of the namespace `ns`, from one host to an address of a process.
    #[track_caller]
    pub fn join(network: &Network, from: usize, to: &str, count: u64) -> Self {
        // The query is no part of a namespace, so this is one URL for each.
        let url = format!("http://{to}:{}/ns?[1-{count}]", Node::PORT);
        let mut command = command_in(&network.hosts[from], "curl");
        command.args(["--silent", "--no-buffer", "--parallel", "--parallel-immediate", "--parallel-max", "100"]);
        command.args(["--header", "Accept: text/event-stream", "--output", "/dev/null", &url]);
        Crowd(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        self.0.wait().unwrap();
    }
}

impl Node {
    /// The audience port. All hosts are the test's own, so it is free.
    pub const PORT: u16 = 3000;

    /// After how long without a word a process is forgotten by the others: what `BRISK` says.
    pub const TIMEOUT: Duration = ms(2000);

    /// Starts one at a host, on its own port and with a cluster that notices silence soon.
    #[track_caller]
    pub fn start(network: &Network, host: usize, options: &[&str]) -> Self {
        Self::start_on(network, host, Self::PORT, options)
    }

    /// The same, on another port.
    #[track_caller]
    pub fn start_on(network: &Network, host: usize, port: u16, options: &[&str]) -> Self {
        let port = port.to_string();
        let args = [&["--port", &port], &BRISK[..], options].concat();
        Self::start_plain(network, host, &args)
    }

    /// Starts one at a host with these options alone, or as many workers as they say.
    #[track_caller]
    pub fn start_plain(network: &Network, host: usize, options: &[&str]) -> Self {
        let name = &network.hosts[host];
        let args = [&["--drain-delay", "0.2"], options].concat();
        Node { daemon: Daemon::start_with(|| command_in(name, program()), &args), host: name.clone() }
    }

    /// What this process answers on its stats port.
    #[track_caller]
    pub fn ask(&self, path: &str) -> Value {
        let reply = self.within(|| self.daemon.stats_page(path));
        assert_eq!(reply.status, 200, "{reply:?}");
        serde_json::from_str(&reply.body).unwrap_or_else(|error| panic!("{error} in {reply:?}"))
    }

    /// Does something within its host, in a thread of its own.
    pub fn within<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        inside(&self.host, act)
    }

    /// One number of the namespace, 0 if there is none.
    #[track_caller]
    pub fn stat(&self, key: &str) -> u64 {
        self.ask("/")["ns"][key].as_u64().unwrap_or(0)
    }

    /// All that it says, for a test that failed.
    pub fn answers(&self) -> String {
        format!("{} {}: {} {}", self.host, self.daemon.pid(), self.ask("/"), self.ask("/cluster"))
    }

    /// How many nodes it knows of, itself included.
    #[track_caller]
    pub fn nodes(&self) -> u64 {
        self.ask("/cluster")["nodes"].as_u64().unwrap()
    }

    /// How many members are counted at this process.
    #[track_caller]
    pub fn own_members(&self) -> u64 {
        self.ask("/cluster")["members"][0]["members"].as_u64().unwrap()
    }

    /// Ends the process, with or without a goodbye.
    #[track_caller]
    pub fn end(mut self, signal: &str) {
        self.daemon.signal(signal);
        self.daemon.wait_exit();
    }
}
