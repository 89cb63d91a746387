//! Sockets that datagrams go to other nodes by, and come in by.
//!
//! Owns their options. It does not know what they carry.
//!
//! Invariant: processes of one user share a socket's address, and no other user's can.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};

use libc::c_int;

use super::sys::{bind, numbers, set_option, socket};

/// What a datagram socket may hold that has not been read, in bytes: a whole table of 100,000 names on its way to a
/// newcomer. By default it would be 92 datagrams.
const DATAGRAM_BUFFER: c_int = 4 * 1024 * 1024;

/// Opens a socket that sends to a multicast group and receives what is sent to it, our own datagrams too.
///
/// Sockets of one user share the group (`SO_REUSEPORT`), and each gets every datagram; with `SO_REUSEADDR` any user could
/// listen in. It receives no other group (`IP_MULTICAST_ALL` off; bound to the group's address).
///
/// # Errors
/// What the kernel says: the port is in use or not permitted, or there is no such interface.
pub fn multicast(group: SocketAddrV4, interface: Ipv4Addr, ttl: u8) -> io::Result<UdpSocket> {
    let socket = datagram_socket(libc::AF_INET)?;
    set_option(&socket, libc::IPPROTO_IP, libc::IP_MULTICAST_TTL, c_int::from(ttl))?;
    set_option(&socket, libc::IPPROTO_IP, libc::IP_MULTICAST_LOOP, 1)?;
    let address_of_interface = libc::in_addr { s_addr: u32::from(interface).to_be() };
    set_option(&socket, libc::IPPROTO_IP, libc::IP_MULTICAST_IF, address_of_interface)?;
    bind(&socket, group.into())?;
    socket.join_multicast_v4(group.ip(), &interface)?;
    Ok(socket)
}

/// Opens a socket for datagrams to and from single hosts, shared by processes of one user: each datagram goes to one.
///
/// # Errors
/// What the kernel says: the port is in use or not permitted.
pub fn unicast(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = datagram_socket(if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 })?;
    if address.is_ipv6() {
        set_option(&socket, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 0)?;
    }
    bind(&socket, address)?;
    Ok(socket)
}

/// How many datagrams did not fit into the buffer of a socket since it was opened.
///
/// # Errors
/// What the kernel says.
pub fn overflowed(socket: &UdpSocket) -> io::Result<u32> {
    // SO_MEMINFO (linux/sock_diag.h): nine numbers, of which the last is SK_MEMINFO_DROPS.
    let [.., drops] = numbers::<9>(socket, libc::SO_MEMINFO)?;
    Ok(drops)
}

fn datagram_socket(family: c_int) -> io::Result<UdpSocket> {
    let socket = socket(family, libc::SOCK_DGRAM)?;
    set_option(&socket, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)?;
    // Or a socket on all addresses would receive every group that any process has joined on its port.
    set_option(&socket, libc::IPPROTO_IP, libc::IP_MULTICAST_ALL, 0)?;
    // Root may exceed net.core.rmem_max; others get what it allows.
    if set_option(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, DATAGRAM_BUFFER).is_err() {
        set_option(&socket, libc::SOL_SOCKET, libc::SO_RCVBUF, DATAGRAM_BUFFER)?;
    }
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn every_socket_of_a_group_gets_every_datagram() {
        let group = SocketAddrV4::new(Ipv4Addr::new(239, 255, 13, 99), 31_499);
        let sockets = [(); 3].map(|()| multicast(group, Ipv4Addr::LOCALHOST, 0).unwrap());
        sockets[0].send_to(b"hello", group).unwrap();
        for socket in &sockets {
            socket.set_nonblocking(false).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let mut buffer = [0; 16];
            assert_eq!(socket.recv(&mut buffer).unwrap(), 5);
            assert_eq!(overflowed(socket).unwrap(), 0);
        }
    }
}
