//! Namespaces, one and many: to find one by its name, and a member that comes and goes.
//!
//! What grows is what memory takes: a million namespaces lie in some hundred megabytes, and the names are scattered.

use std::time::Duration;

use audience_meter::collections::key::Key as _;
use audience_meter::collections::tick::{Now, Tick};
use audience_meter::meter::news::NodeId;
use audience_meter::meter::{MemberId, Meter, NotifyRule, Rules};
use criterion::{BatchSize, BenchmarkId, Criterion};

use crate::scatter::Scatter;

const NAMESPACES: [u32; 3] = [1, 10_000, 1_000_000];

/// So few names are drawn at a time that they are at hand like those in a read buffer.
const NAMES: BatchSize = BatchSize::NumIterations(500);

/// Longer than a benchmark by far: nothing but what it does is due meanwhile.
const NEVER: Duration = Duration::from_hours(10_000);

pub(crate) fn measure(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("namespaces");
    for count in NAMESPACES {
        let mut bench = Bench::new(count);
        let mut scatter = Scatter::new();
        let mut name = || name_of(scatter.below(count));
        group.bench_function(BenchmarkId::new("find", count), |b| {
            b.iter_batched_ref(&mut name, |name| bench.meter.find(name), NAMES);
        });
        group.bench_function(BenchmarkId::new("join, leave and tell", count), |b| {
            b.iter_batched_ref(&mut name, |name| bench.join_and_leave(name), NAMES);
        });
        assert_eq!(bench.meter.namespaces().len(), count as usize, "each benchmark leaves what it found");
    }
    group.finish();
}

fn name_of(index: u32) -> String {
    format!("event-{index}")
}

/// A meter with one member in each namespace.
struct Bench {
    meter: Meter,
    now: Now,
    newcomer: MemberId,
}

impl Bench {
    fn new(count: u32) -> Self {
        let min_delay = Duration::from_secs(2);
        let notify = NotifyRule { delta_ratio: 0.1, min_delay, max_delay: NEVER, budget: None };
        let rules = Rules {
            notify,
            increment_delay: Duration::ZERO,
            leave_delay: Duration::ZERO,
            namespace_clean_delay: NEVER,
            namespaces_max: usize::MAX,
        };
        let now = Now { tick: Tick(1), unix_ms: 1_700_000_000_000 };
        let mut bench = Self { meter: Meter::new(rules, NodeId(1), None), now, newcomer: MemberId::new(count) };
        for member in 0..count {
            bench.meter.join(MemberId::new(member), &name_of(member), None, now);
            bench.tell();
        }
        bench
    }

    /// One turn, in which one member comes and goes and is told of.
    fn join_and_leave(&mut self, name: &str) {
        self.now.tick.0 += 1;
        self.meter.join(self.newcomer, name, None, self.now);
        self.meter.leave(self.newcomer, self.now);
        self.tell();
    }

    fn tell(&mut self) {
        self.meter.handle_timeout(self.now, true);
        while self.meter.poll_output().is_some() {}
    }
}
