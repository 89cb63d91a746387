//! Why connections are closed.
//!
//! Owns the reasons and their names in the figures. It names no other room, so every room may name it.
//!
//! Invariant: the names stand in the order of the reasons.

use std::io::ErrorKind;

/// Why a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum CloseReason {
    /// The peer has closed its side, or all of it.
    PeerClosed,
    /// The connection broke.
    PeerReset,
    /// The peer's machine answers nothing: `--peer-timeout`, or what the kernel knows of the way there.
    PeerTimeout,
    /// The stream has lasted for `--max-conn-duration`.
    MaxDuration,
    /// The peer was sent its last word and did not close in time.
    Lingered,
    /// More messages wait for the member than may, or a watcher was behind for too long.
    TooSlow,
    /// The peer keeps talking.
    TooMuch,
    /// The process is ending.
    Shutdown,
    /// The kernel has no memory to watch the socket.
    NoMemory,
    /// More heads are waited for than may be, or more of them is held.
    NoHeadRoom,
    /// A trusted proxy has begun with what is like a PROXY head, and none.
    ProxyHead,
}

impl CloseReason {
    /// Each of them, in the order of their numbers.
    pub(in crate::server) const ALL: [Self; 11] = [
        Self::PeerClosed,
        Self::PeerReset,
        Self::PeerTimeout,
        Self::MaxDuration,
        Self::Lingered,
        Self::TooSlow,
        Self::TooMuch,
        Self::Shutdown,
        Self::NoMemory,
        Self::NoHeadRoom,
        Self::ProxyHead,
    ];

    /// What figures call them, in that order.
    pub(in crate::server) const NAMES: [&str; Self::ALL.len()] = {
        let (mut names, mut index) = ([""; Self::ALL.len()], 0);
        while index < names.len() {
            names[index] = Self::ALL[index].name();
            index += 1;
        }
        names
    };

    /// What figures call it.
    const fn name(self) -> &'static str {
        match self {
            Self::PeerClosed => "peer_closed",
            Self::PeerReset => "peer_reset",
            Self::PeerTimeout => "peer_timeout",
            Self::MaxDuration => "max_duration",
            Self::Lingered => "lingered",
            Self::TooSlow => "too_slow",
            Self::TooMuch => "too_much",
            Self::Shutdown => "shutdown",
            Self::NoMemory => "no_memory",
            Self::NoHeadRoom => "no_head_room",
            Self::ProxyHead => "proxy_head",
        }
    }

    /// What an error of the socket says of the peer. The kernel reports it once, to whichever call comes first.
    pub(super) fn of(error: ErrorKind) -> Self {
        match error {
            ErrorKind::TimedOut | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Self::PeerTimeout,
            _ => Self::PeerReset,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_place() {
        for (place, reason) in CloseReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, place, "{}", reason.name());
        }
    }
}
