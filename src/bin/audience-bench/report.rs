//! Figures, and the table of their medians.
//!
//! Owns the form of what is printed. It does not know how anything was measured.

use std::time::Duration;

/// One number of one round.
pub(super) struct Figure {
    name: &'static str,
    unit: &'static str,
    /// `None` if it is not known.
    value: Option<f64>,
}

impl Figure {
    /// Nanoseconds for each of `parts`.
    pub(super) fn cpu(name: &'static str, ns: Option<f64>, parts: u64) -> Self {
        let value = ns.filter(|_| parts > 0).map(|ns| ns / 1e3 / float(parts));
        Self { name, unit: "us", value }
    }

    /// A span of time.
    pub(super) fn time(name: &'static str, time: Option<Duration>) -> Self {
        Self { name, unit: "ms", value: time.map(|time| time.as_secs_f64() * 1e3) }
    }

    /// Bytes for each of `parts`.
    pub(super) fn bytes(name: &'static str, bytes: Option<u64>, parts: u64) -> Self {
        Self { name, unit: "B", value: bytes.map(|bytes| float(bytes) / float(parts)) }
    }

    /// Nanoseconds on the CPU in a span of time, in percent of one CPU.
    pub(super) fn load(name: &'static str, ns: u64, span: Duration) -> Self {
        Self { name, unit: "%", value: Some(float(ns) / 1e7 / span.as_secs_f64()) }
    }

    /// Bytes a second, in a span of time.
    pub(super) fn rate(name: &'static str, bytes: u64, span: Duration) -> Self {
        Self { name, unit: "B", value: Some(float(bytes) / span.as_secs_f64()) }
    }

    /// A number of things.
    pub(super) fn number(name: &'static str, number: Option<u64>) -> Self {
        Self { name, unit: "", value: number.map(float) }
    }
}

/// A number to calculate with.
#[expect(clippy::cast_precision_loss, reason = "nothing that is measured here comes near 2^53")]
pub(super) fn float(number: u64) -> f64 {
    number as f64
}

/// The middle of some numbers; `None` of none.
pub(super) fn median<T: Copy + PartialOrd>(values: &mut [T]) -> Option<T> {
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    values.get(values.len() / 2).copied()
}

/// The medians over the rounds, each with its range. The title says what of.
pub(super) fn table(title: &str, rounds: &[Vec<Figure>]) -> String {
    let mut text = format!("{title} rounds={}\n\n", rounds.len());
    let mut row = |name: &str, cells: [String; 3], unit: &str| {
        let [median, least, most] = cells;
        let line = format!("{name:<50}{median:>10} {unit:<2}{least:>10}{most:>10}");
        text.push_str(line.trim_end());
        text.push('\n');
    };
    row("", ["median", "least", "most"].map(str::to_owned), "");
    for (index, Figure { name, unit, .. }) in rounds.first().into_iter().flatten().enumerate() {
        let mut values: Vec<f64> =
            rounds.iter().filter_map(|figures| figures.get(index).and_then(|figure| figure.value)).collect();
        let median = median(&mut values);
        let decimals = match *unit {
            "us" | "ms" | "%" => 2,
            "B" => 1,
            _ => 0,
        };
        let cells = [median, values.first().copied(), values.last().copied()];
        row(name, cells.map(|cell| cell.map_or_else(|| "-".to_owned(), |value| format!("{value:.decimals$}"))), unit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_numbers() {
        assert_eq!(median::<u8>(&mut []), None);
        assert_eq!(median(&mut [3, 1, 2]), Some(2));
    }

    #[test]
    fn figures_are_for_each_part_and_unknown_ones_stay_so() {
        assert_eq!(Figure::cpu("", Some(9e3), 2).value, Some(4.5));
        assert_eq!(Figure::cpu("", Some(9e3), 0).value, None);
        assert_eq!(Figure::time("", Some(Duration::from_micros(1500))).value, Some(1.5));
        assert_eq!(Figure::bytes("", None, 10).value, None);
    }
}
