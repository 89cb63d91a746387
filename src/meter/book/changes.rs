//! Which totals have changed since somebody looked.
//!
//! Owns the line of those names, to which nothing is added while nobody wants to know. Each namespace is in it once, and once
//! more for each time that it was forgotten. What has changed is looked up when it is taken out of the line, so what changes a
//! hundred times in between is told once, and a namespace that was forgotten is told of by what there is then.
//!
//! Invariant: while changes are kept, a namespace whose total differs from what was last taken out is in the line, and so is a
//! name that was forgotten since.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::meter::{Meter, NamespaceId};

/// The names that wait to be looked at.
#[derive(Debug, Default)]
pub(in crate::meter) struct Changes {
    are_kept: bool,
    /// Each with whether it was forgotten.
    names: VecDeque<(Rc<str>, bool)>,
}

/// A total as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The namespace's name.
    pub name: Rc<str>,
    /// How many are there; 0 if it is forgotten.
    pub total: u64,
    /// The most that were ever there at once; 0 if it is forgotten.
    pub peak: u64,
    /// Whether it was forgotten: if anybody is there, it is another event, with a peak of its own.
    pub is_anew: bool,
}

impl Meter {
    /// Has changes be kept for [`pop_changed`](Self::pop_changed) from now on, or no longer. What was kept until then stays.
    pub fn keep_changes(&mut self, is_wanted: bool) {
        self.changes.are_kept = is_wanted;
    }

    /// How many names have to be taken out until all that has changed so far is known.
    #[must_use]
    pub fn changes(&self) -> usize {
        self.changes.names.len()
    }

    /// The next namespace whose total may have changed.
    pub fn pop_changed(&mut self) -> Option<Changed> {
        let (name, is_anew) = self.changes.names.pop_front()?;
        let Some(&id) = self.by_name.get(&*name) else {
            return Some(Changed { name, total: 0, peak: 0, is_anew: true });
        };
        let namespace = self.namespaces.at_mut(id);
        namespace.is_in_line &= is_anew;
        let total = namespace.total();
        Some(Changed { name, total, peak: namespace.peak().members.max(total), is_anew })
    }

    /// A namespace of this name is forgotten.
    pub(in crate::meter) fn note_forgotten(&mut self, name: &Rc<str>) {
        if self.changes.are_kept {
            self.changes.names.push_back((name.clone(), true));
        }
    }

    /// The total of a present namespace has changed.
    pub(in crate::meter) fn note_change(&mut self, id: NamespaceId) {
        let (changes, namespace) = (&mut self.changes, self.namespaces.at_mut(id));
        if changes.are_kept && !namespace.is_in_line {
            namespace.is_in_line = true;
            changes.names.push_back((namespace.shared_name(), false));
        }
    }
}
