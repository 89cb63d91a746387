//! The pages of the stats port about the cluster and this process.
//!
//! Owns what each page says, from the view that `figures` has of the process. How a page becomes a reply is its caller's.
//!
//! Invariant: on the page of the metrics, this node's counters are the ones that it has announced.

use crate::collections::key::Key as _;
use crate::collections::tick::Now;
use crate::meter::NamespaceId;
use crate::meter::news::NodeId;
use crate::reactor::proc;
use crate::server::answers::admin::{self, Page};
use crate::server::answers::cursor::Cursor;
use crate::server::audience::Then;
use crate::server::conns::conn::{CloseReason, Port};
use crate::server::figures::exposition;
use crate::server::figures::largest::Largest;
use crate::server::figures::metrics::Metrics;
use crate::server::figures::view::{Connections, Datagrams, Descriptors, Labels, View};
use crate::server::turn::Server;
use crate::wire::reply;

/// The metrics, by the names that this program has for ports and reasons.
static METRICS: Metrics = Metrics::new(Labels { ports: &Port::NAMES, close_reasons: &CloseReason::NAMES });

impl Server {
    /// Answers with a page.
    pub(in crate::server) fn answer_page(&mut self, page: Page, is_head: bool, now: Now) -> Then {
        let view = self.view(now);
        match page {
            Page::Cluster => {
                let body = json_line(|out| admin::push_cluster(out, &METRICS, &view));
                self.service.reply_json(&body, is_head);
            }
            Page::Process => {
                let body = json_line(|out| admin::push_process(out, &METRICS, &view));
                self.service.reply_json(&body, is_head);
            }
            Page::Ready => {
                let (status, text) = readiness(&view);
                self.service.reply_text(status, text, is_head);
            }
            Page::Metrics => return self.begin_metrics(is_head, now),
        }
        Then::Drain
    }

    /// Announces this node's counters when it is time, or when they are the first to say that it drains: a drain is short.
    pub(in crate::server) fn announce_counters(&mut self, now: Now) {
        let begins_to_drain = self.drain.is_some() && self.announced.lacks(|counters| METRICS.are_draining(counters));
        if begins_to_drain || self.service.meter.wants_counters(now) {
            let own = METRICS.sample(&self.view(now));
            self.service.meter.tell_counters(&own, now);
            self.announced.record(own);
        }
    }

    fn begin_metrics(&mut self, is_head: bool, now: Now) -> Then {
        let current = METRICS.sample(&self.view(now));
        let meter = &self.service.meter;
        let own = self.announced.for_answer(current, meter.counters().next().is_none());
        let all: Vec<(NodeId, &[u64])> = [(meter.node(), own.as_slice())].into_iter().chain(meter.counters()).collect();
        let mut text = String::new();
        METRICS.push_nodes(&mut text, &all);
        let service = &mut self.service;
        service.out.clear();
        reply::push_open_ended_head(&mut service.out, exposition::CONTENT_TYPE);
        if is_head {
            return Then::Drain;
        }
        service.out.extend_from_slice(text.as_bytes());
        let largest = Largest::new(service.config.accounts.metrics_namespaces);
        Then::DrainPieces(Box::new(Cursor::Metrics { from: NamespaceId::FIRST, largest }))
    }

    fn view(&self, now: Now) -> View<'_> {
        let (service, conns, counters) = (&self.service, &self.conns, &self.bus.counters);
        View {
            now,
            meter: &service.meter,
            tally: &service.tally,
            connections: Connections {
                open: conns.open_by_port(),
                closed: conns.closed_by_reason(),
                heads_refused: conns.heads_refused(),
                timer_count: conns.timers(),
            },
            datagrams: Datagrams {
                sent: counters.sent,
                bytes_sent: counters.bytes_sent,
                send_errors: counters.send_errors,
                received: counters.received,
                bytes_received: counters.bytes_received,
                dropped: &counters.dropped,
                overflowed: self.bus.overflowed(),
            },
            descriptors: Descriptors {
                open: proc::open_descriptors().unwrap_or(conns.len() as u64),
                max: self.listeners.descriptors(),
            },
            turns: self.reactor.turns(),
            audience_port: service.audience_port,
            watcher_count: service.watches.len(),
            node_timeout: service.config.cluster.rules.node_timeout,
            started_unix_s: self.started_unix_s,
            is_draining: self.drain.is_some(),
        }
    }
}

/// Whether this process can be sent members: the status, and the reason.
fn readiness(view: &View<'_>) -> (u16, &'static str) {
    if view.is_draining {
        (503, "draining")
    } else if view.meter.has_met_all(view.now) {
        (200, "ready")
    } else {
        (503, "hearing what the other nodes count")
    }
}

fn json_line(push: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    push(&mut out);
    out.push(b'\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What version 3.0.0 writes for these numbers.
    const GOLDEN: &str = include_str!("metrics.golden.txt");

    #[test]
    fn names_help_types_order_and_places_are_those_of_the_golden_text() {
        // Each counter's number is its place, so the text shows which place of the datagram is which series.
        let counters: Vec<u64> = (1..=55).collect();
        let mut out = String::new();
        METRICS.push_nodes(&mut out, &[(NodeId(7), &counters)]);
        let mut largest = Largest::new(2);
        for (name, members) in [("a", 3), ("b", 9), ("c", 1)] {
            largest.see(name, members);
        }
        largest.push(&mut out);
        for (line, golden) in out.lines().zip(GOLDEN.lines()) {
            assert_eq!(line, golden);
        }
        assert_eq!(out.len(), GOLDEN.len());
    }
}
