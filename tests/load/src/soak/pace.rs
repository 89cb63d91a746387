//! How fast visits begin.
//!
//! Owns the size that the crowd tends to, and the visits that have been earned by time. It begins none.
//!
//! Invariant: a pause earns no more than a burst.

use std::time::{Duration, Instant};

use super::chance::Chance;

/// How long the crowd tends to one size.
const TREND: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(8));

/// The longest time for which visits are earned: a burst of a tenth of a second.
const EARNED_MAX: Duration = Duration::from_millis(100);

/// Visits of a storm in a second.
const STORM_PER_SECOND: f64 = 1000.0;

/// How long a storm of this number of visits takes.
pub(super) fn span_of_storm(visits: usize) -> Duration {
    Duration::from_secs_f64(as_float(visits) / STORM_PER_SECOND)
}

/// The pace of a crowd and of its storms.
pub(super) struct Pace {
    /// The largest number of visits, and the number that the crowd tends to.
    size: usize,
    trend: usize,
    trend_until: Instant,
    /// Visits that may be begun at once, as of `earned_at`: of the crowd, and of a storm.
    credit: f64,
    storm_credit: f64,
    earned_at: Instant,
    /// Visits of a storm that are to come.
    storm_left: usize,
}

impl Pace {
    pub(super) fn new(size: usize, moment: Instant) -> Self {
        Self {
            size,
            trend: size,
            trend_until: moment,
            credit: 0.0,
            storm_credit: 0.0,
            earned_at: moment,
            storm_left: 0,
        }
    }

    /// The first visits come at once, up to the size of the crowd.
    pub(super) fn go_on(&mut self, moment: Instant) {
        self.earned_at = moment;
        self.credit = as_float(self.size);
    }

    /// A storm begins: this number of visits.
    pub(super) fn begin_storm(&mut self, visits: usize) {
        self.storm_left += visits;
    }

    /// Whether all visits of storms have begun.
    pub(super) fn is_calm(&self) -> bool {
        self.storm_left == 0
    }

    /// Time has passed: a quarter of the crowd is earned each second.
    pub(super) fn earn(&mut self, chance: &mut Chance, moment: Instant) {
        if self.trend_until <= moment {
            self.trend = self.size / 2 + chance.below(self.size - self.size / 2 + 1);
            self.trend_until = moment + chance.between(TREND);
        }
        let seconds = (moment - self.earned_at).min(EARNED_MAX).as_secs_f64();
        self.earned_at = moment;
        let earn = |credit: &mut f64, per_second: f64| {
            let burst = EARNED_MAX.as_secs_f64() * per_second;
            *credit = (*credit + seconds * per_second).min(credit.max(burst));
        };
        earn(&mut self.credit, as_float((self.size / 4).max(20)));
        earn(&mut self.storm_credit, STORM_PER_SECOND);
    }

    /// Whether a visit of the crowd begins, where this number of visits is there.
    pub(super) fn take(&mut self, visits: usize) -> bool {
        let is_due = self.credit >= 1.0 && visits < self.trend;
        self.credit -= f64::from(is_due);
        is_due
    }

    /// Whether a visit of a storm begins.
    pub(super) fn take_of_storm(&mut self) -> bool {
        let is_due = self.storm_credit >= 1.0 && !self.is_calm();
        self.storm_credit -= f64::from(is_due);
        self.storm_left -= usize::from(is_due);
        is_due
    }
}

#[expect(clippy::cast_precision_loss, reason = "a crowd is far below 2^53")]
fn as_float(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::now;

    #[test]
    fn the_crowd_comes_at_once_and_then_as_time_passes() {
        let (mut chance, start) = (Chance::new(7, 0), now());
        let mut pace = Pace::new(400, start);
        pace.go_on(start);
        assert_eq!((0..1000).filter(|_| pace.take(0)).count(), 400);
        // A long pause earns a tenth of a second, of a hundred a second.
        pace.earn(&mut chance, start + Duration::from_secs(10));
        assert_eq!((0..1000).filter(|_| pace.take(0)).count(), 10);
        assert!(!pace.take(400) && pace.is_calm() && !pace.take_of_storm());
        pace.begin_storm(30);
        pace.earn(&mut chance, start + Duration::from_secs(20));
        assert_eq!((0..1000).filter(|_| pace.take_of_storm()).count(), 30);
        assert!(pace.is_calm());
    }
}
