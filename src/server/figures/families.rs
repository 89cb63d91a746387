//! The families of metrics.
//!
//! Owns the table: an entry is all there is to a family, and a new one goes to the end, under the next number. A new value
//! of a label goes to the end of its list.
//!
//! Invariant: the order of the entries is the order of their numbers, and of the families on the page.

use crate::server::figures::family::Kind::{Counter, Gauge};
use crate::server::figures::family::Values::{CloseReasons, Listed, Ports};
use crate::server::figures::family::{Family, Read};
use crate::server::figures::tally::{FORBIDDEN, NoRoom, PushKind};
use crate::server::troubles::Kind;

/// What a connection, or its stream, found full.
const REFUSED: [&str; 5] = ["heads", NoRoom::NAMES[0], NoRoom::NAMES[1], NoRoom::NAMES[2], NoRoom::NAMES[3]];

/// The number of the family of draining processes.
pub(super) const DRAINING: u16 = 21;

/// The numbers of the families that name a process: its own number, counted from 1, the stats port that it is behind, and the
/// version of its program.
pub(super) const PROCESS: u16 = 23;
pub(super) const TARGET: u16 = 24;
pub(super) const VERSION: u16 = 25;

/// Names that families had in 3.0.0 and still have.
pub(super) const OLD_NAMES: [(u16, &str); 3] = [(12, "open_fds"), (13, "max_fds"), (20, "start_time_seconds")];

/// The version of this program: 16 bits for each part.
pub(super) const OWN_VERSION: u64 = (part(env!("CARGO_PKG_VERSION_MAJOR")) << 32)
    | (part(env!("CARGO_PKG_VERSION_MINOR")) << 16)
    | part(env!("CARGO_PKG_VERSION_PATCH"));

const fn part(text: &str) -> u64 {
    match u16::from_str_radix(text, 10) {
        Ok(part) => part as u64,
        Err(_) => panic!("a part of a version is below 65,536"),
    }
}

/// The table.
pub(super) const FAMILIES: [Family; 33] = [
    Family::gauge(1, "members", "Members that are counted at the process.", |view| view.meter.own_member_count()),
    Family::gauge(2, "watchers", "Streams that watch many namespaces and are not counted.", |view| {
        view.watcher_count as u64
    }),
    Family {
        number: 3,
        name: "open_connections",
        help: "Open connections.",
        read: Read::Each(Gauge, "port", Ports, |view| view.connections.open.iter().map(|&open| open as u64).collect()),
    },
    Family::counter(4, "joins_total", "Streams that were opened.", |view| view.tally.join_count()),
    Family {
        number: 5,
        name: "closed_total",
        help: "Connections that ended.",
        read: Read::Each(Counter, "reason", CloseReasons, |view| view.connections.closed.to_vec()),
    },
    Family {
        number: 6,
        name: "refused_total",
        help: "Connections that there was no room for.",
        read: Read::Each(Counter, "reason", Listed(&REFUSED), |view| {
            [&[view.connections.heads_refused][..], &view.tally.refusal_counts()].concat()
        }),
    },
    Family {
        number: 7,
        name: "pushes_total",
        help: "Counts and messages that were pushed to members.",
        read: Read::Each(Counter, "kind", Listed(&PushKind::NAMES), |view| view.tally.push_counts().to_vec()),
    },
    Family::counter(8, "messages_total", "Messages for namespaces that the process knows.", |view| {
        view.tally.message_count()
    }),
    Family::counter(9, "sent_bytes_total", "Bytes that were written to clients, or kept for them.", |view| {
        view.connections.sent_bytes
    }),
    Family {
        number: 10,
        name: "turn_seconds",
        help: "How long the turns of the loop were.",
        read: Read::Durations(|view| &view.turns.wall),
    },
    Family::gauge(11, "timers", "Timers that are set.", |view| {
        (view.connections.timer_count + view.meter.timer_count()) as u64
    }),
    Family::gauge(12, "process_open_fds", "Descriptors that are open.", |view| view.descriptors.open),
    Family::gauge(13, "process_max_fds", "Descriptors that may be open.", |view| view.descriptors.max as u64),
    Family::gauge(14, "namespaces", "Namespaces that the process knows (no sum: each knows all).", |view| {
        view.meter.namespaces().len() as u64
    }),
    Family::gauge(
        15,
        "cluster_nodes",
        "Nodes that the process knows to be there, itself included (no sum: each knows all).",
        |view| view.meter.nodes(view.now).count() as u64 + 1,
    ),
    Family::gauge(16, "cluster_silent_nodes", "Nodes without a datagram for a while (no sum).", |view| {
        view.meter.nodes(view.now).filter(|node| view.is_silent(node)).count() as u64
    }),
    Family::counter(
        17,
        "cluster_lost_nodes_total",
        "Nodes that fell silent and were taken for gone (no sum: each process counts them).",
        |view| view.meter.lost_node_count(),
    ),
    Family {
        number: 18,
        name: "cluster_datagrams_total",
        help: "Datagrams between nodes.",
        read: Read::Each(
            Counter,
            "what",
            Listed(&["sent", "received", "dropped", "overflowed", "send_error"]),
            |view| {
                let datagrams = &view.datagrams;
                let dropped = datagrams.dropped.counts.iter().sum();
                vec![datagrams.sent, datagrams.received, dropped, datagrams.overflowed, datagrams.send_errors]
            },
        ),
    },
    Family {
        number: 19,
        name: "cluster_bytes_total",
        help: "Bytes of datagrams between nodes.",
        read: Read::Each(Counter, "what", Listed(&["sent", "received"]), |view| {
            vec![view.datagrams.bytes_sent, view.datagrams.bytes_received]
        }),
    },
    Family::gauge(20, "process_start_time_seconds", "When the process started, in seconds since 1970.", |view| {
        view.started_unix_s
    }),
    Family::gauge(DRAINING, "draining", "Whether the process is letting its members go.", |view| {
        u64::from(view.is_draining)
    }),
    Family {
        number: 22,
        name: "cluster_trouble",
        help: "Whether a condition lasts that makes the total wrong or doubtful.",
        read: Read::Each(Gauge, "kind", Listed(&Kind::NAMES), |view| view.troubles.gauges()),
    },
    Family::hidden(PROCESS, |view| if view.target == 0 { 0 } else { view.process + 1 }),
    Family::hidden(TARGET, |view| view.target),
    Family::hidden(VERSION, |_| OWN_VERSION),
    Family {
        number: 26,
        name: "process_cpu_seconds_total",
        help: "Processor time that the process has used.",
        read: Read::Seconds(|view| view.usage.cpu_us),
    },
    Family::gauge(27, "process_resident_memory_bytes", "Memory of the process that is not swapped out.", |view| {
        view.usage.resident_bytes
    }),
    Family::counter(28, "reports_lost_total", "Reports of events for which the file had no room.", |view| {
        view.tally.lost_report_count()
    }),
    Family {
        number: 29,
        name: "turn_cpu_seconds",
        help: "How much processor time the turns of the loop took.",
        read: Read::Durations(|view| &view.turns.cpu),
    },
    Family {
        number: 30,
        name: "supervisor_restarts_total",
        help: "Workers that were started in the place of others (no sum: each worker has it from its supervisor).",
        read: Read::Supervised(Counter, |figures| figures.restarts),
    },
    Family {
        number: 31,
        name: "supervisor_posts_empty",
        help: "Workers that are missing (no sum: each worker has it from its supervisor).",
        read: Read::Supervised(Gauge, |figures| figures.posts_empty),
    },
    Family::counter(32, "namespaces_evicted_total", "Namespaces that were forgotten early, for others.", |view| {
        view.meter.evicted_count()
    }),
    Family {
        number: 33,
        name: "forbidden_total",
        help: "Joins that were refused for the origin of their page, or for their address.",
        read: Read::Each(Counter, "reason", Listed(&FORBIDDEN), |view| view.tally.forbidden_counts().to_vec()),
    },
];
