//! What this node knows of the claims of other nodes, where places are kept (`--leave-delay`).
//!
//! Owns a record for each counted claim of another node. The records of one node in one namespace are its estate. While the node
//! lives, it counts them itself; once it has departed, they are orphans, which each node counts for the delay, and one adopts.
//! Of all claims of a uuid, one stands. The others are superseded: the nodes that have them do not know yet that they are over, and
//! count them still.
//!
//! It does not know the namespaces that the estates weigh on, nor how a claim comes to be known.
//!
//! | file | owns |
//! |---|---|
//! | `sections` | estates as bytes |
//!
//! Invariant: `standing` and `superseded` of an estate are the numbers of its records that are the one and the other.

pub(super) mod sections;

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use super::change::Weight;
use super::keys::{ClaimId, EstateId, NamespaceId};
use crate::collections::list::{Link, Linked, List};
use crate::collections::queue;
use crate::collections::shards::{BuildKeyHasher, ShardMap};
use crate::collections::slab::Slab;
use crate::collections::tick::Tick;
use crate::meter::news::NodeId;

/// In how many parts records are looked up, as claims are.
const RECORD_SHARDS: usize = 64;

/// How late a claim is: of two, the larger stands. A claim that continues another is as late as that one, and after it if that
/// one's node has departed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    order: u64,
    is_living: bool,
    node: NodeId,
}

impl Rank {
    /// The rank of a claim of a node that lives.
    pub(super) fn new(order: u64, continues: u64, node: NodeId) -> Self {
        Self { order: order.max(continues), is_living: true, node }
    }
}

/// What another node has claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::meter) struct Terms {
    /// Its order.
    pub(in crate::meter) order: u64,
    /// The order of the claim whose place it has taken over, or 0.
    pub(super) continues: u64,
    /// The low bits of the tick since which its person is counted.
    pub(super) counted_at: u32,
}

#[derive(Debug)]
struct Record {
    link: Link<ClaimId>,
    key: Rc<[u8]>,
    /// The next record of the same uuid.
    next: Option<ClaimId>,
    estate: EstateId,
    terms: Terms,
    is_superseded: bool,
}

impl Linked<ClaimId> for Record {
    fn link(&self) -> &Link<ClaimId> {
        &self.link
    }
    fn link_mut(&mut self) -> &mut Link<ClaimId> {
        &mut self.link
    }
}

/// What has become of the node of an estate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It lives, and counts the records itself.
    Living,
    /// It has departed: those that stand are counted until then.
    Orphaned { until: Tick },
    /// Nothing of it counts any more, and the records are on their way out.
    Over,
}

/// The records of one node in one namespace.
#[derive(Debug)]
pub(super) struct Estate {
    pub(super) namespace: NamespaceId,
    pub(super) node: NodeId,
    pub(super) fate: Fate,
    records: List<ClaimId>,
    standing: u32,
    superseded: u32,
}

impl Estate {
    pub(super) fn weight(&self) -> Weight {
        match self.fate {
            Fate::Living => Weight { orphans: 0, overlap: self.superseded },
            Fate::Orphaned { .. } => Weight { orphans: self.standing, overlap: 0 },
            Fate::Over => Weight::default(),
        }
    }
}

/// All of them.
pub(in crate::meter) struct Estates {
    records: Slab<ClaimId, Record>,
    by_key: ShardMap<Rc<[u8]>, ClaimId>,
    table: Slab<EstateId, Estate>,
    /// Those of nodes that live.
    living: HashMap<(NodeId, NamespaceId), EstateId, BuildKeyHasher>,
    /// Those of departed nodes, by when they are over.
    orphans: VecDeque<(Tick, EstateId)>,
    /// Those of departed nodes that this node may adopt, and when.
    adoptions: VecDeque<(Tick, EstateId)>,
    /// Those of which records are on their way out.
    over: VecDeque<EstateId>,
}

impl Default for Estates {
    fn default() -> Self {
        Self {
            records: Slab::default(),
            by_key: ShardMap::new(RECORD_SHARDS),
            table: Slab::default(),
            living: HashMap::default(),
            orphans: VecDeque::new(),
            adoptions: VecDeque::new(),
            over: VecDeque::new(),
        }
    }
}

impl Estates {
    /// Whether no claim of another node is known.
    pub(super) fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// The number of claims that are known.
    pub(in crate::meter) fn len(&self) -> usize {
        self.records.len()
    }

    /// The estate of this key.
    pub(super) fn get(&self, id: EstateId) -> Option<&Estate> {
        self.table.get(id)
    }

    /// The estate of a living node in a namespace.
    pub(super) fn find(&self, node: NodeId, namespace: NamespaceId) -> Option<EstateId> {
        self.living.get(&(node, namespace)).copied()
    }

    /// The same, which is made if there is none.
    pub(super) fn find_or_make(&mut self, node: NodeId, namespace: NamespaceId) -> EstateId {
        if let Some(id) = self.find(node, namespace) {
            return id;
        }
        let (fate, records) = (Fate::Living, List::EMPTY);
        let id = self.table.insert(Estate { namespace, node, fate, records, standing: 0, superseded: 0 });
        self.living.insert((node, namespace), id);
        id
    }

    /// The claim that stands, as far as other nodes have one.
    pub(super) fn standing(&self, key: &[u8]) -> Option<Terms> {
        let records = self.records_of(key).map(|id| self.records.at(id));
        let mut standing = records.filter(|record| !record.is_superseded && self.fate(record.estate) != Fate::Over);
        standing.next().map(|record| record.terms)
    }

    /// The record of a claim in an estate.
    pub(super) fn record_in(&self, estate: EstateId, key: &[u8]) -> Option<ClaimId> {
        self.records_of(key).find(|&id| self.records.at(id).estate == estate)
    }

    /// The order of the claim of a record.
    pub(super) fn order(&self, id: ClaimId) -> u64 {
        self.records.at(id).terms.order
    }

    /// Records what a node has claimed, or claims now on other terms.
    pub(super) fn put(&mut self, estate: EstateId, key: &[u8], terms: Terms) {
        if let Some(id) = self.record_in(estate, key) {
            self.records.at_mut(id).terms = terms;
            return;
        }
        let (link, key) = (Link::UNLINKED, Rc::<[u8]>::from(key));
        let record = Record { link, key: key.clone(), next: None, estate, terms, is_superseded: false };
        let id = self.records.insert(record);
        self.records.at_mut(id).next = self.by_key.insert(key, id);
        let estate = self.table.at_mut(estate);
        estate.standing += 1;
        estate.records.push_back(&mut self.records, id);
    }

    /// Removes a record. An estate of a living node of which none is left is gone with it.
    pub(super) fn remove(&mut self, id: ClaimId) {
        let (of, is_superseded) = (self.records.at(id).estate, self.records.at(id).is_superseded);
        let estate = self.table.at_mut(of);
        estate.records.remove(&mut self.records, id);
        *if is_superseded { &mut estate.superseded } else { &mut estate.standing } -= 1;
        self.unchain(id);
        let estate = self.table.at(of);
        if estate.fate == Fate::Living && estate.records.is_empty() {
            self.living.remove(&(estate.node, estate.namespace));
            self.table.remove(of);
        }
    }

    /// Takes a record out of those of its uuid, and forgets it.
    fn unchain(&mut self, id: ClaimId) {
        let Some(Record { key, next, .. }) = self.records.remove(id) else { return };
        let before = self.records_of(&key).find(|&other| other != id && self.records.at(other).next == Some(id));
        match (before, next) {
            (Some(before), next) => self.records.at_mut(before).next = next,
            (None, Some(next)) => drop(self.by_key.insert(key, next)),
            (None, None) => drop(self.by_key.remove(&key)),
        }
    }

    /// Which records of a uuid stand from now on, and which do not: those that change, with their estates. `own` is the rank of
    /// the claim of this node.
    pub(super) fn judge(&self, key: &[u8], own: Option<Rank>) -> Vec<(ClaimId, EstateId, bool)> {
        let counts = |id: &ClaimId| self.fate(self.records.at(*id).estate) != Fate::Over;
        let latest = self.records_of(key).filter(counts).map(|id| self.rank(id)).chain(own).max();
        let judged = self.records_of(key).filter(counts).map(|id| (id, Some(self.rank(id)) < latest));
        // What a departed node had counted elsewhere already, it has not counted since.
        let may_change =
            |id| !self.records.at(id).is_superseded || self.fate(self.records.at(id).estate) == Fate::Living;
        let changed =
            judged.filter(|&(id, is_superseded)| self.records.at(id).is_superseded != is_superseded && may_change(id));
        changed.map(|(id, is_superseded)| (id, self.records.at(id).estate, is_superseded)).collect()
    }

    /// A record stands from now on, or does not. One of a departed node is counted nowhere else, and is removed then.
    pub(super) fn set_superseded(&mut self, id: ClaimId, is_superseded: bool) {
        let of = self.records.at(id).estate;
        let estate = self.table.at_mut(of);
        if is_superseded && estate.fate != Fate::Living {
            return self.remove(id);
        }
        self.records.at_mut(id).is_superseded = is_superseded;
        let [less, more] = if is_superseded {
            [&mut estate.standing, &mut estate.superseded]
        } else {
            [&mut estate.superseded, &mut estate.standing]
        };
        (*less, *more) = (*less - 1, *more + 1);
    }

    /// The node of an estate has departed: its places are counted until then, and may be adopted from `adopt_at` on.
    pub(super) fn orphan(&mut self, id: EstateId, until: Tick, adopt_at: Tick) {
        let estate = self.table.at_mut(id);
        estate.fate = Fate::Orphaned { until };
        self.living.remove(&(estate.node, estate.namespace));
        self.orphans.push_back((until, id));
        self.adoptions.push_back((adopt_at, id));
    }

    /// Nothing of an estate counts any more.
    pub(super) fn end(&mut self, id: EstateId) {
        let estate = self.table.at_mut(id);
        if estate.fate != Fate::Over {
            estate.fate = Fate::Over;
            self.living.remove(&(estate.node, estate.namespace));
            self.over.push_back(id);
        }
    }

    /// The next estate of a departed node whose time is over.
    pub(super) fn pop_orphaned(&mut self, now: Tick) -> Option<EstateId> {
        while let Some((until, id)) = queue::pop_front_if(&mut self.orphans, |(until, _)| *until <= now) {
            if self.get(id).is_some_and(|estate| estate.fate == Fate::Orphaned { until }) {
                return Some(id);
            }
        }
        None
    }

    /// Nothing is adopted before that time.
    pub(super) fn delay_adoption(&mut self, until: Tick) {
        if let Some((at, _)) = self.adoptions.front_mut() {
            *at = until;
        }
    }

    /// The next record that this node may adopt, and its estate. It stays where it is.
    pub(super) fn next_adoption(&mut self, now: Tick) -> Option<(EstateId, ClaimId)> {
        while let Some(&(_, id)) = self.adoptions.front().filter(|(at, _)| *at <= now) {
            let orphan = self.table.get(id).filter(|estate| matches!(estate.fate, Fate::Orphaned { .. }));
            match orphan.and_then(|estate| estate.records.head()) {
                Some(next) if self.records.at(next).is_superseded => self.remove(next),
                Some(next) => return Some((id, next)),
                None => drop(self.adoptions.pop_front()),
            }
        }
        None
    }

    /// The key of a record's uuid, and what was claimed.
    pub(super) fn record(&self, id: ClaimId) -> (Rc<[u8]>, Terms) {
        let Record { key, terms, .. } = self.records.at(id);
        (key.clone(), *terms)
    }

    /// Removes a record of what is over; returns whether there was something to remove.
    pub(super) fn sweep(&mut self) -> bool {
        let Some(&id) = self.over.front() else { return false };
        let Some(record) = self.table.get_mut(id).and_then(|estate| estate.records.head()) else {
            self.over.pop_front();
            self.table.remove(id);
            return true;
        };
        self.table.at_mut(id).records.remove(&mut self.records, record);
        self.unchain(record);
        true
    }

    /// When there is something to do; the first tick of all if there is something already.
    pub(super) fn next_deadline(&self) -> Option<Tick> {
        if !self.over.is_empty() {
            return Some(Tick(0));
        }
        [&self.orphans, &self.adoptions].into_iter().filter_map(|line| line.front()).map(|&(at, _)| at).min()
    }

    /// The estates of living nodes that are wanted.
    pub(super) fn of_living(&self, is_wanted: &dyn Fn(NodeId, NamespaceId) -> bool) -> Vec<EstateId> {
        self.living.iter().filter(|&(&(node, namespace), _)| is_wanted(node, namespace)).map(|(_, &id)| id).collect()
    }

    /// The estates in a namespace that count.
    pub(super) fn in_namespace(&self, namespace: NamespaceId) -> Vec<EstateId> {
        let here = self.table.iter().filter(|(_, estate)| estate.namespace == namespace && estate.fate != Fate::Over);
        here.map(|(id, _)| id).collect()
    }

    fn fate(&self, id: EstateId) -> Fate {
        self.table.at(id).fate
    }

    fn rank(&self, id: ClaimId) -> Rank {
        let &Record { terms: Terms { order, continues, .. }, estate, .. } = self.records.at(id);
        let Estate { fate, node, .. } = self.table.at(estate);
        Rank { is_living: *fate == Fate::Living, ..Rank::new(order, continues, *node) }
    }

    /// The records of a uuid.
    fn records_of(&self, key: &[u8]) -> impl Iterator<Item = ClaimId> {
        let first = self.by_key.get(key).copied();
        std::iter::successors(first, |&id| self.records.get(id)?.next)
    }

    /// What all estates add to the totals, by namespace. Panics if their sums are not those of their records.
    #[cfg(any(test, debug_assertions))]
    pub(super) fn check(&self) -> HashMap<NamespaceId, (Weight, u32)> {
        let mut weights = HashMap::<NamespaceId, (Weight, u32)>::new();
        let mut records = 0;
        for (_, estate) in self.table.iter() {
            let all = || estate.records.iter(&self.records).map(|id| self.records.at(id));
            let superseded = all().filter(|record| record.is_superseded).count();
            records += all().count();
            if estate.fate != Fate::Over {
                let sums = (estate.standing as usize + superseded, estate.superseded as usize);
                assert_eq!(sums, (all().count(), superseded), "{estate:?}");
            }
            let (weight, count) = weights.entry(estate.namespace).or_default();
            weight.orphans += estate.weight().orphans;
            weight.overlap += estate.weight().overlap;
            *count += u32::from(estate.fate != Fate::Over);
        }
        assert_eq!(records, self.records.len(), "every record is in an estate");
        weights
    }
}
