//! Sockets between the processes of this host, by names in the abstract namespace (unix(7)).
//!
//! Owns the form of the names. The kernel takes a name down with its socket, and a namespace is of one extent with
//! loopback: the network namespace. Any user can put up any name, so each end looks at the user of the other.
//!
//! Invariant: no call waits.

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};

use super::sys;

/// Puts up a name that others read only.
///
/// # Errors
/// What the kernel says: the name is taken or too long, or a filter of system calls forbids it.
pub fn put_up(name: &str) -> io::Result<UnixDatagram> {
    UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(name)?)
}

/// Puts up a name that others connect to.
///
/// # Errors
/// As [`put_up`].
pub fn listen(name: &str) -> io::Result<UnixListener> {
    let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(name)?)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Connects to a name.
///
/// # Errors
/// `WouldBlock`: too many others wait there. Else what the kernel says: above all that there is no listener of this name.
pub fn connect(name: &str) -> io::Result<UnixStream> {
    let mut address = libc::sockaddr_un { sun_family: FAMILY, sun_path: [0; PATH_BYTES] };
    // The first byte is 0 in all abstract names.
    let Some(path) = address.sun_path.get_mut(1..=name.len()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    for (place, byte) in path.iter_mut().zip(name.bytes()) {
        *place = byte.cast_signed() as libc::c_char;
    }
    let socket = sys::socket(libc::AF_UNIX, libc::SOCK_STREAM)?;
    sys::connect_name(&socket, &address, size_of_val(&FAMILY) + 1 + name.len())?;
    Ok(socket.into())
}

/// The user of the process at the other end, as of the moment when it connected or began to listen.
///
/// # Errors
/// What the kernel says: there is no such record.
pub fn peer_uid(stream: &UnixStream) -> io::Result<u32> {
    // struct ucred (unix(7)).
    let [_pid, uid, _gid] = sys::numbers(stream, libc::SO_PEERCRED)?;
    Ok(uid)
}

/// The user of this process.
///
/// # Errors
/// What the kernel says, for lack of descriptors.
pub fn own_uid() -> io::Result<u32> {
    peer_uid(&UnixStream::pair()?.0)
}

#[expect(clippy::cast_possible_truncation, reason = "the families are small numbers")]
const FAMILY: libc::sa_family_t = libc::AF_UNIX as libc::sa_family_t;

/// The length of the kernel's names.
const PATH_BYTES: usize = 108;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};

    /// A name of this test's own.
    fn name(test: &str) -> String {
        format!("audience-meter-test/{test}/{}", std::process::id())
    }

    #[test]
    fn both_ends_know_the_user_of_the_other() {
        let name = name("users");
        let listener = listen(&name).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let mut stream = connect(&name).unwrap();
        let (mut accepted, _) = listener.accept().unwrap();
        let uid = own_uid().unwrap();
        assert_eq!([&stream, &accepted].map(|end| peer_uid(end).unwrap()), [uid, uid]);
        assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        accepted.write_all(b"x").unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap(), 1);
    }

    #[test]
    fn a_name_is_there_once_and_as_long_as_its_socket() {
        let name = name("once");
        let listener = listen(&name).unwrap();
        assert_eq!(listen(&name).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(listener);
        assert_eq!(connect(&name).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        let _other = put_up(&name).unwrap();
        assert!(connect(&name).is_err(), "a datagram socket takes no connections");
        assert!(connect(&"x".repeat(108)).is_err() && listen(&"x".repeat(108)).is_err());
        let longest = "x".repeat(107);
        let _listener = listen(&longest).unwrap();
        connect(&longest).unwrap();
    }

    #[test]
    fn a_full_line_does_not_make_a_newcomer_wait() {
        let name = name("full");
        let _listener = listen(&name).unwrap();
        let mut waiting = Vec::new();
        let error = loop {
            match connect(&name) {
                Ok(stream) => waiting.push(stream),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn randomness_does_not_repeat() {
        let drawn = [(); 2].map(|()| sys::random::<32>().unwrap());
        assert_ne!(drawn[0], drawn[1]);
    }
}
