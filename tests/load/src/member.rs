//! One open stream, as a page would hold it.
//!
//! Owns what has been received on it. It reads what a 2011 client reads: a `data:` line with an integer is a count, any
//! other a message. Beside those it knows the farewell alone.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use audience_kit::connect_from;

use super::Result;
use super::poll::Poll;
use super::protocol::Received;

/// How long a connection may take: far more than a retransmission, which an overflowing backlog costs.
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

/// The ids of the events by which the daemon dismisses a member.
const LAST_IDS: [&[u8]; 2] = [b"farewell", b"left"];

/// The remedy where a stream ends before its first count.
const NO_ROOM: &str = "the daemon has no room for another member; raise the limit of descriptors that it runs under \
    (`ulimit -n`), or take fewer --concurrent-clients";

/// An open stream.
pub(super) struct Member {
    stream: TcpStream,
    pub(super) event: usize,
    pub(super) page: Page,
}

/// How a stream has ended.
pub(super) enum Ended {
    /// The daemon has closed it.
    Closed,
    /// It broke.
    Broken(std::io::Error),
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Closed => f.write_str("ended"),
            Self::Broken(error) => write!(f, "broken ({error})"),
        }
    }
}

/// What a page knows by its stream.
#[derive(Default)]
pub(super) struct Page {
    pub(super) last_count: Option<u64>,
    pub(super) message_count: u64,
    /// The daemon has told it not to come back: another member has claimed its uuid.
    pub(super) is_dismissed: bool,
    is_past_head: bool,
    /// The beginning of a head or block whose end has not come yet.
    begun: Vec<u8>,
}

impl Member {
    /// Connects, from `source` if that is given, and asks for the stream of an event.
    pub(super) fn join(
        poll: &Poll,
        token: usize,
        source: Option<Ipv4Addr>,
        audience: SocketAddr,
        event: usize,
        namespace: &str,
    ) -> Result<Self> {
        let connected = match (source, audience) {
            (Some(source), SocketAddr::V4(audience)) => connect_from(source, audience),
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
        Self::ask(poll, token, stream, audience, event, namespace)
    }

    /// Asks for the stream of an event on a connection.
    pub(super) fn ask(
        poll: &Poll,
        token: usize,
        mut stream: TcpStream,
        audience: SocketAddr,
        event: usize,
        namespace: &str,
    ) -> Result<Self> {
        stream.write_all(format!("GET /{namespace} HTTP/1.1\r\nHost: {audience}\r\n{BROWSER_FIELDS}").as_bytes())?;
        stream.set_nonblocking(true)?;
        poll.add(&stream, token)?;
        Ok(Self { stream, event, page: Page::default() })
    }

    /// Reads once, from a stream that must not end.
    pub(super) fn receive(&mut self, scratch: &mut [u8], received: &mut Received) -> Result<()> {
        match self.read(scratch, received)? {
            None => Ok(()),
            Some(Ended::Closed) if self.page.last_count.is_none() => Err(NO_ROOM.into()),
            Some(Ended::Closed) => Err("the daemon has closed a stream; is its --max-conn-duration too short?".into()),
            Some(Ended::Broken(error)) => Err(format!("a stream has broken: {error}").into()),
        }
    }

    /// Reads once; says how the stream has ended, if it has.
    pub(super) fn read(&mut self, scratch: &mut [u8], received: &mut Received) -> Result<Option<Ended>> {
        match self.stream.read(scratch) {
            Ok(0) => Ok(Some(Ended::Closed)),
            Ok(count) => self.page.feed(&scratch[..count], received).map(|()| None),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(None),
            Err(error) => Ok(Some(Ended::Broken(error))),
        }
    }

    /// The connection.
    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }
}

impl Page {
    /// Takes bytes that have arrived.
    fn feed(&mut self, bytes: &[u8], received: &mut Received) -> Result<()> {
        if self.begun.is_empty() {
            let rest = self.take(bytes, received)?;
            self.begun = bytes[rest..].to_vec();
        } else {
            let mut begun = std::mem::take(&mut self.begun);
            begun.extend_from_slice(bytes);
            let rest = self.take(&begun, received)?;
            self.begun = begun.split_off(rest);
        }
        Ok(())
    }

    /// Takes whole blocks; returns where the first one that is not whole begins.
    fn take(&mut self, bytes: &[u8], received: &mut Received) -> Result<usize> {
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
        while let Some(length) = find(&bytes[at..], b"\n\n") {
            for line in bytes[at..at + length].split(|&byte| byte == b'\n') {
                if let Some(data) = line.strip_prefix(b"data: ") {
                    self.take_data(data, received);
                }
                self.is_dismissed |= line.strip_prefix(b"id: ").is_some_and(|id| LAST_IDS.contains(&id));
            }
            at += length;
        }
        Ok(at)
    }

    fn take_data(&mut self, data: &[u8], received: &mut Received) {
        let count = str::from_utf8(data).ok().and_then(|text| text.parse().ok());
        match (count, self.last_count) {
            (Some(_), None) => received.firsts += 1,
            (Some(_), Some(_)) => received.counts += 1,
            (None, _) => {
                received.messages += 1;
                self.message_count += 1;
            }
        }
        self.last_count = count.or(self.last_count);
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
    fn the_same_bytes_in_any_pieces_are_received_alike() {
        let bytes = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nretry: 2000\n\ndata: 7\n\n: hi\n\n\
            data: 8\n\ndata: chat=9\n\nid: x\ndata: 10\n\ndata: 1";
        for size in 1..=bytes.len() {
            let (mut page, mut received) = (Page::default(), Received::default());
            for piece in bytes.chunks(size) {
                page.feed(piece, &mut received).unwrap();
            }
            assert_eq!(received, Received { firsts: 1, counts: 2, messages: 1 }, "in pieces of {size}");
            assert_eq!((page.last_count, page.message_count, &page.begun[..]), (Some(10), 1, &b"data: 1"[..]));
            assert!(!page.is_dismissed);
            page.feed(b"\n\nid: farewell\nretry: -1\nevent: farewell\ndata\n\n", &mut received).unwrap();
            assert!(page.is_dismissed);
        }
    }

    #[test]
    fn an_answer_that_is_no_stream_is_an_error() {
        let (mut page, mut received) = (Page::default(), Received::default());
        let error = page.feed(b"HTTP/1.1 404 Not Found\r\n\r\n", &mut received).unwrap_err();
        assert!(error.to_string().contains("\"HTTP/1.1 404 Not Found\""), "{error}");
    }
}
