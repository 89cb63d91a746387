//! Values under the keys of another table, close together.
//!
//! Owns one value for each key up to the largest that was ever used: a default until it is changed. The other table hands
//! out its lowest places first, so few of the values are idle. They lie in chunks as there, and a chunk is freed when the
//! owner says so.
//!
//! It does not know which keys are in use.
//!
//! Invariant: values are added at the end of a chunk, and freed with all of it.

use std::marker::PhantomData;

use super::key::Key;
use super::slab::CHUNK;

/// A value per key of another table.
#[derive(Debug)]
pub struct Dense<K, T> {
    chunks: Vec<Vec<T>>,
    /// The memory of a chunk that was freed.
    reserve: Vec<T>,
    keys: PhantomData<K>,
}

impl<K, T> Default for Dense<K, T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), reserve: Vec::new(), keys: PhantomData }
    }
}

impl<K: Key, T: Default> Dense<K, T> {
    /// The value of a key; `None` if neither this key nor a larger one near it was ever used.
    #[must_use]
    pub fn get(&self, key: K) -> Option<&T> {
        self.chunks.get(key.index() / CHUNK)?.get(key.index() % CHUNK)
    }

    /// The same, to change.
    pub fn get_mut(&mut self, key: K) -> Option<&mut T> {
        self.chunks.get_mut(key.index() / CHUNK)?.get_mut(key.index() % CHUNK)
    }

    /// The value of a key that was used.
    ///
    /// # Panics
    /// If it was not.
    #[must_use]
    pub fn at(&self, key: K) -> &T {
        self.get(key).expect("the key was used")
    }

    /// The value of a key that was used, to change.
    ///
    /// # Panics
    /// If it was not.
    pub fn at_mut(&mut self, key: K) -> &mut T {
        self.get_mut(key).expect("the key was used")
    }

    /// The value of a key, which is used from now on, to change.
    ///
    /// # Panics
    /// Without the memory for that many values.
    pub fn reach(&mut self, key: K) -> &mut T {
        let (number, index) = (key.index() / CHUNK, key.index() % CHUNK);
        if number >= self.chunks.len() {
            self.chunks.resize_with(number + 1, Vec::new);
        }
        let values = self.chunks.get_mut(number).expect("there are more chunks than the number says");
        if index >= values.len() {
            // The first one may remain the only one.
            if values.capacity() == 0 {
                *values = std::mem::take(&mut self.reserve);
                values.reserve_exact(if number > 0 { CHUNK } else { 0 });
            }
            values.resize_with(index + 1, T::default);
        }
        values.get_mut(index).expect("there are more values than the index says")
    }

    /// All values, in the order of their keys, those that were never changed included.
    pub fn iter(&self) -> impl Iterator<Item = (K, &T)> {
        let chunks = self.chunks.iter().enumerate();
        let places = chunks.flat_map(|(number, values)| (number * CHUNK..).zip(values));
        places.filter_map(|(index, value)| Some((K::from_index(index)?, value)))
    }

    /// Frees the values after the first `count` places, as far as whole chunks go: the other table has become smaller.
    pub fn truncate(&mut self, count: usize) {
        self.chunks.truncate(count.div_ceil(CHUNK));
    }

    /// Frees the values around a key: the other table has no value there any more.
    pub fn free_around(&mut self, key: K) {
        let Some(values) = self.chunks.get_mut(key.index() / CHUNK) else { return };
        let mut values = std::mem::take(values);
        values.clear();
        if values.capacity() > self.reserve.capacity() {
            self.reserve = values;
        }
        while self.chunks.pop_if(|last| last.is_empty()).is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collections::key::key_type;

    key_type! {
        /// A key of the other table.
        OtherId
    }

    #[test]
    fn values_are_there_up_to_the_largest_key() {
        let mut dense = Dense::<OtherId, u8>::default();
        assert_eq!(dense.get(OtherId::FIRST), None);
        *dense.reach(OtherId::new(2)) = 7;
        *dense.reach(OtherId::new(1)) = 5;
        let values: Vec<Option<u8>> = (0..4).map(|number| dense.get(OtherId::new(number)).copied()).collect();
        assert_eq!(values, [Some(0), Some(5), Some(7), None]);
        *dense.at_mut(OtherId::new(1)) += 1;
        assert_eq!((*dense.at(OtherId::new(1)), dense.get_mut(OtherId::new(3))), (6, None));
    }

    #[test]
    fn what_is_freed_is_a_default_when_it_is_used_again() {
        let at = |number: usize| OtherId::from_index(number).unwrap();
        let mut dense = Dense::<OtherId, u8>::default();
        for number in 0..3 * CHUNK {
            *dense.reach(at(number)) = 7;
        }
        dense.free_around(at(CHUNK + 9));
        assert_eq!(
            [CHUNK - 1, CHUNK, 2 * CHUNK].map(|number| dense.get(at(number)).copied()),
            [Some(7), None, Some(7)]
        );
        assert_eq!(*dense.reach(at(CHUNK + 1)), 0);
        let memory = |dense: &Dense<OtherId, u8>| dense.chunks.iter().map(Vec::capacity).sum::<usize>();
        assert_eq!((memory(&dense), dense.reserve.capacity()), (3 * CHUNK, 0), "the memory in reserve is used again");
        dense.free_around(at(CHUNK));
        dense.free_around(at(2 * CHUNK));
        assert_eq!((memory(&dense), dense.chunks.len(), dense.reserve.capacity()), (CHUNK, 1, CHUNK));
        dense.free_around(at(9 * CHUNK));
        dense.truncate(1);
        assert_eq!(dense.get(at(0)), Some(&7));
        dense.truncate(0);
        assert_eq!(dense.get(at(0)), None);
    }
}
