//! The side of a client in a conversation with a message broker: NATS, or Redis and its kin.
//!
//! Owns what is written to a broker and what its bytes mean: a login, one channel, and datagrams that are published and
//! delivered there. It knows no socket, no address and no time: connecting, deadlines and further attempts are the caller's.
//!
//! | file | owns |
//! |---|---|
//! | `login` | what a node logs in with, and what may be shown of a broker's texts |
//! | `event` | what came of a broker's bytes |
//! | `pieces` | lines and counted bytes, whatever pieces they come in |
//! | `info` | what a NATS server says of itself |
//! | `nats` | the client protocol of NATS |
//! | `resp` | the frames of RESP3 |
//! | `redis` | a session with a Redis server, in those frames |
//! | `refusal` | why a session is over, with its remedy |
//!
//! NATS returns no datagram to its publisher, for it is asked not to. Redis cannot be asked: a node gets its own datagrams
//! back, and the meter drops them by their sender, as it does on a group.
//!
//! Invariant: no bytes of a broker cause a panic, and none make a session keep more than 64 KiB. The same bytes in any pieces
//! give the same events. A secret is in no event, no refusal and no debug output.

mod event;
mod info;
mod login;
mod nats;
mod pieces;
mod redis;
mod refusal;
mod resp;

use nats::Nats;
use redis::Redis;

pub use event::Event;
pub use login::Login;
pub use refusal::Refusal;

/// What a TLS server answers plain bytes with: an alert, or a handshake.
const TLS_RECORDS: [u8; 2] = [0x15, 0x16];

/// Which protocol a broker speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// NATS core.
    Nats,
    /// Redis, Valkey and others, from the version on that has RESP3.
    Redis,
}

impl Kind {
    /// How URLs and the log call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nats => "nats",
            Self::Redis => "redis",
        }
    }
}

/// A conversation over one connection, from its first byte on.
#[derive(Debug)]
pub struct Session {
    machine: Machine,
    has_begun: bool,
}

#[derive(Debug)]
enum Machine {
    Nats(Nats),
    Redis(Redis),
}

impl Session {
    /// A session on this channel, which NATS calls a subject.
    #[must_use]
    pub fn new(kind: Kind, channel: &str, login: Option<&Login>) -> Self {
        let machine = match kind {
            Kind::Nats => Machine::Nats(Nats::new(channel, login)),
            Kind::Redis => Machine::Redis(Redis::new(channel, login)),
        };
        Self { machine, has_begun: false }
    }

    /// The bytes that a caller writes now: there may be some after `new`, and after each `feed`.
    #[must_use]
    pub fn take_outgoing(&mut self) -> Vec<u8> {
        match &mut self.machine {
            Machine::Nats(nats) => nats.take_outgoing(),
            Machine::Redis(redis) => redis.take_outgoing(),
        }
    }

    /// Takes in what has come. What is not whole is kept until more comes.
    ///
    /// # Errors
    /// Why the session is over. It takes no more bytes then.
    pub fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(Event<'_>)) -> Result<(), Refusal> {
        if let Some(first) = bytes.first()
            && !core::mem::replace(&mut self.has_begun, true)
            && TLS_RECORDS.contains(first)
        {
            return Err(Refusal::TlsWanted);
        }
        match &mut self.machine {
            Machine::Nats(nats) => nats.feed(bytes, &mut each),
            Machine::Redis(redis) => redis.feed(bytes, &mut each),
        }
    }

    /// Why the session is over, when the broker has closed the connection.
    #[must_use]
    pub fn closed(&self) -> Refusal {
        if self.has_begun { Refusal::Closed } else { Refusal::ClosedAtOnce }
    }

    /// Appends the bytes that publish a datagram, once the session is ready.
    pub fn publish(&self, datagram: &[u8], out: &mut Vec<u8>) {
        match &self.machine {
            Machine::Nats(nats) => nats.publish(datagram, out),
            Machine::Redis(redis) => redis.publish(datagram, out),
        }
    }

    /// Appends a question that every broker answers, once the session is ready: whatever comes then says that it lives. Redis
    /// is asked for its role, too, for a master may become a replica.
    pub fn ping(&self, out: &mut Vec<u8>) {
        match &self.machine {
            Machine::Nats(_) => Nats::ping(out),
            Machine::Redis(_) => Redis::ping(out),
        }
    }
}

#[cfg(test)]
mod tests;
