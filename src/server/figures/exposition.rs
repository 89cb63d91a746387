//! The text format of Prometheus ("Exposition formats").
//!
//! Owns how families and series are written. It does not know which families there are.
//!
//! Invariant: a label's value cannot end its line: the caller has escaped what is not visible ASCII.

use std::fmt::{Display, Write as _};

use crate::collections::histogram::Histogram;
use crate::meter::news::Counter;
use crate::server::figures::family::{Family, Kind, Read, SUM_PLACE, bucket_place};
use crate::server::figures::view::Labels;

/// The content type of the format.
pub(in crate::server) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What begins the name of each metric but those that any program has.
pub(super) const PREFIX: &str = "audience_meter_";

/// What begins the names of metrics that any program has.
const STANDARD: &str = "process_";

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
        Read::One(kind, _) | Read::Each(kind, ..) | Read::Supervised(kind, _) => {
            push_head(out, family.name, kind, family.help);
        }
        Read::Seconds(_) => push_head(out, family.name, Kind::Counter, family.help),
        Read::Hidden(_) => {}
        Read::Durations(_) => push_head_of(out, family.name, "histogram", family.help),
    }
}

fn push_head_of(out: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a string does not fail.
    let prefix = prefix(name);
    let _ = writeln!(out, "# HELP {prefix}{name} {help}\n# TYPE {prefix}{name} {kind}");
}

fn prefix(name: &str) -> &'static str {
    if name.starts_with(STANDARD) { "" } else { PREFIX }
}

/// Appends the series of a process with these counters. One that is not among them is 0, and of one that this program does not
/// know there is no series.
pub(super) fn push_series(out: &mut String, family: &Family, labels: Labels, process: u64, counters: &[Counter]) {
    let own = family.own(counters);
    let value_at = |place| {
        let number = family.number_of(place);
        own.iter().find(|counter| counter.number == number).map_or(0, |counter| counter.value)
    };
    let (name, prefix) = (family.name, prefix(family.name));
    let mut line = |suffix: &str, label: &str, value: &dyn Display| {
        let _ = writeln!(out, "{prefix}{name}{suffix}{{process=\"{process}\"{label}}} {value}");
    };
    match family.read {
        Read::One(..) => line("", "", &value_at(0)),
        Read::Seconds(_) => line("", "", &Seconds(value_at(0))),
        Read::Hidden(_) => {}
        Read::Supervised(..) => {
            if let Some(value) = value_at(0).checked_sub(1) {
                line("", "", &value);
            }
        }
        Read::Each(_, label, values, _) => {
            for (value, place) in values.names(labels).iter().zip(0..) {
                line("", &format!(",{label}=\"{value}\""), &value_at(place));
            }
        }
        Read::Durations(_) => {
            // A bucket that only the other program has counts in the next one that this program has.
            let up_to = |place| {
                let buckets = family.number_of(SUM_PLACE + 1)..=family.number_of(place);
                own.iter().filter(|counter| buckets.contains(&counter.number)).map(|counter| counter.value).sum::<u64>()
            };
            for bound in Histogram::bounds() {
                let label = match bound {
                    Some(us) => format!(",le=\"{}\"", Seconds(us)),
                    None => ",le=\"+Inf\"".to_owned(),
                };
                line("_bucket", &label, &up_to(bucket_place(bound)));
            }
            line("_sum", "", &Seconds(value_at(SUM_PLACE)));
            line("_count", "", &up_to(bucket_place(None)));
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
        let figures = [(SUM_PLACE, 1_000_070), (bucket_place(Some(16)), 5), (bucket_place(Some(32)), 2)];
        let figures = figures.into_iter().chain([(bucket_place(None), 1)]);
        let counters: Vec<Counter> =
            figures.map(|(place, value)| Counter { number: family.number_of(place), value }).collect();
        let mut out = String::new();
        push_series(&mut out, family, LABELS, 1, &counters);
        let values: Vec<&str> = out.lines().map(|line| line.split_once("seconds").unwrap().1).collect();
        let of = |what: &str| format!("{what}{{process=\"1\"");
        assert_eq!(values[0], format!("{},le=\"0.000016\"}} 5", of("_bucket")));
        assert_eq!(values[1], format!("{},le=\"0.000032\"}} 7", of("_bucket")));
        assert_eq!(values[Histogram::BUCKETS - 1], format!("{},le=\"+Inf\"}} 8", of("_bucket")));
        assert_eq!(
            values[Histogram::BUCKETS..],
            [format!("{}}} 1.000070", of("_sum")), format!("{}}} 8", of("_count"))]
        );
    }
}
