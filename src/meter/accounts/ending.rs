//! The end of an event: what it came to, and the order in which nodes report it.
//!
//! Owns the order. Every node that knows of a namespace forgets it by itself, at about the same time, and one of them
//! reports. All nodes know which of them have members there, or had. Those come first, then the other living ones, and both in the
//! order of their names, each hashed with the namespace's, so reports spread over the nodes. A node that knows the event only from
//! reports about departed nodes comes last.
//!
//! The first node reports at once and announces that it did. Each further one waits a turn
//! longer, and reports if it has received no such announcement. So a node that dies, hangs, or came after the end, is passed over.
//!
//! There are two reports if the reporter dies before its announcement has arrived, if nodes cannot reach each other, so
//! that one reports what goes on at another, or if a member joins in the very moment in which some nodes forget. The later one, under the same `created` or one that is a
//! second off, is the right one: it counts at least as many joins.
//!
//! Invariant: nodes that know the same come to the same order.

use std::rc::Rc;

use super::Accounts;
use crate::collections::sections::{Reader, Writer};
use crate::collections::tick::{Moment, Tick};
use crate::meter::digest::{mix, name_digest};
use crate::meter::news::NodeId;

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

/// A living node, as seen by the choice of the reporter.
#[derive(Clone, Copy, Debug)]
pub(in crate::meter) struct Candidate {
    pub(in crate::meter) node: NodeId,
    /// Whether it has members in the namespace, or had.
    pub(in crate::meter) had_members: bool,
}

/// What other nodes have reported of an event.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::meter) struct Reported {
    /// The most joins that a report counts.
    connections: u64,
    /// The last one.
    last: Option<Report>,
}

/// A report, by its times.
#[derive(Clone, Copy, Debug)]
struct Report {
    /// When the event was over, to the node that gave it.
    ended_at: Moment,
    /// When it was first announced, as far as is known.
    at: Moment,
}

impl Reported {
    /// A report is announced, perhaps again, that counts these joins.
    pub(in crate::meter) fn add(&mut self, connections: u64, ended_at: Moment, at: Moment) {
        self.connections = self.connections.max(connections);
        if self.last.is_none_or(|last| last.ended_at.is_clearly_before(ended_at)) {
            self.last = Some(Report { ended_at, at });
        }
    }

    pub(in crate::meter) fn write(self, out: &mut Writer) {
        let Self { connections, last } = self;
        out.number(connections);
        out.flag(last.is_some());
        if let Some(Report { ended_at, at }) = last {
            out.moment(ended_at);
            out.moment(at);
        }
    }

    pub(in crate::meter) fn read(from: &mut Reader<'_>) -> Self {
        let connections = from.number();
        let last = from.flag().then(|| Report { ended_at: from.moment(), at: from.moment() });
        Self { connections, last }
    }

    /// Whether nothing has to be said any more of an event with these joins: all of them are counted, and the last member had
    /// left by then. A node that others did not reach may have reported an event that went on there.
    pub(in crate::meter) fn covers(&self, connections: u64, vacant_since: Option<Tick>) -> bool {
        let is_over = |last: Report| vacant_since.is_some_and(|since| !last.at.is_clearly_before(since.into()));
        self.connections >= connections && self.last.is_some_and(is_over)
    }
}

/// How many turns come before that of the own node in the order for the namespace of this name. `is_hearsay` says that the own
/// node knows it from reports about departed nodes alone. The others do not know that, so its turn comes after all of theirs.
pub(in crate::meter) fn rank(
    namespace: &str,
    is_hearsay: bool,
    own: Candidate,
    others: impl Iterator<Item = Candidate>,
) -> u32 {
    let name = mix(name_digest(namespace));
    let key = |candidate: Candidate| (!candidate.had_members, mix(candidate.node.0 ^ name));
    let is_before = |other: Candidate| u32::from(key(other) < key(own));
    let (before, count) = others.fold((0, 1), |(before, count), other| (before + is_before(other), count + 1));
    if is_hearsay && !own.had_members { count + before } else { before }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_nodes_have_one_turn_whatever_they_know() {
        let nodes = [1, 2, 3, 4].map(NodeId);
        for (number, had_members) in (0..64).flat_map(|number| [0, 1, 2, 15].map(|mask| (number, mask))) {
            let name = format!("event{number}");
            let candidate = |index: usize| Candidate { node: nodes[index], had_members: had_members >> index & 1 == 1 };
            // Two of them know it by hearsay.
            let turn = |own: usize| {
                let others = (0..nodes.len()).filter(|&other| other != own).map(candidate);
                rank(&name, own >= 2, candidate(own), others)
            };
            let mut turns: Vec<u32> = (0..nodes.len()).map(turn).collect();
            turns.sort_unstable();
            turns.dedup();
            assert_eq!(turns.len(), nodes.len(), "{name} {had_members}");
        }
    }
}
