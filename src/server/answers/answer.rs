//! What an answer is, and what it is made from.
//!
//! Owns the words between a request and a connection. An answer is bytes, which the caller writes, and what becomes of the
//! connection after that; it is made and consumed in one turn. (The answer to a message is made in a later one.)

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
    /// There is no reply yet: it comes when the message is settled.
    Await(Confirmation),
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
