//! The timer wheel, with few timers and with many: its cost per timer does not depend on their number.
//!
//! Timers are set, replaced and cancelled by the connections of a turn, which are at hand; whose timer expires lies
//! anywhere, and a million of them are 32 MB. So the last one grows by what memory takes.

use std::hint::black_box;

use audience_meter::collections::key::Key as _;
use audience_meter::collections::tick::Tick;
use audience_meter::collections::wheel::TimerWheel;
use audience_meter::meter::MemberId;
use criterion::{BenchmarkId, Criterion};

use crate::scatter::Scatter;

const ARMED: [u32; 3] = [1_000, 100_000, 1_000_000];

/// How far ahead deadlines lie, in ticks: an hour, so that they lie at all levels of the wheel.
const AHEAD_MAX: u32 = 360_000;

pub(crate) fn measure(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("timers");
    for armed in ARMED {
        let mut bench = Bench::new(armed);
        group.bench_function(BenchmarkId::new("set and cancel", armed), |b| b.iter(|| bench.set_and_cancel()));
        group.bench_function(BenchmarkId::new("replace", armed), |b| b.iter(|| bench.replace()));
        group.bench_function(BenchmarkId::new("expire and set again", armed), |b| b.iter(|| bench.expire_one()));
        assert_eq!(bench.wheel.len(), armed as usize, "each benchmark leaves as many as it found");
    }
    group.finish();
}

/// Out of how many keys, all over the wheel, the next one is drawn.
const AT_HAND: u32 = 500;

/// A wheel in which the even keys have a timer.
struct Bench {
    wheel: TimerWheel<MemberId>,
    armed: u32,
    now: Tick,
    scatter: Scatter,
}

impl Bench {
    fn new(armed: u32) -> Self {
        let mut bench = Self { wheel: TimerWheel::default(), armed, now: Tick(0), scatter: Scatter::new() };
        for index in 0..armed {
            bench.set(MemberId::new(index * 2));
        }
        bench
    }

    fn set(&mut self, key: MemberId) {
        let ahead = self.scatter.below(AHEAD_MAX);
        self.wheel.set(key, Tick(self.now.0 + 1 + u64::from(ahead)));
    }

    /// An even key.
    fn at_hand(&mut self) -> MemberId {
        MemberId::new(self.scatter.below(AT_HAND) * (self.armed / AT_HAND) * 2)
    }

    fn set_and_cancel(&mut self) {
        let key = self.at_hand().next();
        self.set(key);
        self.wheel.cancel(black_box(key));
    }

    fn replace(&mut self) {
        let key = self.at_hand();
        self.set(key);
    }

    /// Time passes until a timer is due, with its share of all that moves from level to level on the way.
    fn expire_one(&mut self) {
        loop {
            if let Some(key) = self.wheel.pop_due() {
                return self.set(key);
            }
            self.now = self.wheel.next_deadline().unwrap_or(self.now);
            self.wheel.expire(self.now);
        }
    }
}
