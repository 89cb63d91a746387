//! A table that hands out its places: O(1) insert and remove, freed places are used again, last freed first.
//!
//! Places lie in chunks, which never move: one table of 100,000 namespaces that doubles would be copied for 4 ms, and be
//! half empty afterwards.
//!
//! Owns its values. It keeps no generations: whoever holds a key knows when the value went (a connection is freed in one
//! place, at the end of a turn, and nothing that names it survives the turn).
//!
//! Invariant: the vacant places form one chain from `free`, and `len` counts the others.

use super::{Key, NONE};

/// The places of a chunk, as a power of two: below that a chunk grows like any vector.
const CHUNK_BITS: u32 = 10;
const CHUNK: usize = 1 << CHUNK_BITS;

/// Values under keys that the table chose.
#[derive(Debug)]
pub struct Slab<T> {
    /// All but the last are full.
    chunks: Vec<Vec<Place<T>>>,
    free: Key,
    len: usize,
}

#[derive(Debug)]
enum Place<T> {
    Vacant { next_free: Key },
    Occupied(T),
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), free: NONE, len: 0 }
    }
}

impl<T> Slab<T> {
    /// The memory of one place in bytes.
    pub const PLACE_BYTES: usize = size_of::<Place<T>>();

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

    /// The first key that was never used.
    #[must_use]
    pub fn next_unused(&self) -> Key {
        Key::try_from(self.places()).unwrap_or(NONE)
    }

    /// The key that the next value will be stored under.
    ///
    /// # Panics
    /// At 2^32 - 1 values, which no process has the descriptors or the memory for.
    #[must_use]
    pub fn next_key(&self) -> Key {
        match self.free {
            NONE => Key::try_from(self.places()).expect("a table has less than 2^32 places"),
            free => free,
        }
    }

    /// Stores a value and returns its key.
    ///
    /// # Panics
    /// As [`next_key`](Self::next_key).
    pub fn insert(&mut self, value: T) -> Key {
        let key = self.next_key();
        self.len += 1;
        if self.free == NONE {
            self.push(Place::Occupied(value));
            return key;
        }
        let place = self.place_mut(key).map(|place| std::mem::replace(place, Place::Occupied(value)));
        let Some(Place::Vacant { next_free }) = place else { unreachable!("the free chain holds vacant places only") };
        self.free = next_free;
        key
    }

    /// Takes the value at `key` out, if there is one.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        let next_free = self.free;
        let place = self.place_mut(key)?;
        if matches!(place, Place::Vacant { .. }) {
            return None;
        }
        let Place::Occupied(value) = std::mem::replace(place, Place::Vacant { next_free }) else {
            unreachable!("seen to be occupied above")
        };
        self.free = key;
        self.len -= 1;
        Some(value)
    }

    /// The value at `key`, if there is one.
    #[must_use]
    pub fn get(&self, key: Key) -> Option<&T> {
        match self.chunks.get(key as usize >> CHUNK_BITS)?.get(key as usize % CHUNK) {
            Some(Place::Occupied(value)) => Some(value),
            _ => None,
        }
    }

    /// The value at `key`, if there is one, to change.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
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
    pub fn at(&self, key: Key) -> &T {
        self.get(key).expect("the key names a value")
    }

    /// The value at a key that is known to name one, to change.
    ///
    /// # Panics
    /// If it names none.
    pub fn at_mut(&mut self, key: Key) -> &mut T {
        self.get_mut(key).expect("the key names a value")
    }

    /// All values from the key `from` on, in the order of their keys: a walk that can stop and be taken up again.
    pub fn iter_from(&self, from: Key) -> impl Iterator<Item = (Key, &T)> {
        let chunks = self.chunks.get(from as usize >> CHUNK_BITS..).unwrap_or_default();
        (from..).zip(chunks.iter().flatten().skip(from as usize % CHUNK)).filter_map(|(key, place)| match place {
            Place::Occupied(value) => Some((key, value)),
            Place::Vacant { .. } => None,
        })
    }

    /// All values, in the order of their keys, to change.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Key, &mut T)> {
        (0..).zip(self.chunks.iter_mut().flatten()).filter_map(|(key, place)| match place {
            Place::Occupied(value) => Some((key, value)),
            Place::Vacant { .. } => None,
        })
    }

    /// All values, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        self.iter_from(0)
    }

    /// The number of places, vacant ones included.
    fn places(&self) -> usize {
        self.chunks.last().map_or(0, |last| (self.chunks.len() - 1) * CHUNK + last.len())
    }

    fn place_mut(&mut self, key: Key) -> Option<&mut Place<T>> {
        self.chunks.get_mut(key as usize >> CHUNK_BITS)?.get_mut(key as usize % CHUNK)
    }

    fn push(&mut self, place: Place<T>) {
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

    #[test]
    fn places_are_used_again_and_walks_skip_the_vacant_ones() {
        let mut slab = Slab::default();
        let keys: Vec<Key> = "abcd".chars().map(|letter| slab.insert(letter)).collect();
        assert_eq!(keys, [0, 1, 2, 3]);
        assert_eq!(slab.remove(1), Some('b'));
        assert_eq!(slab.remove(1), None, "a value leaves once");
        assert_eq!(slab.remove(9), None);
        assert_eq!(slab.remove(2), Some('c'));
        assert_eq!(slab.len(), 2);
        assert_eq!(slab.iter().collect::<Vec<_>>(), [(0, &'a'), (3, &'d')]);
        assert_eq!(slab.iter_from(1).collect::<Vec<_>>(), [(3, &'d')]);
        assert_eq!(slab.iter_from(7).count(), 0);
        assert_eq!(slab.next_key(), 2);
        assert_eq!((slab.insert('e'), slab.insert('f'), slab.insert('g')), (2, 1, 4));
        assert_eq!(*slab.at(2), 'e');
        *slab.at_mut(2) = 'x';
        assert_eq!(slab.get(2), Some(&'x'));
        assert_eq!(slab.get_mut(17), None);
        assert!(!slab.is_empty());
    }

    #[test]
    fn chunks_are_one_table() {
        let places = Key::try_from(3 * CHUNK + 5).unwrap();
        let mut slab = Slab::default();
        for key in 0..places {
            assert_eq!(slab.next_unused(), key);
            assert_eq!(slab.insert(u64::from(key)), key);
        }
        assert_eq!((slab.len(), slab.next_unused()), (3 * CHUNK + 5, places));
        let edges =
            [0, CHUNK - 1, CHUNK, 2 * CHUNK - 1, 2 * CHUNK, 3 * CHUNK + 4].map(|key| Key::try_from(key).unwrap());
        for key in edges {
            assert_eq!(slab.get(key), Some(&u64::from(key)));
            assert_eq!(slab.iter_from(key).count(), usize::try_from(places - key).unwrap());
            assert_eq!(slab.iter_from(key).next(), Some((key, &u64::from(key))));
            assert_eq!(slab.remove(key), Some(u64::from(key)));
            assert_ne!(slab.iter_from(key).next().map(|(next, _)| next), Some(key));
        }
        for (key, value) in slab.iter_mut() {
            assert_eq!(u64::from(key), *value);
        }
        assert_eq!(slab.iter().count(), slab.len());
        for key in edges.into_iter().rev() {
            assert_eq!(slab.insert(7), key, "last freed first");
        }
        assert_eq!(slab.insert(8), places);
        assert!(slab.get(places + 1).is_none() && slab.iter_from(places + 1).next().is_none());
    }
}
