//! Micro-benchmarks of what every request and every turn passes through: `cargo bench`, 45 s.
//!
//! Owns how long and how often is measured. Each module has one thing to measure, and sizes that show whether its cost
//! grows. `cargo bench -- heads` runs those whose name says so, `cargo bench -- --test` runs each once, and
//! `--save-baseline NAME` and `--baseline NAME` compare before and after.
//!
//! | file | owns |
//! |---|---|
//! | `addresses` | signed addresses |
//! | `heads` | request heads, as they come from a socket |
//! | `namespaces` | namespaces, one and many |
//! | `scatter` | numbers that lie everywhere and are the same in each run |
//! | `timers` | the timer wheel, with few timers and with many |

mod addresses;
mod heads;
mod namespaces;
mod scatter;
mod timers;

use std::time::Duration;

use criterion::Criterion;

/// 24 benchmarks of 1.5 s each, and the tables that they need, take 45 s. What is measured here takes 10 ns to 10 us, so a
/// second holds enough of it for a figure that repeats within a few per cent.
const MEASURED: Duration = Duration::from_secs(1);
const WARMED_UP: Duration = Duration::from_millis(500);
const SAMPLES: usize = 20;

fn main() {
    let criterion = Criterion::default().warm_up_time(WARMED_UP).measurement_time(MEASURED).sample_size(SAMPLES);
    let mut criterion = criterion.without_plots().configure_from_args();
    heads::measure(&mut criterion);
    addresses::measure(&mut criterion);
    timers::measure(&mut criterion);
    namespaces::measure(&mut criterion);
    criterion.final_summary();
}
