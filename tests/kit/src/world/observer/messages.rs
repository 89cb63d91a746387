//! Messages: which were said, and what became of them at each node.
//!
//! Owns what one node may deliver, and what it must. It knows of datagrams only when a part arrived.

use std::collections::{BTreeMap, BTreeSet};

use audience_meter::meter::news::NodeId;

/// How long after it was said a part may arrive and still has to be delivered: the last copy leaves after 200 ms, and the
/// longest delay of the weather is 150 ms.
const COPIES_TICKS: u64 = 22 + 15;

/// A message.
struct Saying {
    namespace: &'static str,
    text: String,
    sender: NodeId,
    /// The numbers of its parts.
    parts: Vec<u64>,
    sent_at: u64,
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

    pub(crate) fn add(&mut self, sender: NodeId, namespace: &'static str, text: String, parts: Vec<u64>, sent_at: u64) {
        let index = self.all.len();
        self.by_part.extend(parts.iter().map(|&number| ((sender, number), index)));
        self.all.push(Saying { namespace, text, sender, parts, sent_at });
    }

    fn sent_at(&self, sender: NodeId, number: u64) -> Option<u64> {
        self.by_part.get(&(sender, number)).map(|&index| self.all[index].sent_at)
    }
}

/// What one node has received of messages.
#[derive(Default)]
pub(crate) struct Ledger {
    delivered: BTreeSet<usize>,
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

    /// A part was taken in. What arrives while the node has no such namespace is not owed when there is one.
    pub(crate) fn take_part(&mut self, part: (NodeId, u64), sayings: &Sayings, arrived_at: u64, has_namespace: bool) {
        let Some(sent_at) = sayings.sent_at(part.0, part.1) else { return };
        let is_in_time = self.seen.insert(part) && arrived_at <= sent_at + COPIES_TICKS;
        let is_known = self.acquainted.iter().any(|&(other, since)| other == part.0 && since < sent_at);
        if is_in_time && is_known && has_namespace {
            self.owed.insert(part);
        }
    }

    /// A message is delivered once, as it was said, and not after a later one of its sender. What invented nodes say is
    /// nothing but `x`.
    pub(crate) fn deliver(&mut self, namespace: &str, text: &str, sayings: &Sayings) {
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
        self.delivered.insert(index);
    }

    /// No message is missing of which all parts arrived.
    pub(crate) fn check(&self, sayings: &Sayings) {
        for (index, saying) in sayings.all.iter().enumerate().filter(|(_, saying)| !saying.parts.is_empty()) {
            let has_arrived = saying.parts.iter().all(|&number| self.owed.contains(&(saying.sender, number)));
            let is_missing = has_arrived && !self.delivered.contains(&index);
            assert!(!is_missing, "{:.20} arrived and was not delivered", saying.text);
        }
    }
}
