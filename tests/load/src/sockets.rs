//! Sockets with options that std does not set.
//!
//! Owns the order of their system calls. It sends nothing.

use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::sys::socket::{self, AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, setsockopt, sockopt};

/// Connects, blocking, from an address of this machine on a port that the kernel chooses. The port may be in use towards
/// other addresses (`IP_BIND_ADDRESS_NO_PORT`), so each pair of addresses has all ports to itself.
///
/// # Errors
/// The kernel's: nobody listens at `to`, `from` is no address of this machine, or its ports have run out.
pub(super) fn connect(from: Ipv4Addr, to: SocketAddrV4) -> std::io::Result<TcpStream> {
    let socket = socket::socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&socket, sockopt::IpBindAddressNoPort, &true)?;
    socket::bind(socket.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(from, 0)))?;
    socket::connect(socket.as_raw_fd(), &SockaddrIn::from(to))?;
    Ok(socket.into())
}

/// Has a connection reset, not closed, when it is dropped; should the kernel refuse that, it is closed.
pub(super) fn reset_on_close(stream: &TcpStream) {
    let _ = setsockopt(stream, sockopt::Linger, &nix::libc::linger { l_onoff: 1, l_linger: 0 });
}

/// Opens a listening socket as the daemon's is: shared by processes of one user, without delay, never blocking. Its
/// connections inherit the options.
///
/// # Errors
/// The kernel's: the port is in use or not permitted.
pub(super) fn listen(address: SocketAddrV4) -> std::io::Result<TcpListener> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket::socket(AddressFamily::Inet, SockType::Stream, flags, None)?;
    setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    setsockopt(&socket, sockopt::ReusePort, &true)?;
    setsockopt(&socket, sockopt::TcpNoDelay, &true)?;
    socket::bind(socket.as_raw_fd(), &SockaddrIn::from(address))?;
    // The kernel lowers it to net.core.somaxconn, as it does for the daemon.
    socket::listen(&socket, Backlog::MAXALLOWABLE)?;
    Ok(socket.into())
}

/// Accepts the next waiting connection, which never blocks; `None` if there is none, or it cannot be accepted.
pub(super) fn accept(listener: &TcpListener) -> Option<OwnedFd> {
    socket::accept4(listener, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK).ok()
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read as _};

    use super::*;

    #[test]
    fn a_connection_comes_from_the_address_that_was_chosen_and_is_reset() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let to = SocketAddrV4::new(Ipv4Addr::LOCALHOST, listener.local_addr().unwrap().port());
        let from = Ipv4Addr::new(127, 1, 2, 3);
        let peer = connect(from, to).unwrap();
        let (mut stream, address) = listener.accept().unwrap();
        assert_eq!(address.ip(), from);
        reset_on_close(&peer);
        drop(peer);
        assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    }

    #[test]
    fn a_listener_is_shared_and_never_blocks() {
        let first = listen(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = first.local_addr().unwrap().port();
        assert!(accept(&first).is_none());
        assert!(listen(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)).is_ok());
    }
}
