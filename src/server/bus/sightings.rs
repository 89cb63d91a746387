//! Which siblings are received by the group on loopback, or over a broker.
//!
//! Owns when a datagram of each last came that way. A filter of packets may let nothing through, and then siblings are
//! reached by other ways; so what comes by a link says nothing here. It does not know which siblings there are.
//!
//! Invariant: there are at most [`SIGHTINGS_MAX`] entries, whatever strangers send.

use std::collections::HashMap;
use std::time::Duration;

use crate::collections::tick::Tick;
use crate::meter::news::NodeId;

/// Most nodes that are remembered.
const SIGHTINGS_MAX: usize = 1_024;

/// The nodes that have sent to the group on loopback.
pub(super) struct Sightings {
    /// For how long a datagram says that its sender is received: half the node timeout, or five signs of life.
    patience: Duration,
    nodes: HashMap<NodeId, Sighting>,
}

/// When datagrams came that name a node as their sender.
struct Sighting {
    /// The last of any kind; its seal may fit no key.
    seen_at: Tick,
    /// The last that was of the audience.
    received_at: Option<Tick>,
}

impl Sightings {
    pub(super) fn new(node_timeout: Duration) -> Self {
        Self { patience: node_timeout / 2, nodes: HashMap::new() }
    }

    /// A datagram has come that names this sender.
    pub(super) fn see(&mut self, node: NodeId, is_of_audience: bool, now: Tick) {
        if self.nodes.len() >= SIGHTINGS_MAX && !self.nodes.contains_key(&node) {
            let patience = self.patience;
            self.nodes.retain(|_, sighting| now < sighting.seen_at.after(patience));
            if self.nodes.len() >= SIGHTINGS_MAX {
                return;
            }
        }
        let sighting = self.nodes.entry(node).or_insert(Sighting { seen_at: now, received_at: None });
        sighting.seen_at = now;
        if is_of_audience {
            sighting.received_at = Some(now);
        }
    }

    /// Whether datagrams of the node come, and are of the audience.
    pub(super) fn is_received(&self, node: NodeId, now: Tick) -> bool {
        self.nodes.get(&node).is_some_and(|sighting| self.is_fresh(sighting.received_at, now))
    }

    /// The nodes whose datagrams come, and are of the audience.
    pub(super) fn received(&self, now: Tick) -> impl Iterator<Item = NodeId> {
        self.nodes.keys().copied().filter(move |&node| self.is_received(node, now))
    }

    /// Whether datagrams come that name the node, and none of them is of the audience: the key is another.
    pub(super) fn is_strange(&self, node: NodeId, now: Tick) -> bool {
        let is_seen = self.nodes.get(&node).is_some_and(|sighting| self.is_fresh(Some(sighting.seen_at), now));
        is_seen && !self.is_received(node, now)
    }

    /// Whether one of these nodes was received, and has fallen silent. Others that are silent are forgotten.
    pub(super) fn has_silent(&mut self, is_living: impl Fn(NodeId) -> bool, now: Tick) -> bool {
        let patience = self.patience;
        self.nodes.retain(|&node, sighting| now < sighting.seen_at.after(patience) || is_living(node));
        let is_silent = |sighting: &Sighting| sighting.received_at.is_some_and(|at| now >= at.after(patience));
        self.nodes.iter().any(|(&node, sighting)| is_silent(sighting) && is_living(node))
    }

    fn is_fresh(&self, at: Option<Tick>, now: Tick) -> bool {
        at.is_some_and(|at| now < at.after(self.patience))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: NodeId = NodeId(7);

    fn at(ms: u64) -> Tick {
        Tick(1_000 + ms / 10)
    }

    #[test]
    fn a_node_is_received_for_half_the_node_timeout_and_then_silent_while_it_is_living() {
        let mut sightings = Sightings::new(Duration::from_secs(5));
        sightings.see(NODE, true, at(0));
        for (ms, is_received) in [(0, true), (2_500, true), (2_510, false)] {
            assert_eq!(sightings.is_received(NODE, at(ms)), is_received, "{ms}");
            assert_eq!(sightings.has_silent(|_| true, at(ms)), !is_received, "{ms}");
        }
        assert!(!sightings.has_silent(|_| false, at(2_510)));
        assert!(!sightings.has_silent(|_| true, at(2_510)), "it was forgotten");
    }

    #[test]
    fn a_node_of_which_no_datagram_is_of_the_audience_is_strange() {
        let mut sightings = Sightings::new(Duration::from_secs(5));
        sightings.see(NODE, false, at(0));
        assert!(sightings.is_strange(NODE, at(0)) && !sightings.is_received(NODE, at(0)));
        assert!(!sightings.has_silent(|_| true, at(2_510)), "it was never received");
        sightings.see(NODE, true, at(2_510));
        assert!(!sightings.is_strange(NODE, at(2_510)) && !sightings.is_strange(NodeId(8), at(2_510)));
    }

    #[test]
    fn strangers_take_bounded_memory_and_only_for_a_while() {
        let mut sightings = Sightings::new(Duration::from_secs(5));
        for node in 0..3_000 {
            sightings.see(NodeId(node), false, at(0));
        }
        assert_eq!(sightings.nodes.len(), SIGHTINGS_MAX);
        sightings.see(NodeId(5_000), true, at(0));
        assert!(!sightings.is_received(NodeId(5_000), at(0)));
        sightings.see(NodeId(5_000), true, at(2_510));
        assert!(sightings.is_received(NodeId(5_000), at(2_510)));
        assert_eq!(sightings.nodes.len(), 1);
    }
}
