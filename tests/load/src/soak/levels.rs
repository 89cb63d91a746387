//! What a daemon uses while it has no members: descriptors, timers and memory.
//!
//! Owns the levels before the first join, and the words for what has not come back to them.

use super::nodes::Nodes;
use super::scrapes::series;
use crate::Result;

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

/// Whether memory without members has grown by more than it may: a twentieth and 256 KiB, for what the heap keeps of its
/// own; and 64 bytes for each member there may have been, for tables keep their capacity, and the crowd of one daemon is now
/// smaller, now larger.
pub(super) fn has_grown(before: u64, after: u64, members: usize) -> bool {
    let members = u64::try_from(members).unwrap_or(u64::MAX);
    after > before + before / 20 + 256 * 1024 + 64 * members
}

/// The most timers of a daemon.
fn timers(nodes: &Nodes) -> Result<u64> {
    let mut most = 0;
    for (number, daemon) in nodes.up() {
        let page = daemon.metrics()?;
        let timers = series(&page).find(|(series, _)| series.starts_with("audience_meter_timers"));
        let (_, timers) = timers.ok_or_else(|| format!("the metrics of daemon {number} have no timers"))?;
        most = most.max(whole(timers));
    }
    Ok(most)
}

/// A number of things in the metrics.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "numbers of things are small and positive")]
fn whole(value: f64) -> u64 {
    value as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_may_grow_by_a_little() {
        assert!(!has_grown(1 << 20, (1 << 20) + (256 << 10), 0));
        assert!(!has_grown(1 << 20, (1 << 20) + (256 << 10), 1000));
        assert!(has_grown(1 << 20, (1 << 20) + (320 << 10), 0));
    }
}
