//! Tables for people, and reports for programs.
//!
//! Owns the form of what is printed, and of the JSON that `plot` reads again. It does not know how anything was measured.

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

use super::figures::{Figure, Spread, rounded};

fn decimals(unit: &str) -> usize {
    match unit {
        "us" | "ms" | "%" => 2,
        "B" => 1,
        _ => 0,
    }
}

fn push_line(text: &mut String, line: &str) {
    text.push_str(line.trim_end());
    text.push('\n');
}

/// The medians over the rounds, each with its range. The title says what was measured.
pub(super) fn table(title: &str, rounds: &[Vec<Figure>]) -> String {
    let mut text = format!("{title} rounds={}\n\n", rounds.len());
    let mut row = |name: &str, [median, least, most]: [String; 3], unit: &str| {
        push_line(&mut text, &format!("{name:<52}{median:>10} {unit:<2}{least:>10}{most:>10}"));
    };
    row("", ["median", "least", "most"].map(str::to_owned), "");
    for (index, Figure { name, unit, .. }) in rounds.first().into_iter().flatten().enumerate() {
        let spread = Spread::at(rounds, index);
        let values = [spread.map(|of| of.median), spread.map(|of| of.least), spread.map(|of| of.most)];
        row(name, values.map(|value| cell(value, decimals(unit))), unit);
    }
    text
}

/// The figures of a single round.
pub(super) fn list(title: &str, figures: &[Figure]) -> String {
    let mut text = format!("{title}\n\n");
    for Figure { name, unit, value } in figures {
        push_line(&mut text, &format!("{name:<60}{:>12} {unit}", cell(*value, decimals(unit))));
    }
    text
}

fn cell(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.decimals$}"))
}

/// What a figure should be.
#[derive(Clone, Copy)]
pub(super) enum Target {
    /// At most this many times the floor's.
    Ratio(f64),
    /// At most this, whatever the floor's is.
    AtMost(f64),
    /// It has no target; it explains another figure.
    None,
}

/// A figure of the daemon beside the other side's.
#[derive(Clone, Copy)]
pub(super) struct Row {
    /// Its name in JSON.
    pub(super) key: &'static str,
    /// Its name in the figures of a round.
    pub(super) figure: &'static str,
    /// Its name in the table.
    pub(super) name: &'static str,
    pub(super) target: Target,
}

/// The side that the daemon is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Against {
    /// The floor.
    Floor,
    /// Another daemon.
    Daemon,
}

/// Rounds of the daemon and of the other side, in turn.
pub(super) struct Comparison {
    pub(super) daemon: Vec<Vec<Figure>>,
    pub(super) other: Vec<Vec<Figure>>,
    pub(super) against: Against,
}

/// A comparison as a report.
#[derive(Serialize, Deserialize)]
pub(super) struct Report {
    pub(super) benchmark: String,
    /// 0 where a benchmark has events of its own.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) events: usize,
    pub(super) figures: Vec<Compared>,
    pub(super) members: NonZeroU64,
    #[serde(default = "one")]
    pub(super) processes: NonZeroU64,
    pub(super) rounds: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

fn one() -> NonZeroU64 {
    NonZeroU64::MIN
}

/// Comparisons at several sizes.
#[derive(Serialize, Deserialize)]
pub(super) struct Growth {
    pub(super) benchmark: String,
    pub(super) runs: Vec<Report>,
}

/// A figure with everything that is known of it. `floor` is null for figures that the floor does not have.
#[derive(Serialize, Deserialize)]
pub(super) struct Compared {
    pub(super) key: String,
    pub(super) name: String,
    pub(super) unit: String,
    pub(super) daemon: Option<Spread>,
    pub(super) floor: Option<Spread>,
    /// Another daemon's, if the comparison was with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    against: Option<Spread>,
    /// The median of the ratios of rounds that followed each other.
    ratio: Option<f64>,
    ratio_target: Option<f64>,
    target: Option<f64>,
}

impl Comparison {
    fn compare(&self, row: &Row) -> Option<Compared> {
        let index = |rounds: &[Vec<Figure>]| rounds.first()?.iter().position(|figure| figure.name == row.figure);
        let (at_daemon, at_other) = (index(&self.daemon)?, index(&self.other));
        let unit = self.daemon.first()?.get(at_daemon)?.unit.to_owned();
        let pairs = self.daemon.iter().zip(&self.other).filter_map(|(daemon, other)| {
            let (daemon, other) = (daemon.get(at_daemon)?.value?, other.get(at_other?)?.value?);
            (other > 0.0).then_some(daemon / other)
        });
        let ratio = Spread::of(pairs).map(|spread| spread.median);
        let other = at_other.and_then(|index| Spread::at(&self.other, index));
        let (floor, against) = if self.against == Against::Floor { (other, None) } else { (None, other) };
        let (ratio_target, target) = match row.target {
            Target::Ratio(most) => (Some(most), None),
            Target::AtMost(most) => (None, Some(most)),
            Target::None => (None, None),
        };
        let daemon = Spread::at(&self.daemon, at_daemon);
        let (key, name) = (row.key.to_owned(), row.name.to_owned());
        Some(Compared { key, name, unit, daemon, floor, against, ratio, ratio_target, target })
    }

    /// Medians, ratios and targets. The title says what was measured.
    pub(super) fn table(&self, title: &str, rows: &[Row]) -> String {
        let mut text = format!("{title} rounds={}\n\n", self.daemon.len());
        let mut push = |name: &str, [daemon, unit, other, ratio, target]: [String; 5]| {
            push_line(&mut text, &format!("{name:<52}{daemon:>10} {unit:<2}{other:>10}{ratio:>8}   {target}"));
        };
        let other = if self.against == Against::Floor { "floor" } else { "against" };
        push("", ["daemon", "", other, "ratio", "target"].map(str::to_owned));
        for compared in rows.iter().filter_map(|row| self.compare(row)) {
            let digits = decimals(&compared.unit);
            let other = compared.floor.or(compared.against);
            let [daemon, other] = [compared.daemon, other].map(|of| cell(of.map(|spread| spread.median), digits));
            push(&compared.name, [daemon, compared.unit.clone(), other, cell(compared.ratio, 2), compared.verdict()]);
        }
        text
    }

    /// The same for programs.
    pub(super) fn figures(&self, rows: &[Row]) -> Vec<Compared> {
        rows.iter().filter_map(|row| self.compare(row)).map(Compared::rounded).collect()
    }
}

impl Compared {
    /// The target, and whether it is missed.
    fn verdict(&self) -> String {
        let (wanted, is_met) = match (self.ratio_target, self.target) {
            (Some(most), _) => (format!("{most:.2} x"), self.ratio.is_some_and(|ratio| ratio <= most)),
            (_, Some(most)) => {
                (format!("{most} {}", self.unit), self.daemon.is_some_and(|daemon| daemon.median <= most))
            }
            (None, None) => return String::new(),
        };
        if is_met { wanted } else { format!("{wanted}  MISSED") }
    }

    fn rounded(self) -> Self {
        let [daemon, floor, against] = [self.daemon, self.floor, self.against].map(|of| of.map(Spread::rounded));
        Self { daemon, floor, against, ratio: self.ratio.map(rounded), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(values: [f64; 3]) -> Vec<Vec<Figure>> {
        values.map(|value| vec![Figure { name: "CPU per join", unit: "us", value: Some(value) }]).into()
    }

    #[test]
    fn a_ratio_is_the_median_of_rounds_that_followed_each_other() {
        // The machine became twice as slow after the first round; the ratio did not change.
        let (daemon, other) = (rounds([11.0, 22.0, 22.0]), rounds([10.0, 20.0, 20.0]));
        let compared = Comparison { daemon, other, against: Against::Floor };
        let row = |most| [Row { key: "join_cpu", figure: "CPU per join", name: "join", target: Target::Ratio(most) }];
        let figures = compared.figures(&row(1.15));
        assert_eq!(figures[0].ratio, Some(1.1));
        assert_eq!(figures[0].floor, Some(Spread { median: 20.0, least: 10.0, most: 20.0 }));
        assert!(!compared.table("", &row(1.15)).contains("MISSED"));
        assert!(compared.table("", &row(1.05)).contains("1.05 x  MISSED"));
        let against = Comparison { against: Against::Daemon, ..compared };
        assert!(against.table("", &row(1.15)).contains("against"));
        let figures = against.figures(&row(1.15));
        assert!(figures[0].floor.is_none() && figures[0].against.is_some());
    }

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let compared = Comparison { daemon: rounds([1.0; 3]), other: rounds([1.0; 3]), against: Against::Floor };
        let figures =
            compared.figures(&[Row { key: "k", figure: "CPU per join", name: "n", target: Target::AtMost(2.0) }]);
        let members = NonZeroU64::new(7).unwrap();
        let report =
            Report { benchmark: "compare".to_owned(), events: 1, figures, members, processes: one(), rounds: 3 };
        let json = serde_json::to_value(&report).unwrap();
        let read: Report = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), json);
        assert_eq!(json["figures"][0]["target"], 2.0);
    }
}
