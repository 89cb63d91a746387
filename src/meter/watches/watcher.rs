//! One watcher: what it watches, and how much of it it has heard.
//!
//! Owns the way along its subjects, piece by piece, in step with a round or catching up. What lies within several of its
//! patterns is told once: by the name if it is watched by name, else by the first prefix.
//!
//! Invariant: when a watcher has heard of a round, it was told each total that it watches and that was another when it heard
//! last.

use std::rc::Rc;

use super::Budgets;
use super::milestones::{Figures, Milestone};
use super::subjects::{NameId, Ordered, Subject, Subjects};
use super::sums::PrefixId;

/// What a line takes beside the name: a field, a number and a line feed.
const LINE_BYTES: usize = 16;

/// As many patterns are compared with a name in the time in which a name is looked at.
const PATTERNS_PER_LOOK: usize = 16;

/// What a watcher asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pattern<'a> {
    /// The namespace of this name.
    Name(&'a str),
    /// All namespaces whose names begin like this, and their sum.
    Prefix(&'a str),
}

/// What a watcher is told in one go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    /// Names, or prefixes with a star, and their totals.
    pub counts: Vec<(Rc<str>, u64)>,
    /// What was passed, by which of them, and the number that goes with it.
    pub milestones: Vec<(Milestone, Rc<str>, u64)>,
    /// That there is nothing to tell: it shows that somebody is there.
    pub is_beat: bool,
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
    }
}

#[derive(Debug)]
pub(super) struct Watcher {
    pub(super) subjects: Box<[Subject]>,
    /// Where it is in the list of all.
    pub(super) place: usize,
    /// The last round whose totals it knows; 0 before it knows any.
    pub(super) heard: u32,
    pub(super) progress: Progress,
    /// Whether it has not taken what it was told.
    pub(super) is_stalled: bool,
}

/// How much a watcher was told of what it is being told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// All.
    Done,
    /// Of what has changed in this round.
    InStep { round: u32, at: Place },
    /// Of all that is newer than what it knew; it was begun after this round.
    CatchingUp { since: u32, at: Place },
}

/// How far a telling has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// Whether the subjects themselves are told.
    is_begun: bool,
    /// Before which subject all is told; and of that, the names up to this one.
    subject: usize,
    last: Option<Rc<str>>,
}

impl Watcher {
    /// The changes since this round are still needed for it.
    pub(super) fn needs_changes_since(&self) -> u32 {
        match self.progress {
            Progress::CatchingUp { since, ref at } if at.is_begun && self.heard == 0 => since,
            // It will be told what there is when it begins.
            _ if self.heard == 0 => u32::MAX,
            _ => self.heard,
        }
    }

    /// Whether it has come just now, and not all that it watches is known yet.
    pub(super) fn waits_for_sums(&self, subjects: &Subjects) -> bool {
        let is_missing =
            |&subject| matches!(subject, Subject::Prefix(prefix) if !subjects.sums.prefix(prefix).is_summed);
        self.heard == 0 && self.subjects.iter().any(is_missing)
    }

    /// Puts the next part of what it is being told into a piece; returns how many names were looked at.
    pub(super) fn tell(&mut self, subjects: &Subjects, round: u32, budgets: Budgets, piece: &mut Piece) -> usize {
        let mut telling = Telling { watched: &self.subjects, subjects, round, budgets, piece, bytes: 0, looks: 1 };
        self.progress = match std::mem::replace(&mut self.progress, Progress::Done) {
            Progress::Done => Progress::Done,
            Progress::InStep { round, mut at } => {
                if telling.tell_changes(&mut at) {
                    self.heard = round;
                    Progress::Done
                } else {
                    Progress::InStep { round, at }
                }
            }
            Progress::CatchingUp { since, mut at } => {
                let since = if at.is_begun { since } else { round };
                if telling.tell_all(&mut at, self.heard) {
                    self.heard = since;
                    Progress::Done
                } else {
                    Progress::CatchingUp { since, at }
                }
            }
        };
        telling.looks
    }
}

/// A name as it is told beside sums, which end in a star: its own star is percent-encoded, or a stranger who joins `*` would have
/// the sum of everybody be 1.
fn as_no_sum(name: &Rc<str>) -> Rc<str> {
    name.strip_suffix('*').map_or_else(|| name.clone(), |start| format!("{start}%2A").into())
}

/// A piece, and what it is made of.
struct Telling<'a> {
    watched: &'a [Subject],
    subjects: &'a Subjects,
    round: u32,
    budgets: Budgets,
    piece: &'a mut Piece,
    bytes: usize,
    looks: usize,
}

impl Telling<'_> {
    /// Goes on with what has changed in this round; returns whether that is all.
    fn tell_changes(&mut self, at: &mut Place) -> bool {
        if !std::mem::replace(&mut at.is_begun, true) {
            self.each_subject(Self::push_news);
        }
        self.each_name(&self.subjects.changed, at, |_| true, Self::push_news)
    }

    /// Goes on with all that is newer than what was heard, which is nothing if that is 0; returns whether that is all.
    fn tell_all(&mut self, at: &mut Place, heard: u32) -> bool {
        let is_newer = |figures: &Figures| figures.version > heard;
        if !std::mem::replace(&mut at.is_begun, true) {
            self.each_subject(|telling, name, figures| {
                if heard == 0 || is_newer(figures) {
                    telling.push_count(name, figures);
                }
            });
        }
        let is_news = |figures: &Figures| is_newer(figures) && (heard > 0 || figures.total > 0);
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
                    if !self.is_told_elsewhere(at.subject, id, &name.text) {
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
    fn is_told_elsewhere(&self, subject: usize, id: NameId, name: &str) -> bool {
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
