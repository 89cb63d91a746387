//! The four ports, and in what they differ.
//!
//! Owns the one table of policies: a rule that holds for some ports and not for others is a column of it. It names no other
//! room, so every room may name it; it knows neither the numbers of the ports nor their sockets.
//!
//! Invariant: the policies stand in the order of the ports.

use std::fmt;
use std::ops::{Index, IndexMut};
use std::time::Duration;

/// A port, by what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Port {
    /// Members join here.
    Audience,
    /// Operators and their tools read the figures here.
    Stats,
    /// Programs send messages to the members here.
    Notification,
    /// Browsers fetch the demo pages here.
    Demo,
}

/// Whose requests a port answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Askers {
    /// Requests from anywhere.
    Anywhere,
    /// Requests with the token, if the operator has chosen one; else those from this machine.
    TokenOrThisMachine,
}

/// Which part of the descriptors a port may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Share {
    /// All that the side ports leave: the members', and a doorstep for those that are turned away.
    Members,
    /// A small part that the audience cannot take.
    Side,
}

/// What a stream at a port gets, and what it gets if there is no slot for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Streams {
    /// A browser's: it lasts for `--max-conn-duration` at most. Without a slot it is answered with a stream that says when to
    /// come back, because a browser never comes back after an error status.
    OfBrowsers,
    /// A tool's: on this machine it cannot die without a word, and elsewhere `--peer-timeout` finds it, so it lasts until either
    /// side ends it. Without a slot it is answered with status 503.
    OfTools,
}

/// In what a port differs from others.
#[derive(Debug)]
pub(in crate::server) struct Policy {
    /// What logs, figures and neighbours call it.
    pub(in crate::server) name: &'static str,
    /// The option that chooses its number.
    pub(in crate::server) option: &'static str,
    /// The option that chooses its address.
    pub(in crate::server) host_option: &'static str,
    /// Whether clients come from afar: in crowds, through proxies, and with handshakes that take a round trip.
    pub(in crate::server) is_public: bool,
    pub(in crate::server) askers: Askers,
    pub(in crate::server) share: Share,
    pub(in crate::server) streams: Streams,
    /// How many connections one turn accepts at each listener of the port.
    pub(in crate::server) accepts_per_turn: usize,
    /// After how much silence a client is answered as if it had asked for the stats; `None`: a client has to ask. Where a token
    /// is needed, only clients on this machine are answered so.
    pub(in crate::server) silence: Option<Duration>,
    /// Whether the kernel hands over a connection only with its first bytes.
    pub(in crate::server) is_silence_deferred: bool,
    /// The bytes that the kernel keeps for a client that does not read; `None` leaves it to the kernel.
    pub(in crate::server) send_buffer: Option<u16>,
}

/// A crowd comes to the audience port: at 16 us for a join, 0.4 ms for each turn.
const AUDIENCE_ACCEPTS: usize = 24;

/// There are five other listeners: at 16 us for a request and its answer, 0.2 ms for each turn in all.
const SIDE_ACCEPTS: usize = 2;

/// `nc` says nothing and waits. A browser on a busy machine takes up to some 100 ms from its connection to its request, and
/// would take the stats without a head for an error.
const STATS_SILENCE: Duration = Duration::from_millis(250);

/// Some hundred counts, or the message that fills it, for a member that does not read. The outbox conflates the rest; left
/// alone, the kernel would keep 4 MB for each member.
const MEMBER_SEND_BUFFER: u16 = 4096;

/// For long replies. 60 readers that do not read take 8 MB of the kernel with it, and took 240 MB without. 60 MB are sent as
/// fast as without: in 0.2 s over loopback, where 16 KiB, or 32, take 2 to 10 s, for the peer then puts off its
/// acknowledgements.
const SIDE_SEND_BUFFER: u16 = u16::MAX;

const POLICIES: [Policy; Port::COUNT] = [
    Policy {
        name: "audience",
        option: "--port",
        host_option: "--host",
        is_public: true,
        askers: Askers::Anywhere,
        share: Share::Members,
        streams: Streams::OfBrowsers,
        accepts_per_turn: AUDIENCE_ACCEPTS,
        silence: None,
        is_silence_deferred: false,
        send_buffer: Some(MEMBER_SEND_BUFFER),
    },
    Policy {
        askers: Askers::TokenOrThisMachine,
        silence: Some(STATS_SILENCE),
        ..Policy::side("stats", "--stats-port", "--stats-host")
    },
    Policy {
        askers: Askers::TokenOrThisMachine,
        is_silence_deferred: true,
        ..Policy::side("notification", "--notification-port", "--notification-host")
    },
    Policy { is_public: true, is_silence_deferred: true, ..Policy::side("demo", "--demo-port", "--host") },
];

impl Policy {
    /// What the side ports have in common.
    const fn side(name: &'static str, option: &'static str, host_option: &'static str) -> Self {
        Self {
            name,
            option,
            host_option,
            is_public: false,
            askers: Askers::Anywhere,
            share: Share::Side,
            streams: Streams::OfTools,
            accepts_per_turn: SIDE_ACCEPTS,
            silence: None,
            is_silence_deferred: false,
            send_buffer: Some(SIDE_SEND_BUFFER),
        }
    }
}

impl Port {
    /// The number of ports.
    pub(in crate::server) const COUNT: usize = 4;

    /// All of them.
    pub(in crate::server) const ALL: [Self; Self::COUNT] =
        [Self::Audience, Self::Stats, Self::Notification, Self::Demo];

    /// Their names, in the order of their numbers.
    pub(in crate::server) const NAMES: [&str; Self::COUNT] = {
        let (mut names, mut index) = ([""; Self::COUNT], 0);
        while index < names.len() {
            names[index] = POLICIES[index].name;
            index += 1;
        }
        names
    };

    /// In what this one differs from the others.
    pub(in crate::server) const fn policy(self) -> &'static Policy {
        const TABLE: &[Policy; Port::COUNT] = &POLICIES;
        &TABLE[self as usize]
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.policy().name)
    }
}

/// A value for each port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::server) struct PerPort<T>([T; Port::COUNT]);

impl<T> PerPort<T> {
    /// All of them, in the order of the ports.
    pub(in crate::server) fn as_slice(&self) -> &[T] {
        &self.0
    }
}

impl<T> Index<Port> for PerPort<T> {
    type Output = T;

    fn index(&self, port: Port) -> &T {
        &self.0[port as usize]
    }
}

impl<T> IndexMut<Port> for PerPort<T> {
    fn index_mut(&mut self, port: Port) -> &mut T {
        &mut self.0[port as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_port_has_its_place() {
        assert_eq!(Port::NAMES, ["audience", "stats", "notification", "demo"]);
        for (place, port) in Port::ALL.into_iter().enumerate() {
            assert_eq!((port as usize, port.to_string().as_str()), (place, Port::NAMES[place]));
        }
    }

    #[test]
    fn a_port_that_answers_silence_is_handed_silent_connections() {
        for port in Port::ALL {
            let policy = port.policy();
            assert!(policy.silence.is_none() || !policy.is_silence_deferred, "{port}");
        }
    }
}
