//! How much each address has of what there is for watchers.
//!
//! Owns which watcher has how much: a slot for its stream at a port, and patterns, which all ports share. An address gets more
//! while it has less than is free. So one address has half at most, two have three quarters, and some is left for the next.
//!
//! A watcher comes seldom and costs far more than a look along those that are there: for 15,000 of them it takes some 15 us.
//!
//! Invariant: each watcher is held once, from when it comes until it is gone.

use std::net::{IpAddr, Ipv4Addr};

use super::addresses::Address;
use crate::meter::watches::{Pattern, WatcherId};

/// A watcher that is about to begin.
#[derive(Clone, Copy, Debug)]
pub(in crate::server) struct Watching<'a> {
    pub(in crate::server) watcher: WatcherId,
    pub(in crate::server) patterns: &'a [Pattern<'a>],
    /// Patterns that are left to others.
    pub(in crate::server) reserved_patterns: usize,
    /// The address of its client, and the number of the port where it has come.
    pub(in crate::server) origin: (Option<IpAddr>, usize),
    /// How many slots there are at the port.
    pub(in crate::server) free_slots: usize,
}

/// What a watcher has, and whose it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    watcher: WatcherId,
    address: Address,
    /// The number of the port.
    port: usize,
    patterns: usize,
}

impl Held {
    /// What a watcher would have. A peer without an address has gone already.
    pub(super) fn new(watching: &Watching<'_>) -> Self {
        let Watching { watcher, patterns, origin: (address, port), .. } = *watching;
        let address = Address::of(address.unwrap_or(Ipv4Addr::UNSPECIFIED.into()));
        Self { watcher, address, port, patterns: patterns.len() }
    }
}

/// What is free for watchers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Free {
    /// Streams at the port.
    pub(super) slots: usize,
    pub(super) patterns: usize,
}

/// What all watchers have.
#[derive(Debug, Default)]
pub(super) struct Shares {
    held: Vec<Held>,
}

impl Shares {
    /// Whether the address of a watcher may have what that one wants, beside what it has.
    pub(super) fn admit(&self, wanted: &Held, free: Free) -> bool {
        let (mut streams, mut patterns) = (0, wanted.patterns);
        for held in self.held.iter().filter(|held| held.address == wanted.address) {
            streams += usize::from(held.port == wanted.port);
            patterns += held.patterns;
        }
        streams < free.slots && patterns <= free.patterns
    }

    /// A watcher comes that was admitted.
    pub(super) fn enter(&mut self, held: Held) {
        self.held.push(held);
    }

    /// A watcher is gone.
    pub(super) fn leave(&mut self, watcher: WatcherId) {
        if let Some(place) = self.held.iter().position(|held| held.watcher == watcher) {
            self.held.swap_remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collections::key::Key as _;

    const AUDIENCE: usize = 0;
    const STATS: usize = 1;

    fn wanted(id: u32, address: &str, port: usize, patterns: usize) -> Held {
        Held { watcher: WatcherId::new(id), address: Address::of(address.parse().unwrap()), port, patterns }
    }

    /// How many streams with this number of patterns each address gets, one address after the other.
    fn shares(addresses: &[&str], slots: usize, pattern_count: usize, patterns: usize) -> Vec<usize> {
        let (mut shares, mut next) = (Shares::default(), 0);
        let mut enter = |address: &str| {
            let held: usize = shares.held.iter().map(|held| held.patterns).sum();
            let free = Free { slots: slots - shares.held.len(), patterns: pattern_count - held };
            next += 1;
            let wanted = wanted(next, address, STATS, patterns);
            let is_admitted = shares.admit(&wanted, free);
            if is_admitted {
                shares.enter(wanted);
            }
            is_admitted
        };
        addresses.iter().map(|address| (0..2 * slots).filter(|_| enter(address)).count()).collect()
    }

    #[test]
    fn an_address_has_half_of_what_others_leave() {
        let addresses = ["127.0.0.1", "192.0.2.1", "2001:db8::1", "2001:db8::2", "192.0.2.2"];
        assert_eq!(shares(&addresses, 3, 1_000, 1), [2, 1, 0, 0, 0]);
        assert_eq!(shares(&addresses, 39, 1_000, 1), [20, 10, 5, 0, 2], "an IPv6 network of 64 bits is one address");
        assert_eq!(shares(&addresses, 1_000, 15_360, 64), [120, 60, 30, 0, 15]);
    }

    #[test]
    fn what_a_watcher_had_is_its_addresses_again() {
        let mut shares = Shares::default();
        let (last, one) = (Free { slots: 1, patterns: 100 }, wanted(1, "192.0.2.1", AUDIENCE, 1));
        shares.enter(wanted(0, "192.0.2.1", AUDIENCE, 1));
        assert!(!shares.admit(&one, last) && shares.admit(&one, Free { slots: 2, ..last }));
        assert!(shares.admit(&wanted(2, "192.0.2.1", STATS, 1), last), "ports are apart");
        shares.leave(WatcherId::new(1));
        assert!(!shares.admit(&one, last), "it had nothing");
        shares.leave(WatcherId::new(0));
        assert!(shares.admit(&one, last) && shares.held.is_empty());
    }
}
