//! The largest namespaces, and the sum of all others.
//!
//! Owns which namespaces have series of their own. Names of namespaces come from strangers, so only those of the largest are
//! values of a label, if they are not small and new; the rest are `other`.
//!
//! Invariant: no name can end its label, or its line: what is none of `"`, `\` and visible ASCII does not occur in one, and
//! those two are escaped.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt::Write as _;

use crate::server::figures::exposition::{PREFIX, push_head};
use crate::server::figures::family::Kind;

/// The series under which the namespaces are summed up that have none of their own.
const OTHER: &str = "other";

/// The name of the metric.
const NAME: &str = "audience_namespace_members";

/// The name of the metric of their people.
const PEOPLE: &str = "audience_namespace_people";

/// A namespace has a series once it has this many members, or has been there for this long. Each name is a series for ever in
/// a database, and one that a stranger invents takes the place of an event. So 20 invented names take 2,000 connections, or
/// 20 that are held for five minutes; in the latter way at most 240 names an hour come into the database.
const MEMBERS_MIN: u64 = 100;
const AGE_MIN_S: u64 = 300;

/// The largest of the namespaces that were seen so far, and the sum of the rest.
#[derive(Debug)]
pub(in crate::server) struct Largest {
    kept_max: usize,
    /// The one that goes next is on top.
    kept: BinaryHeap<Reverse<Rank>>,
    other: u64,
}

/// The place of a namespace: the larger one is before the smaller, of equal ones the older, and then the name decides.
type Rank = (u64, u64, Reverse<String>);

impl Largest {
    /// No namespace was seen yet; `kept_max` of them are to have series of their own.
    pub(in crate::server) fn new(kept_max: usize) -> Self {
        Self { kept_max, kept: BinaryHeap::new(), other: 0 }
    }

    /// Adds a namespace that has been there for this long.
    pub(in crate::server) fn see(&mut self, name: &str, members: u64, age_s: u64) {
        let is_too_small = self.kept.len() >= self.kept_max
            && self.kept.peek().is_none_or(|Reverse((least, youngest, Reverse(last)))| {
                (members, age_s, last.as_str()) <= (*least, *youngest, name)
            });
        let is_new = members < MEMBERS_MIN && age_s < AGE_MIN_S;
        if members == 0 || name == OTHER || is_new || is_too_small {
            self.other += members;
            return;
        }
        self.kept.push(Reverse((members, age_s, Reverse(name.to_owned()))));
        if self.kept.len() > self.kept_max
            && let Some(Reverse((least, ..))) = self.kept.pop()
        {
            self.other += least;
        }
    }

    /// Appends their series, the largest first, then that of the rest; and those of their different people, as far as
    /// `people_of` knows them.
    pub(in crate::server) fn push(&mut self, out: &mut String, people_of: impl Fn(&str) -> Option<u64>) {
        push_head(
            out,
            NAME,
            Kind::Gauge,
            "Members of the largest namespaces, and of all others, of the whole audience (max over targets, no sum).",
        );
        let kept = std::mem::take(&mut self.kept).into_sorted_vec();
        let largest = kept.iter().map(|Reverse((members, _, Reverse(name)))| (name.as_str(), *members));
        for (name, members) in largest.chain([(OTHER, self.other)]) {
            push_series(out, NAME, name, members);
        }
        push_head(
            out,
            PEOPLE,
            Kind::Gauge,
            "Different people that have been counted in the largest namespaces, of the whole audience.",
        );
        for Reverse((_, _, Reverse(name))) in &kept {
            if let Some(people) = people_of(name) {
                push_series(out, PEOPLE, name, people);
            }
        }
    }
}

fn push_series(out: &mut String, metric: &str, namespace: &str, value: u64) {
    let namespace = namespace.replace('\\', "\\\\").replace('"', "\\\"");
    // Writing to a string does not fail.
    let _ = writeln!(out, "{PREFIX}{metric}{{namespace=\"{namespace}\"}} {value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn largest(most: usize, namespaces: &[(&str, u64)]) -> Vec<String> {
        let mut largest = Largest::new(most);
        for (name, members) in namespaces {
            largest.see(name, *members, AGE_MIN_S);
        }
        let mut out = String::new();
        largest.push(&mut out, |_| None);
        let lines = out.lines().filter(|line| !line.starts_with('#'));
        lines.map(|line| line.strip_prefix("audience_meter_audience_namespace_members").unwrap().to_owned()).collect()
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
    fn small_namespaces_have_no_series_while_they_are_new_and_of_equal_ones_the_oldest_have() {
        let mut largest = Largest::new(2);
        for (name, members, age_s) in [
            ("new", MEMBERS_MIN - 1, AGE_MIN_S - 1),
            ("large", MEMBERS_MIN, 0),
            ("a-fake", 3, AGE_MIN_S),
            ("old", 3, AGE_MIN_S + 60),
            ("b-fake", 3, AGE_MIN_S + 1),
        ] {
            largest.see(name, members, age_s);
        }
        let mut out = String::new();
        largest.push(&mut out, |name| (name == "large").then_some(7));
        let lines: Vec<&str> = out.lines().filter_map(|line| line.split_once('{')).map(|(_, rest)| rest).collect();
        let expected =
            ["namespace=\"large\"} 100", "namespace=\"old\"} 3", "namespace=\"other\"} 105", "namespace=\"large\"} 7"];
        assert_eq!(lines, expected);
    }

    #[test]
    fn no_name_ends_its_label_or_stands_for_the_rest() {
        let strange = [("a\"} 1", 2), ("b\\", 1), ("other", 7)];
        let expected = ["{namespace=\"a\\\"} 1\"} 2", "{namespace=\"b\\\\\"} 1", "{namespace=\"other\"} 7"];
        assert_eq!(largest(9, &strange), expected);
    }
}
