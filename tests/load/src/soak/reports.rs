//! The reports of events that are over, and the lives of the events that they must be of.
//!
//! Owns the file of the reports, as far as the daemons have written it, and the rules: how many reports an event must have,
//! and what they may say. The file is moved away all the time, as `logrotate` does. It does not know the members.
//!
//! Invariants: a line is whole, and of an event that there was. An event in whose life no fault falls has one report, which
//! has every join.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::events::{find, is_once, name};
use super::faults::NODE_TIMEOUT;
use super::tail::Tail;
use crate::{Result, now};

/// The delay of the daemons before an empty event is forgotten, and some to spare for a report that waits for the disk.
pub(super) const CLEAN_DELAY: Duration = Duration::from_secs(2);
const SPARE: Duration = Duration::from_secs(2);

/// How long the traces of a fault take to vanish, from its end on.
const TRACES: Duration = Duration::from_secs(4);

/// How long after its first member an event may be known to one daemon alone, for datagrams are lost.
const UNKNOWN_MAX: Duration = Duration::from_secs(3);

/// How long the file stays where it is, and how long the one that was moved away is still read: a process that has it open
/// writes within a turn, which takes seconds where the machine has other work.
const ROTATION: Duration = Duration::from_secs(5);
const AFTERWARDS: Duration = Duration::from_secs(4);

/// An event with one life, from its first member to its last.
struct Life {
    joins: u64,
    /// Those that had a first count; of a member that left without one, no daemon may know.
    counted: u64,
    open: u64,
    /// When it began, or when all daemons knew all of it.
    began: Instant,
    /// No fault fell before that moment.
    is_whole: bool,
    /// When the last member that has left did so.
    left: Instant,
}

/// A fault that may cost a report, or make a second one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disturbance {
    /// A daemon was killed. What no other one knew is gone, and a report may be written again whose writer could not say so.
    Kill,
    /// A daemon was ordered to end: its reports are written, or left to others.
    Restart,
    /// A daemon was cut off: both sides may report. If one side has forgotten an event that goes on at the other, the sides know
    /// different sums of it from then on, and the one that knows more reports after the other.
    Cut,
    /// More events came than there is room for. One that is forgotten early may be reported by a daemon that does not know all of it
    /// yet, and then by another one that does.
    Crowd,
}

/// A line of the file.
#[derive(Debug, Deserialize)]
struct Line {
    namespace: String,
    created: u64,
    ended: u64,
    connections: u64,
    peak: u64,
}

/// The reports of a run.
pub(super) struct Reports {
    path: PathBuf,
    moved: PathBuf,
    tail: Option<Tail>,
    /// The file that was moved away.
    old: Option<Tail>,
    rotated_at: Instant,
    lives: HashMap<usize, Life>,
    disturbances: Vec<(Disturbance, Instant, Instant)>,
    /// How often a daemon was cut off, since the books were closed last.
    cut_count: usize,
    /// Of each event, since the books were closed last.
    lines: HashMap<usize, Vec<Line>>,
    /// Events without a second life that had members when all of them were sent away.
    present: Vec<usize>,
    pub(super) line_count: u64,
    /// Events with reports beyond the first, and events without one: a fault explains both.
    pub(super) repeated_count: u64,
    pub(super) lost_count: u64,
    /// Events in whose life no fault fell.
    pub(super) exact_count: u64,
}

impl Reports {
    /// The reports in a file that there is not yet.
    pub(super) fn new(path: PathBuf) -> Self {
        let moved = path.with_extension("1");
        Self {
            path,
            moved,
            tail: None,
            old: None,
            rotated_at: now(),
            lives: HashMap::new(),
            disturbances: Vec::new(),
            cut_count: 0,
            lines: HashMap::new(),
            present: Vec::new(),
            line_count: 0,
            repeated_count: 0,
            lost_count: 0,
            exact_count: 0,
        }
    }

    /// A member of an event asks for its stream.
    pub(super) fn begin(&mut self, event: usize, moment: Instant) {
        if is_once(event) {
            let life = self.lives.entry(event).or_insert(Life {
                joins: 0,
                counted: 0,
                open: 0,
                began: moment,
                is_whole: true,
                left: moment,
            });
            life.joins += 1;
            life.open += 1;
        }
    }

    /// A member of an event is gone.
    pub(super) fn end(&mut self, event: usize, was_counted: bool, moment: Instant) {
        if let Some(life) = self.lives.get_mut(&event) {
            life.counted += u64::from(was_counted);
            life.open -= 1;
            life.left = moment;
        }
    }

    /// Whether an event may be forgotten soon: a further join could find it over.
    pub(super) fn is_over(&self, event: usize, moment: Instant) -> bool {
        self.lives.get(&event).is_some_and(|life| life.open == 0 && moment - life.left > CLEAN_DELAY / 4)
    }

    /// A fault that lasts until then.
    pub(super) fn disturb(&mut self, what: Disturbance, until: Instant) {
        self.cut_count += usize::from(what == Disturbance::Cut);
        self.disturbances.push((what, now(), until + NODE_TIMEOUT + TRACES));
    }

    /// All numbers are exact: the faults have left no traces, and all daemons know of the events that have members.
    ///
    /// # Errors
    /// The end of such an event was reported, and no fault explains it.
    pub(super) fn settle(&mut self) -> Result<()> {
        let moment = now();
        for (&event, life) in self.lives.iter().filter(|(_, life)| life.open > 0) {
            let lines = self.lines_of(event);
            if !lines.is_empty() && self.touching(life).next().is_none() {
                return Err(format!("{} has members, and reports of its end: {lines:?}", name(event)).into());
            }
        }
        let Self { lives, disturbances, lines, .. } = self;
        for (_, _, until) in &mut *disturbances {
            *until = moment.min(*until);
        }
        for (event, life) in lives.iter_mut().filter(|(_, life)| life.open > 0) {
            life.is_whole &= !disturbances.iter().any(|&(_, _, until)| until > life.began);
            life.began = moment;
            self.repeated_count += u64::from(lines.remove(event).is_some());
        }
        Ok(())
    }

    /// All members leave: these events had some.
    pub(super) fn send_away(&mut self, events: impl Iterator<Item = usize>) {
        self.present = events.filter(|&event| !is_once(event)).collect();
        // They may have had an end before: at a daemon that was cut off, or when the last member left for a while.
        self.lines.retain(|&event, _| is_once(event));
    }

    /// Reads what has been written since, and moves the file away when it is time.
    pub(super) fn tend(&mut self) -> Result<()> {
        let moment = now();
        if self.tail.is_none() && self.path.exists() {
            self.tail = Some(Tail::new(&self.path)?);
            self.rotated_at = moment;
        }
        self.read()?;
        let age = moment - self.rotated_at;
        if self.old.is_some() && age > AFTERWARDS {
            self.drop_old()?;
        }
        if self.old.is_none() && self.tail.is_some() && age > ROTATION {
            fs::rename(&self.path, &self.moved)?;
            self.old = self.tail.take();
            self.rotated_at = moment;
        }
        Ok(())
    }

    fn read(&mut self) -> Result<()> {
        for tail in [&mut self.old, &mut self.tail].into_iter().flatten() {
            tail.read(|text| {
                let line: Line =
                    serde_json::from_str(text).map_err(|error| format!("a report is {text:?}: {error}"))?;
                let event = find(&line.namespace).ok_or_else(|| format!("there was no event for the report {text}"))?;
                self.line_count += 1;
                self.lines.entry(event).or_default().push(line);
                Ok(())
            })?;
        }
        Ok(())
    }

    fn drop_old(&mut self) -> Result<()> {
        if let Some(old) = self.old.take()
            && !old.begun().is_empty()
        {
            return Err(format!("a report has no end: {:?}", String::from_utf8_lossy(old.begun())).into());
        }
        Ok(fs::remove_file(&self.moved)?)
    }

    /// Events whose reports are missing, once all members have left, if there are some.
    pub(super) fn find_missing(&self) -> Option<String> {
        let once = self.lives.iter().map(|(&event, life)| (event, self.bounds(life).0));
        let wanted = once.chain(self.present.iter().map(|&event| (event, 1)));
        let missing: Vec<_> = wanted.filter(|&(event, least)| self.lines_of(event).len() < least).collect();
        let &(event, _) = missing.first()?;
        let life = self.lives.get(&event).map_or(String::new(), |life| self.describe(life));
        Some(format!("{} is over{life}, and there is no report of it, as of {} events", name(event), missing.len()))
    }

    /// A life, by what is known of it.
    fn describe(&self, life: &Life) -> String {
        let ago = |moment: Instant| (now() - moment).as_secs_f64();
        let faults = self.touching(life).map(|(what, ..)| what).collect::<Vec<_>>();
        let Life { joins, counted, .. } = life;
        format!(" ({counted} of {joins} joins counted, left {:.1} s ago, faults: {faults:?})", ago(life.left))
    }

    /// Judges all reports, now that all events are over and none is missing, and forgets them.
    pub(super) fn close(&mut self) -> Result<()> {
        for (&event, lines) in &self.lines {
            if !is_once(event) {
                continue;
            }
            let Some(life) = self.lives.get(&event) else {
                return Err(format!("a report of {} has come long after it was over: {lines:?}", name(event)).into());
            };
            self.judge(event, life, lines)?;
        }
        for &event in &self.present {
            // It may have been over before, and begun anew.
            let newest = self.lines_of(event).iter().map(|line| line.created).max();
            let count = self.lines_of(event).iter().filter(|line| Some(line.created) == newest).count();
            let last = self.lines_of(event).iter().filter(|line| Some(line.created) == newest);
            if count == 0 || count > 1 + self.cut_count || !do_supersede(last) {
                return Err(
                    format!("{} has {count} reports of its end: {:?}", name(event), self.lines_of(event)).into()
                );
            }
        }
        for (&event, life) in &self.lives {
            let count = self.lines_of(event).len();
            self.lost_count += u64::from(count == 0);
            self.repeated_count += u64::from(count > 1);
            self.exact_count += u64::from(self.bounds(life) == (1, 1));
        }
        self.lives.clear();
        self.lines.clear();
        self.present.clear();
        self.cut_count = 0;
        let moment = now();
        self.disturbances.retain(|&(_, _, until)| until > moment);
        Ok(())
    }

    fn judge(&self, event: usize, life: &Life, lines: &[Line]) -> Result<()> {
        let wrong = |what: &str| Err(format!("{}{} {what}: {lines:?}", name(event), self.describe(life)).into());
        let (least, most) = self.bounds(life);
        // Of one that goes back to a cut, each side may know other joins.
        let superseded = if life.is_whole { 0 } else { self.cut_count };
        if lines.len() > most + superseded {
            return wrong("has too many reports");
        }
        if self.touching(life).next().is_none() && !do_supersede(lines.iter()) {
            return wrong("has a report that supersedes no other");
        }
        if lines.iter().any(|line| line.connections > life.joins || line.peak > life.joins || line.ended < line.created)
        {
            return wrong("has a report of more than there was");
        }
        if life.is_whole && (least, most) == (1, 1) && lines[0].connections < life.counted {
            return wrong("has a report that lacks joins");
        }
        Ok(())
    }

    /// The least and the most reports that are right for an event. Each side of a cut may write one. A daemon that is killed
    /// may have written one already, and takes one with it if no other daemon knew the event.
    fn bounds(&self, life: &Life) -> (usize, usize) {
        let count = |kind| self.touching(life).filter(|(what, ..)| *what == kind).count();
        let is_excused = life.counted == 0 || self.touching(life).any(|fault| self.may_cost_the_report(fault, life));
        let early = count(Disturbance::Kill) + count(Disturbance::Crowd);
        (usize::from(!is_excused), 1 + early + 2 * count(Disturbance::Cut))
    }

    /// Whether one daemon alone may have known an event when it was killed: the event was new, or the daemon was cut off.
    fn may_cost_the_report(&self, &(what, killed, _): &(Disturbance, Instant, Instant), life: &Life) -> bool {
        let is_cut = |&(what, from, until): &(Disturbance, Instant, Instant)| {
            what == Disturbance::Cut && from <= killed && killed < until
        };
        let is_new = life.began <= killed && killed < life.began + UNKNOWN_MAX;
        what == Disturbance::Kill && (is_new || self.touching(life).any(is_cut))
    }

    /// The faults that fall into a life, until its report.
    fn touching(&self, life: &Life) -> impl Iterator<Item = &(Disturbance, Instant, Instant)> {
        let over = if life.open > 0 { now() } else { life.left + CLEAN_DELAY + SPARE };
        let began = life.began;
        self.disturbances.iter().filter(move |&&(_, from, until)| from <= over && until > began)
    }

    fn lines_of(&self, event: usize) -> &[Line] {
        self.lines.get(&event).map_or(&[], Vec::as_slice)
    }
}

/// Whether each report counts more joins than the one before, and so supersedes it. Two of one end may come in either order: of
/// nodes that know of different joins, two may report in one moment.
fn do_supersede<'a>(lines: impl Iterator<Item = &'a Line>) -> bool {
    let is_of_one_end = |before: &Line, after: &Line| after.ended.abs_diff(before.ended) <= 1;
    lines.is_sorted_by(|before, after| {
        before.connections < after.connections
            || before.connections != after.connections && is_of_one_end(before, after)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soak::events::CROWDED;

    const ONCE: usize = CROWDED + 1;

    fn line(event: usize, connections: u64) -> String {
        let name = name(event);
        format!(
            "{{\"namespace\":\"{name}\",\"created\":1,\"ended\":2,\"connections\":{connections},\"peak\":1,\"x\":[]}}\n"
        )
    }

    /// Reports with one event of two joins that is over.
    fn scene(name: &str) -> Reports {
        let path = std::env::temp_dir().join(format!("audience-bench-{}-{name}", std::process::id()));
        let mut reports = Reports::new(path);
        let moment = now();
        reports.begin(ONCE, moment);
        reports.begin(ONCE, moment);
        reports.end(ONCE, true, moment);
        reports.end(ONCE, true, moment);
        reports
    }

    fn written(name: &str, text: &str) -> Reports {
        let mut reports = scene(name);
        fs::write(&reports.path, text).unwrap();
        reports.tend().unwrap();
        fs::remove_file(&reports.path).unwrap();
        reports
    }

    #[test]
    fn an_event_has_one_report_with_all_joins() {
        let mut reports = written("one", &line(ONCE, 2));
        assert_eq!(reports.find_missing(), None);
        reports.close().unwrap();
        assert_eq!((reports.line_count, reports.exact_count, reports.lost_count), (1, 1, 0));
        assert!(written("none", "").find_missing().unwrap().contains("no report"));
        for (name, text, part) in [
            ("two", line(ONCE, 2).repeat(2), "too many"),
            ("less", line(ONCE, 1), "lacks joins"),
            ("more", line(ONCE, 3), "more than there was"),
        ] {
            let error = written(name, &text).close().unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        let mut late = written("late", &(line(ONCE, 2) + &line(ONCE + 1, 1)));
        assert!(late.close().unwrap_err().to_string().contains("long after"));
    }

    #[test]
    fn a_kill_costs_the_report_of_an_event_that_no_other_daemon_knew() {
        let mut reports = scene("fault");
        reports.disturb(Disturbance::Restart, now());
        assert!(reports.find_missing().unwrap().contains("faults: [Restart]"), "its end is orderly");
        reports.disturb(Disturbance::Cut, now());
        assert!(reports.find_missing().unwrap().contains("faults: [Restart, Cut]"), "both sides knew of it");
        reports.disturbances.clear();
        reports.disturb(Disturbance::Kill, now());
        assert_eq!(reports.find_missing(), None);
        reports.lives.get_mut(&ONCE).unwrap().began = now().checked_sub(2 * UNKNOWN_MAX).unwrap();
        assert!(reports.find_missing().unwrap().contains("faults: [Kill]"), "others knew of it");
        reports.disturb(Disturbance::Cut, now());
        reports.disturb(Disturbance::Kill, now());
        assert_eq!(reports.find_missing(), None, "the others may have been cut off from it");
        reports.close().unwrap();
        assert_eq!((reports.lost_count, reports.exact_count), (1, 0));
    }

    #[test]
    fn faults_before_all_was_exact_excuse_nothing_after_it() {
        let mut reports = written("settled", &line(ONCE, 2));
        reports.begin(ONCE, now());
        assert!(reports.settle().unwrap_err().to_string().contains("has members"));
        reports.disturb(Disturbance::Cut, now());
        reports.settle().unwrap();
        assert_eq!(reports.repeated_count, 1);
        reports.end(ONCE, true, now());
        assert!(reports.find_missing().is_some(), "this is a second end");
        fs::write(&reports.path, line(ONCE, 1)).unwrap();
        reports.tail = None;
        reports.tend().unwrap();
        fs::remove_file(&reports.path).unwrap();
        assert_eq!(reports.find_missing(), None);
        reports.close().unwrap();
        assert_eq!(reports.exact_count, 1);
    }

    #[test]
    fn after_a_cut_a_report_may_be_superseded_by_one_with_more_joins() {
        for (cuts, lines, expected) in [
            (1, [1, 2], Ok(())),
            (1, [2, 1], Ok(())),
            (0, [1, 2], Err("too many")),
            (1, [2, 2], Err("supersedes no other")),
        ] {
            let mut reports = scene("superseded");
            for _ in 0..cuts {
                reports.disturb(Disturbance::Cut, now());
            }
            reports.begin(ONCE, now());
            reports.settle().unwrap();
            reports.end(ONCE, true, now());
            fs::write(&reports.path, lines.map(|connections| line(ONCE, connections)).concat()).unwrap();
            reports.tend().unwrap();
            fs::remove_file(&reports.path).unwrap();
            let closed = reports.close().map_err(|error| error.to_string());
            match expected {
                Ok(()) => closed.unwrap(),
                Err(part) => assert!(closed.unwrap_err().contains(part)),
            }
        }
    }

    #[test]
    fn an_event_that_had_members_in_the_end_has_a_report_of_its_end() {
        let mut reports = written("present", &(line(ONCE, 2) + &line(0, 5)));
        reports.send_away([0, 1, ONCE].into_iter());
        assert!(reports.find_missing().unwrap().contains("as of 2 events"), "one report came before the end");
        reports.tail = None;
        fs::write(&reports.path, line(0, 7)).unwrap();
        reports.tend().unwrap();
        fs::remove_file(&reports.path).unwrap();
        assert!(reports.find_missing().unwrap().starts_with("soak1 "));
        reports.present.pop();
        assert_eq!(reports.find_missing(), None);
        reports.close().unwrap();
    }

    #[test]
    fn a_line_must_be_whole_and_of_an_event() {
        for text in ["{\"namespace\":\"soak9\"}\n".to_owned(), line(ONCE, 1).replace("soak", "x")] {
            let mut reports = scene("line");
            fs::write(&reports.path, text).unwrap();
            let error = reports.tend().unwrap_err().to_string();
            fs::remove_file(&reports.path).unwrap();
            assert!(error.contains("report"), "{error}");
        }
    }
}
