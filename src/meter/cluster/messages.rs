//! Messages: those that this node announces, and those of others for the members here.
//!
//! Owns the numbers of its parts. A message is cut where a datagram ends, and its parts are numbered in a row.
//!
//! Invariant: parts are numbered from 1, without gaps.

use std::rc::Rc;

use super::inbox::Message;
use crate::meter::book::Book;
use crate::meter::news::MessagePart;
use crate::meter::output::{Output, Outputs};

/// The part of a message that goes into one datagram, in bytes; a name of the longest kind fits beside it.
const TEXT_PART_MAX: usize = 700;

/// The messages of this node.
#[derive(Default)]
pub(super) struct Messages {
    /// The number of the last part.
    last: u64,
}

impl Messages {
    /// The number of the last part.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// The parts of the next message.
    pub(super) fn cut(&mut self, name: &str, text: &str) -> Vec<MessagePart<Rc<str>>> {
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
}

/// Has messages of another node pushed to the members here.
pub(super) fn deliver(messages: Vec<Message>, book: &Book, outputs: &mut Outputs) {
    for message in messages {
        if book.find(&message.namespace).is_some() {
            outputs.push_back(Output::Message { namespace: message.namespace, text: message.text.into() });
        }
    }
}
