//! The largest namespaces, and the sum of all others.
//!
//! Owns which namespaces have series of their own. Names of namespaces come from strangers, so only those of the largest are
//! values of a label, and the rest are `other`.
//!
//! Invariant: no name can end its label, or its line: what is none of `"`, `\` and visible ASCII does not occur in one, and
//! those two are escaped.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::server::figures::exposition::{PREFIX, push_head};
use crate::server::figures::family::Kind;

/// The series under which the namespaces are summed up that have none of their own.
const OTHER: &str = "other";

/// The name of the metric.
const NAME: &str = "namespace_members";

/// The largest of the namespaces that were seen so far, and the sum of the rest.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::server) struct Largest {
    kept_max: usize,
    /// The smallest of them first; of equal ones, the one whose name comes last.
    kept: BTreeSet<(u64, Reverse<String>)>,
    other: u64,
}

impl Largest {
    /// No namespace was seen yet; `kept_max` of them are to have series of their own.
    pub(in crate::server) fn new(kept_max: usize) -> Self {
        Self { kept_max, kept: BTreeSet::new(), other: 0 }
    }

    /// Adds a namespace.
    pub(in crate::server) fn see(&mut self, name: &str, members: u64) {
        let is_too_small = self.kept.len() >= self.kept_max
            && self.kept.first().is_none_or(|(least, Reverse(last))| (members, last.as_str()) <= (*least, name));
        if members == 0 || name == OTHER || is_too_small {
            self.other += members;
            return;
        }
        self.kept.insert((members, Reverse(name.to_owned())));
        if self.kept.len() > self.kept_max
            && let Some((least, _)) = self.kept.pop_first()
        {
            self.other += least;
        }
    }

    /// Appends their series, the largest first, then that of the rest.
    pub(in crate::server) fn push(&self, out: &mut String) {
        push_head(out, NAME, Kind::Gauge, "Members of the largest namespaces, and of all others, at all nodes.");
        let largest = self.kept.iter().rev().map(|(members, Reverse(name))| (name.as_str(), *members));
        for (name, members) in largest.chain([(OTHER, self.other)]) {
            let name = name.replace('\\', "\\\\").replace('"', "\\\"");
            // Writing to a string does not fail.
            let _ = writeln!(out, "{PREFIX}_{NAME}{{namespace=\"{name}\"}} {members}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn largest(most: usize, namespaces: &[(&str, u64)]) -> Vec<String> {
        let mut largest = Largest::new(most);
        for (name, members) in namespaces {
            largest.see(name, *members);
        }
        let mut out = String::new();
        largest.push(&mut out);
        let lines = out.lines().filter(|line| !line.starts_with('#'));
        lines.map(|line| line.strip_prefix("audience_meter_namespace_members").unwrap().to_owned()).collect()
    }

    #[test]
    fn the_largest_have_series_and_the_rest_is_summed_up() {
        let all = [("a", 3), ("b", 9), ("empty", 0), ("c", 3), ("d", 4), ("e", 1)];
        let expected = ["{namespace=\"b\"} 9", "{namespace=\"d\"} 4", "{namespace=\"a\"} 3", "{namespace=\"other\"} 4"];
        assert_eq!(largest(3, &all), expected);
        let mut reversed = all;
        reversed.reverse();
        assert_eq!(largest(3, &reversed), expected, "whatever the order");
        assert_eq!(largest(0, &all), ["{namespace=\"other\"} 20"]);
        assert_eq!(largest(3, &[]), ["{namespace=\"other\"} 0"]);
    }

    #[test]
    fn no_name_ends_its_label_or_stands_for_the_rest() {
        let strange = [("a\"} 1", 2), ("b\\", 1), ("other", 7)];
        let expected = ["{namespace=\"a\\\"} 1\"} 2", "{namespace=\"b\\\\\"} 1", "{namespace=\"other\"} 7"];
        assert_eq!(largest(9, &strange), expected);
    }
}
