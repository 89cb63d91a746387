//! How many connections fit on each port.
//!
//! Owns the arithmetic of descriptors: what the process needs for itself, what each side port keeps, and what is left for
//! members, unless `--max-connections` says less. It counts no connections: the numbers that there are come as arguments.
//!
//! Invariant: the side ports keep descriptors that the audience cannot take, so that an operator can always look.

use super::port::{Port, Share};
use crate::config::Limits;

/// Descriptors that are no connections: standard streams 3, poller 3, signals 1, listeners 6, their names 6, that of
/// the seat 1, bus 3, and some to spare.
const OWN_DESCRIPTORS: usize = 24;

/// The part of all descriptors that each side port keeps for itself: a few operators, scripts and demo pages at once. Each
/// has its own part, because the demo port is public, and a crowd there must not keep the operator out.
const SIDE_PORT_PART: usize = 256;
const SIDE_PORT_MIN: usize = 6;

/// The part of all descriptors with which clients are turned away in words.
const DOORSTEP_PART: usize = 64;
const DOORSTEP_MIN: usize = 8;

const SIDE_PORTS: usize = Port::COUNT - 1;

/// The lowest limit of descriptors that is worth starting with.
const DESCRIPTORS_MIN: usize = 64;

/// Of four connections that a side port may have, three may be heads that are not whole. Silent clients, and those that never
/// end, leave the rest to others.
const HEADS_OF_FOUR: usize = 3;

/// How many connections fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) struct Capacity {
    /// Descriptors that the process may have.
    pub(in crate::server) descriptors: usize,
    /// Most members.
    pub(in crate::server) members: usize,
    /// Most connections of the audience port beside the members: they are turned away in words.
    doorstep: usize,
    /// Most connections of each side port.
    side_port: usize,
    /// Most heads of the audience port that are not whole.
    audience_heads: usize,
}

impl Capacity {
    /// What this number of descriptors is enough for, within the limits.
    ///
    /// # Errors
    /// When they are too few, as a line for a person.
    pub(in crate::server) fn new(descriptors: u64, limits: &Limits) -> Result<Self, String> {
        let descriptors = usize::try_from(descriptors).unwrap_or(usize::MAX);
        if descriptors < DESCRIPTORS_MIN {
            return Err(format!("{descriptors} descriptors are too few; allow {DESCRIPTORS_MIN} with `ulimit -n`"));
        }
        let doorstep = (descriptors / DOORSTEP_PART).max(DOORSTEP_MIN);
        let side_port = (descriptors / SIDE_PORT_PART).max(SIDE_PORT_MIN);
        let most = descriptors - OWN_DESCRIPTORS - SIDE_PORTS * side_port - doorstep;
        if let Some(wanted) = limits.members.filter(|&wanted| wanted > most) {
            return Err(format!(
                "--max-connections {wanted}: {descriptors} descriptors are enough for {most}; give less, or allow more \
                 with `ulimit -n`"
            ));
        }
        let (members, audience_heads) = (limits.members.unwrap_or(most), limits.heads);
        Ok(Self { descriptors, members, doorstep, side_port, audience_heads })
    }

    /// How many slots there are for members and watchers beside this number of streams. Half of a side port is left to
    /// requests that end at once.
    pub(in crate::server) fn free_slots(&self, port: Port, stream_count: usize) -> usize {
        by_share(port, self.members, self.side_port / 2).saturating_sub(stream_count)
    }

    /// Whether one more connection may come in beside this number, even if only to be turned away.
    pub(in crate::server) fn may_accept(&self, port: Port, open_count: usize) -> bool {
        open_count < by_share(port, self.members + self.doorstep, self.side_port)
    }

    /// Most connections of a port that have not sent a whole head.
    pub(in crate::server) fn heads_max(&self, port: Port) -> usize {
        by_share(port, self.audience_heads, self.side_port * HEADS_OF_FOUR / 4)
    }

    /// Whether a side port with this number of connections keeps none open that has its answer.
    pub(in crate::server) fn is_crowded(&self, port: Port, open_count: usize) -> bool {
        open_count >= by_share(port, usize::MAX, self.heads_max(port))
    }
}

fn by_share(port: Port, of_members: usize, of_side: usize) -> usize {
    match port.policy().share {
        Share::Members => of_members,
        Share::Side => of_side,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capacity(descriptors: u64, members: Option<usize>) -> Result<Capacity, String> {
        let limits = Limits { members, heads: 4096, name_length: 255, per_address: None, namespaces_per_address: None };
        Capacity::new(descriptors, &limits)
    }

    #[test]
    fn what_is_set_aside_and_what_is_left_are_all_there_is() {
        for descriptors in [64, 256, 1024, 20_000, 1_048_576] {
            let capacity = capacity(descriptors, None).unwrap();
            let connections = capacity.members + capacity.doorstep + SIDE_PORTS * capacity.side_port;
            assert_eq!(connections + OWN_DESCRIPTORS, capacity.descriptors);
            assert!(capacity.members >= 14, "{capacity:?}");
        }
        assert_eq!(capacity(20_000, None).unwrap().members, 20_000 - 24 - 3 * 78 - 312);
    }

    #[test]
    fn more_than_there_are_descriptors_for_is_refused_with_its_remedy() {
        assert_eq!(capacity(1024, Some(10)).unwrap().members, 10);
        let most = capacity(1024, None).unwrap().members;
        assert_eq!(capacity(1024, Some(most)).unwrap().members, most);
        let error = capacity(1024, Some(most + 1)).unwrap_err();
        let expected = "--max-connections 967: 1024 descriptors are enough for 966; give less, or allow more with \
                        `ulimit -n`";
        assert_eq!(error, expected);
        assert_eq!(capacity(63, None).unwrap_err(), "63 descriptors are too few; allow 64 with `ulimit -n`");
    }

    #[test]
    fn each_port_has_slots_of_its_own_and_a_side_port_is_crowded_before_it_is_full() {
        // 1,024 descriptors: 966 members, a doorstep of 16, and 6 for each side port.
        let capacity = capacity(1024, None).unwrap();
        for (port, slots, connections, crowded) in
            [(Port::Audience, 966, 982, None), (Port::Stats, 3, 6, Some(4)), (Port::Demo, 3, 6, Some(4))]
        {
            let free = [0, slots - 1, slots, slots + 1].map(|streams| capacity.free_slots(port, streams));
            assert_eq!(free, [slots, 1, 0, 0], "{port}");
            assert!(capacity.may_accept(port, connections - 1) && !capacity.may_accept(port, connections), "{port}");
            let first = (0..2 * connections).find(|&open| capacity.is_crowded(port, open));
            assert_eq!(first, crowded, "{port}");
        }
    }
}
