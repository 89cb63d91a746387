//! The client protocol of NATS core: lines, and payloads of counted bytes.
//!
//! Owns the order of a login (`INFO`, `CONNECT`, `SUB`, and the `PONG` that says all is accepted) and what each operation of a
//! server means. A payload that can be no datagram is skipped by its size and is not kept.
//!
//! Invariant: of a server's bytes one line is kept, or one payload of a datagram's length.

use super::event::Event;
use super::info::Info;
use super::login::{CLIENT_NAME, Login};
use super::pieces::{Pieces, skip};
use super::refusal::Refusal;
use crate::wire::json::Value;
use crate::wire::report::DATAGRAM_MAX;
use crate::wire::sse::push_decimal;

/// The longest `INFO` in bytes: it lists the servers of a cluster, 20 bytes each, and names a few things more.
const INFO_MAX: usize = 64 * 1024;

/// The longest of all other lines: a server's own limit for those of clients, `max_control_line`.
const LINE_MAX: usize = 4 * 1024;

/// The longest payload: a server that is set to send longer ones warns, and 64 MiB is its hard limit.
const PAYLOAD_MAX: u64 = 64 * 1024 * 1024;

/// The bytes that end a line and a payload.
const CRLF: &[u8] = b"\r\n";

/// One side of a connection with a NATS server.
#[derive(Debug)]
pub(super) struct Nats {
    subject: Box<str>,
    login: Option<Login>,
    stage: Stage,
    next: Next,
    pieces: Pieces,
    outgoing: Vec<u8>,
    has_skipped: bool,
}

/// How far the login is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The server has not introduced itself.
    Greeting,
    /// It was sent `CONNECT`, `SUB` and `PING`.
    LoggingIn,
    /// It has answered.
    Ready,
}

/// What the next bytes are.
#[derive(Clone, Copy, Debug)]
enum Next {
    Line,
    /// A payload of this many bytes, with the end of its line.
    Payload(usize),
    /// Bytes to skip.
    Skipped(u64),
}

impl Nats {
    pub(super) fn new(subject: &str, login: Option<&Login>) -> Self {
        Self {
            subject: subject.into(),
            login: login.cloned(),
            stage: Stage::Greeting,
            next: Next::Line,
            pieces: Pieces::default(),
            outgoing: Vec::new(),
            has_skipped: false,
        }
    }

    pub(super) fn take_outgoing(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.outgoing)
    }

    pub(super) fn publish(&self, datagram: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(b"PUB ");
        out.extend_from_slice(self.subject.as_bytes());
        out.push(b' ');
        push_decimal(out, datagram.len() as u64);
        out.extend_from_slice(CRLF);
        out.extend_from_slice(datagram);
        out.extend_from_slice(CRLF);
    }

    pub(super) fn ping(out: &mut Vec<u8>) {
        out.extend_from_slice(b"PING\r\n");
    }

    pub(super) fn feed(&mut self, bytes: &[u8], each: &mut impl FnMut(Event<'_>)) -> Result<(), Refusal> {
        // A server speaks first, and introduces itself or says why not.
        if self.stage == Stage::Greeting && self.pieces.is_empty() && !matches!(bytes.first(), None | Some(b'I' | b'-'))
        {
            return Err(Refusal::NotThisProtocol);
        }
        let mut rest = bytes;
        loop {
            match &mut self.next {
                Next::Line => {
                    let mut pieces = core::mem::take(&mut self.pieces);
                    let most = if pieces.begins(rest, b"INFO") { INFO_MAX } else { LINE_MAX };
                    let line = pieces.line(&mut rest, most).map_err(|_| self.strange("a line is too long"))?;
                    let is_whole = line.is_some();
                    if let Some(line) = line {
                        self.receive(line, each)?;
                    }
                    self.pieces = pieces;
                    if !is_whole {
                        return Ok(());
                    }
                }
                Next::Payload(length) => {
                    let Some(payload) = self.pieces.exactly(&mut rest, *length) else { return Ok(()) };
                    let Some(datagram) = payload.strip_suffix(CRLF) else {
                        return Err(Refusal::Protocol("a payload is longer than its line says".to_owned()));
                    };
                    each(Event::Datagram(datagram));
                    self.next = Next::Line;
                }
                Next::Skipped(left) => {
                    if !skip(&mut rest, left) {
                        return Ok(());
                    }
                    self.next = Next::Line;
                }
            }
        }
    }

    /// Takes in a line.
    fn receive(&mut self, line: &[u8], each: &mut impl FnMut(Event<'_>)) -> Result<(), Refusal> {
        let line = line.trim_ascii();
        let end = line.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(line.len());
        let (operation, rest) = line.split_at_checked(end).unwrap_or_default();
        let is = |name: &[u8]| operation.eq_ignore_ascii_case(name);
        if is(b"INFO") {
            return self.receive_info(rest);
        }
        if is(b"-ERR") {
            return Err(self.refusal_of(rest));
        }
        if self.stage == Stage::Greeting {
            return Err(Refusal::NotThisProtocol);
        }
        if is(b"MSG") || is(b"HMSG") {
            return self.receive_message(rest, is(b"HMSG"), each);
        }
        if is(b"PING") {
            self.outgoing.extend_from_slice(b"PONG\r\n");
        } else if is(b"PONG") {
            if self.stage == Stage::LoggingIn {
                self.stage = Stage::Ready;
                each(Event::Ready);
            }
        } else if !is(b"+OK") {
            return Err(self.strange("an unknown operation"));
        }
        Ok(())
    }

    /// `INFO {...}`: comes first, and again when something has changed.
    fn receive_info(&mut self, text: &[u8]) -> Result<(), Refusal> {
        let info = Info::parse(text).ok_or_else(|| self.strange("INFO has no object"))?;
        if info.needs_tls {
            return Err(Refusal::TlsWanted);
        }
        if let Some(limit) = info.max_payload.filter(|limit| *limit < DATAGRAM_MAX as u64) {
            return Err(Refusal::MaxPayload(limit));
        }
        if info.is_leaving {
            return Err(Refusal::Leaving);
        }
        if self.stage == Stage::Greeting {
            self.stage = Stage::LoggingIn;
            self.push_login();
        }
        Ok(())
    }

    /// The pong that answers this ping comes after any refusal of what is before it.
    fn push_login(&mut self) {
        let text = |text: &str| Value::Text(text.to_owned());
        let mut members = vec![
            ("verbose", false.into()),
            ("pedantic", false.into()),
            ("echo", false.into()),
            ("headers", false.into()),
            ("protocol", 1.into()),
            ("lang", text("rust")),
            ("version", text(env!("CARGO_PKG_VERSION"))),
            ("name", text(CLIENT_NAME)),
        ];
        match &self.login {
            Some(Login { user: Some(user), secret }) => members.extend([("user", text(user)), ("pass", text(secret))]),
            Some(Login { user: None, secret }) => members.push(("auth_token", text(secret))),
            None => {}
        }
        let out = &mut self.outgoing;
        out.extend_from_slice(b"CONNECT ");
        Value::Object(members).push(out);
        out.extend_from_slice(b"\r\nSUB ");
        out.extend_from_slice(self.subject.as_bytes());
        out.extend_from_slice(b" 1\r\n");
        Self::ping(out);
    }

    /// `MSG subject sid [reply-to] bytes`, `HMSG subject sid [reply-to] header-bytes bytes`: of both, the last is the size of
    /// what follows.
    fn receive_message(
        &mut self,
        words: &[u8],
        has_headers: bool,
        each: &mut impl FnMut(Event<'_>),
    ) -> Result<(), Refusal> {
        let words = words.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
        let (count, last) = words.fold((0, None), |(count, _), word| (count + 1, Some(word)));
        let size = last.filter(|word| word.iter().all(u8::is_ascii_digit));
        let size = size.and_then(|word| str::from_utf8(word).ok()?.parse::<u64>().ok());
        let expected = if has_headers { 4..=5 } else { 3..=4 };
        let size = size.filter(|size| expected.contains(&count) && *size <= PAYLOAD_MAX);
        let size = size.ok_or_else(|| self.strange("a message without its size"))?;
        if size <= DATAGRAM_MAX as u64 && !has_headers {
            // It is small, as was just seen.
            self.next = Next::Payload(usize::try_from(size).unwrap_or(usize::MAX).saturating_add(CRLF.len()));
            return Ok(());
        }
        self.next = Next::Skipped(size + CRLF.len() as u64);
        if !core::mem::replace(&mut self.has_skipped, true) {
            each(Event::Skipped);
        }
        Ok(())
    }

    /// What `-ERR '...'` says. A server closes the connection after most of them.
    fn refusal_of(&self, text: &[u8]) -> Refusal {
        let text = Login::clean(self.login.as_ref(), text);
        let text = text.trim_matches('\'');
        let small = text.to_ascii_lowercase();
        let has = |words: &str| small.contains(words);
        if has("authorization violation") || has("authentication timeout") {
            return if self.login.is_some() { Refusal::WrongCredentials } else { Refusal::CredentialsNeeded };
        }
        let known = [
            ("expired", Refusal::WrongCredentials),
            ("revoked", Refusal::WrongCredentials),
            ("tls", Refusal::TlsWanted),
            ("maximum connections", Refusal::Full),
            ("maximum account active connections", Refusal::Full),
            ("slow consumer", Refusal::SlowConsumer),
            ("stale connection", Refusal::Stale),
            ("server shutdown", Refusal::Leaving),
            ("attempted to connect to", Refusal::WrongPort),
        ];
        if let Some((_, refusal)) = known.into_iter().find(|(words, _)| has(words)) {
            return refusal;
        }
        if has("permissions violation") || has("invalid subject") || has("maximum subscriptions") {
            return Refusal::NotAllowed(text.to_owned());
        }
        Refusal::Protocol(text.to_owned())
    }

    /// Something that has no place in the protocol. Before the greeting, it is another protocol.
    fn strange(&self, what: &str) -> Refusal {
        match self.stage {
            Stage::Greeting => Refusal::NotThisProtocol,
            Stage::LoggingIn | Stage::Ready => Refusal::Protocol(what.to_owned()),
        }
    }
}
