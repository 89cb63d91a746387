//! The seal of a datagram: only a holder of the key can make it.
//!
//! Owns the choice of the function, which another crate computes, and how much of its value goes along. It compares nothing.

/// The length of a seal in bytes: half of what the function gives, the least that RFC 2104 section 5 allows. A guess fits
/// once in 2^128 times.
pub(super) const SEAL_BYTES: usize = 16;

/// The first bytes of HMAC-SHA-256 (RFC 2104).
#[cfg(feature = "keyed")]
pub(super) fn seal_of(bytes: &[u8], key: &[u8]) -> [u8; SEAL_BYTES] {
    let code = hmac_sha256::HMAC::mac(bytes, key);
    code.first_chunk().copied().unwrap_or_default()
}

/// A build without the feature takes no key.
#[cfg(not(feature = "keyed"))]
pub(super) fn seal_of(_: &[u8], _: &[u8]) -> [u8; SEAL_BYTES] {
    unreachable!("the settings have refused the key")
}
