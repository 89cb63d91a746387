//! What must be true when it is quiet.
//!
//! Owns the questions, and the words for what is wrong: which daemon says what, and what is there. It changes nothing, and
//! does not wait: a number that is not right may be on its way.

use std::collections::HashMap;

use super::churn::Churn;
use super::events::{CROWDED, name};
use super::levels::metric;
use super::nodes::Nodes;
use super::settings::OF_ONE_ADDRESS;
use super::watching::{Watcher, Watching};
use crate::daemon::Daemon;
use crate::{Result, pages};

/// A wrong number of a daemon, a member or a watcher, if there is one.
pub(super) fn find_wrong(churn: &Churn, nodes: &Nodes, watching: &Watching) -> Result<Option<String>> {
    let all = nodes.up().map(|(number, daemon)| Ok((number, stats_of(number, daemon)?))).collect::<Result<Vec<_>>>()?;
    let Some((_, first)) = all.first() else { return Ok(Some("no daemon is up".into())) };
    // How many of the crowd at one address count depends on the daemons that its connections came to.
    let (counted, uncounted) = first.get(&name(CROWDED)).map_or((0, 0), |crowd| (crowd.members, crowd.uncounted));
    if let Some(wrong) = find_wrong_crowd(churn.crowded_count(), counted, uncounted, nodes.count() as u64) {
        return Ok(Some(wrong));
    }
    let truth = churn.truth(counted);
    for (number, stats) in &all {
        if let Some((name, said, there)) = pages::find_wrong(&pages::members(stats), &truth) {
            return Ok(Some(format!("daemon {number} says {said} members of {name}, and {there} are there")));
        }
    }
    for (number, daemon) in nodes.up() {
        let (known, all) = (daemon.cluster_page()?.nodes, nodes.count() as u64);
        if known != all {
            return Ok(Some(format!("daemon {number} knows {known} nodes of {all}")));
        }
    }
    let wrong = churn.find_wrong(&truth);
    Ok(wrong.or_else(|| watching.readers().find_map(|watcher| find_unseen(watcher, &truth))))
}

/// What is wrong with a crowd of one address, if something is.
fn find_wrong_crowd(open: u64, counted: u64, uncounted: u64, daemons: u64) -> Option<String> {
    let bounds = open.min(OF_ONE_ADDRESS)..=open.min(OF_ONE_ADDRESS * daemons);
    let is_right = counted + uncounted == open && bounds.contains(&counted);
    (!is_right).then(|| format!("of {open} members at one address, {counted} are counted and {uncounted} are not"))
}

/// A total that a watcher has not received, if there is one.
fn find_unseen(watcher: &Watcher, truth: &HashMap<String, u64>) -> Option<String> {
    let Watcher { daemon, pattern, totals, .. } = watcher;
    let prefix = pattern.strip_suffix('*');
    let matches = |name: &str| prefix.map_or(name == *pattern, |prefix| name.starts_with(prefix));
    let mut wanted: HashMap<&str, u64> = HashMap::new();
    wanted.extend(truth.iter().map(|(name, &total)| (name.as_str(), total)).filter(|(name, _)| matches(name)));
    if prefix.is_some() {
        wanted.insert(pattern, wanted.values().sum());
    }
    wanted.entry(pattern).or_default();
    totals.keys().map(String::as_str).chain(wanted.keys().copied()).find_map(|name| {
        let [said, there] = [totals.get(name), wanted.get(name)].map(|total| total.copied().unwrap_or(0));
        let watcher = || format!("a watcher of {pattern} at daemon {daemon}");
        (said != there).then(|| format!("{} has received {said} of {name}, and {there} are there", watcher()))
    })
}

/// A daemon that has lost reports, if there is one: none has more of them than it can keep while the disk is full.
pub(super) fn find_lost_report(nodes: &Nodes) -> Result<Option<String>> {
    for (number, daemon) in nodes.up() {
        let lost = metric(number, daemon, "audience_meter_reports_lost_total")?;
        if lost > 0 {
            return Ok(Some(format!("daemon {number} has lost {lost} reports")));
        }
    }
    Ok(None)
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

/// The stats of a daemon.
fn stats_of(number: usize, daemon: &Daemon) -> Result<pages::Stats> {
    Ok(daemon.stats().map_err(|error| format!("daemon {number} does not send its stats: {error}"))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_at_one_address_counts_up_to_its_share() {
        assert_eq!(find_wrong_crowd(0, 0, 0, 3), None);
        assert_eq!(find_wrong_crowd(100, 48, 52, 3), None);
        assert_eq!(find_wrong_crowd(20, 18, 2, 3), None);
        for (open, counted, uncounted) in [(100, 49, 51), (100, 48, 51), (20, 15, 5)] {
            assert!(find_wrong_crowd(open, counted, uncounted, 3).is_some(), "{counted}");
        }
    }
}
