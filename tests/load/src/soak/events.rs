//! The events of the soak.
//!
//! Owns their names, and which event the next visit is for. Eight events are there all the time, one has all its members at
//! one address, some come to pass, and storms have one for each visit.

use super::chance::Chance;

/// Events that are there all the time; each has half as many members as the one before.
pub(super) const EVENTS: usize = 8;

/// The event whose members have one address.
pub(super) const CROWDED: usize = EVENTS;

/// The first event of a storm.
const STORM: usize = usize::MAX / 2;

/// One join of this many is at an event that comes to pass and is forgotten.
const PASSING: usize = 16;

/// One join of this many is from the one address.
const FROM_ONE: usize = 16;

/// One join of this many at the other events is with a uuid.
const WITH_UUID: usize = 8;

/// What the next visit is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) event: usize,
    pub(super) uuid: Option<usize>,
}

/// The events so far.
#[derive(Default)]
pub(super) struct Events {
    /// How many have come to pass.
    passed_count: usize,
    stormed_count: usize,
}

impl Events {
    /// The next visit of the crowd. There are `uuid_count` uuids.
    pub(super) fn choose(&mut self, chance: &mut Chance, uuid_count: usize, is_over: impl Fn(usize) -> bool) -> Choice {
        if chance.one_in(PASSING) {
            // Some meet others there.
            let is_next = chance.one_in(2) || is_over(self.passing());
            self.passed_count += usize::from(is_next);
            return Choice { event: self.passing(), uuid: None };
        }
        if chance.one_in(FROM_ONE) {
            return Choice { event: CROWDED, uuid: None };
        }
        let event = chance.heads().min(EVENTS - 1);
        let uuid = if chance.one_in(WITH_UUID) { Some(chance.below(uuid_count)) } else { None };
        Choice { event, uuid }
    }

    /// The next visit of a storm: an event of its own.
    pub(super) fn storm(&mut self) -> Choice {
        self.stormed_count += 1;
        Choice { event: STORM + self.stormed_count, uuid: None }
    }

    fn passing(&self) -> usize {
        CROWDED + 1 + self.passed_count
    }
}

/// Whether an event has one life, and then no more.
pub(super) fn is_once(event: usize) -> bool {
    event > CROWDED
}

/// The name of an event.
pub(super) fn name(event: usize) -> String {
    match event.checked_sub(STORM) {
        Some(number) => format!("storm{number}"),
        None => format!("soak{event}"),
    }
}

/// The event of a name.
pub(super) fn find(name: &str) -> Option<usize> {
    let number = |text: &str| text.parse::<usize>().ok();
    match name.strip_prefix("storm") {
        Some(text) => number(text)?.checked_add(STORM),
        None => number(name.strip_prefix("soak")?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_found_by_its_name() {
        let mut events = Events::default();
        let storm = events.storm().event;
        assert_eq!((&*name(storm), &*name(7)), ("storm1", "soak7"));
        for event in [0, CROWDED, CROWDED + 3, storm] {
            assert_eq!(find(&name(event)), Some(event));
        }
        assert_eq!((find("x"), find("storm"), find("soak-1")), (None, None, None));
    }

    #[test]
    fn a_passing_event_that_is_over_is_not_visited_again() {
        let (mut events, mut chance) = (Events::default(), Chance::new(1, 0));
        let mut seen = std::collections::HashSet::new();
        for _ in 0..2000 {
            let Choice { event, uuid } = events.choose(&mut chance, 5, |_| true);
            assert!(!is_once(event) || seen.insert(event), "{event} again");
            assert!(uuid.is_none_or(|uuid| uuid < 5 && event < EVENTS));
        }
        assert!(seen.len() > 50, "{}", seen.len());
    }
}
