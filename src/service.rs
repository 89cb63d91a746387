//! The service manager that has started this process: systemd, or another that speaks `sd_notify(3)`.
//!
//! Owns the protocol: a datagram of `NAME=value` lines to the socket that `NOTIFY_SOCKET` names. The process says when it serves
//! (`READY=1`), what audience it has (`STATUS=`), that it is alive (`WATCHDOG=1`, twice in the time that `WATCHDOG_USEC` gives) and that
//! it is about to end (`STOPPING=1`). It does not know whether this process serves, or its workers.
//!
//! Invariant: what becomes of a datagram has no effect on the count. None is waited for.

use std::env;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use crate::collections::tick::Tick;
use crate::log::{self, Value::Shown};
use crate::wire::handover::Served;

/// The variables of the protocol. They are for the process that is started, and not for its children.
pub const VARIABLES: [&str; 3] = [NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID];

const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";
const WATCHDOG_USEC: &str = "WATCHDOG_USEC";
const WATCHDOG_PID: &str = "WATCHDOG_PID";

/// How often the status is said, if it has changed.
const STATUS_INTERVAL: Duration = Duration::from_secs(5);

/// What the log advises where nothing can be sent.
const REMEDY: &str = "the service manager learns nothing; its socket is gone, or this process may not reach it";

/// The way to the service manager.
#[derive(Debug)]
pub struct ServiceManager {
    socket: UnixDatagram,
    address: SocketAddr,
    /// How often it wants to know that the process is alive.
    watchdog: Option<Duration>,
    alive_at: Tick,
    status_at: Tick,
    said: Option<Served>,
    has_failed: bool,
}

impl ServiceManager {
    /// The one that the environment names, if there is one. The log warns of a name that is none, and the process goes on.
    #[must_use]
    pub fn find() -> Option<Self> {
        let name = env::var_os(NOTIFY_SOCKET).filter(|name| !name.is_empty())?;
        let number = |variable| env::var(variable).ok()?.parse::<u64>().ok();
        let is_ours = number(WATCHDOG_PID).is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number(WATCHDOG_USEC).filter(|&us| us > 0 && is_ours).map(Duration::from_micros);
        match Self::at(name.as_bytes(), watchdog) {
            Ok(manager) => Some(manager),
            Err(error) => {
                warn(&error);
                None
            }
        }
    }

    /// The one at this address: a path, or the name of an abstract socket after an `@`.
    fn at(name: &[u8], watchdog: Option<Duration>) -> io::Result<Self> {
        let address = match name {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            [b'/', ..] => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(name))?,
            _ => return Err(io::ErrorKind::Unsupported.into()),
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        let watchdog = watchdog.map(|within| within / 2);
        let (alive_at, status_at) = (Tick(0), Tick(0));
        Ok(Self { socket, address, watchdog, alive_at, status_at, said: None, has_failed: false })
    }

    /// The service is there, from this moment on.
    pub fn ready(&mut self) {
        self.send("READY=1");
    }

    /// The service is about to end.
    pub fn stopping(&mut self) {
        self.send("STOPPING=1");
    }

    /// When there is something to say next.
    #[must_use]
    pub fn next_deadline(&self) -> Tick {
        let alive_at = self.watchdog.map_or(self.status_at, |_| self.alive_at);
        alive_at.min(self.status_at)
    }

    /// Says what is due: that the process is alive, and what audience it has.
    pub fn advance(&mut self, served: impl FnOnce() -> Served, now: Tick) {
        if let Some(watchdog) = self.watchdog
            && self.alive_at <= now
        {
            self.alive_at = now.after(watchdog);
            self.send("WATCHDOG=1");
        }
        if self.status_at <= now {
            self.status_at = now.after(STATUS_INTERVAL);
            let served = served();
            if self.said.replace(served) != Some(served) {
                self.send(&format!("STATUS=members: {}, nodes: {}", served.members, served.nodes));
            }
        }
    }

    fn send(&mut self, line: &str) {
        let result = self.socket.send_to_addr(line.as_bytes(), &self.address);
        // One that has too much to read gets the next one.
        let error = result.err().filter(|error| error.kind() != io::ErrorKind::WouldBlock);
        if let Some(error) = &error
            && !self.has_failed
        {
            warn(error);
        }
        self.has_failed = error.is_some();
    }
}

fn warn(error: &io::Error) {
    log::warn("service_manager", &[("error", Shown(error)), ("remedy", REMEDY.into())]);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A manager's socket, and the way to it.
    fn manager(name: &str, watchdog_ms: Option<u64>) -> (UnixDatagram, ServiceManager) {
        let name = format!("audience-meter-test/{}/{name}", std::process::id());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        socket.set_nonblocking(true).unwrap();
        let watchdog = watchdog_ms.map(Duration::from_millis);
        (socket, ServiceManager::at(format!("@{name}").as_bytes(), watchdog).unwrap())
    }

    fn read(socket: &UnixDatagram) -> Vec<String> {
        let mut bytes = [0; 256];
        std::iter::from_fn(|| socket.recv(&mut bytes).ok().map(|count| bytes[..count].to_vec()))
            .map(|bytes| String::from_utf8(bytes).unwrap())
            .collect()
    }

    #[test]
    fn each_change_is_said_once_and_life_twice_in_its_time() {
        let (socket, mut manager) = manager("changes", Some(3_000));
        manager.ready();
        assert_eq!(read(&socket), ["READY=1"]);
        let mut said = Vec::new();
        for tick in 0..1_600 {
            let served = Served { members: tick / 1_000, nodes: 2 };
            let is_due = manager.next_deadline() <= Tick(tick);
            manager.advance(|| served, Tick(tick));
            let lines = read(&socket);
            assert!(is_due || lines.is_empty(), "{lines:?} at {tick}");
            said.extend(lines.into_iter().map(|line| (tick, line)));
        }
        let at = |line: &str| said.iter().filter(|(_, said)| said == line).map(|&(tick, _)| tick).collect::<Vec<_>>();
        assert_eq!(at("STATUS=members: 0, nodes: 2"), [0]);
        assert_eq!(at("STATUS=members: 1, nodes: 2"), [1_002]);
        assert_eq!(at("WATCHDOG=1").len(), 11);
        assert_eq!(said.len(), 13);
        manager.stopping();
        assert_eq!(read(&socket), ["STOPPING=1"]);
    }

    #[test]
    fn without_a_watchdog_only_the_status_is_due() {
        let (socket, mut manager) = manager("status", None);
        manager.advance(Served::default, Tick(7));
        assert_eq!(read(&socket), ["STATUS=members: 0, nodes: 0"]);
        assert_eq!(manager.next_deadline(), Tick(7).after(STATUS_INTERVAL));
    }

    #[test]
    fn an_address_that_is_none_is_an_error_and_one_that_is_gone_is_not() {
        for odd in ["", "relative", "vsock:2:1234"] {
            assert!(ServiceManager::at(odd.as_bytes(), None).is_err(), "{odd}");
        }
        let (socket, mut manager) = manager("gone", None);
        drop(socket);
        manager.ready();
        manager.ready();
        assert!(manager.has_failed);
    }
}
