//! What this node's members had come to in events that it has forgotten.
//!
//! Owns their sums, those of the last events. A node that was cut off or stopped, or had no room, forgets an event that goes on
//! where it does not receive anything of it. Once it learns that the event had begun before it was vacant here, the members of
//! then belong to it, and other nodes may know nothing of them.
//!
//! Events of one name are known apart by their moments, so nothing belongs here where an event may begin as soon as the one
//! before it is over.
//!
//! Invariant: sums that count again are not kept any more.

use std::collections::VecDeque;
use std::time::Duration;

use super::name_hash::NameHash;
use crate::collections::sections::{Reader, Writer};
use crate::collections::tick::{Moment, Tick};
use crate::meter::accounts::stays::{StaysId, StaysTable};
use crate::meter::news::Sums;

/// The shortest clean delay at which a moment says which event it belongs to: nodes may differ about it by half a second.
pub(super) const CLEAN_DELAY_MIN: Duration = Duration::from_secs(1);

/// How many sums are kept, at 64 bytes each. Those before them are gone.
const KEPT_MAX: usize = 2048;

/// In how many lines they stand, by the hashes of their names.
const LINES: usize = 1024;

/// What the members of this node had come to in an event.
#[derive(Debug)]
struct Kept {
    hash: u64,
    connections: u64,
    member_ticks: u64,
    stays: StaysId,
    /// Since when the event was vacant, as far as was known here.
    empty_since: Tick,
    /// Whether it counts again.
    is_taken: bool,
    /// The number of the one before it in its line, which may be gone.
    before: Option<usize>,
}

/// The sums of the last events that were forgotten, numbered one after the other.
#[derive(Debug, Default)]
pub(super) struct Former {
    /// The number of the first that is kept.
    first: usize,
    kept: VecDeque<Kept>,
    /// The last number of each line.
    lines: Vec<Option<usize>>,
    hasher: NameHash,
}

impl Former {
    /// Keeps what the members of this node had come to, if there were any, in an event that was vacant since then.
    pub(super) fn keep(&mut self, name: &str, sums: &Sums, empty_since: Tick, stays: &mut StaysTable) {
        let &Sums { connections, member_ticks, stays: ref histogram } = sums;
        if connections == 0 {
            return;
        }
        let mut stays_id = StaysId::EMPTY;
        stays.add(&mut stays_id, histogram);
        let hash = self.hasher.of(name);
        self.push(Kept {
            hash,
            connections,
            member_ticks,
            stays: stays_id,
            empty_since,
            is_taken: false,
            before: None,
        });
        if self.kept.len() > KEPT_MAX {
            self.drop_first(stays);
        }
    }

    /// Keeps these sums, which come last in their line.
    fn push(&mut self, mut kept: Kept) {
        self.lines.resize(LINES, None);
        let number = self.first + self.kept.len();
        kept.before = self.lines.get_mut(line_of(kept.hash)).and_then(|last| last.replace(number));
        self.kept.push_back(kept);
    }

    /// Takes out what belongs to an event of this name that had begun at that time.
    pub(super) fn take(&mut self, name: &str, created: Moment, stays: &mut StaysTable) -> Option<Sums> {
        if self.kept.is_empty() {
            return None;
        }
        let hash = self.hasher.of(name);
        let mut next = self.lines.get(line_of(hash)).copied().flatten();
        while let Some(kept) = next.and_then(|number| self.kept.get_mut(number.checked_sub(self.first)?)) {
            let is_its = kept.hash == hash && !Moment::from(kept.empty_since).is_clearly_before(created);
            if is_its && !kept.is_taken {
                kept.is_taken = true;
                let &mut Kept { connections, member_ticks, stays: stays_id, .. } = kept;
                let sums = Sums { connections, member_ticks, stays: stays.get(stays_id) };
                stays.remove(stays_id);
                return Some(sums);
            }
            next = kept.before;
        }
        None
    }

    /// Keeps nothing of what was so far.
    pub(super) fn clear(&mut self, stays: &mut StaysTable) {
        while !self.kept.is_empty() {
            self.drop_first(stays);
        }
    }

    pub(super) fn write(&self, stays: &StaysTable, out: &mut Writer) {
        let Self { first: _, kept, lines: _, hasher } = self;
        hasher.write(out);
        out.count(kept.len());
        for Kept { hash, connections, member_ticks, stays: id, empty_since, is_taken, before: _ } in kept {
            out.fixed(*hash);
            out.number(*connections);
            out.fixed(*member_ticks);
            out.tick(*empty_since);
            out.flag(*is_taken);
            // What counts again has its histogram elsewhere.
            stays.write(if *is_taken { StaysId::EMPTY } else { *id }, out);
        }
    }

    pub(super) fn read(stays: &mut StaysTable, from: &mut Reader<'_>) -> Self {
        let mut former = Self { hasher: NameHash::read(from), ..Self::default() };
        let mut list = from.list();
        while from.has_next(&mut list) {
            let (hash, connections, member_ticks) = (from.fixed(), from.number(), from.fixed());
            let (empty_since, is_taken) = (from.tick(), from.flag());
            let stays = stays.read(from);
            former.push(Kept { hash, connections, member_ticks, stays, empty_since, is_taken, before: None });
        }
        former
    }

    fn drop_first(&mut self, stays: &mut StaysTable) {
        if let Some(kept) = self.kept.pop_front().filter(|kept| !kept.is_taken) {
            stays.remove(kept.stays);
        }
        self.first += 1;
    }

    /// How many histograms of the table belong to what is kept.
    #[cfg(any(test, debug_assertions))]
    pub(super) fn histogram_count(&self) -> usize {
        self.kept.iter().filter(|kept| !kept.is_taken && kept.stays.has_row()).count()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the low bits are what is wanted")]
fn line_of(hash: u64) -> usize {
    hash as usize % LINES
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sums of a table of histograms, by the members that had come and left.
    #[derive(Default)]
    struct Scene {
        former: Former,
        stays: StaysTable,
    }

    impl Scene {
        /// An event is forgotten to which this many members had come, and which was vacant since then.
        fn forget(&mut self, name: &str, connections: u64, empty_since: u64) {
            let mut sums = Sums { connections, member_ticks: 7 * connections, ..Sums::default() };
            sums.stays[3] = connections;
            self.former.keep(name, &sums, Tick(empty_since), &mut self.stays);
        }

        /// The connections of all that belong to an event that had begun at that time.
        fn take(&mut self, name: &str, created: u64) -> Vec<u64> {
            let mut taken = Vec::new();
            while let Some(sums) = self.former.take(name, Tick(created).into(), &mut self.stays) {
                assert_eq!((sums.member_ticks, sums.stays[3]), (7 * sums.connections, sums.connections));
                taken.push(sums.connections);
            }
            taken
        }
    }

    #[test]
    fn what_belongs_to_an_event_counts_again_and_once() {
        let mut scene = Scene::default();
        for (connections, empty_since) in [(9, 1_000), (3, 20_000), (0, 25_000), (2, 30_000)] {
            scene.forget("a", connections, empty_since);
        }
        scene.forget("b", 8, 30_000);
        assert_eq!(scene.take("a", 15_000), [2, 3], "what was over before does not belong to it");
        assert_eq!(scene.take("a", 15_000), [0; 0]);
        assert_eq!(scene.take("a", 900), [9]);
        assert_eq!(scene.take("c", 0), [0; 0]);
        assert_eq!((scene.stays.len(), scene.former.histogram_count()), (1, 1));
        scene.former.clear(&mut scene.stays);
        assert_eq!((scene.take("b", 0), scene.stays.len()), (vec![], 0));
    }

    #[test]
    fn the_last_are_kept_and_their_histograms_with_them() {
        let mut scene = Scene::default();
        let number_of = |number: usize| format!("event{number}");
        for number in 0..KEPT_MAX + 10 {
            scene.forget(&number_of(number), 9, 100);
        }
        assert_eq!((scene.former.kept.len(), scene.stays.len()), (KEPT_MAX, KEPT_MAX));
        let taken = [9, 10, KEPT_MAX + 9].map(|number| scene.take(&number_of(number), 0));
        assert_eq!(taken, [vec![], vec![9], vec![9]]);
    }
}
