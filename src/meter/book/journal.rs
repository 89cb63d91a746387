//! What this node knows first-hand, in the order of its last change, and how far the others have been told.
//!
//! Owns a version that counts changes, and an item for each of this node's own shares and claims under the version of its
//! last change. To tell the others what is new is to walk from the version told last to the end of the list; to repair what
//! somebody has missed is to walk that stretch again. What did not change costs nothing.
//!
//! It does not know what an item says: that is looked up when it is told, so what is told is always the latest.
//!
//! Invariant: versions ascend along the list, and a telling's cursor is the first item after its `at`.

use crate::collections::list::{Link, Linked, List};
use crate::collections::slab::Slab;
use crate::key_type;
use crate::meter::NamespaceId;
use crate::meter::book::claims::ClaimId;

key_type! {
    /// The key of an item in the journal.
    pub(in crate::meter) ItemId
}

/// What an item is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::meter) enum Subject {
    /// This node's own share of a namespace.
    Share(NamespaceId),
    /// A claim of one of its members.
    Claim(ClaimId),
}

#[derive(Debug)]
struct Entry {
    link: Link<ItemId>,
    version: u64,
    subject: Subject,
}

impl Linked<ItemId> for Entry {
    fn link(&self) -> &Link<ItemId> {
        &self.link
    }
    fn link_mut(&mut self) -> &mut Link<ItemId> {
        &mut self.link
    }
}

/// How far a stretch has been told.
#[derive(Clone, Copy, Debug)]
struct Telling {
    at: u64,
    cursor: Option<ItemId>,
}

/// Which stretch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::meter) enum Stretch {
    /// What nobody has been told.
    Fresh,
    /// What somebody has missed.
    Repair,
}

/// How many items are passed to find the beginning of a stretch, at some 15 ns each: 0.1 ms.
const SEEK_MAX: usize = 8192;

/// The journal.
#[derive(Debug)]
pub(in crate::meter) struct Journal {
    entries: Slab<ItemId, Entry>,
    order: List<ItemId>,
    version: u64,
    /// The version of the last change that is not told any more.
    horizon: u64,
    fresh: Telling,
    repair: Option<Telling>,
}

impl Default for Journal {
    fn default() -> Self {
        let fresh = Telling { at: 0, cursor: None };
        Self { entries: Slab::default(), order: List::EMPTY, version: 0, horizon: 0, fresh, repair: None }
    }
}

impl Journal {
    /// The version of the last change.
    pub(in crate::meter) fn version(&self) -> u64 {
        self.version
    }

    /// The version of the last change that has been told to whoever was there.
    pub(in crate::meter) fn told(&self) -> u64 {
        self.fresh.at
    }

    /// The version of the last change that is not told any more: who had heard of the item and not of that change cannot
    /// be helped by what is left.
    pub(in crate::meter) fn horizon(&self) -> u64 {
        self.horizon
    }

    /// Whether an item's last change has been told to whoever was there.
    pub(in crate::meter) fn is_told(&self, id: ItemId) -> bool {
        self.entries.at(id).version <= self.fresh.at
    }

    /// Whether this stretch has something left to tell.
    pub(in crate::meter) fn has(&self, stretch: Stretch) -> bool {
        match stretch {
            Stretch::Fresh => self.fresh.at < self.version,
            Stretch::Repair => self.repair.is_some(),
        }
    }

    /// Begins an item.
    pub(in crate::meter) fn insert(&mut self, subject: Subject) -> ItemId {
        let id = self.entries.insert(Entry { link: Link::UNLINKED, version: 0, subject });
        self.append(id);
        id
    }

    /// The item's subject has changed.
    pub(in crate::meter) fn touch(&mut self, id: ItemId) {
        self.detach(id);
        self.append(id);
    }

    /// There is nothing to tell of the item any more.
    pub(in crate::meter) fn remove(&mut self, id: ItemId) {
        self.detach(id);
        let removed = self.entries.remove(id);
        if let Some(Entry { version, subject: Subject::Share(_), .. }) = removed {
            self.horizon = self.horizon.max(version);
        }
    }

    /// Somebody knows all up to `since` and has missed what came after.
    pub(in crate::meter) fn repair_since(&mut self, since: u64) {
        if since >= self.fresh.at || self.repair.is_some_and(|repair| repair.at <= since) {
            return;
        }
        // A newcomer's stretch begins at the head. A lost report is near the tail, or just before what is told again already.
        let from_head = Telling { at: 0, cursor: self.order.head() };
        let near = self.repair.and_then(|repair| repair.cursor);
        let from_near_end = if since == 0 { None } else { self.seek_back(near, since) };
        self.repair = Some(from_near_end.unwrap_or(from_head));
    }

    /// The stretch after `since`, looked for backwards from an item that belongs to it, or (`None`) from the end; unless that
    /// is too far: who has missed so much may be told all.
    fn seek_back(&self, mut cursor: Option<ItemId>, since: u64) -> Option<Telling> {
        for _ in 0..SEEK_MAX {
            let before = cursor.map_or(self.order.tail(), |cursor| List::prev(&self.entries, cursor));
            if before.is_none_or(|before| self.entries.at(before).version <= since) {
                return Some(Telling { at: since, cursor });
            }
            cursor = before;
        }
        None
    }

    /// Takes the next subjects of a stretch, as long as `take` takes them; returns after which version and up to which
    /// they are all there is.
    pub(in crate::meter) fn tell(
        &mut self,
        stretch: Stretch,
        mut take: impl FnMut(Subject) -> bool,
    ) -> Option<(u64, u64)> {
        let (mut telling, limit) = match stretch {
            Stretch::Fresh => (self.fresh, self.version),
            Stretch::Repair => (self.repair?, self.fresh.at),
        };
        let from = telling.at;
        let is_whole = loop {
            let next = telling.cursor.map(|cursor| (cursor, self.entries.at(cursor)));
            let Some((cursor, entry)) = next.filter(|(_, entry)| entry.version <= limit) else {
                telling.at = limit;
                break true;
            };
            if !take(entry.subject) {
                break false;
            }
            telling.at = entry.version;
            telling.cursor = List::next(&self.entries, cursor);
        };
        match stretch {
            Stretch::Fresh => self.fresh = telling,
            Stretch::Repair => self.repair = Some(telling).filter(|_| !is_whole),
        }
        (telling.at > from).then_some((from, telling.at))
    }

    /// Takes an item out of the list, and the tellings off it.
    fn detach(&mut self, id: ItemId) {
        let next = List::next(&self.entries, id);
        for telling in self.tellings().into_iter().flatten() {
            if telling.cursor == Some(id) {
                telling.cursor = next;
            }
        }
        self.order.remove(&mut self.entries, id);
    }

    fn tellings(&mut self) -> [Option<&mut Telling>; 2] {
        [Some(&mut self.fresh), self.repair.as_mut()]
    }

    /// Puts an item at the end of the list, under a new version.
    fn append(&mut self, id: ItemId) {
        self.version += 1;
        self.entries.at_mut(id).version = self.version;
        self.order.push_back(&mut self.entries, id);
        for telling in self.tellings().into_iter().flatten() {
            if telling.cursor.is_none() {
                telling.cursor = Some(id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collections::key::Key as _;

    fn share(namespace: u32) -> Subject {
        Subject::Share(NamespaceId::new(namespace))
    }

    /// Tells at most `most` items; returns the range and the namespaces.
    fn tell(journal: &mut Journal, stretch: Stretch, most: usize) -> Option<(u64, u64, Vec<u32>)> {
        let mut told = Vec::new();
        let range = journal.tell(stretch, |subject| {
            let Subject::Share(id) = subject else { panic!("only shares here") };
            let fits = told.len() < most;
            if fits {
                told.push(id.place().get());
            }
            fits
        });
        range.map(|(from, to)| (from, to, told))
    }

    #[test]
    fn what_is_new_is_told_once_in_the_order_of_its_last_change() {
        let mut journal = Journal::default();
        assert!(!journal.has(Stretch::Fresh));
        let ids: Vec<ItemId> = (10..14).map(|namespace| journal.insert(share(namespace))).collect();
        journal.touch(ids[1]);
        assert_eq!(tell(&mut journal, Stretch::Fresh, 2), Some((0, 3, vec![10, 12])));
        journal.touch(ids[0]);
        assert_eq!(tell(&mut journal, Stretch::Fresh, 9), Some((3, 6, vec![13, 11, 10])));
        assert_eq!(tell(&mut journal, Stretch::Fresh, 9), None);
        journal.touch(ids[3]);
        journal.remove(ids[3]);
        assert_eq!(
            tell(&mut journal, Stretch::Fresh, 9),
            Some((6, 7, vec![])),
            "the version has moved on all the same"
        );
    }

    #[test]
    fn what_was_missed_is_told_again_and_no_more() {
        let mut journal = Journal::default();
        let ids: Vec<ItemId> = (10..16).map(|namespace| journal.insert(share(namespace))).collect();
        journal.repair_since(0);
        assert!(!journal.has(Stretch::Repair), "nothing was told yet, so nothing was missed");
        tell(&mut journal, Stretch::Fresh, 9);
        journal.repair_since(4);
        assert_eq!(tell(&mut journal, Stretch::Repair, 1), Some((4, 5, vec![14])));
        journal.repair_since(2);
        journal.repair_since(4);
        journal.touch(ids[3]);
        journal.touch(ids[2]);
        assert_eq!(tell(&mut journal, Stretch::Repair, 9), Some((2, 6, vec![14, 15])), "what changed since is fresh");
        assert!(!journal.has(Stretch::Repair));
        assert_eq!(tell(&mut journal, Stretch::Fresh, 9), Some((6, 8, vec![13, 12])));
        journal.repair_since(0);
        assert_eq!(tell(&mut journal, Stretch::Repair, 9), Some((0, 8, vec![10, 11, 14, 15, 13, 12])));
    }
    #[test]
    fn who_has_missed_very_much_is_told_all() {
        let mut journal = Journal::default();
        let items = u64::try_from(SEEK_MAX).unwrap() + 10;
        for namespace in 0..items {
            journal.insert(share(u32::try_from(namespace).unwrap()));
        }
        tell(&mut journal, Stretch::Fresh, usize::MAX);
        let mut first = |since| {
            journal.repair_since(since);
            tell(&mut journal, Stretch::Repair, 1).map(|(from, to, told)| (from, to, told[0]))
        };
        assert_eq!(first(items - 5), Some((items - 5, items - 4, u32::try_from(items - 5).unwrap())));
        assert_eq!(first(items - 9), Some((items - 9, items - 8, u32::try_from(items - 9).unwrap())));
        assert_eq!(first(20), Some((20, 21, 20)), "not far from what is told again already");
        assert_eq!(first(19), Some((19, 20, 19)));
        tell(&mut journal, Stretch::Repair, usize::MAX);
        journal.repair_since(5);
        assert_eq!(tell(&mut journal, Stretch::Repair, 1), Some((0, 1, vec![0])), "too far to look for");
        journal.repair_since(6);
        assert_eq!(tell(&mut journal, Stretch::Repair, 1), Some((1, 2, vec![1])), "that is on its way already");
    }

    #[test]
    fn a_repair_tells_what_was_told_freshly_while_it_waited() {
        let mut journal = Journal::default();
        let id = journal.insert(share(10));
        tell(&mut journal, Stretch::Fresh, 9);
        journal.repair_since(0);
        journal.touch(id);
        assert_eq!(tell(&mut journal, Stretch::Fresh, 9), Some((1, 2, vec![10])));
        assert_eq!(tell(&mut journal, Stretch::Repair, 9), Some((0, 2, vec![10])), "not an empty (0, 2]");
    }
}
