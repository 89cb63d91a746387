//! A doubly linked list whose links live inside the elements of a table.
//!
//! Owns the order of elements, not the elements: the caller's table holds a [`Link`] in each, and every operation is given
//! that table. An element is in at most one list at a time, per `Link` that it has. Insert and remove are O(1) and
//! allocate nothing: a namespace with 100,000 members and a timer slot both need that.
//!
//! Invariant: `head` has no `prev`, `tail` has no `next`, and both are `None` exactly when the list is empty.

use super::dense::Dense;
use super::key::Key;
use super::slab::Slab;

/// The neighbours of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link<K> {
    prev: Option<K>,
    next: Option<K>,
}

impl<K> Link<K> {
    /// The link of an element that is in no list.
    pub const UNLINKED: Self = Self { prev: None, next: None };
}

impl<K> Default for Link<K> {
    fn default() -> Self {
        Self::UNLINKED
    }
}

/// An element that can be in a list.
pub trait Linked<K> {
    /// The element's neighbours.
    fn link(&self) -> &Link<K>;
    /// The element's neighbours, for the list to change.
    fn link_mut(&mut self) -> &mut Link<K>;
}

/// A table whose elements can be in lists.
pub trait Table<K> {
    /// The neighbours of the element at `key`, which is there.
    fn link(&self, key: K) -> &Link<K>;
    /// The same, for the list to change.
    fn link_mut(&mut self, key: K) -> &mut Link<K>;
}

impl<K: Key, T: Linked<K> + Default> Table<K> for Dense<K, T> {
    fn link(&self, key: K) -> &Link<K> {
        self.at(key).link()
    }
    fn link_mut(&mut self, key: K) -> &mut Link<K> {
        self.at_mut(key).link_mut()
    }
}

impl<K: Key, T: Linked<K>> Table<K> for Slab<K, T> {
    fn link(&self, key: K) -> &Link<K> {
        self.at(key).link()
    }
    fn link_mut(&mut self, key: K) -> &mut Link<K> {
        self.at_mut(key).link_mut()
    }
}

/// The two ends of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct List<K> {
    head: Option<K>,
    tail: Option<K>,
}

impl<K> Default for List<K> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<K> List<K> {
    /// A list without elements.
    pub const EMPTY: Self = Self { head: None, tail: None };
}

impl<K: Key> List<K> {
    /// The first element.
    #[must_use]
    pub fn head(&self) -> Option<K> {
        self.head
    }

    /// Whether there is no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.head.is_none()
    }

    /// The last element.
    #[must_use]
    pub fn tail(&self) -> Option<K> {
        self.tail
    }

    /// The element before `key`.
    #[must_use]
    pub fn prev(table: &impl Table<K>, key: K) -> Option<K> {
        table.link(key).prev
    }

    /// The element after `key`.
    #[must_use]
    pub fn next(table: &impl Table<K>, key: K) -> Option<K> {
        table.link(key).next
    }

    /// Makes `key`, which is in no list, the first element.
    pub fn push_front(&mut self, table: &mut impl Table<K>, key: K) {
        *table.link_mut(key) = Link { prev: None, next: self.head };
        match self.head {
            None => self.tail = Some(key),
            Some(head) => table.link_mut(head).prev = Some(key),
        }
        self.head = Some(key);
    }

    /// Makes `key`, which is in no list, the last element.
    pub fn push_back(&mut self, table: &mut impl Table<K>, key: K) {
        *table.link_mut(key) = Link { prev: self.tail, next: None };
        match self.tail {
            None => self.head = Some(key),
            Some(tail) => table.link_mut(tail).next = Some(key),
        }
        self.tail = Some(key);
    }

    /// Puts the elements of another list of the same table behind those of this one.
    pub fn append(&mut self, table: &mut impl Table<K>, other: Self) {
        match (self.tail, other.head) {
            (_, None) => {}
            (None, _) => *self = other,
            (Some(tail), Some(head)) => {
                table.link_mut(tail).next = Some(head);
                table.link_mut(head).prev = Some(tail);
                self.tail = other.tail;
            }
        }
    }

    /// Takes `key` out of this list, which it must be in.
    pub fn remove(&mut self, table: &mut impl Table<K>, key: K) {
        let Link { prev, next } = std::mem::take(table.link_mut(key));
        match prev {
            None => self.head = next,
            Some(prev) => table.link_mut(prev).next = next,
        }
        match next {
            None => self.tail = prev,
            Some(next) => table.link_mut(next).prev = prev,
        }
    }

    /// Takes the first element out.
    pub fn pop_front(&mut self, table: &mut impl Table<K>) -> Option<K> {
        let head = self.head?;
        self.remove(table, head);
        Some(head)
    }

    /// The elements from first to last.
    pub fn iter(self, table: &impl Table<K>) -> impl Iterator<Item = K> {
        std::iter::successors(self.head, |&key| Self::next(table, key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collections::key::key_type;

    key_type! {
        /// A key of the table under test.
        TestId
    }

    #[derive(Default)]
    struct Element(Link<TestId>);

    impl Linked<TestId> for Element {
        fn link(&self) -> &Link<TestId> {
            &self.0
        }
        fn link_mut(&mut self) -> &mut Link<TestId> {
            &mut self.0
        }
    }

    fn id(number: u32) -> TestId {
        TestId::new(number)
    }

    fn table(len: u32) -> Dense<TestId, Element> {
        let mut table = Dense::default();
        table.reach(id(len - 1));
        table
    }

    #[track_caller]
    fn check(list: List<TestId>, table: &Dense<TestId, Element>, expected: &[u32]) {
        let expected: Vec<TestId> = expected.iter().copied().map(id).collect();
        assert_eq!(list.iter(table).collect::<Vec<_>>(), expected);
        assert_eq!(list.is_empty(), expected.is_empty());
        assert_eq!(list.tail, expected.last().copied());
    }

    #[test]
    fn elements_enter_at_both_ends_and_leave_anywhere() {
        let (mut list, mut table) = (List::EMPTY, table(5));
        check(list, &table, &[]);
        list.push_front(&mut table, id(2));
        list.push_front(&mut table, id(1));
        list.push_back(&mut table, id(3));
        list.push_front(&mut table, id(0));
        check(list, &table, &[0, 1, 2, 3]);
        list.remove(&mut table, id(2));
        check(list, &table, &[0, 1, 3]);
        list.remove(&mut table, id(0));
        check(list, &table, &[1, 3]);
        list.remove(&mut table, id(3));
        check(list, &table, &[1]);
        assert_eq!(list.pop_front(&mut table), Some(id(1)));
        assert_eq!(list.pop_front(&mut table), None);
        check(list, &table, &[]);
        assert!((0..5).all(|number| table.at(id(number)).0 == Link::UNLINKED));
    }

    #[test]
    fn a_list_is_put_behind_another_as_a_whole() {
        let (mut list, mut other, mut table) = (List::EMPTY, List::EMPTY, table(5));
        list.append(&mut table, other);
        check(list, &table, &[]);
        other.push_back(&mut table, id(3));
        other.push_back(&mut table, id(1));
        list.append(&mut table, other);
        check(list, &table, &[3, 1]);
        list.append(&mut table, List::EMPTY);
        let mut third = List::EMPTY;
        third.push_back(&mut table, id(4));
        third.push_back(&mut table, id(0));
        list.append(&mut table, third);
        check(list, &table, &[3, 1, 4, 0]);
        list.remove(&mut table, id(1));
        list.remove(&mut table, id(4));
        check(list, &table, &[3, 0]);
    }
}
