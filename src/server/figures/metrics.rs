//! The metrics of a node: numbers in the order of a datagram, and the page that has those of all nodes.
//!
//! Owns where each family's counters are among the counters of a node. Any node answers for all nodes, so the series are
//! the same at each of them; the label `node` distinguishes them.
//!
//! Invariant: a node's counters are used only if there are [`Metrics::counter_count`] of them. Another number is another
//! version's, which has other counters in these places.

use crate::meter::COUNTERS_MAX;
use crate::meter::news::NodeId;
use crate::server::figures::exposition::{push_family_head, push_series};
use crate::server::figures::families::{DRAINING, FAMILIES};
use crate::server::figures::view::{Labels, View};

/// The metrics of this program.
pub(in crate::server) struct Metrics {
    labels: Labels,
    counter_count: usize,
    /// The place of the counter that is above 0 while a node drains.
    draining_place: usize,
}

impl Metrics {
    /// The metrics for these names. Built at compile time, it refuses a table whose numbers do not rise, or whose counters
    /// do not fit into a datagram.
    pub(in crate::server) const fn new(labels: Labels) -> Self {
        let (mut counter_count, mut draining_place, mut index) = (0, None, 0);
        while index < FAMILIES.len() {
            assert!(index == 0 || FAMILIES[index - 1].number < FAMILIES[index].number, "the numbers of families rise");
            if FAMILIES[index].number == DRAINING {
                draining_place = Some(counter_count);
            }
            counter_count += FAMILIES[index].counter_count(labels);
            index += 1;
        }
        assert!(counter_count <= COUNTERS_MAX, "the counters fit into a datagram");
        Self { labels, counter_count, draining_place: draining_place.expect("there is a family of draining nodes") }
    }

    /// The counters of this node, in the order of a datagram.
    pub(in crate::server) fn sample(&self, view: &View<'_>) -> Vec<u64> {
        let mut counters = Vec::with_capacity(self.counter_count);
        for family in &FAMILIES {
            let from = counters.len();
            family.sample(view, &mut counters);
            debug_assert_eq!(counters.len() - from, family.counter_count(self.labels), "{}", family.name);
        }
        counters
    }

    /// Whether the node with these counters is letting its members go.
    pub(in crate::server) fn are_draining(&self, counters: &[u64]) -> bool {
        counters.len() == self.counter_count && counters.get(self.draining_place).is_some_and(|&draining| draining > 0)
    }

    /// The number of connections that were freed, by the names of the reasons.
    pub(in crate::server) fn closed(&self, view: &View<'_>) -> impl Iterator<Item = (&'static str, u64)> {
        self.labels.close_reasons.iter().copied().zip(view.connections.closed.iter().copied())
    }

    /// Appends the series of these nodes. A node that has not announced its counters yet, or is of a version that announces
    /// others, has none.
    pub(in crate::server) fn push_nodes(&self, out: &mut String, nodes: &[(NodeId, &[u64])]) {
        let mut from = 0;
        for family in &FAMILIES {
            let range = from..from + family.counter_count(self.labels);
            from = range.end;
            push_family_head(out, family);
            for (node, counters) in nodes.iter().filter(|(_, counters)| counters.len() == self.counter_count) {
                push_series(out, family, self.labels, *node, counters.get(range.clone()).unwrap_or_default());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use crate::collections::histogram::Histogram;
    use crate::collections::key::Key as _;
    use crate::collections::tick::{Now, Tick};
    use crate::meter::{MemberId, Meter, NotifyRule, Rules};
    use crate::server::figures::tally::{NoRoom, PushKind, Tally};
    use crate::server::figures::view::{Connections, Datagrams, Descriptors, Named};

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
            started_unix_s: 55,
            is_draining: true,
        };
        let expected: [&[u64]; 12] = [
            &[3, 54],
            &[11, 12, 13, 14],
            &[1],
            &[21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31],
            &[32, 0, 1, 0],
            &[0, 1, 1, 77],
            &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 20_003],
            &[33 + timer_count, 51, 52],
            &[2, 1, 0, 0],
            &[41, 44, 146, 47, 43],
            &[42, 45],
            &[55, 1],
        ];
        assert_eq!(METRICS.sample(&view), expected.concat());
        assert_eq!(METRICS.closed(&view).nth(2), Some(("peer_timeout", 23)));
        assert_eq!(view.connections.open_count(), 50);
    }

    #[test]
    fn counters_of_another_version_have_no_series() {
        let counters: Vec<u64> = (1..=55).collect();
        let mut out = String::new();
        METRICS.push_nodes(&mut out, &[(NodeId(7), &counters), (NodeId(8), &counters[1..])]);
        for line in [
            "audience_meter_members{node=\"0000000000000007\"} 1",
            "audience_meter_open_connections{node=\"0000000000000007\",port=\"demo\"} 6",
            "# TYPE audience_meter_turn_seconds histogram",
            "audience_meter_draining{node=\"0000000000000007\"} 55",
        ] {
            assert!(out.lines().any(|found| found == line), "{line} is not in {out}");
        }
        assert!(!out.contains("0000000000000008"));
        assert!(METRICS.are_draining(&counters));
        assert!(!METRICS.are_draining(&counters[1..]) && !METRICS.are_draining(&[0; 55]));
    }
}
