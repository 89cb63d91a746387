//! The rows of the picture: which runs are beside each other, and their numbers in words.
//!
//! Owns the choice of the runs. It draws nothing.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use super::super::Result;
use super::super::figures::{Spread, float};
use super::super::report::{Compared, Growth, Report};

/// One side of a comparison.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Side {
    Floor,
    Daemon,
}

/// A row of panels: runs by an amount that grows.
pub(super) struct Row<'a> {
    pub(super) head: String,
    /// What the amounts count.
    pub(super) what: &'static str,
    pub(super) amounts: Vec<NonZeroU64>,
    /// By amount, the figures in the order of the columns.
    figures: Vec<Vec<&'a Compared>>,
}

impl Row<'_> {
    /// What is known of a side in a column, by amount.
    pub(super) fn along(&self, side: Side, column: usize) -> Vec<(f64, Spread)> {
        let known = |(amount, figures): (&NonZeroU64, &Vec<&Compared>)| {
            let of = figures.get(column)?;
            let spread = if side == Side::Daemon { of.daemon } else { of.floor };
            Some((float(amount.get()), spread?))
        };
        self.amounts.iter().zip(&self.figures).filter_map(known).collect()
    }
}

/// The runs with one process, by their members.
///
/// # Errors
/// There are none, or one lacks a figure.
pub(super) fn by_members<'a>(growth: &'a Growth, keys: &[&str]) -> Result<Row<'a>> {
    let alone = growth.runs.iter().filter(|run| run.processes == NonZeroU64::MIN);
    let runs: BTreeMap<NonZeroU64, &Report> = alone.map(|run| (run.members, run)).collect();
    if growth.runs.is_empty() {
        return Err("there are no runs".into());
    }
    if runs.is_empty() {
        return Err("there is no run with one process".into());
    }
    row("One process, more members".to_owned(), "members", &runs, keys)
}

/// The runs of one audience by their processes. The audience is the one with the most numbers of processes; of two, the
/// larger.
///
/// # Errors
/// There are none, or one lacks a figure.
pub(super) fn by_processes<'a>(growth: &'a Growth, keys: &[&str]) -> Result<Row<'a>> {
    let mut by_size: BTreeMap<NonZeroU64, BTreeMap<NonZeroU64, &Report>> = BTreeMap::new();
    for run in &growth.runs {
        by_size.entry(run.members).or_default().insert(run.processes, run);
    }
    let chosen = by_size.into_iter().max_by_key(|(members, runs)| (runs.len(), *members));
    let (members, runs) = chosen.ok_or("there are no runs")?;
    row(format!("{} members, more processes", grouped(float(members.get()), 0)), "processes", &runs, keys)
}

fn row<'a>(
    head: String,
    what: &'static str,
    runs: &BTreeMap<NonZeroU64, &'a Report>,
    keys: &[&str],
) -> Result<Row<'a>> {
    let figure = |run: &'a Report, key: &&str| {
        let found = run.figures.iter().find(|figure| figure.key == **key);
        found.ok_or_else(|| format!("a run of {} members has no figure {key}", run.members).into())
    };
    let figures = |run: &&'a Report| keys.iter().map(|key| figure(run, key)).collect::<Result<Vec<_>>>();
    let all = runs.values().map(figures).collect::<Result<_>>()?;
    Ok(Row { head, what, amounts: runs.keys().copied().collect(), figures: all })
}

/// The highest value of a column.
pub(super) fn most(rows: &[Row<'_>], column: usize) -> Option<f64> {
    let of = |row: &Row<'_>, side| row.along(side, column).into_iter().map(|(_, spread)| spread.most);
    let both = rows.iter().flat_map(|row| of(row, Side::Daemon).chain(of(row, Side::Floor)));
    both.reduce(f64::max).filter(|most| *most > 0.0)
}

/// Whether a side is known of any run.
pub(super) fn has(rows: &[Row<'_>], side: Side) -> bool {
    rows.iter().any(|row| (0..row.figures[0].len()).any(|column| !row.along(side, column).is_empty()))
}

/// The name of a column's figure, with its unit.
pub(super) fn caption(row: &Row<'_>, column: usize) -> String {
    let figure = row.figures[0][column];
    format!("{}, {}", capitalized(&figure.name), figure.unit)
}

/// A row in words: each figure of the daemon from its first value to its last.
pub(super) fn in_words(row: &Row<'_>, columns: usize) -> String {
    let of_column = |column| {
        let known = row.along(Side::Daemon, column);
        let ((first, from), (last, to)) = known.first().zip(known.last())?;
        let (name, unit) = (capitalized(&row.figures[0][column].name), &row.figures[0][column].unit);
        let (from, to) = (measured(from.median), measured(to.median));
        let (first, last) = (grouped(*first, 0), grouped(*last, 0));
        Some(format!(" {name}: {from} {unit} at {first}, {to} {unit} at {last} {}.", row.what))
    };
    format!("{}.{}", row.head, (0..columns).filter_map(of_column).collect::<String>())
}

/// For the beginning of a sentence.
fn capitalized(words: &str) -> String {
    let mut rest = words.chars();
    rest.next().into_iter().flat_map(char::to_uppercase).chain(rest).collect()
}

/// A number with commas between thousands.
pub(super) fn grouped(value: f64, decimals: usize) -> String {
    let plain = format!("{value:.decimals$}");
    let (whole, rest) = plain.split_at(plain.find('.').unwrap_or(plain.len()));
    let mut text = String::new();
    for (index, digit) in whole.char_indices() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text + rest
}

/// A measured value, to about three digits.
pub(super) fn measured(value: f64) -> String {
    let decimals = match value {
        ..1.0 => 2,
        1.0..1000.0 => 1,
        _ => 0,
    };
    grouped(value, decimals)
}

/// A number beside an axis that ends at `most`.
pub(super) fn axis_number(value: f64, most: f64) -> String {
    let decimals = match most {
        _ if value == 0.0 => 0,
        ..0.5 => 2,
        0.5..5.0 => 1,
        _ => 0,
    };
    grouped(value, decimals)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn growth(runs: &[(u64, u64)]) -> Growth {
        let spread = json!({ "median": 2.0, "least": 1.0, "most": 3.0 });
        let figure = json!({ "key": "k", "name": "n", "unit": "us", "floor": null, "daemon": spread });
        let run = |&(members, processes): &(u64, u64)| {
            json!({ "benchmark": "compare", "rounds": 1, "members": members, "processes": processes,
                "figures": [figure] })
        };
        let runs: Vec<_> = runs.iter().map(run).collect();
        serde_json::from_value(json!({ "benchmark": "growth", "runs": runs })).unwrap()
    }

    #[test]
    fn rows_are_sorted_and_take_the_audience_of_most_numbers_of_processes() {
        let amounts = |row: Row<'_>| row.amounts.into_iter().map(NonZeroU64::get).collect::<Vec<_>>();
        let all = growth(&[(9000, 1), (1000, 1), (3000, 4), (3000, 1), (9000, 1)]);
        assert_eq!(amounts(by_members(&all, &["k"]).unwrap()), [1000, 3000, 9000]);
        let row = by_processes(&all, &["k"]).unwrap();
        assert_eq!(row.head, "3,000 members, more processes");
        assert_eq!(amounts(row), [1, 4]);
        let equal = growth(&[(1000, 1), (3000, 1)]);
        assert_eq!(by_processes(&equal, &["k"]).unwrap().head, "3,000 members, more processes");
        let error = by_members(&growth(&[(1000, 2)]), &["k"]).err().unwrap().to_string();
        assert_eq!(error, "there is no run with one process");
    }

    #[test]
    fn numbers_have_commas_and_few_digits() {
        let count = |amount| grouped(amount, 0);
        assert_eq!([0.0, 999.0, 1000.0, 1_234_567.0].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0.456, 15.04, 98.66, 1234.5].map(measured), ["0.46", "15.0", "98.7", "1,234"]);
        assert_eq!([0.0, 0.25, 1.5, 20.0].map(|value| axis_number(value, value)), ["0", "0.25", "1.5", "20"]);
    }
}
