//! How long the turns of the loop were: by the clock, and by the processor time that they took.
//!
//! Owns both histograms. By the clock a turn is longer where the machine had something else to do meanwhile, which is what
//! clients wait for; the processor time is what the program itself is to blame for.
//!
//! The kernel is asked for the processor time at the end of a turn, if that is half a millisecond after it was asked last. So it
//! is asked 2,000 times a second at most, at some 0.3 us each, and a crowd of short turns pays nothing. Between two answers a
//! turn counts as the clock has it. A longer one has what was used since the last answer: its own, and at most half a
//! millisecond of the turns between.
//!
//! Invariant: the processor time of a turn is never shown as less than it was, nor as more than the turn was long.

use std::time::Duration;

use super::sys;
use crate::collections::histogram::Histogram;

/// How long after the last answer the kernel is asked again.
const ASK_AFTER: Duration = Duration::from_micros(500);

/// The turns so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turns {
    /// Each from the end of one wait to the beginning of the next, in microseconds.
    pub wall: Histogram,
    /// The processor time that each took, in microseconds.
    pub cpu: Histogram,
    /// When the kernel was asked last, and what it said.
    asked_at: Duration,
    used: Duration,
}

impl Turns {
    /// Records a turn that began and is over at these times, after the start of the clock.
    pub(super) fn record(&mut self, began: Duration, over: Duration) {
        self.record_with(began, over, sys::thread_cpu_time);
    }

    fn record_with(&mut self, began: Duration, over: Duration, read: impl FnOnce() -> Duration) {
        let wall = over.saturating_sub(began);
        let mut cpu = wall;
        if over.saturating_sub(self.asked_at) >= ASK_AFTER {
            let used = read();
            cpu = used.saturating_sub(self.used).min(wall);
            (self.asked_at, self.used) = (over, used);
        }
        for (histogram, time) in [(&mut self.wall, wall), (&mut self.cpu, cpu)] {
            histogram.record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_took_what_was_used_since_the_last_answer_and_no_more_than_it_was_long() {
        let mut turns = Turns::default();
        let mut asked = 0;
        // (began, over, used by then) in microseconds: short ones, one that waited for a core, and one that worked.
        for (began, over, used, longest_us) in [
            (1_000, 1_040, 900, 40),
            (1_100, 1_140, 940, 40),
            (1_300, 1_400, 1_040, 100),
            (1_450, 9_450, 1_190, 290),
            (9_500, 12_500, 4_190, 3_000),
            (50_000, 50_100, 9_000, 3_000),
        ] {
            let [began, over, used] = [began, over, used].map(Duration::from_micros);
            turns.record_with(began, over, || {
                asked += 1;
                used
            });
            assert_eq!(turns.cpu.longest_us(), longest_us, "{over:?}");
        }
        assert_eq!((turns.wall.count(), turns.cpu.count(), asked), (6, 6, 4));
        assert_eq!(turns.wall.longest_us(), 8_000);
    }

    #[test]
    fn the_kernel_knows_what_a_busy_thread_has_used() {
        let until = sys::thread_cpu_time() + Duration::from_millis(2);
        let mut number = 1_u64;
        while sys::thread_cpu_time() < until {
            number = std::hint::black_box(number.wrapping_mul(6_364_136_223_846_793_005));
        }
        // Of another thread it is another time, which has just begun.
        let other = std::thread::spawn(sys::thread_cpu_time).join().unwrap();
        assert!(other < sys::thread_cpu_time());
    }
}
