//! One watcher: what it watches, and how much of it it has received.
//!
//! Owns the way along its subjects, piece by piece, in step with a round or catching up. A namespace that lies within several
//! of its patterns is sent once: by its name if it is watched by name, else by the first prefix.
//!
//! Invariant: when a watcher knows a round, it has received each total that it watches and that differs from what it received
//! last.

use std::rc::Rc;

use super::budgets::Budgets;
use super::milestones::{Figures, Milestone};
use super::subjects::{NameId, Ordered, Subject, Subjects};
use super::sums::PrefixId;
use crate::collections::key::key_type;
use crate::collections::sections::{Reader, Writer};

/// What a line takes beside the name: a field, a number and a line feed.
const LINE_BYTES: usize = 16;

/// The number of patterns that are compared with a name in the time in which a name is looked at.
const PATTERNS_PER_LOOK: usize = 16;

key_type! {
    /// A watcher's key, chosen by the caller and unique among watchers.
    pub WatcherId
}

/// What a watcher receives in one go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    /// Names, or prefixes with a star, and their totals.
    pub counts: Vec<(Rc<str>, u64)>,
    /// What was passed, by which of them, and the number that goes with it.
    pub milestones: Vec<(Milestone, Rc<str>, u64)>,
    /// That nothing has changed: it shows that the daemon is there.
    pub is_beat: bool,
    /// Whether these are the first counts of their watcher.
    pub is_first: bool,
}

impl Piece {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty() && self.milestones.is_empty() && !self.is_beat
    }

    pub(super) fn clear(&mut self) {
        self.counts.clear();
        self.milestones.clear();
        self.is_beat = false;
        self.is_first = false;
    }
}

#[derive(Debug)]
pub(super) struct Watcher {
    pub(super) subjects: Box<[Subject]>,
    /// Where it is in the list of all.
    pub(super) place: usize,
    /// The last round whose totals it knows; 0 before it knows any.
    pub(super) known_round: u32,
    pub(super) progress: Progress,
    /// Whether it has not taken its last piece.
    pub(super) is_stalled: bool,
    /// Whether it has received counts.
    has_counts: bool,
}

/// How much of an update a watcher has received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// All.
    Done,
    /// A part of what has changed in this round.
    InStep { round: u32, at: Place },
    /// A part of all that is newer than what it knew; the update was begun after this round.
    CatchingUp { since: u32, at: Place },
}

/// How far an update has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// Whether the subjects themselves are sent.
    is_begun: bool,
    /// Before which subject all is sent.
    subject: usize,
    /// The last name that was sent of that subject.
    last: Option<Rc<str>>,
}

impl Place {
    fn read(from: &mut Reader<'_>) -> Self {
        let (is_begun, subject) = (from.flag(), from.size());
        Self { is_begun, subject, last: from.flag().then(|| from.text().into()) }
    }
}

impl Watcher {
    /// A watcher that knows nothing yet.
    pub(super) fn new(subjects: Box<[Subject]>, place: usize) -> Self {
        Self { subjects, place, known_round: 0, progress: Progress::Done, is_stalled: false, has_counts: false }
    }

    pub(super) fn write(&self, out: &mut Writer) {
        let Self { subjects, place: _, known_round, progress, is_stalled, has_counts } = self;
        out.count(subjects.len());
        for subject in subjects {
            subject.write(out);
        }
        out.number((*known_round).into());
        out.flag(*is_stalled);
        out.flag(*has_counts);
        let (kind, round, at) = match progress {
            Progress::Done => (0, 0, None),
            Progress::InStep { round, at } => (1, *round, Some(at)),
            Progress::CatchingUp { since, at } => (2, *since, Some(at)),
        };
        out.number(kind);
        if let Some(Place { is_begun, subject, last }) = at {
            out.number(round.into());
            out.flag(*is_begun);
            out.count(*subject);
            out.flag(last.is_some());
            if let Some(last) = last {
                out.text(last);
            }
        }
    }

    /// The watcher that was written, at this place in the list of all.
    pub(super) fn read(place: usize, all: &Subjects, from: &mut Reader<'_>) -> Self {
        let (mut subjects, mut list) = (Vec::new(), from.list());
        while from.has_next(&mut list) {
            let subject = Subject::read(from);
            if from.check(all.has(subject), "a watcher of what is not watched") {
                subjects.push(subject);
            }
        }
        let (known_round, is_stalled, has_counts) = (from.small(), from.flag(), from.flag());
        let progress = match from.number() {
            1 => Progress::InStep { round: from.small(), at: Place::read(from) },
            2 => Progress::CatchingUp { since: from.small(), at: Place::read(from) },
            kind => {
                from.check(kind == 0, "an update at an unknown stage");
                Progress::Done
            }
        };
        Self { subjects: subjects.into(), place, known_round, progress, is_stalled, has_counts }
    }

    /// Begins an update in this round; returns whether the watcher is in step with it.
    pub(super) fn begin(&mut self, round: u32) -> bool {
        let at = Place::default();
        let is_in_step = self.known_round > 0 && self.known_round + 1 == round;
        self.progress = if is_in_step { Progress::InStep { round, at } } else { Progress::CatchingUp { since: 0, at } };
        is_in_step
    }

    /// The changes since this round are still needed for it.
    pub(super) fn needs_changes_since(&self) -> u32 {
        match self.progress {
            Progress::CatchingUp { since, ref at } if at.is_begun && self.known_round == 0 => since,
            // It will receive what there is when its update begins.
            _ if self.known_round == 0 => u32::MAX,
            _ => self.known_round,
        }
    }

    /// Whether it has come just now, and not all that it watches is known yet.
    pub(super) fn waits_for_sums(&self, subjects: &Subjects) -> bool {
        let is_missing =
            |&subject| matches!(subject, Subject::Prefix(prefix) if !subjects.sums.prefix(prefix).is_summed);
        self.known_round == 0 && self.subjects.iter().any(is_missing)
    }

    /// Puts the next part of its update into a piece; returns how many names were looked at.
    pub(super) fn update(&mut self, subjects: &Subjects, round: u32, budgets: Budgets, piece: &mut Piece) -> usize {
        let mut draft = Draft { watched: &self.subjects, subjects, round, budgets, piece, bytes: 0, looks: 1 };
        self.progress = match std::mem::replace(&mut self.progress, Progress::Done) {
            Progress::Done => Progress::Done,
            Progress::InStep { round, mut at } => {
                if draft.push_changes(&mut at) {
                    self.known_round = round;
                    Progress::Done
                } else {
                    Progress::InStep { round, at }
                }
            }
            Progress::CatchingUp { since, mut at } => {
                let since = if at.is_begun { since } else { round };
                if draft.push_all(&mut at, self.known_round) {
                    self.known_round = since;
                    Progress::Done
                } else {
                    Progress::CatchingUp { since, at }
                }
            }
        };
        let looks = draft.looks;
        if !piece.counts.is_empty() {
            piece.is_first = !std::mem::replace(&mut self.has_counts, true);
        }
        looks
    }
}

/// A name as it is sent beside sums, which end in a star: its own star is percent-encoded, or a stranger in `*` would set
/// the sum of all to 1.
fn as_no_sum(name: &Rc<str>) -> Rc<str> {
    name.strip_suffix('*').map_or_else(|| name.clone(), |start| format!("{start}%2A").into())
}

/// A piece, and what it is made of.
struct Draft<'a> {
    watched: &'a [Subject],
    subjects: &'a Subjects,
    round: u32,
    budgets: Budgets,
    piece: &'a mut Piece,
    bytes: usize,
    looks: usize,
}

impl Draft<'_> {
    /// Goes on with what has changed in this round; returns whether that is all.
    fn push_changes(&mut self, at: &mut Place) -> bool {
        if !std::mem::replace(&mut at.is_begun, true) {
            self.each_subject(Self::push_news);
        }
        self.each_name(&self.subjects.changed, at, |_| true, Self::push_news)
    }

    /// Goes on with all that is newer than the known round, which is none if that is 0; returns whether that is all.
    fn push_all(&mut self, at: &mut Place, known_round: u32) -> bool {
        let is_newer = |figures: &Figures| figures.version > known_round;
        if !std::mem::replace(&mut at.is_begun, true) {
            self.each_subject(|draft, name, figures| {
                if known_round == 0 || is_newer(figures) {
                    draft.push_count(name, figures);
                }
            });
        }
        let is_news = |figures: &Figures| is_newer(figures) && (known_round > 0 || figures.total > 0);
        self.each_name(&self.subjects.by_name, at, is_news, Self::push_count)
    }

    /// Goes on with those of these names that prefixes stand for, each once; returns whether that is all.
    fn each_name(
        &mut self,
        names: &Ordered,
        at: &mut Place,
        is_news: impl Fn(&Figures) -> bool,
        push: impl Fn(&mut Self, &Rc<str>, &Figures),
    ) -> bool {
        while let Some(&subject) = self.watched.get(at.subject) {
            if let Subject::Prefix(prefix) = subject {
                for (id, name) in self.subjects.after(names, prefix, at.last.clone().as_deref()) {
                    if !self.has_room() {
                        return false;
                    }
                    self.looks += 1;
                    at.last = Some(name.text.clone());
                    if !is_news(&name.figures) {
                        continue;
                    }
                    self.looks += self.watched.len() / PATTERNS_PER_LOOK;
                    if !self.is_sent_elsewhere(at.subject, id, &name.text) {
                        push(self, &as_no_sum(&name.text), &name.figures);
                    }
                }
            }
            (at.subject, at.last) = (at.subject + 1, None);
        }
        true
    }

    fn each_subject(&mut self, push: impl Fn(&mut Self, &Rc<str>, &Figures)) {
        for &subject in self.watched {
            self.looks += 1;
            match subject {
                Subject::Name(id) => {
                    let name = self.subjects.name(id);
                    push(self, &name.text, &name.figures);
                }
                Subject::Prefix(id) => {
                    let prefix = self.subjects.sums.prefix(id);
                    push(self, &prefix.pattern, &prefix.figures);
                }
            }
        }
    }

    /// Whether a name that one of the prefixes stands for is watched by itself, or by a prefix before that.
    fn is_sent_elsewhere(&self, subject: usize, id: NameId, name: &str) -> bool {
        let covers = |prefix: PrefixId| name.starts_with(&*self.subjects.sums.prefix(prefix).text);
        self.watched.iter().enumerate().any(|(index, &other)| match other {
            Subject::Name(other) => other == id,
            Subject::Prefix(prefix) => index < subject && covers(prefix),
        })
    }

    /// What has become of it in this round.
    fn push_news(&mut self, name: &Rc<str>, figures: &Figures) {
        if figures.version == self.round {
            self.push_count(name, figures);
        }
        for (milestone, number) in figures.milestones(&self.subjects.thresholds, self.round) {
            self.bytes += name.len() + LINE_BYTES;
            self.piece.milestones.push((milestone, name.clone(), number));
        }
    }

    fn push_count(&mut self, name: &Rc<str>, figures: &Figures) {
        self.bytes += name.len() + LINE_BYTES;
        self.piece.counts.push((name.clone(), figures.total));
    }

    fn has_room(&self) -> bool {
        let Budgets { lines, looks, bytes, .. } = self.budgets;
        self.piece.counts.len() < lines && self.looks < looks && self.bytes < bytes
    }
}
