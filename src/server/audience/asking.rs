//! How often an address may have the other nodes asked whether they hold a uuid.
//!
//! Owns the limit. A page that leaves names its uuid, and any text may be one; without a limit, a client makes every node work
//! for uuids that do not exist.
//!
//! It keeps nothing of an address: addresses share a fixed number of places, and no client can foresee which of them.
//!
//! Invariant: those that share a place are let through twenty times at once, and ten times a second.

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;

use super::addresses::Address;
use crate::collections::tick::{TICK_MS, Tick};

/// Among how many places the addresses are spread, of 8 bytes each.
const PLACES: usize = 1_024;

/// What one question takes, and what may be owed before it, in ticks.
const COST: u64 = 100 / TICK_MS;
const DEBT_MAX: u64 = 20 * COST;

/// The limit of all addresses.
pub(super) struct AskLimit {
    place_of: RandomState,
    /// When what was asked by a place is paid for.
    paid_at: Box<[Tick]>,
}

impl Default for AskLimit {
    fn default() -> Self {
        Self { place_of: RandomState::new(), paid_at: vec![Tick(0); PLACES].into() }
    }
}

impl AskLimit {
    /// Whether this address may ask now; if so, it has.
    pub(super) fn admits(&mut self, address: IpAddr, now: Tick) -> bool {
        let place = self.place_of.hash_one(Address::of(address)) % PLACES as u64;
        let Some(paid_at) = usize::try_from(place).ok().and_then(|place| self.paid_at.get_mut(place)) else {
            return false;
        };
        let owed = paid_at.0.saturating_sub(now.0);
        if owed + COST > DEBT_MAX {
            return false;
        }
        *paid_at = Tick(now.0 + owed + COST);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_asks_twenty_times_at_once_and_ten_times_a_second() {
        let mut limit = AskLimit::default();
        let address: IpAddr = "192.0.2.7".parse().unwrap();
        let mut admitted = |now| (0..1_000).filter(|_| limit.admits(address, Tick(now))).count();
        assert_eq!(admitted(1_000), 20);
        assert_eq!(admitted(1_005), 0);
        assert_eq!(admitted(1_100), 10, "a second later");
        assert_eq!(admitted(9_000), 20);
    }
}
