//! A session with a Redis server, over RESP3: a login, a subscription, and publications over the same connection.
//!
//! Owns the order of the login: `HELLO` says whether the server is a master; a replica is asked by `ROLE` for its master. Only a
//! master is used, for what is published at a replica reaches no other server. The question that keeps the connection alive
//! is `HELLO` once more, which every user may ask, so a master that becomes a replica is found.
//!
//! Invariant: what comes in a frame that was not asked for changes nothing.

use super::event::Event;
use super::login::{CLIENT_NAME, Login};
use super::refusal::Refusal;
use super::resp::{Frame, Frames, push_command};

/// One side of a connection with a Redis server.
#[derive(Debug)]
pub(super) struct Redis {
    frames: Frames,
    talk: Talk,
}

/// What is said, in whole frames.
#[derive(Debug)]
struct Talk {
    channel: Box<[u8]>,
    login: Option<Login>,
    stage: Stage,
    outgoing: Vec<u8>,
    has_skipped: bool,
}

/// How far the login is: what was sent last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Hello,
    Subscribe,
    /// Nothing more: the subscription stands.
    Ready,
}

impl Redis {
    pub(super) fn new(channel: &str, login: Option<&Login>) -> Self {
        let mut outgoing = Vec::new();
        let mut words: Vec<&[u8]> = vec![b"HELLO", b"3"];
        if let Some(Login { user, secret }) = login {
            words.extend([b"AUTH", user.as_deref().unwrap_or("default").as_bytes(), secret.as_bytes()]);
        }
        words.extend([b"SETNAME", CLIENT_NAME.as_bytes()]);
        push_command(&mut outgoing, &words);
        let channel = channel.as_bytes().into();
        let talk = Talk { channel, login: login.cloned(), stage: Stage::Hello, outgoing, has_skipped: false };
        Self { frames: Frames::default(), talk }
    }

    pub(super) fn take_outgoing(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.talk.outgoing)
    }

    pub(super) fn publish(&self, datagram: &[u8], out: &mut Vec<u8>) {
        push_command(out, &[b"PUBLISH", &self.talk.channel, datagram]);
    }

    pub(super) fn ping(out: &mut Vec<u8>) {
        push_command(out, &[b"HELLO"]);
    }

    pub(super) fn feed(&mut self, bytes: &[u8], each: &mut impl FnMut(Event<'_>)) -> Result<(), Refusal> {
        let mut rest = bytes;
        loop {
            match self.frames.next(&mut rest) {
                Ok(Some(frame)) => self.talk.receive(frame, each)?,
                Ok(None) => return Ok(()),
                Err(what) => return Err(self.talk.strange(what)),
            }
        }
    }
}

impl Talk {
    fn receive(&mut self, frame: &Frame, each: &mut impl FnMut(Event<'_>)) -> Result<(), Refusal> {
        match frame.kind() {
            b'-' | b'!' => Err(self.refusal_of(frame.leaves().next().flatten().unwrap_or_default())),
            b'>' => {
                self.receive_push(frame, each);
                Ok(())
            }
            b'%' => self.receive_hello(frame),
            b'*' if self.stage == Stage::Hello && !is_role(frame) => Err(Refusal::TooOld),
            b'*' => self.receive_role(frame),
            _ if self.stage == Stage::Hello => Err(Refusal::NotThisProtocol),
            _ => Ok(()),
        }
    }

    /// `message`, channel, payload; or `subscribe`, channel, number of channels.
    fn receive_push(&mut self, frame: &Frame, each: &mut impl FnMut(Event<'_>)) {
        let mut leaves = frame.leaves();
        let (what, channel) = (leaves.next().flatten(), leaves.next().flatten());
        if channel != Some(&*self.channel) {
            return;
        }
        match (what, leaves.next()) {
            (Some(b"subscribe"), _) if self.stage == Stage::Subscribe => {
                self.stage = Stage::Ready;
                each(Event::Ready);
            }
            (Some(b"message"), Some(Some(datagram))) => each(Event::Datagram(datagram)),
            (Some(b"message"), _) if !core::mem::replace(&mut self.has_skipped, true) => each(Event::Skipped),
            _ => {}
        }
    }

    /// The answer to `HELLO`: names and values in turn.
    fn receive_hello(&mut self, frame: &Frame) -> Result<(), Refusal> {
        let value_of = |name: &[u8]| {
            let mut leaves = frame.leaves();
            while let (Some(own), Some(value)) = (leaves.next(), leaves.next()) {
                if own == Some(name) {
                    return value;
                }
            }
            None
        };
        if value_of(b"mode") == Some(b"sentinel") {
            return Err(Refusal::Sentinel);
        }
        if value_of(b"role").is_some_and(|role| role != b"master") {
            push_command(&mut self.outgoing, &[b"ROLE"]);
        } else {
            self.subscribe();
        }
        Ok(())
    }

    /// The answer to `ROLE`: of a replica, its master follows.
    fn receive_role(&mut self, frame: &Frame) -> Result<(), Refusal> {
        let mut leaves = frame.leaves();
        let role = text_of(leaves.next().flatten());
        if role != Some("slave") {
            // It became a master in between.
            self.subscribe();
            return Ok(());
        }
        let (host, port) =
            (text_of(leaves.next().flatten()), text_of(leaves.next().flatten()).and_then(|port| port.parse().ok()));
        Err(match (host, port) {
            (Some(host), Some(port)) if is_host(host) => Refusal::MasterAt { host: host.to_owned(), port },
            _ => Refusal::Replica,
        })
    }

    fn subscribe(&mut self) {
        if self.stage == Stage::Hello {
            self.stage = Stage::Subscribe;
            push_command(&mut self.outgoing, &[b"SUBSCRIBE", &self.channel]);
        }
    }

    /// What an error says: its first word is its kind.
    fn refusal_of(&self, text: &[u8]) -> Refusal {
        let text = Login::clean(self.login.as_ref(), text);
        let (kind, words) = text.split_once(' ').unwrap_or((&text, ""));
        match kind {
            "WRONGPASS" => Refusal::WrongCredentials,
            "NOAUTH" => Refusal::CredentialsNeeded,
            "NOPROTO" => Refusal::TooOld,
            "NOPERM" if words.contains("'role'") => Refusal::Replica,
            "NOPERM" => Refusal::NotAllowed(text),
            "LOADING" => Refusal::Loading,
            "MASTERDOWN" | "READONLY" => Refusal::Replica,
            "DENIED" => Refusal::Protected,
            "ERR" if words.starts_with("max number of clients") => Refusal::Full,
            // A server that does not know HELLO quotes all of it, the password included.
            _ if self.stage == Stage::Hello && (kind == "ERR" || text.contains("quotes the secret")) => Refusal::TooOld,
            _ => Refusal::Protocol(text),
        }
    }

    /// Something that is no frame. Before the first answer, it is another protocol.
    fn strange(&self, what: &str) -> Refusal {
        match self.stage {
            Stage::Hello => Refusal::NotThisProtocol,
            Stage::Subscribe | Stage::Ready => Refusal::Protocol(what.to_owned()),
        }
    }
}

/// A leaf that was kept, if it is a text.
fn text_of(leaf: Option<&[u8]>) -> Option<&str> {
    leaf.and_then(|leaf| str::from_utf8(leaf).ok())
}

fn is_role(frame: &Frame) -> bool {
    let roles: [&[u8]; 3] = [b"master", b"slave", b"sentinel"];
    frame.leaves().next().flatten().is_some_and(|role| roles.contains(&role))
}

/// Whether a text may be a host's name or address. It becomes part of the log.
fn is_host(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:%".contains(&byte);
    !text.is_empty() && text.len() <= 255 && text.bytes().all(is_plain)
}
