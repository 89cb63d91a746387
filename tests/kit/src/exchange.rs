//! One request and its whole reply, under a deadline.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::{Deadline, SOON, ms, now};

/// What a join says of what it wants.
pub const ACCEPT: &str = "Accept: text/event-stream\r\n";

/// Connects, with the deadline that writes need.
#[track_caller]
pub fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect_timeout(&address, SOON);
    let socket = socket.unwrap_or_else(|error| panic!("connect to {address}: {error}"));
    socket.set_nodelay(true).unwrap();
    socket.set_write_timeout(Some(SOON)).unwrap();
    socket
}

/// One read that waits until `deadline`: the bytes, none at the end, or `None` if nothing came.
#[track_caller]
pub(crate) fn read_some(socket: &mut TcpStream, deadline: Deadline) -> Option<Vec<u8>> {
    let mut buffer = [0; 16 * 1024];
    loop {
        socket.set_read_timeout(Some(deadline.left()?)).unwrap();
        match socket.read(&mut buffer) {
            Ok(count) => return Some(buffer[..count].to_vec()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => panic!("read: {error}"),
        }
    }
}

/// Everything until the peer closes.
#[track_caller]
pub fn read_to_end(socket: &mut TcpStream) -> Vec<u8> {
    let deadline = Deadline::after(SOON);
    let mut bytes = Vec::new();
    loop {
        match read_some(socket, deadline) {
            Some(more) if more.is_empty() => return bytes,
            Some(more) => bytes.extend(more),
            None => panic!("not closed within {SOON:?} after {:?}", lossy(&bytes)),
        }
    }
}

/// Bytes as text for a message.
pub fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A whole reply.
#[derive(Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The status line and the header lines, without the empty line that ends them.
    pub head: String,
    /// All that follows the head.
    pub body: String,
}

impl Reply {
    /// Takes the head and the body apart.
    #[track_caller]
    pub fn parse(bytes: &[u8]) -> Self {
        let text = lossy(bytes);
        let parts = text.split_once("\r\n\r\n");
        let (head, body) = parts.unwrap_or_else(|| panic!("no whole head in {text:?}"));
        let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status line in {head:?}"));
        Reply { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// The value of a header, whatever the case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        let mut values = fields.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        values.next().map(|(_, value)| value.trim())
    }

    /// Fails unless the reply is `200`, empty, and the last on its connection.
    #[track_caller]
    pub fn expect_empty(&self) {
        assert_eq!(self.status, 200, "{self:?}");
        assert_eq!(self.header("Content-Length"), Some("0"), "{self:?}");
        assert_eq!(self.header("Connection"), Some("close"), "{self:?}");
        assert_eq!(self.body, "", "{self:?}");
    }

    /// Fails unless the reply is `200` and a line that says how to ask for the stream of an event.
    #[track_caller]
    pub fn expect_advice(&self) {
        assert_eq!(self.status, 200, "{self:?}");
        let length = self.body.len().to_string();
        for (name, value) in [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", &length),
            ("Cache-Control", "no-store"),
            ("Connection", "close"),
        ] {
            assert_eq!(self.header(name), Some(value), "{self:?}");
        }
        assert!(self.body.ends_with('\n') && self.body.lines().count() == 1, "{self:?}");
        assert!(self.body.contains("Accept: text/event-stream"), "{self:?}");
    }

    /// Fails unless the reply says that a message was sent and that all nodes have confirmed it. Returns its members.
    #[track_caller]
    pub fn expect_confirmed(&self) -> u64 {
        let (members, unconfirmed) = self.expect_sent();
        assert_eq!(unconfirmed, 0, "{self:?}");
        members
    }

    /// Fails unless the reply says that a message was sent. Returns its members, and how many nodes have not confirmed it.
    #[track_caller]
    pub fn expect_sent(&self) -> (u64, u64) {
        assert_eq!(self.status, 200, "{self:?}");
        for (name, value) in
            [("Content-Type", "application/json"), ("Cache-Control", "no-store"), ("Connection", "close")]
        {
            assert_eq!(self.header(name), Some(value), "{self:?}");
        }
        assert!(self.body.ends_with("}\n"), "{self:?}");
        let body: Value = serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"));
        let number = |name| body.get(name).map(|value| value.as_u64().unwrap_or_else(|| panic!("{self:?}")));
        let members = number("members").unwrap_or_else(|| panic!("{self:?}"));
        (members, number("unconfirmed").unwrap_or(0))
    }
}

/// The stats port answers a client that is silent for 250 ms as it does `nc`: without a head.
const SILENCE: Duration = ms(200);

/// Sends these bytes and reads the reply until the server closes. Where the machine has let this process rest between the
/// connection and the request, the stats port has answered the silence, and is asked again.
#[track_caller]
pub fn exchange(address: SocketAddr, request: impl AsRef<[u8]>) -> Reply {
    loop {
        let begun = now();
        let mut socket = connect(address);
        socket.write_all(request.as_ref()).unwrap();
        let was_silent = now() - begun >= SILENCE;
        let bytes = read_to_end(&mut socket);
        if !was_silent || !bytes.starts_with(b"{") {
            return Reply::parse(&bytes);
        }
    }
}

/// A plain GET.
#[track_caller]
pub fn get(address: SocketAddr, target: &str) -> Reply {
    exchange(address, request("GET", target, &format!("Host: {address}\r\n")))
}

/// A request head from its parts; `headers` are whole lines.
pub fn request(method: &str, target: &str, headers: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\n{headers}\r\n")
}

/// The request of a page that joins; `headers` are further whole lines.
pub fn join_request(target: &str, headers: &str) -> String {
    request("GET", target, &format!("Host: audience.test\r\n{ACCEPT}{headers}"))
}

/// Whether `part` is in `whole`.
pub fn contains(whole: &[u8], part: &[u8]) -> bool {
    whole.windows(part.len()).any(|window| window == part)
}
