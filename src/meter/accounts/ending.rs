//! The end of an event: what it came to, and the choice of the node that reports it.
//!
//! Owns the choice. Every node that knows of a namespace forgets it by itself, at about the same time, and one of them
//! reports. All nodes know which of them have members there, or had. Of those that are living, the reporter is the one
//! whose name, hashed with the namespace's, is the least, so reports spread over the nodes. If none of them is left, the
//! reporter is one of all living nodes. It is not a node that may have forgotten the namespace once, and then learnt of it
//! again from the shares of departed nodes.
//!
//! So an event is reported at most once. A node that is killed takes with it the reports that were due within the node
//! timeout, because the others do not know yet that it is gone. (A confirmation from it would avoid that, but every
//! namespace would be remembered for longer.) While nodes cannot reach each other, each part of them reports what it knows.
//! A member that joins in the very moment in which some nodes forget makes the others announce the event again, and it is
//! reported again, under the same `created` or one that is a second off. The later report is then the right one. If it
//! falls to a node that has forgotten the event by then, there is none, because the others expect it from that node.
//!
//! Invariant: nodes that know the same choose the same node.

use std::rc::Rc;

use super::Accounts;
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

/// Whether the own node reports the end of the namespace of this name. A node that knows it only by hearsay does not, unless
/// it had members itself.
pub(in crate::meter) fn is_reporter(
    namespace: &str,
    is_hearsay: bool,
    own: Candidate,
    others: impl Iterator<Item = Candidate>,
) -> bool {
    let name = mix(name_digest(namespace));
    let rank = |node: NodeId| mix(node.0 ^ name);
    let own_rank = rank(own.node);
    let (mut is_first_of_all, mut has_other, mut is_first_with_members) = (true, false, true);
    for Candidate { node, had_members } in others {
        let is_before = rank(node) < own_rank;
        is_first_of_all &= !is_before;
        has_other |= had_members;
        is_first_with_members &= !(had_members && is_before);
    }
    if own.had_members { is_first_with_members } else { !has_other && is_first_of_all && !is_hearsay }
}
