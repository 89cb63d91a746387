//! How a worker is started: its program, its arguments, and the id of its supervisor.
//!
//! Owns the port that all workers share when none was given: the port is chosen here once, and held while workers come and go.

use std::error::Error;
use std::ffi::OsString;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use crate::config::{Config, SUPERVISOR_VARIABLE};
use crate::reactor::listening::reserve;
use crate::service;

/// What makes a process a worker.
pub(super) struct Launcher {
    program: OsString,
    /// Its name in a list of processes: our own.
    name: OsString,
    args: Vec<OsString>,
    /// The number of the audience port.
    pub(super) port: u16,
    /// Keeps the audience port that was chosen for all of them.
    _reserved: Option<TcpListener>,
}

impl Launcher {
    pub(super) fn new(config: &Config) -> Result<Self, Box<dyn Error>> {
        let reserved = if config.port == 0 { Some(reserve_port(config)?) } else { None };
        let port =
            reserved.as_ref().map_or(Ok(config.port), |socket| socket.local_addr().map(|address| address.port()))?;
        let mut args = ["-w", "1", "--port", &port.to_string()].map(OsString::from).to_vec();
        args.extend_from_slice(&config.handed_on);
        let name = std::env::args_os().next().unwrap_or_else(|| "audience-meter".into());
        // The file that runs here, even when another has been installed in its place. Without a /proc, by its name.
        let own = Path::new("/proc/self/exe");
        let program = if own.exists() { own.into() } else { name.clone() };
        Ok(Self { program, name, args, port, _reserved: reserved })
    }

    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg0(&self.name).args(&self.args).env(SUPERVISOR_VARIABLE, std::process::id().to_string());
        for variable in service::VARIABLES {
            command.env_remove(variable);
        }
        command
    }
}

/// A socket on the address that the workers will listen on, and on a port that is free.
fn reserve_port(config: &Config) -> Result<TcpListener, Box<dyn Error>> {
    let reserved = match config.host {
        Some(host) => reserve((host, 0).into()),
        None => reserve((Ipv6Addr::UNSPECIFIED, 0).into()).or_else(|_| reserve((Ipv4Addr::UNSPECIFIED, 0).into())),
    };
    reserved.map_err(|error| format!("--port: cannot choose one: {error}; give another --host, or a --port").into())
}
