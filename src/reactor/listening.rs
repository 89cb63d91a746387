//! Sockets that connections come in by, and what every such connection is given.
//!
//! Owns the options of a listening socket. They are set before it listens, for a connection inherits what was set when its
//! handshake was finished. (That it does not block is not inherited; [`accept`](super::sys::accept) asks for it.)
//!
//! Invariant: no connection comes in by a socket that is not set up whole.

use std::io;
use std::net::{SocketAddr, TcpListener};

use libc::c_int;

use super::sys::{bind, set_option, start_listening, stream_socket};

/// How many finished handshakes may wait to be accepted: a crowd that arrives within one turn. The kernel lowers it to
/// `net.core.somaxconn`.
const BACKLOG: c_int = 65_535;

/// Opens a listening socket whose connections send small writes at once (`TCP_NODELAY`, inherited).
///
/// Processes of one user share the address (`SO_REUSEPORT`): the kernel spreads connections over them.
///
/// An unspecified IPv6 address takes IPv4 too; any other takes its own family only.
///
/// # Errors
/// What the kernel says: the address is in use, not ours, or not permitted.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = reserve(address)?;
    start_listening(&listener, BACKLOG)?;
    Ok(listener)
}

/// Binds a socket as [`listen`] does and does not listen: it has the address and takes no connections from those who do.
///
/// # Errors
/// As [`listen`].
pub fn reserve(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = stream_socket(if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 })?;
    set_option(&socket, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
    set_option(&socket, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)?;
    set_option(&socket, libc::IPPROTO_TCP, libc::TCP_NODELAY, 1)?;
    if address.is_ipv6() {
        set_option(&socket, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, c_int::from(!address.ip().is_unspecified()))?;
    }
    bind(&socket, address)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn an_address_is_shared_with_our_own_kind() {
        let listener = listen((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        assert!(listen(listener.local_addr().unwrap()).is_ok());
    }
}
