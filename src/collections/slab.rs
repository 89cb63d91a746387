//! A table that hands out its places: O(1) insert and remove. Freed places are used again, and the last freed comes first.
//!
//! Places lie in chunks, which never move: a table of 100,000 namespaces that doubled would be copied for 4 ms, and would be
//! half empty afterwards.
//!
//! Owns its values. It keeps no generations: the holder of a key knows when the value went. (A connection is freed in one
//! place, at the end of a turn, and nothing that names it survives the turn.)
//!
//! Invariant: the vacant places form one chain from `free`, and `len` counts the others.

use super::key::Key;

/// The places of a chunk, as a power of two: below that a chunk grows like any vector.
const CHUNK_BITS: u32 = 10;
const CHUNK: usize = 1 << CHUNK_BITS;

/// Values under keys that the table chose.
#[derive(Debug)]
pub struct Slab<K, T> {
    /// All but the last are full.
    chunks: Vec<Vec<Place<K, T>>>,
    /// The place that was freed last.
    free: Option<K>,
    len: usize,
}

#[derive(Debug)]
enum Place<K, T> {
    Vacant { next_free: Option<K> },
    Occupied(T),
}

impl<K, T> Default for Slab<K, T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), free: None, len: 0 }
    }
}

impl<K: Key, T> Slab<K, T> {
    /// The memory of one place in bytes.
    pub const PLACE_BYTES: usize = size_of::<Place<K, T>>();

    /// The number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The number of places, vacant ones included: the index of the first key that was never used.
    #[must_use]
    pub fn place_count(&self) -> usize {
        self.chunks.last().map_or(0, |last| (self.chunks.len() - 1) * CHUNK + last.len())
    }

    /// The key that the next value will be stored under.
    ///
    /// # Panics
    /// At 2^32 - 1 values, which no process has the descriptors or the memory for.
    #[must_use]
    pub fn next_key(&self) -> K {
        self.free.unwrap_or_else(|| K::from_index(self.place_count()).expect("a table has less than 2^32 - 1 places"))
    }

    /// Stores a value and returns its key.
    ///
    /// # Panics
    /// As [`next_key`](Self::next_key).
    pub fn insert(&mut self, value: T) -> K {
        let key = self.next_key();
        self.len += 1;
        if self.free.is_none() {
            self.push(Place::Occupied(value));
            return key;
        }
        let place = self.place_mut(key).map(|place| std::mem::replace(place, Place::Occupied(value)));
        let Some(Place::Vacant { next_free }) = place else { unreachable!("the free chain holds vacant places only") };
        self.free = next_free;
        key
    }

    /// Takes the value at `key` out, if there is one.
    pub fn remove(&mut self, key: K) -> Option<T> {
        let next_free = self.free;
        let place = self.place_mut(key)?;
        if matches!(place, Place::Vacant { .. }) {
            return None;
        }
        let Place::Occupied(value) = std::mem::replace(place, Place::Vacant { next_free }) else {
            unreachable!("seen to be occupied above")
        };
        self.free = Some(key);
        self.len -= 1;
        Some(value)
    }

    /// The value at `key`, if there is one.
    #[must_use]
    pub fn get(&self, key: K) -> Option<&T> {
        let index = key.index();
        match self.chunks.get(index >> CHUNK_BITS)?.get(index % CHUNK) {
            Some(Place::Occupied(value)) => Some(value),
            _ => None,
        }
    }

    /// The value at `key`, if there is one, to change.
    pub fn get_mut(&mut self, key: K) -> Option<&mut T> {
        match self.place_mut(key) {
            Some(Place::Occupied(value)) => Some(value),
            _ => None,
        }
    }

    /// The value at a key that is known to name one.
    ///
    /// # Panics
    /// If it names none.
    #[must_use]
    pub fn at(&self, key: K) -> &T {
        self.get(key).expect("the key names a value")
    }

    /// The value at a key that is known to name one, to change.
    ///
    /// # Panics
    /// If it names none.
    pub fn at_mut(&mut self, key: K) -> &mut T {
        self.get_mut(key).expect("the key names a value")
    }

    /// All values from the key `from` on, in the order of their keys: a walk that can stop and be taken up again.
    pub fn iter_from(&self, from: K) -> impl Iterator<Item = (K, &T)> {
        let from = from.index();
        let chunks = self.chunks.get(from >> CHUNK_BITS..).unwrap_or_default();
        (from..).zip(chunks.iter().flatten().skip(from % CHUNK)).filter_map(|(index, place)| match place {
            Place::Occupied(value) => Some((K::from_index(index)?, value)),
            Place::Vacant { .. } => None,
        })
    }

    /// All values, in the order of their keys, to change.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (K, &mut T)> {
        (0..).zip(self.chunks.iter_mut().flatten()).filter_map(|(index, place)| match place {
            Place::Occupied(value) => Some((K::from_index(index)?, value)),
            Place::Vacant { .. } => None,
        })
    }

    /// All values, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (K, &T)> {
        self.iter_from(K::FIRST)
    }

    fn place_mut(&mut self, key: K) -> Option<&mut Place<K, T>> {
        let index = key.index();
        self.chunks.get_mut(index >> CHUNK_BITS)?.get_mut(index % CHUNK)
    }

    fn push(&mut self, place: Place<K, T>) {
        match self.chunks.last_mut() {
            Some(last) if last.len() < CHUNK => last.push(place),
            // The first one may remain the only one.
            None => self.chunks.push(vec![place]),
            Some(_) => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(place);
                self.chunks.push(chunk);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collections::key::key_type;

    key_type! {
        /// A key of the table under test.
        TestId
    }

    fn id(number: u32) -> TestId {
        TestId::new(number)
    }

    #[test]
    fn places_are_used_again_and_walks_skip_the_vacant_ones() {
        let mut slab = Slab::default();
        let keys: Vec<TestId> = "abcd".chars().map(|letter| slab.insert(letter)).collect();
        assert_eq!(keys, [0, 1, 2, 3].map(id));
        assert_eq!(slab.remove(id(1)), Some('b'));
        assert_eq!(slab.remove(id(1)), None, "a value leaves once");
        assert_eq!(slab.remove(id(9)), None);
        assert_eq!(slab.remove(id(2)), Some('c'));
        assert_eq!(slab.len(), 2);
        assert_eq!(slab.iter().collect::<Vec<_>>(), [(id(0), &'a'), (id(3), &'d')]);
        assert_eq!(slab.iter_from(id(1)).collect::<Vec<_>>(), [(id(3), &'d')]);
        assert_eq!(slab.iter_from(id(7)).count(), 0);
        assert_eq!(slab.next_key(), id(2));
        assert_eq!((slab.insert('e'), slab.insert('f'), slab.insert('g')), (id(2), id(1), id(4)));
        assert_eq!(*slab.at(id(2)), 'e');
        *slab.at_mut(id(2)) = 'x';
        assert_eq!(slab.get(id(2)), Some(&'x'));
        assert_eq!(slab.get_mut(id(17)), None);
        assert!(!slab.is_empty());
    }

    #[test]
    fn chunks_are_one_table() {
        let places = 3 * CHUNK + 5;
        let at = |index: usize| TestId::from_index(index).unwrap();
        let mut slab = Slab::default();
        for index in 0..places {
            assert_eq!(slab.place_count(), index);
            assert_eq!(slab.insert(index), at(index));
        }
        assert_eq!((slab.len(), slab.place_count()), (places, places));
        let edges = [0, CHUNK - 1, CHUNK, 2 * CHUNK - 1, 2 * CHUNK, 3 * CHUNK + 4];
        for index in edges {
            let key = at(index);
            assert_eq!(slab.get(key), Some(&index));
            assert_eq!(slab.iter_from(key).count(), places - index);
            assert_eq!(slab.iter_from(key).next(), Some((key, &index)));
            assert_eq!(slab.remove(key), Some(index));
            assert_ne!(slab.iter_from(key).next().map(|(next, _)| next), Some(key));
        }
        for (key, value) in slab.iter_mut() {
            assert_eq!(key.index(), *value);
        }
        assert_eq!(slab.iter().count(), slab.len());
        for index in edges.into_iter().rev() {
            assert_eq!(slab.insert(7), at(index), "last freed first");
        }
        assert_eq!(slab.insert(8), at(places));
        assert!(slab.get(at(places + 1)).is_none() && slab.iter_from(at(places + 1)).next().is_none());
    }
}
