//! What nodes announce to each other, as values.
//!
//! Owns the vocabulary of the cluster, and the bounds that a datagram sets. It knows neither bytes (`wire::report` does) nor
//! what the news changes (`meter::cluster` does). Names are generic: a node announces names that it owns, and receives names
//! that lie in the datagram.
//!
//! | file | owns |
//! |---|---|
//! | `atoms` | what makes a process a node, the names of messages, and what numbers and names weigh |
//! | `census` | what is said of the different people of an event |
//! | `claims` | the uuids that members claim |
//! | `ends` | that an event or a node ends |
//! | `receipts` | what a node confirms of messages |
//! | `sections` | news that waits, as bytes |
//! | `sums` | what was counted in a namespace, and what is known of it as a whole |
//!
//! Invariant: every count is absolute. News may be lost, doubled or overtaken, and the totals still come right.

mod atoms;
pub mod census;
mod claims;
mod ends;
mod receipts;
pub(super) mod sections;
mod sums;

pub use super::way::{Address, Origin, To};
pub use atoms::{Farewell, Format, Formats, MessageId, NodeId, Promise, Secret};
use atoms::{entry_weight, name_weight, number_weight};
use census::{CensusNews, Mentions};
pub use claims::{Claim, HeldQuestion, Patience};
pub use ends::{EndedEvent, Stance};
pub use receipts::{Fate, Receipt};
pub use sums::{AGE_MS_MAX, Age, MEMBER_TICKS_MAX, Peak, SUMMAND_MAX, Sums};

/// The longest name of a namespace, and the longest uuid, in bytes: both have to fit into a datagram.
pub const NAME_MAX: usize = 255;

/// The most figures of itself that a node announces. A value takes 8 bytes at most, and its number 2, but for three that may
/// take 3: with the head and a seal they fit into a datagram of 1,200 bytes.
pub const COUNTERS_MAX: usize = 110;

/// The length of a question in bytes, without its seal: it is padded to that.
pub const ASK_BYTES: usize = 160;

/// The most bytes of its answer, a sign of life without its seal. Later versions may add to it, up to [`ASK_BYTES`].
pub const ANSWER_BYTES_MAX: usize = 112;

/// One datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram<N> {
    /// The node that sent it.
    pub sender: NodeId,
    /// Counts the sender's datagrams from 1: the larger is the later.
    pub number: u64,
    /// The sender's own clock, in ticks from anywhere: the news is of this time.
    pub clock: u64,
    /// The versions of its format.
    pub format: Format,
    /// What it says.
    pub news: News<N>,
}

/// What a datagram says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News<N> {
    /// The sender is there.
    Alive(Alive),
    /// The sender asks.
    Ask(Ask),
    /// All of the sender's items whose last change has a version after `from` and up to `to`, as they are now.
    Report {
        /// The version from which on this report knows.
        from: u64,
        /// The version up to which it knows.
        to: u64,
        /// The sender's [`Alive::horizon`]: a peer that has missed an item with a version up to that does not learn of it
        /// from here.
        horizon: u64,
        /// Under which of its names the sender has its sums, counted from 0: with the name before, it was taken for gone and
        /// folded, and so were the sums of that time.
        name: u64,
        /// The items.
        items: Vec<Item<N>>,
    },
    /// What departed nodes had counted.
    DepartedShares(Vec<DepartedShare<N>>),
    /// The names of nodes that departed long ago: what they had counted is in the fold, and stands alone no more.
    Folded(Vec<NodeId>),
    /// What the folded nodes had counted.
    FoldShares {
        /// The digest of the list of all folded nodes: of them, no more and no fewer, these are the sums.
        list_digest: u64,
        /// The sums.
        shares: Vec<FoldShare<N>>,
    },
    /// The sender asks for all that a node knows of the people of an event.
    AskCensus {
        /// The node that is asked.
        of: NodeId,
        /// The namespace's name.
        namespace: N,
    },
    /// A part of all that the sender knows of the people of an event.
    Census {
        /// The namespace's name.
        namespace: N,
        /// The part.
        census: CensusNews,
    },
    /// Figures of the sender itself, in the order of their numbers. One that is not among them is 0, and one whose number the
    /// receiver does not know is for others. Lost ones are not sent again, but newer ones follow soon.
    Counters(Vec<Counter>),
    /// A part of a message for the members of a namespace.
    Message(MessagePart<N>),
    /// A uuid was claimed just now; the claim is among the sender's items too.
    Claimed(Claim<N>),
    /// A page says that it leaves: claims of the uuid up to this one's order end.
    GivenUp {
        /// The last claim that ends.
        claim: Claim<N>,
        /// Whether the page may be on its way back: the place is kept for a moment.
        is_away: bool,
    },
    /// The sender asks whether a uuid is held by a member of the receiver.
    AskHeld(HeldQuestion<N>),
    /// A uuid is held by a member of the sender. There is no answer that says no.
    Held {
        /// The node that asked.
        asker: NodeId,
        /// The number of its question.
        number: u64,
    },
    /// What the sender has received of messages.
    Received {
        /// [`Alive::is_behind`].
        is_behind: bool,
        /// One for each node that messages have come from since its last one.
        receipts: Vec<Receipt>,
    },
    /// The sender is about to end.
    Bye(Farewell),
    /// The sender has received a goodbye.
    GoodbyeReceived {
        /// The node that said it.
        of: NodeId,
        /// Where the sender stands.
        stance: Stance,
        /// The version of the sender's last change.
        version: u64,
    },
    /// News of a later version, which says nothing here but that the sender is there.
    Unknown,
}

/// A figure of a node. What its number stands for, the callers of all nodes know: a number stands for one thing for ever, so
/// programs that know more and fewer of them understand each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Counter {
    /// Which figure it is; not 0.
    pub number: u16,
    /// What it comes to: more than 0, and below 2^56.
    pub value: u64,
}

impl<N> News<N> {
    /// Whether it is understood by every version: the conversation in which nodes find out which versions they read.
    #[must_use]
    pub fn is_introduction(&self) -> bool {
        matches!(self, Self::Alive(_) | Self::Ask(_) | Self::Bye(_))
    }
}

/// A sign of life, and the version that the sender is at: a peer that has received less asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Alive {
    /// The version of the last change that the sender has announced. In an answer it is that of the last change of all, which
    /// is announced at once.
    pub version: u64,
    /// The version of the last change that it announces no more: of a namespace that it has forgotten.
    pub horizon: u64,
    /// The number of the last message part that it sent.
    pub message: u64,
    /// The largest order of a claim that it knows of.
    pub claim_order: u64,
    /// A digest of what it knows of departed nodes.
    pub departed_digest: u64,
    /// Its wall clock, in milliseconds since 1970. Nothing is decided by it: a clock that is wrong is reported.
    pub unix_ms: u64,
    /// Whether the members there lag so far behind that no more messages shall be announced.
    pub is_behind: bool,
    /// What its goodbye has to fit; 0 in a sign of life that is no answer.
    pub promise: Promise,
    /// The question that this answers.
    pub echo: Option<Echo>,
    /// What it knows of the people of some events; of none in an answer.
    pub mentions: Mentions,
}

/// The proof that an answer is no recording: it repeats what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Echo {
    /// The node that asked.
    pub asker: NodeId,
    /// The number that it drew.
    pub nonce: u64,
}

/// A question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The node that is asked; `None` is all nodes.
    pub of: Option<NodeId>,
    /// What is wanted beside a sign of life.
    pub wanted: Wanted,
    /// What the answer is to repeat.
    pub nonce: u64,
}

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All items that have changed since this version.
    Items {
        /// The version up to which the asker knows all.
        since: u64,
    },
    /// All that is known of departed nodes.
    DepartedShares,
}

/// Something that a node knows first-hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item<N> {
    /// The share of a namespace that its own members are.
    Count(Count<N>),
    /// A uuid that one of its own members claims.
    Claim(Claim<N>),
    /// A claim of one of its own members that is over.
    Retired(Claim<N>),
    /// What it says of the people of the namespace whose count is the item before.
    Census(CensusNews),
    /// An event that is over, of which it has given the report.
    Ended(EndedEvent<N>),
}

/// A node's own share of a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count<N> {
    /// The namespace's name.
    pub namespace: N,
    /// Its counted members.
    pub members: u32,
    /// Its members that are not counted.
    pub uncounted: u32,
    /// Of its counted members those whose streams are gone and may come back.
    pub waiting: u32,
    /// What was counted so far.
    pub sums: Sums,
    /// What is known of the namespace as a whole.
    pub age: Age,
    /// The most members that were present at once, as far as the sender knows.
    pub peak: Peak,
}

/// What a departed node had counted in a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DepartedShare<N> {
    /// The departed node.
    pub node: NodeId,
    /// The namespace's name.
    pub namespace: N,
    /// What it had counted there.
    pub sums: Sums,
    /// What is known of the namespace as a whole.
    pub age: Age,
    /// The most members that were present at once, as far as the sender knows.
    pub peak: Peak,
}

/// What all folded nodes together had counted in a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoldShare<N> {
    /// The namespace's name.
    pub namespace: N,
    /// What they had counted there.
    pub sums: Sums,
    /// What is known of the namespace as a whole.
    pub age: Age,
    /// The most members that were present at once, as far as the sender knows.
    pub peak: Peak,
}

/// A part of a message. Parts are numbered by their sender without gaps; a message is its parts in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessagePart<N> {
    /// Counts the sender's parts from 1.
    pub number: u64,
    /// The namespace's name.
    pub namespace: N,
    /// The text, or a part of it.
    pub text: N,
    /// Whether it is the first part of its message.
    pub begins: bool,
    /// Whether the next part goes on with it.
    pub continues: bool,
}

impl<N: AsRef<str>> Item<N> {
    /// Its bytes in a datagram.
    #[must_use]
    pub fn weight(&self) -> usize {
        1 + entry_weight(match self {
            Self::Count(count) => {
                let whole = count.age.weight() + count.peak.weight();
                name_weight(count.namespace.as_ref())
                    + number_weight(count.members.into())
                    + number_weight(count.uncounted.into())
                    + number_weight(count.waiting.into())
                    + count.sums.weight()
                    + whole
            }
            Self::Census(census) => census.weight(),
            Self::Ended(EndedEvent { namespace, connections, empty_ms }) => {
                name_weight(namespace.as_ref()) + number_weight(*connections) + number_weight(*empty_ms)
            }
            Self::Claim(claim) | Self::Retired(claim) => claim.weight(),
        })
    }
}

impl<N: AsRef<str>> DepartedShare<N> {
    /// Its bytes in a datagram.
    #[must_use]
    pub fn weight(&self) -> usize {
        let whole = self.sums.weight() + self.age.weight() + self.peak.weight();
        entry_weight(8 + name_weight(self.namespace.as_ref()) + whole)
    }
}

impl<N: AsRef<str>> FoldShare<N> {
    /// Its bytes in a datagram.
    #[must_use]
    pub fn weight(&self) -> usize {
        let whole = self.sums.weight() + self.age.weight() + self.peak.weight();
        entry_weight(name_weight(self.namespace.as_ref()) + whole)
    }
}
