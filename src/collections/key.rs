//! Keys: places in tables, as small as an index, and of a type of their own for each table.
//!
//! Owns the number behind every key. A key of one table does not compile as a key of another, and `Option` of a key takes
//! four bytes like the key itself, so no table needs a number that means "none".
//!
//! It does not know whether a value lies at the place: the table does.
//!
//! Invariant: an index is below `u32::MAX`, and keys compare as their indices do.

use std::fmt::{self, Debug};
use std::hash::Hash;
use std::num::NonZeroU32;

/// A place in a table, from 0 to 2^32 - 2. It is stored as the number after it, which is never 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Index(NonZeroU32);

impl Index {
    /// The first place of every table.
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// The place of this number; `None` where no table reaches.
    #[must_use]
    pub fn new(number: usize) -> Option<Self> {
        u32::try_from(number).ok()?.checked_add(1).and_then(NonZeroU32::new).map(Self)
    }

    /// The number of the place.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0.get() - 1
    }
}

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.get(), f)
    }
}

impl Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A key of one table. `key_type!` makes the types.
pub trait Key: Copy + Ord + Hash + Debug + fmt::Display {
    /// The key of the first place.
    const FIRST: Self;

    /// The key of a place.
    fn of(index: Index) -> Self;

    /// The place of a key.
    fn place(self) -> Index;

    /// The key of the place with this number; `None` where no table reaches.
    #[must_use]
    fn from_index(number: usize) -> Option<Self> {
        Index::new(number).map(Self::of)
    }

    /// The key of the place with this number.
    ///
    /// # Panics
    /// At 2^32 - 1, where no table reaches.
    #[must_use]
    fn new(number: u32) -> Self {
        Self::from_index(number as usize).expect("a table has less than 2^32 - 1 places")
    }

    /// The number of the place, to index with.
    #[must_use]
    fn index(self) -> usize {
        self.place().get() as usize
    }

    /// The key of the place after this one.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    #[must_use]
    fn next(self) -> Self {
        Self::from_index(self.index() + 1).expect("a table has less than 2^32 - 1 places")
    }
}

/// Makes the type of the keys of one table.
macro_rules! key_type {
    ($(#[$attribute:meta])* $visibility:vis $name:ident) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $visibility struct $name($crate::collections::key::Index);

        impl $crate::collections::key::Key for $name {
            const FIRST: Self = Self($crate::collections::key::Index::FIRST);

            fn of(index: $crate::collections::key::Index) -> Self {
                Self(index)
            }

            fn place(self) -> $crate::collections::key::Index {
                self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&self.0, f)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}
pub(crate) use key_type;

const _: () = assert!(size_of::<Option<Index>>() == 4);

#[cfg(test)]
mod tests {
    use super::*;

    key_type! {
        /// A key of the table of this test.
        PlaceId
    }

    #[test]
    fn keys_are_the_indices_that_they_were_made_of() {
        for number in [0, 1, 1_000_000, u32::MAX - 1] {
            let key = PlaceId::new(number);
            assert_eq!(
                (key.index(), key.to_string(), format!("{key:?}")),
                (number as usize, number.to_string(), number.to_string())
            );
        }
        assert_eq!(PlaceId::FIRST, PlaceId::new(0));
        assert_eq!(PlaceId::FIRST.next(), PlaceId::new(1));
        assert!(PlaceId::new(7) < PlaceId::new(8));
        assert_eq!(PlaceId::from_index(u32::MAX as usize), None);
        assert_eq!(PlaceId::from_index(usize::MAX), None);
        assert_eq!(size_of::<Option<PlaceId>>(), 4, "no key costs no byte");
    }
}
