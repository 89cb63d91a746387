//! The table of the manual: its rows, in their order, and what was measured of each.
//!
//! Owns the words of a row. A row that the manual has otherwise fails its test; durations alone are those of a run.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Mutex;
use std::time::Duration;

use super::scene::ALL;
use super::scene::Way::{self, Group, Peers};
use audience_kit::*;

/// The page that has the table.
const PAGE: &str = "src/manual/cluster.md";

const HEAD: &str = "\
| what happens | hosts by | shown there | shown elsewhere | not true for | whole again after | reported |
|---|---|---|---|---|---|---|";

/// What happens, and how the hosts find each other; in the order of the table.
const FAULTS: [(&str, Way); 19] = [
    ("a process is killed, and another takes its place", Group),
    ("a process is killed, and its members come back to another", Group),
    ("a process hangs, and goes on", Group),
    ("a process hangs, and goes on", Peers),
    ("a cable is pulled, and plugged in", Group),
    ("a cable is pulled, and plugged in", Peers),
    ("a host receives nothing; what it sends arrives", Group),
    ("a host receives nothing; what it sends arrives", Peers),
    ("an interface is deleted, and made anew", Group),
    ("an interface is deleted, and made anew", Peers),
    ("an interface is set down, and up again", Group),
    ("an address is taken away, and given back", Group),
    ("an address changes, without `--cluster-interface`", Group),
    ("an address changes", Peers),
    ("a host drops multicast, on loopback too", Peers),
    ("another program floods the port", Group),
    ("a process of a later version joins with 16 members, and is killed", Group),
    ("a process of a version sends that this one cannot read", Group),
    ("a key is replaced, host after host", Group),
];

/// What came of a fault.
pub(super) struct Measured {
    /// One of [`FAULTS`].
    pub(super) fault: &'static str,
    /// How the hosts find each other.
    pub(super) way: Way,
    /// What the members of the host with the fault, and of the other one, were shown while it lasted.
    pub(super) counts: [u64; 2],
    /// The most that they may be shown, where they are counted twice for a while.
    pub(super) most: u64,
    /// How long they were shown something else after it began, if they were.
    pub(super) wrong: Option<Duration>,
    /// How long they were shown something else than the total after it was over, if they were.
    pub(super) healed: Option<Duration>,
    /// The trouble that a node reported.
    pub(super) report: Option<&'static str>,
}

/// Holds a row against the manual. The last one prints the whole table.
#[track_caller]
pub(super) fn print_row(measured: &Measured) {
    static ROWS: Mutex<BTreeMap<usize, String>> = Mutex::new(BTreeMap::new());
    let Measured { fault, way, counts, most, wrong, healed, report } = *measured;
    let is_exceeded = most > ALL && !counts.contains(&most);
    let [here, there] =
        counts.map(|count| if is_exceeded { format!("up to {most}, then {count}") } else { count.to_string() });
    let report = report.map_or_else(String::new, |kind| format!("`{kind}`"));
    let (begins, ends) = (format!("| {fault} | `{}` | {here} | {there} | ", way.option()), format!(" | {report} |"));
    let row = format!("{begins}{} | {}{ends}", words(wrong, "0 s"), words(healed, "-"));
    show(&format!("measured: {row} {wrong:?}, {healed:?}"));
    let place = FAULTS.iter().position(|known| *known == (fault, way)).unwrap_or_else(|| panic!("{row} is not known"));
    let mut rows = ROWS.lock().unwrap();
    rows.insert(place, row.clone());
    if rows.len() == FAULTS.len() {
        print(&rows);
    }
    drop(rows);
    let page = fs::read_to_string(source().join(PAGE)).unwrap();
    let is_there = page.lines().any(|line| line.starts_with(&begins) && line.ends_with(&ends));
    assert!(is_there, "{PAGE} has no such row: {row}");
}

#[expect(clippy::print_stdout, reason = "the table is a report, for --nocapture")]
fn print(rows: &BTreeMap<usize, String>) {
    let rows = rows.values().map(String::as_str).collect::<Vec<_>>();
    println!("\n{HEAD}\n{}", rows.join("\n"));
}

/// A duration as far as it is the same in each run: in halves of the node timeout T, or of a second where it has nothing to
/// do with that.
fn words(time: Option<Duration>, none: &str) -> String {
    let Some(time) = time else { return none.to_owned() };
    let halves = |unit: Duration| (2.0 * time.as_secs_f64() / unit.as_secs_f64()).round() / 2.0;
    match (time < Node::TIMEOUT / 2, time < ms(500)) {
        (false, _) => format!("{} T", halves(Node::TIMEOUT)),
        (true, false) => format!("{} s", halves(ms(1_000))),
        (true, true) => "< 0.5 s".to_owned(),
    }
}
