//! The siblings, as the bus has them: which of them are received over loopback, and the links to others.
//!
//! Owns the sightings and the links. When a link is opened or closed, `server::siblings` decides.
//!
//! Invariant: what comes by a link from a sibling that is received over loopback is left aside: it has come before.

use std::time::Duration;

use super::links::{Link, Links, Received};
use super::sightings::Sightings;
use crate::collections::tick::Now;
use crate::meter::Meter;
use crate::meter::news::NodeId;
use crate::reactor::{Reactor, Token};

/// The siblings of a process.
pub(in crate::server) struct Near {
    node: NodeId,
    /// What links are called.
    token: Token,
    /// For how long a datagram says that its sender is received.
    patience: Duration,
    pub(super) links: Links,
    pub(super) sightings: Sightings,
}

/// How a sibling is received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) struct Reception {
    /// Whether it has proved that it is there, by any way.
    pub(in crate::server) is_living: bool,
    pub(in crate::server) on_loopback: OnLoopback,
    pub(in crate::server) by_link: Linked,
}

/// What comes from a sibling by the group on loopback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum OnLoopback {
    /// Datagrams of the audience.
    Received,
    /// Datagrams with another seal, and no others.
    Strange,
    Nothing,
}

/// What comes from a sibling by a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Linked {
    /// Datagrams.
    Received,
    /// Nothing has come lately.
    Nothing,
    /// There is no link.
    No,
}

impl Near {
    pub(super) fn new(node: NodeId, token: Token, node_timeout: Duration) -> Self {
        let sightings = Sightings::new(node_timeout);
        Self { node, token, patience: node_timeout / 2, links: Links::default(), sightings }
    }

    /// How a sibling is received.
    pub(in crate::server) fn reception(&self, node: NodeId, meter: &Meter, now: Now) -> Reception {
        let (sightings, links) = (&self.sightings, &self.links);
        let on_loopback = match sightings.is_received(node, now.tick) {
            true => OnLoopback::Received,
            false if sightings.is_strange(node, now.tick) => OnLoopback::Strange,
            false => OnLoopback::Nothing,
        };
        let by_link = match links.guest_of(node) {
            Some(_) if links.carries(node, self.patience, now.tick) => Linked::Received,
            Some(_) => Linked::Nothing,
            None => Linked::No,
        };
        Reception { is_living: meter.nodes(now).any(|living| living.node == node), on_loopback, by_link }
    }

    /// Whether a node is received, over loopback or by a link.
    pub(in crate::server) fn is_received(&self, node: NodeId, now: Now) -> bool {
        self.sightings.is_received(node, now.tick) || self.links.carries(node, self.patience, now.tick)
    }

    /// The siblings that are received, over loopback or by a link.
    pub(super) fn received(&self, now: Now) -> impl Iterator<Item = NodeId> {
        let is_by_link_alone = move |&node: &NodeId| {
            !self.sightings.is_received(node, now.tick) && self.links.carries(node, self.patience, now.tick)
        };
        self.sightings.received(now.tick).chain(self.links.nodes().filter(is_by_link_alone))
    }

    /// The number of nodes that are living and received by the group on loopback.
    pub(in crate::server) fn received_count(&self, meter: &Meter, now: Now) -> usize {
        meter.nodes(now).filter(|living| self.sightings.is_received(living.node, now.tick)).count()
    }

    /// Whether a living node was received by the group on loopback and is no longer, or one that has connected here is not.
    pub(in crate::server) fn has_silent(&mut self, meter: &Meter, now: Now) -> bool {
        let is_unknown = |node| !self.sightings.is_received(node, now.tick);
        let has_unknown = self.links.nodes().any(is_unknown);
        has_unknown || self.sightings.has_silent(|node| meter.nodes(now).any(|living| living.node == node), now.tick)
    }

    /// The nodes that there are links to.
    pub(in crate::server) fn linked(&self) -> impl Iterator<Item = NodeId> {
        self.links.nodes()
    }

    /// Sends and receives by this link from now on.
    pub(in crate::server) fn add_link(&mut self, mut link: Link, reactor: &Reactor) {
        if link.node != self.node && link.rename(reactor, self.token).is_ok() {
            self.links.add(link);
        }
    }

    /// Closes the link to a node, if it was opened here: it is of no more use to this process, but may be to the other.
    pub(in crate::server) fn close_link(&mut self, node: NodeId) {
        if self.links.guest_of(node) == Some(self.node) {
            self.links.close(node);
        }
    }

    /// Closes the link at this place: what comes by it has another seal.
    pub(super) fn refuse_link(&mut self, place: usize, now: Now) {
        let node = self.links.nodes().nth(place);
        if let Some(node) = node {
            self.sightings.see(node, false, now.tick);
            self.links.close(node);
        }
    }

    /// The next datagram of the link at this place; `None` if the link has ended.
    pub(super) fn receive(&mut self, place: usize, datagram: &mut [u8], now: Now) -> Option<Received> {
        let (node, received) = self.links.receive(place, datagram, now.tick)?;
        let has_come = matches!(received, Received::Datagram(_)) && self.sightings.is_received(node, now.tick);
        Some(if has_come { Received::Copy } else { received })
    }
}
