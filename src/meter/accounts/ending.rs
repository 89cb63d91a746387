//! The end of an event: who writes down what it came to, and how it is forgotten.
//!
//! Owns the choice. Every node that knows of a namespace forgets it by itself, at about the same time, and one of them is to
//! report. All know who of them has members there, or had; of those who are living it is the one whose name, hashed with
//! the namespace's, is the least; so reports spread over the nodes. If none of those is left, it is one of all, but not
//! one that may have forgotten it once, and then was told by others of the dead.
//!
//! So an event is reported at most once: a node that is killed takes those reports with it that were due within the node
//! timeout, for the others do not know yet that it is gone. (To be told by it that it has written, and to wait for that,
//! would keep every namespace remembered for longer.) While nodes cannot hear each other each part of them reports what it
//! knows; and who joins in the very moment that some nodes forget makes the others tell of the event again, and it is
//! reported again, under the same `created`. The later report is the right one then; but if it falls to a node that has
//! forgotten the event by then, there is none, for the others take it to remember.
//!
//! Invariant: nodes that know the same choose the same node.

use std::rc::Rc;

use crate::collections::tick::{Now, Tick};
use crate::meter::book::namespace::Namespace;
use crate::meter::cluster::digest::{mix, name_digest};
use crate::meter::cluster::news::NodeId;
use crate::meter::cluster::peers::Presence;
use crate::meter::{Accounts, Meter, NamespaceId, Output};

/// What an event came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The namespace's name.
    pub namespace: Rc<str>,
    /// When the first member came, in seconds since 1970.
    pub created_unix_s: u64,
    /// When the last one left, in seconds since 1970.
    pub ended_unix_s: u64,
    /// What it came to.
    pub accounts: Accounts,
}

impl Meter {
    /// Forgets a vacant namespace, unless something is still on its way, and then tries it again soon: along its members,
    /// who are gone, for its key would be used again, and it would reach others; or to the other nodes, who are to hear that
    /// nobody is there.
    pub(in crate::meter) fn forget(&mut self, id: NamespaceId, now: Now) {
        let Some(namespace) = self.namespaces.get(id) else { return };
        let is_walked = !namespace.walks.is_empty();
        if let Some(until) = if is_walked { Some(now.tick) } else { self.untold_until(namespace.share) } {
            return self.timers.set(id, until.max(Tick(now.tick.0 + 1)));
        }
        if namespace.connections() > 0 && self.is_reporter(id, namespace) {
            self.outputs.push_back(Output::Ended(Box::new(self.ending(id, now))));
        }
        self.timers.cancel(id);
        if let Some(namespace) = self.namespaces.remove(id) {
            self.by_name.remove(&namespace.name);
            self.note_forgotten(&namespace.name);
            self.cluster.forget_namespace(id, name_digest(&namespace.name));
            if let Some(share) = namespace.share {
                self.cluster.journal.remove(share);
            }
            self.stays.remove(namespace.stays);
            self.stays.remove(namespace.stays_elsewhere);
        }
    }

    /// What the events come to that end with this node: all that there are, unless others go on with them.
    ///
    /// It is to be asked once the goodbye is said and all is heard that came before it came back. Of nodes that end
    /// together, the last one of those that the network has told of has heard all the others by then.
    pub fn last_endings(&self, now: Now) -> impl Iterator<Item = Ending> {
        let is_last = self.cluster.peers.living() == 0;
        let ids = self.namespaces.iter().filter(move |(_, namespace)| is_last && namespace.connections() > 0);
        ids.map(move |(id, _)| self.ending(id, now))
    }

    fn ending(&self, id: NamespaceId, now: Now) -> Ending {
        let namespace = self.namespaces.at(id);
        Ending {
            namespace: namespace.shared_name(),
            created_unix_s: namespace.created_unix_s(),
            ended_unix_s: now.unix_ms.saturating_sub(namespace.age(now).empty_ms) / 1000,
            accounts: self.accounts(id, now),
        }
    }

    /// Whether it is this node that reports.
    fn is_reporter(&self, id: NamespaceId, namespace: &Namespace) -> bool {
        let name = mix(name_digest(namespace.name()));
        let rank = |node: NodeId| mix(node.0 ^ name);
        let own = rank(self.cluster.node);
        let (mut is_first_of_all, mut has_other, mut is_first_with_members) = (true, false, true);
        let living = self.cluster.peers.iter().filter(|(_, peer)| peer.presence == Presence::Living);
        for (_, peer) in living {
            let is_before = rank(peer.node) < own;
            let had_members = peer.pairs.get(&id).is_some();
            is_first_of_all &= !is_before;
            has_other |= had_members;
            is_first_with_members &= !(had_members && is_before);
        }
        if namespace.share.is_none() {
            !has_other && is_first_of_all && !namespace.is_hearsay
        } else {
            is_first_with_members
        }
    }
}
