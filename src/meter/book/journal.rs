//! This node's own shares and claims, in the order of their last change, and how far they have been announced.
//!
//! Owns a version that counts changes, and an item for each own share and claim under the version of its last change. An
//! announcement of news is a walk from the version announced last to the end of the list; a repair of what a peer has missed
//! is a walk along that stretch again. An item that did not change costs nothing.
//!
//! It does not know what an item says: that is looked up at the announcement, so an announcement is always the latest state.
//!
//! Invariant: versions ascend along the list, and the cursor of a [`Reach`] is the first item after its `at`.

use super::keys::{ClaimId, ItemId, NamespaceId};
use crate::collections::key::Key as _;
use crate::collections::list::{Link, Linked, List};
use crate::collections::sections::{Reader, Writer};
use crate::collections::slab::Slab;

/// What an item is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::meter) enum Subject {
    /// This node's own share of a namespace.
    Share(NamespaceId),
    /// A claim of one of its members.
    Claim(ClaimId),
    /// A claim that is over.
    Retired(ClaimId),
    /// The event of this number that is over.
    Ended(u32),
}

impl Subject {
    fn write(self, out: &mut Writer) {
        let (kind, number) = match self {
            Self::Share(id) => (0, id.place().get()),
            Self::Claim(id) => (1, id.place().get()),
            Self::Retired(id) => (2, id.place().get()),
            Self::Ended(number) => (3, number),
        };
        out.number(kind);
        out.number(number.into());
    }

    fn read(from: &mut Reader<'_>) -> Self {
        match from.number() {
            0 => Self::Share(from.key()),
            1 => Self::Claim(from.key()),
            2 => Self::Retired(from.key()),
            3 => Self::Ended(from.small()),
            _ => {
                from.check(false, "an item of the journal of an unknown kind");
                Self::Ended(0)
            }
        }
    }
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

/// How far a stretch has been announced.
#[derive(Clone, Copy, Debug)]
struct Reach {
    at: u64,
    cursor: Option<ItemId>,
}

impl Reach {
    fn write(self, out: &mut Writer) {
        let Self { at, cursor } = self;
        out.number(at);
        out.option_key(cursor);
    }

    fn read(entries: &Slab<ItemId, Entry>, from: &mut Reader<'_>) -> Self {
        let (at, cursor) = (from.number(), from.option_key());
        from.check(cursor.is_none_or(|cursor| entries.get(cursor).is_some()), "a place in the journal without an item");
        Self { at, cursor }
    }
}

/// A stretch of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::meter) enum Stretch {
    /// What was announced to no peer yet.
    Fresh,
    /// What a peer has missed.
    Repair,
}

/// The versions that an announcement covers: all items whose last change is after `from` and up to `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::meter) struct Versions {
    pub(in crate::meter) from: u64,
    pub(in crate::meter) to: u64,
}

/// How many items are passed to find the beginning of a stretch, at some 15 ns each: 0.1 ms.
const SEEK_MAX: usize = 8192;

/// The journal.
#[derive(Debug)]
pub(in crate::meter) struct Journal {
    entries: Slab<ItemId, Entry>,
    order: List<ItemId>,
    version: u64,
    /// The version of the last change that is announced no more.
    horizon: u64,
    fresh: Reach,
    repair: Option<Reach>,
    /// The version from which on the stretch under repair began.
    repair_from: u64,
}

impl Default for Journal {
    fn default() -> Self {
        let fresh = Reach { at: 0, cursor: None };
        Self {
            entries: Slab::default(),
            order: List::EMPTY,
            version: 0,
            horizon: 0,
            fresh,
            repair: None,
            repair_from: 0,
        }
    }
}

impl Journal {
    /// The version of the last change.
    pub(in crate::meter) fn version(&self) -> u64 {
        self.version
    }

    /// The version of the last change that has been announced.
    pub(in crate::meter) fn announced(&self) -> u64 {
        self.fresh.at
    }

    /// The version of the last change that is announced no more: a peer that knew of the item and missed that change
    /// cannot be repaired by what is left.
    pub(in crate::meter) fn horizon(&self) -> u64 {
        self.horizon
    }

    /// Whether an item's last change has been announced.
    pub(in crate::meter) fn is_announced(&self, id: ItemId) -> bool {
        self.entries.at(id).version <= self.fresh.at
    }

    /// Whether something of this stretch is left to announce.
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

    /// The item's subject has become another.
    pub(in crate::meter) fn replace(&mut self, id: ItemId, subject: Subject) {
        self.entries.at_mut(id).subject = subject;
        self.touch(id);
    }

    /// There is nothing to announce of the item any more.
    pub(in crate::meter) fn remove(&mut self, id: ItemId) {
        self.detach(id);
        let removed = self.entries.remove(id);
        if let Some(Entry { version, subject: Subject::Share(_) | Subject::Retired(_), .. }) = removed {
            self.horizon = self.horizon.max(version);
        }
    }

    /// A peer knows all up to `since` and has missed what came after.
    pub(in crate::meter) fn repair_since(&mut self, since: u64) {
        if since >= self.fresh.at || self.repair.is_some_and(|repair| repair.at <= since) {
            return;
        }
        // A newcomer's stretch begins at the head. A lost report is near the tail, or just before a stretch under repair.
        let from_head = Reach { at: 0, cursor: self.order.head() };
        let near = self.repair.and_then(|repair| repair.cursor);
        let from_near_end = if since == 0 { None } else { self.seek_back(near, since) };
        let begun = from_near_end.unwrap_or(from_head);
        self.repair_from = begun.at;
        self.repair = Some(begun);
    }

    /// The version from which on items of a stretch are announced again; `None` of a fresh one.
    pub(in crate::meter) fn repaired_since(&self, stretch: Stretch) -> Option<u64> {
        (stretch == Stretch::Repair).then_some(self.repair_from)
    }

    /// The stretch after `since`, looked for backwards from an item that belongs to it, or (`None`) from the end; unless that
    /// is too far: a peer that has missed so much is sent all.
    fn seek_back(&self, mut cursor: Option<ItemId>, since: u64) -> Option<Reach> {
        for _ in 0..SEEK_MAX {
            let before = cursor.map_or(self.order.tail(), |cursor| List::prev(&self.entries, cursor));
            if before.is_none_or(|before| self.entries.at(before).version <= since) {
                return Some(Reach { at: since, cursor });
            }
            cursor = before;
        }
        None
    }

    /// Takes the next subjects of a stretch, as long as `take` takes them; returns the versions that they cover.
    pub(in crate::meter) fn advance(
        &mut self,
        stretch: Stretch,
        mut take: impl FnMut(Subject) -> bool,
    ) -> Option<Versions> {
        let (mut reach, limit) = match stretch {
            Stretch::Fresh => (self.fresh, self.version),
            Stretch::Repair => (self.repair?, self.fresh.at),
        };
        let from = reach.at;
        let is_whole = loop {
            let next = reach.cursor.map(|cursor| (cursor, self.entries.at(cursor)));
            let Some((cursor, entry)) = next.filter(|(_, entry)| entry.version <= limit) else {
                reach.at = limit;
                break true;
            };
            if !take(entry.subject) {
                break false;
            }
            reach.at = entry.version;
            reach.cursor = List::next(&self.entries, cursor);
        };
        match stretch {
            Stretch::Fresh => self.fresh = reach,
            Stretch::Repair => self.repair = Some(reach).filter(|_| !is_whole),
        }
        (reach.at > from).then_some(Versions { from, to: reach.at })
    }

    /// Whether there is such an item.
    pub(super) fn has_item(&self, id: ItemId) -> bool {
        self.entries.get(id).is_some()
    }

    pub(super) fn write(&self, out: &mut Writer) {
        let Self { entries, order, version, horizon, fresh, repair, repair_from } = self;
        out.number(*version);
        out.number(*horizon);
        out.count(entries.len());
        for id in order.iter(entries) {
            let &Entry { link: _, version, subject } = entries.at(id);
            out.key(id);
            out.number(version);
            subject.write(out);
        }
        fresh.write(out);
        out.flag(repair.is_some());
        if let Some(repair) = repair {
            repair.write(out);
        }
        out.number(*repair_from);
    }

    /// The journal that was written, of subjects that are `there`.
    pub(super) fn read(there: &dyn Fn(Subject) -> bool, from: &mut Reader<'_>) -> Self {
        let mut journal = Self { version: from.number(), horizon: from.number(), ..Self::default() };
        let (mut items, mut last) = (from.list(), 0);
        while from.has_next(&mut items) {
            let (id, version, subject) = (from.key(), from.number(), Subject::read(from));
            let is_next = (last + 1..=journal.version).contains(&version);
            let is_vacant = journal.entries.restore(id, Entry { link: Link::UNLINKED, version, subject });
            if from.check(is_next && is_vacant && there(subject), "an item of the journal out of its order") {
                journal.order.push_back(&mut journal.entries, id);
            }
            last = version;
        }
        journal.entries.mend();
        journal.fresh = Reach::read(&journal.entries, from);
        journal.repair = from.flag().then(|| Reach::read(&journal.entries, from));
        journal.repair_from = from.number();
        journal
    }

    /// Takes an item out of the list, and the cursors off it.
    fn detach(&mut self, id: ItemId) {
        let next = List::next(&self.entries, id);
        for reach in self.reaches().into_iter().flatten() {
            if reach.cursor == Some(id) {
                reach.cursor = next;
            }
        }
        self.order.remove(&mut self.entries, id);
    }

    fn reaches(&mut self) -> [Option<&mut Reach>; 2] {
        [Some(&mut self.fresh), self.repair.as_mut()]
    }

    /// Puts an item at the end of the list, under a new version.
    fn append(&mut self, id: ItemId) {
        self.version += 1;
        self.entries.at_mut(id).version = self.version;
        self.order.push_back(&mut self.entries, id);
        for reach in self.reaches().into_iter().flatten() {
            if reach.cursor.is_none() {
                reach.cursor = Some(id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(namespace: u32) -> Subject {
        Subject::Share(NamespaceId::new(namespace))
    }

    /// Announces at most `most` items; returns the versions and the namespaces.
    fn announce(journal: &mut Journal, stretch: Stretch, most: usize) -> Option<(u64, u64, Vec<u32>)> {
        let mut announced = Vec::new();
        let versions = journal.advance(stretch, |subject| {
            let Subject::Share(id) = subject else { panic!("only shares here") };
            let fits = announced.len() < most;
            if fits {
                announced.push(id.place().get());
            }
            fits
        });
        versions.map(|Versions { from, to }| (from, to, announced))
    }

    #[test]
    fn news_is_announced_once_in_the_order_of_its_last_change() {
        let mut journal = Journal::default();
        assert!(!journal.has(Stretch::Fresh));
        let ids: Vec<ItemId> = (10..14).map(|namespace| journal.insert(share(namespace))).collect();
        journal.touch(ids[1]);
        assert_eq!(announce(&mut journal, Stretch::Fresh, 2), Some((0, 3, vec![10, 12])));
        journal.touch(ids[0]);
        assert_eq!(announce(&mut journal, Stretch::Fresh, 9), Some((3, 6, vec![13, 11, 10])));
        assert_eq!(announce(&mut journal, Stretch::Fresh, 9), None);
        journal.touch(ids[3]);
        journal.remove(ids[3]);
        assert_eq!(
            announce(&mut journal, Stretch::Fresh, 9),
            Some((6, 7, vec![])),
            "the version has moved on all the same"
        );
    }

    #[test]
    fn what_was_missed_is_announced_again_and_no_more() {
        let mut journal = Journal::default();
        let ids: Vec<ItemId> = (10..16).map(|namespace| journal.insert(share(namespace))).collect();
        journal.repair_since(0);
        assert!(!journal.has(Stretch::Repair), "nothing was announced yet, so nothing was missed");
        announce(&mut journal, Stretch::Fresh, 9);
        journal.repair_since(4);
        assert_eq!(announce(&mut journal, Stretch::Repair, 1), Some((4, 5, vec![14])));
        journal.repair_since(2);
        journal.repair_since(4);
        journal.touch(ids[3]);
        journal.touch(ids[2]);
        assert_eq!(
            announce(&mut journal, Stretch::Repair, 9),
            Some((2, 6, vec![14, 15])),
            "what changed since is fresh"
        );
        assert!(!journal.has(Stretch::Repair));
        assert_eq!(announce(&mut journal, Stretch::Fresh, 9), Some((6, 8, vec![13, 12])));
        journal.repair_since(0);
        assert_eq!(announce(&mut journal, Stretch::Repair, 9), Some((0, 8, vec![10, 11, 14, 15, 13, 12])));
    }
    #[test]
    fn a_peer_that_has_missed_very_much_is_sent_all() {
        let mut journal = Journal::default();
        let items = u64::try_from(SEEK_MAX).unwrap() + 10;
        for namespace in 0..items {
            journal.insert(share(u32::try_from(namespace).unwrap()));
        }
        announce(&mut journal, Stretch::Fresh, usize::MAX);
        let mut first = |since| {
            journal.repair_since(since);
            announce(&mut journal, Stretch::Repair, 1).map(|(from, to, announced)| (from, to, announced[0]))
        };
        assert_eq!(first(items - 5), Some((items - 5, items - 4, u32::try_from(items - 5).unwrap())));
        assert_eq!(first(items - 9), Some((items - 9, items - 8, u32::try_from(items - 9).unwrap())));
        assert_eq!(first(20), Some((20, 21, 20)), "not far from a stretch under repair");
        assert_eq!(first(19), Some((19, 20, 19)));
        announce(&mut journal, Stretch::Repair, usize::MAX);
        journal.repair_since(5);
        assert_eq!(announce(&mut journal, Stretch::Repair, 1), Some((0, 1, vec![0])), "too far to look for");
        journal.repair_since(6);
        assert_eq!(announce(&mut journal, Stretch::Repair, 1), Some((1, 2, vec![1])), "that is on its way already");
    }

    #[test]
    fn a_repair_covers_what_was_announced_while_it_waited() {
        let mut journal = Journal::default();
        let id = journal.insert(share(10));
        announce(&mut journal, Stretch::Fresh, 9);
        journal.repair_since(0);
        journal.touch(id);
        assert_eq!(announce(&mut journal, Stretch::Fresh, 9), Some((1, 2, vec![10])));
        assert_eq!(announce(&mut journal, Stretch::Repair, 9), Some((0, 2, vec![10])), "not an empty (0, 2]");
    }
}
