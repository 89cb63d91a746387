//! What the kernel shows in `/proc` (proc(5)).
//!
//! Owns the paths there. What is not shown, as in a container, is not known.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};

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

/// The number of sockets of a user that listen on a port in this network; `None` where the kernel does not show them.
///
/// The kernel lists the listening ones first, so what clients have open is not read.
#[must_use]
pub fn listener_count(port: u16, uid: u32) -> Option<usize> {
    let lists = ["/proc/net/tcp", "/proc/net/tcp6"].map(File::open);
    let lists = lists.into_iter().flatten().map(|list| {
        let lines = BufReader::new(list).lines().map_while(Result::ok).skip(1);
        lines.map_while(|line| listener(&line)).filter(|&found| found == (port, uid)).count()
    });
    lists.reduce(|all, of_family| all + of_family)
}

/// The port and the user of a listening socket: `sl local_address rem_address st tx_queue:rx_queue tr:when retrnsmt uid`, in
/// hex but for the user.
fn listener(line: &str) -> Option<(u16, u32)> {
    const LISTENS: &str = "0A";
    let mut fields = line.split_ascii_whitespace();
    let (_, port) = fields.nth(1)?.rsplit_once(':')?;
    let is_listening = fields.nth(1)? == LISTENS;
    let uid = fields.nth(3)?.parse().ok()?;
    is_listening.then_some((u16::from_str_radix(port, 16).ok()?, uid))
}

/// What this process has used.
#[must_use]
pub fn usage() -> Usage {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    Usage { cpu_us: cpu_us(&read("/proc/self/stat")), resident_bytes: resident_bytes(&read("/proc/self/status")) }
}

/// The processor time that a process has used, in microseconds, if it runs now or waits for a processor; `None` of one that
/// sleeps or is stopped, and where that is not shown.
#[must_use]
pub fn running_cpu_us(process: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    is_running(&stat).then(|| cpu_us(&stat))
}

/// The state is the first field after the program's name.
fn is_running(stat: &str) -> bool {
    stat.rsplit(')').next().is_some_and(|fields| fields.trim_ascii_start().starts_with('R'))
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
        assert!(!is_running(stat) && is_running(&stat.replace(") S", ") R")) && !is_running(""));
        assert_eq!(resident_bytes("Name:\tx\nVmRSS:\t    5120 kB\nRssAnon:\t 1 kB\n"), 5120 * 1024);
        assert_eq!(resident_bytes(""), 0);
        assert!(usage().resident_bytes > 0 && !host().is_empty());
    }

    #[test]
    fn listeners_are_counted_by_port_and_user() {
        let line =
            "   0: 0100007F:05A2 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 77 1 0 100 0";
        assert_eq!(listener(line), Some((1442, 1000)));
        assert_eq!(listener(&line.replace(" 0A ", " 01 ")), None);
        assert_eq!((listener(""), listener("  sl  local_address rem_address   st")), (None, None));
        let uid = crate::reactor::local::own_uid().unwrap();
        let one = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = one.local_addr().unwrap().port();
        assert_eq!((listener_count(port, uid), listener_count(port, uid + 1)), (Some(1), Some(0)));
        let _peer = std::net::TcpStream::connect(one.local_addr().unwrap()).unwrap();
        assert_eq!(listener_count(port, uid), Some(1), "what is open does not listen");
    }
}
