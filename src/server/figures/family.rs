//! One family of metrics: a name, its help, its label, and how its numbers are read.
//!
//! Owns the shape of a family. Which families there are is in [`families`](crate::server::figures::families), and how they
//! are written is in [`exposition`](crate::server::figures::exposition).
//!
//! Invariant: a family has [`Family::counter_count`] counters, whatever the view.

use crate::collections::histogram::Histogram;
use crate::server::figures::view::{Labels, View};

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
    /// Microseconds by powers of two, and their sum.
    Durations(for<'a> fn(&View<'a>) -> &'a Histogram),
}

/// Metrics of one name.
pub(super) struct Family {
    /// What it is called between nodes. A number is never given to another family, and never changes.
    pub(super) number: u16,
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) read: Read,
}

/// A histogram has one counter besides its buckets: the sum.
const DURATIONS_REST: usize = 1;

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

    /// The number of its counters.
    pub(super) const fn counter_count(&self, labels: Labels) -> usize {
        match self.read {
            Read::One(..) => 1,
            Read::Each(_, _, values, _) => values.names(labels).len(),
            Read::Durations(_) => Histogram::BUCKETS + DURATIONS_REST,
        }
    }

    /// Appends its counters.
    pub(super) fn sample(&self, view: &View<'_>, counters: &mut Vec<u64>) {
        match self.read {
            Read::One(_, of) => counters.push(of(view)),
            Read::Each(_, _, _, of) => counters.extend(of(view)),
            Read::Durations(of) => {
                let durations = of(view);
                counters.extend(durations.buckets().map(|(_, count)| count));
                counters.push(durations.sum_us());
            }
        }
    }
}
