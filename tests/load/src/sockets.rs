//! The floor's sockets, without blocking.
//!
//! Owns the options of its listeners and the order of their system calls. It sends nothing.

use std::net::{SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;

use nix::sys::socket::{self, AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, setsockopt, sockopt};

const FLAGS: SockFlag = SockFlag::SOCK_CLOEXEC.union(SockFlag::SOCK_NONBLOCK);

/// Opens a listening socket with the daemon's options: it is shared by processes of one user, and does not delay. Its
/// connections inherit the options.
///
/// # Errors
/// The kernel's: the port is in use or not permitted.
pub(super) fn listen(address: SocketAddrV4) -> std::io::Result<TcpListener> {
    let socket = socket::socket(AddressFamily::Inet, SockType::Stream, FLAGS, None)?;
    setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    setsockopt(&socket, sockopt::ReusePort, &true)?;
    setsockopt(&socket, sockopt::TcpNoDelay, &true)?;
    socket::bind(socket.as_raw_fd(), &SockaddrIn::from(address))?;
    // The kernel lowers it to net.core.somaxconn, as it does for the daemon.
    socket::listen(&socket, Backlog::MAXALLOWABLE)?;
    Ok(socket.into())
}

/// Accepts the next waiting connection; `None` if there is none, or it cannot be accepted.
pub(super) fn accept(listener: &TcpListener) -> Option<TcpStream> {
    socket::accept4(listener, FLAGS).ok().map(TcpStream::from)
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read as _};
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_listener_is_shared_and_nothing_blocks() {
        let first = listen(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = first.local_addr().unwrap();
        assert!(accept(&first).is_none());
        let _peer = TcpStream::connect(address).unwrap();
        let mut stream = accept(&first).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(listen(SocketAddrV4::new(Ipv4Addr::LOCALHOST, address.port())).is_ok());
    }
}
