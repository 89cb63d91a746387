//! The namespaces whose totals have changed since the last look.
//!
//! Owns the line of their names, to which nothing is added while there are no watchers. Each namespace is in it once, and once
//! more for each time that it was forgotten. A total is looked up when its name leaves the line: a hundred changes in between
//! are one, and a namespace that was forgotten is reported as it is then.
//!
//! Invariant: while changes are kept, a namespace whose total differs from what was last popped is in the line, and so is a
//! name that was forgotten since.

use std::collections::VecDeque;
use std::rc::Rc;

use super::namespace::Namespace;
use crate::collections::sections::{Reader, Writer};

/// A line that once had 250,000 names takes less memory again, but no less than for this number.
const LINE_MIN: usize = 1024;

/// A name in the line.
#[derive(Debug)]
pub(super) struct QueuedName {
    pub(super) name: Rc<str>,
    /// Whether the namespace was forgotten.
    is_forgotten: bool,
}

/// The names that wait to be looked at.
#[derive(Debug, Default)]
pub(in crate::meter) struct Changes {
    are_kept: bool,
    names: VecDeque<QueuedName>,
}

/// A total as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The namespace's name.
    pub name: Rc<str>,
    /// The number of counted members; 0 if it is forgotten.
    pub total: u64,
    /// The most that were ever there at once; 0 if it is forgotten.
    pub peak: u64,
    /// Whether it was forgotten: if it has members, it is another event, with a peak of its own.
    pub is_anew: bool,
}

impl QueuedName {
    /// The total of the namespace that has this name now, if there is one.
    pub(super) fn look_up(self, namespace: Option<&mut Namespace>) -> Changed {
        let Self { name, is_forgotten: is_anew } = self;
        let Some(namespace) = namespace else { return Changed { name, total: 0, peak: 0, is_anew: true } };
        namespace.is_in_line &= is_anew;
        let (total, peak) = (namespace.total(), namespace.largest_total());
        Changed { name, total, peak, is_anew }
    }
}

impl Changes {
    /// Keeps changes from now on, or no longer. Names that are in the line stay there.
    pub(in crate::meter) fn keep(&mut self, is_wanted: bool) {
        self.are_kept = is_wanted;
    }

    /// The number of names in the line.
    pub(in crate::meter) fn len(&self) -> usize {
        self.names.len()
    }

    /// A namespace of this name is forgotten.
    pub(super) fn queue_forgotten(&mut self, name: &Rc<str>) {
        if self.are_kept {
            self.names.push_back(QueuedName { name: name.clone(), is_forgotten: true });
        }
    }

    /// The total of a namespace has changed.
    pub(super) fn queue_change(&mut self, namespace: &mut Namespace) {
        if self.are_kept && !namespace.is_in_line {
            namespace.is_in_line = true;
            self.names.push_back(QueuedName { name: namespace.shared_name(), is_forgotten: false });
        }
    }

    pub(super) fn write(&self, out: &mut Writer) {
        let Self { are_kept, names } = self;
        out.flag(*are_kept);
        out.count(names.len());
        for QueuedName { name, is_forgotten } in names {
            out.text(name);
            out.flag(*is_forgotten);
        }
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        let mut changes = Self { are_kept: from.flag(), names: VecDeque::new() };
        let mut list = from.list();
        while from.has_next(&mut list) {
            changes.names.push_back(QueuedName { name: from.text().into(), is_forgotten: from.flag() });
        }
        changes
    }

    /// The next name in the line.
    pub(super) fn pop(&mut self) -> Option<QueuedName> {
        let next = self.names.pop_front();
        let room = self.names.capacity();
        if room > LINE_MIN && room / 8 > self.names.len() {
            self.names.shrink_to(room / 4);
        }
        next
    }
}
