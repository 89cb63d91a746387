//! The text format of Prometheus ("Exposition formats").
//!
//! Owns how families and series are written. It does not know which families there are.
//!
//! Invariant: a label's value cannot end its line: the caller has escaped what is not visible ASCII.

use std::fmt::{Display, Write as _};

use crate::collections::histogram::Histogram;
use crate::meter::news::NodeId;
use crate::server::figures::family::{Family, Kind, Read};
use crate::server::figures::view::Labels;

/// The content type of the format.
pub(in crate::server) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What begins the name of each metric.
pub(super) const PREFIX: &str = "audience_meter";

/// Appends what comes before the series of a family.
pub(super) fn push_head(out: &mut String, name: &str, kind: Kind, help: &str) {
    let kind = match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
    };
    push_head_of(out, name, kind, help);
}

/// Appends what comes before the series of this family.
pub(super) fn push_family_head(out: &mut String, family: &Family) {
    match family.read {
        Read::One(kind, _) | Read::Each(kind, ..) => push_head(out, family.name, kind, family.help),
        Read::Durations(_) => push_head_of(out, family.name, "histogram", family.help),
    }
}

fn push_head_of(out: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(out, "# HELP {PREFIX}_{name} {help}\n# TYPE {PREFIX}_{name} {kind}");
}

/// Appends the series of a node, of which these are the family's counters.
pub(super) fn push_series(out: &mut String, family: &Family, labels: Labels, node: NodeId, counters: &[u64]) {
    let name = family.name;
    let mut line = |suffix: &str, label: &str, value: &dyn Display| {
        let _ = writeln!(out, "{PREFIX}_{name}{suffix}{{node=\"{node}\"{label}}} {value}");
    };
    match family.read {
        Read::One(..) => counters.iter().for_each(|counter| line("", "", counter)),
        Read::Each(_, label, values, _) => {
            for (value, counter) in values.names(labels).iter().zip(counters) {
                line("", &format!(",{label}=\"{value}\""), counter);
            }
        }
        Read::Durations(_) => {
            let (buckets, rest) = counters.split_at_checked(Histogram::BUCKETS).unwrap_or_default();
            let mut count = 0;
            for (bound, bucket) in Histogram::bounds().zip(buckets) {
                count += bucket;
                let label = match bound {
                    Some(us) => format!(",le=\"{}\"", Seconds(us)),
                    None => ",le=\"+Inf\"".to_owned(),
                };
                line("_bucket", &label, &count);
            }
            line("_sum", "", &Seconds(rest.first().copied().unwrap_or(0)));
            line("_count", "", &count);
        }
    }
}

/// Microseconds, written as seconds.
struct Seconds(u64);

impl Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::figures::families::FAMILIES;

    const LABELS: Labels = Labels { ports: &[], close_reasons: &[] };

    #[test]
    fn buckets_add_up_and_microseconds_are_written_as_seconds() {
        let family = FAMILIES.iter().find(|family| matches!(family.read, Read::Durations(_))).unwrap();
        let mut counters = vec![0; family.counter_count(LABELS)];
        (counters[0], counters[1], counters[Histogram::BUCKETS - 1], counters[Histogram::BUCKETS]) =
            (5, 2, 1, 1_000_070);
        let mut out = String::new();
        push_series(&mut out, family, LABELS, NodeId(1), &counters);
        let values: Vec<&str> = out.lines().map(|line| line.split_once("seconds").unwrap().1).collect();
        let of = |what: &str| format!("{what}{{node=\"0000000000000001\"");
        assert_eq!(values[0], format!("{},le=\"0.000016\"}} 5", of("_bucket")));
        assert_eq!(values[1], format!("{},le=\"0.000032\"}} 7", of("_bucket")));
        assert_eq!(values[Histogram::BUCKETS - 1], format!("{},le=\"+Inf\"}} 8", of("_bucket")));
        assert_eq!(
            values[Histogram::BUCKETS..],
            [format!("{}}} 1.000070", of("_sum")), format!("{}}} 8", of("_count"))]
        );
    }
}
