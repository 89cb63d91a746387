//! The table of members: the namespace of each, and their order there.
//!
//! Owns one small record per member, under the key that the caller chose, and keeps the counters of the namespace in step
//! with it. It does not decide when a member joins or leaves.
//!
//! Invariant: a present member is in exactly its namespace's list, newest first.

use super::keys::{ClaimId, MemberId, NamespaceId};
use super::namespace::Namespace;
use super::standing::Standing;
use crate::collections::dense::Dense;
use crate::collections::list::{Link, Linked, List};
use crate::collections::sections::{Reader, Writer};
use crate::collections::tick::Tick;

/// One open stream in a namespace.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    link: Link<MemberId>,
    /// The namespace that it is in; `None` while there is no member under this key.
    pub(super) namespace: Option<NamespaceId>,
    /// The claim that its uuid makes.
    pub(super) claim: Option<ClaimId>,
    pub(super) standing: Standing,
    /// The push of its namespace before which it came.
    push_number: u16,
    /// The low bits of the tick since which it is counted: stays of more than 497 days seem shorter by that.
    counted_at: u32,
}

impl Member {
    /// The memory of one member in bytes.
    pub const BYTES: usize = size_of::<Self>();
}

impl Default for Member {
    fn default() -> Self {
        Self {
            link: Link::UNLINKED,
            namespace: None,
            claim: None,
            standing: Standing::Pending,
            push_number: 0,
            counted_at: 0,
        }
    }
}

impl Linked<MemberId> for Member {
    fn link(&self) -> &Link<MemberId> {
        &self.link
    }
    fn link_mut(&mut self) -> &mut Link<MemberId> {
        &mut self.link
    }
}

/// All members of all namespaces.
#[derive(Default)]
pub(super) struct Members {
    table: Dense<MemberId, Member>,
    present: u64,
    counted: u64,
}

impl Members {
    /// Writes the members of a namespace, newest first.
    pub(super) fn write(&self, namespace: &Namespace, out: &mut Writer) {
        let Self { table, present: _, counted: _ } = self;
        out.count(namespace.list.iter(table).count());
        for key in namespace.list.iter(table) {
            let &Member { link: _, namespace: _, claim, standing, push_number, counted_at } = table.at(key);
            out.key(key);
            out.option_key(claim);
            standing.write(out);
            out.number(push_number.into());
            out.number(counted_at.into());
        }
    }

    /// Adds the members of a namespace that were written.
    pub(super) fn read(&mut self, id: NamespaceId, namespace: &mut Namespace, from: &mut Reader<'_>) {
        let mut list = from.list();
        while from.has_next(&mut list) {
            let key = from.key();
            let (claim, standing) = (from.option_key(), Standing::read(from));
            let (push_number, counted_at) = (from.short(), from.small());
            let member = self.table.reach(key);
            if from.check(member.namespace.is_none(), "a member of two namespaces") {
                *member =
                    Member { link: Link::UNLINKED, namespace: Some(id), claim, standing, push_number, counted_at };
                namespace.list.push_back(&mut self.table, key);
                self.present += 1;
            }
        }
    }

    /// Sets the number of counted members, whose places may wait without one.
    pub(super) fn set_counted(&mut self, counted: u64) {
        self.counted = counted;
    }

    /// All members that are present.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Member> {
        self.table.iter().map(|(_, member)| member).filter(|member| member.namespace.is_some())
    }

    /// The member present under this key.
    pub(super) fn get(&self, member: MemberId) -> Option<&Member> {
        self.table.get(member).filter(|member| member.namespace.is_some())
    }

    /// The member present under this key, to change.
    ///
    /// # Panics
    /// If there is none.
    pub(super) fn get_mut(&mut self, member: MemberId) -> &mut Member {
        self.table.get_mut(member).filter(|member| member.namespace.is_some()).expect("the member is present")
    }

    /// Puts a new member in front of all others of its namespace.
    pub(super) fn enter(
        &mut self,
        member: MemberId,
        id: NamespaceId,
        standing: Standing,
        namespace: &mut Namespace,
        now: Tick,
    ) {
        self.take_place(member, id, standing, namespace, low_bits(now));
        self.count(standing, namespace, now);
    }

    /// The same for one that comes back to a place that is counted, since the tick of these low bits.
    pub(super) fn come_back(&mut self, member: MemberId, id: NamespaceId, namespace: &mut Namespace, counted_at: u32) {
        self.take_place(member, id, Standing::Counted, namespace, counted_at);
    }

    fn take_place(
        &mut self,
        member: MemberId,
        id: NamespaceId,
        standing: Standing,
        namespace: &mut Namespace,
        counted_at: u32,
    ) {
        assert!(self.get(member).is_none(), "a member joins once");
        let push_number = namespace.add_newcomer();
        *self.table.reach(member) =
            Member { namespace: Some(id), standing, push_number, counted_at, ..Member::default() };
        namespace.list.push_front(&mut self.table, member);
        self.present += 1;
    }

    /// From now on the present member, which was not counted so far, has this standing.
    pub(super) fn set_standing(&mut self, member: MemberId, to: Standing, namespace: &mut Namespace, now: Tick) {
        let record = self.get_mut(member);
        let before = std::mem::replace(&mut record.standing, to);
        record.counted_at = low_bits(now);
        self.discount(before, namespace, now);
        self.count(to, namespace, now);
    }

    /// One more member of this namespace has this standing.
    fn count(&mut self, standing: Standing, namespace: &mut Namespace, now: Tick) {
        match standing {
            Standing::Counted => {
                self.counted += 1;
                namespace.count_one(now);
            }
            Standing::Pending | Standing::Never => {}
            Standing::Uncounted => namespace.add_uncounted(),
        }
    }

    /// One member less of this namespace has this standing.
    fn discount(&mut self, standing: Standing, namespace: &mut Namespace, now: Tick) {
        match standing {
            Standing::Counted => {
                self.counted -= 1;
                namespace.discount_one(now);
            }
            Standing::Pending | Standing::Never => {}
            Standing::Uncounted => namespace.remove_uncounted(),
        }
    }

    /// The low bits of the tick since which a member is counted, if it is.
    pub(super) fn counted_at(&self, member: MemberId) -> Option<u32> {
        let counted = self.get(member).filter(|member| member.standing == Standing::Counted);
        counted.map(|member| member.counted_at)
    }

    /// A place without a member, which another node has counted so far, is counted here.
    pub(super) fn adopt_place(&mut self, namespace: &mut Namespace, now: Tick) {
        self.counted += 1;
        namespace.continue_one(now);
    }

    /// The number of members, in all namespaces.
    pub(super) fn present(&self) -> u64 {
        self.present
    }

    /// The number of counted members, in all namespaces.
    pub(super) fn counted(&self) -> u64 {
        self.counted
    }

    /// Takes a present member out of its namespace; returns for how many ticks it was counted, if it was.
    pub(super) fn exit(&mut self, member: MemberId, namespace: &mut Namespace, now: Tick) -> Option<u64> {
        let standing = self.get_mut(member).standing;
        let counted_at = self.leave_place(member, namespace);
        self.discount(standing, namespace, now);
        (standing == Standing::Counted).then(|| ticks_since(counted_at, now))
    }

    /// Takes a present member out of its namespace, and leaves its place in the count. Returns the low bits of the tick since
    /// which it is counted.
    pub(super) fn leave_place(&mut self, member: MemberId, namespace: &mut Namespace) -> u32 {
        let Member { push_number, counted_at, .. } = *self.get_mut(member);
        namespace.remove_from_notice(member, push_number);
        namespace.list.remove(&mut self.table, member);
        *self.get_mut(member) = Member::default();
        self.present -= 1;
        counted_at
    }

    /// A place without a member, which was counted since the tick of these low bits, is counted no more. Returns for how many ticks
    /// it was.
    pub(super) fn give_up_place(&mut self, counted_at: u32, namespace: &mut Namespace, now: Tick) -> u64 {
        self.discount(Standing::Counted, namespace, now);
        ticks_since(counted_at, now)
    }

    /// The member that joined the same namespace just before this present one.
    pub(super) fn next(&self, member: MemberId) -> Option<MemberId> {
        List::next(&self.table, member)
    }

    /// The members of a namespace, newest first.
    #[cfg(any(test, debug_assertions))]
    pub(super) fn of(&self, namespace: &Namespace) -> impl Iterator<Item = (MemberId, &Member)> {
        namespace.list.iter(&self.table).filter_map(|member| Some((member, self.get(member)?)))
    }
}

/// What follows from a join.
pub(in crate::meter) struct Admission {
    /// The total to push to the new member at once; `None` while no member is counted, for 0 is never pushed.
    pub(in crate::meter) total: Option<u64>,
    /// The earlier member with the same uuid. It has left, and is owed a farewell.
    pub(in crate::meter) ended: Option<MemberId>,
    /// The claim of the new member.
    pub(in crate::meter) claim: Option<ClaimId>,
}

/// How many ticks have passed since the one of these low bits.
pub(super) fn ticks_since(low: u32, now: Tick) -> u64 {
    low_bits(now).wrapping_sub(low).into()
}

/// A tick in half the memory.
#[expect(clippy::cast_possible_truncation, reason = "the low bits are what is wanted")]
pub(super) fn low_bits(tick: Tick) -> u32 {
    tick.0 as u32
}
