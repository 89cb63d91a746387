//! The people of a world: which are different, and what the nodes say of their number.
//!
//! Owns what names a person, and the claim. Which people were counted, the observer knows.

use std::collections::BTreeSet;

use audience_meter::meter::Person;

use super::World;
use super::settle::{accounts_of, connections, events, may_add_up};

/// A person, as far as an event can know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Individual {
    /// One who has this uuid.
    Uuid(&'static str),
    /// One who comes from the address of this number.
    Client(u32),
}

impl Individual {
    /// The uuid, if there is one.
    pub(crate) fn uuid(self) -> Option<&'static str> {
        if let Self::Uuid(uuid) = self { Some(uuid) } else { None }
    }

    /// The person, as the meter is given it.
    pub(crate) fn person(self) -> Person {
        match self {
            Self::Uuid(uuid) => Person::of_uuid(uuid),
            Self::Client(number) => Person::of_client(u128::from(number).to_le_bytes(), b"a browser"),
        }
    }
}

/// The nodes agree on how many different people came to an event, as far as they are off by no more than they say. People whom
/// a node had counted that is gone may be known to none.
pub(super) fn check(world: &World) {
    for name in events(world).into_iter().filter(|_| may_add_up(world)) {
        if world.observer.has_departures() && world.nodes.iter().all(|node| connections(node, name) == 0) {
            continue;
        }
        let books = world.nodes.iter().map(|node| &node.book).chain(&world.observer.departed);
        let people: BTreeSet<_> = books.flat_map(|book| book.people(name)).collect();
        let people = people.len() as u64;
        let told: Vec<_> = world.nodes.iter().map(|node| accounts_of(world, node, name).reach).collect();
        let context = format!("{name}: {told:?}, truly {people}");
        for reach in told.iter().flatten() {
            assert_eq!(Some(*reach), told[0], "{context}");
            assert!(reach.people <= people + reach.error, "{context}");
            let is_lost = world.observer.has_departures();
            assert!(is_lost || reach.people + reach.error >= people, "{context}");
        }
        assert!(told.iter().all(Option::is_some) || told.iter().all(Option::is_none), "{context}");
    }
}
