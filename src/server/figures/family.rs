//! One family of metrics: a name, its help, its label, and how its numbers are read.
//!
//! Owns the shape of a family. Which families there are is in [`families`](crate::server::figures::families), and how they
//! are written is in [`exposition`](crate::server::figures::exposition).
//!
//! A figure is called between nodes by a number: that of its family times [`PLACES`], and its place in the family. The place
//! is 0 where there is one figure, that of the label's value where there is a label, and that of the bucket
//! ([`bucket_place`]) in a histogram.
//!
//! Invariant: a number stands for one figure for ever. Families and values are only ever added, at the end of their table.

use crate::collections::histogram::Histogram;
use crate::meter::news::Counter;
use crate::server::figures::view::{Labels, View};
use crate::wire::handover::Supervision;

/// What a metric is (Prometheus, "Exposition formats"). A [`Read::Durations`] is a histogram, and has no kind of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It goes up.
    Counter,
    /// It goes up and down.
    Gauge,
}

/// The values of a label.
#[derive(Clone, Copy)]
pub(super) enum Values {
    /// These.
    Listed(&'static [&'static str]),
    /// The names of the ports.
    Ports,
    /// The names of the reasons to close.
    CloseReasons,
}

/// How the numbers of a family are read.
#[derive(Clone, Copy)]
pub(super) enum Read {
    /// One number.
    One(Kind, fn(&View<'_>) -> u64),
    /// A number for each value of a label, in the order of the values.
    Each(Kind, &'static str, Values, fn(&View<'_>) -> Vec<u64>),
    /// One number that counts microseconds, and is shown in seconds.
    Seconds(fn(&View<'_>) -> u64),
    /// One number that is announced, and has no series of its own.
    Hidden(fn(&View<'_>) -> u64),
    /// A number of the supervisor of a process, announced as one more. A process without a supervisor has no series.
    Supervised(Kind, fn(&Supervision) -> u64),
    /// Microseconds by powers of two, and their sum.
    Durations(for<'a> fn(&View<'a>) -> &'a Histogram),
}

/// Metrics of one name.
#[derive(Clone, Copy)]
pub(super) struct Family {
    /// What it is called between nodes. A number is never given to another family, and never changes.
    pub(super) number: u16,
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) read: Read,
}

/// The places of a family.
pub(super) const PLACES: u16 = 64;

/// The place of a histogram's sum. A histogram has this one figure besides its buckets.
pub(super) const SUM_PLACE: u16 = 0;

/// The place of the bucket with this bound in microseconds, which is a power of two. It is the exponent, and the last place
/// for the bucket without a bound: a bucket that another program has lies between those that it splits.
pub(super) fn bucket_place(bound_us: Option<u64>) -> u16 {
    let exponent = bound_us.and_then(|us| u16::try_from(us.trailing_zeros()).ok());
    exponent.unwrap_or(PLACES - 1)
}

impl Values {
    /// The values' names.
    pub(super) const fn names(self, labels: Labels) -> &'static [&'static str] {
        match self {
            Self::Listed(names) => names,
            Self::Ports => labels.ports,
            Self::CloseReasons => labels.close_reasons,
        }
    }
}

impl Family {
    /// A family of one counter.
    pub(super) const fn counter(number: u16, name: &'static str, help: &'static str, of: fn(&View<'_>) -> u64) -> Self {
        Self { number, name, help, read: Read::One(Kind::Counter, of) }
    }

    /// A family of one gauge.
    pub(super) const fn gauge(number: u16, name: &'static str, help: &'static str, of: fn(&View<'_>) -> u64) -> Self {
        Self { number, name, help, read: Read::One(Kind::Gauge, of) }
    }

    /// A figure that is announced, and has no series.
    pub(super) const fn hidden(number: u16, of: fn(&View<'_>) -> u64) -> Self {
        Self { number, name: "", help: "", read: Read::Hidden(of) }
    }

    /// What the figure in this place is called between nodes.
    pub(super) const fn number_of(&self, place: u16) -> u16 {
        self.number * PLACES + place
    }

    /// The most figures that it has.
    pub(super) const fn figure_count(&self, labels: Labels) -> usize {
        match self.read {
            Read::One(..) | Read::Seconds(_) | Read::Hidden(_) | Read::Supervised(..) => 1,
            Read::Each(_, _, values, _) => values.names(labels).len(),
            Read::Durations(_) => Histogram::BUCKETS + 1,
        }
    }

    /// Appends its figures that are not 0, in the order of their places.
    pub(super) fn sample(&self, labels: Labels, view: &View<'_>, counters: &mut Vec<Counter>) {
        let mut push = |place, value| {
            if value > 0 {
                counters.push(Counter { number: self.number_of(place), value });
            }
        };
        match self.read {
            Read::One(_, of) | Read::Seconds(of) | Read::Hidden(of) => push(0, of(view)),
            Read::Supervised(_, of) => push(0, view.supervision.map_or(0, |figures| of(&figures) + 1)),
            Read::Each(_, _, names, of) => {
                let values = of(view);
                debug_assert_eq!(values.len(), names.names(labels).len(), "{}", self.name);
                (0..).zip(values).for_each(|(place, value)| push(place, value));
            }
            Read::Durations(of) => {
                let durations = of(view);
                push(SUM_PLACE, durations.sum_us());
                durations.buckets().for_each(|(bound_us, count)| push(bucket_place(bound_us), count));
            }
        }
    }

    /// Its own among the figures of a node, which are in the order of their numbers.
    pub(super) fn own<'a>(&self, counters: &'a [Counter]) -> &'a [Counter] {
        let from = counters.partition_point(|counter| counter.number < self.number_of(0));
        let own = counters.get(from..).unwrap_or_default();
        own.split_at(own.partition_point(|counter| counter.number <= self.number_of(PLACES - 1))).0
    }
}
