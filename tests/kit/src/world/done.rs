//! What a node did in one step.
//!
//! Owns the value. What must be true of it, the node knows; what becomes of it, the world.

use std::rc::Rc;

use audience_meter::meter::news::{Datagram, To};
use audience_meter::meter::{Ending, MemberId};

/// A message of another node that came to the members of this one.
pub(super) struct Passed {
    pub(super) namespace: Rc<str>,
    pub(super) text: Rc<str>,
    pub(super) is_pushed: bool,
}

/// What a node did in one step, and what it leaves to the world.
#[derive(Default)]
pub struct Done {
    pub(super) farewells: Vec<MemberId>,
    /// Namespace, total, and whether the newest is left out.
    pub(super) counts: Vec<(&'static str, u64, bool)>,
    /// When the uuid was claimed that it announced.
    pub(super) claim_order: u64,
    /// The numbers of the message parts that it sent.
    pub(super) parts: Vec<u64>,
    /// Whether members came or left.
    pub(super) has_changed: bool,
    /// What it sends, and where.
    pub(super) datagrams: Vec<(To, Datagram<Rc<str>>)>,
    /// Messages for its members, and whether there was room for each.
    pub(super) messages: Vec<Passed>,
    /// Messages of its own that are waited for no longer: their numbers, and the nodes that have not confirmed each.
    pub(super) settled: Vec<(u64, usize)>,
    pub(super) endings: Vec<Ending>,
}
