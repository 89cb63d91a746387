//! The floor: as little as a server on epoll can spend on a stream.
//!
//! Owns a server that accepts, reads, answers a fixed head and first count, and sends a fixed message to every open socket
//! when its notification port is spoken to. It checks nothing, keeps nothing but the sockets and bounds nothing: it is
//! what the daemon is measured against, not what anybody should run.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;

use audience_meter::reactor::Epoll;
use audience_meter::reactor::sys::{self, Accepted};

use super::options::FloorOptions;
use super::{Result, say};

const AUDIENCE: u64 = u64::MAX;
const NOTIFICATION: u64 = u64::MAX - 1;

/// As many as the daemon takes.
const EVENTS_PER_WAIT: usize = 256;

/// What the daemon answers, to the byte in length.
const STREAM: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n\
    Access-Control-Allow-Origin: *\r\nConnection: close\r\nX-Accel-Buffering: no\r\n\r\nretry: 5000\n\ndata: 10000\n\n";

const MESSAGE: &[u8] = b"data: bench=0\n\n";

const REPLY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// Serves until it is killed.
pub(super) fn serve(options: &FloorOptions) -> Result<()> {
    let mut epoll = Epoll::new(EVENTS_PER_WAIT)?;
    let audience = sys::listen((Ipv4Addr::LOCALHOST, options.port).into())?;
    let notification = sys::listen((Ipv4Addr::LOCALHOST, options.notification_port).into())?;
    sys::raise_descriptor_limit()?;
    epoll.add(&audience, AUDIENCE)?;
    epoll.add(&notification, NOTIFICATION)?;
    say(format_args!("event=listening port=audience address={}\nevent=ready\n", audience.local_addr()?));
    // A descriptor is a small number, so it is the place too.
    let mut streams: Vec<Option<TcpStream>> = Vec::new();
    let mut scratch = vec![0; 16 * 1024];
    let mut ready = Vec::new();
    loop {
        ready.clear();
        ready.extend(epoll.wait()?);
        for &token in &ready {
            match token {
                AUDIENCE => accept_all(&audience, &epoll, &mut streams, &mut scratch)?,
                NOTIFICATION => tell_all(&notification, &streams, &mut scratch),
                token => {
                    let place = &mut streams[usize::try_from(token)?];
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
    while let Accepted::Stream(stream) = sys::accept(audience) {
        let place = usize::try_from(stream.as_raw_fd())?;
        epoll.add(&stream, place as u64)?;
        if place >= streams.len() {
            streams.resize_with(place + 1, || None);
        }
        if answer(&stream, scratch) {
            streams[place] = Some(stream);
        }
    }
    Ok(())
}

/// Answers what was read, if there is anything; whether the stream stays.
fn answer(mut stream: &TcpStream, scratch: &mut [u8]) -> bool {
    match stream.read(scratch) {
        Ok(0) => false,
        Ok(_) => stream.write(STREAM).is_ok(),
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    }
}

fn tell_all(notification: &TcpListener, streams: &[Option<TcpStream>], scratch: &mut [u8]) {
    while let Accepted::Stream(mut request) = sys::accept(notification) {
        if request.set_nonblocking(false).is_err() || request.read(scratch).is_err() {
            continue;
        }
        for mut stream in streams.iter().flatten() {
            // Whoever has gone will be read.
            let _ = stream.write(MESSAGE);
        }
        let _ = request.write(REPLY);
    }
}
