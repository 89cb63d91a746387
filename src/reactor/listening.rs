//! Sockets that connections come in by, and what every such connection is given.
//!
//! Owns the options of a listening socket. They are set before it listens, for a connection inherits what was set when its
//! handshake was finished. (That it does not block is not inherited; [`accept`](super::sys::accept) asks for it.)
//!
//! Invariant: no connection comes in by a socket that is not set up whole.

use std::io;
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6, TcpListener};
use std::os::fd::AsRawFd;
use std::time::Duration;

use libc::c_int;

use super::sys::{self, numbers, set_option, set_program, socket, start_listening};

/// How many finished handshakes may wait to be accepted: a crowd that arrives within one turn. The kernel lowers it to
/// `net.core.somaxconn`.
const BACKLOG: c_int = 65_535;

/// The longest that the kernel takes for seconds between signs of life (`MAX_TCP_KEEPIDLE`).
const KEEPALIVE_MAX_S: u64 = 32_767;

/// Most keepalive probes before a silent peer is given up. Peers that came together are probed together. Over loopback or
/// between containers the kernel drops probes beyond its backlog (1,000 packets, `net.core.netdev_max_backlog`). In a quiet
/// crowd of 10,000, three probes were not enough for one peer in five.
const KEEPALIVE_PROBES: u8 = 15;

/// What every connection is given that comes in by a socket.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inherited {
    /// After how long a peer that answers nothing is gone. `None` leaves it to the kernel: a quarter of an hour after
    /// something was sent, and never if nothing is.
    pub peer_timeout: Option<Duration>,
    /// How many bytes the kernel takes for a peer that does not read. It keeps that much twice, and as much more as the
    /// write has that fills it. `None` lets it grow with what is written, to 4 MB (`net.ipv4.tcp_wmem`).
    pub send_buffer: Option<u16>,
}

impl Inherited {
    /// Sets it.
    ///
    /// `TCP_USER_TIMEOUT` is for what was sent and is not acknowledged; keepalive sends something where nothing is. Either
    /// alone is not enough: once a byte is on its way no probe is sent, and the kernel repeats it for a quarter of an hour.
    fn set_on(self, socket: &TcpListener) -> io::Result<()> {
        if let Some(bytes) = self.send_buffer {
            set_option(socket, libc::SOL_SOCKET, libc::SO_SNDBUF, c_int::from(bytes))?;
        }
        let Some(timeout) = self.peer_timeout else { return Ok(()) };
        let ms = c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX);
        let (idle, interval) = keepalive_s(timeout);
        set_option(socket, libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT, ms.max(1))?;
        set_option(socket, libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1)?;
        set_option(socket, libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, idle)?;
        set_option(socket, libc::IPPROTO_TCP, libc::TCP_KEEPINTVL, interval)?;
        set_option(socket, libc::IPPROTO_TCP, libc::TCP_KEEPCNT, c_int::from(KEEPALIVE_PROBES))
    }
}

/// The seconds of silence before the first keepalive probe of a peer, and the seconds between two probes, so that the peer is
/// given up when `timeout` is over. The first is half of it; the probes divide the rest into equal parts. The kernel gives up
/// at the first probe that would be sent after `TCP_USER_TIMEOUT`, so there must be several before.
fn keepalive_s(timeout: Duration) -> (c_int, c_int) {
    let seconds = |part: u64| c_int::try_from(part.clamp(1, KEEPALIVE_MAX_S)).unwrap_or(1);
    let half = timeout.as_secs() / 2;
    (seconds(half), seconds((timeout.as_secs() - half) / u64::from(KEEPALIVE_PROBES)))
}

/// Opens a listening socket whose connections send small writes at once (`TCP_NODELAY`, inherited).
///
/// Processes of one user share the address (`SO_REUSEPORT`): the kernel spreads connections over them.
///
/// An unspecified IPv6 address takes IPv4 too; any other takes its own family only.
///
/// # Errors
/// What the kernel says: the address is in use, not ours, or not permitted.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    listen_with(address, Inherited::default())
}

/// The same, with more that is inherited.
///
/// # Errors
/// As [`listen`].
pub fn listen_with(address: SocketAddr, inherited: Inherited) -> io::Result<TcpListener> {
    let listener = reserve(address)?;
    inherited.set_on(&listener)?;
    start_listening(&listener, BACKLOG)?;
    Ok(listener)
}

/// Has a socket that [`listen_with`] has opened, in this process or in its parent, listen as if it were new: its options
/// are those of a new one. Connections that wait there go on waiting.
///
/// # Errors
/// What the kernel says.
pub fn renew(listener: &TcpListener, inherited: Inherited) -> io::Result<()> {
    // Most have none, and then it is an error.
    let _ = set_option(listener, libc::SOL_SOCKET, libc::SO_DETACH_FILTER, 0);
    defer_silent(listener, false)?;
    inherited.set_on(listener)?;
    start_listening(listener, BACKLOG)
}

/// Has a socket listen no more, until it is [renewed](renew): connections that wait are reset, and newcomers find another
/// listener on this address, if there is one. It keeps an address whose port was given by number.
///
/// # Errors
/// What the kernel says.
pub fn stop(listener: &TcpListener) -> io::Result<()> {
    // The kernel would have one that was stopped twice shut all connections that it brings later.
    match numbers(listener, libc::SO_ACCEPTCONN)? {
        [0] => Ok(()),
        [_] => sys::stop_listening(listener),
    }
}

/// Binds a socket as [`listen`] does and does not listen: it has the address, and takes no connections from listeners.
///
/// # Errors
/// As [`listen`].
pub fn reserve(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 }, libc::SOCK_STREAM)?;
    set_option(&socket, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
    set_option(&socket, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)?;
    set_option(&socket, libc::IPPROTO_TCP, libc::TCP_NODELAY, 1)?;
    if address.is_ipv6() {
        set_option(&socket, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, c_int::from(!address.ip().is_unspecified()))?;
    }
    bind(&socket, address)?;
    Ok(socket.into())
}

/// Binds a socket to an address.
pub(super) fn bind(socket: &impl AsRawFd, address: SocketAddr) -> io::Result<()> {
    match address {
        SocketAddr::V4(v4) => sys::bind_name(socket, &name_of_v4(v4)),
        SocketAddr::V6(v6) => sys::bind_name(socket, &name_of_v6(v6)),
    }
}

/// An address in the kernel's form.
pub(super) fn name_of_v4(v4: SocketAddrV4) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: family(libc::AF_INET),
        sin_port: v4.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from(*v4.ip()).to_be() },
        sin_zero: [0; 8],
    }
}

/// The same of IPv6.
pub(super) fn name_of_v6(v6: SocketAddrV6) -> libc::sockaddr_in6 {
    libc::sockaddr_in6 {
        sin6_family: family(libc::AF_INET6),
        sin6_port: v6.port().to_be(),
        sin6_flowinfo: v6.flowinfo(),
        sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
        sin6_scope_id: v6.scope_id(),
    }
}

fn family(family: c_int) -> libc::sa_family_t {
    libc::sa_family_t::try_from(family).unwrap_or_default()
}

/// What a program of classic BPF does, a step each: reads a byte, skips steps unless it has a bit, and says how many bytes of
/// the packet are taken (`linux/bpf_common.h`).
const LOAD_BYTE: u16 = 0x30;
const SKIP_UNLESS_SET: u16 = 0x45;
const RETURN: u16 = 0x06;

/// The byte of a TCP header with the flags, and the one that asks for a connection (RFC 9293 section 3.1).
const FLAGS: u32 = 13;
const SYN: u32 = 2;

/// Makes a listener deaf: a client that asks for a connection gets no answer, and asks again a second later. By then this
/// listener is closed, and the kernel finds another one on this address, if there is one. Handshakes that have begun come to
/// their end, and finished ones wait to be accepted as before.
///
/// # Errors
/// What the kernel says, for lack of memory.
pub fn deafen(listener: &TcpListener) -> io::Result<()> {
    let step = |code: u16, jump_else: u8, k: u32| libc::sock_filter { code, jt: 0, jf: jump_else, k };
    let mut steps =
        [step(LOAD_BYTE, 0, FLAGS), step(SKIP_UNLESS_SET, 1, SYN), step(RETURN, 0, 0), step(RETURN, 0, u32::MAX)];
    set_program(listener, libc::SO_ATTACH_FILTER, &mut steps)
}

/// Has the kernel hand over a connection when its first bytes are there (`TCP_DEFER_ACCEPT`), not when its handshake is
/// finished, which is a moment before. One that says nothing is handed over after a second.
///
/// # Errors
/// What the kernel says.
pub fn defer_silent(listener: &TcpListener, is_wanted: bool) -> io::Result<()> {
    set_option(listener, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, c_int::from(is_wanted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::accepted::Accepted;
    use std::net::{Ipv4Addr, TcpStream};

    #[test]
    fn a_silent_peer_is_asked_several_times_before_it_is_given_up() {
        let keepalive = |timeout_ms| keepalive_s(Duration::from_millis(timeout_ms));
        assert_eq!(keepalive(30_000), (15, 1));
        assert_eq!(keepalive(5_500), (2, 1));
        assert_eq!((keepalive(2_000), keepalive(1)), ((1, 1), (1, 1)));
        assert_eq!(keepalive(3_600_000), (1_800, 120));
        assert_eq!(keepalive(365 * 24 * 3_600_000), (32_767, 32_767));
    }

    #[test]
    fn the_kernel_takes_any_timeout() {
        for timeout in [Duration::from_nanos(1), Duration::from_hours(365 * 24)] {
            let inherited = Inherited { peer_timeout: Some(timeout), send_buffer: None };
            assert!(listen_with((Ipv4Addr::LOCALHOST, 0).into(), inherited).is_ok());
        }
    }

    #[test]
    fn an_address_is_shared_with_our_own_kind() {
        let listener = listen((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        assert!(listen(listener.local_addr().unwrap()).is_ok());
    }

    #[test]
    fn a_deaf_listener_hands_out_who_waits_and_leaves_newcomers_to_the_next_one() {
        let deaf = listen((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let address = deaf.local_addr().unwrap();
        let _early = TcpStream::connect(address).unwrap();
        deafen(&deaf).unwrap();
        let late = std::thread::spawn(move || TcpStream::connect(address));
        assert!(matches!(sys::accept(&deaf), Accepted::Stream(..)));
        // It is asked for in vain at first, and again a second later.
        assert!(TcpStream::connect_timeout(&address, std::time::Duration::from_millis(300)).is_err());
        assert!(matches!(sys::accept(&deaf), Accepted::NonePending));
        let next = listen(address).unwrap();
        drop(deaf);
        let _late = late.join().unwrap().unwrap();
        assert!(matches!(sys::accept(&next), Accepted::Stream(..)));
    }

    #[test]
    fn a_listener_that_was_stopped_gives_way_and_comes_back_as_new() {
        for address in [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), (std::net::Ipv6Addr::UNSPECIFIED, 0).into()] {
            let Ok(reserved) = reserve(address) else { continue };
            let address = reserved.local_addr().unwrap();
            let stopped = listen(address).unwrap();
            let other = listen(address).unwrap();
            let address = (Ipv4Addr::LOCALHOST, address.port());
            deafen(&stopped).unwrap();
            defer_silent(&stopped, true).unwrap();
            stop(&stopped).unwrap();
            stop(&stopped).unwrap();
            for _ in 0..20 {
                let _peer = TcpStream::connect(address).unwrap();
                assert!(matches!(sys::accept(&other), Accepted::Stream(..)));
            }
            stop(&other).unwrap();
            assert_eq!(TcpStream::connect(address).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
            renew(&stopped, Inherited { peer_timeout: Some(Duration::from_secs(2)), send_buffer: Some(4096) }).unwrap();
            let _waiting = TcpStream::connect(address).unwrap();
            renew(&stopped, Inherited::default()).unwrap();
            let Accepted::Stream(stream, _) = sys::accept(&stopped) else { panic!("it waits on, and is silent") };
            assert!(stream.nodelay().unwrap());
            let error = io::Read::read(&mut &stream, &mut [0]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "it is no shorter for that");
        }
    }
}
