//! Asks other nodes for what they know of the people of an event.
//!
//! Owns the budget of a turn. Which questions are due, the surveys know.
//!
//! Invariant: only a node that is living is asked, and about an event that is not forgotten.

use super::announce::Announcer;
use super::peers::Peers;
use crate::collections::tick::Now;
use crate::meter::book::Book;
use crate::meter::news::News;
use crate::meter::output::Outputs;

/// How many questions one turn sends, at 8 us each.
const QUESTIONS_PER_TURN: usize = 8;

/// Asks what is due.
pub(super) fn ask(peers: &Peers, announcer: &mut Announcer, book: &Book, outputs: &mut Outputs, now: Now) {
    for _ in 0..QUESTIONS_PER_TURN {
        let Some((namespace, of)) = announcer.surveys.pop_due(now.tick) else { break };
        let is_there = peers.living().any(|peer| peer.node == of);
        if let Some(namespace) = book.get(namespace).filter(|_| is_there) {
            announcer.send(News::AskCensus { of, namespace: namespace.shared_name() }, outputs, now);
        }
    }
}
