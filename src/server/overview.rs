//! What the rooms show to the figures, and to those who look after the process.
//!
//! Owns the filling of the view: `figures` names no other room, so here the numbers of the connections and of the bus are
//! handed to it, with the names that ports and reasons have. It counts nothing of its own.

use super::audience::Audience;
use super::bus::Bus;
use super::conns::books::Books;
use super::conns::close_reason::CloseReason;
use super::figures::announced::Announced;
use super::figures::metrics::Metrics;
use super::figures::view::{Connections, Datagrams, Facts, Labels, Process};
use super::ports::port::Port;
use super::troubles::Troubles;
use crate::collections::tick::Now;
use crate::meter::{Meter, NodeFigures};
use crate::reactor::Reactor;
use crate::wire::handover::Served;

/// The metrics, by the names that this program has for ports and reasons.
pub(super) static METRICS: Metrics = Metrics::new(Labels { ports: &Port::NAMES, close_reasons: &CloseReason::NAMES });

/// What the process shows of itself, beside its audience.
pub(super) fn process<'a>(
    books: &'a Books,
    datagrams: &'a dyn Fn() -> Datagrams<'a>,
    troubles: &'a Troubles,
    reactor: &'a Reactor,
    facts: Facts,
    is_draining: bool,
) -> Process<'a> {
    let connections = Connections {
        open: books.open_counts(),
        closed: books.closed_counts(),
        heads_refused: books.heads_refused(),
        sent_bytes: books.sent_bytes(),
        timer_count: books.timer_count(),
    };
    let has_member_slot = books.free_slots(Port::Audience) > 0;
    Process { connections, datagrams, troubles, turns: reactor.turns(), facts, has_member_slot, is_draining }
}

/// The members and the nodes that are known here.
pub(super) fn served(meter: &Meter, now: Now) -> Served {
    let own = Served { members: meter.own_member_count(), nodes: 1 };
    let with = |sum: Served, other: NodeFigures| Served { members: sum.members + other.members, nodes: sum.nodes + 1 };
    meter.nodes(now).fold(own, with)
}

/// The rooms that a node's counters are read from.
pub(super) struct Rooms<'a> {
    pub(super) books: &'a Books,
    pub(super) bus: &'a Bus,
    pub(super) reactor: &'a Reactor,
    pub(super) facts: Facts,
    pub(super) is_draining: bool,
}

impl Rooms<'_> {
    /// Announces this node's counters when it is time, or when they are the first to say that it drains: a drain is short.
    pub(super) fn announce_counters(&self, audience: &mut Audience, announced: &mut Announced, now: Now) {
        let begins_to_drain = self.is_draining && announced.lacks(Metrics::are_draining);
        if !begins_to_drain && !audience.meter.are_counters_due(now) {
            return;
        }
        let datagrams = || self.bus.datagrams();
        let troubles = self.bus.troubles();
        let process = process(self.books, &datagrams, troubles, self.reactor, self.facts, self.is_draining);
        let own = METRICS.sample(&audience.view(&process, now));
        audience.meter.announce_counters(&own, now);
        announced.record(own);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::news::{Counter, NodeId};
    use crate::server::figures::largest::Largest;
    use crate::server::figures::page::{Page, Row};

    /// What this program writes for these numbers, and each later one has to.
    const GOLDEN: &str = include_str!("figures/metrics.golden.txt");

    #[test]
    fn names_help_types_order_and_places_are_those_of_the_golden_text() {
        // Each value is its number, so the text shows which number of a datagram is which series. Those of buckets that this
        // program does not have are left out, because they would count in the next one.
        let is_known = |number: &u16| !matches!(number, 641..=643 | 655..=702 | 1857..=1859 | 1871..=1918);
        let counters: Vec<Counter> =
            (1..=u16::MAX).filter(is_known).map(|number| Counter { number, value: number.into() }).collect();
        let target = counters.iter().find(|counter| counter.number == 24 * 64).unwrap().value;
        let row = Row::of(NodeId(7), 0, counters.into(), target).unwrap();
        let (mut page, mut out) = (Page::new(&METRICS, vec![row]), String::new());
        while page.push_piece(&mut out) {}
        let mut largest = Largest::new(2);
        for (name, members) in [("a", 3), ("b", 9), ("c", 1)] {
            largest.see(name, members, 3_600);
        }
        largest.push(&mut out, |name| (name == "b").then_some(5));
        for (line, golden) in out.lines().zip(GOLDEN.lines()) {
            assert_eq!(line, golden);
        }
        assert_eq!(out.len(), GOLDEN.len());
    }
}
