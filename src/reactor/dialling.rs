//! Connections to other hosts, which are opened without waiting.
//!
//! Owns their options. Whether a connection came about is known once its socket takes bytes.
//!
//! Invariant: no call waits.

use std::io;
use std::net::{SocketAddr, TcpStream};

use libc::c_int;

use super::listening::{name_of_v4, name_of_v6};
use super::sys::{connect_name, set_option, socket};

/// How many bytes the kernel holds that were written and have not been taken at the other end. By default it would be up to
/// 4 MiB, of what is old by then.
const SEND_BUFFER: c_int = 256 * 1024;

/// Begins to open a connection, whose small writes leave at once.
///
/// # Errors
/// What the kernel says at once: no route leads there, or descriptors are out.
pub fn dial(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = socket(if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 }, libc::SOCK_STREAM)?;
    set_option(&socket, libc::IPPROTO_TCP, libc::TCP_NODELAY, 1)?;
    set_option(&socket, libc::SOL_SOCKET, libc::SO_SNDBUF, SEND_BUFFER)?;
    let begun = match address {
        SocketAddr::V4(v4) => connect_name(&socket, &name_of_v4(v4), size_of::<libc::sockaddr_in>()),
        SocketAddr::V6(v6) => connect_name(&socket, &name_of_v6(v6), size_of::<libc::sockaddr_in6>()),
    };
    match begun {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        _ => Ok(socket.into()),
    }
}

/// Whether a connection that was begun has come about; else it is on its way.
///
/// # Errors
/// Why it has not. A port that was free may have connected to itself, and is refused.
pub fn is_open(stream: &TcpStream) -> io::Result<bool> {
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    match stream.peer_addr() {
        Ok(peer) if stream.local_addr()? == peer => Err(io::ErrorKind::ConnectionRefused.into()),
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};

    fn await_open(stream: &TcpStream) -> io::Result<()> {
        while !is_open(stream)? {
            std::thread::yield_now();
        }
        Ok(())
    }

    #[test]
    fn a_connection_comes_about_or_says_why_not() {
        for ip in [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()] {
            let Ok(listener) = TcpListener::bind(SocketAddr::new(ip, 0)) else { continue };
            let address = listener.local_addr().unwrap();
            let stream = dial(address).unwrap();
            await_open(&stream).unwrap();
            let (end, from) = listener.accept().unwrap();
            assert_eq!(from, stream.local_addr().unwrap());
            let error = io::Read::read(&mut &stream, &mut [0]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
            drop((listener, end, stream));
            let refused = dial(address).and_then(|stream| await_open(&stream));
            assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        }
    }
}
