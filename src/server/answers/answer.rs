//! What an answer is, and what it is made from.
//!
//! Owns the words between a request and a connection. An answer is bytes, which the caller writes, and what becomes of the
//! connection after that; it is made and consumed in one turn. (The answer to a message is made in a
//! later one, and to a page that comes back after a farewell.)

use std::net::IpAddr;

use super::cursor::Cursor;
use crate::collections::tick::Tick;
use crate::meter::MemberId;
use crate::meter::watches::WatcherId;
use crate::server::audience::Audience;
use crate::server::figures::announced::Announced;
use crate::server::figures::view::Process;
use crate::server::ports::port::Port;
use crate::wire::transfer::Coding;

/// An answer.
#[derive(Debug)]
pub(in crate::server) struct Answer<'a> {
    pub(in crate::server) bytes: &'a [u8],
    pub(in crate::server) after: AfterReply,
}

/// What becomes of the connection once the bytes of its answer are written.
#[derive(Debug)]
pub(in crate::server) enum AfterReply {
    /// It is a member's or a watcher's.
    Stream {
        /// How its body is sent.
        coding: Coding,
        /// Until when it lasts, if it does not last for ever.
        until: Option<Tick>,
    },
    /// That was all.
    Drain,
    /// The reply goes on from here.
    DrainPieces(Box<Cursor>),
    /// There is no reply yet: the body of the request is read first. The bytes have the client send it.
    ReadBody,
    /// There is no reply yet: it depends on other nodes.
    Await(Awaited),
}

/// What an answer waits for.
#[derive(Debug)]
pub(in crate::server) enum Awaited {
    /// That a message is settled.
    Message(Confirmation),
    /// Whether another stream has the uuid of a page that comes back.
    Return(Box<Returning>),
}

/// What is waited for no longer, by its number with the meter.
#[derive(Clone, Copy, Debug)]
pub(in crate::server) enum Settled {
    /// A message, which this number of living nodes has not confirmed.
    Message { number: u64, unconfirmed: usize },
    /// A question, and whether another node holds the uuid.
    Question { number: u64, is_held: bool },
}

/// A page that comes back after a farewell, or asks whether it may.
#[derive(Debug)]
pub(in crate::server) struct Returning {
    /// The number of the question with the meter.
    pub(in crate::server) number: u64,
    pub(in crate::server) namespace: Box<str>,
    pub(in crate::server) uuid: Box<str>,
    /// The address of its client, if that matters.
    pub(in crate::server) address: Option<IpAddr>,
    /// The origin of the page, if the answer names it.
    pub(in crate::server) origin: Option<Box<str>>,
    pub(in crate::server) form: StreamForm,
    /// Whether the request was one for a head alone.
    pub(in crate::server) is_head: bool,
}

/// How the body of a member is sent.
#[derive(Clone, Copy, Debug)]
pub(in crate::server) struct StreamForm {
    pub(in crate::server) coding: Coding,
    /// Whether its browser needs to see more bytes before it shows the first event.
    pub(in crate::server) is_padded: bool,
}

/// What is known of the answer to a message before the other nodes have confirmed it.
#[derive(Debug)]
pub(in crate::server) struct Confirmation {
    /// The number of the message with the meter.
    pub(in crate::server) number: u64,
    pub(in crate::server) receivers: Receivers,
    /// Whether the request was one for a head alone.
    pub(in crate::server) is_head: bool,
}

/// The members that a message is for.
#[derive(Debug)]
pub(in crate::server) enum Receivers {
    /// This number of members, at all nodes.
    Members(u64),
    /// The members of a namespace of this name, which may have begun at another node a moment ago.
    Unknown(Box<str>),
}

/// The connection that a request came on.
#[derive(Clone, Copy, Debug)]
pub(in crate::server) struct Asker {
    /// Its keys, if it becomes a stream.
    pub(in crate::server) member: MemberId,
    pub(in crate::server) watcher: WatcherId,
    pub(in crate::server) port: Port,
    /// The address of its client, if that matters.
    pub(in crate::server) address: Option<IpAddr>,
    /// How many slots there are for it, if it becomes a stream.
    pub(in crate::server) free_slots: usize,
}

impl Asker {
    /// Whether there is a slot for it, if it becomes a stream.
    pub(super) fn has_slot(&self) -> bool {
        self.free_slots > 0
    }
}

/// What answers act upon and read.
pub(in crate::server) struct Sources<'a> {
    pub(in crate::server) audience: &'a mut Audience,
    pub(in crate::server) process: &'a Process<'a>,
    pub(in crate::server) announced: &'a mut Announced,
}
