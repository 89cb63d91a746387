//! The code of some bytes: only a holder of the key can make it. A datagram has a part of it, its seal.
//!
//! Owns the choice of the function, which another crate computes, and how much of its value goes along. It compares nothing.

/// The length of a seal in bytes: half of what the function gives, the least that RFC 2104 section 5 allows. A guess fits
/// once in 2^128 times.
pub(super) const SEAL_BYTES: usize = 16;

/// The length of a code in bytes.
pub(super) const CODE_BYTES: usize = 32;

/// The first bytes of the code.
pub(super) fn seal_of(bytes: &[u8], key: &[u8]) -> [u8; SEAL_BYTES] {
    code_of(bytes, key).first_chunk().copied().unwrap_or_default()
}

/// HMAC-SHA-256 (RFC 2104).
#[cfg(feature = "keyed")]
pub(super) fn code_of(bytes: &[u8], key: &[u8]) -> [u8; CODE_BYTES] {
    hmac_sha256::HMAC::mac(bytes, key)
}

/// A build without the feature takes no key.
#[cfg(not(feature = "keyed"))]
pub(super) fn code_of(_: &[u8], _: &[u8]) -> [u8; CODE_BYTES] {
    unreachable!("the settings have refused the key")
}
