//! Events that end by the thousand: what the log says of them, and what becomes of their memory.
//!
//! Owns the number of lines in a second, and what is left to be said. One client can make up 10,000 names a second, and a line
//! of 600 bytes for each would fill a disk with nothing. The file of reports has all of them. It also sees to it that the
//! memory of many events does not stay with the process.
//!
//! Invariant: each event that is over is in the log, with a line of its own or in the number of a later line; and so is each
//! that was forgotten early.

use std::time::Duration;

use crate::collections::tick::Tick;
use crate::log;
use crate::reactor::sys;

/// Most lines about events that are over, and the time for that many: 30 kB/s.
const LINES_MAX: u64 = 50;
const LINES_TIME: Duration = Duration::from_secs(1);

/// How often it is said that events are forgotten early.
const EVICTED_GAP: Duration = Duration::from_secs(10);

/// Memory is given back when there are fewer namespaces by this number: some 6 MB. It takes 1 ms of processor time, and 2.2 ms
/// where many small pieces are left in between.
const GIVEN_BACK: usize = 8192;

/// What was said, and what was not.
#[derive(Debug, Default)]
pub(in crate::server) struct Turnover {
    /// The most namespaces since memory was given back.
    most: usize,
    /// Until when the lines count.
    lines_until: Tick,
    lines: u64,
    /// The events that are over and have no line.
    unlogged: u64,
    /// The number of events that were forgotten early, as it was last said.
    evicted: u64,
    /// When it may be said again.
    evicted_at: Tick,
}

impl Turnover {
    /// An event is over: whether there is a line for it.
    pub(in crate::server) fn take_line(&mut self, now: Tick) -> bool {
        if self.lines_until <= now {
            self.log_rest();
            (self.lines_until, self.lines) = (now.after(LINES_TIME), 0);
        }
        let has_line = self.has_line();
        self.lines += u64::from(has_line);
        self.unlogged += u64::from(!has_line);
        has_line
    }

    /// Whether a line is left for the time that goes on.
    pub(in crate::server) fn has_line(&self) -> bool {
        self.lines < LINES_MAX
    }

    /// Logs what is due, where this number of events was forgotten early so far.
    pub(in crate::server) fn handle_timeout(&mut self, evicted: u64, now: Tick) {
        if self.lines_until <= now {
            self.log_rest();
            self.lines = 0;
        }
        if evicted > self.evicted && self.evicted_at <= now {
            self.log_evicted(evicted);
            self.evicted_at = now.after(EVICTED_GAP);
        }
    }

    /// Logs all that is left, before the end.
    pub(in crate::server) fn finish(&mut self, evicted: u64) {
        self.log_rest();
        if evicted > self.evicted {
            self.log_evicted(evicted);
        }
    }

    /// Gives the memory of forgotten namespaces back, a part at a time.
    pub(in crate::server) fn give_memory_back(&mut self, namespace_count: usize) {
        self.most = self.most.max(namespace_count);
        if self.most - namespace_count >= GIVEN_BACK {
            self.most = namespace_count;
            sys::give_memory_back();
        }
    }

    /// When there is something to log.
    pub(in crate::server) fn next_deadline(&self, evicted: u64) -> Option<Tick> {
        let rest = (self.unlogged > 0).then_some(self.lines_until);
        let evicted = (evicted > self.evicted).then_some(self.evicted_at);
        [rest, evicted].into_iter().flatten().min()
    }

    fn log_rest(&mut self) {
        let unlogged = std::mem::take(&mut self.unlogged);
        if unlogged > 0 {
            log::info("ended_unlogged", &[("number", unlogged.into())]);
        }
    }

    fn log_evicted(&mut self, evicted: u64) {
        let number = evicted - std::mem::replace(&mut self.evicted, evicted);
        log::warn("namespaces_evicted", &[("number", number.into()), ("remedy", EVICTED_REMEDY.into())]);
    }
}

const EVICTED_REMEDY: &str = "--max-namespaces, or --max-namespaces-per-ip where one client makes up names";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_so_many_lines_and_one_for_the_rest() {
        let mut turnover = Turnover::default();
        let lines = |turnover: &mut Turnover, now| (0..200).filter(|_| turnover.take_line(Tick(now))).count() as u64;
        assert_eq!(lines(&mut turnover, 7), LINES_MAX);
        assert_eq!((lines(&mut turnover, 50), turnover.unlogged), (0, 350));
        assert_eq!(turnover.next_deadline(0), Some(Tick(108)));
        turnover.handle_timeout(0, Tick(107));
        assert_eq!(turnover.unlogged, 350);
        turnover.handle_timeout(0, Tick(108));
        assert_eq!((turnover.unlogged, turnover.next_deadline(0)), (0, None));
        assert_eq!((lines(&mut turnover, 108), lines(&mut turnover, 209)), (LINES_MAX, LINES_MAX));
        assert_eq!(turnover.unlogged, 150, "the rest of the second before is logged");
        turnover.finish(0);
        assert_eq!(turnover.unlogged, 0);
    }

    #[test]
    fn what_is_forgotten_early_is_said_at_once_and_then_every_ten_seconds() {
        let mut turnover = Turnover::default();
        assert_eq!(turnover.next_deadline(3), Some(Tick(0)));
        turnover.handle_timeout(3, Tick(5));
        assert_eq!(
            (turnover.evicted, turnover.next_deadline(3), turnover.next_deadline(4)),
            (3, None, Some(Tick(1_006)))
        );
        turnover.handle_timeout(9, Tick(1_005));
        assert_eq!(turnover.evicted, 3);
        turnover.handle_timeout(9, Tick(1_006));
        assert_eq!(turnover.evicted, 9);
        turnover.finish(11);
        assert_eq!(turnover.evicted, 11);
    }
}
