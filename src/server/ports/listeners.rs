//! The ports.
//!
//! Owns the listening sockets. A listener that cannot accept is taken out of the poller until something is freed: in level
//! mode it would wake the loop 370,000 times a second for nothing.
//!
//! Invariant: a listener is in the poller exactly while a connection that it brings could be taken in.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use crate::collections::tick::{Now, Tick};
use crate::config::Config;
use crate::log;
use crate::meter::news::NodeId;
use crate::reactor::listening::{self, Inherited};
use crate::reactor::sys::Accepted;
use crate::reactor::{Interest, Reactor, Registered, Token};
use crate::server::conns::Conns;
use crate::server::conns::conn::Port;
use crate::server::ports::capacity::Room;
use crate::server::ports::neighbours::Neighbours;

/// How long a listener rests when the kernel has no room for a connection although by our count there is some.
const REST: std::time::Duration = std::time::Duration::from_millis(100);

/// How many connections in a row may fail before they are accepted. More, and it may be the listener that fails (a filter of
/// system calls, a security module), which takes no connection off the queue and would hold the turn for ever.
const FAILURES_MAX: usize = 16;

/// How many connections one turn accepts at the audience port: at 16 us for a join, 0.4 ms.
const ACCEPTS_PER_TURN: usize = 24;

/// The same for each of the other listeners, of which there are five: at 16 us for a request and its answer, 0.2 ms in all.
const SIDE_ACCEPTS_PER_TURN: usize = 2;

/// What the kernel keeps for a member that does not read: some hundred counts, or the message that fills it. The rest is for
/// the outbox to conflate; left alone the kernel would keep 4 MB for each.
const SEND_BUFFER: u16 = 4096;

/// Tokens from here on are listeners; below are connections.
const FIRST_TOKEN: usize = u32::MAX as usize;

/// How many of them there can be, and so which token comes after them.
const LISTENERS_MAX: usize = 8;

/// The first token that is neither a connection nor a listener.
pub(in crate::server) const FIRST_FREE_TOKEN: usize = FIRST_TOKEN + LISTENERS_MAX;

/// Why a port cannot be served.
#[derive(Debug)]
pub struct BindError {
    option: &'static str,
    address: SocketAddr,
    /// What the kernel says; `None`: it would let us, but the port is another audience's.
    error: Option<io::Error>,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { option, address, error } = self;
        write!(f, "{option}: cannot listen on {address}: ")?;
        let Some(error) = error else {
            return write!(f, "another audience has it; give another {option}");
        };
        match error.kind() {
            io::ErrorKind::AddrInUse => write!(f, "it is in use; stop who uses it, or give another {option}"),
            io::ErrorKind::PermissionDenied => {
                write!(f, "it takes privilege; start as root, or give {option} a number above 1023")
            }
            io::ErrorKind::AddrNotAvailable => write!(f, "this machine has no such address; give another --host"),
            _ => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for BindError {}

/// One listening socket.
pub(super) struct Listener {
    pub(super) socket: Registered<TcpListener>,
    pub(super) port: Port,
    /// Taken out of the poller.
    is_paused: bool,
}

/// All listening sockets, and how many connections may come in by them.
pub(in crate::server) struct Listeners {
    pub(super) sockets: Vec<Listener>,
    pub(super) room: Room,
    peer_timeout: Option<std::time::Duration>,
    /// How many heads the audience port may wait for.
    pub(super) max_heads: usize,
    /// As many are waited for, so who says nothing is not taken in.
    pub(super) is_silence_deferred: bool,
    /// Until when listeners rest that the kernel had no room for.
    rest_until: Option<Tick>,
    /// Says whose the ports are, once they are bound.
    neighbours: Option<Neighbours>,
    /// How many other processes of the audience there were then; `None` when that could not be seen.
    siblings: Option<usize>,
}

impl Listeners {
    /// Binds all ports that the settings ask for. Returns them, paused, and the number of the audience port.
    pub(in crate::server) fn bind(
        config: &Config,
        node: NodeId,
        descriptors: u64,
        reactor: &Reactor,
    ) -> Result<(Self, u16), Box<dyn std::error::Error>> {
        let mut this = Self {
            sockets: Vec::new(),
            room: Room::new(descriptors, config.limits.members)?,
            peer_timeout: config.peer_timeout,
            max_heads: config.limits.heads,
            is_silence_deferred: false,
            rest_until: None,
            neighbours: None,
            siblings: None,
        };
        let audience = this.bind_public(reactor, Port::Audience, config.host, config.port)?;
        if let Some(number) = config.stats_port {
            this.bind_local(reactor, Port::Stats, number)?;
        }
        if let Some(number) = config.notification_port {
            match config.notification.host {
                Some(host) => drop(this.bind_one(reactor, Port::Notification, (host, number).into())?),
                None => this.bind_local(reactor, Port::Notification, number)?,
            }
        }
        if let Some(number) = config.demo_port {
            this.bind_public(reactor, Port::Demo, config.host, number)?;
        }
        this.defer_silence_at_side_ports();
        this.meet_neighbours(Neighbours::new(config, audience, node))?;
        Ok((this, audience))
    }

    /// Says whose the ports are, and looks who else does.
    fn meet_neighbours(&mut self, mut neighbours: Neighbours) -> Result<(), Box<dyn std::error::Error>> {
        for Listener { socket, port, .. } in &self.sockets {
            let address = socket.source().local_addr()?;
            let host = if address.ip().is_unspecified() { "*".to_owned() } else { address.ip().to_string() };
            neighbours.claim(*port, address.port(), &host);
        }
        let view = neighbours.look();
        if let Some(Listener { socket, port, .. }) = view.clash.and_then(|index| self.sockets.get(index)) {
            let address = socket.source().local_addr()?;
            return Err(BindError { option: option_of(*port), address, error: None }.into());
        }
        self.siblings = view.siblings;
        self.neighbours = Some(neighbours);
        Ok(())
    }

    /// How many other processes of the audience there were when the ports were bound; `None` when that could not be seen.
    pub(in crate::server) fn siblings(&self) -> Option<usize> {
        self.siblings
    }

    /// Says what is listened on. Not before everything else is ready: who fails says so in one line.
    pub(in crate::server) fn log(&self) -> io::Result<()> {
        for Listener { socket, port, .. } in &self.sockets {
            let address = socket.source().local_addr()?;
            log::info(format_args!("event=listening port={port} address={address}"));
        }
        let Room { descriptors, members, .. } = self.room;
        log::info(format_args!("event=room descriptors={descriptors} members_max={members}"));
        Ok(())
    }

    /// The port of a token, if it is a listener's.
    pub(in crate::server) fn index_of(token: Token) -> Option<usize> {
        token.0.checked_sub(FIRST_TOKEN).filter(|&index| index < LISTENERS_MAX)
    }

    /// How many connections one turn may accept at a listener. A crowd comes to the audience port.
    pub(in crate::server) fn accepts_per_turn(&self, index: usize) -> usize {
        match self.sockets.get(index) {
            Some(Listener { port: Port::Audience, .. }) => ACCEPTS_PER_TURN,
            _ => SIDE_ACCEPTS_PER_TURN,
        }
    }

    /// How many descriptors the process may have.
    pub(in crate::server) fn descriptors(&self) -> usize {
        self.room.descriptors
    }

    /// Whether one more may stay on a port.
    pub(in crate::server) fn has_room(&self, port: Port, conns: &Conns) -> bool {
        self.room.has_place(port, conns)
    }

    /// The next connection that waits at a listener, unless there is none, or no room for it.
    pub(in crate::server) fn accept(
        &mut self,
        index: usize,
        conns: &Conns,
        reactor: &Reactor,
        now: Now,
    ) -> Option<(std::net::TcpStream, Port)> {
        if !self.may_accept(index, conns) {
            self.pause(index, reactor);
            return None;
        }
        for _ in 0..FAILURES_MAX {
            let listener = self.sockets.get(index)?;
            match crate::server::conns::torture::accept(listener.socket.source()) {
                Accepted::Stream(stream) => return Some((stream, listener.port)),
                Accepted::Nobody => return None,
                Accepted::Failed => {}
                Accepted::NoRoom => break,
            }
        }
        self.rest_until = Some(now.tick.after(REST));
        self.pause(index, reactor);
        None
    }

    /// When [`resume`](Self::resume) is to be called, if nothing is freed before.
    pub(in crate::server) fn next_deadline(&self) -> Option<Tick> {
        self.rest_until
    }

    /// Takes paused listeners up again for which there is room.
    pub(in crate::server) fn resume(&mut self, conns: &Conns, reactor: &Reactor, now: Now) {
        self.defer_silence(conns.heads(Port::Audience));
        if self.rest_until.is_some_and(|until| until > now.tick) {
            return;
        }
        self.rest_until = None;
        for index in 0..self.sockets.len() {
            if self.sockets[index].is_paused && self.may_accept(index, conns) {
                self.set_paused(index, reactor, false);
            }
        }
    }

    /// Has nobody begin to come in any more at the listeners of these ports; who waits there is still accepted.
    pub(in crate::server) fn deafen(&self, ports: &[Port]) {
        for Listener { socket, port, .. } in self.sockets.iter().filter(|listener| ports.contains(&listener.port)) {
            if let Err(error) = listening::deafen(socket.source()) {
                // Then some who come between the last accept and the close are reset.
                log::warn(format_args!("event=listener_not_deaf port={port} error={:?}", error.to_string()));
            }
        }
    }

    /// Stops listening. Until the process ends it is still known to be of the audience: its members count.
    pub(in crate::server) fn close(&mut self) {
        self.sockets.clear();
        self.rest_until = None;
        if let Some(neighbours) = &mut self.neighbours {
            neighbours.withdraw_ports();
        }
    }

    /// How many there are.
    pub(in crate::server) fn len(&self) -> usize {
        self.sockets.len()
    }

    fn may_accept(&self, index: usize, conns: &Conns) -> bool {
        self.sockets.get(index).is_some_and(|listener| self.room.may_accept(listener.port, conns))
    }

    fn pause(&mut self, index: usize, reactor: &Reactor) {
        if self.sockets.get(index).is_some_and(|listener| !listener.is_paused) {
            self.set_paused(index, reactor, true);
        }
    }

    fn set_paused(&mut self, index: usize, reactor: &Reactor, is_paused: bool) {
        let interest = if is_paused { Interest::Nothing } else { Interest::Read };
        let listener = &mut self.sockets[index];
        match listener.socket.set_interest(reactor, token(index), interest) {
            Ok(()) => listener.is_paused = is_paused,
            Err(error) => {
                log::warn(format_args!("event=listener port={} error={:?}", listener.port, error.to_string()));
            }
        }
        log::debug(format_args!("event=listener port={} paused={}", listener.port, listener.is_paused));
    }

    /// On the host address, or on all of them: IPv6 that takes IPv4 too, or IPv4 where there is no IPv6.
    fn bind_public(
        &mut self,
        reactor: &Reactor,
        port: Port,
        host: Option<IpAddr>,
        number: u16,
    ) -> Result<u16, BindError> {
        let Some(host) = host else {
            let all = SocketAddr::from((Ipv6Addr::UNSPECIFIED, number));
            return match self.bind_one(reactor, port, all) {
                Err(error) if error.is_family_missing() => {
                    self.bind_one(reactor, port, (Ipv4Addr::UNSPECIFIED, number).into())
                }
                bound => bound,
            };
        };
        self.bind_one(reactor, port, (host, number).into())
    }

    /// On loopback, IPv4 and, where there is one, IPv6: `localhost` may be either.
    fn bind_local(&mut self, reactor: &Reactor, port: Port, number: u16) -> Result<(), BindError> {
        self.bind_one(reactor, port, (Ipv4Addr::LOCALHOST, number).into())?;
        match self.bind_one(reactor, port, (Ipv6Addr::LOCALHOST, number).into()) {
            Err(error) if !error.is_family_missing() => Err(error),
            _ => Ok(()),
        }
    }

    fn bind_one(&mut self, reactor: &Reactor, port: Port, address: SocketAddr) -> Result<u16, BindError> {
        let index = self.sockets.len();
        // The other ports have few connections, and long replies to write.
        let send_buffer = crate::server::conns::torture::send_buffer((port == Port::Audience).then_some(SEND_BUFFER));
        let inherited = Inherited { peer_timeout: self.peer_timeout, send_buffer };
        let bound = listening::listen_with(address, inherited)
            .and_then(|listener| Ok((listener.local_addr()?, listener)))
            .and_then(|(address, socket)| {
                Ok((address, Registered::new(reactor, socket, token(index), Interest::Nothing)?))
            });
        let (address, socket) =
            bound.map_err(|error| BindError { option: option_of(port), address, error: Some(error) })?;
        self.sockets.push(Listener { socket, port, is_paused: true });
        Ok(address.port())
    }
}

fn token(index: usize) -> Token {
    debug_assert!(index < LISTENERS_MAX);
    Token(FIRST_TOKEN + index)
}

/// The option that chooses the number of a port.
fn option_of(port: Port) -> &'static str {
    match port {
        Port::Audience => "--port",
        Port::Stats => "--stats-port",
        Port::Notification => "--notification-port",
        Port::Demo => "--demo-port",
    }
}

impl BindError {
    /// Whether the kernel has no such addresses at all.
    fn is_family_missing(&self) -> bool {
        self.error.as_ref().is_some_and(|error| {
            error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(libc::EAFNOSUPPORT)
        })
    }
}
