//! The seal of a datagram: only a holder of the key can make it.
//!
//! Owns the choice of the function, which another crate computes. It compares nothing.

/// The length of a seal in bytes.
pub(super) const SEAL_BYTES: usize = 32;

/// HMAC-SHA-256 (RFC 2104).
#[cfg(feature = "keyed")]
pub(super) fn seal_of(bytes: &[u8], key: &[u8]) -> [u8; SEAL_BYTES] {
    hmac_sha256::HMAC::mac(bytes, key)
}

/// A build without the feature takes no key.
#[cfg(not(feature = "keyed"))]
pub(super) fn seal_of(_: &[u8], _: &[u8]) -> [u8; SEAL_BYTES] {
    unreachable!("the settings have refused the key")
}
