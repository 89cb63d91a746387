//! What is watched: each namespace with its total.
//!
//! Owns the totals as of the last round, by name and in the order of names. Names that begin alike lie together, so the names
//! of a prefix are a stretch of the table. Names stay while they are watched by name, while their total is
//! not 0, and until all watchers have received that it is.
//!
//! Invariant: a name is here while it is watched by name or its total is not 0; any other waits in `vacant` to be dropped.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::rc::Rc;

use super::milestones::{Figures, Thresholds};
use super::sums::{PrefixId, Reach, Sums};
use crate::collections::key::key_type;
use crate::collections::sections::{Reader, Writer};
use crate::collections::slab::Slab;
use crate::meter::Changed;

key_type! {
    /// The key of a name.
    pub(super) NameId
}

/// What a watcher asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pattern<'a> {
    /// The namespace of this name.
    Name(&'a str),
    /// All namespaces whose names begin like this, and their sum.
    Prefix(&'a str),
}

/// What is watched by one pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// A namespace.
    Name(NameId),
    /// All whose names begin alike, and their sum.
    Prefix(PrefixId),
}

impl Subject {
    pub(super) fn write(self, out: &mut Writer) {
        out.flag(matches!(self, Self::Prefix(_)));
        match self {
            Self::Name(id) => out.key(id),
            Self::Prefix(id) => out.key(id),
        }
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        if from.flag() { Self::Prefix(from.key()) } else { Self::Name(from.key()) }
    }
}

#[derive(Debug)]
pub(super) struct Name {
    pub(super) text: Rc<str>,
    pub(super) figures: Figures,
    /// The number of patterns that name it.
    pins: u32,
    /// Whether it is in `vacant`.
    is_vacant: bool,
}

/// All that is watched, by name or by a prefix.
#[derive(Debug)]
pub(super) struct Subjects {
    pub(super) thresholds: Thresholds,
    names: Slab<NameId, Name>,
    /// All of them.
    pub(super) by_name: Ordered,
    /// Those that have changed in this round, if a prefix of them is watched.
    pub(super) changed: Ordered,
    pub(super) sums: Sums,
    /// Names with a total of 0, to be dropped.
    vacant: VecDeque<NameId>,
}

/// Names in their order.
pub(super) type Ordered = BTreeMap<Rc<str>, NameId>;

impl Subjects {
    pub(super) fn new(thresholds: Thresholds) -> Self {
        Self {
            thresholds,
            names: Slab::default(),
            by_name: Ordered::new(),
            changed: Ordered::new(),
            sums: Sums::default(),
            vacant: VecDeque::new(),
        }
    }

    pub(super) fn write(&self, out: &mut Writer) {
        let Self { thresholds, names, by_name: _, changed, sums, vacant } = self;
        thresholds.write(out);
        names.write(out, &mut |name, out| {
            let Name { text, figures, pins, is_vacant } = name;
            out.text(text);
            figures.write(out);
            out.number((*pins).into());
            out.flag(*is_vacant);
        });
        out.count(changed.len());
        for &id in changed.values() {
            out.key(id);
        }
        sums.write(out);
        out.count(vacant.len());
        for &id in vacant {
            out.key(id);
        }
    }

    /// The subjects that were written. These thresholds hold from now on.
    pub(super) fn read(thresholds: Thresholds, from: &mut Reader<'_>) -> Self {
        let mut subjects = Self::new(thresholds);
        let are_same = subjects.thresholds.are_those_of(from);
        let by_name = &mut subjects.by_name;
        let names = Slab::read(from, &mut |id, from| {
            let (text, figures): (Rc<str>, _) = (from.text().into(), Figures::read(from));
            let is_first = by_name.insert(text.clone(), id).is_none();
            from.check(is_first, "a name that is watched twice");
            Name { text, figures, pins: from.small(), is_vacant: from.flag() }
        });
        subjects.names = names;
        let mut list = from.list();
        while from.has_next(&mut list) {
            if let Some((id, text)) = subjects.read_name(from) {
                subjects.changed.insert(text, id);
            }
        }
        subjects.sums = Sums::read(from);
        let mut list = from.list();
        while from.has_next(&mut list) {
            if let Some((id, _)) = subjects.read_name(from) {
                subjects.vacant.push_back(id);
            }
        }
        if !are_same {
            let Self { thresholds, names, sums, .. } = &mut subjects;
            let totals = names.iter_mut().map(|(_, name)| &mut name.figures);
            totals.chain(sums.figures_mut()).for_each(|figures| figures.measure(thresholds));
        }
        subjects
    }

    fn read_name(&self, from: &mut Reader<'_>) -> Option<(NameId, Rc<str>)> {
        let id = from.key();
        let name = self.names.get(id);
        from.check(name.is_some(), "a name that is not watched");
        name.map(|name| (id, name.text.clone()))
    }

    /// Whether a subject is one of these.
    pub(super) fn has(&self, subject: Subject) -> bool {
        match subject {
            Subject::Name(id) => self.names.get(id).is_some(),
            Subject::Prefix(id) => self.sums.has(id),
        }
    }

    pub(super) fn name(&self, id: NameId) -> &Name {
        self.names.at(id)
    }

    /// Those of these names that begin with a prefix, after `last`, in their order.
    pub(super) fn after<'a>(
        &'a self,
        names: &'a Ordered,
        prefix: PrefixId,
        last: Option<&str>,
    ) -> impl Iterator<Item = (NameId, &'a Name)> + use<'a> {
        let prefix = &*self.sums.prefix(prefix).text;
        let start = last.map_or(Bound::Included(prefix), Bound::Excluded);
        let names = names.range::<str, _>((start, Bound::Unbounded));
        names.take_while(move |(name, _)| name.starts_with(prefix)).map(|(_, &id)| (id, self.names.at(id)))
    }

    /// One more pattern is watched.
    pub(super) fn pin(&mut self, pattern: Pattern<'_>) -> Subject {
        match pattern {
            Pattern::Name(name) => Subject::Name(self.pin_name(name)),
            Pattern::Prefix(prefix) => Subject::Prefix(self.sums.pin(prefix)),
        }
    }

    fn pin_name(&mut self, name: &str) -> NameId {
        let id = match self.by_name.get(name) {
            Some(&id) => id,
            None => self.insert(name.into(), Figures::default()),
        };
        self.names.at_mut(id).pins += 1;
        id
    }

    /// One pattern less is watched.
    pub(super) fn unpin(&mut self, subject: Subject) {
        match subject {
            Subject::Name(id) => {
                let name = self.names.at_mut(id);
                name.pins -= 1;
                // Its total was always 0, so no watcher has received it by a prefix.
                if name.pins == 0 && name.figures.version == 0 {
                    self.remove_name(id);
                } else {
                    self.queue_vacant(id);
                }
            }
            Subject::Prefix(id) => self.sums.unpin(id),
        }
    }

    /// A namespace is there already.
    pub(super) fn find(&mut self, name: &Rc<str>, total: u64, peak: u64, round: u32) {
        let figures = Figures::found(total, peak, &self.thresholds, round);
        let id = match self.by_name.get(name) {
            Some(&id) => {
                self.names.at_mut(id).figures = figures;
                id
            }
            None => self.insert(name.clone(), figures),
        };
        self.queue_vacant(id);
    }

    /// Takes over a change; returns how many names were looked at.
    pub(super) fn change(&mut self, changed: &Changed, round: u32) -> usize {
        let &Changed { ref name, total, peak, is_anew } = changed;
        let id = match self.by_name.get(name) {
            Some(&id) => id,
            None if total == 0 => return 1,
            None => self.insert(name.clone(), Figures::default()),
        };
        let figures = &mut self.names.at_mut(id).figures;
        let before = figures.total;
        if is_anew {
            figures.begin_anew(total, peak);
        }
        if !figures.change(total, peak, &self.thresholds, round) {
            return 1;
        }
        self.queue_vacant(id);
        let Reach { looks, is_watched } = self.sums.change(name, before, total);
        if is_watched {
            self.changed.insert(name.clone(), id);
        }
        1 + looks
    }

    /// Takes over the sums of `prefixes` prefixes, once all totals of a round are; returns whether that is all.
    pub(super) fn change_sums(&mut self, prefixes: usize, round: u32) -> bool {
        self.sums.take_over(prefixes, &self.thresholds, round)
    }

    /// Goes on with sums that are missing, over `names` names.
    pub(super) fn go_on_summing(&mut self, names: usize, round: u32) {
        let mut left = names;
        while left > 0 {
            let Some((id, last)) = self.sums.next() else { return };
            let mut stretch = self.after(&self.by_name, id, last.as_deref());
            let (mut looks, mut total, mut newest) = (1, 0, None);
            for (_, name) in stretch.by_ref().take(left) {
                looks += 1;
                total += name.figures.total;
                newest = Some(&name.text);
            }
            let newest = newest.cloned();
            let is_all = stretch.next().is_none();
            drop(stretch);
            self.sums.go_on(id, newest, total);
            if is_all {
                self.sums.complete(id, &self.thresholds, round);
            }
            left = left.saturating_sub(looks);
        }
    }

    /// A round begins: forgets `names` changes of the one before; returns how much of the budget is left.
    pub(super) fn forget_changes(&mut self, names: usize) -> usize {
        drop_first(&mut self.changed, names)
    }

    /// The number of names that may be dropped.
    pub(super) fn vacant_count(&self) -> usize {
        self.vacant.len()
    }

    /// Drops the next name with a total of 0, if all watchers have received that total, no pattern names it, and the namespace
    /// is forgotten; until then its peak is of use.
    pub(super) fn drop_vacant(&mut self, known_by_all: u32, is_forgotten: impl FnOnce(&str) -> bool) {
        let Some(id) = self.vacant.pop_front() else { return };
        let name = self.names.at_mut(id);
        let is_idle = name.figures.total == 0 && name.pins == 0;
        if !is_idle {
            name.is_vacant = false;
        } else if name.figures.version > known_by_all || !is_forgotten(&name.text) {
            self.vacant.push_back(id);
        } else {
            self.remove_name(id);
        }
    }

    /// Drops `names` names of any kind; returns how much of the budget is left: 0 if some names are.
    pub(super) fn dismantle(&mut self, names: usize) -> usize {
        let mut left = drop_first(&mut self.changed, names);
        while left > 0 {
            let Some((_, id)) = self.by_name.pop_first() else { return left };
            self.names.remove(id);
            left -= 1;
        }
        0
    }

    /// The number of names that are kept.
    #[cfg(test)]
    pub(super) fn name_count(&self) -> usize {
        self.names.len()
    }

    #[cfg(test)]
    pub(super) fn check_invariants(&self) {
        assert_eq!(self.names.len(), self.by_name.len());
        let totals = self.by_name.iter().map(|(name, &id)| (&**name, self.name(id).figures.total));
        self.sums.check_invariants(&totals.collect::<Vec<_>>());
        for (id, name) in self.names.iter() {
            let is_needed = name.pins > 0 || name.figures.total > 0 || self.vacant.contains(&id);
            assert!(is_needed && name.is_vacant == self.vacant.contains(&id), "{}", name.text);
        }
    }

    fn insert(&mut self, name: Rc<str>, figures: Figures) -> NameId {
        let id = self.names.insert(Name { text: name.clone(), figures, pins: 0, is_vacant: false });
        self.by_name.insert(name, id);
        id
    }

    fn remove_name(&mut self, id: NameId) {
        if let Some(name) = self.names.remove(id) {
            self.by_name.remove(&name.text);
        }
    }

    fn queue_vacant(&mut self, id: NameId) {
        let name = self.names.at_mut(id);
        if name.figures.total == 0 && name.pins == 0 && !name.is_vacant {
            name.is_vacant = true;
            self.vacant.push_back(id);
        }
    }
}

/// Drops the first names, at most `most`; returns how much of the budget is left: 0 if some names are.
fn drop_first(names: &mut Ordered, most: usize) -> usize {
    let mut left = most;
    while left > 0 && names.pop_first().is_some() {
        left -= 1;
    }
    left
}
