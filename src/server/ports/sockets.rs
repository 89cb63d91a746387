//! The sockets of all ports of one process: bound by it, or handed on by its supervisor.
//!
//! Owns the addresses that they are bound to, and the reason if that fails. A supervisor binds the sockets of each of its
//! workers once, with the privileges that it has then, and keeps them. So a worker finds the connections that its predecessor
//! has not accepted.
//!
//! Invariant: the sockets are in the order of the ports, and each is set up whole.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use super::port::{Policy, Port};
use crate::config::{Config, LocalPort};
use crate::log::{self, Value::Shown};
use crate::reactor::listening::{self, Inherited};
use crate::reactor::sys;
use crate::server::conns::torture;
use crate::wire::handover::{self, Frame};

/// Most listening sockets of a process.
pub(super) const LISTENERS_MAX: usize = 8;

/// Why a port cannot be opened.
#[derive(Debug)]
pub struct BindError {
    port: Port,
    address: SocketAddr,
    /// What the kernel says; `None`: the kernel allows it, but the port is another audience's.
    error: Option<io::Error>,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { port, address, error } = self;
        let Policy { option, host_option, .. } = port.policy();
        write!(f, "{option}: cannot listen on {address}: ")?;
        let Some(error) = error else {
            return write!(f, "another audience has it; give another {option}");
        };
        match error.kind() {
            io::ErrorKind::AddrInUse => write!(f, "it is in use; stop its user, or give another {option}"),
            io::ErrorKind::PermissionDenied => {
                write!(f, "it takes privilege; start as root, or give {option} a number above 1023")
            }
            io::ErrorKind::AddrNotAvailable => {
                write!(f, "this machine has no such address; give another {host_option}")
            }
            _ => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for BindError {}

impl BindError {
    /// A port that is another audience's.
    pub(super) fn of_other_audience(port: Port, address: SocketAddr) -> Self {
        Self { port, address, error: None }
    }

    /// Whether the kernel has no such addresses at all.
    fn is_family_missing(&self) -> bool {
        self.error.as_ref().is_some_and(|error| {
            error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(libc::EAFNOSUPPORT)
        })
    }
}

/// The sockets of all ports of a process.
#[derive(Debug)]
pub struct Sockets {
    sockets: Vec<(Port, TcpListener)>,
    peer_timeout: Option<Duration>,
}

impl Sockets {
    /// Binds all ports that the settings ask for, the audience port with this number.
    ///
    /// # Errors
    /// A port that cannot be bound, by its option.
    pub fn bind(config: &Config, audience_port: u16) -> Result<Self, BindError> {
        let mut this = Self { sockets: Vec::new(), peer_timeout: config.peer_timeout };
        this.bind_public(Port::Audience, config.host, audience_port)?;
        let local = [
            (Port::Stats, config.stats_port, &config.stats),
            (Port::Notification, config.notification_port, &config.notification),
        ];
        for (port, number, LocalPort { host, .. }) in local {
            match (host, number) {
                (_, None) => {}
                (Some(host), Some(number)) => this.bind_one(port, (*host, number).into())?,
                (None, Some(number)) => this.bind_local(port, number)?,
            }
        }
        if let Some(number) = config.demo_port {
            this.bind_public(Port::Demo, config.host, number)?;
        }
        Ok(this)
    }

    /// Takes over the sockets that a supervisor has handed on, each by the number of its port and its descriptor, and has
    /// them listen as new ones.
    ///
    /// # Errors
    /// What the kernel says.
    pub(in crate::server) fn take_over(config: &Config, handed_on: &[(u8, u32)]) -> io::Result<Self> {
        let mut this = Self { sockets: Vec::new(), peer_timeout: config.peer_timeout };
        for &(number, descriptor) in handed_on {
            let listener = TcpListener::from(sys::take_over(descriptor)?);
            let Some(&port) = Port::ALL.get(usize::from(number)) else { continue };
            listening::renew(&listener, this.inherited(port))?;
            this.add(port, listener);
        }
        Ok(this)
    }

    /// Appends what a worker needs to take the sockets over.
    pub fn push(&self, out: &mut Vec<u8>) {
        for (port, listener) in &self.sockets {
            let descriptor = listener.as_raw_fd().cast_unsigned();
            handover::push(out, &Frame::Socket(*port as u8, descriptor));
        }
    }

    /// Has children that are started from now on inherit the sockets, or not.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn set_inherited(&self, is_inherited: bool) -> io::Result<()> {
        self.sockets.iter().try_for_each(|(_, listener)| sys::set_inherited(listener, is_inherited))
    }

    /// Has the sockets listen no more until a worker takes them over: the connections that wait there would wait for ever.
    pub fn stop(&self) {
        for (port, listener) in &self.sockets {
            if let Err(error) = listening::stop(listener) {
                log::warn("listener", &[("port", Shown(port)), ("error", Shown(&error))]);
            }
        }
    }

    /// The number of the audience port.
    ///
    /// # Errors
    /// What the kernel says of the socket.
    pub(in crate::server) fn audience_port(&self) -> io::Result<u16> {
        let audience = self.sockets.iter().find(|(port, _)| *port == Port::Audience);
        audience.map_or(Ok(0), |(_, listener)| Ok(listener.local_addr()?.port()))
    }

    /// All of them.
    pub(super) fn into_iter(self) -> impl Iterator<Item = (Port, TcpListener)> {
        self.sockets.into_iter()
    }

    /// On the host address, or on all of them: IPv6 that takes IPv4 too, or IPv4 where there is no IPv6.
    fn bind_public(&mut self, port: Port, host: Option<IpAddr>, number: u16) -> Result<(), BindError> {
        let Some(host) = host else {
            return match self.bind_one(port, (Ipv6Addr::UNSPECIFIED, number).into()) {
                Err(error) if error.is_family_missing() => self.bind_one(port, (Ipv4Addr::UNSPECIFIED, number).into()),
                bound => bound,
            };
        };
        self.bind_one(port, (host, number).into())
    }

    /// On loopback, IPv4 and, where there is one, IPv6: `localhost` may be either.
    fn bind_local(&mut self, port: Port, number: u16) -> Result<(), BindError> {
        self.bind_one(port, (Ipv4Addr::LOCALHOST, number).into())?;
        match self.bind_one(port, (Ipv6Addr::LOCALHOST, number).into()) {
            Err(error) if !error.is_family_missing() => Err(error),
            _ => Ok(()),
        }
    }

    fn bind_one(&mut self, port: Port, address: SocketAddr) -> Result<(), BindError> {
        let bound = listening::listen_with(address, self.inherited(port));
        let listener = bound.map_err(|error| BindError { port, address, error: Some(error) })?;
        self.add(port, listener);
        Ok(())
    }

    /// What a connection at a port is given.
    fn inherited(&self, port: Port) -> Inherited {
        let send_buffer = torture::send_buffer(port.policy().send_buffer);
        Inherited { peer_timeout: self.peer_timeout, send_buffer }
    }

    fn add(&mut self, port: Port, listener: TcpListener) {
        if port.policy().is_silence_deferred
            && let Err(error) = listening::defer_silent(&listener, true)
        {
            log::warn("listener", &[("port", Shown(&port)), ("error", Shown(&error))]);
        }
        self.sockets.push((port, listener));
    }
}
