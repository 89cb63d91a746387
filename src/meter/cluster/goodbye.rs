//! Which of the nodes that end together ends last.
//!
//! Owns when this node's own datagrams came back. All nodes receive the datagrams of a group in one order, so those whose
//! goodbye comes after the own are there still, as far as this node goes. Where the group on the network reaches this node,
//! its order counts; else that of loopback.
//!
//! Invariant: of two nodes in one group, the same one ends last at both.

use std::time::Duration;

use crate::collections::tick::Tick;
use crate::meter::news::Origin;

/// The end of this node, as its own datagrams show it.
#[derive(Debug, Default)]
pub(super) struct Goodbye {
    /// When a datagram of this node came back in the group on the network.
    group_at: Option<Tick>,
    /// Whether this node's own goodbye has come back.
    is_over: bool,
}

impl Goodbye {
    /// A datagram of this node has come back. It may be its own goodbye.
    pub(super) fn come_back(&mut self, origin: Origin, is_goodbye: bool, node_timeout: Duration, now: Tick) {
        if origin == Origin::Group {
            self.group_at = Some(now);
        }
        self.is_over |= is_goodbye && self.counts(origin, node_timeout, now);
    }

    /// Whether a goodbye that comes by this way ends a node. `has_departed` says that this one has said goodbye.
    pub(super) fn ends_other(&self, origin: Origin, has_departed: bool, node_timeout: Duration, now: Tick) -> bool {
        !self.is_over && (!has_departed || self.counts(origin, node_timeout, now))
    }

    fn counts(&self, origin: Origin, node_timeout: Duration, now: Tick) -> bool {
        origin != Origin::Loopback || self.group_at.is_none_or(|at| now >= at.after(node_timeout))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(5);
    const NOW: Tick = Tick(7);

    #[test]
    fn the_order_of_loopback_counts_where_there_is_no_group() {
        let mut goodbye = Goodbye::default();
        goodbye.come_back(Origin::Loopback, false, TIMEOUT, NOW);
        assert!(goodbye.ends_other(Origin::Loopback, true, TIMEOUT, NOW));
        goodbye.come_back(Origin::Loopback, true, TIMEOUT, NOW);
        assert!(!goodbye.ends_other(Origin::Loopback, true, TIMEOUT, NOW));
    }

    #[test]
    fn the_order_of_the_group_counts_while_it_reaches_this_node() {
        let mut goodbye = Goodbye::default();
        goodbye.come_back(Origin::Group, false, TIMEOUT, NOW);
        assert!(goodbye.ends_other(Origin::Loopback, false, TIMEOUT, NOW), "this node goes on");
        goodbye.come_back(Origin::Loopback, true, TIMEOUT, NOW);
        assert!(!goodbye.ends_other(Origin::Loopback, true, TIMEOUT, NOW));
        assert!(goodbye.ends_other(Origin::Group, true, TIMEOUT, NOW));
        assert!(goodbye.ends_other(Origin::Loopback, true, TIMEOUT, NOW.after(TIMEOUT)), "the group has gone");
        goodbye.come_back(Origin::Group, true, TIMEOUT, NOW);
        assert!(!goodbye.ends_other(Origin::Group, true, TIMEOUT, NOW));
    }
}
