//! What is watched: each namespace with its total, and the sums of prefixes.
//!
//! Owns the totals as of the last round, by name and in the order of names: all that begin alike lie together, so a sum and
//! all that a prefix stands for are a stretch of the table. Names stay while somebody watches them by name, while anybody is
//! there, and until all have heard that nobody is.
//!
//! Each change of a total changes the sums of the prefixes that its name begins with. There may be many of them, but only
//! the lengths that they have are looked up: at most one for each byte of the name.
//!
//! Invariant: the sum of a prefix is that of the totals of all names that begin with it; while it is made up, of those up to
//! where that has come.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::rc::Rc;

use super::milestones::{Figures, Thresholds};
use crate::collections::Key;
use crate::collections::slab::Slab;
use crate::meter::Changed;

/// The key of a name.
pub(super) type NameId = Key;

/// The key of a prefix.
pub(super) type PrefixId = Key;

/// What somebody watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// A namespace.
    Name(NameId),
    /// All whose names begin alike, and their sum.
    Prefix(PrefixId),
}

#[derive(Debug)]
pub(super) struct Name {
    pub(super) text: Rc<str>,
    pub(super) figures: Figures,
    /// How many watch it by name.
    pins: u32,
    /// Whether it is in `vacant`.
    is_vacant: bool,
}

#[derive(Debug)]
pub(super) struct Prefix {
    /// What names begin with.
    pub(super) text: Rc<str>,
    /// What it is called: with a star.
    pub(super) pattern: Rc<str>,
    /// Of the sum, as it was when the last round was taken over.
    pub(super) figures: Figures,
    /// As it is now; of the names that are in it, while it is made up.
    sum: u64,
    pub(super) is_summed: bool,
    /// Whether it is in `touched`.
    is_touched: bool,
    pins: u32,
}

/// All that is watched, or may be by somebody's prefix.
#[derive(Debug)]
pub(super) struct Subjects {
    pub(super) thresholds: Thresholds,
    names: Slab<Name>,
    /// All of them.
    pub(super) by_name: Ordered,
    /// Those that have changed in this round, if somebody watches a prefix of them.
    pub(super) changed: Ordered,
    prefixes: Slab<Prefix>,
    by_prefix: BTreeMap<Rc<str>, PrefixId>,
    /// How many prefixes there are of each length.
    lengths: Vec<u32>,
    /// Prefixes that have not been summed.
    unsummed: BTreeSet<PrefixId>,
    summing: Summing,
    /// Prefixes whose sums have changed in this round, some of them perhaps gone.
    touched: Vec<PrefixId>,
    /// Names of which nobody is there, to be dropped.
    vacant: VecDeque<NameId>,
}

/// How far the sums have come.
#[derive(Debug, Default)]
struct Summing {
    /// Whose sum is being made up, or was last.
    prefix: PrefixId,
    /// The last name that is in it.
    last: Option<Rc<str>>,
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
            prefixes: Slab::default(),
            by_prefix: BTreeMap::new(),
            lengths: Vec::new(),
            unsummed: BTreeSet::new(),
            summing: Summing::default(),
            touched: Vec::new(),
            vacant: VecDeque::new(),
        }
    }

    pub(super) fn name(&self, id: NameId) -> &Name {
        self.names.at(id)
    }

    pub(super) fn prefix(&self, id: PrefixId) -> &Prefix {
        self.prefixes.at(id)
    }

    /// Those of these names that begin with a prefix, after `last`, in their order.
    pub(super) fn after<'a>(
        &'a self,
        names: &'a Ordered,
        prefix: PrefixId,
        last: Option<&str>,
    ) -> impl Iterator<Item = (NameId, &'a Name)> + use<'a> {
        let prefix = &*self.prefixes.at(prefix).text;
        let start = last.map_or(Bound::Included(prefix), Bound::Excluded);
        let names = names.range::<str, _>((start, Bound::Unbounded));
        names.take_while(move |(name, _)| name.starts_with(prefix)).map(|(_, &id)| (id, self.names.at(id)))
    }

    /// One more watches this namespace.
    pub(super) fn pin_name(&mut self, name: &str) -> NameId {
        let id = match self.by_name.get(name) {
            Some(&id) => id,
            None => self.insert(name.into(), Figures::default()),
        };
        self.names.at_mut(id).pins += 1;
        id
    }

    /// One more watches all that begin like this.
    pub(super) fn pin_prefix(&mut self, prefix: &str) -> PrefixId {
        let id = match self.by_prefix.get(prefix) {
            Some(&id) => id,
            None => self.insert_prefix(prefix),
        };
        self.prefixes.at_mut(id).pins += 1;
        id
    }

    /// One less does.
    pub(super) fn unpin(&mut self, subject: Subject) {
        match subject {
            Subject::Name(id) => {
                let name = self.names.at_mut(id);
                name.pins -= 1;
                // Nobody was ever there, so nobody has heard of it by a prefix.
                if name.pins == 0 && name.figures.version == 0 {
                    self.remove_name(id);
                } else {
                    self.note_vacant(id);
                }
            }
            Subject::Prefix(id) => {
                let prefix = self.prefixes.at_mut(id);
                prefix.pins -= 1;
                if prefix.pins == 0 {
                    self.remove_prefix(id);
                }
            }
        }
    }

    /// A namespace that is there already.
    pub(super) fn find(&mut self, name: &Rc<str>, total: u64, peak: u64, round: u32) {
        let figures = Figures::found(total, peak, &self.thresholds, round);
        let id = match self.by_name.get(name) {
            Some(&id) => {
                self.names.at_mut(id).figures = figures;
                id
            }
            None => self.insert(name.clone(), figures),
        };
        self.note_vacant(id);
    }

    /// Takes over a change; returns how much that was.
    pub(super) fn change(&mut self, changed: &Changed, round: u32) -> usize {
        let &Changed { ref name, total, peak } = changed;
        let id = match self.by_name.get(name) {
            Some(&id) => id,
            None if total == 0 => return 1,
            None => self.insert(name.clone(), Figures::default()),
        };
        let figures = &mut self.names.at_mut(id).figures;
        let before = figures.total;
        if !figures.change(total, peak, &self.thresholds, round) {
            return 1;
        }
        self.note_vacant(id);
        let lengths = self.lengths.iter().enumerate().filter(|&(_, &count)| count > 0);
        let (mut looks, mut has_prefix) = (1, false);
        for prefix in lengths.map_while(|(length, _)| name.get(..length)) {
            looks += 1;
            let Some(&prefix_id) = self.by_prefix.get(prefix) else { continue };
            has_prefix = true;
            let prefix = self.prefixes.at_mut(prefix_id);
            if !std::mem::replace(&mut prefix.is_touched, true) {
                self.touched.push(prefix_id);
            }
            if prefix.is_summed || self.summing.has_passed(prefix_id, name) {
                prefix.sum = prefix.sum - before + total;
            }
        }
        if has_prefix {
            self.changed.insert(name.clone(), id);
        }
        looks
    }

    /// Takes over the sums of so many prefixes, once all totals of a round are; returns whether that is all.
    pub(super) fn change_sums(&mut self, prefixes: usize, round: u32) -> bool {
        let first = self.touched.len().saturating_sub(prefixes);
        for id in self.touched.drain(first..) {
            let Some(Prefix { figures, sum, is_touched, is_summed, .. }) = self.prefixes.get_mut(id) else { continue };
            *is_touched = false;
            if *is_summed {
                figures.change(*sum, *sum, &self.thresholds, round);
            }
        }
        self.touched.is_empty()
    }

    /// Whether all prefixes have their sums.
    pub(super) fn are_summed(&self) -> bool {
        self.unsummed.is_empty()
    }

    /// Goes on with sums that are missing, over so many names. Totals may change in between.
    pub(super) fn go_on_summing(&mut self, names: usize, round: u32) {
        let mut left = names;
        while left > 0 {
            let Summing { prefix, last } = std::mem::take(&mut self.summing);
            let next = self.unsummed.range(prefix..).next().or_else(|| self.unsummed.first());
            let Some(&id) = next else { return };
            let last = last.filter(|_| id == prefix);
            left = left.saturating_sub(self.go_on_with_sum(id, last, left, round));
        }
    }

    /// Goes on with a sum after the name `last`, over so many names; returns how much that was.
    fn go_on_with_sum(&mut self, id: PrefixId, last: Option<Rc<str>>, names: usize, round: u32) -> usize {
        let mut stretch = self.after(&self.by_name, id, last.as_deref());
        let (mut looks, mut sum, mut newest) = (1, 0, None);
        for (_, name) in stretch.by_ref().take(names) {
            looks += 1;
            sum += name.figures.total;
            newest = Some(&name.text);
        }
        let last = newest.cloned();
        let is_done = stretch.next().is_none();
        drop(stretch);
        let prefix = self.prefixes.at_mut(id);
        prefix.sum += sum;
        if is_done {
            self.unsummed.remove(&id);
            prefix.is_summed = true;
            prefix.figures = Figures::found(prefix.sum, prefix.sum, &self.thresholds, round);
        }
        self.summing = Summing { prefix: id, last: last.filter(|_| !is_done) };
        looks
    }

    /// A round begins: forgets what has changed in the one before, so many names of it; returns how many more it might be.
    pub(super) fn forget_changes(&mut self, names: usize) -> usize {
        drop_first(&mut self.changed, names)
    }

    /// How many names may be dropped.
    pub(super) fn vacant(&self) -> usize {
        self.vacant.len()
    }

    /// Drops the next name of which nobody is there, if all have heard so who have heard of this round, nobody watches it by
    /// its name, and it is forgotten; until then its peak is of use.
    pub(super) fn drop_vacant(&mut self, heard_by_all: u32, is_forgotten: impl FnOnce(&str) -> bool) {
        let Some(id) = self.vacant.pop_front() else { return };
        let name = self.names.at_mut(id);
        let is_idle = name.figures.total == 0 && name.pins == 0;
        if !is_idle {
            name.is_vacant = false;
        } else if name.figures.version > heard_by_all || !is_forgotten(&name.text) {
            self.vacant.push_back(id);
        } else {
            self.remove_name(id);
        }
    }

    /// Drops so many names, whatever they are; returns how many more it might be: 0 if some are left.
    pub(super) fn dismantle(&mut self, names: usize) -> usize {
        let mut left = drop_first(&mut self.changed, names);
        while left > 0 {
            let Some((_, id)) = self.by_name.pop_first() else { return left };
            self.names.remove(id);
            left -= 1;
        }
        0
    }

    /// How many names are kept.
    #[cfg(test)]
    pub(super) fn names(&self) -> usize {
        self.names.len()
    }

    #[cfg(test)]
    pub(super) fn check_invariants(&self) {
        assert_eq!((self.names.len(), self.prefixes.len()), (self.by_name.len(), self.by_prefix.len()));
        assert_eq!(self.lengths.iter().sum::<u32>() as usize, self.prefixes.len());
        for (id, prefix) in self.prefixes.iter() {
            assert_eq!(prefix.is_summed, !self.unsummed.contains(&id), "{}", prefix.pattern);
            let is_in_sum = |name: &Name| prefix.is_summed || self.summing.has_passed(id, &name.text);
            let names = self.after(&self.by_name, id, None).map(|(_, name)| name).filter(|name| is_in_sum(name));
            assert_eq!(prefix.sum, names.map(|name| name.figures.total).sum::<u64>(), "{}", prefix.pattern);
        }
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

    fn note_vacant(&mut self, id: NameId) {
        let name = self.names.at_mut(id);
        if name.figures.total == 0 && name.pins == 0 && !name.is_vacant {
            name.is_vacant = true;
            self.vacant.push_back(id);
        }
    }

    fn insert_prefix(&mut self, prefix: &str) -> PrefixId {
        let text: Rc<str> = prefix.into();
        let id = self.prefixes.insert(Prefix {
            text: text.clone(),
            pattern: format!("{prefix}*").into(),
            figures: Figures::default(),
            sum: 0,
            is_summed: false,
            is_touched: false,
            pins: 0,
        });
        self.by_prefix.insert(text, id);
        let lengths = self.lengths.len().max(prefix.len() + 1);
        self.lengths.resize(lengths, 0);
        if let Some(count) = self.lengths.get_mut(prefix.len()) {
            *count += 1;
        }
        self.unsummed.insert(id);
        id
    }

    fn remove_prefix(&mut self, id: PrefixId) {
        let Some(Prefix { text, .. }) = self.prefixes.remove(id) else { return };
        self.by_prefix.remove(&text);
        if let Some(count) = self.lengths.get_mut(text.len()) {
            *count -= 1;
        }
        self.unsummed.remove(&id);
        if self.summing.prefix == id {
            self.summing.last = None;
        }
    }
}

impl Summing {
    /// Whether the sum of this prefix is being made up, and has come past this name.
    fn has_passed(&self, prefix: PrefixId, name: &str) -> bool {
        self.prefix == prefix && self.last.as_deref().is_some_and(|last| name <= last)
    }
}

/// Drops so many names, the first; returns how many more it might be: 0 if some are left.
fn drop_first(names: &mut Ordered, most: usize) -> usize {
    let mut left = most;
    while left > 0 && names.pop_first().is_some() {
        left -= 1;
    }
    left
}
