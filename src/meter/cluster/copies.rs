//! What is sent again, in case that it is lost.
//!
//! Owns the copies and their order: they leave when they are due, the earliest first. What they say is the announcer's.
//!
//! Invariant: there are never more than [`COPIES_MAX`]; beyond, news is sent once.

use std::collections::BTreeMap;
use std::collections::btree_map::OccupiedEntry;
use std::rc::Rc;
use std::time::Duration;

use crate::collections::tick::Tick;
use crate::meter::news::News;

/// When messages and claims are sent again.
const COPIES_AFTER: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(200)];

/// How many copies may wait; beyond, there are none: the news was sent once.
const COPIES_MAX: usize = 4096;

/// The place of a copy in the order of sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct CopyKey {
    at: Tick,
    serial: u64,
}

/// What is sent again.
#[derive(Default)]
pub(super) struct Copies {
    waiting: BTreeMap<CopyKey, News<Rc<str>>>,
    serial: u64,
}

impl Copies {
    /// Sends this again, twice.
    pub(super) fn add(&mut self, news: &News<Rc<str>>, now: Tick) {
        for after in COPIES_AFTER {
            if self.waiting.len() < COPIES_MAX {
                self.serial += 1;
                self.waiting.insert(CopyKey { at: now.after(after), serial: self.serial }, news.clone());
            }
        }
    }

    /// When the next copy is due.
    pub(super) fn next_deadline(&self) -> Option<Tick> {
        self.waiting.keys().next().map(|copy| copy.at)
    }

    /// The next copy that is due.
    pub(super) fn pop_due(&mut self, now: Tick) -> Option<News<Rc<str>>> {
        self.waiting.first_entry().filter(|copy| copy.key().at <= now).map(OccupiedEntry::remove)
    }
}
