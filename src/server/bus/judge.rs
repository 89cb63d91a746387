//! What a datagram comes to.
//!
//! Owns under which scope a datagram is read, whence it came, and what the meter's answer says of it. It counts nothing.
//!
//! Invariant: a datagram is judged by the way that it came by, and never by what it says of itself.

use super::drops::{DropReason, Outcome};
use super::peers::Peers;
use super::ways::Way;
use crate::collections::tick::Now;
use crate::meter::news::{Address, News, NodeId, Origin};
use crate::meter::{Meter, Rejection};
use crate::server::troubles::Kind;
use crate::wire::report::{self, Dropped, Envelope, Scope};

/// What a process judges by.
pub(super) struct Judge<'a> {
    pub(super) scopes: &'a Scopes,
    pub(super) peers: &'a Peers,
    pub(super) node: NodeId,
    /// Whether the operator has given a key. Without one, processes that have just started may not share theirs yet.
    pub(super) has_cluster_key: bool,
}

/// What came by a way.
struct Placed<'a> {
    /// Under which it is judged.
    scope: &'a Scope,
    origin: Origin,
    /// Where it came from, whichever process received it.
    address: Address,
    /// The datagram itself.
    bytes: &'a [u8],
}

/// What the nodes of an audience share, in each of the two places where they are.
pub(super) struct Scopes {
    pub(super) loopback: Scope,
    pub(super) network: Option<Scope>,
}

/// What the meter made of a datagram.
pub(super) struct Judged {
    pub(super) outcome: Outcome,
    pub(super) standing: Standing,
    pub(super) address: Address,
    /// Its sender, if it is of the audience, or may be once it has the key of its siblings.
    pub(super) node: Option<NodeId>,
    /// The trouble that it shows, if it is not of the audience.
    pub(super) trouble: Option<Kind>,
    /// The sender's wall clock, if the datagram is a sign of life from another host.
    pub(super) unix_ms: Option<u64>,
}

/// What a datagram is to this host.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Not of the audience.
    Foreign,
    /// This node's own, or one that came before.
    Known,
    /// One that may be news to siblings.
    Fresh,
}

impl Judged {
    /// Where siblings share a key that no operator has given, one that has just started may have another for a moment: the
    /// trouble is that of the node that the datagram names, and lasts until that has proved itself.
    fn foreign_sibling(dropped: Dropped, bytes: &[u8], address: Address, scope: &Scope) -> Self {
        let node = report::sender_of(bytes).filter(|_| matches!(dropped, Dropped::Forged | Dropped::Unkeyed));
        Self { node, ..Self::foreign(Outcome::of_dropped(dropped), address, scope) }
    }

    fn foreign(outcome: Outcome, address: Address, scope: &Scope) -> Self {
        let trouble = match outcome {
            Outcome::Dropped(reason) => reason.trouble(!scope.keys.is_empty()),
            Outcome::Used | Outcome::NoNews | Outcome::Unproven => None,
        };
        Self { outcome, standing: Standing::Foreign, address, node: None, trouble, unix_ms: None }
    }
}

impl Judge<'_> {
    /// Has the meter receive what came by a way.
    pub(super) fn judge(&self, way: Way, bytes: &[u8], from: Address, meter: &mut Meter, now: Now) -> Judged {
        let Placed { scope, origin, address, bytes } = match self.place(way, bytes, from) {
            Ok(placed) => placed,
            Err(outcome) => {
                let judged = Judged::foreign(outcome, from, &self.scopes.loopback);
                // The datagrams of the passer itself say whether it only has another key for a moment.
                let trouble = judged.trouble.filter(|_| self.has_cluster_key);
                return Judged { trouble, ..judged };
            }
        };
        let datagram = match report::decode(bytes, scope) {
            Ok(datagram) => datagram,
            Err(dropped) if origin == Origin::Loopback && !self.has_cluster_key => {
                return Judged::foreign_sibling(dropped, bytes, address, scope);
            }
            Err(dropped) => return Judged::foreign(Outcome::of_dropped(dropped), address, scope),
        };
        let received = meter.receive(&datagram, origin, now);
        let unix_ms = match datagram.news {
            News::Alive(alive) if origin != Origin::Loopback => Some(alive.unix_ms),
            _ => None,
        };
        // Of what has come before, siblings have the first copy.
        let is_known = matches!(received, Err(Rejection::Own | Rejection::Replayed | Rejection::Copied));
        let standing = if is_known { Standing::Known } else { Standing::Fresh };
        let outcome = received.map_or_else(Outcome::of_rejected, |()| Outcome::Used);
        Judged { outcome, standing, address, node: Some(datagram.sender), trouble: None, unix_ms }
    }

    /// The scope and the origin of what came by a way, and the bytes of the datagram itself.
    fn place<'a>(&'a self, way: Way, bytes: &'a [u8], from: Address) -> Result<Placed<'a>, Outcome> {
        let Scopes { loopback, network } = self.scopes;
        let network = network.as_ref().ok_or(Outcome::Dropped(DropReason::ForeignAudience));
        let (scope, origin) = match way {
            Way::Loopback | Way::Link if report::is_envelope(bytes) => {
                let envelope = report::open(bytes, loopback).map_err(Outcome::of_dropped)?;
                if envelope.passer == self.node {
                    return Err(Outcome::NoNews);
                }
                let Envelope { address, datagram: bytes, .. } = envelope;
                return Ok(Placed { scope: network?, origin: self.peers.origin_of(address), address, bytes });
            }
            Way::Loopback | Way::Link => (loopback, Origin::Loopback),
            Way::Group | Way::Broker => (network?, Origin::Group),
            Way::Unicast => (network?, self.peers.origin_of(from)),
        };
        Ok(Placed { scope, origin, address: from, bytes })
    }
}
