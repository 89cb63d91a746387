//! How many connections there may be on each port.
//!
//! Owns the arithmetic of descriptors: what the process needs for itself, what each side port keeps, and what is left for
//! members, unless `--max-connections` says less.
//!
//! Invariant: the side ports keep descriptors that the audience cannot take, so that an operator can always look.

use crate::server::conns::Conns;
use crate::server::conns::conn::Port;

/// Descriptors that are no connections: standard streams 3, poller 3, signals 1, listeners 6, their names 6, bus 2,
/// and some to spare.
const OWN_DESCRIPTORS: usize = 24;

/// The part of all descriptors that each side port keeps for itself: a few operators, scripts and demo pages at once. Each
/// for itself, because the demo port is public, and a crowd there must not keep the operator out.
const SIDE_PORT_PART: usize = 256;
const SIDE_PORT_MIN: usize = 6;

/// The part of all descriptors in which those are answered for whom there is no room.
const DOORSTEP_PART: usize = 64;
const DOORSTEP_MIN: usize = 8;

const SIDE_PORTS: usize = Port::COUNT - 1;

/// The lowest limit of descriptors that is worth starting with.
const DESCRIPTORS_MIN: usize = 64;

/// How many connections there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) struct Room {
    /// How many descriptors the process may have.
    pub(in crate::server) descriptors: usize,
    /// How many may be members.
    pub(in crate::server) members: usize,
    /// How many more may be told that they may not.
    doorstep: usize,
    /// How many connections each side port may have.
    pub(in crate::server) side_port: usize,
}

impl Room {
    /// What so many descriptors are enough for, and at most `wanted` members.
    ///
    /// # Errors
    /// When they are too few, as a line for a person.
    pub(in crate::server) fn new(descriptors: u64, wanted: Option<usize>) -> Result<Self, String> {
        let descriptors = usize::try_from(descriptors).unwrap_or(usize::MAX);
        if descriptors < DESCRIPTORS_MIN {
            return Err(format!("{descriptors} descriptors are too few; allow {DESCRIPTORS_MIN} with `ulimit -n`"));
        }
        let doorstep = (descriptors / DOORSTEP_PART).max(DOORSTEP_MIN);
        let side_port = (descriptors / SIDE_PORT_PART).max(SIDE_PORT_MIN);
        let most = descriptors - OWN_DESCRIPTORS - SIDE_PORTS * side_port - doorstep;
        if let Some(wanted) = wanted.filter(|&wanted| wanted > most) {
            return Err(format!(
                "--max-connections {wanted}: {descriptors} descriptors are enough for {most}; give less, or allow more \
                 with `ulimit -n`"
            ));
        }
        Ok(Self { descriptors, members: wanted.unwrap_or(most), doorstep, side_port })
    }

    /// Whether one more may stay on a port, as a member or to watch. Half of a side port is left to those who only look.
    pub(in crate::server) fn has_place(&self, port: Port, conns: &Conns) -> bool {
        let most = if port == Port::Audience { self.members } else { self.side_port / 2 };
        conns.streams_on(port) < most
    }

    /// Whether one more may come in on a port, be it to hear that there is no place.
    pub(in crate::server) fn may_accept(&self, port: Port, conns: &Conns) -> bool {
        let most = if port == Port::Audience { self.members + self.doorstep } else { self.side_port };
        conns.on_port(port) < most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_aside_and_what_is_left_are_all_there_is() {
        for descriptors in [64, 256, 1024, 20_000, 1_048_576] {
            let room = Room::new(descriptors, None).unwrap();
            let connections = room.members + room.doorstep + SIDE_PORTS * room.side_port;
            assert_eq!(connections + OWN_DESCRIPTORS, room.descriptors);
            assert!(room.members >= 14, "{room:?}");
        }
        assert_eq!(Room::new(20_000, None).unwrap().members, 20_000 - 24 - 3 * 78 - 312);
    }

    #[test]
    fn more_than_there_are_descriptors_for_is_refused_with_its_remedy() {
        assert_eq!(Room::new(1024, Some(10)).unwrap().members, 10);
        let most = Room::new(1024, None).unwrap().members;
        assert_eq!(Room::new(1024, Some(most)).unwrap().members, most);
        let error = Room::new(1024, Some(most + 1)).unwrap_err();
        let expected = "--max-connections 967: 1024 descriptors are enough for 966; give less, or allow more with \
                        `ulimit -n`";
        assert_eq!(error, expected);
        assert_eq!(Room::new(63, None).unwrap_err(), "63 descriptors are too few; allow 64 with `ulimit -n`");
    }
}
