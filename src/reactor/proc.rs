//! What the kernel shows in `/proc` (proc(5)).
//!
//! Owns the paths there. What is not shown, as in a container, is not known.

use std::fs;

/// What the kernel counts processor time in: `USER_HZ` is 100 on all machines that Rust has.
const TICK_US: u64 = 10_000;

/// What a process has used of its machine; 0 is what is not shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time, in microseconds.
    pub cpu_us: u64,
    /// Memory that is not swapped out, in bytes.
    pub resident_bytes: u64,
}

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

/// What this process has used.
#[must_use]
pub fn usage() -> Usage {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    Usage { cpu_us: cpu_us(&read("/proc/self/stat")), resident_bytes: resident_bytes(&read("/proc/self/status")) }
}

/// `utime` and `stime` are the 12th and 13th field after the program's name, which stands in brackets and may have any bytes.
fn cpu_us(stat: &str) -> u64 {
    let fields = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * TICK_US
}

fn resident_bytes(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_ascii_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// What the network namespace of this process has to itself: the machine, its start, and the namespace. A service may be kept
/// from seeing one of the first two.
#[must_use]
pub fn host() -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let network = fs::read_link("/proc/self/ns/net").unwrap_or_default();
    let (start, machine) = (read("/proc/sys/kernel/random/boot_id"), read("/etc/machine-id"));
    [&start, &machine, &*network.to_string_lossy()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_read_from_lines_of_any_program() {
        let stat = "7 (a) R b) S 1 7 7 0 -1 4194304 100 0 0 0 250 75 0 0 20 0 1 0 100 1000 50";
        assert_eq!((cpu_us(stat), cpu_us("")), (3_250_000, 0));
        assert_eq!(resident_bytes("Name:\tx\nVmRSS:\t    5120 kB\nRssAnon:\t 1 kB\n"), 5120 * 1024);
        assert_eq!(resident_bytes(""), 0);
        assert!(usage().resident_bytes > 0 && !host().is_empty());
    }
}
