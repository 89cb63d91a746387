//! Values under the keys of another table, close together.
//!
//! Owns one value for each key up to the largest that was ever used: a default until it is changed. The other table hands
//! out its lowest places first, so few of the values are idle.
//!
//! It does not know which keys are in use.
//!
//! Invariant: values are only ever added, at the end.

use std::marker::PhantomData;

use super::key::Key;

/// A value per key of another table.
#[derive(Debug)]
pub struct Dense<K, T> {
    values: Vec<T>,
    keys: PhantomData<K>,
}

impl<K, T> Default for Dense<K, T> {
    fn default() -> Self {
        Self { values: Vec::new(), keys: PhantomData }
    }
}

impl<K: Key, T: Default> Dense<K, T> {
    /// The value of a key; `None` if neither this key nor a larger one was ever used.
    #[must_use]
    pub fn get(&self, key: K) -> Option<&T> {
        self.values.get(key.index())
    }

    /// The same, to change.
    pub fn get_mut(&mut self, key: K) -> Option<&mut T> {
        self.values.get_mut(key.index())
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
        let index = key.index();
        if index >= self.values.len() {
            self.values.resize_with(index + 1, T::default);
        }
        self.values.get_mut(index).expect("there are more values than the index says")
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
}
