//! The floor: as little as a server on epoll can spend on a stream.
//!
//! Owns a server that accepts, reads, answers a fixed head and first count, and sends a fixed message to every open socket
//! for each request to its notification port. It checks nothing, keeps nothing but the sockets and bounds nothing. The
//! daemon is measured against it; nobody should run it.
//!
//! Invariant: a join is `accept4`, `epoll_ctl`, `read` and `write`; a leave is `read` and `close`; a delivery is `write`.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::options::{FloorOptions, raise_descriptor_limit};
use super::sockets::{accept, listen};
use super::{Result, say};

const AUDIENCE: u64 = u64::MAX;
const NOTIFICATION: u64 = u64::MAX - 1;

/// Events that one wait takes: with so many, the waits cost next to nothing.
const EVENTS_PER_WAIT: usize = 256;

/// The daemon's answer to a join, to the byte in length.
const STREAM: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store, \
    no-transform\r\nAccess-Control-Allow-Origin: *\r\nConnection: close\r\nX-Accel-Buffering: no\r\n\
    Transfer-Encoding: chunked\r\n\r\n19\r\nretry: 5000\ndata: 10000\n\n\r\n";

const MESSAGE: &[u8] = b"f\r\ndata: bench=0\n\n\r\n";

const REPLY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// Serves until it is killed.
pub(super) fn serve(options: &FloorOptions) -> Result<()> {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    let audience = listen(SocketAddrV4::new(Ipv4Addr::LOCALHOST, options.port))?;
    let notification = listen(SocketAddrV4::new(Ipv4Addr::LOCALHOST, options.notification_port))?;
    raise_descriptor_limit()?;
    epoll.add(&audience, EpollEvent::new(EpollFlags::EPOLLIN, AUDIENCE))?;
    epoll.add(&notification, EpollEvent::new(EpollFlags::EPOLLIN, NOTIFICATION))?;
    say(format_args!("event=listening port=audience address={}\nevent=ready\n", audience.local_addr()?));
    // A descriptor is a small number, so it is the place too.
    let mut streams: Vec<Option<TcpStream>> = Vec::new();
    let mut scratch = vec![0; 16 * 1024];
    let mut events = [EpollEvent::empty(); EVENTS_PER_WAIT];
    loop {
        let count = epoll.wait(&mut events, EpollTimeout::NONE)?;
        for event in &events[..count] {
            match event.data() {
                AUDIENCE => accept_all(&audience, &epoll, &mut streams, &mut scratch)?,
                NOTIFICATION => send_all(&notification, &streams, &mut scratch),
                place => {
                    let place = &mut streams[usize::try_from(place)?];
                    if place.as_ref().is_some_and(|stream| !answer(stream, &mut scratch)) {
                        *place = None;
                    }
                }
            }
        }
    }
}

fn accept_all(
    audience: &TcpListener,
    epoll: &Epoll,
    streams: &mut Vec<Option<TcpStream>>,
    scratch: &mut [u8],
) -> Result<()> {
    while let Some(stream) = accept(audience) {
        let place = usize::try_from(stream.as_raw_fd())?;
        epoll.add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, place as u64))?;
        if place >= streams.len() {
            streams.resize_with(place + 1, || None);
        }
        if answer(&stream, scratch) {
            streams[place] = Some(stream);
        }
    }
    Ok(())
}

/// Answers whatever was read, if there is something. Returns whether the stream stays.
fn answer(mut stream: &TcpStream, scratch: &mut [u8]) -> bool {
    match stream.read(scratch) {
        Ok(0) => false,
        Ok(_) => stream.write(STREAM).is_ok(),
        Err(error) => error.kind() == ErrorKind::WouldBlock,
    }
}

/// Answers each request to the notification port after a message to all streams.
fn send_all(notification: &TcpListener, streams: &[Option<TcpStream>], scratch: &mut [u8]) {
    while let Some(mut request) = accept(notification) {
        if request.set_nonblocking(false).is_err() || request.read(scratch).is_err() {
            continue;
        }
        for mut stream in streams.iter().flatten() {
            // A member that has gone is found by the next read.
            let _ = stream.write(MESSAGE);
        }
        let _ = request.write(REPLY);
    }
}
