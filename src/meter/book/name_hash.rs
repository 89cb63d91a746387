//! Hashes of names, by a key that this process alone knows: no stranger can make up names that share one.
//!
//! Owns the key. It can be handed on, unlike that of std, so what was kept under a hash is found by the next program, too.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use crate::collections::sections::{Reader, Writer};

/// Hashes names.
#[derive(Debug)]
pub(super) struct NameHash([u64; 2]);

impl Default for NameHash {
    fn default() -> Self {
        let system = RandomState::new();
        Self([0, 1].map(|half: u8| system.hash_one(half)))
    }
}

impl NameHash {
    /// The hash of a name.
    pub(super) fn of(&self, name: &str) -> u64 {
        let Self([first, second]) = *self;
        #[expect(deprecated, reason = "the other hashers of std take no key from their caller")]
        let mut hasher = std::hash::SipHasher::new_with_keys(first, second);
        hasher.write(name.as_bytes());
        hasher.finish()
    }

    pub(super) fn write(&self, out: &mut Writer) {
        for half in self.0 {
            out.fixed(half);
        }
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        Self([from.fixed(), from.fixed()])
    }
}
