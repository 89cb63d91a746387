//! Messages: which were said, and what became of them at each node.
//!
//! Owns what one node may deliver, and what it must. It knows of datagrams only when a part arrived.

use std::collections::{BTreeMap, BTreeSet};

use audience_meter::meter::news::NodeId;

/// How long after it was said a part may arrive and still has to be delivered: the last copy leaves after 900 ms, and the
/// longest delay of the weather is 150 ms.
const COPIES_TICKS: u64 = 92 + 15;

/// How long after it was said a message is settled: a second.
const SETTLED_TICKS: u64 = 102;

/// A message.
struct Saying {
    namespace: &'static str,
    text: String,
    sender: NodeId,
    /// The numbers of its parts.
    parts: Vec<u64>,
    sent_at: u64,
    /// The nodes that the sender knew to be there.
    readers: BTreeSet<NodeId>,
    settled: Option<Settled>,
}

/// What the sender was answered.
struct Settled {
    /// How many messages had been said by then.
    said_count: usize,
    /// The nodes that have confirmed it, if all have.
    confirmed: BTreeSet<NodeId>,
}

/// All messages, in the order in which they were said.
#[derive(Default)]
pub(crate) struct Sayings {
    all: Vec<Saying>,
    by_part: BTreeMap<(NodeId, u64), usize>,
}

impl Sayings {
    /// The text of the next message, with so many bytes of filling.
    pub(crate) fn next_text(&self, filling: usize) -> String {
        format!("m{}-{}", self.all.len(), "x".repeat(filling))
    }

    /// A node says this, in these parts, to the nodes that it knows.
    pub(crate) fn add(
        &mut self,
        (sender, readers): (NodeId, BTreeSet<NodeId>),
        (namespace, text): (&'static str, String),
        parts: Vec<u64>,
        sent_at: u64,
    ) {
        let index = self.all.len();
        self.by_part.extend(parts.iter().map(|&number| ((sender, number), index)));
        self.all.push(Saying { namespace, text, sender, parts, sent_at, readers, settled: None });
    }

    /// The sender is answered: each of the nodes that it knows, `known`, has confirmed the message, or some have not. Returns
    /// the message, and the nodes that it has reached for certain; `None` for one that a test has said by hand.
    pub(crate) fn settle(
        &mut self,
        part: (NodeId, u64),
        is_confirmed: bool,
        known: &BTreeSet<NodeId>,
    ) -> Option<(usize, BTreeSet<NodeId>)> {
        let (index, said_count) = (*self.by_part.get(&part)?, self.all.len());
        let saying = &mut self.all[index];
        assert!(saying.settled.is_none(), "{:.20} is settled twice", saying.text);
        // A node that departed meanwhile is waited for no more, and one that came is not yet.
        let confirmed: BTreeSet<NodeId> =
            saying.readers.intersection(known).copied().filter(|_| is_confirmed).collect();
        saying.settled = Some(Settled { said_count, confirmed: confirmed.clone() });
        Some((index, confirmed))
    }

    /// No message of the nodes that are there waits for longer than it may.
    pub(crate) fn check_settled(&self, is_there: impl Fn(NodeId) -> bool, tick: u64) {
        let waiting = self.all.iter().filter(|saying| saying.settled.is_none() && !saying.readers.is_empty());
        for saying in waiting.filter(|saying| is_there(saying.sender) && !saying.parts.is_empty()) {
            assert!(tick <= saying.sent_at + SETTLED_TICKS, "{:.20} is not settled", saying.text);
        }
    }

    fn sent_at(&self, sender: NodeId, number: u64) -> Option<u64> {
        self.by_part.get(&(sender, number)).map(|&index| self.all[index].sent_at)
    }
}

/// What one node has received of messages.
#[derive(Default)]
pub(crate) struct Ledger {
    delivered: BTreeSet<usize>,
    /// The messages for which there was no room.
    refused: BTreeSet<usize>,
    /// The last message that it delivered, by sender.
    last: BTreeMap<NodeId, usize>,
    /// Since when it has known which others to be there.
    acquainted: Vec<(NodeId, u64)>,
    /// Parts that reached it in time, of senders that it knew when they were sent.
    owed: BTreeSet<(NodeId, u64)>,
    /// All parts that ever reached it.
    seen: BTreeSet<(NodeId, u64)>,
}

impl Ledger {
    /// The node knows these others to be there.
    pub(crate) fn meet(&mut self, known: impl Iterator<Item = NodeId>, tick: u64) {
        let since =
            |other: NodeId| self.acquainted.iter().find(|(of, _)| *of == other).map_or(tick, |(_, since)| *since);
        self.acquainted = known.map(|other| (other, since(other))).collect();
    }

    /// A part was taken in.
    pub(crate) fn take_part(&mut self, part: (NodeId, u64), sayings: &Sayings, arrived_at: u64) {
        let Some(sent_at) = sayings.sent_at(part.0, part.1) else { return };
        let is_in_time = self.seen.insert(part) && arrived_at <= sent_at + COPIES_TICKS;
        let is_known = self.acquainted.iter().any(|&(other, since)| other == part.0 && since < sent_at);
        if is_in_time && is_known {
            self.owed.insert(part);
        }
    }

    /// A message is delivered to this node once, as it was said, and not after a later one of its sender; nor before one that
    /// all nodes had confirmed when it was said, at whichever node. What invented nodes say is nothing but `x`.
    pub(crate) fn deliver(
        &mut self,
        node: NodeId,
        (namespace, text): (&str, &str),
        is_pushed: bool,
        sayings: &Sayings,
    ) {
        let number =
            text.strip_prefix('m').and_then(|text| text.split_once('-')).and_then(|(number, _)| number.parse().ok());
        let Some(index) = number.filter(|&index: &usize| index < sayings.all.len()) else {
            assert!(text.bytes().all(|byte| byte == b'x'), "no node has said {text}");
            return;
        };
        let saying = &sayings.all[index];
        assert_eq!((namespace, text), (saying.namespace, &*saying.text), "another message was said");
        let earlier = self.last.insert(saying.sender, index);
        assert!(earlier.is_none_or(|earlier| earlier < index), "{text:.20} comes twice or after {earlier:?}");
        let before = sayings.all.iter().enumerate().filter(|(_, before)| {
            before
                .settled
                .as_ref()
                .is_some_and(|settled| settled.said_count <= index && settled.confirmed.contains(&node))
        });
        for (earlier, _) in before {
            assert!(self.delivered.contains(&earlier), "{text:.20} comes before message {earlier}");
        }
        (if is_pushed { &mut self.delivered } else { &mut self.refused }).insert(index);
    }

    /// What is confirmed was handed on.
    pub(crate) fn check_delivered(&self, index: usize) {
        assert!(self.delivered.contains(&index), "message {index} was confirmed and not handed on");
    }

    /// No message is missing of which all parts arrived.
    pub(crate) fn check(&self, sayings: &Sayings) {
        for (index, saying) in sayings.all.iter().enumerate().filter(|(_, saying)| !saying.parts.is_empty()) {
            let has_arrived = saying.parts.iter().all(|&number| self.owed.contains(&(saying.sender, number)));
            let is_missing = has_arrived && !self.delivered.contains(&index) && !self.refused.contains(&index);
            assert!(!is_missing, "{:.20} arrived and was not delivered", saying.text);
        }
    }
}
