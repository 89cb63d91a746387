//! Daemons with several workers, by the ids that the supervisor logs.

use std::thread;
use std::time::Duration;

use audience_kit::*;

/// No count is pushed during the test, only first counts are told.
pub(super) const QUIET: [&str; 4] = ["--notify-min-delay", "600", "--notify-max-delay", "600"];

/// How long it may take until a worker that hangs is replaced: 5 s of silence, two looks, and a busy machine.
pub(super) const HUNG: Duration = ms(12_000);

/// A supervisor all of whose workers are ready.
#[track_caller]
pub(super) fn start(workers: usize, args: &[&str]) -> Daemon {
    let daemon = Daemon::start(&[&["-w", &workers.to_string()], &QUIET[..], args].concat());
    wait_until("all workers", || started(&daemon).len() == workers);
    daemon
}

/// The ids of all workers that ever were ready, in this order.
pub(super) fn started(daemon: &Daemon) -> Vec<u32> {
    let lines = daemon.log();
    let ids = lines.iter().filter_map(|line| line.strip_prefix("level=info event=worker_started pid="));
    ids.map(|id| id.parse().unwrap()).collect()
}

/// Waits until there are so many of them, and gives the last.
#[track_caller]
pub(super) fn wait_started(daemon: &Daemon, count: usize, within: Duration) -> u32 {
    let deadline = Deadline::after(within);
    loop {
        let ids = started(daemon);
        if ids.len() >= count {
            return ids[count - 1];
        }
        assert!(deadline.left().is_some(), "{} workers of {count} within {within:?}: {:#?}", ids.len(), daemon.log());
        thread::park_timeout(ms(5));
    }
}

/// The rest of the one line that says that this worker has died.
#[track_caller]
pub(super) fn wait_died(daemon: &Daemon, worker: u32) -> String {
    let start = format!("level=warn event=worker_died pid={worker} ");
    let line = daemon.wait_log("a worker's death", |line| line.starts_with(&start));
    line[start.len()..].to_owned()
}

/// How often this is in its log by now.
pub(super) fn count(daemon: &Daemon, part: &str) -> usize {
    daemon.log().join("\n").matches(part).count()
}

#[track_caller]
pub(super) fn wait_gone(processes: &[u32]) {
    wait_until("all workers are gone", || !processes.iter().any(|worker| is_there(*worker)));
}

/// Whether there is something in its log that an operator has to look into.
pub(super) fn has_warned(daemon: &Daemon) -> bool {
    daemon.log().iter().any(|line| line.starts_with("level=warn") && !line.contains(" event=torture "))
}
