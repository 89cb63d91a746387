//! The metrics of a process: counters by number.
//!
//! Owns what is announced. Any process behind a stats port answers for all of them, so the others need what each has counted.
//!
//! Invariant: all counters of a node fit into a datagram.

use crate::meter::COUNTERS_MAX;
use crate::meter::news::Counter;
use crate::server::figures::families::{DRAINING, FAMILIES};
use crate::server::figures::family::PLACES;
use crate::server::figures::view::{Labels, View};

/// The metrics of this program.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::server) struct Metrics {
    pub(super) labels: Labels,
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;
    use std::time::Duration;

    use crate::collections::key::Key as _;
    use crate::collections::tick::{Now, Tick};
    use crate::meter::news::NodeId;
    use crate::meter::{MemberId, Meter, NotifyRule, Rules};
    use crate::reactor::Turns;
    use crate::reactor::proc::Usage;
    use crate::server::figures::families::{OWN_VERSION, VERSION};
    use crate::server::figures::tally::{NoRoom, PushKind, Tally};
    use crate::server::figures::view::{Connections, Datagrams, Descriptors, Named};
    use crate::server::troubles::{Kind, Source, Troubles};
    use crate::wire::handover::Supervision;

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
        let (mut turn_figures, mut cpu_figures) = ([0; 64], [0; 64]);
        (turn_figures[0], turn_figures[4], turn_figures[63]) = (20_003, 1, 1);
        (cpu_figures[0], cpu_figures[4], cpu_figures[5]) = (19, 1, 1);
        let expected: [(u16, &[u64]); 33] = [
            (1, &[3]),
            (2, &[54]),
            (3, &[11, 12, 13, 14]),
            (4, &[1]),
            (5, &[21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31]),
            (6, &[32, 0, 1, 0, 0]),
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
            (23, &[59]),
            (24, &[59]),
            (VERSION, &[OWN_VERSION]),
            (26, &[56]),
            (27, &[57]),
            (28, &[1]),
            (29, &cpu_figures),
            (30, &[61]),
            (31, &[62]),
            (32, &[0]),
            (33, &[0, 0, 0, 0, 0, 1, 0]),
        ];
        let numbered = expected.iter().flat_map(|(family, values)| (family * 64..).zip(values.iter().copied()));
        numbered.filter(|&(_, value)| value > 0).map(|(number, value)| Counter { number, value }).collect()
    }

    #[test]
    fn each_getter_fills_its_own_places() {
        let rules = Rules {
            notify: NotifyRule { delta_ratio: 0.1, min_delay: Duration::ZERO, max_delay: Duration::MAX, budget: None },
            increment_delay: Duration::ZERO,
            leave_delay: Duration::ZERO,
            namespace_clean_delay: Duration::from_secs(1),
            namespaces_max: usize::MAX,
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
        tally.record_lost_report();
        tally.record_forbidden("forged");
        let mut turns = Turns::default();
        for (wall_us, cpu_us) in [(3, 3), (20_000, 16)] {
            turns.wall.record(wall_us);
            turns.cpu.record(cpu_us);
        }
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
            usage: Usage { cpu_us: 56, resident_bytes: 57 },
            process: 58,
            target: 59,
            audience_port: 53,
            watcher_count: 54,
            node_timeout: Duration::from_secs(6),
            troubles: &troubles,
            started_unix_s: 55,
            supervision: Some(Supervision { restarts: 60, posts_empty: 61 }),
            is_draining: true,
        };
        assert_eq!(METRICS.sample(&view), expected_counters(timer_count));
        assert_eq!(METRICS.closed(&view).nth(2), Some(("peer_timeout", 23)));
        assert_eq!(view.connections.open_count(), 50);
    }

    #[test]
    fn a_node_drains_while_its_counter_is_not_0() {
        let draining = [Counter { number: 21 * 64, value: 1 }];
        assert!(Metrics::are_draining(&draining));
        assert!(!Metrics::are_draining(&[Counter { number: 64, value: 1 }]));
    }
}
