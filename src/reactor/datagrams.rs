//! Sockets that datagrams go to other nodes by, and come in by.
//!
//! Owns their options. It does not know what they carry.
//!
//! Invariant: processes of one user share a socket's address, and no other user's can.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, ToSocketAddrs as _, UdpSocket};
use std::num::NonZeroU32;

use libc::c_int;

use super::listening::bind;
use super::sys::{numbers, set_option, set_program, socket};

/// What a datagram socket may hold that has not been read, in bytes: a whole table of 100,000 names on its way to a
/// newcomer. By default it would be 92 datagrams.
const DATAGRAM_BUFFER: c_int = 4 * 1024 * 1024;

/// What IPv6 calls `IP_MULTICAST_ALL` (`linux/in6.h`, from Linux 4.20 on).
const IPV6_MULTICAST_ALL: c_int = 29;

/// A multicast group, and the interface that leads there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// The address of the interface follows; the unspecified one leaves it to the routes.
    V4(SocketAddrV4, Ipv4Addr),
    /// The scope id is the [index](index_of) of the interface; 0 leaves it to the routes.
    V6(SocketAddrV6),
}

/// The index of an interface by its name. Another interface of this name, made in its place, has another index.
///
/// # Errors
/// `ENODEV`: there is no such interface.
pub fn index_of(interface: &str) -> io::Result<u32> {
    // What reads the zone of an address (RFC 4007 section 11) knows all interfaces, and asks no name server for it.
    let found = (format!("fe80::1%{interface}"), 0).to_socket_addrs().ok().and_then(|mut found| found.next());
    match found {
        Some(SocketAddr::V6(address)) => Ok(address.scope_id()),
        _ => Err(io::Error::from_raw_os_error(libc::ENODEV)),
    }
}

/// Opens a socket that sends to a multicast group and receives what is sent to it, our own datagrams too.
///
/// Sockets of one user share the group (`SO_REUSEPORT`), and each gets every datagram; with `SO_REUSEADDR` any user could
/// listen in. It receives no other group (`IP_MULTICAST_ALL` off; bound to the group's address). A datagram passes `ttl`
/// routers less one.
///
/// # Errors
/// What the kernel says: the port is in use or not permitted, or there is no such interface.
pub fn multicast(membership: Membership, ttl: u8) -> io::Result<UdpSocket> {
    let socket = match membership {
        Membership::V4(group, _) => {
            let socket = datagram_socket(libc::AF_INET)?;
            set_option(&socket, libc::IPPROTO_IP, libc::IP_MULTICAST_TTL, c_int::from(ttl))?;
            set_option(&socket, libc::IPPROTO_IP, libc::IP_MULTICAST_LOOP, 1)?;
            bind(&socket, group.into())?;
            socket
        }
        Membership::V6(group) => {
            let socket = datagram_socket(libc::AF_INET6)?;
            set_option(&socket, libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_HOPS, c_int::from(ttl))?;
            set_option(&socket, libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_LOOP, 1)?;
            // An older kernel has it on, and brings this group from interfaces that another process has joined it by.
            let _ = set_option(&socket, libc::IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0);
            bind(&socket, group.into())?;
            socket
        }
    };
    join(&socket, membership)?;
    Ok(socket)
}

/// Has a socket send to a group by this interface, and receive what comes there. Both end with the interface, and another one
/// may be made in its place, so callers repeat this. Where nothing has changed it changes nothing.
///
/// # Errors
/// What the kernel says: there is no such interface. `ENOBUFS`: the socket has no room for a membership, for those of
/// interfaces that are gone take some.
pub fn join(socket: &UdpSocket, membership: Membership) -> io::Result<()> {
    let joined = match membership {
        Membership::V4(group, interface) => {
            let address_of_interface = libc::in_addr { s_addr: u32::from(interface).to_be() };
            set_option(socket, libc::IPPROTO_IP, libc::IP_MULTICAST_IF, address_of_interface)?;
            socket.join_multicast_v4(group.ip(), &interface)
        }
        Membership::V6(group) => {
            set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_IF, group.scope_id())?;
            match group.scope_id() {
                0 => join_by_routes(socket, group.ip()),
                index => socket.join_multicast_v6(group.ip(), index),
            }
        }
    };
    match joined {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(()),
        joined => joined,
    }
}

/// Joins by the interface that the routes name now. The kernel refuses that while any membership is left, be its interface
/// gone, so the old one ends first. A second socket is in the group meanwhile, or the host would report to routers that it leaves.
fn join_by_routes(socket: &UdpSocket, group: &Ipv6Addr) -> io::Result<()> {
    let second = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?;
    second.join_multicast_v6(group, 0)?;
    let _ = socket.leave_multicast_v6(group, 0);
    socket.join_multicast_v6(group, 0)
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

/// Has each datagram that comes to the address of a [`unicast`] socket go to one of this number of sockets there, by chance, in
/// the order in which they were bound; by default, all of one sender go to one socket.
///
/// It holds for all sockets of the address, and until it is said anew. If there are fewer, the kernel picks as by default for
/// those that are missing. If there are more, the youngest get none.
///
/// # Errors
/// What the kernel says: it is older than Linux 4.5, or a filter of system calls forbids it.
pub fn spread(socket: &UdpSocket, over: NonZeroU32) -> io::Result<()> {
    set_program(socket, libc::SO_ATTACH_REUSEPORT_CBPF, &mut pick_by_chance(over))
}

/// A program of classic BPF that loads a random number, divides it, and returns the remainder (`linux/bpf_common.h`). The
/// random number is read where no packet has a byte.
fn pick_by_chance(of: NonZeroU32) -> [libc::sock_filter; 3] {
    const LOAD: u16 = 0x20;
    const REMAINDER: u16 = 0x94;
    const RETURN_IT: u16 = 0x16;
    const RANDOM: u32 = 0xffff_f000 + 56;
    [(LOAD, RANDOM), (REMAINDER, of.get()), (RETURN_IT, 0)].map(|(code, k)| libc::sock_filter { code, jt: 0, jf: 0, k })
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
    fn every_socket_of_a_group_gets_every_datagram_once() {
        let group = SocketAddrV4::new(Ipv4Addr::new(239, 255, 13, 99), 31_499);
        let membership = Membership::V4(group, Ipv4Addr::LOCALHOST);
        let sockets = [(); 3].map(|()| multicast(membership, 0).unwrap());
        for _ in 0..100 {
            join(&sockets[0], membership).unwrap();
        }
        sockets[0].send_to(b"hello", group).unwrap();
        for socket in &sockets {
            socket.set_nonblocking(false).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let mut buffer = [0; 16];
            assert_eq!(socket.recv(&mut buffer).unwrap(), 5);
            assert_eq!(overflowed(socket).unwrap(), 0);
            socket.set_nonblocking(true).unwrap();
            assert_eq!(socket.recv(&mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        }
    }

    #[test]
    fn an_interface_that_is_there_has_an_index() {
        // A machine may have no IPv6.
        assert!(index_of("lo").map_or(true, |index| index > 0));
        for unknown in ["no-such-name", "", "lo%lo"] {
            assert_eq!(index_of(unknown).unwrap_err().raw_os_error(), Some(libc::ENODEV), "{unknown}");
        }
    }

    #[test]
    fn the_program_is_what_the_kernel_knows() {
        // BPF_LD | BPF_W | BPF_ABS, SKF_AD_OFF + SKF_AD_RANDOM; BPF_ALU | BPF_MOD | BPF_K; BPF_RET | BPF_A.
        let program = pick_by_chance(NonZeroU32::new(5).unwrap()).map(|step| (step.code, step.jt, step.jf, step.k));
        let random = libc::SKF_AD_OFF + libc::SKF_AD_RANDOM;
        let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
        let remainder = libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K;
        let codes = [load, remainder, libc::BPF_RET | 0x10].map(|code| u16::try_from(code).unwrap());
        assert_eq!(program, [(codes[0], 0, 0, random.cast_unsigned()), (codes[1], 0, 0, 5), (codes[2], 0, 0, 0)]);
        assert_eq!(program.map(|(code, ..)| code), [0x20, 0x94, 0x16]);
        assert_eq!(program[0].3, 0xffff_f038);
    }

    /// How many of 400 datagrams of one sender each socket of an address gets.
    fn received(sockets: &[UdpSocket]) -> Vec<usize> {
        let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        (0..400).for_each(|_| assert_eq!(sender.send_to(b"x", sockets[0].local_addr().unwrap()).unwrap(), 1));
        let count = |socket: &UdpSocket| std::iter::from_fn(|| socket.recv(&mut [0]).ok()).count();
        sockets.iter().map(count).collect()
    }

    #[test]
    fn datagrams_of_one_sender_are_spread_over_the_sockets_of_an_address() {
        let first = unicast((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let address = first.local_addr().unwrap();
        let mut sockets = vec![first];
        sockets.extend((0..3).map(|_| unicast(address).unwrap()));
        assert_eq!(received(&sockets).iter().filter(|&&count| count > 0).count(), 1, "by default");
        let spread_over = |over| spread(&sockets[1], NonZeroU32::new(over).unwrap()).unwrap();
        spread_over(4);
        let counts = received(&sockets);
        // 100 each, and 9 is the deviation.
        assert!(counts.iter().all(|count| (50..150).contains(count)), "{counts:?}");
        spread_over(3);
        let counts = received(&sockets);
        assert!(counts[..3].iter().all(|&count| count > 80) && counts[3] == 0, "{counts:?}");
        spread_over(400);
        assert_eq!(received(&sockets).iter().sum::<usize>(), 400, "none is lost");
    }
}
