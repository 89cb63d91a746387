//! Which history gives up its place first.
//!
//! Owns the order of the rings: an event without members comes before one with members. Of those without members, the ones
//! come first that never had two at once, because a name that is asked for once costs a stranger nothing; of these, and of
//! the others, the one that has been empty longest. Of the events with members, the one with the fewest now.
//!
//! It does not know what a ring holds.
//!
//! The order is a heap, and each ring knows its place in it. A total that changes by one moves a ring by few places, and by
//! 17 at most, of 100,000 rings.
//!
//! Invariant: no ring ranks below the one above it in the heap, and `places` names the place of each.

use std::marker::PhantomData;

use crate::collections::key::{Index, Key};
use crate::collections::sections::{Reader, Writer};
use crate::collections::tick::Tick;

/// How much a ring is worth; the one that is worth least goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::meter) enum Worth {
    /// Its event has been empty since then, and never had two members at once.
    Trifle(Tick),
    /// Its event has been empty since then.
    Vacant(Tick),
    /// Its event has this number of members.
    Alive(u64),
}

impl Worth {
    pub(in crate::meter) fn write(self, out: &mut Writer) {
        let (kind, number) = match self {
            Self::Trifle(since) => (0, since.0),
            Self::Vacant(since) => (1, since.0),
            Self::Alive(total) => (2, total),
        };
        out.number(kind);
        out.number(number);
    }

    pub(in crate::meter) fn read(from: &mut Reader<'_>) -> Self {
        let (kind, number) = (from.number(), from.number());
        from.check(kind <= 2, "a ring of an unknown worth");
        match kind {
            0 => Self::Trifle(Tick(number)),
            1 => Self::Vacant(Tick(number)),
            _ => Self::Alive(number),
        }
    }

    /// Whether it takes the place of the ring that is worth `other`: any event with members that of an event without, and else
    /// one that is a quarter larger. (Two events of about the same size would take it from each other all the time, and
    /// neither would have a history.)
    pub(in crate::meter) fn displaces(self, other: Self) -> bool {
        match (self, other) {
            (Self::Alive(total), Self::Alive(least)) => total > least + least / 4,
            (Self::Alive(_), _) => true,
            _ => false,
        }
    }
}

/// The rings in the order in which they give up their places, by the keys of their table.
#[derive(Debug)]
pub(in crate::meter) struct Precedence<K> {
    order: Order,
    keys: PhantomData<K>,
}

impl<K> Default for Precedence<K> {
    fn default() -> Self {
        Self { order: Order::default(), keys: PhantomData }
    }
}

impl<K: Key> Precedence<K> {
    /// The ring that goes first, and what it is worth.
    pub(in crate::meter) fn first(&self) -> Option<(K, Worth)> {
        self.order.heap.first().map(|ranked| (K::of(ranked.id), ranked.worth))
    }

    /// Adds a ring, which is not in the order.
    pub(in crate::meter) fn insert(&mut self, id: K, worth: Worth) {
        self.order.insert(id.place(), worth);
    }

    /// Sets what a ring of the order is worth.
    pub(in crate::meter) fn set(&mut self, id: K, worth: Worth) {
        self.order.set(id.place(), worth);
    }

    /// What a ring of the order is worth.
    pub(in crate::meter) fn worth(&self, id: K) -> Worth {
        let place = self.order.place_of(id.place());
        self.order.heap.get(place).expect("the ring is in the order").worth
    }

    /// Takes the ring out that goes first; returns it.
    pub(in crate::meter) fn remove_first(&mut self) -> Option<K> {
        let (id, _) = self.first()?;
        self.remove(id);
        Some(id)
    }

    /// Takes a ring of the order out.
    pub(in crate::meter) fn remove(&mut self, id: K) {
        self.order.remove(id.place());
    }

    /// The number of rings.
    #[cfg(test)]
    pub(in crate::meter) fn len(&self) -> usize {
        self.order.heap.len()
    }
}

#[derive(Clone, Copy, Debug)]
struct Ranked {
    worth: Worth,
    id: Index,
}

/// The same for all tables: one copy of the code.
#[derive(Debug, Default)]
struct Order {
    heap: Vec<Ranked>,
    /// Where in the heap each ring is.
    places: Vec<usize>,
}

impl Order {
    fn insert(&mut self, id: Index, worth: Worth) {
        let last = self.heap.len();
        self.heap.push(Ranked { worth, id });
        let places = self.places.len().max(id.get() as usize + 1);
        self.places.resize(places, 0);
        self.put(id, last);
        self.rise(last);
    }

    fn set(&mut self, id: Index, worth: Worth) {
        let place = self.place_of(id);
        if let Some(ranked) = self.heap.get_mut(place) {
            ranked.worth = worth;
            let place = self.rise(place);
            self.sink(place);
        }
    }

    fn remove(&mut self, id: Index) {
        let place = self.place_of(id);
        self.swap(place, self.heap.len() - 1);
        self.heap.pop();
        let place = self.rise(place);
        self.sink(place);
    }

    fn place_of(&self, id: Index) -> usize {
        self.places.get(id.get() as usize).copied().expect("the ring is in the order")
    }

    fn put(&mut self, id: Index, place: usize) {
        *self.places.get_mut(id.get() as usize).expect("the ring is in the order") = place;
    }

    /// Moves a ring up to where it belongs; returns its place.
    fn rise(&mut self, mut place: usize) -> usize {
        while place > 0 && self.is_before(place, (place - 1) / 2) {
            self.swap(place, (place - 1) / 2);
            place = (place - 1) / 2;
        }
        place
    }

    /// Moves a ring down to where it belongs.
    fn sink(&mut self, mut place: usize) {
        loop {
            let (left, right) = (2 * place + 1, 2 * place + 2);
            let least = if self.is_before(right, left) { right } else { left };
            if !self.is_before(least, place) {
                return;
            }
            self.swap(place, least);
            place = least;
        }
    }

    /// Whether there is a ring at `place`, and it goes before the one at `other`.
    fn is_before(&self, place: usize, other: usize) -> bool {
        let (Some(one), Some(other)) = (self.heap.get(place), self.heap.get(other)) else { return false };
        one.worth < other.worth
    }

    fn swap(&mut self, place: usize, other: usize) {
        self.heap.swap(place, other);
        for place in [place, other] {
            if let Some(ranked) = self.heap.get(place) {
                self.put(ranked.id, place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collections::key::key_type;

    key_type! {
        RingId
    }

    #[test]
    fn the_first_is_what_a_walk_over_all_finds() {
        let mut order = Precedence::<RingId>::default();
        let mut twin: Vec<Option<Worth>> = vec![None; 40];
        let mut random = 5_u64;
        let mut below = |limit: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % limit
        };
        for _ in 0..20_000 {
            let number = below(10);
            let worth = [Worth::Trifle(Tick(number)), Worth::Vacant(Tick(number)), Worth::Alive(number)];
            let worth = worth[usize::try_from(below(3)).unwrap()];
            let id = u32::try_from(below(40)).unwrap();
            if below(9) == 0 && twin[id as usize].take().is_some() {
                order.remove(RingId::new(id));
            } else if below(5) == 0 {
                let first = order.first();
                let least = twin.iter().flatten().min().copied();
                assert_eq!(first.map(|(_, worth)| worth), least);
                assert_eq!(order.remove_first(), first.map(|(id, _)| id));
                if let Some((id, worth)) = first {
                    assert_eq!(twin[id.index()].take(), Some(worth));
                }
            } else if twin[id as usize].replace(worth).is_none() {
                order.insert(RingId::new(id), worth);
            } else {
                order.set(RingId::new(id), worth);
            }
            assert_eq!(order.len(), twin.iter().flatten().count());
        }
    }

    #[test]
    fn an_event_with_members_takes_the_place_of_one_without_or_of_a_smaller_one() {
        let (trifle, vacant) = (Worth::Trifle(Tick(9)), Worth::Vacant(Tick(1)));
        assert!(trifle < vacant && vacant < Worth::Alive(1));
        for least in [trifle, vacant] {
            assert!(Worth::Alive(1).displaces(least) && !trifle.displaces(least) && !vacant.displaces(least));
        }
        for (total, least, is_larger) in
            [(1, 1, false), (2, 1, true), (5, 4, false), (6, 4, true), (1_250, 1_000, false)]
        {
            assert_eq!(Worth::Alive(total).displaces(Worth::Alive(least)), is_larger, "{total} and {least}");
        }
    }
}
