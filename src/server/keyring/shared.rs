//! The key that the processes of one user share, for the loopback bus of their audience.
//!
//! Owns the keys that are good. A process that starts asks all siblings at their doors (`server::siblings`) and takes the first
//! answer; without an answer it draws a key. It finds no answer when siblings hang or start at the same
//! time; then there are two keys, and datagrams that fail the seal show it. So both sides ask again, and agree on the least
//! of all keys; the others stay good.
//!
//! Invariant: there are at most [`KEYS_MAX`], in order, and the first one seals.

use std::io;

use crate::reactor::sys;
use crate::server::siblings::greeting::Key;
use crate::wire::report::Keys;

/// Most keys that are good at a time.
const KEYS_MAX: usize = 8;

/// The shared key of this process.
pub(super) struct SharedKey {
    keys: Vec<Key>,
    /// Whether a sibling may have another key.
    is_doubtful: bool,
}

impl SharedKey {
    /// The key of a sibling, or one that is drawn.
    ///
    /// # Errors
    /// What the kernel says: it has no randomness.
    pub(super) fn begin(found: Option<Key>) -> io::Result<Self> {
        Ok(Self { keys: vec![found.map_or_else(sys::random, Ok)?], is_doubtful: false })
    }

    /// The keys: the first one seals, and all are good.
    pub(super) fn keys(&self) -> Keys {
        Keys::new(self.keys.iter().map(|key| key.to_vec()).collect())
    }

    /// The one that seals.
    pub(super) fn first(&self) -> Option<Key> {
        self.keys.first().copied()
    }

    /// A datagram has failed the seal, or all siblings are asked.
    pub(super) fn set_doubtful(&mut self, is_doubtful: bool) {
        self.is_doubtful = is_doubtful;
    }

    /// Whether siblings have to be asked.
    pub(super) fn is_doubtful(&self) -> bool {
        self.is_doubtful
    }

    /// Takes a sibling's key for good; returns whether that changes anything.
    pub(super) fn adopt(&mut self, key: Key) -> bool {
        let Err(place) = self.keys.binary_search(&key) else { return false };
        self.keys.insert(place, key);
        self.keys.truncate(KEYS_MAX);
        place < KEYS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_key_seals_and_the_others_stay_good() {
        let mut shared = SharedKey::begin(Some([7; 32])).unwrap();
        assert!(!shared.adopt([7; 32]) && shared.adopt([9; 32]) && shared.first() == Some([7; 32]));
        assert!(shared.adopt([5; 32]) && shared.first() == Some([5; 32]));
        assert_eq!(shared.keys, [[5; 32], [7; 32], [9; 32]]);
        for first in 10..40 {
            shared.adopt([first; 32]);
        }
        assert_eq!((shared.keys.len(), shared.first()), (KEYS_MAX, Some([5; 32])));
        assert!(shared.adopt([1; 32]) && !shared.adopt([99; 32]));
    }

    #[test]
    fn a_process_without_siblings_draws_a_key() {
        let drawn = [(); 2].map(|()| SharedKey::begin(None).unwrap().first().unwrap());
        assert_ne!(drawn[0], drawn[1]);
    }
}
