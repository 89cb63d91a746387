//! The process at one moment, as its figures see it.
//!
//! Owns the list of what figures may read. The rooms above fill it with borrows of what they count, so that no figure knows
//! a connection, a listener or a socket.
//!
//! Invariant: numbers by port, and by reason, are in the order of the names that [`Labels`] has for them.

use std::time::Duration;

use crate::collections::tick::Now;
use crate::meter::{Meter, NodeFigures};
use crate::reactor::Turns;
use crate::reactor::proc::{self, Usage};
use crate::server::figures::tally::Tally;
use crate::server::troubles::Troubles;
use crate::wire::handover::Supervision;

/// The part of the node timeout after which a node counts as silent: several heartbeats have failed to come.
const SILENT_PART: u32 = 3;

/// All that figures are made of.
#[derive(Clone, Copy)]
pub(in crate::server) struct View<'a> {
    pub(in crate::server) now: Now,
    pub(in crate::server) meter: &'a Meter,
    pub(in crate::server) tally: &'a Tally,
    pub(in crate::server) connections: Connections<'a>,
    pub(in crate::server) datagrams: Datagrams<'a>,
    pub(in crate::server) troubles: &'a Troubles,
    pub(in crate::server) descriptors: Descriptors,
    /// The turns of the loop.
    pub(in crate::server) turns: &'a Turns,
    /// What the process has used of its machine.
    pub(in crate::server) usage: Usage,
    /// The number of the process on its host.
    pub(in crate::server) process: u64,
    /// The stats port that it is behind, with its host, as a digest; 0 if it has none.
    pub(in crate::server) target: u64,
    /// The port where members join.
    pub(in crate::server) audience_port: u16,
    /// Streams that watch many namespaces.
    pub(in crate::server) watcher_count: usize,
    /// The time after which another node counts as gone.
    pub(in crate::server) node_timeout: Duration,
    pub(in crate::server) started_unix_s: u64,
    /// The figures of the supervisor, if there is one.
    pub(in crate::server) supervision: Option<Supervision>,
    pub(in crate::server) is_draining: bool,
}

/// The process beside its audience, as the rooms above show it for one answer. A view is made from it where one is needed.
#[derive(Clone, Copy)]
pub(in crate::server) struct Process<'a> {
    pub(in crate::server) connections: Connections<'a>,
    /// Reads the numbers of the bus. The kernel is asked for one of them, so they are read for a view alone.
    pub(in crate::server) datagrams: &'a dyn Fn() -> Datagrams<'a>,
    pub(in crate::server) troubles: &'a Troubles,
    pub(in crate::server) turns: &'a Turns,
    pub(in crate::server) facts: Facts,
    /// Whether there is a slot for one more member.
    pub(in crate::server) has_member_slot: bool,
    pub(in crate::server) is_draining: bool,
}

/// What the process knows of itself: what was decided at start, and what its supervisor says.
#[derive(Clone, Copy, Debug)]
pub(in crate::server) struct Facts {
    /// The port where members join.
    pub(in crate::server) audience_port: u16,
    /// The descriptors that the process may have.
    pub(in crate::server) descriptors_max: usize,
    /// The time after which another node counts as gone.
    pub(in crate::server) node_timeout: Duration,
    pub(in crate::server) started_unix_s: u64,
    /// The number of the process on its host.
    pub(in crate::server) process: u64,
    /// The stats port that it is behind, with its host, as a digest; 0 if it has none.
    pub(in crate::server) target: u64,
    /// The figures of the supervisor, if there is one.
    pub(in crate::server) supervision: Option<Supervision>,
}

/// The connections, by the numbers that their table keeps.
#[derive(Clone, Copy)]
pub(in crate::server) struct Connections<'a> {
    /// The open ones, by port.
    pub(in crate::server) open: &'a [usize],
    /// The ones that were freed, by reason.
    pub(in crate::server) closed: &'a [u64],
    /// The ones that were refused because too many heads were incomplete.
    pub(in crate::server) heads_refused: u64,
    /// The bytes that were written to clients, or kept for them.
    pub(in crate::server) sent_bytes: u64,
    pub(in crate::server) timer_count: usize,
}

/// The datagrams between this node and the others.
#[derive(Clone, Copy)]
pub(in crate::server) struct Datagrams<'a> {
    pub(in crate::server) sent: u64,
    pub(in crate::server) bytes_sent: u64,
    pub(in crate::server) send_errors: u64,
    pub(in crate::server) received: u64,
    pub(in crate::server) bytes_received: u64,
    /// The datagrams that were received and not used, by the reason's name.
    pub(in crate::server) dropped: Named<'a>,
    /// The datagrams that did not fit into the receive buffers.
    pub(in crate::server) overflowed: u64,
}

/// Counts, and what each of them is called.
#[derive(Clone, Copy)]
pub(in crate::server) struct Named<'a> {
    pub(in crate::server) names: &'static [&'static str],
    pub(in crate::server) counts: &'a [u64],
}

impl Named<'_> {
    /// The counts that are above 0, by their names.
    pub(in crate::server) fn occurred(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.names.iter().copied().zip(self.counts.iter().copied()).filter(|&(_, count)| count > 0)
    }
}

/// The descriptors of this process.
#[derive(Clone, Copy)]
pub(in crate::server) struct Descriptors {
    pub(in crate::server) open: u64,
    pub(in crate::server) max: usize,
}

/// The names that a room above has for what it counts, in the order of its counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) struct Labels {
    pub(in crate::server) ports: &'static [&'static str],
    pub(in crate::server) close_reasons: &'static [&'static str],
}

impl Connections<'_> {
    /// The number of open connections.
    pub(in crate::server) fn open_count(&self) -> usize {
        self.open.iter().sum()
    }
}

impl<'a> Process<'a> {
    /// The view of the process and its audience, at this moment.
    pub(in crate::server) fn view(
        &self,
        meter: &'a Meter,
        tally: &'a Tally,
        watcher_count: usize,
        now: Now,
    ) -> View<'a> {
        let Facts { audience_port, descriptors_max, node_timeout, started_unix_s, process, target, supervision } =
            self.facts;
        let open = proc::open_descriptors().unwrap_or(self.connections.open_count() as u64);
        View {
            now,
            meter,
            tally,
            connections: self.connections,
            datagrams: (self.datagrams)(),
            troubles: self.troubles,
            descriptors: Descriptors { open, max: descriptors_max },
            turns: self.turns,
            usage: proc::usage(),
            process,
            target,
            audience_port,
            watcher_count,
            node_timeout,
            started_unix_s,
            supervision,
            is_draining: self.is_draining,
        }
    }
}

impl View<'_> {
    /// Whether the last datagram of another node is older than several of its heartbeats.
    pub(in crate::server) fn is_silent(&self, node: &NodeFigures) -> bool {
        Duration::from_millis(node.silent_ms) > self.node_timeout / SILENT_PART
    }
}
