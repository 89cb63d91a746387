//! The messages of one node, put in order.
//!
//! Owns the parts that came too early. A sender numbers its parts and sends each three times within 200 ms. So a gap either
//! fills by itself, because its part was overtaken, or its part is lost: then the gap is skipped, and the parts behind it go
//! on.
//!
//! Invariant: a part is delivered at most once, and never after one with a larger number.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use crate::collections::tick::Tick;
use crate::meter::news::MessagePart;

/// How long a missing part is waited for: the last copy leaves after 200 ms, and the path may take as long again.
const PATIENCE: Duration = Duration::from_millis(500);

/// How many parts are held back; beyond, the gap is skipped at once.
const HELD_MAX: usize = 256;

/// The longest message that is put together from parts, in bytes: more than a request target can carry.
const TEXT_MAX: usize = 16 * 1024;

/// A message for the members of a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) namespace: Rc<str>,
    pub(super) text: String,
}

/// Parts that are missing.
#[derive(Clone, Copy, Debug)]
struct Gap {
    /// When they are given up.
    skip_at: Tick,
    /// The last part that is waited for: parts that were sent after the wait began are waited for anew.
    last: u64,
}

/// The parts of one sender.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    /// The number that is delivered next; `None` before anything is known of the sender's count.
    next: Option<u64>,
    /// The largest number that the sender is known to have sent.
    sent: u64,
    held: BTreeMap<u64, MessagePart<Rc<str>>>,
    gap: Option<Gap>,
    /// The parts of a message that goes on.
    begun: Option<Message>,
}

impl Inbox {
    /// The sender is known to have sent parts up to this number. At the first contact they are not for this node.
    pub(super) fn expect_up_to(&mut self, sent: u64, now: Tick) {
        self.next.get_or_insert(sent + 1);
        self.sent = self.sent.max(sent);
        self.watch_gap(now);
    }

    /// Receives a part; returns the messages that are complete, in order.
    pub(super) fn receive(&mut self, part: &MessagePart<&str>, now: Tick) -> Vec<Message> {
        let next = *self.next.get_or_insert(part.number);
        if part.number < next {
            return Vec::new();
        }
        self.sent = self.sent.max(part.number);
        self.held.insert(
            part.number,
            MessagePart {
                number: part.number,
                namespace: part.namespace.into(),
                text: part.text.into(),
                begins: part.begins,
                continues: part.continues,
            },
        );
        let mut complete = self.deliver(now);
        if self.held.len() > HELD_MAX {
            complete.extend(self.skip(now));
        }
        complete
    }

    /// When the gap is given up.
    pub(super) fn skip_at(&self) -> Option<Tick> {
        self.gap.map(|gap| gap.skip_at)
    }

    /// Gives up the gap; returns what was held back behind it.
    pub(super) fn skip(&mut self, now: Tick) -> Vec<Message> {
        let mut complete = Vec::new();
        let last = self.gap.take().map_or(0, |gap| gap.last);
        while let Some(next) = self.next.filter(|&next| next <= last) {
            let first_held = self.held.keys().next().copied();
            self.next = Some(first_held.unwrap_or(last + 1).clamp(next, last + 1));
            self.begun = None;
            complete.extend(self.deliver(now));
        }
        self.watch_gap(now);
        complete
    }

    /// Gives up all gaps; returns everything that was held back.
    pub(super) fn finish(&mut self, now: Tick) -> Vec<Message> {
        self.gap = Some(Gap { skip_at: now, last: self.sent });
        self.skip(now)
    }

    /// Takes what is next from what is held.
    fn deliver(&mut self, now: Tick) -> Vec<Message> {
        let mut complete = Vec::new();
        while let Some(part) = self.next.and_then(|next| self.held.remove(&next)) {
            self.next = Some(part.number + 1);
            complete.extend(self.put_together(&part));
        }
        self.watch_gap(now);
        complete
    }

    /// Begins to wait for what is missing, or ends waiting for what has come.
    fn watch_gap(&mut self, now: Tick) {
        let Some(next) = self.next else { return };
        self.gap = self.gap.filter(|gap| next <= gap.last);
        if next <= self.sent {
            self.gap.get_or_insert(Gap { skip_at: now.after(PATIENCE), last: self.sent });
        }
    }

    fn put_together(&mut self, part: &MessagePart<Rc<str>>) -> Option<Message> {
        let fresh = part.begins.then(|| Message { namespace: part.namespace.clone(), text: String::new() });
        let begun = self.begun.take().filter(|begun| begun.namespace == part.namespace);
        // A part that continues a lost one is lost with it.
        let mut message = fresh.or(begun)?;
        message.text.push_str(&part.text);
        if message.text.len() > TEXT_MAX {
            return None;
        }
        if part.continues {
            self.begun = Some(message);
            return None;
        }
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(number: u64, text: &'static str, begins: bool, continues: bool) -> MessagePart<&'static str> {
        MessagePart { number, namespace: "a", text, begins, continues }
    }

    /// What is delivered when these numbers arrive in this order.
    fn receive(inbox: &mut Inbox, numbers: &[u64]) -> Vec<String> {
        let texts = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
        let messages = numbers.iter().flat_map(|&number| {
            inbox.receive(&part(number, texts[usize::try_from(number).unwrap()], true, false), Tick(0))
        });
        messages.map(|message| message.text).collect()
    }

    #[test]
    fn parts_are_delivered_once_and_in_order() {
        let mut inbox = Inbox::default();
        inbox.expect_up_to(2, Tick(0));
        assert_eq!(receive(&mut inbox, &[2, 1]), [""; 0], "sent before the sender was known");
        assert_eq!(receive(&mut inbox, &[3, 3, 5, 6]), ["3"]);
        assert!(inbox.skip_at().is_some());
        assert_eq!(receive(&mut inbox, &[4, 4, 5]), ["4", "5", "6"]);
        assert_eq!(inbox.skip_at(), None);
    }

    #[test]
    fn a_gap_is_skipped_and_what_comes_too_late_is_dropped() {
        let mut inbox = Inbox::default();
        assert_eq!(receive(&mut inbox, &[1, 3, 4, 6]), ["1"]);
        let skipped: Vec<String> = inbox.skip(Tick(50)).into_iter().map(|message| message.text).collect();
        assert_eq!(skipped, ["3", "4"]);
        assert_eq!(inbox.skip_at(), Some(Tick(50).after(PATIENCE)), "the next gap is waited for anew");
        assert_eq!(receive(&mut inbox, &[2, 5]), ["5", "6"]);
        assert_eq!(receive(&mut inbox, &[8, 9]), [""; 0]);
        assert_eq!(inbox.finish(Tick(60)).len(), 2, "the sender has gone, and what it sent was sent");
    }

    #[test]
    fn a_lost_last_part_does_not_hold_the_next_one_up_for_long() {
        let mut inbox = Inbox::default();
        assert_eq!(receive(&mut inbox, &[1]), ["1"]);
        inbox.expect_up_to(2, Tick(0));
        assert!(inbox.skip_at().is_some());
        assert!(inbox.skip(Tick(50)).is_empty());
        assert_eq!(receive(&mut inbox, &[3]), ["3"]);
    }

    #[test]
    fn long_messages_come_in_parts_and_torn_ones_not_at_all() {
        let mut inbox = Inbox::default();
        assert!(inbox.receive(&part(1, "a", true, true), Tick(0)).is_empty());
        assert!(inbox.receive(&part(3, "c", false, false), Tick(0)).is_empty());
        let message = inbox.receive(&part(2, "b", false, true), Tick(0)).pop().unwrap();
        assert_eq!(message.text, "abc");
        inbox.receive(&part(4, "d", true, true), Tick(0));
        inbox.receive(&part(6, "f", false, false), Tick(0));
        assert!(inbox.skip(Tick(50)).is_empty(), "its middle is lost");
    }
}
