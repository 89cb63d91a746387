//! A doubly linked list whose links live inside the elements of a table.
//!
//! Owns the order of elements, not the elements: the caller's table holds a [`Link`] in each, and every operation is given
//! that table. An element is in at most one list at a time (per `Link` that it has). Insert and remove are O(1) and
//! allocate nothing, which is what a namespace with 100,000 members and a timer slot both need.
//!
//! Invariant: `head` has no `prev`, `tail` has no `next`, and both are `NONE` exactly when the list is empty.

use super::slab::Slab;
use super::{Key, NONE};

/// The neighbours of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    prev: Key,
    next: Key,
}

impl Link {
    /// The link of an element that is in no list.
    pub const UNLINKED: Self = Self { prev: NONE, next: NONE };
}

impl Default for Link {
    fn default() -> Self {
        Self::UNLINKED
    }
}

/// An element that can be in a list.
pub trait Linked {
    /// The element's neighbours.
    fn link(&self) -> &Link;
    /// The element's neighbours, for the list to change.
    fn link_mut(&mut self) -> &mut Link;
}

/// A table whose elements can be in lists.
pub trait Table {
    /// The neighbours of the element at `key`, which is there.
    fn link(&self, key: Key) -> &Link;
    /// The same, for the list to change.
    fn link_mut(&mut self, key: Key) -> &mut Link;
}

impl<T: Linked> Table for Vec<T> {
    fn link(&self, key: Key) -> &Link {
        self[key as usize].link()
    }
    fn link_mut(&mut self, key: Key) -> &mut Link {
        self[key as usize].link_mut()
    }
}

impl<T: Linked> Table for Slab<T> {
    fn link(&self, key: Key) -> &Link {
        self.at(key).link()
    }
    fn link_mut(&mut self, key: Key) -> &mut Link {
        self.at_mut(key).link_mut()
    }
}

/// The two ends of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct List {
    head: Key,
    tail: Key,
}

impl Default for List {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl List {
    /// A list without elements.
    pub const EMPTY: Self = Self { head: NONE, tail: NONE };

    /// The first element, or `NONE`.
    #[must_use]
    pub fn head(&self) -> Key {
        self.head
    }

    /// Whether there is no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.head == NONE
    }

    /// The last element, or `NONE`.
    #[must_use]
    pub fn tail(&self) -> Key {
        self.tail
    }

    /// The element before `key`, or `NONE`.
    #[must_use]
    pub fn prev<T: Table>(table: &T, key: Key) -> Key {
        table.link(key).prev
    }

    /// The element after `key`, or `NONE`.
    #[must_use]
    pub fn next<T: Table>(table: &T, key: Key) -> Key {
        table.link(key).next
    }

    /// Makes `key`, which is in no list, the first element.
    pub fn push_front<T: Table>(&mut self, table: &mut T, key: Key) {
        *table.link_mut(key) = Link { prev: NONE, next: self.head };
        match self.head {
            NONE => self.tail = key,
            head => table.link_mut(head).prev = key,
        }
        self.head = key;
    }

    /// Makes `key`, which is in no list, the last element.
    pub fn push_back<T: Table>(&mut self, table: &mut T, key: Key) {
        *table.link_mut(key) = Link { prev: self.tail, next: NONE };
        match self.tail {
            NONE => self.head = key,
            tail => table.link_mut(tail).next = key,
        }
        self.tail = key;
    }

    /// Puts the elements of another list of the same table behind those of this one.
    pub fn append<T: Table>(&mut self, table: &mut T, other: Self) {
        match (self.tail, other.head) {
            (_, NONE) => {}
            (NONE, _) => *self = other,
            (tail, head) => {
                table.link_mut(tail).next = head;
                table.link_mut(head).prev = tail;
                self.tail = other.tail;
            }
        }
    }

    /// Takes `key` out of this list, which it must be in.
    pub fn remove<T: Table>(&mut self, table: &mut T, key: Key) {
        let Link { prev, next } = std::mem::take(table.link_mut(key));
        match prev {
            NONE => self.head = next,
            prev => table.link_mut(prev).next = next,
        }
        match next {
            NONE => self.tail = prev,
            next => table.link_mut(next).prev = prev,
        }
    }

    /// Takes the first element out.
    pub fn pop_front<T: Table>(&mut self, table: &mut T) -> Option<Key> {
        let head = self.head;
        if head == NONE {
            return None;
        }
        self.remove(table, head);
        Some(head)
    }

    /// The elements from first to last.
    pub fn iter<T: Table>(self, table: &T) -> impl Iterator<Item = Key> {
        let start = (self.head != NONE).then_some(self.head);
        std::iter::successors(start, |&key| Some(Self::next(table, key)).filter(|&next| next != NONE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Element(Link);

    impl Linked for Element {
        fn link(&self) -> &Link {
            &self.0
        }
        fn link_mut(&mut self) -> &mut Link {
            &mut self.0
        }
    }

    fn table(len: usize) -> Vec<Element> {
        (0..len).map(|_| Element::default()).collect()
    }

    #[track_caller]
    fn check(list: List, table: &Vec<Element>, expected: &[Key]) {
        assert_eq!(list.iter(table).collect::<Vec<_>>(), expected);
        assert_eq!(list.is_empty(), expected.is_empty());
        assert_eq!(list.tail, expected.last().copied().unwrap_or(NONE));
    }

    #[test]
    fn elements_enter_at_both_ends_and_leave_anywhere() {
        let (mut list, mut table) = (List::EMPTY, table(5));
        check(list, &table, &[]);
        list.push_front(&mut table, 2);
        list.push_front(&mut table, 1);
        list.push_back(&mut table, 3);
        list.push_front(&mut table, 0);
        check(list, &table, &[0, 1, 2, 3]);
        list.remove(&mut table, 2);
        check(list, &table, &[0, 1, 3]);
        list.remove(&mut table, 0);
        check(list, &table, &[1, 3]);
        list.remove(&mut table, 3);
        check(list, &table, &[1]);
        assert_eq!(list.pop_front(&mut table), Some(1));
        assert_eq!(list.pop_front(&mut table), None);
        check(list, &table, &[]);
        assert!(table.iter().all(|element| element.0 == Link::UNLINKED));
    }

    #[test]
    fn a_list_is_put_behind_another_as_a_whole() {
        let (mut list, mut other, mut table) = (List::EMPTY, List::EMPTY, table(5));
        list.append(&mut table, other);
        check(list, &table, &[]);
        other.push_back(&mut table, 3);
        other.push_back(&mut table, 1);
        list.append(&mut table, other);
        check(list, &table, &[3, 1]);
        list.append(&mut table, List::EMPTY);
        let mut third = List::EMPTY;
        third.push_back(&mut table, 4);
        third.push_back(&mut table, 0);
        list.append(&mut table, third);
        check(list, &table, &[3, 1, 4, 0]);
        list.remove(&mut table, 1);
        list.remove(&mut table, 4);
        check(list, &table, &[3, 0]);
    }
}
