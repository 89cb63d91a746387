//! What the pages of the stats port say: of the cluster, of this process, and the metrics of all nodes.
//!
//! Owns which figures go where. The metrics are those that all nodes were told last, this one's own included: whichever
//! answers, a counter that goes up goes up in every answer.

pub(in crate::server) mod metrics;

use crate::collections::key::Key as _;
use crate::collections::tick::Now;
use crate::meter::NamespaceId;
use crate::meter::news::NodeId;
use crate::reactor::proc;
use crate::server::answers::admin::{self, Page};
use crate::server::answers::cursor::Cursor;
use crate::server::audience::{Service, Then};
use crate::server::conns::conn::Port;
use crate::server::figures::metrics::{COUNTERS, Largest};
use crate::server::turn::Server;
use crate::wire::reply;

/// The part of the node timeout after which a node counts as silent: several heartbeats have failed to come.
const SILENT_PART: u32 = 3;

/// What the members of this node were told so far, and how much was said to anybody.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::server) struct Tally {
    pub(in crate::server) joins: u64,
    /// By kind: counts, messages.
    pub(in crate::server) pushes: [u64; 2],
    pub(in crate::server) messages: u64,
    pub(in crate::server) bytes: u64,
}

impl Server {
    /// Answers with a page.
    pub(in crate::server) fn answer_page(&mut self, page: Page, is_head: bool, now: Now) -> Then {
        match page {
            Page::Cluster => {
                let silent_after = self.silent_after();
                let mut figures = Vec::new();
                let is_draining = self.drain.is_some();
                admin::push_cluster(&mut figures, &self.service.meter, &self.bus, silent_after, is_draining, now);
                figures.push(b'\n');
                self.service.reply_json(&figures, is_head);
            }
            Page::Process => {
                let mut figures = Vec::new();
                admin::push_process(&mut figures, &self.service, &self.conns, self.reactor.turns(), now);
                figures.push(b'\n');
                self.service.reply_json(&figures, is_head);
            }
            Page::Ready if self.drain.is_some() => self.service.reply_text(503, "draining", is_head),
            Page::Ready if !self.service.meter.has_met_all(now) => {
                self.service.reply_text(503, "hearing what the other nodes count", is_head);
            }
            Page::Ready => self.service.reply_text(200, "ready", is_head),
            Page::Metrics => return self.begin_metrics(is_head, now),
        }
        Then::Drain
    }

    /// Tells the other nodes this one's counters, when it is time, or when they say that it drains: that is soon over.
    pub(in crate::server) fn tell_counters(&mut self, now: Now) {
        let is_untold = |told: &Vec<u64>| !metrics::are_of_draining(told);
        let begins_to_drain = self.drain.is_some() && self.told_counters.as_ref().is_some_and(is_untold);
        if begins_to_drain || self.service.meter.wants_counters(now) {
            let own = self.counters(now);
            self.service.meter.tell_counters(&own, now);
            self.told_counters = Some(own);
        }
    }

    fn begin_metrics(&mut self, is_head: bool, now: Now) -> Then {
        // While nobody is there to hear them they are those of now; and what is said once is not taken back, should somebody
        // come who hears.
        if self.service.meter.counters().next().is_none() {
            self.told_counters = Some(self.counters(now));
        }
        let own = self.told_counters.clone().unwrap_or_else(|| self.counters(now));
        let meter = &self.service.meter;
        let all: Vec<(NodeId, &[u64])> =
            std::iter::once((meter.node(), own.as_slice())).chain(meter.counters()).collect();
        let mut text = String::new();
        metrics::push_nodes(&mut text, &all);
        let service = &mut self.service;
        service.out.clear();
        reply::push_open_ended_head(&mut service.out, metrics::CONTENT_TYPE);
        if is_head {
            return Then::Drain;
        }
        service.out.extend_from_slice(text.as_bytes());
        let largest = Largest::new(service.config.accounts.metrics_namespaces);
        Then::DrainPieces(Box::new(Cursor::Metrics { from: NamespaceId::FIRST, largest }))
    }

    /// This node's counters, in the order of the metrics.
    fn counters(&self, now: Now) -> Vec<u64> {
        let (Service { meter, tally, turned_away, .. }, conns, bus) = (&self.service, &self.conns, &self.bus);
        let turns = self.reactor.turns();
        let silent_after = self.silent_after();
        let silent = meter.nodes(now).filter(|node| admin::is_silent(node, silent_after)).count();
        let number = |count: usize| count as u64;
        let ports = [Port::Audience, Port::Stats, Port::Notification, Port::Demo];
        let mut all = Vec::with_capacity(COUNTERS);
        all.extend([meter.own_members(), number(self.service.watches.len())]);
        all.extend(ports.map(|port| number(conns.on_port(port))));
        all.push(tally.joins);
        all.extend(conns.closed().map(|(_, count)| count));
        all.extend([conns.heads_refused(), turned_away.members, turned_away.namespaces]);
        all.push(turned_away.watchers);
        all.extend(tally.pushes);
        all.extend([tally.messages, tally.bytes]);
        all.extend(turns.buckets().map(|(_, count)| count));
        all.push(turns.sum_us());
        all.push(number(conns.timers() + meter.timers()));
        all.extend([proc::open_descriptors().unwrap_or(number(conns.len())), number(self.listeners.descriptors())]);
        all.extend([number(meter.namespace_count()), number(meter.nodes(now).count() + 1)]);
        all.extend([number(silent), meter.lost_nodes()]);
        let counters = &bus.counters;
        let dropped = counters.dropped.values().sum();
        all.extend([counters.sent, counters.received, dropped, bus.overflowed(), counters.send_errors]);
        all.extend([counters.bytes_sent, counters.bytes_received]);
        all.extend([self.started_unix_s, u64::from(self.drain.is_some())]);
        debug_assert_eq!(all.len(), COUNTERS, "every metric has its counters");
        all
    }

    fn silent_after(&self) -> std::time::Duration {
        self.service.config.cluster.rules.node_timeout / SILENT_PART
    }
}

impl Service {
    /// Looks at the next namespaces, and when there are no more appends the largest of them.
    pub(in crate::server) fn push_largest(&mut self, from: &mut NamespaceId, largest: &mut Largest) -> bool {
        let mut namespaces = self.meter.namespaces_from(*from);
        for (_, namespace) in namespaces.by_ref().take(NAMESPACES_SEEN_PER_PIECE) {
            largest.see(namespace.name(), namespace.total());
        }
        if let Some((next, _)) = namespaces.next() {
            *from = next;
            return true;
        }
        let mut text = String::new();
        largest.push(&mut text);
        self.out.extend_from_slice(text.as_bytes());
        false
    }
}

/// How many namespaces a piece of the metrics looks at: at 20 to 50 ns each, 0.2 ms.
const NAMESPACES_SEEN_PER_PIECE: usize = 4096;
