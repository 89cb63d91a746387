//! The sums of prefixes.
//!
//! Owns the prefixes that are watched, and for each the sum of the totals of all names that begin with it. A new sum is
//! made bit by bit, along the names in their order, while totals may change. A change is added to the sums that have come past
//! its name; the others will still find it.
//!
//! Each change of a total changes the sums of the prefixes that its name begins with. There may be many of them, but only
//! the lengths that they have are looked up: at most one for each byte of the name.
//!
//! Invariant: the sum of a prefix is that of the totals of all names that begin with it; while it is made up, of those up to
//! where that has come.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::milestones::{Figures, Thresholds};
use crate::collections::key::Key as _;
use crate::collections::key::key_type;
use crate::collections::sections::{Reader, Writer};
use crate::collections::slab::Slab;

key_type! {
    /// The key of a prefix.
    pub(super) PrefixId
}

#[derive(Debug)]
pub(super) struct Prefix {
    /// What names begin with.
    pub(super) text: Rc<str>,
    /// What it is called: with a star.
    pub(super) pattern: Rc<str>,
    /// Of the sum, as it was when the last round was taken over.
    pub(super) figures: Figures,
    /// As it is now.
    sum: u64,
    pub(super) is_summed: bool,
    /// Whether it is in `touched`.
    is_touched: bool,
    /// The number of patterns that are this prefix.
    pins: u32,
}

impl Prefix {
    fn new(text: &str) -> Self {
        let pattern = format!("{text}*").into();
        Self {
            text: text.into(),
            pattern,
            figures: Figures::default(),
            sum: 0,
            is_summed: false,
            is_touched: false,
            pins: 0,
        }
    }
}

/// All prefixes that are watched.
#[derive(Debug, Default)]
pub(super) struct Sums {
    prefixes: Slab<PrefixId, Prefix>,
    by_text: BTreeMap<Rc<str>, PrefixId>,
    /// The number of prefixes of each length.
    lengths: Vec<u32>,
    /// Prefixes that have not been summed.
    unsummed: BTreeSet<PrefixId>,
    under_way: UnderWay,
    /// Prefixes whose sums have changed in this round, some of them perhaps gone.
    touched: Vec<PrefixId>,
}

/// The prefix whose sum grew last.
#[derive(Debug)]
struct UnderWay {
    id: PrefixId,
    /// The last name that is in its sum.
    last: Option<Rc<str>>,
}

impl Default for UnderWay {
    fn default() -> Self {
        Self { id: PrefixId::FIRST, last: None }
    }
}

/// What a change was to the prefixes of its name.
pub(super) struct Reach {
    /// The number of prefixes that were looked up.
    pub(super) looks: usize,
    /// Whether any of them is watched.
    pub(super) is_watched: bool,
}

impl Sums {
    pub(super) fn has(&self, id: PrefixId) -> bool {
        self.prefixes.get(id).is_some()
    }

    pub(super) fn prefix(&self, id: PrefixId) -> &Prefix {
        self.prefixes.at(id)
    }

    /// One more pattern is this prefix.
    pub(super) fn pin(&mut self, text: &str) -> PrefixId {
        let id = match self.by_text.get(text) {
            Some(&id) => id,
            None => self.insert(text),
        };
        self.prefixes.at_mut(id).pins += 1;
        id
    }

    /// One pattern less is this prefix.
    pub(super) fn unpin(&mut self, id: PrefixId) {
        let prefix = self.prefixes.at_mut(id);
        prefix.pins -= 1;
        if prefix.pins == 0 {
            self.remove(id);
        }
    }

    /// A total has changed.
    pub(super) fn change(&mut self, name: &str, before: u64, after: u64) -> Reach {
        let mut reach = Reach { looks: 0, is_watched: false };
        let lengths = self.lengths.iter().enumerate().filter(|&(_, &count)| count > 0);
        for text in lengths.map_while(|(length, _)| name.get(..length)) {
            reach.looks += 1;
            let Some(&id) = self.by_text.get(text) else { continue };
            reach.is_watched = true;
            let prefix = self.prefixes.at_mut(id);
            if !std::mem::replace(&mut prefix.is_touched, true) {
                self.touched.push(id);
            }
            let UnderWay { id: under_way, last } = &self.under_way;
            if prefix.is_summed || (*under_way == id && last.as_deref().is_some_and(|last| name <= last)) {
                prefix.sum = prefix.sum - before + after;
            }
        }
        reach
    }

    /// Takes over the sums of `prefixes` prefixes, once all totals of a round are; returns whether that is all.
    pub(super) fn take_over(&mut self, prefixes: usize, thresholds: &Thresholds, round: u32) -> bool {
        let first = self.touched.len().saturating_sub(prefixes);
        for id in self.touched.drain(first..) {
            let Some(Prefix { figures, sum, is_touched, is_summed, .. }) = self.prefixes.get_mut(id) else { continue };
            *is_touched = false;
            if *is_summed {
                figures.change(*sum, *sum, thresholds, round);
            }
        }
        self.touched.is_empty()
    }

    /// Whether all prefixes have their sums.
    pub(super) fn are_complete(&self) -> bool {
        self.unsummed.is_empty()
    }

    /// The prefix whose sum goes on next, and the name after which it does.
    pub(super) fn next(&self) -> Option<(PrefixId, Option<Rc<str>>)> {
        let UnderWay { id: under_way, last } = &self.under_way;
        let &id = self.unsummed.range(under_way..).next().or_else(|| self.unsummed.first())?;
        Some((id, last.clone().filter(|_| id == *under_way)))
    }

    /// Names up to this one, whose totals add up to `total`, are in the sum now, too.
    pub(super) fn go_on(&mut self, id: PrefixId, last: Option<Rc<str>>, total: u64) {
        self.prefixes.at_mut(id).sum += total;
        self.under_way = UnderWay { id, last };
    }

    /// All names are in the sum.
    pub(super) fn complete(&mut self, id: PrefixId, thresholds: &Thresholds, round: u32) {
        let prefix = self.prefixes.at_mut(id);
        prefix.is_summed = true;
        prefix.figures = Figures::found(prefix.sum, prefix.sum, thresholds, round);
        self.unsummed.remove(&id);
    }

    pub(super) fn write(&self, out: &mut Writer) {
        let Self { prefixes, by_text: _, lengths: _, unsummed: _, under_way: UnderWay { id, last }, touched } = self;
        prefixes.write(out, &mut |prefix, out| {
            let Prefix { text, pattern: _, figures, sum, is_summed, is_touched, pins } = prefix;
            out.text(text);
            figures.write(out);
            out.number(*sum);
            out.flag(*is_summed);
            out.flag(*is_touched);
            out.number((*pins).into());
        });
        out.key(*id);
        out.flag(last.is_some());
        if let Some(last) = last {
            out.text(last);
        }
        out.count(touched.len());
        for &id in touched {
            out.key(id);
        }
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        let mut sums = Self::default();
        let prefixes = Slab::read(from, &mut |id, from| {
            let mut prefix = Prefix::new(from.text());
            (prefix.figures, prefix.sum) = (Figures::read(from), from.number());
            (prefix.is_summed, prefix.is_touched, prefix.pins) = (from.flag(), from.flag(), from.small());
            let is_first = sums.list(id, &prefix.text, !prefix.is_summed);
            from.check(is_first, "a prefix that is watched twice");
            prefix
        });
        sums.prefixes = prefixes;
        sums.under_way = UnderWay { id: from.key(), last: from.flag().then(|| from.text().into()) };
        let mut list = from.list();
        while from.has_next(&mut list) {
            sums.touched.push(from.key());
        }
        sums
    }

    /// The figures of all sums, to change.
    pub(super) fn figures_mut(&mut self) -> impl Iterator<Item = &mut Figures> {
        self.prefixes.iter_mut().map(|(_, prefix)| &mut prefix.figures)
    }

    fn insert(&mut self, text: &str) -> PrefixId {
        let prefix = Prefix::new(text);
        let text = prefix.text.clone();
        let id = self.prefixes.insert(prefix);
        self.list(id, &text, true);
        id
    }

    /// Has a prefix be found by its text, and be summed if it has to. Returns whether there was none of this text.
    fn list(&mut self, id: PrefixId, text: &Rc<str>, is_unsummed: bool) -> bool {
        let lengths = self.lengths.len().max(text.len() + 1);
        self.lengths.resize(lengths, 0);
        if let Some(count) = self.lengths.get_mut(text.len()) {
            *count += 1;
        }
        if is_unsummed {
            self.unsummed.insert(id);
        }
        self.by_text.insert(text.clone(), id).is_none()
    }

    fn remove(&mut self, id: PrefixId) {
        let Some(Prefix { text, .. }) = self.prefixes.remove(id) else { return };
        self.by_text.remove(&text);
        if let Some(count) = self.lengths.get_mut(text.len()) {
            *count -= 1;
        }
        self.unsummed.remove(&id);
        if self.under_way.id == id {
            self.under_way.last = None;
        }
    }

    /// Panics if a prefix is not what the totals, which are in the order of their names, make of it.
    #[cfg(test)]
    pub(super) fn check_invariants(&self, totals: &[(&str, u64)]) {
        assert_eq!(self.prefixes.len(), self.by_text.len());
        assert_eq!(self.lengths.iter().sum::<u32>() as usize, self.prefixes.len());
        for (id, prefix) in self.prefixes.iter() {
            assert_eq!(prefix.is_summed, !self.unsummed.contains(&id), "{}", prefix.pattern);
            let last = self.under_way.last.as_deref().filter(|_| self.under_way.id == id);
            let is_in_sum = |name: &str| prefix.is_summed || last.is_some_and(|last| name <= last);
            let of_it = totals.iter().filter(|(name, _)| name.starts_with(&*prefix.text) && is_in_sum(name));
            assert_eq!(prefix.sum, of_it.map(|(_, total)| total).sum::<u64>(), "{}", prefix.pattern);
        }
    }
}
