//! Ports for the daemons that are started.
//!
//! Owns the choice. It does not keep a port: whichever process binds it next has it.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

use super::Result;

/// The ports on which daemons are started: below those from which the kernel picks for clients, one of which could take a
/// port before the daemon does.
const PORTS: std::ops::Range<u16> = 31_000..32_768;

/// A port on which nothing listens.
pub(super) fn free_port() -> Result<u16> {
    // Two benchmarks at the same time begin at different ports.
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    for _ in PORTS {
        let number = std::process::id().wrapping_mul(101).wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed));
        let port = PORTS.start + u16::try_from(number % u32::try_from(PORTS.len())?)?;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(format!("no port from {} to {} is free", PORTS.start, PORTS.end - 1).into())
}
