//! The figures of this process, and those that all nodes have announced.
//!
//! | file | owns |
//! |---|---|
//! | `metrics` | the names of the metrics, and the text of Prometheus |
//!
//! This file owns the view from which figures are read, and the counters that this node has announced. The metrics of a page
//! are those that all nodes announced last, this one's own included: whichever answers, a counter that goes up goes up in
//! every answer. It names no other room: its callers fill the view.

pub(in crate::server) mod metrics;

use std::time::Duration;

use crate::collections::histogram::Histogram;
use crate::collections::tick::Now;
use crate::meter::news::NodeId;
use crate::meter::{Meter, NodeFigures};
use crate::reactor::proc;
use crate::server::bus;
use crate::server::conns::close_reason::CloseReason;
use crate::server::ports::port::PerPort;
use metrics::COUNTERS;

/// The part of the node timeout after which a node counts as silent: several heartbeats have failed to come.
pub(in crate::server) const SILENT_PART: u32 = 3;

/// What members of this node did and got so far.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::server) struct Tally {
    pub(in crate::server) joins: u64,
    /// By kind: counts, messages.
    pub(in crate::server) pushes: [u64; 2],
    pub(in crate::server) messages: u64,
}

/// Streams that were answered that there is no room, by what there was no room for.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::server) struct TurnedAway {
    /// One more member.
    pub(in crate::server) members: u64,
    /// Another namespace.
    pub(in crate::server) namespaces: u64,
    /// One more watcher, or its patterns.
    pub(in crate::server) watchers: u64,
}

/// What the audience shows of itself.
#[derive(Clone, Copy)]
pub(in crate::server) struct AudienceView<'a> {
    pub(in crate::server) meter: &'a Meter,
    pub(in crate::server) watcher_count: usize,
    pub(in crate::server) turned_away: TurnedAway,
    pub(in crate::server) tally: Tally,
}

/// What the rest of the process shows of itself, borrowed for one answer.
#[derive(Clone, Copy)]
pub(in crate::server) struct ProcessView<'a> {
    /// Connections at each port.
    pub(in crate::server) open: &'a PerPort<usize>,
    /// Connections that were freed, in the order of the reasons.
    pub(in crate::server) closed: &'a [u64; CloseReason::ALL.len()],
    /// Connections that were turned away for their heads.
    pub(in crate::server) heads_refused: u64,
    pub(in crate::server) sent_bytes: u64,
    /// Timers of connections.
    pub(in crate::server) timer_count: usize,
    /// Descriptors that the process may have.
    pub(in crate::server) descriptors: usize,
    pub(in crate::server) datagrams: &'a bus::Counters,
    /// Asks the kernel for the datagrams that did not fit into its buffers.
    pub(in crate::server) overflowed: &'a dyn Fn() -> u64,
    /// The lengths of the turns.
    pub(in crate::server) turns: &'a Histogram,
    /// After how much silence a node is shown as silent.
    pub(in crate::server) silent_after: Duration,
    pub(in crate::server) started_unix_s: u64,
    pub(in crate::server) is_draining: bool,
}

/// What figures are read from.
#[derive(Clone, Copy)]
pub(in crate::server) struct View<'a> {
    pub(in crate::server) audience: AudienceView<'a>,
    pub(in crate::server) process: &'a ProcessView<'a>,
}

impl View<'_> {
    /// Connections at all ports.
    pub(in crate::server) fn open_count(&self) -> usize {
        self.process.open.iter().sum()
    }

    /// Whether a node has been silent for a while.
    pub(in crate::server) fn is_silent(&self, node: &NodeFigures) -> bool {
        Duration::from_millis(node.silent_ms) > self.process.silent_after
    }

    /// This node's counters, in the order of the metrics.
    fn counters(&self, now: Now) -> Vec<u64> {
        let AudienceView { meter, watcher_count, turned_away, tally } = self.audience;
        let process = self.process;
        let silent = meter.nodes(now).filter(|node| self.is_silent(node)).count();
        let number = |count: usize| count as u64;
        let mut all = Vec::with_capacity(COUNTERS);
        all.extend([meter.own_members(), number(watcher_count)]);
        all.extend(process.open.iter().map(|&count| number(count)));
        all.push(tally.joins);
        all.extend(process.closed);
        all.extend([process.heads_refused, turned_away.members, turned_away.namespaces]);
        all.push(turned_away.watchers);
        all.extend(tally.pushes);
        all.extend([tally.messages, process.sent_bytes]);
        all.extend(process.turns.buckets().map(|(_, count)| count));
        all.push(process.turns.sum_us());
        all.push(number(process.timer_count + meter.timers()));
        all.extend([proc::open_descriptors().unwrap_or(number(self.open_count())), number(process.descriptors)]);
        all.extend([number(meter.namespace_count()), number(meter.nodes(now).count() + 1)]);
        all.extend([number(silent), meter.lost_nodes()]);
        let datagrams = process.datagrams;
        let dropped = datagrams.dropped.values().sum();
        let overflowed = (process.overflowed)();
        all.extend([datagrams.sent, datagrams.received, dropped, overflowed, datagrams.send_errors]);
        all.extend([datagrams.bytes_sent, datagrams.bytes_received]);
        all.extend([process.started_unix_s, u64::from(process.is_draining)]);
        debug_assert_eq!(all.len(), COUNTERS, "every metric has its counters");
        all
    }
}

/// The counters that this node announced last.
#[derive(Debug, Default)]
pub(in crate::server) struct Announced(Option<Vec<u64>>);

impl Announced {
    /// Returns the counters if they are to be announced: from time to time, and when the node begins to drain, for that is
    /// soon over.
    pub(in crate::server) fn renew(&mut self, view: &View<'_>, now: Now) -> Option<&[u64]> {
        let is_old = |announced: &Vec<u64>| !metrics::are_of_draining(announced);
        let begins_to_drain = view.process.is_draining && self.0.as_ref().is_some_and(is_old);
        let is_due = begins_to_drain || view.audience.meter.wants_counters(now);
        is_due.then(|| self.0.insert(view.counters(now)).as_slice())
    }

    /// Appends the metrics of all nodes.
    ///
    /// While there is no other node they are those of now; and what was answered once is not taken back when another node
    /// comes.
    pub(in crate::server) fn push_metrics(&mut self, out: &mut String, view: &View<'_>, now: Now) {
        let meter = view.audience.meter;
        if meter.counters().next().is_none() {
            self.0 = None;
        }
        let own = self.0.get_or_insert_with(|| view.counters(now)).as_slice();
        let all: Vec<(NodeId, &[u64])> = std::iter::once((meter.node(), own)).chain(meter.counters()).collect();
        metrics::push_nodes(out, &all);
    }
}
