//! The addresses of other nodes that the operator has not listed.
//!
//! Owns those that have returned a nonce which was sent to them alone: host A lists host B, and B does not list A. Without them
//! B would be silent to A.
//!
//! Invariant: an address is here while datagrams come from it within the node timeout, and there are at most [`ADDRESSES_MAX`].

use std::time::Duration;

use crate::collections::sections::{Reader, Writer};
use crate::collections::tick::Tick;
use crate::meter::news::Address;

/// The most addresses that are learned.
const ADDRESSES_MAX: usize = 256;

/// Where datagrams go beside the listed addresses.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    learned: Vec<Learned>,
}

#[derive(Debug)]
struct Learned {
    address: Address,
    received_at: Tick,
}

impl Addresses {
    /// The address has returned a nonce. Where there are too many, it is not learned.
    pub(super) fn learn(&mut self, address: Address, now: Tick) {
        if !self.refresh(address, now) && self.learned.len() < ADDRESSES_MAX {
            self.learned.push(Learned { address, received_at: now });
        }
    }

    /// A datagram of a living node has come from there; returns whether the address is learned.
    pub(super) fn refresh(&mut self, address: Address, now: Tick) -> bool {
        let learned = self.learned.iter_mut().find(|learned| learned.address == address);
        learned.map(|learned| learned.received_at = now).is_some()
    }

    /// Forgets addresses from which nothing has come for this long.
    pub(super) fn forget_silent(&mut self, timeout: Duration, now: Tick) {
        self.learned.retain(|learned| learned.received_at.after(timeout) > now);
    }

    pub(super) fn write(&self, out: &mut Writer) {
        let Self { learned } = self;
        out.count(learned.len());
        for &Learned { address, received_at } in learned {
            address.write(out);
            out.tick(received_at);
        }
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        let (mut learned, mut list) = (Vec::new(), from.list());
        while from.has_next(&mut list) {
            learned.push(Learned { address: Address::read(from), received_at: from.tick() });
        }
        Self { learned }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Address> {
        self.learned.iter().map(|learned| learned.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_learned_until_it_is_silent() {
        let mut addresses = Addresses::default();
        let address = |port| Address { ip: 1, port };
        let timeout = Duration::from_secs(5);
        assert!(!addresses.refresh(address(1), Tick(0)), "it has proved nothing");
        addresses.learn(address(1), Tick(0));
        addresses.learn(address(2), Tick(0));
        assert!(addresses.refresh(address(2), Tick(400)));
        addresses.forget_silent(timeout, Tick(600));
        assert_eq!(addresses.iter().collect::<Vec<_>>(), [address(2)]);
        (0..1_000).for_each(|port| addresses.learn(address(port), Tick(600)));
        assert_eq!(addresses.iter().count(), ADDRESSES_MAX);
    }
}
