//! The end of this node, as the caller deals with it.
//!
//! Owns the order of things: the caller announces the departure, goes on until it knows which node reports the events that end
//! now, and is given them if it is this one. It does not know when the caller ends.
//!
//! Invariant: a node that goes on reports the events that other nodes have left to it.

use super::peer::Peer;
use super::{Call, Cluster, folding, goodbye};
use crate::collections::key::Key as _;
use crate::collections::slab::Walk;
use crate::meter::accounts::ending::Ending;
use crate::meter::book::keys::NamespaceId;
use crate::meter::book::{closing, people};

/// The end of this node, at one moment.
pub struct Departure<'a> {
    pub(in crate::meter) cluster: &'a mut Cluster,
    pub(in crate::meter) call: Call<'a>,
}

impl Departure<'_> {
    /// Announces all that is fresh, and the end of this node.
    pub fn announce(self) {
        let Self { cluster, mut call } = self;
        if cluster.is_reachable {
            people::settle_all(call.book, call.now);
            folding::renew(&mut cluster.peers, call.book, &mut { usize::MAX }, call.now);
            goodbye::begin(cluster, &mut call);
        }
    }

    /// Whether this node reports the events that end with it: no other goes on with them. `None` while the answers of others are
    /// on their way, unless it is too late to wait.
    pub fn decide(&mut self, is_late: bool) -> Option<bool> {
        goodbye::decide(is_late, self.cluster, &self.call)
    }

    /// Whether others depart too, which wait for answers of this node.
    #[must_use]
    pub fn has_company(&self) -> bool {
        self.cluster.peers.living().any(Peer::is_departing)
    }

    /// What the next event has come to that ends now, from this key of a namespace on, which is moved behind it.
    pub fn next_ending(&self, from: &mut NamespaceId) -> Option<Ending> {
        let Call { book, now, .. } = &self.call;
        let mut walk = Walk::new(*from, usize::MAX);
        loop {
            let (id, namespace) = book.namespaces().step(&mut walk)?;
            if namespace.is_unreported() {
                *from = id.next();
                return Some(closing::ending(id, book, *now));
            }
        }
    }
}
