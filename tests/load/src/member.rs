//! One open stream, as a page would hold it.
//!
//! Owns what has been heard on it. It reads what a 2011 client reads: a `data:` line with an integer is a count, any
//! other a message; of all else only the farewell is noted.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use audience_meter::reactor::{Interest, Reactor, Registered, Token, sys};
use audience_meter::wire::sse::FAREWELL_ID;

use super::Result;
use super::order::Sound;

/// How long the daemon's kernel may take to accept: far more than a retransmission, which an overflowing backlog costs.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What a browser sends besides the request line and `Host`.
const BROWSER_FIELDS: &str = "Connection: keep-alive\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n\
    Accept: text/event-stream\r\n\
    Cache-Control: no-cache\r\n\
    Origin: http://www.example.com\r\n\
    Sec-Fetch-Site: cross-site\r\n\
    Sec-Fetch-Mode: cors\r\n\
    Sec-Fetch-Dest: empty\r\n\
    Referer: http://www.example.com/\r\n\
    Accept-Encoding: gzip, deflate\r\n\
    Accept-Language: en-US,en;q=0.9\r\n\r\n";

/// What it means that a stream ends before its first count.
const NO_ROOM: &str = "the daemon has no room for another member; raise the limit of descriptors that it runs under \
    (`ulimit -n`), or take fewer --concurrent-clients";

/// How much has been heard by all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    /// First counts.
    pub(super) firsts: u64,
    /// Counts after the first.
    pub(super) counts: u64,
    /// Messages.
    pub(super) messages: u64,
}

impl Heard {
    /// How many of one kind.
    pub(super) fn of(&self, sound: Sound) -> u64 {
        match sound {
            Sound::Count => self.counts,
            Sound::Message => self.messages,
        }
    }
}

/// An open stream.
pub(super) struct Member {
    socket: Registered<TcpStream>,
    pub(super) event: usize,
    pub(super) page: Page,
}

/// How a stream has ended.
pub(super) enum Ended {
    /// The daemon has said its last word.
    Closed,
    /// It broke.
    Broken(std::io::Error),
}

/// What has come of a stream.
#[derive(Default)]
pub(super) struct Page {
    /// The count told last.
    pub(super) told: Option<u64>,
    /// How many messages it was told.
    pub(super) messages: u64,
    /// Whether it was told that it is not to come back: its uuid was claimed anew.
    pub(super) is_dismissed: bool,
    is_past_head: bool,
    /// The beginning of a head or block whose end has not come yet.
    begun: Vec<u8>,
}

impl Member {
    /// Connects, from `source` if that is given, and asks for the stream of an event.
    pub(super) fn join(
        reactor: &Reactor,
        token: Token,
        source: Option<Ipv4Addr>,
        audience: SocketAddr,
        event: usize,
        namespace: &str,
    ) -> Result<Self> {
        let connected = match (source, audience) {
            (Some(source), SocketAddr::V4(audience)) => sys::connect(source, audience),
            _ => TcpStream::connect_timeout(&audience, CONNECT_TIMEOUT),
        };
        let stream = connected.map_err(|error| {
            let remedy = match error.kind() {
                ErrorKind::AddrNotAvailable => {
                    "ports have run out: wait a minute, or widen net.ipv4.ip_local_port_range"
                }
                _ => "is the daemon running, and there?",
            };
            format!("cannot connect to {audience}: {error}; {remedy}")
        })?;
        Self::ask(reactor, token, stream, audience, event, namespace)
    }

    /// Asks for the stream of an event on a connection.
    pub(super) fn ask(
        reactor: &Reactor,
        token: Token,
        mut stream: TcpStream,
        audience: SocketAddr,
        event: usize,
        namespace: &str,
    ) -> Result<Self> {
        stream.write_all(format!("GET /{namespace} HTTP/1.1\r\nHost: {audience}\r\n{BROWSER_FIELDS}").as_bytes())?;
        stream.set_nonblocking(true)?;
        let socket = Registered::new(reactor, stream, token, Interest::Read)?;
        Ok(Self { socket, event, page: Page::default() })
    }

    /// Reads once, from a stream that is not to end.
    pub(super) fn hear(&mut self, scratch: &mut [u8], heard: &mut Heard) -> Result<()> {
        match self.read(scratch, heard)? {
            None => Ok(()),
            Some(Ended::Closed) if self.page.told.is_none() => Err(NO_ROOM.into()),
            Some(Ended::Closed) => Err("the daemon has closed a stream; is its --max-conn-duration too short?".into()),
            Some(Ended::Broken(error)) => Err(format!("a stream has broken: {error}").into()),
        }
    }

    /// Reads once; says how the stream has ended, if it has.
    pub(super) fn read(&mut self, scratch: &mut [u8], heard: &mut Heard) -> Result<Option<Ended>> {
        match self.socket.source().read(scratch) {
            Ok(0) => Ok(Some(Ended::Closed)),
            Ok(count) => self.page.feed(scratch.get(..count).unwrap_or_default(), heard).map(|()| None),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(None),
            Err(error) => Ok(Some(Ended::Broken(error))),
        }
    }

    /// The connection.
    pub(super) fn stream(&self) -> &TcpStream {
        self.socket.source()
    }
}

impl Page {
    /// Takes bytes that have arrived.
    fn feed(&mut self, bytes: &[u8], heard: &mut Heard) -> Result<()> {
        if self.begun.is_empty() {
            let rest = self.take(bytes, heard)?;
            self.begun = bytes.get(rest..).unwrap_or_default().to_vec();
        } else {
            let mut begun = std::mem::take(&mut self.begun);
            begun.extend_from_slice(bytes);
            let rest = self.take(&begun, heard)?;
            self.begun = begun.split_off(rest);
        }
        Ok(())
    }

    /// Takes whole blocks; returns where the first one that is not whole begins.
    fn take(&mut self, bytes: &[u8], heard: &mut Heard) -> Result<usize> {
        let mut at = 0;
        if !self.is_past_head {
            let Some(end) = find(bytes, b"\r\n\r\n") else { return Ok(0) };
            if !bytes.starts_with(b"HTTP/1.1 200 ") {
                let line = String::from_utf8_lossy(bytes).lines().next().unwrap_or_default().to_owned();
                return Err(
                    format!("a join is answered {line:?}; is this the audience port of an audience-meter?").into()
                );
            }
            self.is_past_head = true;
            at = end;
        }
        while let Some(rest) = bytes.get(at..)
            && let Some(length) = find(rest, b"\n\n")
        {
            for line in rest.get(..length).unwrap_or_default().split(|&byte| byte == b'\n') {
                if let Some(data) = line.strip_prefix(b"data: ") {
                    self.take_data(data, heard);
                }
                self.is_dismissed |= line.strip_prefix(b"id: ") == Some(FAREWELL_ID.as_bytes());
            }
            at += length;
        }
        Ok(at)
    }

    fn take_data(&mut self, data: &[u8], heard: &mut Heard) {
        let count = str::from_utf8(data).ok().and_then(|text| text.parse().ok());
        match (count, self.told) {
            (Some(_), None) => heard.firsts += 1,
            (Some(_), Some(_)) => heard.counts += 1,
            (None, _) => {
                heard.messages += 1;
                self.messages += 1;
            }
        }
        self.told = count.or(self.told);
    }
}

/// Where the first `end` in `bytes` ends.
fn find(bytes: &[u8], end: &[u8]) -> Option<usize> {
    let start = bytes.windows(end.len()).position(|window| window == end)?;
    Some(start + end.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_bytes_in_any_pieces_are_heard_alike() {
        let bytes = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nretry: 2000\n\ndata: 7\n\n: hi\n\n\
            data: 8\n\ndata: chat=9\n\nid: x\ndata: 10\n\ndata: 1";
        for size in 1..=bytes.len() {
            let (mut page, mut heard) = (Page::default(), Heard::default());
            for piece in bytes.chunks(size) {
                page.feed(piece, &mut heard).unwrap();
            }
            assert_eq!(heard, Heard { firsts: 1, counts: 2, messages: 1 }, "in pieces of {size}");
            assert_eq!((page.told, page.messages, &page.begun[..]), (Some(10), 1, &b"data: 1"[..]));
            assert!(!page.is_dismissed);
            page.feed(b"\n\nid: farewell\nretry: -1\n\n", &mut heard).unwrap();
            assert!(page.is_dismissed);
        }
    }

    #[test]
    fn an_answer_that_is_no_stream_is_an_error() {
        let (mut page, mut heard) = (Page::default(), Heard::default());
        let error = page.feed(b"HTTP/1.1 404 Not Found\r\n\r\n", &mut heard).unwrap_err();
        assert!(error.to_string().contains("\"HTTP/1.1 404 Not Found\""), "{error}");
    }
}
