//! The keys of a scope, or of the signatures of a site.
//!
//! Owns how a seal is made and checked: the first key seals, and a seal of any of them is good. So a key can be replaced
//! without a moment at which two nodes disagree. A signature is checked like a seal, and never made here. It does not know
//! where keys come from, and never prints one.
//!
//! Invariant: the time that a check takes says nothing about the right seal.

use std::fmt;

use crate::wire::seal::{CODE_BYTES, SEAL_BYTES, code_of, seal_of};

/// The least length of a key in bytes: what HMAC-SHA-256 cannot make up for (RFC 2104 section 3 recommends 32).
pub const KEY_MIN: usize = 16;

/// The keys that seal and open datagrams; without one, datagrams have no seal.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Keys(Vec<Vec<u8>>);

impl Keys {
    /// These keys, the sealing one first.
    #[must_use]
    pub fn new(keys: Vec<Vec<u8>>) -> Self {
        Self(keys)
    }

    /// Whether datagrams have no seal.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The seal of these bytes, if there is a key.
    pub(super) fn seal(&self, bytes: &[u8]) -> Option<[u8; SEAL_BYTES]> {
        self.0.first().map(|key| seal_of(bytes, key))
    }

    /// Whether one of the keys makes this seal of the bytes.
    pub(super) fn accept(&self, bytes: &[u8], seal: &[u8; SEAL_BYTES]) -> bool {
        self.0.iter().any(|key| is_same(&seal_of(bytes, key), seal))
    }

    /// Whether one of the keys makes this code of the bytes.
    pub(in crate::wire) fn accept_code(&self, bytes: &[u8], code: &[u8; CODE_BYTES]) -> bool {
        self.0.iter().any(|key| is_same(&code_of(bytes, key), code))
    }
}

/// All bytes are compared, whatever the first ones are, so that the time says nothing about the right seal.
fn is_same<const N: usize>(expected: &[u8; N], seal: &[u8; N]) -> bool {
    expected.iter().zip(seal).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

/// Without the keys: they are secrets.
impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} keys", self.0.len())
    }
}
