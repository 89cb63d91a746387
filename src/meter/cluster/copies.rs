//! What is sent again, in case that it is lost.
//!
//! Owns the copies and their order: they leave when they are due, the earliest first. What they say is the announcer's.
//!
//! Invariant: there are never more than [`COPIES_MAX`]; beyond, news is sent once.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use crate::collections::queue;
use crate::collections::sections::{Reader, Writer};
use crate::collections::tick::Tick;
use crate::meter::news::{News, sections};

/// When messages and claims are sent again.
const COPIES_AFTER: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(200)];

/// How many copies may wait for each of these times; beyond, there are none: the news was sent once.
const COPIES_MAX: usize = 2048;

/// News that is sent again at this time.
struct Copy {
    at: Tick,
    news: News<Rc<str>>,
}

/// What is sent again.
#[derive(Default)]
pub(super) struct Copies {
    /// One queue for each delay, so each is in the order of sending.
    queues: [VecDeque<Copy>; COPIES_AFTER.len()],
}

impl Copies {
    /// Sends this again, twice.
    pub(super) fn add(&mut self, news: &News<Rc<str>>, now: Tick) {
        for (queue, after) in self.queues.iter_mut().zip(COPIES_AFTER) {
            if queue.len() < COPIES_MAX {
                queue.push_back(Copy { at: now.after(after), news: news.clone() });
            }
        }
    }

    pub(super) fn write(&self, out: &mut Writer) {
        let Self { queues } = self;
        for queue in queues {
            out.count(queue.len());
            for Copy { at, news } in queue {
                out.tick(*at);
                sections::write(news, out);
            }
        }
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        let mut copies = Self::default();
        for queue in &mut copies.queues {
            let mut list = from.list();
            while from.has_next(&mut list) {
                queue.push_back(Copy { at: from.tick(), news: sections::read(from) });
            }
        }
        copies
    }

    /// When the next copy is due.
    pub(super) fn next_deadline(&self) -> Option<Tick> {
        self.queues.iter().filter_map(|queue| queue.front()).map(|copy| copy.at).min()
    }

    /// The next copy that is due.
    pub(super) fn pop_due(&mut self, now: Tick) -> Option<News<Rc<str>>> {
        let front_at = |queue: &&mut VecDeque<Copy>| queue.front().map_or(Tick(u64::MAX), |copy| copy.at);
        let first = self.queues.iter_mut().min_by_key(front_at)?;
        queue::pop_front_if(first, |copy| copy.at <= now).map(|copy| copy.news)
    }
}
