//! The metrics of the processes of a host, written in pieces.
//!
//! Owns which processes are on the page, under which numbers, and how far the page has come. All processes behind one stats
//! port are there, whichever of them answers, and no others. So sums over targets count each process once.
//!
//! Invariant: each process has each series once. Of two with one number, the one that was received last has it; the other one
//! was killed, and its successor has taken the number up.

use std::fmt::Write as _;
use std::rc::Rc;

use crate::collections::order::in_order;
use crate::meter::news::{Counter, NodeId};
use crate::server::figures::exposition::{PREFIX, push_family_head, push_head, push_series};
use crate::server::figures::families::{FAMILIES, OLD_NAMES, PROCESS, TARGET, VERSION};
use crate::server::figures::family::{Family, Kind, PLACES, Read};
use crate::server::figures::metrics::Metrics;

/// What a piece is longer than: some 100 series, 0.1 ms.
const PIECE_BYTES: usize = 8 * 1024;

/// A process. In their order, that of one number that was received last comes first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::server) struct Row {
    process: u64,
    silent_ms: u64,
    node: NodeId,
    counters: Rc<[Counter]>,
}

/// The page, from where it goes on.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::server) struct Page {
    metrics: &'static Metrics,
    rows: Vec<Row>,
    /// What comes next: the builds, then the families, then some of them again under their old names.
    section: usize,
    row: usize,
}

impl Row {
    /// The process that has announced these counters, if it is behind this target. One that has announced nothing is behind
    /// none.
    pub(in crate::server) fn of(node: NodeId, silent_ms: u64, counters: Rc<[Counter]>, target: u64) -> Option<Self> {
        let is_behind = target != 0 && figure(&counters, TARGET) == target;
        // Numbers count from 1 where 0 is no counter.
        is_behind.then(|| Self { process: figure(&counters, PROCESS).saturating_sub(1), silent_ms, node, counters })
    }
}

impl Page {
    /// The page of these processes; of two with one number, the first stands, unless another one was received later.
    pub(in crate::server) fn new(metrics: &'static Metrics, rows: Vec<Row>) -> Self {
        let mut rows = in_order(rows);
        rows.dedup_by_key(|row| row.process);
        Self { metrics, rows, section: 0, row: 0 }
    }

    /// Appends the next piece; returns whether the page goes on after that.
    pub(in crate::server) fn push_piece(&mut self, out: &mut String) -> bool {
        let end = out.len() + PIECE_BYTES;
        while out.len() < end {
            let section = self.section.checked_sub(1);
            let family = section.map(|index| family_at(index).ok_or(()));
            let Ok(family) = family.transpose() else { return false };
            if self.row == 0 && self.has_series(family.as_ref()) {
                push_section_head(out, family.as_ref());
            }
            match (self.rows.get(self.row), family) {
                (Some(row), Some(family)) => {
                    push_series(out, &family, self.metrics.labels, row.process, &row.counters);
                    self.row += 1;
                }
                (Some(row), None) => {
                    push_build(out, row);
                    self.row += 1;
                }
                (None, _) => (self.section, self.row) = (self.section + 1, 0),
            }
        }
        true
    }

    /// Whether a process on the page has series of a family: those of a supervisor are there with one alone.
    fn has_series(&self, family: Option<&Family>) -> bool {
        let is_there = |family: &Family| self.rows.iter().any(|row| !family.own(&row.counters).is_empty());
        family.is_none_or(|family| !matches!(family.read, Read::Supervised(..)) || is_there(family))
    }
}

/// A family of the table, or after those one under its old name.
fn family_at(index: usize) -> Option<Family> {
    let old = || {
        let (number, name) = *OLD_NAMES.get(index.checked_sub(FAMILIES.len())?)?;
        FAMILIES.iter().find(|family| family.number == number).map(|family| Family { name, ..*family })
    };
    FAMILIES.get(index).copied().or_else(old)
}

fn push_section_head(out: &mut String, family: Option<&Family>) {
    match family {
        Some(family) => push_family_head(out, family),
        None => push_head(out, BUILD, Kind::Gauge, "Which process it is: the name of its node, and its version."),
    }
}

const BUILD: &str = "build_info";

fn push_build(out: &mut String, row: &Row) {
    let Row { process, node, counters, .. } = row;
    let version = figure(counters, VERSION);
    let part = |place: u32| (version >> (16 * place)) & 0xffff;
    // Writing to a string does not fail.
    let _ = writeln!(
        out,
        "{PREFIX}{BUILD}{{process=\"{process}\",node=\"{node}\",version=\"{}.{}.{}\"}} 1",
        part(2),
        part(1),
        part(0)
    );
}

/// The one figure of a family.
fn figure(counters: &[Counter], family: u16) -> u64 {
    let found = counters.binary_search_by_key(&(family * PLACES), |counter| counter.number);
    found.ok().and_then(|place| counters.get(place)).map_or(0, |counter| counter.value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::figures::view::Labels;
    use crate::server::troubles::Kind as Trouble;

    /// The names of 3.0.0.
    static METRICS: Metrics = Metrics::new(Labels {
        ports: &["audience", "stats", "notification", "demo"],
        close_reasons: &["peer_closed", "peer_reset", "proxy_head"],
    });

    /// A process behind target 9 with these counters, in any order.
    fn row(node: u64, silent_ms: u64, counters: &[(u16, u64)]) -> Row {
        let mut counters: Vec<Counter> = counters.iter().map(|&(number, value)| Counter { number, value }).collect();
        counters.sort_unstable_by_key(|counter| counter.number);
        Row::of(NodeId(node), silent_ms, counters.into(), 9).unwrap()
    }

    /// A process of this number, with this many members.
    fn numbered(node: u64, process: u64, members: u64, silent_ms: u64) -> Row {
        row(node, silent_ms, &[(64, members), (PROCESS * PLACES, process + 1), (TARGET * PLACES, 9)])
    }

    fn page_of(rows: impl IntoIterator<Item = Row>) -> String {
        let (mut page, mut out) = (Page::new(&METRICS, rows.into_iter().collect()), String::new());
        while page.push_piece(&mut out) {}
        out
    }

    #[test]
    fn a_process_behind_another_stats_port_is_not_on_the_page() {
        let counters = |target| {
            [(PROCESS * PLACES, 1), (TARGET * PLACES, target)].map(|(number, value)| Counter { number, value })
        };
        for (of, asked, is_there) in [(9, 9, true), (8, 9, false), (9, 0, false)] {
            assert_eq!(Row::of(NodeId(1), 0, counters(of).into(), asked).is_some(), is_there, "{of} {asked}");
        }
        assert_eq!(Row::of(NodeId(1), 0, Rc::default(), 9), None, "it has announced nothing yet");
        assert_eq!(Row::of(NodeId(1), 0, Rc::default(), 0), None, "there is no stats port");
    }

    #[test]
    fn of_two_processes_with_one_number_the_one_that_was_received_last_is_there() {
        let page =
            page_of([numbered(1, 0, 5, 0), numbered(2, 1, 6, 4_000), numbered(3, 1, 7, 20), numbered(4, 0, 8, 0)]);
        let members = page.lines().filter_map(|line| line.strip_prefix("audience_meter_members"));
        assert_eq!(members.collect::<Vec<_>>(), ["{process=\"0\"} 5", "{process=\"1\"} 7"]);
        assert!(
            page.contains("audience_meter_build_info{process=\"1\",node=\"0000000000000003\",version=\"0.0.0\"} 1\n")
        );
    }

    #[test]
    fn each_piece_is_short_however_many_processes_there_are() {
        let rows = (0..1_024).map(|number| numbered(number, number, number, 0));
        let (mut page, mut pieces) = (Page::new(&METRICS, rows.collect()), 0);
        loop {
            let mut piece = String::new();
            let goes_on = page.push_piece(&mut piece);
            assert!(piece.len() < PIECE_BYTES + 2_000, "{} bytes", piece.len());
            pieces += 1;
            if !goes_on {
                break;
            }
        }
        assert!(pieces > 400, "{pieces}");
        let mut again = String::new();
        assert!(!page.push_piece(&mut again) && again.is_empty(), "its end stays its end");
    }

    /// The lines of the page about a node with these counters.
    fn lines_of(counters: &[(u16, u64)]) -> Vec<String> {
        let mut counters = counters.to_vec();
        counters.extend([(PROCESS * PLACES, 8), (TARGET * PLACES, 9)]);
        let page = page_of([row(1, 0, &counters)]);
        let families = page.split_once("} 1\n").unwrap().1;
        let series = families.lines().filter(|line| !line.starts_with('#'));
        series.map(|line| line.replace("audience_meter_", "").replace("process=\"7\"", "")).collect()
    }

    #[test]
    fn what_only_a_later_program_counts_is_not_on_the_page() {
        // Two reasons and a kind that are not in the lists, and families after the last, up to the largest number.
        let known = [(64, 9), (5 * 64 + 2, 7), (21 * 64, 1)];
        let unknown =
            [(5 * 64 + 3, 8), (5 * 64 + 12, 8), (7 * 64 + 2, 8), (22 * 64 + 60, 8), (99 * 64, 8), (u16::MAX, 8)];
        let mut all = [&known[..], &unknown].concat();
        all.sort_unstable();
        assert_eq!(lines_of(&all), lines_of(&known));
        let lines = lines_of(&known);
        for line in ["members{} 9", "closed_total{,reason=\"proxy_head\"} 7", "draining{} 1"] {
            assert!(lines.iter().any(|found| found == line), "{line} is not in {lines:?}");
        }
    }

    #[test]
    fn figures_of_a_supervisor_are_there_where_there_is_one() {
        let supervised = |lines: &[String]| lines.iter().filter(|line| line.starts_with("supervisor_")).count();
        assert_eq!(supervised(&lines_of(&[(64, 3)])), 0);
        let lines = lines_of(&[(30 * 64, 4), (31 * 64, 1)]);
        for line in ["supervisor_restarts_total{} 3", "supervisor_posts_empty{} 0"] {
            assert!(lines.iter().any(|found| found == line), "{line} is not in {lines:?}");
        }
        assert!(!page_of([numbered(1, 0, 5, 0)]).contains("supervisor_"));
    }

    #[test]
    fn a_finer_bucket_of_a_later_program_counts_in_the_next_one() {
        let buckets = [(640, 5_000_000), (640 + 3, 1), (640 + 4, 2), (640 + 14, 4), (640 + 15, 8), (640 + 63, 16)];
        let lines = lines_of(&buckets);
        let turns: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("turn_seconds_")).collect();
        let expected = [
            "bucket{,le=\"0.000016\"} 3",
            "bucket{,le=\"0.000032\"} 3",
            "bucket{,le=\"0.000064\"} 3",
            "bucket{,le=\"0.000128\"} 3",
            "bucket{,le=\"0.000256\"} 3",
            "bucket{,le=\"0.000512\"} 3",
            "bucket{,le=\"0.001024\"} 3",
            "bucket{,le=\"0.002048\"} 3",
            "bucket{,le=\"0.004096\"} 3",
            "bucket{,le=\"0.008192\"} 3",
            "bucket{,le=\"0.016384\"} 7",
            "bucket{,le=\"+Inf\"} 31",
            "sum{} 5.000000",
            "count{} 31",
        ];
        assert_eq!(turns, expected);
    }

    #[test]
    fn what_an_earlier_program_does_not_count_is_0() {
        let lines = lines_of(&[(64, 3), (20 * 64, 1_300_000_000)]);
        let is_start = |line: &&String| line.contains("start_time_seconds");
        let values: Vec<&str> = lines.iter().map(|line| line.rsplit_once(' ').unwrap().1).collect();
        assert_eq!((lines.len(), values[0]), (77 + Trouble::COUNT, "3"));
        let starts: Vec<&str> = lines.iter().filter(is_start).map(String::as_str).collect();
        assert_eq!(starts, ["process_start_time_seconds{} 1300000000", "start_time_seconds{} 1300000000"]);
        let rest = lines.iter().zip(&values).skip(1).filter(|(line, _)| !is_start(line));
        assert!(rest.clone().all(|(_, &value)| value == "0" || value == "0.000000"), "{:?}", rest.collect::<Vec<_>>());
        let series = |counters| lines_of(counters).into_iter().map(|line| line.rsplit_once(' ').unwrap().0.to_owned());
        assert!(series(&[(64, 3)]).eq(series(&[(64, 3), (21 * 64, 1)])), "each node has the same series");
    }
}
