//! The end of this node, as the caller deals with it.
//!
//! Owns the order of things: the caller announces the departure, receives what has come until then, and is given the events
//! that end with this node. It does not know when the caller ends.
//!
//! Invariant: a node that goes on reports the events that other nodes have left to it.

use super::{Call, Cluster, folding};
use crate::collections::key::Key as _;
use crate::collections::slab::Walk;
use crate::meter::accounts::ending::Ending;
use crate::meter::book::keys::NamespaceId;

/// The end of this node, at one moment.
pub struct Departure<'a> {
    pub(in crate::meter) cluster: &'a mut Cluster,
    pub(in crate::meter) call: Call<'a>,
}

impl Departure<'_> {
    /// Announces all that is fresh, and the end of this node.
    pub fn announce(self) {
        let Self { cluster, call } = self;
        if cluster.is_reachable {
            folding::renew(&mut cluster.peers, call.book, &mut { usize::MAX }, call.now);
            cluster.announcer.announce_departure(&cluster.peers, call.book, call.outputs, call.now);
        }
    }

    /// What the next event has come to that ends with this node, from this key of a namespace on, which is moved behind it.
    /// Other nodes that are living go on with all events.
    ///
    /// Ask it once the departure is announced, and all datagrams before its echo are received. Of nodes that
    /// end together, the one whose goodbye the network delivered last has received all the others by then.
    pub fn next_ending(&self, from: &mut NamespaceId) -> Option<Ending> {
        if self.cluster.living_count() > 0 {
            return None;
        }
        let Call { book, now, .. } = &self.call;
        let mut walk = Walk::new(*from, usize::MAX);
        loop {
            let (id, namespace) = book.namespaces().step(&mut walk)?;
            if namespace.connections() > 0 {
                *from = id.next();
                return Some(namespace.ending(&book.stays, *now));
            }
        }
    }
}
