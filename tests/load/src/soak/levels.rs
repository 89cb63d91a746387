//! What a daemon uses while it has no members: descriptors, timers and memory.
//!
//! Owns the levels before the first join, and the words for what has not come back to them.

use std::time::Duration;

use super::nodes::Nodes;
use super::scrapes::series;
use crate::Result;
use crate::daemon::Daemon;

/// What a daemon keeps of its own without members, once it has had some: scratch space, a chunk of each table, and what lies
/// beside these in the pages of the heap. A leak of 20 kB a round is found within an hour.
pub(super) const KEPT_MAX: u64 = 4 * 1024 * 1024;

/// The most bytes of log that a daemon may write in a second: some 50 lines of events that are over, of 160 bytes, and the rest.
const LOG_MAX: u64 = 12 * 1024;

/// The levels of daemons without members.
#[derive(Default)]
pub(super) struct Levels {
    /// Of each daemon: all have the same number.
    pub(super) descriptors: u64,
    /// The most of a daemon.
    pub(super) timers: u64,
    /// Of the first daemon.
    pub(super) bytes: u64,
}

impl Levels {
    /// The daemons as they are now.
    pub(super) fn of(nodes: &Nodes) -> Result<Self> {
        let bytes = nodes.processes().next().map(|(_, process)| process.anonymous_bytes()).transpose()?;
        let (descriptors, bytes) = (fewest_descriptors(nodes)?, bytes.ok_or("no daemon is up")?);
        Ok(Self { descriptors, timers: timers(nodes)?, bytes })
    }

    /// A daemon with descriptors open that serve no member, if there is one.
    pub(super) fn find_open(&self, nodes: &Nodes) -> Result<Option<String>> {
        find_open(nodes, self.descriptors)
    }

    /// Timers that serve no member, if there are some.
    pub(super) fn find_timers(&self, nodes: &Nodes) -> Result<Option<String>> {
        let (most, had) = (timers(nodes)?, self.timers);
        Ok((most > had).then(|| format!("a daemon has {most} timers without members, and had {had}")))
    }
}

/// The fewest descriptors that a daemon has open.
fn fewest_descriptors(nodes: &Nodes) -> Result<u64> {
    let all = nodes.processes().map(|(_, process)| process.descriptor_count());
    Ok(all.collect::<Result<Vec<u64>>>()?.into_iter().min().ok_or("no daemon is up")?)
}

/// A daemon with more descriptors open than another one, if there is one.
pub(super) fn find_unequal(nodes: &Nodes) -> Result<Option<String>> {
    find_open(nodes, fewest_descriptors(nodes)?)
}

/// A daemon with more descriptors open than this, if there is one. It asks no daemon: a question is a connection.
fn find_open(nodes: &Nodes, had: u64) -> Result<Option<String>> {
    for (number, process) in nodes.processes() {
        let open = process.descriptor_count()?;
        if open > had {
            return Ok(Some(format!("daemon {number} has {open} descriptors open without members, and had {had}")));
        }
    }
    Ok(None)
}

/// Daemons that write a longer log than they may, if there are some.
pub(super) fn find_long_log(nodes: &Nodes, time: Duration) -> Option<String> {
    let ((_, bytes), daemons) = (nodes.logged(), nodes.count() as u64);
    let most = LOG_MAX * daemons * time.as_secs().max(60);
    (bytes > most).then(|| format!("{daemons} daemons have logged {bytes} B in {} s", time.as_secs()))
}

/// The most timers of a daemon.
fn timers(nodes: &Nodes) -> Result<u64> {
    nodes.up().try_fold(0, |most, (number, daemon)| Ok(most.max(metric(number, daemon, "audience_meter_timers")?)))
}

/// The number of things in the first series of a metric of a daemon.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "numbers of things are small and positive")]
pub(super) fn metric(number: usize, daemon: &Daemon, name: &str) -> Result<u64> {
    let page = daemon.metrics()?;
    let value = series(&page).find(|(series, _)| series.split('{').next() == Some(name)).map(|(_, value)| value as u64);
    Ok(value.ok_or_else(|| format!("the metrics of daemon {number} have no {name}"))?)
}
