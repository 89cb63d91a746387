//! The vacant namespaces, in the order in which they became vacant.
//!
//! Owns the lines. The namespaces that never had more than one member stand apart from the others. At the limit, the one that
//! has stood longest among them is forgotten for a new one; so names that one client makes up take the place of each other, and
//! an event that was one is remembered. And those of which this node has announced a share stand apart, for what it has announced
//! last has to settle: a process that was stopped finds hundreds of members who have come and gone, and they all wait at once.
//! It does not know whether something of a namespace is on its way.
//!
//! Invariant: a namespace is in a line only while it is vacant, and always then, unless it is about to be forgotten without a
//! trace.

use super::keys::{MakerId, NamespaceId};
use super::namespace::Namespace;
use crate::collections::dense::Dense;
use crate::collections::list::{Link, Linked, List};
use crate::collections::sections::{Reader, Writer};
use crate::collections::slab::Slab;

/// Most namespaces of one line that are looked at for one that can be forgotten now. The others of them are walked, or their
/// last change is not announced; it is so in a small table at most.
const LOOKS_PER_LINE: usize = 8;

/// A line of vacant namespaces. Those that are worth least come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// Those that never had more than one member, and none here.
    SmallElsewhere,
    /// Those that never had more than one member, and had one here.
    SmallHere,
    /// The others that had no members here.
    LargeElsewhere,
    /// The others.
    LargeHere,
}

/// Where a namespace stands.
#[derive(Debug, Default)]
struct Place {
    link: Link<NamespaceId>,
    line: Option<Line>,
    /// What has made the namespace, if the caller wants to know when it is forgotten.
    maker: Option<MakerId>,
}

impl Linked<NamespaceId> for Place {
    fn link(&self) -> &Link<NamespaceId> {
        &self.link
    }
    fn link_mut(&mut self) -> &mut Link<NamespaceId> {
        &mut self.link
    }
}

/// The lines, and what they have come to.
#[derive(Default)]
pub(in crate::meter) struct Vacancy {
    places: Dense<NamespaceId, Place>,
    lines: [List<NamespaceId>; 4],
    /// How many namespaces were forgotten early.
    pub(in crate::meter) evicted: u64,
}

impl Vacancy {
    /// Has a namespace stand where it belongs by now.
    pub(super) fn update(&mut self, id: NamespaceId, namespace: &Namespace) {
        let is_small = namespace.largest_total() <= 1;
        let line = namespace.is_vacant().then_some(match (is_small, namespace.share.is_some()) {
            (true, false) => Line::SmallElsewhere,
            (true, true) => Line::SmallHere,
            (false, false) => Line::LargeElsewhere,
            (false, true) => Line::LargeHere,
        });
        if self.places.reach(id).line != line {
            self.move_to(line, id);
        }
    }

    /// Sets what has made a namespace.
    pub(in crate::meter) fn set_maker(&mut self, id: NamespaceId, maker: MakerId) {
        self.places.reach(id).maker = Some(maker);
    }

    /// Takes a namespace out that is forgotten; returns what has made it.
    pub(super) fn remove(&mut self, id: NamespaceId) -> Option<MakerId> {
        self.move_to(None, id);
        self.places.at_mut(id).maker.take()
    }

    /// Frees the memory around the key of a namespace: none is there any more.
    pub(super) fn free_around(&mut self, id: NamespaceId) {
        self.places.free_around(id);
    }

    pub(super) fn write(&self, out: &mut Writer) {
        let Self { places, lines, evicted } = self;
        out.number(*evicted);
        for line in lines {
            out.count(line.iter(places).count());
            line.iter(places).for_each(|id| out.key(id));
        }
        let makers = || places.iter().filter_map(|(id, place)| Some((id, place.maker?)));
        out.count(makers().count());
        for (id, maker) in makers() {
            out.key(id);
            out.key(maker);
        }
    }

    /// The lines that were written, of namespaces that are `there`.
    pub(super) fn read(there: &Slab<NamespaceId, Namespace>, from: &mut Reader<'_>) -> Self {
        let mut vacancy = Self { evicted: from.number(), ..Self::default() };
        for line in [Line::SmallElsewhere, Line::SmallHere, Line::LargeElsewhere, Line::LargeHere] {
            let mut list = from.list();
            while from.has_next(&mut list) {
                let id = from.key();
                if from.check(there.get(id).is_some(), "a vacant namespace that is not there") {
                    let is_alone = vacancy.places.reach(id).line.is_none();
                    from.check(is_alone, "a namespace that is vacant twice");
                    vacancy.move_to(Some(line), id);
                }
            }
        }
        let mut list = from.list();
        while from.has_next(&mut list) {
            let (id, maker) = (from.key(), from.key());
            if from.check(there.get(id).is_some(), "a maker of a namespace that is not there") {
                vacancy.set_maker(id, maker);
            }
        }
        vacancy
    }

    fn move_to(&mut self, line: Option<Line>, id: NamespaceId) {
        let before = std::mem::replace(&mut self.places.reach(id).line, line);
        let Self { places, lines, .. } = self;
        if let Some(before) = before.and_then(|line| lines.get_mut(line as usize)) {
            before.remove(places, id);
        }
        if let Some(after) = line.and_then(|line| lines.get_mut(line as usize)) {
            after.push_back(places, id);
        }
    }

    /// The namespaces that may be forgotten for another, those first that are worth least.
    pub(in crate::meter) fn candidates(&self) -> impl Iterator<Item = NamespaceId> {
        self.lines.into_iter().flat_map(|line| line.iter(&self.places).take(LOOKS_PER_LINE))
    }

    /// Whether a namespace is in a line.
    #[cfg(any(test, debug_assertions))]
    pub(super) fn has(&self, id: NamespaceId) -> bool {
        self.places.get(id).is_some_and(|place| place.line.is_some())
    }
}
