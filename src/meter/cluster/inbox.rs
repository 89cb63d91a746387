//! The messages of one node, put in order.
//!
//! Owns the parts that came too early, and what is confirmed of all parts. A sender numbers its parts, and sends each again for
//! a second while it is not confirmed. So a gap either fills, or its part is lost: then the gap is skipped, and the parts
//! behind it go on. A message that is delivered is confirmed once the caller has handed it on.
//!
//! Invariant: a part is delivered at most once, and never after one with a larger number. What is confirmed stays true.

use std::collections::VecDeque;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use crate::collections::queue;
use crate::collections::sections::{Reader, Writer};
use crate::collections::tick::Tick;
use crate::meter::news::{MessagePart, NodeId, Receipt, sections};

/// How long a missing part is waited for: its sender gives it up after a second, and the path may take some time.
const PATIENCE: Duration = Duration::from_millis(1_200);

/// How many parts are held back; beyond, the gap is skipped at once.
const HELD_MAX: usize = 256;

/// The longest message that is put together from parts, in bytes: more than a request target can carry.
const TEXT_MAX: usize = 16 * 1024;

/// How many lost parts are remembered: more than are on their way from one sender at a time, unless all is lost.
const LOST_MAX: usize = 16;

/// A message for the members of a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// The number of its last part so far.
    pub(super) number: u64,
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
    /// Parts that came too early, in the order of their numbers.
    held: VecDeque<MessagePart<Rc<str>>>,
    gap: Option<Gap>,
    /// The parts of a message that goes on.
    begun: Option<Message>,
    /// Nothing is confirmed of parts up to this number.
    unconfirmed: u64,
    /// The lost parts after that, in order.
    lost: Vec<u64>,
    /// The messages that are delivered, and that the caller has not handed on yet.
    delivered_count: usize,
    /// While there are some: the number up to which all was handed on.
    handed_on: u64,
    /// Whether the sender waits for a receipt.
    is_receipt_due: bool,
}

impl Inbox {
    pub(super) fn write(&self, out: &mut Writer) {
        let Self { next, sent, held, gap, begun, unconfirmed, lost, delivered_count, handed_on, is_receipt_due } = self;
        out.option(*next);
        out.number(*sent);
        out.count(held.len());
        for part in held {
            sections::write_part(part, out);
        }
        out.flag(gap.is_some());
        if let Some(Gap { skip_at, last }) = gap {
            out.tick(*skip_at);
            out.number(*last);
        }
        out.flag(begun.is_some());
        if let Some(Message { number, namespace, text }) = begun {
            out.number(*number);
            out.text(namespace);
            out.text(text);
        }
        out.number(*unconfirmed);
        out.count(lost.len());
        for &number in lost {
            out.number(number);
        }
        out.count(*delivered_count);
        out.number(*handed_on);
        out.flag(*is_receipt_due);
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        let mut inbox = Self { next: from.option(), sent: from.number(), ..Self::default() };
        // The number after the last one that was delivered.
        from.check(inbox.next != Some(0), "messages that are numbered from 0");
        let mut list = from.list();
        while from.has_next(&mut list) {
            inbox.held.push_back(sections::read_part(from));
        }
        inbox.gap = from.flag().then(|| Gap { skip_at: from.tick(), last: from.number() });
        inbox.begun = from.flag().then(|| Message {
            number: from.number(),
            namespace: from.text().into(),
            text: from.text().into(),
        });
        inbox.unconfirmed = from.number();
        let mut list = from.list();
        while from.has_next(&mut list) {
            inbox.lost.push(from.number());
        }
        (inbox.delivered_count, inbox.handed_on, inbox.is_receipt_due) = (from.size(), from.number(), from.flag());
        inbox
    }

    /// The sender is known to have sent parts up to this number. At the first contact they are not for this node.
    pub(super) fn expect_up_to(&mut self, sent: u64, now: Tick) {
        self.begin_after(sent);
        self.sent = self.sent.max(sent);
        self.watch_gap(now);
    }

    /// Receives a part; returns the messages that are complete, in order.
    pub(super) fn receive(&mut self, part: &MessagePart<&str>, now: Tick) -> Vec<Message> {
        let next = self.begin_after(part.number.saturating_sub(1));
        if part.number < next {
            // The sender has missed the receipt.
            self.is_receipt_due |= part.number <= self.handed_on_up_to();
            return Vec::new();
        }
        self.sent = self.sent.max(part.number);
        self.hold(part);
        let mut complete = self.deliver(now);
        if self.held.len() > HELD_MAX {
            complete.extend(self.skip(now));
        }
        complete
    }

    /// Holds a part, unless it is held already.
    fn hold(&mut self, part: &MessagePart<&str>) {
        let &MessagePart { number, namespace, text, begins, continues } = part;
        if let Err(place) = self.held.binary_search_by_key(&number, |held| held.number) {
            let (namespace, text) = (namespace.into(), text.into());
            self.held.insert(place, MessagePart { number, namespace, text, begins, continues });
        }
    }

    /// The caller has handed a delivered message on, or had no room for it. Messages are handed on in order.
    pub(super) fn hand_on(&mut self, number: u64, is_pushed: bool) {
        // The peer may have been forgotten meanwhile, and be new.
        let Some(left) = self.delivered_count.checked_sub(1) else { return };
        (self.delivered_count, self.handed_on) = (left, number);
        if !is_pushed {
            self.lose(number..number + 1);
        }
        self.is_receipt_due = true;
    }

    /// Whether the sender waits for a receipt, which it gets now.
    pub(super) fn takes_receipt(&mut self) -> bool {
        std::mem::take(&mut self.is_receipt_due)
    }

    /// What is confirmed to the sender, if anything is known of it.
    pub(super) fn receipt(&self, sender: NodeId) -> Option<Receipt> {
        self.next?;
        let (from, up_to) = (self.unconfirmed, self.handed_on_up_to().max(self.unconfirmed));
        let lost = self.lost.iter().copied().filter(|&number| number <= up_to).collect();
        Some(Receipt { sender, from, up_to, lost })
    }

    fn handed_on_up_to(&self) -> u64 {
        let delivered = self.next.map_or(0, |next| next - 1);
        if self.delivered_count == 0 { delivered } else { self.handed_on }
    }

    /// What the sender sent up to this number is not for this node, if nothing else is known of it. Returns what is next.
    fn begin_after(&mut self, sent: u64) -> u64 {
        if self.next.is_none() {
            self.unconfirmed = sent;
        }
        *self.next.get_or_insert(sent + 1)
    }

    /// These parts are lost, and confirmed as such. Only the last of all are remembered; nothing is confirmed of those before.
    fn lose(&mut self, numbers: Range<u64>) {
        let first = numbers.start.max(numbers.end.saturating_sub(LOST_MAX as u64));
        for number in first..numbers.end {
            if let Err(place) = self.lost.binary_search(&number) {
                self.lost.insert(place, number);
            }
        }
        let too_many = self.lost.len().saturating_sub(LOST_MAX);
        let last_dropped = self.lost.drain(..too_many).next_back();
        let forgotten = (first > numbers.start).then(|| first - 1).max(last_dropped);
        if let Some(forgotten) = forgotten.filter(|&forgotten| forgotten > self.unconfirmed) {
            self.unconfirmed = forgotten;
            self.lost.retain(|&number| number > forgotten);
        }
        self.is_receipt_due = true;
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
            let first_held = self.held.front().map(|part| part.number);
            let after = first_held.unwrap_or(last + 1).clamp(next, last + 1);
            self.lose(next..after);
            self.next = Some(after);
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
        while let Some(part) = queue::pop_front_if(&mut self.held, |part| self.next == Some(part.number)) {
            self.next = Some(part.number + 1);
            match self.put_together(&part) {
                Some(message) => {
                    if self.delivered_count == 0 {
                        self.handed_on = part.number - 1;
                    }
                    self.delivered_count += 1;
                    complete.push(message);
                }
                None if part.continues => {}
                // Its beginning is lost, or it is too long.
                None => self.lose(part.number..part.number + 1),
            }
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
        let fresh = part.begins.then(|| Message { number: 0, namespace: part.namespace.clone(), text: String::new() });
        let begun = self.begun.take().filter(|begun| begun.namespace == part.namespace);
        // A part that continues a lost one is lost with it.
        let mut message = fresh.or(begun)?;
        message.number = part.number;
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

    /// What is confirmed: after which number, up to which, and what is lost.
    fn confirmed(inbox: &Inbox) -> (u64, u64, Vec<u64>) {
        let receipt = inbox.receipt(NodeId(1)).unwrap();
        (receipt.from, receipt.up_to, receipt.lost)
    }

    #[test]
    fn a_message_is_confirmed_when_it_was_handed_on() {
        let mut inbox = Inbox::default();
        assert_eq!(inbox.receipt(NodeId(1)), None);
        inbox.expect_up_to(2, Tick(0));
        assert_eq!(receive(&mut inbox, &[3, 4]), ["3", "4"]);
        assert_eq!((confirmed(&inbox), inbox.takes_receipt()), ((2, 2, vec![]), false));
        receive(&mut inbox, &[3]);
        assert!(!inbox.takes_receipt(), "it is not handed on yet");
        inbox.hand_on(3, true);
        assert_eq!((confirmed(&inbox), inbox.takes_receipt()), ((2, 3, vec![]), true));
        inbox.hand_on(4, false);
        assert_eq!((confirmed(&inbox), inbox.takes_receipt()), ((2, 4, vec![4]), true));
        receive(&mut inbox, &[1]);
        assert!(inbox.takes_receipt(), "the sender has to know that it was not for this node");
        inbox.hand_on(5, true);
        assert_eq!(confirmed(&inbox), (2, 4, vec![4]), "nothing was delivered");
    }

    #[test]
    fn what_is_skipped_or_torn_is_confirmed_as_lost() {
        let mut inbox = Inbox::default();
        receive(&mut inbox, &[1, 4]);
        inbox.hand_on(1, true);
        assert_eq!(inbox.skip(Tick(50)).len(), 1);
        assert_eq!(confirmed(&inbox), (0, 3, vec![2, 3]));
        inbox.hand_on(4, true);
        inbox.receive(&part(5, "end", false, false), Tick(60));
        assert_eq!(confirmed(&inbox), (0, 5, vec![2, 3, 5]));
        inbox.expect_up_to(9, Tick(60));
        inbox.skip(Tick(200));
        assert_eq!(confirmed(&inbox), (0, 9, vec![2, 3, 5, 6, 7, 8, 9]));
        inbox.expect_up_to(19, Tick(200));
        inbox.skip(Tick(400));
        assert_eq!(confirmed(&inbox), (2, 19, [3].into_iter().chain(5..=19).collect()), "16 are remembered");
        inbox.expect_up_to(1_000, Tick(400));
        inbox.skip(Tick(600));
        assert_eq!(confirmed(&inbox), (984, 1_000, (985..=1_000).collect()));
    }

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
