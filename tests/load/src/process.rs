//! What the kernel knows of a process, from `/proc`.
//!
//! Owns the names of its files and fields. A reading neither wakes nor slows the process.

use std::fs;

use super::Result;

/// What the kernel keeps for all processes, in bytes: sockets, files and what watches them (`Slab`).
pub(super) fn kernel_bytes() -> Result<u64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let slab = text.lines().find_map(|line| line.strip_prefix("Slab:")?.split_whitespace().next()?.parse::<u64>().ok());
    Ok(1024 * slab.ok_or("/proc/meminfo does not have Slab")?)
}

/// A process on this machine, of one thread.
pub(super) struct Process {
    pid: u32,
}

impl Process {
    pub(super) fn new(pid: u32) -> Self {
        Self { pid }
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// The time that it has spent on a CPU, in nanoseconds, in the kernel on its behalf included. It is exact while the
    /// process sleeps; while it runs, it is as of the scheduler's last tick.
    pub(super) fn cpu_ns(&self) -> Result<u64> {
        let text = self.read("schedstat")?;
        self.number("schedstat", text.split_whitespace().next())
    }

    /// How often it has been woken.
    pub(super) fn wake_ups(&self) -> Result<u64> {
        self.field("status", "voluntary_ctxt_switches:")
    }

    /// Whether it waits for an event.
    pub(super) fn is_asleep(&self) -> Result<bool> {
        let status = self.read("status")?;
        Ok(status.lines().any(|line| line.starts_with("State:") && line.contains("(sleeping)")))
    }

    /// Its memory that belongs to no file, in bytes: heap, stack and the pages of the program that it has written to.
    pub(super) fn anonymous_bytes(&self) -> Result<u64> {
        Ok(1024 * self.field("smaps_rollup", "Anonymous:")?)
    }

    /// Its share of all memory that it has mapped, the program's own file included, in bytes (`Pss`).
    pub(super) fn proportional_bytes(&self) -> Result<u64> {
        Ok(1024 * self.field("smaps_rollup", "Pss:")?)
    }

    /// How many descriptors it has open.
    pub(super) fn descriptor_count(&self) -> Result<u64> {
        let path = format!("/proc/{}/fd", self.pid);
        let entries = fs::read_dir(&path).map_err(|error| format!("{path}: {error}"))?;
        Ok(entries.count() as u64)
    }

    fn field(&self, file: &str, name: &str) -> Result<u64> {
        let text = self.read(file)?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
        self.number(file, value)
    }

    fn number(&self, file: &str, text: Option<&str>) -> Result<u64> {
        let number = text.and_then(|text| text.parse().ok());
        number.ok_or_else(|| format!("/proc/{}/{file} lacks a number", self.pid).into())
    }

    fn read(&self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.pid);
        fs::read_to_string(&path)
            .map_err(|error| format!("{path}: {error}; is the daemon running, and as this user?").into())
    }
}
