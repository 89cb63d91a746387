//! How many members each address has here, and which of them are counted.
//!
//! Owns the limit on members of one address (`--max-conn-per-ip`). Past it a member gets its stream all the same, for
//! behind one address there may be a school; it is not counted, for there may also be one person with a script. The
//! member that has waited longest is counted when another of its address leaves.
//!
//! Owners of IPv6 addresses have a whole /64 each (RFC 6177 section 2), so that counts as one address.
//!
//! Invariant: of each address all members are counted, up to the limit; and of a member that is gone nothing is left.

use std::net::{IpAddr, Ipv4Addr};

use crate::collections::dense::Dense;
use crate::collections::key::key_type;
use crate::collections::list::{Link, Linked, List};
use crate::collections::shards::ShardMap;
use crate::collections::slab::Slab;
use crate::meter::MemberId;

/// The parts in which addresses are looked up, so that none takes long to grow.
pub(super) const ADDRESS_SHARDS: usize = 64;

/// What counts as one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Address {
    V4(Ipv4Addr),
    /// The first 64 bits.
    V6(u64),
}

impl Address {
    pub(super) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self::V6([a, b, c, d].into_iter().fold(0, |network, part| network << 16 | u64::from(part)))
            }
        }
    }
}

/// An address that has members.
#[derive(Debug)]
struct Entry {
    address: Address,
    counted: usize,
    /// Its members that are not counted, in the order in which they came.
    uncounted: List<MemberId>,
}

key_type! {
    /// The key of an address that has members.
    EntryId
}

/// A member's place at its address.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    link: Link<MemberId>,
    /// Its address; `None` while there is no member under this key.
    entry: Option<EntryId>,
    is_counted: bool,
}

impl Linked<MemberId> for Place {
    fn link(&self) -> &Link<MemberId> {
        &self.link
    }
    fn link_mut(&mut self) -> &mut Link<MemberId> {
        &mut self.link
    }
}

/// All addresses that have members.
pub(super) struct Addresses {
    /// Most members of each that are counted.
    counted_max: usize,
    by_address: ShardMap<Address, EntryId>,
    entries: Slab<EntryId, Entry>,
    places: Dense<MemberId, Place>,
}

impl Addresses {
    /// No members; of each address `counted_max` will be counted at most.
    pub(super) fn new(counted_max: usize) -> Self {
        let by_address = ShardMap::new(ADDRESS_SHARDS);
        Self { counted_max, by_address, entries: Slab::default(), places: Dense::default() }
    }

    /// A member of this address comes. Returns whether it is counted.
    pub(super) fn enter(&mut self, id: MemberId, address: IpAddr) -> bool {
        let address = Address::of(address);
        let key = self.by_address.get(&address).copied().unwrap_or_else(|| {
            let key = self.entries.insert(Entry { address, counted: 0, uncounted: List::EMPTY });
            self.by_address.insert(address, key);
            key
        });
        let entry = self.entries.at_mut(key);
        let is_counted = entry.counted < self.counted_max;
        *self.places.reach(id) = Place { link: Link::UNLINKED, entry: Some(key), is_counted };
        if is_counted {
            entry.counted += 1;
        } else {
            entry.uncounted.push_back(&mut self.places, id);
        }
        is_counted
    }

    /// A member is gone, or counts no more. Returns the one that is counted in its place. Leaving twice is leaving once.
    pub(super) fn leave(&mut self, id: MemberId) -> Option<MemberId> {
        let place = self.places.get_mut(id)?;
        let (key, was_counted) = (place.entry.take()?, place.is_counted);
        let entry = self.entries.at_mut(key);
        if !was_counted {
            entry.uncounted.remove(&mut self.places, id);
            return None;
        }
        if let Some(next) = entry.uncounted.pop_front(&mut self.places) {
            self.places.at_mut(next).is_counted = true;
            return Some(next);
        }
        entry.counted -= 1;
        if entry.counted == 0 {
            let address = entry.address;
            self.entries.remove(key);
            self.by_address.remove(&address);
        }
        None
    }

    /// Whether no address has a member.
    pub(super) fn is_empty(&self) -> bool {
        self.by_address.len() == 0 && self.entries.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collections::key::Key as _;

    fn leave(addresses: &mut Addresses, id: u32) -> Option<u32> {
        addresses.leave(MemberId::new(id)).map(|next| next.place().get())
    }

    fn enter(addresses: &mut Addresses, id: u32, address: &str) -> bool {
        addresses.enter(MemberId::new(id), address.parse().unwrap())
    }

    #[test]
    fn all_are_counted_up_to_the_limit() {
        let mut addresses = Addresses::new(2);
        let counted: Vec<bool> = (0..5).map(|id| enter(&mut addresses, id, "192.0.2.1")).collect();
        assert_eq!(counted, [true, true, false, false, false]);
        assert!(enter(&mut addresses, 9, "192.0.2.2"), "another address");
        assert_eq!(leave(&mut addresses, 3), None, "it was not counted");
        assert_eq!(leave(&mut addresses, 0), Some(2), "the one that has waited longest");
        assert_eq!(leave(&mut addresses, 0), None, "leaving twice is leaving once");
        assert_eq!(leave(&mut addresses, 2), Some(4));
        assert_eq!((leave(&mut addresses, 4), leave(&mut addresses, 1)), (None, None));
        assert_eq!(leave(&mut addresses, 7), None, "it was not there");
        assert_eq!((addresses.by_address.len(), addresses.entries.len()), (1, 1));
        assert!(enter(&mut addresses, 0, "192.0.2.1"), "a place is free again");
    }

    #[test]
    fn an_ipv6_network_of_64_bits_is_one_address_and_a_mapped_address_is_ipv4() {
        for (first, second, is_one) in [
            ("2001:db8::1", "2001:db8::ffff:1", true),
            ("2001:db8:0:1::1", "2001:db8:0:2::1", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("::1", "0.0.0.1", false),
        ] {
            let mut addresses = Addresses::new(1);
            assert!(enter(&mut addresses, 0, first));
            assert_eq!(!enter(&mut addresses, 1, second), is_one, "{first} and {second}");
        }
    }

    #[test]
    fn members_of_many_addresses_come_and_go_and_nothing_is_left() {
        let mut addresses = Addresses::new(3);
        for round in 0..3_u32 {
            for id in 0..1_000 {
                let [a, b, c, d] = (id % 100 + round).to_be_bytes();
                addresses.enter(MemberId::new(id), IpAddr::from([a, b, c, d]));
            }
            let counted = (0..1_000).filter(|&id| addresses.places.at(MemberId::new(id)).is_counted).count();
            assert_eq!(counted, 300);
            for id in (0..1_000).rev() {
                leave(&mut addresses, id);
            }
            assert!(addresses.is_empty());
        }
    }
}
