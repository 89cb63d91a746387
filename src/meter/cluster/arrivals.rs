//! By which ways the datagrams of a peer come, and which of them have come before.
//!
//! Owns a window over all ways, and one of each way. A process of the same host is received over loopback and in the group on
//! the network, so a datagram of it comes twice: the second one is a copy. A datagram that comes twice by one way is none.
//!
//! | file | owns |
//! |---|---|
//! | `window` | which numbers were seen before |
//!
//! Invariant: a datagram is new once, whatever number of ways it comes by.

mod window;

use std::time::Duration;

use crate::collections::sections::{Reader, Writer};
use crate::collections::tick::Tick;
use crate::meter::news::Origin;
use window::Window;

/// What a number says of its datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It has not come before.
    New,
    /// It has come by another way, or was too late by this one.
    Copied,
    /// It has come by this way, or is out of all order.
    Known,
}

/// A way, whatever the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Loopback,
    Group,
    Unicast,
}

impl Way {
    fn of(origin: Origin) -> Self {
        match origin {
            Origin::Loopback => Self::Loopback,
            Origin::Group => Self::Group,
            Origin::Listed(_) | Origin::Unlisted(_) => Self::Unicast,
        }
    }
}

/// The arrivals of a peer.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    all: Window,
    /// Of the ways that its datagrams have come by.
    by_way: Vec<(Way, Window)>,
    /// When its latest datagram came over loopback.
    loopback_at: Option<Tick>,
}

impl Arrivals {
    /// The datagram of this number has come; from now on it is known.
    pub(super) fn admit(&mut self, number: u64, origin: Origin, now: Tick) -> Arrival {
        if self.all.is_jump(number) {
            return Arrival::Known;
        }
        let is_first_by_way = self.admit_by(Way::of(origin), number);
        let is_new = self.all.admit(number);
        self.see(number, origin, now);
        match (is_new, is_first_by_way) {
            (true, _) => Arrival::New,
            (false, true) => Arrival::Copied,
            (false, false) => Arrival::Known,
        }
    }

    /// The peer has proved that this is its number now.
    pub(super) fn restart(&mut self, number: u64, origin: Origin, now: Tick) {
        self.all.restart(number);
        self.by_way = vec![(Way::of(origin), Window::starting_at(number))];
        self.loopback_at = None;
        self.see(number, origin, now);
    }

    /// Whether this number is so far ahead that the peer has to prove it.
    pub(super) fn is_jump(&self, number: u64) -> bool {
        self.all.is_jump(number)
    }

    /// Whether no later datagram than the one of this number has come.
    pub(super) fn is_latest(&self, number: u64) -> bool {
        self.all.is_highest(number)
    }

    /// By which way the peer is answered, if its latest datagram came by this one: loopback is the nearest.
    pub(super) fn nearest(&self, latest: Origin, node_timeout: Duration, now: Tick) -> Origin {
        let is_near = self.loopback_at.is_some_and(|at| now < at.after(node_timeout));
        if is_near { Origin::Loopback } else { latest }
    }

    pub(super) fn write(&self, out: &mut Writer) {
        let Self { all, by_way, loopback_at } = self;
        all.write(out);
        out.count(by_way.len());
        for (way, window) in by_way {
            out.number(*way as u64);
            window.write(out);
        }
        out.option_tick(*loopback_at);
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        let (all, mut by_way, mut list) = (Window::read(from), Vec::new(), from.list());
        while from.has_next(&mut list) {
            let way = match from.number() {
                0 => Way::Loopback,
                1 => Way::Group,
                number => {
                    from.check(number == 2, "an unknown way");
                    Way::Unicast
                }
            };
            by_way.push((way, Window::read(from)));
        }
        Self { all, by_way, loopback_at: from.option_tick() }
    }

    fn admit_by(&mut self, way: Way, number: u64) -> bool {
        let Some((_, window)) = self.by_way.iter_mut().find(|(other, _)| *other == way) else {
            self.by_way.push((way, Window::starting_at(number)));
            return true;
        };
        if window.is_jump(number) {
            // Nothing has come by this way for long.
            *window = Window::starting_at(number);
            return true;
        }
        window.admit(number)
    }

    /// A recording is not the latest.
    fn see(&mut self, number: u64, origin: Origin, now: Tick) {
        if origin == Origin::Loopback && self.all.is_highest(number) {
            self.loopback_at = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::news::Address;

    const NOW: Tick = Tick(7);

    fn admit(arrivals: &mut Arrivals, numbers: &[u64], origin: Origin) -> Vec<Arrival> {
        numbers.iter().map(|&number| arrivals.admit(number, origin, NOW)).collect()
    }

    #[test]
    fn a_datagram_is_a_copy_by_each_other_way_and_known_by_the_same() {
        use Arrival::{Copied, Known, New};
        let mut arrivals = Arrivals::default();
        let unicast = [Origin::Listed(Address { ip: 1, port: 1 }), Origin::Unlisted(Address { ip: 2, port: 2 })];
        assert_eq!(admit(&mut arrivals, &[1, 3, 3], Origin::Loopback), [New, New, Known]);
        assert_eq!(admit(&mut arrivals, &[3, 1, 2, 1], Origin::Group), [Copied, Copied, New, Known]);
        assert_eq!(admit(&mut arrivals, &[2, 2], Origin::Loopback), [Copied, Known]);
        assert_eq!(admit(&mut arrivals, &[3], unicast[0]), [Copied]);
        assert_eq!(admit(&mut arrivals, &[3, 4], unicast[1]), [Known, New]);
    }

    #[test]
    fn a_way_that_was_silent_for_long_brings_copies_again() {
        let mut arrivals = Arrivals::default();
        assert_eq!(arrivals.admit(1, Origin::Loopback, NOW), Arrival::New);
        for number in (60_000..=240_000).step_by(60_000) {
            assert_eq!(arrivals.admit(number, Origin::Group, NOW), Arrival::New);
        }
        assert_eq!(admit(&mut arrivals, &[240_000; 2], Origin::Loopback), [Arrival::Copied, Arrival::Known]);
    }

    #[test]
    fn a_number_that_takes_a_proof_is_no_copy_and_changes_nothing() {
        let mut arrivals = Arrivals::default();
        assert_eq!(arrivals.admit(7, Origin::Loopback, NOW), Arrival::New);
        assert_eq!(admit(&mut arrivals, &[1 << 40; 2], Origin::Group), [Arrival::Known; 2]);
        assert_eq!(arrivals.admit(7, Origin::Group, NOW), Arrival::Copied);
        arrivals.restart(1 << 40, Origin::Group, NOW);
        assert_eq!(arrivals.admit(1 << 40, Origin::Group, NOW), Arrival::Known);
        assert_eq!(arrivals.admit(1 << 40, Origin::Loopback, NOW), Arrival::Copied);
    }

    #[test]
    fn a_peer_on_this_host_is_answered_over_loopback() {
        let mut arrivals = Arrivals::default();
        let timeout = Duration::from_secs(5);
        let nearest = |arrivals: &Arrivals, now| arrivals.nearest(Origin::Group, timeout, now);
        arrivals.admit(9, Origin::Group, NOW);
        assert_eq!(nearest(&arrivals, NOW), Origin::Group);
        arrivals.admit(8, Origin::Loopback, NOW);
        assert_eq!(nearest(&arrivals, NOW), Origin::Group, "it may be a recording");
        arrivals.admit(9, Origin::Loopback, NOW);
        assert_eq!(nearest(&arrivals, NOW), Origin::Loopback);
        assert_eq!(nearest(&arrivals, NOW.after(timeout)), Origin::Group);
        arrivals.restart(20, Origin::Group, NOW);
        assert_eq!(nearest(&arrivals, NOW), Origin::Group);
        arrivals.restart(30, Origin::Loopback, NOW);
        assert_eq!(nearest(&arrivals, NOW), Origin::Loopback);
    }
}
