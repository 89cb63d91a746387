//! What a perfect observer knows: the naive book of each node, all messages, and what events were reported to come to.
//!
//! Owns the oracle of the world. It is shown what nodes do and what they answer, and never asks a meter what is right.
//!
//! | file | owns |
//! |---|---|
//! | `book` | the members of one node, and what is due to them |
//! | `page` | one namespace in a book, and what figures it may have |
//! | `present` | one member |
//! | `walks` | the order in which walks visit members |
//! | `recorded` | what members come to that came and left |
//! | `acquaintance` | which nodes know of each other |
//! | `messages` | what was said, and what each node has to deliver |

mod acquaintance;
mod book;
mod messages;
mod page;
mod present;
mod recorded;
mod walks;

use audience_meter::meter::Ending;
use audience_meter::meter::news::NodeId;

use acquaintance::Acquaintance;
pub(super) use book::Book;
pub(super) use messages::{Ledger, Sayings};
pub(super) use recorded::Recorded;

/// What has happened in a world, beside what the books say.
#[derive(Default)]
pub(super) struct Observer {
    pub(super) sayings: Sayings,
    pub(super) acquaintance: Acquaintance,
    /// Which node has reported what an event came to, and when.
    pub(super) endings: Vec<(u64, NodeId, Ending)>,
    /// The books of departed nodes, whose members have all left.
    pub(super) departed: Vec<Book>,
    /// When nodes departed, and which.
    pub(super) departures: Vec<(u64, NodeId)>,
    /// When members last came or left.
    pub(super) changed_at: u64,
    /// Whether a node was stopped: what it took in first when it went on was late.
    pub(super) has_paused: bool,
    /// Whether nodes were cut off from each other.
    pub(super) has_cut: bool,
    /// Whether an invented node has spoken: what it said stays in the sums.
    pub(super) has_strangers: bool,
}

impl Observer {
    /// Whether a node has departed: what it had not announced is lost.
    pub(super) fn has_departures(&self) -> bool {
        !self.departures.is_empty()
    }
}
