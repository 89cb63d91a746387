//! Whether a uuid is held at another node.
//!
//! Owns the questions that wait for an answer. A node knows the claims of its own members only, so it asks all others; the one
//! that holds the uuid answers, and silence means no. What is asked so much more often than it is true costs less that way
//! than to announce it.
//!
//! It does not know what the answer is for, but whether the caller of the meter waits for it.
//!
//! Invariant: a question is asked at most [`ASKED_AFTER`] times, waits for no longer than [`SILENCE`], and at most
//! [`WAITING_MAX`] wait at a time.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use super::announce::Announcer;
use super::leaving::Leaving;
use crate::collections::queue;
use crate::collections::sections::{Reader, Writer};
use crate::collections::tick::{Now, Tick};
use crate::meter::news::{HeldQuestion, News};
use crate::meter::output::{Output, Outputs};

/// How long there may be no answer until that is one.
const SILENCE: Duration = Duration::from_millis(200);

/// When a question is asked, the first time included: one may be lost, and its answer too.
const ASKED_AFTER: [Duration; 3] = [Duration::ZERO, Duration::from_millis(60), Duration::from_millis(120)];

/// How many questions wait at most.
const WAITING_MAX: usize = 1_024;

/// How many questions one turn sends, at 8 us each and some to find it: 0.3 ms.
const QUESTIONS_PER_TURN: usize = 16;

/// What a question is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A page leaves: a claim that is found ends, and silence has no effect.
    Leave(Leaving),
    /// The caller waits for the answer, silence too.
    Answer,
}

/// Asks what is due, as much as a turn may, and answers questions that are over.
pub(super) fn ask(held: &mut HeldQuestions, announcer: &mut Announcer, outputs: &mut Outputs, now: Now) {
    while let Some((number, purpose)) = held.pop_over(now.tick) {
        outputs.extend((purpose == Purpose::Answer).then_some(Output::Held { number, is_held: false }));
    }
    for _ in 0..QUESTIONS_PER_TURN {
        let Some(question) = held.pop_due(now.tick) else { break };
        announcer.send(News::AskHeld(question), outputs, now);
    }
}

/// The questions that wait for an answer.
#[derive(Debug, Default)]
pub(super) struct HeldQuestions {
    /// In the order in which they were asked first.
    waiting: VecDeque<Waiting>,
    last_number: u64,
}

#[derive(Debug)]
struct Waiting {
    question: HeldQuestion<Rc<str>>,
    purpose: Purpose,
    since: Tick,
    ask_count: usize,
}

impl Waiting {
    fn next_ask(&self) -> Option<Tick> {
        ASKED_AFTER.get(self.ask_count).map(|&after| self.since.after(after))
    }
}

impl HeldQuestions {
    /// Another question; returns its number. Where too many wait, it is not asked.
    pub(super) fn add(&mut self, namespace: Rc<str>, uuid: Rc<str>, purpose: Purpose, now: Tick) -> Option<u64> {
        if self.waiting.len() >= WAITING_MAX {
            return None;
        }
        self.last_number += 1;
        let question = HeldQuestion { number: self.last_number, namespace, uuid };
        self.waiting.push_back(Waiting { question, purpose, since: now, ask_count: 0 });
        Some(self.last_number)
    }

    /// The question of this number was answered: the uuid is held. Returns what was asked, the first time.
    pub(super) fn answer(&mut self, number: u64) -> Option<(HeldQuestion<Rc<str>>, Purpose)> {
        let index = self.waiting.iter().position(|waiting| waiting.question.number == number)?;
        self.waiting.remove(index).map(|waiting| (waiting.question, waiting.purpose))
    }

    pub(super) fn write(&self, out: &mut Writer) {
        let Self { waiting, last_number } = self;
        out.number(*last_number);
        out.count(waiting.len());
        for Waiting { question: HeldQuestion { number, namespace, uuid }, purpose, since, ask_count } in waiting {
            out.number(*number);
            out.text(namespace);
            out.text(uuid);
            out.tick(*since);
            out.count(*ask_count);
            out.flag(*purpose == Purpose::Answer);
            if let Purpose::Leave(Leaving { stream, is_away }) = purpose {
                out.option(*stream);
                out.flag(*is_away);
            }
        }
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        let (last_number, mut waiting, mut list) = (from.number(), VecDeque::new(), from.list());
        while from.has_next(&mut list) {
            let (number, namespace, uuid) = (from.number(), from.text().into(), from.text().into());
            let (since, ask_count) = (from.tick(), from.size());
            let purpose = if from.flag() {
                Purpose::Answer
            } else {
                Purpose::Leave(Leaving { stream: from.option(), is_away: from.flag() })
            };
            waiting.push_back(Waiting {
                question: HeldQuestion { number, namespace, uuid },
                purpose,
                since,
                ask_count,
            });
        }
        Self { waiting, last_number }
    }

    /// When there is something to ask, or a question is over.
    pub(super) fn poll_timeout(&self) -> Option<Tick> {
        let over = self.waiting.front().map(|first| first.since.after(SILENCE));
        self.waiting.iter().filter_map(Waiting::next_ask).chain(over).min()
    }

    /// The next question that nothing has answered: it is over.
    fn pop_over(&mut self, now: Tick) -> Option<(u64, Purpose)> {
        let over = queue::pop_front_if(&mut self.waiting, |first| first.since.after(SILENCE) <= now)?;
        Some((over.question.number, over.purpose))
    }

    /// The next question that is due.
    fn pop_due(&mut self, now: Tick) -> Option<HeldQuestion<Rc<str>>> {
        let due = self.waiting.iter_mut().find(|waiting| waiting.next_ask().is_some_and(|at| at <= now))?;
        due.ask_count += 1;
        Some(due.question.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Those that are due at this tick, after those that are over.
    fn due(held: &mut HeldQuestions, at: u64) -> Vec<u64> {
        while held.pop_over(Tick(at)).is_some() {}
        std::iter::from_fn(|| held.pop_due(Tick(at))).map(|question| question.number).collect()
    }

    #[test]
    fn a_question_is_asked_again_until_silence_is_the_answer() {
        let mut held = HeldQuestions::default();
        assert_eq!(held.add("a".into(), "u".into(), Purpose::Answer, Tick(100)), Some(1));
        assert_eq!(due(&mut held, 100), [1]);
        assert_eq!(due(&mut held, 101), [0; 0]);
        assert_eq!(held.add("a".into(), "v".into(), Purpose::Leave(Leaving::default()), Tick(102)), Some(2));
        assert_eq!(held.poll_timeout(), Some(Tick(102)));
        assert_eq!(due(&mut held, 107), [1, 2]);
        assert_eq!(due(&mut held, 113), [1, 2]);
        assert_eq!(
            held.answer(2).map(|(question, purpose)| (question.uuid, purpose)),
            Some(("v".into(), Purpose::Leave(Leaving::default())))
        );
        assert!(held.answer(2).is_none(), "it was answered once already");
        assert_eq!(held.pop_over(Tick(120)), None);
        assert_eq!(held.poll_timeout(), Some(Tick(121)));
        assert_eq!(held.pop_over(Tick(121)), Some((1, Purpose::Answer)));
        assert!(held.answer(1).is_none(), "it was too late");
        assert_eq!(held.poll_timeout(), None);
    }

    #[test]
    fn no_more_than_a_bound_wait() {
        let mut held = HeldQuestions::default();
        let numbers = (0..2 * WAITING_MAX)
            .filter_map(|_| held.add("a".into(), "u".into(), Purpose::Leave(Leaving::default()), Tick(100)));
        assert_eq!(numbers.count(), WAITING_MAX);
        assert_eq!(due(&mut held, 100).len(), WAITING_MAX);
    }
}
