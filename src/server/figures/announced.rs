//! The counters that this node has announced.
//!
//! Owns which of its own counters a process answers with. The others behind its stats port answer with those that were
//! announced, so this one does so too: whichever answers, a counter that goes up goes up in every answer.
//!
//! Invariant: an answer never has lesser counters than an answer, or a datagram, before it.

use std::rc::Rc;

use crate::meter::news::Counter;

/// The last counters that left this process.
#[derive(Debug, Default)]
pub(in crate::server) struct Announced {
    counters: Option<Rc<[Counter]>>,
}

impl Announced {
    /// Whether counters were announced, and did not say what `says` looks for.
    pub(in crate::server) fn lacks(&self, says: impl Fn(&[Counter]) -> bool) -> bool {
        self.counters.as_ref().is_some_and(|counters| !says(counters))
    }

    /// These counters are being announced.
    pub(in crate::server) fn record(&mut self, counters: impl Into<Rc<[Counter]>>) {
        self.counters = Some(counters.into());
    }

    /// The counters for an answer, `current` being those of this moment. A process that is alone behind its stats port answers
    /// with the current ones, which then count as announced: should another one come, no counter falls.
    pub(in crate::server) fn for_answer(&mut self, current: Vec<Counter>, is_alone: bool) -> Rc<[Counter]> {
        match &self.counters {
            Some(announced) if !is_alone => Rc::clone(announced),
            _ if !is_alone => current.into(),
            _ => Rc::clone(self.counters.insert(current.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(value: u64) -> Vec<Counter> {
        vec![Counter { number: 64, value }]
    }

    #[test]
    fn a_node_among_others_answers_with_what_it_has_announced() {
        let mut announced = Announced::default();
        assert_eq!(*announced.for_answer(one(1), false), one(1)[..], "it has announced nothing");
        assert_eq!(*announced.for_answer(one(2), false), one(2)[..]);
        announced.record(one(3));
        assert_eq!(*announced.for_answer(one(4), false), one(3)[..]);
    }

    #[test]
    fn what_a_lone_node_answers_is_announced() {
        let mut announced = Announced::default();
        assert_eq!(*announced.for_answer(one(1), true), one(1)[..]);
        assert_eq!(*announced.for_answer(one(2), true), one(2)[..]);
        assert_eq!(*announced.for_answer(one(3), false), one(2)[..]);
    }

    #[test]
    fn only_counters_that_were_announced_can_lack_something() {
        let mut announced = Announced::default();
        let says_one = |counters: &[Counter]| counters == one(1);
        assert!(!announced.lacks(says_one));
        announced.record(one(2));
        assert!(announced.lacks(says_one));
        announced.record(one(1));
        assert!(!announced.lacks(says_one));
    }
}
