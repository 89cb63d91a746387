//! How many of the namespaces that there are each address has made.
//!
//! Owns the limit on them (`--max-namespaces-per-ip`). Past it, a join that would make another is turned away, as where there
//! is no room. A namespace is its maker's until it is forgotten, be the member that made it there or not: names that one
//! client makes up and leaves are what the limit is for.
//!
//! Invariant: an address has an entry exactly while it has made a namespace that there is.

use std::net::IpAddr;

use super::addresses::{ADDRESS_SHARDS, Address};
use crate::collections::shards::ShardMap;
use crate::collections::slab::Slab;
use crate::meter::MakerId;

#[derive(Debug)]
struct Maker {
    address: Address,
    made: usize,
}

/// All addresses that have made a namespace.
pub(super) struct Makers {
    /// Most namespaces of each.
    made_max: usize,
    by_address: ShardMap<Address, MakerId>,
    entries: Slab<MakerId, Maker>,
}

impl Makers {
    /// No namespaces; each address may make `made_max` of them.
    pub(super) fn new(made_max: usize) -> Self {
        Self { made_max, by_address: ShardMap::new(ADDRESS_SHARDS), entries: Slab::default() }
    }

    /// Whether the address may make another namespace.
    pub(super) fn may_make(&self, address: IpAddr) -> bool {
        let maker = self.by_address.get(&Address::of(address));
        maker.is_none_or(|&maker| self.entries.at(maker).made < self.made_max)
    }

    /// The address makes another namespace, which is forgotten under this key.
    pub(super) fn make(&mut self, address: IpAddr) -> MakerId {
        let address = Address::of(address);
        let maker = self.by_address.get(&address).copied().unwrap_or_else(|| {
            let maker = self.entries.insert(Maker { address, made: 0 });
            self.by_address.insert(address, maker);
            maker
        });
        self.entries.at_mut(maker).made += 1;
        maker
    }

    /// A namespace is forgotten that was made under this key.
    pub(super) fn forget(&mut self, id: MakerId) {
        let maker = self.entries.at_mut(id);
        maker.made -= 1;
        if maker.made == 0 {
            let address = maker.address;
            self.entries.remove(id);
            self.by_address.remove(&address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_make_as_many_as_the_limit_says_and_more_when_some_are_forgotten() {
        let mut makers = Makers::new(2);
        let [here, there] = ["192.0.2.1", "2001:db8::1"].map(|address| address.parse().unwrap());
        let first = makers.make(here);
        assert!(makers.may_make(here));
        assert_eq!(makers.make(here), first);
        assert!(!makers.may_make(here) && !makers.may_make("::ffff:192.0.2.1".parse().unwrap()));
        let other = makers.make(there);
        makers.make(there);
        assert!(!makers.may_make("2001:db8::2".parse().unwrap()), "a network of 64 bits is one address");
        makers.forget(first);
        assert!(makers.may_make(here) && !makers.may_make(there));
        for maker in [first, other, other] {
            makers.forget(maker);
        }
        assert!(makers.by_address.is_empty() && makers.entries.is_empty(), "nothing is left");
    }
}
