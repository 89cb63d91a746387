//! What `growth` wrote: runs, and the figures of them that are shown.
//!
//! Owns the reading of the JSON and what is wrong with it, in one line. It knows no picture.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Result;

/// One comparison of a daemon with the floor.
pub(super) struct Run {
    pub(super) members: u64,
    pub(super) processes: u64,
    /// In the order that was asked for.
    pub(super) figures: Vec<Figure>,
}

/// What a run says under one key.
pub(super) struct Figure {
    pub(super) name: String,
    pub(super) unit: String,
    /// `None` if it is not known.
    pub(super) daemon: Option<Range>,
    /// `None` if there is none.
    pub(super) floor: Option<Range>,
}

/// A number over all rounds.
#[derive(Clone, Copy)]
pub(super) struct Range {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) most: f64,
}

/// Runs by the amount that sets them apart.
pub(super) type ByAmount<'a> = BTreeMap<u64, &'a Run>;

/// All runs, each with the figures under these keys.
///
/// # Errors
/// The first thing that is missing, as a line for a person.
pub(super) fn runs(growth: &Value, keys: &[&str]) -> Result<Vec<Run>> {
    let runs = growth["runs"].as_array().ok_or("runs is missing; give what `growth` wrote with --json")?;
    runs.iter().enumerate().map(|(index, run)| read_run(run, keys, index + 1)).collect()
}

fn read_run(run: &Value, keys: &[&str], number: usize) -> Result<Run> {
    let amount = |field| match run[field].as_u64() {
        Some(amount) if amount > 0 => Ok(amount),
        _ => Err(format!("run {number}: {field} is missing, or no positive number")),
    };
    let figures = run["figures"].as_array().ok_or_else(|| format!("run {number}: figures is missing"))?;
    let figure = |key: &&str| {
        let figure = figures.iter().find(|figure| figure["key"] == **key);
        let figure = figure.ok_or_else(|| format!("run {number}: figure {key} is missing"))?;
        read_figure(figure).map_err(|missing| format!("run {number}: figure {key}: {missing}").into())
    };
    let figures = keys.iter().map(figure).collect::<Result<_>>()?;
    Ok(Run { members: amount("members")?, processes: amount("processes")?, figures })
}

fn read_figure(figure: &Value) -> Result<Figure> {
    let text = |field| figure[field].as_str().map(str::to_owned).ok_or_else(|| format!("{field} is missing"));
    Ok(Figure {
        name: text("name")?,
        unit: text("unit")?,
        daemon: read_range(figure, "daemon")?,
        floor: read_range(figure, "floor")?,
    })
}

/// `null` is for what is not known; a range that is not there at all is wrong.
fn read_range(figure: &Value, of: &str) -> Result<Option<Range>> {
    let range = figure.get(of).ok_or_else(|| format!("{of} is missing"))?;
    if range.is_null() {
        return Ok(None);
    }
    let number = |field| match range[field].as_f64() {
        Some(number) if number >= 0.0 => Ok(number),
        _ => Err(format!("{of}.{field} is missing, or below 0")),
    };
    Ok(Some(Range { median: number("median")?, least: number("least")?, most: number("most")? }))
}

/// The runs of one process, by how many members it had.
///
/// # Errors
/// When there are none.
pub(super) fn by_members(runs: &[Run]) -> Result<ByAmount<'_>> {
    let alone: ByAmount<'_> = runs.iter().filter(|run| run.processes == 1).map(|run| (run.members, run)).collect();
    if alone.is_empty() { Err("runs has none with processes 1".into()) } else { Ok(alone) }
}

/// The runs of one audience by how many processes had it, and how large it was: that of the most numbers of processes,
/// the larger one if there are two.
///
/// # Errors
/// When there are no runs.
pub(super) fn by_processes(runs: &[Run]) -> Result<(u64, ByAmount<'_>)> {
    let sizes: BTreeSet<u64> = runs.iter().map(|run| run.members).collect();
    let of = |members: u64| runs.iter().filter(move |run| run.members == members).map(|run| (run.processes, run));
    let by_size = sizes.into_iter().map(|members| (members, of(members).collect::<ByAmount<'_>>()));
    by_size.max_by_key(|(members, runs)| (runs.len(), *members)).ok_or_else(|| "runs is empty".into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run(members: u64, processes: u64) -> Value {
        let range = json!({ "median": 2.0, "least": 1.0, "most": 3.0 });
        let figure = json!({ "key": "k", "name": "n", "unit": "us", "floor": null, "daemon": range });
        json!({ "members": members, "processes": processes, "figures": [figure] })
    }

    fn read(all: &[Value]) -> Vec<Run> {
        runs(&json!({ "runs": all }), &["k"]).unwrap()
    }

    #[test]
    fn rows_are_sorted_and_take_the_audience_of_most_numbers_of_processes() {
        let runs = read(&[run(9000, 1), run(1000, 1), run(3000, 4), run(3000, 1), run(9000, 1)]);
        assert_eq!(by_members(&runs).unwrap().into_keys().collect::<Vec<_>>(), [1000, 3000, 9000]);
        let (members, row) = by_processes(&runs).unwrap();
        assert_eq!((members, row.into_keys().collect::<Vec<_>>()), (3000, vec![1, 4]));
        assert_eq!(by_processes(&read(&[run(1000, 1), run(3000, 1)])).unwrap().0, 3000);
    }

    #[track_caller]
    fn refuses(growth: &Value, message: &str) {
        assert_eq!(runs(growth, &["k"]).err().unwrap().to_string(), message);
    }

    /// Refused once this is put at this place of a run, or taken from there.
    #[track_caller]
    fn refuses_with(place: &str, value: Option<Value>, message: &str) {
        let mut run = run(1000, 1);
        let (parent, field) = place.rsplit_once('/').unwrap();
        let parent = run.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        match value {
            Some(value) => parent.insert(field.to_owned(), value),
            None => parent.remove(field),
        };
        refuses(&json!({ "runs": [run] }), message);
    }

    #[test]
    fn what_is_missing_is_named() {
        refuses(&json!({}), "runs is missing; give what `growth` wrote with --json");
        refuses(&json!([]), "runs is missing; give what `growth` wrote with --json");
        refuses_with("/members", None, "run 1: members is missing, or no positive number");
        refuses_with("/processes", Some(json!(0)), "run 1: processes is missing, or no positive number");
        refuses_with("/figures", None, "run 1: figures is missing");
        refuses_with("/figures", Some(json!([])), "run 1: figure k is missing");
        refuses_with("/figures/0/unit", None, "run 1: figure k: unit is missing");
        refuses_with("/figures/0/floor", None, "run 1: figure k: floor is missing");
        refuses_with("/figures/0/daemon/most", None, "run 1: figure k: daemon.most is missing, or below 0");
        refuses_with(
            "/figures/0/daemon/least",
            Some(json!(-1)),
            "run 1: figure k: daemon.least is missing, or below 0",
        );
    }

    #[test]
    fn rows_without_runs_are_refused() {
        assert_eq!(by_members(&read(&[run(1000, 2)])).err().unwrap().to_string(), "runs has none with processes 1");
        assert_eq!(by_processes(&[]).err().unwrap().to_string(), "runs is empty");
    }
}
