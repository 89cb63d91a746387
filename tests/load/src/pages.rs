//! The pages of the stats port, as far as the instrument reads them.
//!
//! Owns their fields. Fields that it does not know are ignored.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde::Deserialize;

/// The stats: the figures of each namespace, by its name.
pub(super) type Stats = HashMap<String, NamespaceStats>;

#[derive(Deserialize)]
pub(super) struct NamespaceStats {
    pub(super) members: u64,
    connections: u64,
    /// Members that are served without being counted.
    #[serde(default)]
    pub(super) uncounted: u64,
}

/// `/cluster`.
#[derive(Deserialize)]
pub(super) struct ClusterPage {
    pub(super) nodes: u64,
    pub(super) datagrams: Option<Datagrams>,
    #[serde(default)]
    members: Vec<NodeMembers>,
    #[serde(default)]
    troubles: Vec<Trouble>,
}

/// A node.
#[derive(Deserialize)]
struct NodeMembers {
    members: u64,
}

/// A condition that makes a total wrong.
#[derive(Deserialize)]
struct Trouble {
    kind: String,
}

impl ClusterPage {
    /// The members of all nodes.
    pub(super) fn member_count(&self) -> u64 {
        self.members.iter().map(|of| of.members).sum()
    }

    /// Whether the broker is not reached.
    pub(super) fn is_broker_away(&self) -> bool {
        self.troubles.iter().any(|trouble| trouble.kind == "broker_away")
    }
}

impl fmt::Display for ClusterPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let away = if self.is_broker_away() { ", and misses the broker" } else { "" };
        write!(f, "{} nodes with {} members{away}", self.nodes, self.member_count())
    }
}

#[derive(Deserialize)]
pub(super) struct Datagrams {
    pub(super) bytes_sent: u64,
    #[serde(default)]
    pub(super) bytes_received: u64,
    /// Those that did not fit into the socket's buffer.
    pub(super) overflowed: Option<u64>,
}

/// `/process`.
#[derive(Deserialize)]
pub(super) struct ProcessPage {
    pub(super) turns: Turns,
    /// The processor time of the turns; programs before 3.1 do not say it.
    #[serde(default)]
    pub(super) turns_cpu: Turns,
    pub(super) members: Option<u64>,
    /// The connections that it has closed, by the reason.
    #[serde(default)]
    pub(super) closed: BTreeMap<String, u64>,
}

#[derive(Default, Deserialize)]
pub(super) struct Turns {
    #[serde(default)]
    pub(super) count: u64,
    pub(super) longest_us: u64,
    pub(super) histogram: Vec<Bucket>,
}

/// Turns that were shorter than a bound, and not counted under a lower one.
#[derive(Deserialize)]
pub(super) struct Bucket {
    /// `None` has no bound.
    below_us: Option<u64>,
    turns: u64,
}

impl Turns {
    /// The bound below which 999 of 1000 turns stayed, in microseconds.
    pub(super) fn most_below_us(&self) -> u64 {
        let most = self.histogram.iter().map(|bucket| bucket.turns).sum::<u64>() / 1000 * 999;
        let mut turns_below = 0;
        let mut covers_most = |bucket: &&Bucket| {
            turns_below += bucket.turns;
            turns_below >= most
        };
        let bucket = self.histogram.iter().find(|bucket| covers_most(bucket));
        bucket.and_then(|bucket| bucket.below_us).unwrap_or(self.longest_us)
    }
}

/// The sums over all namespaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) namespaces: u64,
    pub(super) members: u64,
    pub(super) connections: u64,
}

impl Sums {
    pub(super) fn of(stats: &Stats) -> Self {
        let mut sums = Self { namespaces: stats.len() as u64, ..Self::default() };
        for NamespaceStats { members, connections, .. } in stats.values() {
            sums.members += members;
            sums.connections += connections;
        }
        sums
    }
}

impl fmt::Display for Sums {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { namespaces, members, connections } = self;
        write!(f, "{namespaces} namespaces with {members} members and {connections} connections")
    }
}

/// The members of each namespace.
pub(super) fn members(stats: &Stats) -> HashMap<String, u64> {
    stats.iter().map(|(name, of)| (name.clone(), of.members)).collect()
}

/// A number in which the stats and the truth differ, if there is one, as (name, said, true). A namespace without members
/// may be missing.
pub(super) fn find_wrong<'a>(
    stats: &'a HashMap<String, u64>,
    truth: &'a HashMap<String, u64>,
) -> Option<(&'a str, u64, u64)> {
    stats.keys().chain(truth.keys()).find_map(|name| {
        let [said, there] = [stats, truth].map(|numbers| numbers.get(name).copied().unwrap_or(0));
        (said != there).then_some((name.as_str(), said, there))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stats_are_summed_up() {
        let sums = |text: &str| Sums::of(&serde_json::from_str(text).unwrap());
        let stats = "{\"a\":{\"created\":1,\"members\":2,\"connections\":30,\"modified\":4},\
            \"b\":{\"created\":1,\"members\":0,\"connections\":7,\"modified\":0}}\n";
        assert_eq!(sums(stats), Sums { namespaces: 2, members: 2, connections: 37 });
        assert_eq!(sums("{}\n"), Sums::default());
        assert!(serde_json::from_str::<Stats>("{\"a\":{\"members\":\"x\"}}").is_err());
    }

    #[test]
    fn stats_must_say_what_is_true_and_no_more() {
        let numbers =
            |entries: &[(&str, u64)]| entries.iter().map(|&(name, number)| (name.to_owned(), number)).collect();
        let truth = numbers(&[("a", 2)]);
        assert_eq!(find_wrong(&numbers(&[("a", 2), ("b", 0)]), &truth), None);
        assert_eq!(find_wrong(&numbers(&[("a", 3)]), &truth), Some(("a", 3, 2)));
        assert_eq!(find_wrong(&numbers(&[("b", 0)]), &truth), Some(("a", 0, 2)));
        assert_eq!(find_wrong(&numbers(&[("a", 2), ("b", 1)]), &truth), Some(("b", 1, 0)));
    }

    #[test]
    fn most_turns_are_below_the_bound_of_their_bucket() {
        let page = |last: u64| {
            let text = format!(
                "{{\"turns\":{{\"longest_us\":70,\"histogram\":[{{\"below_us\":10,\"turns\":1998}},\
                 {{\"below_us\":50,\"turns\":{last}}},{{\"below_us\":null,\"turns\":1}}]}}}}"
            );
            serde_json::from_str::<ProcessPage>(&text).unwrap().turns.most_below_us()
        };
        assert_eq!((page(1), page(2000)), (10, 50));
    }
}
