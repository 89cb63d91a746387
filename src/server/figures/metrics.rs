//! The metrics of a node: counters by number, and the page that has those of all nodes.
//!
//! Owns what is announced, and which nodes have series. Any node answers for all nodes, so the series are the same at each of
//! them; the label `node` distinguishes them. A node of another program is among them, with the series that both know.
//!
//! Invariant: all counters of a node fit into a datagram.

use crate::meter::COUNTERS_MAX;
use crate::meter::news::{Counter, NodeId};
use crate::server::figures::exposition::{push_family_head, push_series};
use crate::server::figures::families::{DRAINING, FAMILIES};
use crate::server::figures::family::PLACES;
use crate::server::figures::view::{Labels, View};

/// The metrics of this program.
pub(in crate::server) struct Metrics {
    labels: Labels,
}

impl Metrics {
    /// The metrics for these names. Built at compile time, it refuses a table whose numbers do not rise, a family with more
    /// figures than it has places, and more counters than fit into a datagram.
    pub(in crate::server) const fn new(labels: Labels) -> Self {
        let (mut counter_count, mut index) = (0, 0);
        while index < FAMILIES.len() {
            let figure_count = FAMILIES[index].figure_count(labels);
            assert!(index == 0 || FAMILIES[index - 1].number < FAMILIES[index].number, "the numbers of families rise");
            assert!(FAMILIES[index].number < u16::MAX / PLACES, "each figure has a number");
            assert!(figure_count <= PLACES as usize, "each figure has a place");
            counter_count += figure_count;
            index += 1;
        }
        assert!(counter_count <= COUNTERS_MAX, "the counters fit into a datagram");
        Self { labels }
    }

    /// The counters of this node that are not 0, in the order of their numbers.
    pub(in crate::server) fn sample(&self, view: &View<'_>) -> Vec<Counter> {
        let mut counters = Vec::with_capacity(COUNTERS_MAX);
        for family in &FAMILIES {
            family.sample(self.labels, view, &mut counters);
        }
        counters
    }

    /// Whether the node with these counters is letting its members go.
    pub(in crate::server) fn are_draining(counters: &[Counter]) -> bool {
        counters.iter().any(|counter| counter.number == DRAINING * PLACES)
    }

    /// The number of connections that were freed, by the names of the reasons.
    pub(in crate::server) fn closed(&self, view: &View<'_>) -> impl Iterator<Item = (&'static str, u64)> {
        self.labels.close_reasons.iter().copied().zip(view.connections.closed.iter().copied())
    }

    /// Appends the series of these nodes. A node that has not announced its counters yet has none.
    pub(in crate::server) fn push_nodes(&self, out: &mut String, nodes: &[(NodeId, &[Counter])]) {
        for family in &FAMILIES {
            push_family_head(out, family);
            for (node, counters) in nodes.iter().filter(|(_, counters)| !counters.is_empty()) {
                push_series(out, family, self.labels, *node, counters);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;
    use std::time::Duration;

    use crate::collections::histogram::Histogram;
    use crate::collections::key::Key as _;
    use crate::collections::tick::{Now, Tick};
    use crate::meter::{MemberId, Meter, NotifyRule, Rules};
    use crate::server::figures::tally::{NoRoom, PushKind, Tally};
    use crate::server::figures::view::{Connections, Datagrams, Descriptors, Named};
    use crate::server::troubles::{Kind, Source, Troubles};

    /// The names of 3.0.0.
    static METRICS: Metrics = Metrics::new(Labels {
        ports: &["audience", "stats", "notification", "demo"],
        close_reasons: &[
            "peer_closed",
            "peer_reset",
            "peer_timeout",
            "max_duration",
            "lingered",
            "too_slow",
            "too_much",
            "shutdown",
            "no_memory",
            "no_head_room",
            "proxy_head",
        ],
    });

    /// The counters of the view below, by family.
    fn expected_counters(timer_count: u64) -> Vec<Counter> {
        let mut turn_figures = [0; 64];
        (turn_figures[0], turn_figures[4], turn_figures[63]) = (20_003, 1, 1);
        let expected: [(u16, &[u64]); 22] = [
            (1, &[3]),
            (2, &[54]),
            (3, &[11, 12, 13, 14]),
            (4, &[1]),
            (5, &[21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31]),
            (6, &[32, 0, 1, 0]),
            (7, &[0, 1]),
            (8, &[1]),
            (9, &[77]),
            (10, &turn_figures),
            (11, &[33 + timer_count]),
            (12, &[51]),
            (13, &[52]),
            (14, &[2]),
            (15, &[1]),
            (16, &[0]),
            (17, &[0]),
            (18, &[41, 44, 146, 47, 43]),
            (19, &[42, 45]),
            (20, &[55]),
            (21, &[1]),
            (22, &[0, 0, 0, 1, 0, 0, 0, 0, 0]),
        ];
        let numbered = expected.iter().flat_map(|(family, values)| (family * 64..).zip(values.iter().copied()));
        numbered.filter(|&(_, value)| value > 0).map(|(number, value)| Counter { number, value }).collect()
    }

    #[test]
    fn each_getter_fills_its_own_places() {
        let rules = Rules {
            notify: NotifyRule { delta_ratio: 0.1, min_delay: Duration::ZERO, max_delay: Duration::MAX },
            increment_delay: Duration::ZERO,
            namespace_clean_delay: Duration::from_secs(1),
        };
        let now = Now { tick: Tick(1_000), unix_ms: 1_300_000_000_000 };
        let mut meter = Meter::new(rules, NodeId(1), None);
        for (member, namespace) in ["/a", "/a", "/b"].into_iter().enumerate() {
            meter.join(MemberId::from_index(member).unwrap(), namespace, None, now);
        }
        let timer_count = meter.timer_count() as u64;
        let mut tally = Tally::default();
        tally.record_join();
        tally.record_message();
        tally.record_refusal(NoRoom::Namespaces);
        tally.record_push(PushKind::Message);
        let mut turns = Histogram::default();
        turns.record(3);
        turns.record(20_000);
        let mut troubles = Troubles::new(Duration::from_secs(5));
        let stranger = "10.0.0.9:80".parse::<SocketAddr>().unwrap();
        troubles.raise(Kind::ForeignVersion, &Source::at(stranger.into()), now);
        let view = View {
            now,
            meter: &meter,
            tally: &tally,
            connections: Connections {
                open: &[11, 12, 13, 14],
                closed: &[21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31],
                heads_refused: 32,
                sent_bytes: 77,
                timer_count: 33,
            },
            datagrams: Datagrams {
                sent: 41,
                bytes_sent: 42,
                send_errors: 43,
                received: 44,
                bytes_received: 45,
                dropped: Named { names: &["malformed", "replayed"], counts: &[46, 100] },
                overflowed: 47,
            },
            descriptors: Descriptors { open: 51, max: 52 },
            turns: &turns,
            audience_port: 53,
            watcher_count: 54,
            node_timeout: Duration::from_secs(6),
            troubles: &troubles,
            started_unix_s: 55,
            is_draining: true,
        };
        assert_eq!(METRICS.sample(&view), expected_counters(timer_count));
        assert_eq!(METRICS.closed(&view).nth(2), Some(("peer_timeout", 23)));
        assert_eq!(view.connections.open_count(), 50);
    }

    /// The lines of the page about a node with these counters.
    fn lines_of(counters: &[(u16, u64)]) -> Vec<String> {
        let counters: Vec<Counter> = counters.iter().map(|&(number, value)| Counter { number, value }).collect();
        let mut out = String::new();
        METRICS.push_nodes(&mut out, &[(NodeId(7), &counters)]);
        let of_node = out.lines().filter_map(|line| line.strip_prefix("audience_meter_"));
        of_node.map(|line| line.replace("node=\"0000000000000007\"", "")).collect()
    }

    #[test]
    fn what_only_a_later_program_counts_is_not_on_the_page() {
        // Two reasons and a kind that are not in the lists, and families after the last, up to the largest number.
        let known = [(64, 9), (5 * 64 + 10, 7), (21 * 64, 1)];
        let unknown =
            [(5 * 64 + 11, 8), (5 * 64 + 12, 8), (7 * 64 + 2, 8), (22 * 64 + 60, 8), (23 * 64, 8), (u16::MAX, 8)];
        let mut all = [&known[..], &unknown].concat();
        all.sort_unstable();
        assert_eq!(lines_of(&all), lines_of(&known));
        let lines = lines_of(&known);
        for line in ["members{} 9", "closed_total{,reason=\"proxy_head\"} 7", "draining{} 1"] {
            assert!(lines.iter().any(|found| found == line), "{line} is not in {lines:?}");
        }
    }

    #[test]
    fn a_finer_bucket_of_a_later_program_counts_in_the_next_one() {
        let buckets = [(640, 5_000_000), (640 + 3, 1), (640 + 4, 2), (640 + 14, 4), (640 + 15, 8), (640 + 63, 16)];
        let lines = lines_of(&buckets);
        let turns: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("turn_seconds_")).collect();
        let expected = [
            "bucket{,le=\"0.000016\"} 3",
            "bucket{,le=\"0.000032\"} 3",
            "bucket{,le=\"0.000064\"} 3",
            "bucket{,le=\"0.000128\"} 3",
            "bucket{,le=\"0.000256\"} 3",
            "bucket{,le=\"0.000512\"} 3",
            "bucket{,le=\"0.001024\"} 3",
            "bucket{,le=\"0.002048\"} 3",
            "bucket{,le=\"0.004096\"} 3",
            "bucket{,le=\"0.008192\"} 3",
            "bucket{,le=\"0.016384\"} 7",
            "bucket{,le=\"+Inf\"} 31",
            "sum{} 5.000000",
            "count{} 31",
        ];
        assert_eq!(turns, expected);
    }

    #[test]
    fn what_an_earlier_program_does_not_count_is_0() {
        let lines = lines_of(&[(64, 3), (20 * 64, 1_300_000_000)]);
        let values: Vec<&str> = lines.iter().map(|line| line.rsplit_once(' ').unwrap().1).collect();
        assert_eq!(lines.len(), 56 + Kind::COUNT);
        assert_eq!((values[0], values[54], values[55]), ("3", "1300000000", "0"));
        assert!(
            values[1..54].iter().chain(&values[56..]).all(|&value| value == "0" || value == "0.000000"),
            "{values:?}"
        );
        let series = |counters| lines_of(counters).into_iter().map(|line| line.rsplit_once(' ').unwrap().0.to_owned());
        assert!(series(&[(64, 3)]).eq(series(&[(64, 3), (21 * 64, 1)])), "each node has the same series");
    }

    #[test]
    fn a_node_that_has_announced_nothing_has_no_series() {
        assert_eq!(lines_of(&[]), Vec::<String>::new());
    }

    #[test]
    fn a_node_drains_while_its_counter_is_not_0() {
        let draining = [Counter { number: 21 * 64, value: 1 }];
        assert!(Metrics::are_draining(&draining));
        assert!(!Metrics::are_draining(&[Counter { number: 64, value: 1 }]));
    }
}
