//! What is asked and answered of the people of an event, beside what goes with the counts.
//!
//! Owns the questions that wait for an answer, and the answers that are under way. An answer is one datagram, or four. It sends
//! nothing, and does not know what is in an answer.
//!
//! Invariant: at most [`WANTED_MAX`] questions wait, and each is asked [`ASKS_MAX`] times at most.

use std::rc::Rc;
use std::time::Duration;

use crate::collections::sections::{Reader, Writer};
use crate::collections::tick::Tick;
use crate::meter::book::keys::NamespaceId;
use crate::meter::book::{Book, people};
use crate::meter::news::census::Findings;
use crate::meter::news::{News, NodeId};

/// How many questions wait at most.
const WANTED_MAX: usize = 1_024;

/// How often one question is asked, and after how long again: the answer may be lost, or wait for more urgent news.
const ASKS_MAX: u8 = 4;
const ASK_GAP: Duration = Duration::from_millis(500);

/// The parts of an answer.
const PARTS: u8 = 4;

/// A census of which another node knows more.
#[derive(Debug)]
struct Wanted {
    namespace: NamespaceId,
    of: NodeId,
    /// Bit `n` is set while part `n` has not come.
    missing: u8,
    ask_at: Tick,
    asks_left: u8,
}

/// The questions and the answers of this node.
#[derive(Debug, Default)]
pub(super) struct Surveys {
    /// In the order in which they are asked next.
    wanted: Vec<Wanted>,
    /// The namespaces that others have asked about, and which part comes next.
    answers: Vec<(NamespaceId, u8)>,
}

impl Surveys {
    pub(super) fn write(&self, out: &mut Writer) {
        let Self { wanted, answers } = self;
        out.count(wanted.len());
        for &Wanted { namespace, of, missing, ask_at, asks_left } in wanted {
            out.key(namespace);
            out.fixed(of.0);
            out.number(missing.into());
            out.tick(ask_at);
            out.number(asks_left.into());
        }
        out.count(answers.len());
        for &(namespace, part) in answers {
            out.key(namespace);
            out.number(part.into());
        }
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        let mut surveys = Self::default();
        let mut list = from.list();
        while from.has_next(&mut list) {
            let (namespace, of) = (from.key(), NodeId(from.fixed()));
            let (missing, ask_at, asks_left) = (at_most(from, 15), from.tick(), at_most(from, ASKS_MAX));
            surveys.wanted.push(Wanted { namespace, of, missing, ask_at, asks_left });
        }
        let mut list = from.list();
        while from.has_next(&mut list) {
            surveys.answers.push((from.key(), at_most(from, PARTS)));
        }
        surveys
    }

    /// When there is something to ask.
    pub(super) fn next_deadline(&self) -> Option<Tick> {
        self.wanted.first().map(|wanted| wanted.ask_at)
    }

    /// A node knows more about the people of a namespace than this one.
    pub(super) fn want(&mut self, namespace: NamespaceId, of: NodeId, now: Tick) {
        let is_wanted = self.wanted.iter().any(|wanted| wanted.namespace == namespace);
        if !is_wanted && self.wanted.len() < WANTED_MAX {
            let missing = (1 << PARTS) - 1;
            self.wanted.insert(0, Wanted { namespace, of, missing, ask_at: now, asks_left: ASKS_MAX });
        }
    }

    /// A part of an answer has come, whatever the question was.
    pub(super) fn take_part(&mut self, namespace: NamespaceId, findings: &Findings) {
        let Some(place) = self.wanted.iter().position(|wanted| wanted.namespace == namespace) else { return };
        let Some(wanted) = self.wanted.get_mut(place) else { return };
        wanted.missing &= if let Findings::Quarter { number, .. } = findings { !(1 << number) } else { 0 };
        if wanted.missing == 0 {
            self.wanted.remove(place);
        }
    }

    /// Whether there are answers to send.
    pub(super) fn has_answers(&self) -> bool {
        !self.answers.is_empty()
    }

    /// The next datagram of an answer.
    pub(super) fn next_answer(&mut self, book: &Book) -> Option<News<Rc<str>>> {
        while let Some((namespace, number)) = self.answers.first_mut() {
            let part = people::part(*namespace, *number, book).filter(|_| *number < PARTS);
            if let (Some(found), Some(census)) = (book.get(*namespace), part) {
                *number += 1;
                return Some(News::Census { namespace: found.shared_name(), census });
            }
            self.answers.remove(0);
        }
        None
    }

    /// Answers a question about a namespace, from the first part on.
    pub(super) fn answer(&mut self, namespace: NamespaceId) {
        self.answers.retain(|(asked, _)| *asked != namespace);
        if self.answers.len() < WANTED_MAX {
            self.answers.push((namespace, 0));
        }
    }

    /// The next question that is due: the namespace, and the node that is asked. It is due again later.
    pub(super) fn pop_due(&mut self, now: Tick) -> Option<(NamespaceId, NodeId)> {
        while self.wanted.first().is_some_and(|wanted| wanted.ask_at <= now) {
            let mut wanted = self.wanted.remove(0);
            if wanted.asks_left > 0 {
                let asked = (wanted.namespace, wanted.of);
                (wanted.ask_at, wanted.asks_left) = (now.after(ASK_GAP), wanted.asks_left - 1);
                self.wanted.push(wanted);
                return Some(asked);
            }
        }
        None
    }
}

/// A number that is no larger than that.
fn at_most(from: &mut Reader<'_>, most: u8) -> u8 {
    u8::try_from(from.small()).unwrap_or(most).min(most)
}
