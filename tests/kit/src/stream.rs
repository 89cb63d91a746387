//! One member: an open event stream, its head, and the blocks that arrive in it.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::exchange::read_some;
use crate::{Daemon, Deadline, SOON, connect, contains, join_request, lossy};

/// One block of an event stream, as old clients tell them apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// `retry: <ms>`
    Retry(u64),
    /// `data: <integer>`
    Count(u64),
    /// `data: <anything else>`
    Message(String),
    /// What tells a superseded member to stay away.
    Farewell,
    /// What tells the same to a member whose page has said that it leaves.
    Left,
    /// A line that starts with a colon.
    Comment,
    /// The end of the body.
    Closed,
    /// The end of the connection, without the last chunk.
    Cut,
}

/// A part of the body of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// Lines, without the empty one that ends them.
    Lines(String),
    /// The end of the body.
    End,
    /// The end of the connection, without the last chunk.
    Cut,
}

/// An open stream whose head has been read.
pub struct Stream {
    /// The connection, of which the head and some of the body have been read.
    pub socket: TcpStream,
    /// The head of the reply, without the empty line that ends it.
    pub head: String,
    /// What has come of the body, and of a body in chunks the part that was in them.
    pending: Vec<u8>,
    /// What is after the first line of a block, if it is an event of its own.
    second: Option<Event>,
    chunks: Option<Chunks>,
    closed: bool,
}

/// Takes a body in chunks apart (RFC 9112 section 7.1), and fails where one does not end with a block.
#[derive(Default)]
struct Chunks {
    coded: Vec<u8>,
    has_last: bool,
}

impl Chunks {
    /// Moves all whole chunks to `body`.
    #[track_caller]
    fn decode(&mut self, body: &mut Vec<u8>) {
        while let Some(end) = self.coded.windows(2).position(|two| two == b"\r\n") {
            assert!(!self.has_last, "more after the last chunk: {:?}", lossy(&self.coded));
            let size = usize::from_str_radix(&lossy(&self.coded[..end]), 16);
            let size = size.unwrap_or_else(|_| panic!("no size of a chunk: {:?}", lossy(&self.coded)));
            let (start, end) = (end + 2, end + 2 + size);
            let Some(after) = self.coded.get(end..end + 2) else { return };
            assert_eq!(after, b"\r\n", "a chunk of another size: {:?}", lossy(&self.coded));
            let chunk = &self.coded[start..end];
            assert!(size == 0 || chunk.ends_with(b"\n\n"), "a chunk is no whole block: {:?}", lossy(chunk));
            self.has_last = size == 0;
            body.extend_from_slice(chunk);
            self.coded.drain(..end + 2);
        }
    }
}

impl Stream {
    /// Joins `target` as a page does.
    #[track_caller]
    pub fn join(address: SocketAddr, target: &str) -> Self {
        Self::open(address, join_request(target, ""))
    }

    /// Sends a request that should open a stream, and reads the head.
    #[track_caller]
    pub fn open(address: SocketAddr, request: impl AsRef<[u8]>) -> Self {
        let mut socket = connect(address);
        socket.write_all(request.as_ref()).unwrap();
        Self::over(socket)
    }

    /// Reads the head of a stream that was asked for on `socket`.
    #[track_caller]
    pub fn over(socket: TcpStream) -> Self {
        let mut stream = Stream::of_body(socket);
        let deadline = Deadline::after(SOON);
        while !contains(&stream.pending, b"\r\n\r\n") {
            let more = stream.fill(deadline);
            assert!(more && !stream.closed, "no head of a stream: {:?}", lossy(&stream.pending));
        }
        let end = stream.pending.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        stream.head = lossy(&stream.pending[..end]);
        stream.pending.drain(..end + 4);
        if stream.head.contains("\r\nTransfer-Encoding: chunked") {
            let mut chunks = Chunks { coded: std::mem::take(&mut stream.pending), has_last: false };
            chunks.decode(&mut stream.pending);
            stream.chunks = Some(chunks);
        }
        assert!(stream.head.starts_with("HTTP/1.1 200 OK\r\n"), "{:?}", stream.head);
        assert!(stream.head.contains("\r\nContent-Type: text/event-stream\r\n"), "{}", stream.head);
        stream
    }

    /// A stream of which `socket` brings the body alone: somebody else has read the head.
    pub fn of_body(socket: TcpStream) -> Self {
        Stream { socket, head: String::new(), pending: Vec::new(), second: None, chunks: None, closed: false }
    }

    /// Takes in what comes until `deadline`; false if nothing did.
    #[track_caller]
    fn fill(&mut self, deadline: Deadline) -> bool {
        let Some(bytes) = read_some(&mut self.socket, deadline) else {
            return false;
        };
        self.closed |= bytes.is_empty();
        match &mut self.chunks {
            None => self.pending.extend(bytes),
            Some(chunks) => {
                chunks.coded.extend(bytes);
                chunks.decode(&mut self.pending);
            }
        }
        true
    }

    /// The next `count` bytes of the body.
    #[track_caller]
    pub fn take(&mut self, count: usize) -> Vec<u8> {
        let deadline = Deadline::after(SOON);
        while self.pending.len() < count {
            let more = self.fill(deadline);
            assert!(more && !self.closed, "{} of {count} bytes", self.pending.len());
        }
        self.pending.drain(..count).collect()
    }

    /// The next block, or nothing if none came `within` that time.
    #[track_caller]
    pub fn next(&mut self, within: Duration) -> Option<Event> {
        if let Some(second) = self.second.take() {
            return Some(second);
        }
        Some(match self.next_block(within)? {
            Block::Lines(block) => {
                let (first, second) = read_block(&block);
                self.second = second;
                first
            }
            Block::End => Event::Closed,
            Block::Cut => Event::Cut,
        })
    }

    /// The next block as it is, or nothing if none came `within` that time.
    #[track_caller]
    pub fn next_block(&mut self, within: Duration) -> Option<Block> {
        let deadline = Deadline::after(within);
        loop {
            if let Some(end) = self.pending.windows(2).position(|two| two == b"\n\n") {
                let block = self.pending.drain(..end + 2).take(end).collect::<Vec<_>>();
                return Some(Block::Lines(lossy(&block)));
            }
            if self.chunks.as_ref().is_some_and(|chunks| chunks.has_last) {
                return Some(Block::End);
            }
            if self.closed && self.chunks.is_some() {
                return Some(Block::Cut);
            }
            if self.closed {
                assert!(self.pending.is_empty(), "half a block: {:?}", lossy(&self.pending));
                return Some(Block::End);
            }
            if !self.fill(deadline) {
                return None;
            }
        }
    }

    /// The next block that is neither `retry:` nor a comment.
    #[track_caller]
    pub fn next_event(&mut self, within: Duration) -> Option<Event> {
        let deadline = Deadline::after(within);
        loop {
            let event = self.next(deadline.left().unwrap_or_default())?;
            if !matches!(event, Event::Retry(_) | Event::Comment) {
                return Some(event);
            }
        }
    }

    /// The next event, which must be a count and come `within` that time.
    #[track_caller]
    pub fn next_count(&mut self, within: Duration) -> u64 {
        match self.next_event(within) {
            Some(Event::Count(count)) => count,
            other => panic!("wanted a count within {within:?}, got {other:?}"),
        }
    }

    /// Fails unless the next event is this count.
    #[track_caller]
    pub fn expect_count(&mut self, count: u64) {
        self.expect(&Event::Count(count));
    }

    /// Fails unless the next event is this one.
    #[track_caller]
    pub fn expect(&mut self, event: &Event) {
        let next = self.next_event(SOON);
        assert_eq!(next.as_ref(), Some(event), "within {SOON:?}");
    }

    /// Reads counts until this one comes.
    #[track_caller]
    pub fn wait_count(&mut self, count: u64) {
        let deadline = Deadline::after(SOON);
        while self.next_count(deadline.left().unwrap_or_default()) != count {}
    }

    /// Reads on through counts to the farewell and the end.
    #[track_caller]
    pub fn wait_farewell(&mut self) {
        self.wait_last_word(&Event::Farewell);
    }

    /// Reads on through counts to what a page that leaves is sent, and the end.
    #[track_caller]
    pub fn wait_left(&mut self) {
        self.wait_last_word(&Event::Left);
    }

    #[track_caller]
    fn wait_last_word(&mut self, wanted: &Event) {
        let deadline = Deadline::after(SOON);
        loop {
            match self.next_event(deadline.left().unwrap_or_default()) {
                Some(Event::Count(_)) => {}
                Some(event) if event == *wanted => return self.expect_closed(),
                other => panic!("wanted {wanted:?}, got {other:?}"),
            }
        }
    }

    /// Reads on through whatever comes to the end of the body.
    #[track_caller]
    pub fn wait_closed(&mut self) {
        let deadline = Deadline::after(SOON);
        loop {
            match self.next_event(deadline.left().unwrap_or_default()) {
                Some(Event::Closed) => return,
                end @ (None | Some(Event::Cut)) => panic!("wanted the end of the body, got {end:?}"),
                Some(_) => {}
            }
        }
    }

    /// Fails unless the body ends now, without another event.
    #[track_caller]
    pub fn expect_closed(&mut self) {
        self.expect(&Event::Closed);
    }

    /// Fails if an event or the end comes within `this_long`.
    #[track_caller]
    pub fn expect_silence(&mut self, this_long: Duration) {
        let event = self.next_event(this_long);
        assert_eq!(event, None, "in what should be {this_long:?} of silence");
    }
}

/// The event of a block, and the count that comes in one block with a `retry:` and perhaps the number of the stream.
#[track_caller]
fn read_block(block: &str) -> (Event, Option<Event>) {
    match block {
        "id: farewell\nretry: -1\nevent: farewell\ndata" => return (Event::Farewell, None),
        "id: left\nretry: -1\nevent: left\ndata" => return (Event::Left, None),
        _ => {}
    }
    if block.starts_with(':') {
        return (Event::Comment, None);
    }
    let (first, second) = block.split_once('\n').map_or((block, None), |(first, second)| (first, Some(second)));
    let is_number = |line: &str| line.strip_prefix("id: ").is_some_and(|id| id.parse::<u64>().is_ok());
    let second =
        second.map(|rest| rest.split_once('\n').filter(|(id, _)| is_number(id)).map_or(rest, |(_, count)| count));
    let second = second.map(|second| match read_line(second) {
        count @ Event::Count(_) if first.starts_with("retry: ") => count,
        _ => panic!("a block of more than one line: {block:?}"),
    });
    (read_line(first), second)
}

#[track_caller]
fn read_line(line: &str) -> Event {
    match (line.strip_prefix("retry: "), line.strip_prefix("data: ")) {
        (Some(retry), _) => Event::Retry(retry.parse().unwrap()),
        (_, Some(data)) => match data.parse() {
            Ok(count) if format!("{count}") == data => Event::Count(count),
            _ => Event::Message(data.to_owned()),
        },
        _ => panic!("not a line of an event stream: {line:?}"),
    }
}

/// A member of `target` that has heard its first count, and this count.
#[track_caller]
pub fn member(daemon: &Daemon, target: &str) -> (Stream, u64) {
    let mut stream = Stream::join(daemon.audience(), target);
    let first = stream.next_count(SOON);
    (stream, first)
}

/// So many members of `target`, each of which has heard its first count.
#[track_caller]
pub fn members(daemon: &Daemon, target: &str, count: usize) -> Vec<Stream> {
    (0..count).map(|_| member(daemon, target).0).collect()
}
