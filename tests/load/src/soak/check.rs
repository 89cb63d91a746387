//! What must be true when it is quiet.
//!
//! Owns the questions, and the words for what is wrong: which daemon says what, and what is there. It changes nothing, and
//! does not wait: a number that is not right may be on its way.

use std::collections::HashMap;

use super::churn::Churn;
use super::nodes::Nodes;
use crate::daemon::Daemon;
use crate::{Result, pages};

/// A wrong number of a daemon or a member, if there is one.
pub(super) fn find_wrong(churn: &Churn, nodes: &Nodes) -> Result<Option<String>> {
    let truth = churn.truth();
    for (number, daemon) in nodes.up() {
        let stats = stats_of(number, daemon)?;
        if let Some((name, said, there)) = pages::find_wrong(&stats, &truth) {
            return Ok(Some(format!("daemon {number} says {said} members of {name}, and {there} are there")));
        }
        let (known, all) = (daemon.cluster_page()?.nodes, nodes.count() as u64);
        if known != all {
            return Ok(Some(format!("daemon {number} knows {known} nodes of {all}")));
        }
    }
    Ok(churn.find_wrong(&truth))
}

/// An event that a daemon has not forgotten, if there is one.
pub(super) fn find_remembered(nodes: &Nodes) -> Result<Option<String>> {
    for (number, daemon) in nodes.up() {
        if let Some((name, _)) = stats_of(number, daemon)?.into_iter().next() {
            return Ok(Some(format!("daemon {number} has not forgotten {name}")));
        }
    }
    Ok(None)
}

/// A daemon with descriptors open that serve no member, if there is one. It asks no daemon: a question is a connection.
pub(super) fn find_open(nodes: &Nodes, wanted: u64) -> Result<Option<String>> {
    for (number, process) in nodes.processes() {
        let open = process.descriptor_count()?;
        if open > wanted {
            return Ok(Some(format!("daemon {number} has {open} descriptors open without members, and had {wanted}")));
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

/// How many members the stats of a daemon have, by event.
fn stats_of(number: usize, daemon: &Daemon) -> Result<HashMap<String, u64>> {
    let stats = daemon.stats().map_err(|error| format!("daemon {number} does not send its stats: {error}"))?;
    Ok(pages::members(&stats))
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
