//! The number of this process among those of its host.
//!
//! Owns the number, and the name that claims it in the abstract socket namespace: the lowest that is free. The kernel takes
//! the name down when the process ends, so the next process has the number again, and labels of metrics stay the same over a
//! restart. Processes that share a stats port are of one host, and each of them answers for all.
//!
//! Invariant: two processes of one host have different numbers, unless system calls are filtered: then a number is drawn.

use std::io;
use std::os::unix::net::UnixDatagram;

use crate::meter::name_digest;
use crate::reactor::{local, proc, sys};

/// What the names begin with. None of them is taken for the name of a port.
const PREFIX: &str = "audience-meter-process/";

/// Numbers that are tried: twice the most workers of a supervisor, for one that is replaced. At 2 us for each, 4 ms.
const NUMBERS_MAX: u32 = 2_048;

/// What a counter can hold: the values between nodes are below 2^56.
const DIGEST_MASK: u64 = (1 << 56) - 1;

/// The place of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::server) struct Seat {
    /// The number of the process on its host.
    pub(in crate::server) number: u32,
    /// The host and its stats port, as a digest; 0 without a stats port.
    pub(in crate::server) target: u64,
}

impl Seat {
    /// Takes the lowest number that is free among the processes of an audience that have this stats port. The name is up as
    /// long as the socket is open.
    pub(super) fn take(audience: &str, stats: &str) -> (Self, Option<UnixDatagram>) {
        let scope = format!("{PREFIX}{audience}/{stats}/");
        let target = name_digest(&[&*scope, &*proc::host()].concat()) & DIGEST_MASK;
        let (number, name) = lowest(&scope);
        (Self { number, target: target.max(1) }, name)
    }
}

fn lowest(scope: &str) -> (u32, Option<UnixDatagram>) {
    for number in 0..NUMBERS_MAX {
        match local::put_up(&format!("{scope}{number}")) {
            Ok(name) => return (number, Some(name)),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(_) => break,
        }
    }
    let drawn = sys::random().unwrap_or_default();
    (NUMBERS_MAX + u32::from(u16::from_ne_bytes(drawn)), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_the_lowest_number_that_is_free() {
        let audience = format!("seats{}", std::process::id());
        let take = |stats| Seat::take(&audience, stats);
        let (first, second, third) = (take("a"), take("a"), take("a"));
        assert_eq!([first.0.number, second.0.number, third.0.number], [0, 1, 2]);
        assert_eq!((take("b").0.number, first.0.target), (0, third.0.target));
        assert_ne!(take("b").0.target, first.0.target, "another port is another target");
        drop(second);
        assert_eq!(take("a").0.number, 1);
    }

    #[test]
    fn where_no_name_can_be_put_up_a_number_is_drawn() {
        let (number, name) = lowest(&"x".repeat(108));
        assert!(number >= NUMBERS_MAX && name.is_none());
    }
}
