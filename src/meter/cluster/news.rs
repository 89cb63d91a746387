//! What nodes tell each other, as values.
//!
//! Owns the vocabulary of the cluster. It knows neither bytes (`wire::report` does) nor what is made of the news
//! (`meter::cluster` does). Names are generic: a node tells names that it owns, and hears names that lie in the
//! datagram.
//!
//! Invariant: every count is absolute. News may be lost, doubled or overtaken, and the totals still come right.

use std::fmt;

use crate::meter::accounts::stays::Stays;

/// A node's name: drawn at random at each start, so that a restarted process is never taken for the one that died.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u64);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// One datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram<N> {
    /// Who tells.
    pub sender: NodeId,
    /// Counts the sender's datagrams from 1: the larger is the later.
    pub number: u64,
    /// The sender's own clock, in ticks from anywhere: what is told is of this time.
    pub clock: u64,
    /// What is told.
    pub news: News<N>,
}

/// What is told.
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
        /// The sender's [`Alive::horizon`]: who has missed an item with a version up to that learns nothing of it from here.
        horizon: u64,
        /// The items.
        items: Vec<Item<N>>,
    },
    /// What nodes that are gone had counted.
    Graves(Vec<Grave<N>>),
    /// Figures of the sender itself, as it stands: numbers whose meaning and order the callers of all nodes know. They are not
    /// told again when they get lost, but newer ones are, soon.
    Counters(Vec<u64>),
    /// A part of a message for the members of a namespace.
    Message(MessagePart<N>),
    /// A uuid was claimed just now; the claim is among the sender's items too.
    Claimed(Claim<N>),
    /// A page says that it leaves: claims of the uuid up to this one's time end.
    GivenUp(Claim<N>),
    /// The sender is about to end.
    Bye,
}

/// A sign of life, and where the sender is: whoever has heard less asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Alive {
    /// The version of the last change that the sender has told; to whom it answers, of its last change, told at once.
    pub version: u64,
    /// The version of the last change that it does not tell any more: of a namespace that it has forgotten.
    pub horizon: u64,
    /// The number of the last message part that it sent.
    pub message: u64,
    /// A digest of what it knows of nodes that are gone.
    pub graves: u64,
    /// Whom this answers.
    pub echo: Option<Echo>,
}

/// The proof that an answer is no recording: it repeats what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Echo {
    /// Who asked.
    pub asker: NodeId,
    /// What it drew.
    pub nonce: u64,
}

/// A question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Who is asked; `None` is everybody.
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
    /// All that is known of nodes that are gone.
    Graves,
}

/// Something that a node knows first-hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item<N> {
    /// How many of its own members a namespace has.
    Count(Count<N>),
    /// A uuid that one of its own members claims.
    Claim(Claim<N>),
}

/// A node's own share of a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count<N> {
    /// The namespace's name.
    pub namespace: N,
    /// How many are there now.
    pub members: u32,
    /// How many more are there without being counted.
    pub uncounted: u32,
    /// What was counted so far.
    pub sums: Sums,
    /// What is known of the namespace as a whole.
    pub age: Age,
    /// The most that were ever there, as far as the sender knows.
    pub peak: Peak,
}

/// The largest sum of member ticks that is told: those of 10,000 members for a hundred years. Thousands of such sums can be
/// added up.
pub const MEMBER_TICKS_MAX: u64 = (1 << 52) - 1;

/// What a node has counted in a namespace. No number of it ever falls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// How many ever came.
    pub connections: u64,
    /// For how many ticks members were there, all of them together, up to now.
    pub member_ticks: u64,
    /// How long those stayed who have left.
    pub stays: Stays,
}

/// The most that were ever there at once, at all nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peak {
    /// How many.
    pub members: u64,
    /// Since when, in seconds since 1970, by the clock of the node that saw it.
    pub at_unix_s: u64,
}

impl Peak {
    /// The larger of both, and of two that are the same the earlier one: whatever is merged in whatever order, how often
    /// ever, comes to the same.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let is_other = (other.members, self.at_unix_s) > (self.members, other.at_unix_s);
        if is_other { other } else { self }
    }

    fn weight(self) -> usize {
        number_weight(self.members) + number_weight(self.at_unix_s)
    }
}

/// When a namespace began, and for how long it has been empty everywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Age {
    /// When it was made, in seconds since 1970.
    pub created_unix_s: u64,
    /// For how long nobody has been there, in milliseconds; 0 while somebody is. It travels with what is told of an empty
    /// namespace, so that telling does not keep the namespace alive.
    pub empty_ms: u64,
}

/// A claim of a uuid. Of two, the one with the later time stands; at the same time, the one of the larger node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim<N> {
    /// The namespace's name.
    pub namespace: N,
    /// The uuid.
    pub uuid: N,
    /// When, in milliseconds since 1970, but later than all claims that the node had heard of.
    pub time_ms: u64,
}

/// What a node that is gone had counted in a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grave<N> {
    /// Who is gone.
    pub node: NodeId,
    /// The namespace's name.
    pub namespace: N,
    /// What it had counted there.
    pub sums: Sums,
    /// What is known of the namespace as a whole.
    pub age: Age,
    /// The most that were ever there, as far as the sender knows.
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

/// The bytes of a number in a datagram: 7 bits in each.
fn number_weight(number: u64) -> usize {
    (number | 1).ilog2() as usize / 7 + 1
}

/// The bytes of a name in a datagram.
fn name_weight(name: &str) -> usize {
    number_weight(name.len() as u64) + name.len()
}

impl Age {
    fn weight(self) -> usize {
        number_weight(self.created_unix_s) + number_weight(self.empty_ms)
    }
}

impl Sums {
    /// Bit `n` is set when somebody's stay was of bucket `n`.
    #[must_use]
    pub fn buckets(&self) -> u64 {
        (0..).zip(&self.stays).fold(0, |mask, (bucket, &count)| mask | u64::from(count > 0) << bucket)
    }

    fn weight(&self) -> usize {
        let stays = self.stays.iter().filter(|&&count| count > 0).map(|&count| number_weight(count));
        let numbers = [self.connections, self.member_ticks, self.buckets()].map(number_weight);
        stays.chain(numbers).sum()
    }
}

impl<N: AsRef<str>> Item<N> {
    /// Its bytes in a datagram.
    #[must_use]
    pub fn weight(&self) -> usize {
        1 + match self {
            Self::Count(count) => {
                let whole = count.age.weight() + count.peak.weight();
                name_weight(count.namespace.as_ref())
                    + number_weight(count.members.into())
                    + number_weight(count.uncounted.into())
                    + count.sums.weight()
                    + whole
            }
            Self::Claim(claim) => {
                name_weight(claim.namespace.as_ref()) + name_weight(claim.uuid.as_ref()) + number_weight(claim.time_ms)
            }
        }
    }
}

impl<N: AsRef<str>> Grave<N> {
    /// Its bytes in a datagram.
    #[must_use]
    pub fn weight(&self) -> usize {
        8 + name_weight(self.namespace.as_ref()) + self.sums.weight() + self.age.weight() + self.peak.weight()
    }
}
