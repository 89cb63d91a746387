//! Figures, and the tables of their medians.
//!
//! Owns the form of what is printed. It does not know how anything was measured.

use std::time::Duration;

use serde_json::{Value, json};

/// One number of one round.
#[derive(Clone)]
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

/// The value below which so many percent of sorted values are.
pub(super) fn percentile<T: Copy>(sorted: &[T], percent: usize) -> Option<T> {
    sorted.get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1))).copied()
}

/// What the values of one figure in all rounds come to.
#[derive(Clone, Copy)]
struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Option<Self> {
        let median = median(&mut values)?;
        Some(Self { median, least: *values.first()?, most: *values.last()? })
    }

    /// Of the figure at this place in each round.
    fn at(rounds: &[Vec<Figure>], index: usize) -> Option<Self> {
        Self::of(rounds.iter().filter_map(|figures| figures.get(index).and_then(|figure| figure.value)).collect())
    }

    fn json(self) -> Value {
        json!({ "median": round(self.median), "least": round(self.least), "most": round(self.most) })
    }
}

/// To as many places as are worth telling.
fn round(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

fn decimals(unit: &str) -> usize {
    match unit {
        "us" | "ms" | "%" => 2,
        "B" => 1,
        _ => 0,
    }
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
        let spread = Spread::at(rounds, index);
        let values = [spread.map(|of| of.median), spread.map(|of| of.least), spread.map(|of| of.most)];
        row(name, values.map(|value| cell(value, decimals(unit))), unit);
    }
    text
}

/// The figures of the only round there was.
pub(super) fn list(title: &str, figures: &[Figure]) -> String {
    let mut text = format!("{title}\n\n");
    for Figure { name, unit, value } in figures {
        let line = format!("{name:<60}{:>12} {unit}", cell(*value, decimals(unit)));
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn cell(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.decimals$}"))
}

/// What is wanted of a figure.
#[derive(Clone, Copy)]
pub(super) enum Target {
    /// At most so many times the floor's.
    Ratio(f64),
    /// At most so much, whatever the floor's is.
    AtMost(f64),
    /// Nothing; it explains another.
    None,
}

/// A figure of the daemon beside the floor's.
pub(super) struct Row {
    /// What it is called in JSON.
    pub(super) key: &'static str,
    /// What it is called in a round's figures.
    pub(super) figure: &'static str,
    /// What it is called here.
    pub(super) name: &'static str,
    pub(super) target: Target,
}

/// Rounds of the daemon and of the floor, in turn.
pub(super) struct Comparison {
    pub(super) daemon: Vec<Vec<Figure>>,
    pub(super) floor: Vec<Vec<Figure>>,
}

/// A row with all that is known.
struct Compared {
    unit: &'static str,
    daemon: Option<Spread>,
    floor: Option<Spread>,
    /// The median of the ratios of rounds that followed each other.
    ratio: Option<f64>,
}

impl Comparison {
    fn compare(&self, row: &Row) -> Option<Compared> {
        let index = |rounds: &[Vec<Figure>]| rounds.first()?.iter().position(|figure| figure.name == row.figure);
        let (at_daemon, at_floor) = (index(&self.daemon)?, index(&self.floor));
        let unit = self.daemon.first()?.get(at_daemon)?.unit;
        let pairs = self.daemon.iter().zip(&self.floor).filter_map(|(daemon, floor)| {
            let (daemon, floor) = (daemon.get(at_daemon)?.value?, floor.get(at_floor?)?.value?);
            (floor > 0.0).then_some(daemon / floor)
        });
        let ratio = median(&mut pairs.collect::<Vec<f64>>());
        let floor = at_floor.and_then(|index| Spread::at(&self.floor, index));
        Some(Compared { unit, daemon: Spread::at(&self.daemon, at_daemon), floor, ratio })
    }

    /// Medians, ratios and targets. The title says what of.
    pub(super) fn table(&self, title: &str, rows: &[Row]) -> String {
        let mut text = format!("{title} rounds={}\n\n", self.daemon.len());
        let mut push = |name: &str, cells: [String; 5]| {
            let [daemon, unit, floor, ratio, target] = cells;
            let line = format!("{name:<52}{daemon:>10} {unit:<2}{floor:>10}{ratio:>8}   {target}");
            text.push_str(line.trim_end());
            text.push('\n');
        };
        push("", ["daemon", "", "floor", "ratio", "target"].map(str::to_owned));
        for row in rows {
            let Some(Compared { unit, daemon, floor, ratio }) = self.compare(row) else { continue };
            let digits = decimals(unit);
            let (wanted, is_met) = match row.target {
                Target::Ratio(most) => (format!("{most:.2} x"), ratio.is_some_and(|ratio| ratio <= most)),
                Target::AtMost(most) => (format!("{most} {unit}"), daemon.is_some_and(|daemon| daemon.median <= most)),
                Target::None => (String::new(), true),
            };
            let verdict = if is_met { wanted } else { format!("{wanted}  MISSED") };
            let medians = [daemon, floor].map(|spread| cell(spread.map(|spread| spread.median), digits));
            let [daemon, floor] = medians;
            push(row.name, [daemon, unit.to_owned(), floor, cell(ratio, 2), verdict]);
        }
        text
    }

    /// The same for programs.
    pub(super) fn json(&self, rows: &[Row]) -> Value {
        let figures = rows.iter().filter_map(|row| {
            let Compared { unit, daemon, floor, ratio } = self.compare(row)?;
            let (ratio_target, target) = match row.target {
                Target::Ratio(most) => (Some(most), None),
                Target::AtMost(most) => (None, Some(most)),
                Target::None => (None, None),
            };
            Some(json!({
                "key": row.key, "name": row.name, "unit": unit, "daemon": daemon.map(Spread::json),
                "floor": floor.map(Spread::json), "ratio": ratio.map(round), "ratio_target": ratio_target,
                "target": target,
            }))
        });
        figures.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_numbers_and_their_percentiles() {
        assert_eq!(median::<u8>(&mut []), None);
        assert_eq!(median(&mut [3, 1, 2]), Some(2));
        let sorted: Vec<u32> = (0..1000).collect();
        assert_eq!(
            (percentile(&sorted, 50), percentile(&sorted, 99), percentile(&sorted, 100)),
            (Some(500), Some(990), Some(999))
        );
        assert_eq!(percentile::<u8>(&[], 99), None);
    }

    #[test]
    fn figures_are_for_each_part_and_unknown_ones_stay_so() {
        assert_eq!(Figure::cpu("", Some(9e3), 2).value, Some(4.5));
        assert_eq!(Figure::cpu("", Some(9e3), 0).value, None);
        assert_eq!(Figure::time("", Some(Duration::from_micros(1500))).value, Some(1.5));
        assert_eq!(Figure::bytes("", None, 10).value, None);
    }

    fn rounds(values: [f64; 3]) -> Vec<Vec<Figure>> {
        values.map(|value| vec![Figure { name: "CPU per join", unit: "us", value: Some(value) }]).into()
    }

    #[test]
    fn a_ratio_is_the_median_of_rounds_that_followed_each_other() {
        // The machine became twice as slow after the first round; the ratio did not change.
        let compared = Comparison { daemon: rounds([11.0, 22.0, 22.0]), floor: rounds([10.0, 20.0, 20.0]) };
        let row = |most| [Row { key: "join_cpu", figure: "CPU per join", name: "join", target: Target::Ratio(most) }];
        let figures = compared.json(&row(1.15));
        assert_eq!(figures[0]["ratio"], 1.1);
        assert_eq!(figures[0]["floor"], json!({ "median": 20.0, "least": 10.0, "most": 20.0 }));
        assert!(!compared.table("", &row(1.15)).contains("MISSED"));
        assert!(compared.table("", &row(1.05)).contains("1.05 x  MISSED"));
    }
}
