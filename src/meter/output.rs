//! What the caller of the meter has to do.
//!
//! Owns the kinds of orders, in one queue: they are carried out in the order in which they were given.

use std::collections::VecDeque;
use std::rc::Rc;

use super::accounts::ending::Ending;
use super::book::keys::{MakerId, MemberId, NamespaceId};
use super::news::{Datagram, MessageId, To};

/// What the caller has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Push its total to every member of the namespace.
    Count {
        /// The namespace; it has members.
        namespace: NamespaceId,
        /// The number to push, at least 1.
        total: u64,
        /// The newest member has just received this very number as its own first count.
        skip_newest: bool,
    },
    /// End this member's stream with the farewell: its uuid was claimed anew. It no longer counts.
    Farewell(MemberId),
    /// End this member's stream: its page has said that it leaves. It no longer counts.
    Left(MemberId),
    /// The question of this number is answered: whether another node holds the uuid that it asked for.
    Held {
        /// The number that [`Mail::ask_held`](super::Mail::ask_held) has returned.
        number: u64,
        /// Whether one does. A node that says nothing in time does not.
        is_held: bool,
    },
    /// Push this message of another node to every member of the namespace, if there are any, and confirm that.
    Message {
        /// What it is confirmed by.
        id: MessageId,
        /// The namespace by its name: until the push it may be forgotten, and its key may be another's.
        namespace: Rc<str>,
        /// The message.
        text: Rc<str>,
    },
    /// The message of this number is waited for no longer.
    Settled {
        /// The number that it was announced under.
        number: u64,
        /// The number of living nodes that have not confirmed it.
        unconfirmed: usize,
    },
    /// Send this to other nodes.
    Send(To, Datagram<Rc<str>>),
    /// An event is over: write down what it came to. No other node does.
    Ended(Box<Ending>),
    /// A namespace is forgotten that was made for this key of the caller's.
    Unmade(MakerId),
    /// This node was away while hundreds of others departed, and was folded with the oldest of them. What it had counted
    /// meanwhile may be missing from the sums of the audience: say so to the operator.
    Folded,
    /// The list of folded nodes is full, and there are departed nodes that should be folded: say so to the operator.
    FoldFull,
}

/// Outputs that wait for the caller.
pub(super) type Outputs = VecDeque<Output>;
