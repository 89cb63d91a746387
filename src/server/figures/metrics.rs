//! The figures of all nodes, and of the largest namespaces, in the text format of Prometheus.
//!
//! Owns their names, and the order in which a node tells the others its own: [`Family`] by family, label by label. Whichever
//! node is asked answers for all, so the series are the same whoever answers; `node` tells them apart.
//!
//! Names of namespaces come from strangers, so only those of the largest are series of their own, and the rest are `other`.
//!
//! Invariant: no name can end its line, or its label: what is none of `"`, `\` and visible ASCII does not occur in one.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt::{Display, Write as _};

use crate::collections::histogram::Histogram;
use crate::meter::COUNTERS_MAX;
use crate::meter::news::NodeId;
use crate::server::conns::conn::{CloseReason, Port};

/// Of the text format (Prometheus, "Exposition formats").
pub(in crate::server) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What begins the name of each metric.
const PREFIX: &str = "audience_meter";

/// The series under which the namespaces are summed up that have none of their own.
const OTHER: &str = "other";

/// What a metric is (Prometheus, "Exposition formats").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It goes up.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Microseconds by powers of two, and their sum.
    Histogram,
}

/// Metrics of one name.
struct Family {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    /// What tells its metrics apart, if there are several: the label, and its values.
    label: Option<(&'static str, &'static [&'static str])>,
}

/// What each node tells of itself, in the order of its counters.
const FAMILIES: [Family; 21] = [
    Family::one("members", Kind::Gauge, "Members that are counted at the node."),
    Family::one("watchers", Kind::Gauge, "Streams that are told of many namespaces and are not counted."),
    Family::each("open_connections", Kind::Gauge, "Open connections.", "port", &Port::NAMES),
    Family::one("joins_total", Kind::Counter, "Streams that were opened."),
    Family::each("closed_total", Kind::Counter, "Connections that ended.", "reason", &CloseReason::NAMES),
    Family::each("refused_total", Kind::Counter, "Connections that there was no room for.", "reason", &REFUSED),
    Family::each("pushes_total", Kind::Counter, "Counts and messages that members were told.", "kind", &PUSHED),
    Family::one("messages_total", Kind::Counter, "Messages for namespaces that the node knows."),
    Family::one("sent_bytes_total", Kind::Counter, "Bytes that were written to clients, or kept for them."),
    Family::one("turn_seconds", Kind::Histogram, "How long the turns of the loop were."),
    Family::one("timers", Kind::Gauge, "Timers that are set."),
    Family::one("open_fds", Kind::Gauge, "Descriptors that are open."),
    Family::one("max_fds", Kind::Gauge, "Descriptors that may be open."),
    Family::one("namespaces", Kind::Gauge, "Namespaces that the node knows."),
    Family::one("cluster_nodes", Kind::Gauge, "Nodes that the node knows to be there, itself included."),
    Family::one("cluster_silent_nodes", Kind::Gauge, "Nodes of which it has heard nothing for a while."),
    Family::one("cluster_lost_nodes_total", Kind::Counter, "Nodes that fell silent and were taken for gone."),
    Family::each("cluster_datagrams_total", Kind::Counter, "Datagrams between nodes.", "what", &DATAGRAMS),
    Family::each("cluster_bytes_total", Kind::Counter, "Bytes of datagrams between nodes.", "what", &BYTES),
    Family::one("start_time_seconds", Kind::Gauge, "When the node started, in seconds since 1970."),
    Family::one("draining", Kind::Gauge, "Whether the node is letting its members go."),
];

const REFUSED: [&str; 4] = ["heads", "members", "namespaces", "watchers"];
const PUSHED: [&str; 2] = ["count", "message"];
const DATAGRAMS: [&str; 5] = ["sent", "received", "dropped", "overflowed", "send_error"];
const BYTES: [&str; 2] = ["sent", "received"];

/// What is told of a histogram besides its buckets: the sum.
const HISTOGRAM_REST: usize = 1;

impl Family {
    const fn one(name: &'static str, kind: Kind, help: &'static str) -> Self {
        Self { name, kind, help, label: None }
    }

    const fn each(
        name: &'static str,
        kind: Kind,
        help: &'static str,
        label: &'static str,
        values: &'static [&'static str],
    ) -> Self {
        Self { name, kind, help, label: Some((label, values)) }
    }

    /// How many counters it takes.
    const fn counters(&self) -> usize {
        match (self.kind, self.label) {
            (Kind::Histogram, _) => Histogram::BUCKETS + HISTOGRAM_REST,
            (_, Some((_, values))) => values.len(),
            (_, None) => 1,
        }
    }

    /// Appends what a node has told of it.
    fn push(&self, out: &mut String, node: NodeId, counters: &[u64]) {
        let name = self.name;
        let mut line = |suffix: &str, label: &str, value: &dyn Display| {
            // Writing to a string does not fail.
            let _ = writeln!(out, "{PREFIX}_{name}{suffix}{{node=\"{node}\"{label}}} {value}");
        };
        match (self.kind, self.label) {
            (Kind::Histogram, _) => {
                let (buckets, rest) = counters.split_at_checked(Histogram::BUCKETS).unwrap_or_default();
                let mut count = 0;
                for (bound, bucket) in Histogram::bounds().zip(buckets) {
                    count += bucket;
                    let label = match bound {
                        Some(us) => format!(",le=\"{}\"", Seconds(us)),
                        None => ",le=\"+Inf\"".to_owned(),
                    };
                    line("_bucket", &label, &count);
                }
                line("_sum", "", &Seconds(rest.first().copied().unwrap_or(0)));
                line("_count", "", &count);
            }
            (_, Some((label, values))) => {
                for (value, counter) in values.iter().zip(counters) {
                    line("", &format!(",{label}=\"{value}\""), counter);
                }
            }
            (_, None) => counters.iter().for_each(|counter| line("", "", counter)),
        }
    }
}

/// Microseconds, written as seconds.
struct Seconds(u64);

impl Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// How many counters a node has.
pub(in crate::server) const COUNTERS: usize = {
    let (mut sum, mut index) = (0, 0);
    while index < FAMILIES.len() {
        sum += FAMILIES[index].counters();
        index += 1;
    }
    sum
};

const _: () = assert!(COUNTERS <= COUNTERS_MAX);

/// Whether a node that has told these counters is letting its members go: the last of them says so.
pub(in crate::server) fn are_of_draining(counters: &[u64]) -> bool {
    counters.len() == COUNTERS && counters.last().is_some_and(|&is_draining| is_draining > 0)
}

/// Appends the figures of these nodes. One that has not told any yet, or is of a version that tells others, is left out.
pub(in crate::server) fn push_nodes(out: &mut String, nodes: &[(NodeId, &[u64])]) {
    let mut from = 0;
    for family in &FAMILIES {
        let range = from..from + family.counters();
        from = range.end;
        push_head(out, family.name, family.kind, family.help);
        for (node, counters) in nodes.iter().filter(|(_, counters)| counters.len() == COUNTERS) {
            family.push(out, *node, counters.get(range.clone()).unwrap_or_default());
        }
    }
}

fn push_head(out: &mut String, name: &str, kind: Kind, help: &str) {
    let kind = match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    let _ = writeln!(out, "# HELP {PREFIX}_{name} {help}\n# TYPE {PREFIX}_{name} {kind}");
}

/// The largest of the namespaces that were seen so far, and the sum of the rest.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::server) struct Largest {
    most: usize,
    /// The smallest of them first; of equal ones, the one whose name comes last.
    kept: BTreeSet<(u64, Reverse<String>)>,
    other: u64,
}

impl Largest {
    /// None was seen, and so many are to be kept.
    pub(in crate::server) fn new(most: usize) -> Self {
        Self { most, kept: BTreeSet::new(), other: 0 }
    }

    /// Looks at a namespace.
    pub(in crate::server) fn see(&mut self, name: &str, members: u64) {
        let is_too_small = self.kept.len() >= self.most
            && self.kept.first().is_none_or(|(least, Reverse(last))| (members, last.as_str()) <= (*least, name));
        if members == 0 || name == OTHER || is_too_small {
            self.other += members;
            return;
        }
        self.kept.insert((members, Reverse(name.to_owned())));
        if self.kept.len() > self.most
            && let Some((least, _)) = self.kept.pop_first()
        {
            self.other += least;
        }
    }

    /// Appends them, the largest first, and the rest.
    pub(in crate::server) fn push(&self, out: &mut String) {
        push_head(
            out,
            "namespace_members",
            Kind::Gauge,
            "Members of the largest namespaces, and of all others, at all nodes.",
        );
        let largest = self.kept.iter().rev().map(|(members, Reverse(name))| (name.as_str(), *members));
        for (name, members) in largest.chain([(OTHER, self.other)]) {
            let name = name.replace('\\', "\\\\").replace('"', "\\\"");
            let _ = writeln!(out, "{PREFIX}_namespace_members{{namespace=\"{name}\"}} {members}");
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

    #[test]
    fn a_node_s_counters_are_told_in_their_order_and_those_of_another_version_are_not() {
        let counters: Vec<u64> = (1..=COUNTERS as u64).collect();
        let mut out = String::new();
        push_nodes(&mut out, &[(NodeId(7), &counters), (NodeId(8), &counters[1..])]);
        assert!(out.starts_with("# HELP audience_meter_members "), "{out}");
        for line in [
            "audience_meter_members{node=\"0000000000000007\"} 1",
            "audience_meter_open_connections{node=\"0000000000000007\",port=\"demo\"} 6",
            "# TYPE audience_meter_turn_seconds histogram",
            &format!("audience_meter_draining{{node=\"0000000000000007\"}} {COUNTERS}"),
        ] {
            assert!(out.lines().any(|found| found == line), "{line} is not in {out}");
        }
        assert!(!out.contains("0000000000000008"));
        assert!(are_of_draining(&counters) && !are_of_draining(&counters[1..]) && !are_of_draining(&[0; COUNTERS]));
    }

    #[test]
    fn buckets_add_up_and_microseconds_are_written_as_seconds() {
        let family = FAMILIES.iter().find(|family| family.kind == Kind::Histogram).unwrap();
        let mut counters = vec![0; family.counters()];
        (counters[0], counters[1], counters[Histogram::BUCKETS - 1], counters[Histogram::BUCKETS]) =
            (5, 2, 1, 1_000_070);
        let mut out = String::new();
        family.push(&mut out, NodeId(1), &counters);
        let values: Vec<&str> = out.lines().map(|line| line.split_once("seconds").unwrap().1).collect();
        let of = |what: &str| format!("{what}{{node=\"0000000000000001\"");
        assert_eq!(values[0], format!("{},le=\"0.000016\"}} 5", of("_bucket")));
        assert_eq!(values[1], format!("{},le=\"0.000032\"}} 7", of("_bucket")));
        assert_eq!(values[Histogram::BUCKETS - 1], format!("{},le=\"+Inf\"}} 8", of("_bucket")));
        assert_eq!(
            values[Histogram::BUCKETS..],
            [format!("{}}} 1.000070", of("_sum")), format!("{}}} 8", of("_count"))]
        );
    }
}
