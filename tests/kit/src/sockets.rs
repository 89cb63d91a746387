//! Connections with options that std does not set.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::fd::AsRawFd as _;

use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrIn, setsockopt, sockopt};

/// Connects, blocking, from an address of this machine on a port that the kernel chooses. The port may be in use towards
/// other addresses (`IP_BIND_ADDRESS_NO_PORT`), so each pair of addresses has all ports to itself.
///
/// # Errors
/// The kernel's: nothing listens at `to`, `from` is no address of this machine, or its ports have run out.
pub fn connect_from(from: Ipv4Addr, to: SocketAddrV4) -> io::Result<TcpStream> {
    let socket = socket::socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&socket, sockopt::IpBindAddressNoPort, &true)?;
    socket::bind(socket.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(from, 0)))?;
    socket::connect(socket.as_raw_fd(), &SockaddrIn::from(to))?;
    Ok(socket.into())
}

/// Has a connection reset, not closed, when it is dropped; should the kernel refuse that, it is closed.
pub fn reset_on_close(stream: &TcpStream) {
    let _ = setsockopt(stream, sockopt::Linger, &nix::libc::linger { l_onoff: 1, l_linger: 0 });
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read as _};
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_connection_comes_from_the_address_that_was_chosen_and_is_reset() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let to = SocketAddrV4::new(Ipv4Addr::LOCALHOST, listener.local_addr().unwrap().port());
        let from = Ipv4Addr::new(127, 1, 2, 3);
        let peer = connect_from(from, to).unwrap();
        let (mut stream, address) = listener.accept().unwrap();
        assert_eq!(address.ip(), from);
        reset_on_close(&peer);
        drop(peer);
        assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
}
