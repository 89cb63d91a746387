//! A table that hands out its places: O(1) insert and remove, but for a look at 64 chunks at a time.
//!
//! Places lie in chunks, which never move: a table of 100,000 namespaces that doubled would be copied for 4 ms, and would be
//! half empty afterwards. A chunk without values is freed. The first chunk that has a vacant place is filled first, and there
//! the place that was freed last, so a table that was large once becomes small again. One chunk is kept in reserve, or a value
//! that comes and goes at the edge of a chunk would allocate it each time.
//!
//! Owns its values. It keeps no generations: the holder of a key knows when the value went. (A connection is freed in one
//! place, at the end of a turn, and nothing that names it survives the turn.)
//!
//! Invariant: the vacant places of a chunk form one chain from its `free`. `used` and `len` count the others. The last chunk
//! has values, and a chunk is marked in `vacant` exactly while it has less than it may have.

use super::key::Key;
use super::sections::{Reader, Writer};

/// The places of a chunk, as a power of two: below that a chunk grows like any vector.
const CHUNK_BITS: u32 = 10;
pub(super) const CHUNK: usize = 1 << CHUNK_BITS;

/// Values under keys that the table chose.
#[derive(Debug)]
pub struct Slab<K, T> {
    chunks: Vec<Chunk<K, T>>,
    vacant: Marks,
    /// The memory of a chunk that was freed.
    reserve: Vec<Place<K, T>>,
    len: usize,
}

/// Places next to each other.
#[derive(Debug)]
struct Chunk<K, T> {
    /// Those that were used since the chunk had no value.
    places: Vec<Place<K, T>>,
    /// The place that was freed last.
    free: Option<K>,
    used: usize,
}

#[derive(Debug)]
enum Place<K, T> {
    Vacant { next_free: Option<K> },
    Occupied(T),
}

impl<K, T> Default for Slab<K, T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), vacant: Marks::default(), reserve: Vec::new(), len: 0 }
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

    /// The number of places, vacant ones included: all values have keys with a lesser index.
    #[must_use]
    pub fn place_count(&self) -> usize {
        self.chunks.last().map_or(0, |last| (self.chunks.len() - 1) * CHUNK + last.places.len())
    }

    /// The key that the next value will be stored under.
    ///
    /// # Panics
    /// At 2^32 - 1 values, which no process has the descriptors or the memory for.
    #[must_use]
    pub fn next_key(&self) -> K {
        let number = self.vacant.first().unwrap_or(self.chunks.len());
        let (free, used) = self.chunks.get(number).map_or((None, 0), |chunk| (chunk.free, chunk.places.len()));
        free.or_else(|| K::from_index(number * CHUNK + used)).expect("a table has less than 2^32 - 1 places")
    }

    /// Stores a value and returns its key.
    ///
    /// # Panics
    /// As [`next_key`](Self::next_key).
    pub fn insert(&mut self, value: T) -> K {
        let key = self.next_key();
        let number = key.index() >> CHUNK_BITS;
        if number == self.chunks.len() {
            self.chunks.push(Chunk { places: Vec::new(), free: None, used: 0 });
            self.vacant.set(number, true);
        }
        let chunk = self.chunks.get_mut(number).expect("it was pushed, if there was none");
        if let Some(place) = chunk.places.get_mut(key.index() % CHUNK) {
            let before = std::mem::replace(place, Place::Occupied(value));
            let Place::Vacant { next_free } = before else { unreachable!("the chain holds vacant places only") };
            chunk.free = next_free;
        } else {
            // The first one may remain the only one.
            if chunk.places.capacity() == 0 {
                chunk.places = std::mem::take(&mut self.reserve);
                chunk.places.reserve_exact(if number > 0 { CHUNK } else { 0 });
            }
            chunk.places.push(Place::Occupied(value));
        }
        chunk.used += 1;
        if chunk.used == CHUNK {
            self.vacant.set(number, false);
        }
        self.len += 1;
        key
    }

    /// Stores a value under a key of an earlier table; returns whether that was vacant. [`mend`](Self::mend) has to follow.
    pub fn restore(&mut self, key: K, value: T) -> bool {
        let number = key.index() >> CHUNK_BITS;
        if number >= self.chunks.len() {
            self.chunks.resize_with(number + 1, || Chunk { places: Vec::new(), free: None, used: 0 });
        }
        let Some(chunk) = self.chunks.get_mut(number) else { return false };
        let index = key.index() % CHUNK;
        if index >= chunk.places.len() {
            chunk.places.resize_with(index + 1, || Place::Vacant { next_free: None });
        }
        match chunk.places.get_mut(index) {
            Some(place @ Place::Vacant { .. }) => *place = Place::Occupied(value),
            _ => return false,
        }
        chunk.used += 1;
        self.len += 1;
        true
    }

    /// Makes the places vacant that were not restored: the first of each chunk is used first.
    pub fn mend(&mut self) {
        for (number, chunk) in self.chunks.iter_mut().enumerate() {
            for (index, place) in chunk.places.iter_mut().enumerate().rev() {
                if let Place::Vacant { next_free } = place {
                    *next_free = chunk.free.take();
                    chunk.free = K::from_index(number * CHUNK + index);
                }
            }
            self.vacant.set(number, chunk.used < CHUNK);
        }
    }

    /// Writes all values with their keys.
    pub fn write(&self, out: &mut Writer, write: &mut dyn FnMut(&T, &mut Writer)) {
        out.count(self.len);
        for (key, value) in self.iter() {
            out.key(key);
            write(value, out);
        }
    }

    /// The table that was written: the same values under the same keys.
    pub fn read(from: &mut Reader<'_>, read: &mut dyn FnMut(K, &mut Reader<'_>) -> T) -> Self {
        let (mut slab, mut list) = (Self::default(), from.list());
        while from.has_next(&mut list) {
            let key = from.key();
            let value = read(key, from);
            let is_vacant = slab.restore(key, value);
            from.check(is_vacant, "one key of two values");
        }
        slab.mend();
        slab
    }

    /// Takes the value at `key` out, if there is one.
    pub fn remove(&mut self, key: K) -> Option<T> {
        let number = key.index() >> CHUNK_BITS;
        let chunk = self.chunks.get_mut(number)?;
        let place = chunk.places.get_mut(key.index() % CHUNK)?;
        if matches!(place, Place::Vacant { .. }) {
            return None;
        }
        let Place::Occupied(value) = std::mem::replace(place, Place::Vacant { next_free: chunk.free }) else {
            unreachable!("seen to be occupied above")
        };
        chunk.free = Some(key);
        chunk.used -= 1;
        self.len -= 1;
        if chunk.used == 0 {
            self.free_chunk(number);
        } else {
            self.vacant.set(number, true);
        }
        Some(value)
    }

    /// Frees a chunk without values, and those at the end of the table.
    fn free_chunk(&mut self, number: usize) {
        if let Some(chunk) = self.chunks.get_mut(number) {
            self.vacant.set(number, true);
            chunk.free = None;
            let mut places = std::mem::take(&mut chunk.places);
            places.clear();
            if places.capacity() > self.reserve.capacity() {
                self.reserve = places;
            }
        }
        while self.chunks.pop_if(|last| last.used == 0).is_some() {
            self.vacant.set(self.chunks.len(), false);
        }
    }

    /// Whether the places around this key have no value and are freed: a table with values under the same keys may free
    /// them, too.
    #[must_use]
    pub fn is_freed(&self, key: K) -> bool {
        self.chunks.get(key.index() >> CHUNK_BITS).is_none_or(|chunk| chunk.used == 0)
    }

    /// The value at `key`, if there is one.
    #[must_use]
    pub fn get(&self, key: K) -> Option<&T> {
        let index = key.index();
        match self.chunks.get(index >> CHUNK_BITS)?.places.get(index % CHUNK) {
            Some(Place::Occupied(value)) => Some(value),
            _ => None,
        }
    }

    /// The value at `key`, if there is one, to change.
    pub fn get_mut(&mut self, key: K) -> Option<&mut T> {
        let index = key.index();
        match self.chunks.get_mut(index >> CHUNK_BITS)?.places.get_mut(index % CHUNK) {
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

    /// Goes on with a walk in the order of the keys, which may stop after each value and be taken up in a later turn: returns
    /// the next value, and moves `walk` past it. `None` ends the walk or its budget.
    pub fn step(&self, walk: &mut Walk<K>) -> Option<(K, &T)> {
        let end = self.place_count();
        walk.from = walk.from.filter(|from| from.index() < end);
        while let (Some(from), true) = (walk.from, walk.budget > 0) {
            walk.budget -= 1;
            let number = from.index() >> CHUNK_BITS;
            let place = self.chunks.get(number).and_then(|chunk| chunk.places.get(from.index() % CHUNK));
            // The rest of a chunk was never used, or is freed.
            let next = if place.is_some() { from.index() + 1 } else { (number + 1) * CHUNK };
            walk.from = K::from_index(next).filter(|_| next < end);
            if let Some(Place::Occupied(value)) = place {
                return Some((from, value));
            }
        }
        None
    }

    /// All values, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (K, &T)> {
        let mut walk = Walk::new(K::FIRST, usize::MAX);
        std::iter::from_fn(move || self.step(&mut walk))
    }

    /// All values, in the order of their keys, to change.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (K, &mut T)> {
        self.chunks.iter_mut().enumerate().flat_map(|(number, chunk)| {
            (number * CHUNK..).zip(&mut chunk.places).filter_map(|(index, place)| match place {
                Place::Occupied(value) => Some((K::from_index(index)?, value)),
                Place::Vacant { .. } => None,
            })
        })
    }
}

/// A walk along a table, as far as its budget goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walk<K> {
    /// Where it goes on; `None` at its end.
    pub from: Option<K>,
    /// How many places may be looked at, vacant ones included.
    pub budget: usize,
}

impl<K: Key> Walk<K> {
    /// A walk from this key on that looks at no more than `budget` places.
    #[must_use]
    pub fn new(from: K, budget: usize) -> Self {
        Self { from: Some(from), budget }
    }
}

/// Marked numbers, of which the least is found at 64 a look: a table of 1,000,000 places has 16 such words.
#[derive(Debug, Default)]
struct Marks(Vec<u64>);

impl Marks {
    fn first(&self) -> Option<usize> {
        let (index, word) = self.0.iter().enumerate().find(|&(_, &word)| word != 0)?;
        Some(index * 64 + word.trailing_zeros() as usize)
    }

    fn set(&mut self, number: usize, is_marked: bool) {
        if self.0.len() <= number / 64 {
            self.0.resize(number / 64 + 1, 0);
        }
        let Some(word) = self.0.get_mut(number / 64) else { return };
        let bit = 1 << (number % 64);
        *word = if is_marked { *word | bit } else { *word & !bit };
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

    /// The keys of the values from this one on.
    fn keys_from(slab: &Slab<TestId, usize>, from: TestId) -> Vec<TestId> {
        let mut walk = Walk::new(from, usize::MAX);
        std::iter::from_fn(|| slab.step(&mut walk)).map(|(key, _)| key).collect()
    }

    fn at(index: usize) -> TestId {
        TestId::from_index(index).unwrap()
    }

    fn filled(places: usize) -> Slab<TestId, usize> {
        let mut slab = Slab::default();
        for index in 0..places {
            assert_eq!(slab.place_count(), index);
            assert_eq!(slab.next_key(), at(index));
            assert_eq!(slab.insert(index), at(index));
        }
        assert_eq!((slab.len(), slab.place_count()), (places, places));
        slab
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
        let mut walk = Walk::new(id(1), 9);
        assert_eq!((slab.step(&mut walk), walk.from), (Some((id(3), &'d')), None), "that is the end");
        assert_eq!((slab.step(&mut walk), walk.from), (None, None));
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
        let mut slab = filled(places);
        let edges = [0, CHUNK - 1, CHUNK, 2 * CHUNK - 1, 2 * CHUNK, 3 * CHUNK + 4];
        for index in edges {
            let key = at(index);
            assert_eq!(slab.get(key), Some(&index));
            assert_eq!(keys_from(&slab, key).len(), places - index);
            assert_eq!(keys_from(&slab, key).first(), Some(&key));
            assert_eq!(slab.remove(key), Some(index));
            assert_ne!(keys_from(&slab, key).first(), Some(&key));
        }
        for (key, value) in slab.iter_mut() {
            assert_eq!(key.index(), *value);
        }
        assert_eq!(slab.iter().count(), slab.len());
        for index in [CHUNK - 1, 0, 2 * CHUNK - 1, CHUNK, 2 * CHUNK, 3 * CHUNK + 4] {
            assert_eq!(
                slab.insert(7),
                at(index),
                "the first chunk is filled first, its last freed place before others"
            );
        }
        assert_eq!(slab.insert(8), at(places));
        assert!(slab.get(at(places + 1)).is_none() && keys_from(&slab, at(places + 1)).is_empty());
    }

    #[test]
    fn chunks_without_values_are_freed_but_for_one() {
        let mut slab = filled(5 * CHUNK);
        let memory = |slab: &Slab<TestId, usize>| {
            slab.chunks.iter().map(|chunk| chunk.places.capacity()).sum::<usize>() + slab.reserve.capacity()
        };
        assert_eq!(memory(&slab), 5 * CHUNK);
        for index in CHUNK..3 * CHUNK {
            assert!(!slab.is_freed(at(index)));
            slab.remove(at(index));
        }
        assert!(slab.is_freed(at(CHUNK)) && slab.is_freed(at(3 * CHUNK - 1)) && !slab.is_freed(at(3 * CHUNK)));
        assert_eq!((memory(&slab), slab.place_count()), (4 * CHUNK, 5 * CHUNK), "one is kept in reserve");
        assert_eq!(slab.remove(at(CHUNK)), None);
        for index in (3 * CHUNK..5 * CHUNK).rev() {
            slab.remove(at(index));
        }
        assert_eq!((memory(&slab), slab.place_count(), slab.len()), (2 * CHUNK, CHUNK, CHUNK));
        assert_eq!((slab.next_key(), slab.insert(7)), (at(CHUNK), at(CHUNK)));
        assert_eq!(memory(&slab), 2 * CHUNK, "the one in reserve is used again");
        for index in 0..CHUNK {
            slab.remove(at(index));
        }
        assert_eq!(keys_from(&slab, at(0)), [at(CHUNK)], "the only value keeps its place");
        assert_eq!((slab.insert(8), slab.remove(at(CHUNK)), slab.place_count()), (at(0), Some(7), 1));
        slab.remove(at(0));
        assert_eq!((slab.place_count(), slab.next_key()), (0, at(0)));
    }

    #[test]
    fn values_are_read_under_the_keys_that_they_were_written_under() {
        let mut slab = filled(3 * CHUNK + 5);
        for index in (CHUNK - 3..2 * CHUNK + 7).chain([0, 3 * CHUNK + 4]) {
            slab.remove(at(index));
        }
        let write = |slab: &Slab<TestId, usize>| {
            let mut out = Writer::default();
            slab.write(&mut out, &mut |&value, out| out.count(value));
            out.into_bytes()
        };
        let bytes = write(&slab);
        let mut reader = Reader::new(&bytes, 0, "slab");
        let mut again = Slab::<TestId, usize>::read(&mut reader, &mut |_, from| from.size());
        assert_eq!(reader.finish(), Ok(()));
        assert!(slab.iter().eq(again.iter()) && write(&again) == bytes);
        assert_eq!((again.place_count(), again.next_key()), (3 * CHUNK + 4, at(0)));
        for index in [0].into_iter().chain(CHUNK - 3..2 * CHUNK + 7).chain([3 * CHUNK + 4]) {
            assert_eq!(again.insert(index), at(index), "vacant places are filled from the first on");
        }
        assert_eq!(again.len(), 3 * CHUNK + 5);
    }

    #[test]
    fn a_key_that_comes_twice_is_refused_and_a_key_too_far_away_allocates_nothing() {
        let read = |bytes: &[u8]| {
            let mut reader = Reader::new(bytes, 0, "slab");
            let slab = Slab::<TestId, u64>::read(&mut reader, &mut |_, from| from.number());
            (slab.place_count(), reader.finish().is_ok())
        };
        assert_eq!(read(&[2, 0, 7, 9, 7]), (10, true));
        assert_eq!(read(&[2, 9, 7, 9, 7]), (10, false));
        assert!(!read(&[1, 0xff, 0xff, 0xff, 0xff, 0xf, 7]).1);
    }

    #[test]
    fn a_walk_looks_at_no_more_places_than_its_budget_has() {
        let mut slab = filled(4 * CHUNK);
        for index in (1..4 * CHUNK - 1).filter(|index| !(CHUNK..2 * CHUNK).contains(index)) {
            slab.remove(at(index));
        }
        for index in CHUNK..2 * CHUNK {
            slab.remove(at(index));
        }
        let (mut from, mut found, mut slices) = (Some(at(0)), Vec::new(), 0);
        while let Some(next) = from {
            let mut walk = Walk::new(next, 100);
            found.extend(std::iter::from_fn(|| slab.step(&mut walk)).map(|(key, _)| key));
            assert!(walk.from.is_none_or(|end| end > next), "each slice goes on");
            (from, slices) = (walk.from, slices + 1);
        }
        assert_eq!(found, [at(0), at(4 * CHUNK - 1)]);
        assert_eq!(slices, (2 * CHUNK + 2).div_ceil(100), "a chunk that is freed counts as one place");
        assert_eq!(Slab::<TestId, u8>::default().step(&mut Walk::new(at(0), 0)), None);
    }
}
