//! The listening sockets.
//!
//! Owns them and their names. A listener that cannot accept is taken out of the poller until something is freed: in level
//! mode it would wake the loop 370,000 times a second for nothing. Whether there is room is for the caller to say: it
//! counts the connections.
//!
//! Invariant: a listener is in the poller exactly while a connection that it brings could be taken in.

use std::io;
use std::net::{IpAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixDatagram, UnixListener};

use super::capacity::Capacity;
use super::crowd::Crowd;
use super::neighbours::{Neighbours, SiblingDoor};
use super::port::Port;
use super::seat::Seat;
use super::sockets::{BindError, LISTENERS_MAX, Sockets};
use crate::collections::tick::{Now, Tick};
use crate::config::Config;
use crate::log::{self, Value::Shown};
use crate::reactor::accepted::Accepted;
use crate::reactor::listening;
use crate::reactor::{Interest, Reactor, Registered, Token, local, proc};
use crate::server::conns::torture;

/// How long a listener rests when the kernel has no room for a connection although by our count there is some.
const REST: std::time::Duration = std::time::Duration::from_millis(100);

/// Most connections in a row that fail before they are accepted. If more do, it may be the listener that fails (a filter of
/// system calls, a security module), which takes no connection off the queue and would hold the turn for ever.
const FAILURES_MAX: usize = 16;

/// Tokens from here on are listeners; below are connections.
const FIRST_TOKEN: usize = u32::MAX as usize;

/// The first token that is neither a connection nor a listener.
pub(in crate::server) const FIRST_FREE_TOKEN: usize = FIRST_TOKEN + LISTENERS_MAX;

/// One listening socket.
struct Listener {
    socket: Registered<TcpListener>,
    port: Port,
    /// Taken out of the poller.
    is_paused: bool,
}

/// All listening sockets.
pub(in crate::server) struct Listeners {
    sockets: Vec<Listener>,
    crowd: Crowd,
    /// Until when listeners rest that the kernel had no room for.
    rest_until: Option<Tick>,
    /// Names the ports as this audience's, once they are bound.
    neighbours: Option<Neighbours>,
    /// Whether the ports may be another audience's; they are not if a worker has served there before.
    may_clash: bool,
    /// The number of other processes of the audience at that time; `None` when that could not be seen.
    sibling_count: Option<usize>,
    seat: Seat,
    /// What claims the seat.
    seat_name: Option<UnixDatagram>,
}

impl Listeners {
    /// Takes these sockets in, paused.
    ///
    /// # Errors
    /// What the kernel says, for lack of watches.
    pub(in crate::server) fn new(
        config: &Config,
        sockets: Sockets,
        may_clash: bool,
        reactor: &Reactor,
    ) -> io::Result<Self> {
        let mut listeners = Vec::new();
        for (port, socket) in sockets.into_iter() {
            let socket = Registered::new(reactor, socket, token(listeners.len()), Interest::Nothing)?;
            listeners.push(Listener { socket, port, is_paused: true });
        }
        Ok(Self {
            sockets: listeners,
            crowd: Crowd::new(config.limits.heads),
            rest_until: None,
            neighbours: None,
            may_clash,
            sibling_count: None,
            seat: Seat::default(),
            seat_name: None,
        })
    }

    /// Names the ports as this audience's, and reads what other processes have named. The name of the audience port is a socket
    /// that siblings connect to; it is returned, and `None` where the kernel has no such sockets.
    ///
    /// # Errors
    /// A port that is another audience's, by its option.
    pub(in crate::server) fn meet_neighbours(
        &mut self,
        config: &Config,
        audience_port: u16,
    ) -> Result<Option<UnixListener>, Box<dyn std::error::Error>> {
        let mut neighbours = Neighbours::new(config, audience_port)?;
        let mut door = None;
        for Listener { socket, port, .. } in &self.sockets {
            let address = socket.source().local_addr()?;
            let host = if address.ip().is_unspecified() { "*".to_owned() } else { address.ip().to_string() };
            if *port == Port::Audience {
                door = neighbours.open_door(address.port(), &host);
            } else {
                neighbours.claim(*port, address.port(), &host);
            }
        }
        let own_ports = self.sockets.iter().filter_map(|listener| listener.socket.source().local_addr().ok());
        let own_ports: Vec<u16> = own_ports.map(|address| address.port()).collect();
        let uid = local::own_uid()?;
        let others_at = |port| {
            let own = own_ports.iter().filter(|&&own| own == port).count();
            proc::listener_count(port, uid).map(|count| count.saturating_sub(own))
        };
        let view = neighbours.look(uid, others_at);
        let clash = view.clash.filter(|_| self.may_clash);
        let clash = clash.and_then(|(index, is_proven)| Some((self.sockets.get(index)?, is_proven)));
        if let Some((Listener { socket, port, .. }, is_proven)) = clash {
            let address = socket.source().local_addr()?;
            if is_proven {
                return Err(BindError::of_other_audience(*port, address).into());
            }
            log::warn("name_squatted", &[("port", Shown(port)), ("address", Shown(&address))]);
        }
        let is_stats = |listener: &&Listener| listener.port == Port::Stats;
        if let Some(stats) = self.sockets.iter().find(is_stats) {
            let address = stats.socket.source().local_addr()?.to_string();
            (self.seat, self.seat_name) = Seat::take(&neighbours.audience, &address);
        }
        self.sibling_count = view.sibling_count;
        self.neighbours = Some(neighbours);
        Ok(door)
    }

    /// The number of processes of the audience that listen where this one does, itself included; `None` when they cannot be
    /// seen from here.
    pub(in crate::server) fn group_size(&self) -> Option<usize> {
        self.neighbours.as_ref().and_then(Neighbours::group_size)
    }

    /// The number of this process on its host, and whom it answers for.
    pub(in crate::server) fn seat(&self) -> Seat {
        self.seat
    }

    /// The doors of the other processes of the audience; `None` when they cannot be seen from here.
    pub(in crate::server) fn sibling_doors(&self) -> Option<Vec<SiblingDoor>> {
        self.neighbours.as_ref().and_then(Neighbours::sibling_doors)
    }

    /// The number of other processes of the audience when the ports were bound; `None` when that could not be seen.
    pub(in crate::server) fn sibling_count(&self) -> Option<usize> {
        self.sibling_count
    }

    /// Logs the ports. This comes after everything else is ready: a process that fails to start logs one line only.
    ///
    /// # Errors
    /// What the kernel says of a listener.
    pub(in crate::server) fn log(&self, capacity: &Capacity) -> io::Result<()> {
        for Listener { socket, port, .. } in &self.sockets {
            let address = socket.source().local_addr()?;
            log::info("listening", &[("port", Shown(port)), ("address", Shown(&address))]);
        }
        let Capacity { descriptors, members, .. } = capacity;
        log::info("room", &[("descriptors", (*descriptors).into()), ("members_max", (*members).into())]);
        Ok(())
    }

    /// The number of a listener, counted from 0, if the token is a listener's.
    pub(in crate::server) fn index_of(token: Token) -> Option<usize> {
        token.0.checked_sub(FIRST_TOKEN).filter(|&index| index < LISTENERS_MAX)
    }

    /// Most connections that one turn accepts at a listener.
    pub(in crate::server) fn accepts_per_turn(&self, index: usize) -> usize {
        self.sockets.get(index).map_or(0, |listener| listener.port.policy().accepts_per_turn)
    }

    /// The next connection that waits at a listener, and from where it comes, unless there is none, or no room for it.
    pub(in crate::server) fn accept(
        &mut self,
        index: usize,
        may_accept: impl Fn(Port) -> bool,
        reactor: &Reactor,
        now: Now,
    ) -> Option<(TcpStream, IpAddr, Port)> {
        let listener = self.sockets.get_mut(index)?;
        if !may_accept(listener.port) {
            listener.set_paused(token(index), reactor, true);
            return None;
        }
        for _ in 0..FAILURES_MAX {
            match torture::accept(listener.socket.source()) {
                Accepted::Stream(stream, peer) => return Some((stream, peer, listener.port)),
                Accepted::NonePending => return None,
                Accepted::Failed => {}
                Accepted::NoRoom => break,
            }
        }
        self.rest_until = Some(now.tick.after(REST));
        listener.set_paused(token(index), reactor, true);
        None
    }

    /// When [`resume`](Self::resume) has something to do, if nothing is freed before.
    pub(in crate::server) fn next_deadline(&self) -> Option<Tick> {
        self.rest_until
    }

    /// Takes paused listeners up again for which there is room.
    pub(in crate::server) fn resume(&mut self, may_accept: impl Fn(Port) -> bool, reactor: &Reactor, now: Now) {
        if self.rest_until.is_some_and(|until| until > now.tick) {
            return;
        }
        self.rest_until = None;
        for (index, listener) in self.sockets.iter_mut().enumerate() {
            if listener.is_paused && may_accept(listener.port) {
                listener.set_paused(token(index), reactor, false);
            }
        }
    }

    /// Has silent connections of the audience port wait in the kernel while as many heads are waited for here as may be.
    pub(in crate::server) fn defer_silence(&mut self, head_count: usize) {
        let Some(is_deferred) = self.crowd.change(head_count) else { return };
        for listener in self.sockets.iter().filter(|listener| listener.port == Port::Audience) {
            listener.defer_silence(is_deferred);
        }
        log::info("heads", &[("waited_for", head_count.into()), ("deferred", is_deferred.into())]);
    }

    /// Lets no new handshake begin at the public ports, or at the others; connections that wait there are still accepted.
    pub(in crate::server) fn deafen(&self, is_public: bool) {
        let chosen = self.sockets.iter().filter(|listener| listener.port.policy().is_public == is_public);
        for Listener { socket, port, .. } in chosen {
            if let Err(error) = listening::deafen(socket.source()) {
                // Then clients that come between the last accept and the close are reset.
                log::warn("listener_not_deaf", &[("port", Shown(port)), ("error", Shown(&error))]);
            }
        }
    }

    /// Stops listening. Until the process ends its neighbours still see that it is of the audience: its members count.
    pub(in crate::server) fn close(&mut self, reactor: &Reactor) {
        for Listener { socket, port, .. } in self.sockets.drain(..) {
            // A supervisor has the socket, too, and it would go on listening.
            if let Err(error) = listening::stop(socket.source()) {
                log::warn("listener", &[("port", Shown(&port)), ("error", Shown(&error))]);
            }
            socket.release(reactor);
        }
        self.rest_until = None;
        if let Some(neighbours) = &mut self.neighbours {
            neighbours.withdraw_ports();
        }
    }

    /// The number of listeners.
    pub(in crate::server) fn len(&self) -> usize {
        self.sockets.len()
    }
}

impl Listener {
    fn set_paused(&mut self, token: Token, reactor: &Reactor, is_paused: bool) {
        if self.is_paused == is_paused {
            return;
        }
        let interest = if is_paused { Interest::Nothing } else { Interest::Read };
        match self.socket.set_interest(reactor, token, interest) {
            Ok(()) => self.is_paused = is_paused,
            Err(error) => log::warn("listener", &[("port", Shown(&self.port)), ("error", Shown(&error))]),
        }
        log::debug("listener", &[("port", Shown(&self.port)), ("paused", self.is_paused.into())]);
    }

    /// Has the kernel hand over connections together with their first bytes, or at once again.
    fn defer_silence(&self, is_wanted: bool) {
        if let Err(error) = listening::defer_silent(self.socket.source(), is_wanted) {
            log::warn("listener", &[("port", Shown(&self.port)), ("error", Shown(&error))]);
        }
    }
}

fn token(index: usize) -> Token {
    debug_assert!(index < LISTENERS_MAX);
    Token(FIRST_TOKEN + index)
}
