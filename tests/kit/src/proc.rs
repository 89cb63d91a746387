//! What the kernel says of a process, by its files below `/proc`.

use std::fs;
use std::thread;
use std::time::Duration;

use crate::{Deadline, ms, wait_until};

/// A field of a process's `/proc/<id>/stat`, counted from the one after its name.
fn stat_field(process: u32, field: usize) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    Some(stat.rsplit_once(") ")?.1.split_whitespace().nth(field)?.to_owned())
}

const STATE: usize = 0;
const USER_TICKS: usize = 11;
const SYSTEM_TICKS: usize = 12;
const STARTED: usize = 19;

/// When a process was started, by the kernel's count; none once it is gone.
pub(crate) fn started(process: u32) -> Option<String> {
    stat_field(process, STARTED)
}

/// Whether a process is there, and has not merely been left to its parent to be waited for.
pub fn is_there(process: u32) -> bool {
    stat_field(process, STATE).is_some_and(|state| !["Z", "X"].contains(&state.as_str()))
}

/// The processes that a process with one thread has started; none once it is gone.
pub fn children(process: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    children.split_whitespace().map(|child| child.parse().unwrap()).collect()
}

/// The processor time that a process has used, in ticks of 10 ms.
#[track_caller]
pub fn cpu_ticks(process: u32) -> u64 {
    [USER_TICKS, SYSTEM_TICKS].map(|field| stat_field(process, field).unwrap().parse::<u64>().unwrap()).iter().sum()
}

/// How often a process has gone to sleep, which is how often it was woken. Under strace it sleeps at each system call.
#[track_caller]
pub fn sleeps(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.unwrap().trim().parse().unwrap()
}

/// The anonymous memory of a process, in bytes.
#[track_caller]
pub fn anonymous_memory(process: u32) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).unwrap();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Anonymous:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// What the descriptors of a process lead to, as the kernel writes it: a path, or such as `socket:[4242]`.
#[track_caller]
pub fn descriptors(process: u32) -> Vec<String> {
    let entries = fs::read_dir(format!("/proc/{process}/fd")).unwrap().flatten();
    // A descriptor may be closed while the others are read.
    entries.filter_map(|entry| Some(fs::read_link(entry.path()).ok()?.to_string_lossy().into_owned())).collect()
}

/// The numbers of all sockets that a process has open.
#[track_caller]
pub fn sockets(process: u32) -> Vec<String> {
    let links = descriptors(process).into_iter();
    links.filter_map(|link| Some(link.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())).collect()
}

/// Lets time pass, to see what does not happen in it.
pub fn pass(time: Duration) {
    let deadline = Deadline::after(time);
    while let Some(left) = deadline.left() {
        thread::park_timeout(left);
    }
}

/// Waits until a process does nothing to speak of while nothing is done to it. A process that spins never comes to that.
#[track_caller]
pub fn wait_rest(process: u32) {
    wait_until("it rests", || {
        let before = (cpu_ticks(process), sleeps(process));
        pass(ms(300));
        // To spin takes some 30 ticks of 10 ms, or thousands of sleeps.
        cpu_ticks(process) - before.0 < 10 && sleeps(process) - before.1 < 100
    });
}

/// Waits until a process has nothing left to do, not even once in 300 ms.
#[track_caller]
pub fn wait_settled(process: u32) {
    let mut last = 0;
    wait_until("it has settled", || {
        pass(ms(300));
        std::mem::replace(&mut last, sleeps(process)) == sleeps(process)
    });
}
