//! What the kernel shows in `/proc` (proc(5)).
//!
//! Owns the paths there. What is not shown, as in a container, is not known.

use std::fs;

/// The number of descriptors that this process has open; `None` before Linux 6.2, which only lists them.
#[must_use]
pub fn open_descriptors() -> Option<u64> {
    let length = fs::metadata("/proc/self/fd").ok()?.len();
    Some(length).filter(|&length| length > 0)
}

/// The kernel's list of Unix sockets, a line each that ends with the name; empty where it is not shown. A name may be any
/// bytes, and what is no text in it is replaced.
#[must_use]
pub fn unix_socket_names() -> String {
    let list = fs::read("/proc/net/unix").unwrap_or_default();
    String::from_utf8(list).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}
