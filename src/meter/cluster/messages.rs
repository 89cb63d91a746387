//! The messages that this node announces, until the other nodes have confirmed them.
//!
//! Owns the numbers of their parts, which nodes each is still waited for, and when it is sent again. A message is cut where a
//! datagram ends, and its parts are numbered in a row. It is settled when every node that was living when it was announced
//! has confirmed it, has lost it, or has departed; or after a second, whatever happens. Nodes that come later are not
//! waited for.
//!
//! Why this keeps the order of a sender that waits: a settled message was handed on at every living node, behind all that was
//! handed on there before. The sender speaks next, at whichever node, and that message takes its place behind the first one
//! everywhere: at the node that takes it because it has handed on the first, and at all others for the same reason. In which
//! order a node reads its requests and its datagrams makes no difference for that.
//!
//! Invariant: parts are numbered from 1, without gaps; and each message is settled once.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use crate::collections::sections::{Reader, Writer};
use crate::collections::tick::Tick;
use crate::meter::news::{Fate, MessagePart, NodeId, Receipt, sections};
use crate::meter::output::{Output, Outputs};

/// The part of a message that goes into one datagram, in bytes; a name of the longest kind fits beside it.
const TEXT_PART_MAX: usize = 700;

/// When a message is sent again that is not settled: after this, and then at each multiple of [`COPY_GAP`].
const FIRST_COPY: Duration = Duration::from_millis(50);

const COPY_GAP: Duration = Duration::from_millis(100);

/// How often it is sent again; then it is waited for no longer, a second after it was announced. With a quarter of the
/// datagrams lost in both directions, one of 9,000 messages is not confirmed by a node after all of them.
const COPIES: u32 = 10;

/// The most parts that are waited for; beyond, no message is announced. The receiver of a gap holds the others back, and has
/// room for twice that.
const PARTS_WAITING_MAX: usize = 128;

/// A message that is not settled.
#[derive(Debug)]
struct Waiting {
    /// The number of its last part.
    number: u64,
    parts: Vec<MessagePart<Rc<str>>>,
    since: Tick,
    /// How often it was sent again.
    copy_count: u32,
    /// The nodes of which nothing is known.
    open: Vec<NodeId>,
    /// The nodes at which it is lost.
    lost: Vec<NodeId>,
}

impl Waiting {
    /// When it is sent again, or given up.
    fn next_deadline(&self) -> Tick {
        self.since.after(if self.copy_count == 0 { FIRST_COPY } else { COPY_GAP * self.copy_count })
    }
}

/// The messages of this node.
#[derive(Debug, Default)]
pub(super) struct Messages {
    /// The number of the last part.
    last: u64,
    /// In the order of their numbers.
    waiting: VecDeque<Waiting>,
}

impl Messages {
    /// The number of the last part.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    pub(super) fn write(&self, out: &mut Writer) {
        let Self { last, waiting } = self;
        out.number(*last);
        out.count(waiting.len());
        for Waiting { number, parts, since, copy_count, open, lost } in waiting {
            out.number(*number);
            out.tick(*since);
            out.number((*copy_count).into());
            out.count(parts.len());
            for part in parts {
                sections::write_part(part, out);
            }
            for nodes in [open, lost] {
                out.count(nodes.len());
                for node in nodes {
                    out.fixed(node.0);
                }
            }
        }
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        let (last, mut waiting, mut messages) = (from.number(), VecDeque::new(), from.list());
        while from.has_next(&mut messages) {
            let (number, since, copy_count) = (from.number(), from.tick(), from.small());
            let (mut parts, mut part_list) = (Vec::new(), from.list());
            while from.has_next(&mut part_list) {
                parts.push(sections::read_part(from));
            }
            let mut message = Waiting { number, parts, since, copy_count, open: Vec::new(), lost: Vec::new() };
            for nodes in [&mut message.open, &mut message.lost] {
                let mut node_list = from.list();
                while from.has_next(&mut node_list) {
                    nodes.push(NodeId(from.fixed()));
                }
            }
            waiting.push_back(message);
        }
        Self { last, waiting }
    }

    /// Whether there is room for one more.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.iter().map(|message| message.parts.len()).sum::<usize>() < PARTS_WAITING_MAX
    }

    /// The parts of the next message, which these nodes have to confirm. If there are any, its settling is an output later, by
    /// the number of the last part.
    pub(super) fn announce(
        &mut self,
        name: &str,
        text: &str,
        readers: Vec<NodeId>,
        now: Tick,
    ) -> Vec<MessagePart<Rc<str>>> {
        let parts = self.cut(name, text);
        if !readers.is_empty() {
            let (number, parts) = (self.last, parts.clone());
            self.waiting.push_back(Waiting {
                number,
                parts,
                since: now,
                copy_count: 0,
                open: readers,
                lost: Vec::new(),
            });
        }
        parts
    }

    fn cut(&mut self, name: &str, text: &str) -> Vec<MessagePart<Rc<str>>> {
        let namespace: Rc<str> = name.into();
        let (mut parts, mut rest, mut begins) = (Vec::new(), text, true);
        loop {
            // A request target is ASCII, so every byte is a place to cut; other text is cut at the last whole character.
            let (part, after) = rest.split_at(rest.floor_char_boundary(TEXT_PART_MAX));
            self.last += 1;
            let (number, continues) = (self.last, !after.is_empty());
            parts.push(MessagePart { number, namespace: namespace.clone(), text: part.into(), begins, continues });
            if !continues {
                return parts;
            }
            (rest, begins) = (after, false);
        }
    }

    /// A node has confirmed what it has received of this one.
    pub(super) fn confirm(&mut self, node: NodeId, receipt: &Receipt, outputs: &mut Outputs) {
        for message in &mut self.waiting {
            let fate = receipt.fate(message.number);
            let Some(place) = message.open.iter().position(|&open| open == node && fate != Fate::Open) else {
                continue;
            };
            message.open.swap_remove(place);
            if fate == Fate::Lost {
                message.lost.push(node);
            }
        }
        self.settle(outputs);
    }

    /// A node has departed, and is waited for no more.
    pub(super) fn depart(&mut self, node: NodeId, outputs: &mut Outputs) {
        for message in &mut self.waiting {
            message.open.retain(|&open| open != node);
            message.lost.retain(|&lost| lost != node);
        }
        self.settle(outputs);
    }

    /// When something is sent again, or given up.
    pub(super) fn next_deadline(&self) -> Option<Tick> {
        self.waiting.iter().map(Waiting::next_deadline).min()
    }

    /// Gives up what was waited for long enough. Returns the parts that are sent again.
    pub(super) fn handle_timeout(&mut self, outputs: &mut Outputs, now: Tick) -> Vec<MessagePart<Rc<str>>> {
        let mut again = Vec::new();
        for message in self.waiting.iter_mut().filter(|message| message.next_deadline() <= now) {
            // The copies that would have been sent while this process was stopped are none.
            while message.copy_count < COPIES && message.next_deadline() <= now {
                message.copy_count += 1;
            }
            if message.next_deadline() <= now {
                message.lost.append(&mut message.open);
            } else {
                again.extend(message.parts.iter().cloned());
            }
        }
        self.settle(outputs);
        again
    }

    /// Reports the messages for which no node is waited.
    fn settle(&mut self, outputs: &mut Outputs) {
        self.waiting.retain(|message| {
            let is_settled = message.open.is_empty();
            if is_settled {
                outputs.push_back(Output::Settled { number: message.number, unconfirmed: message.lost.len() });
            }
            !is_settled
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODES: [NodeId; 2] = [NodeId(5), NodeId(6)];

    fn announce(messages: &mut Messages, at: u64) {
        messages.announce("a", "s=x", NODES.to_vec(), Tick(at));
    }

    fn receipt(from: u64, up_to: u64, lost: &[u64]) -> Receipt {
        Receipt { sender: NodeId(1), from, up_to, lost: lost.to_vec() }
    }

    fn settled(outputs: &mut Outputs) -> Vec<(u64, usize)> {
        let settled = |output| match output {
            Output::Settled { number, unconfirmed } => (number, unconfirmed),
            other => panic!("{other:?}"),
        };
        outputs.drain(..).map(settled).collect()
    }

    #[test]
    fn a_message_is_settled_when_each_node_has_said_what_became_of_it() {
        let (mut messages, mut outputs) = (Messages::default(), Outputs::new());
        (0..4).for_each(|_| announce(&mut messages, 0));
        messages.confirm(NODES[0], &receipt(0, 3, &[2]), &mut outputs);
        messages.confirm(NODES[0], &receipt(0, 1, &[]), &mut outputs);
        assert_eq!(settled(&mut outputs), []);
        messages.confirm(NODES[1], &receipt(1, 2, &[]), &mut outputs);
        assert_eq!(settled(&mut outputs), [(1, 1), (2, 1)], "the second node knows nothing of the first one");
        messages.depart(NODES[1], &mut outputs);
        assert_eq!(settled(&mut outputs), [(3, 0)]);
        messages.confirm(NODES[0], &receipt(0, 4, &[2]), &mut outputs);
        assert_eq!(settled(&mut outputs), [(4, 0)]);
        assert_eq!(messages.next_deadline(), None);
    }

    #[test]
    fn a_message_is_sent_again_while_a_node_is_missing_and_settled_after_a_second() {
        let (mut messages, mut outputs) = (Messages::default(), Outputs::new());
        announce(&mut messages, 1_000);
        messages.confirm(NODES[0], &receipt(0, 1, &[]), &mut outputs);
        let mut sent_at = Vec::new();
        while let Some(next) = messages.next_deadline() {
            let again = messages.handle_timeout(&mut outputs, next);
            sent_at.extend(again.iter().map(|part| (next.0, part.number)));
            assert!(messages.next_deadline().is_none_or(|later| later > next), "the shell would spin");
        }
        let times = [6, 11, 21, 31, 41, 51, 61, 71, 81, 91];
        assert_eq!(sent_at, times.map(|after| (1_000 + after, 1)));
        assert_eq!(settled(&mut outputs), [(1, 1)]);
        // This process was stopped.
        announce(&mut messages, 2_000);
        assert_eq!(messages.handle_timeout(&mut outputs, Tick(2_060)).len(), 1);
        assert_eq!(messages.next_deadline(), Some(Tick(2_061)), "not five at once");
        assert!(messages.handle_timeout(&mut outputs, Tick(9_000)).is_empty());
        assert_eq!(settled(&mut outputs), [(2, 2)]);
    }

    #[test]
    fn no_more_parts_are_waited_for_than_a_receiver_can_hold_back() {
        let mut messages = Messages::default();
        let mut count = 0;
        while messages.has_room() {
            announce(&mut messages, 0);
            count += 1;
        }
        assert_eq!(count, PARTS_WAITING_MAX);
        assert!(messages.announce("a", "alone", Vec::new(), Tick(0)).len() == 1 && messages.waiting.len() == count);
    }
}
