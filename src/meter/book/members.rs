//! The table of members: which namespace each is in, and their order there.
//!
//! Owns one small record per member, under the key that the caller chose, and keeps the counters of the namespace in step
//! with it. It does not decide when anybody joins or leaves.
//!
//! Invariant: a present member is in exactly its namespace's list, newest first.

use crate::collections::dense::Dense;
use crate::collections::list::{Link, Linked, List};
use crate::collections::tick::Tick;
use crate::key_type;
use crate::meter::book::claims::ClaimId;
use crate::meter::{Namespace, NamespaceId};

key_type! {
    /// A member's key, chosen by the caller and unique among present members.
    pub MemberId
}

/// Whether a member is in the count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::meter) enum Standing {
    /// It is.
    Counted,
    /// It will be, once it has stayed for the increment delay.
    Pending,
    /// It is not, until the caller says that it is to be.
    Uncounted,
}

/// One open stream in a namespace.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    link: Link<MemberId>,
    /// The namespace that it is in; `None` while there is no member under this key.
    pub(in crate::meter) namespace: Option<NamespaceId>,
    /// The claim that its uuid makes.
    pub(in crate::meter) claim: Option<ClaimId>,
    pub(in crate::meter) standing: Standing,
    /// The telling of its namespace before which it came.
    telling: u16,
    /// The low bits of the tick since which it is counted: stays of more than 497 days seem shorter by that.
    counted_at: u32,
}

impl Member {
    /// The memory of one member in bytes.
    pub const BYTES: usize = size_of::<Self>();

    const ABSENT: Self = Self {
        link: Link::UNLINKED,
        namespace: None,
        claim: None,
        standing: Standing::Pending,
        telling: 0,
        counted_at: 0,
    };
}

impl Default for Member {
    fn default() -> Self {
        Self::ABSENT
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
pub(in crate::meter) struct Members {
    table: Dense<MemberId, Member>,
    /// How many are counted.
    counted: u64,
}

impl Members {
    /// The member present under this key.
    pub(in crate::meter) fn get(&self, member: MemberId) -> Option<&Member> {
        self.table.get(member).filter(|member| member.namespace.is_some())
    }

    /// The member present under this key, to change.
    ///
    /// # Panics
    /// If nobody is present under it.
    pub(in crate::meter) fn get_mut(&mut self, member: MemberId) -> &mut Member {
        self.table.get_mut(member).filter(|member| member.namespace.is_some()).expect("the member is present")
    }

    /// Puts a new member in front of all others of its namespace.
    pub(in crate::meter) fn enter(
        &mut self,
        member: MemberId,
        id: NamespaceId,
        standing: Standing,
        namespace: &mut Namespace,
        now: Tick,
    ) {
        assert!(self.get(member).is_none(), "a member joins once");
        let telling = namespace.note_arrival();
        *self.table.reach(member) =
            Member { namespace: Some(id), standing, telling, counted_at: low_bits(now), ..Member::ABSENT };
        namespace.list.push_front(&mut self.table, member);
        self.count(standing, namespace, now);
    }

    /// From now on the present member, which was not counted so far, has this standing.
    pub(in crate::meter) fn set_standing(
        &mut self,
        member: MemberId,
        to: Standing,
        namespace: &mut Namespace,
        now: Tick,
    ) {
        let record = self.get_mut(member);
        let before = std::mem::replace(&mut record.standing, to);
        record.counted_at = low_bits(now);
        self.discount(before, namespace, now);
        self.count(to, namespace, now);
    }

    /// One more of this namespace has this standing.
    fn count(&mut self, standing: Standing, namespace: &mut Namespace, now: Tick) {
        match standing {
            Standing::Counted => {
                self.counted += 1;
                namespace.count_one(now);
            }
            Standing::Pending => {}
            Standing::Uncounted => namespace.add_uncounted(),
        }
    }

    /// One of this namespace has this standing no more.
    fn discount(&mut self, standing: Standing, namespace: &mut Namespace, now: Tick) {
        match standing {
            Standing::Counted => {
                self.counted -= 1;
                namespace.discount_one(now);
            }
            Standing::Pending => {}
            Standing::Uncounted => namespace.remove_uncounted(),
        }
    }

    /// How many members are counted, in all namespaces.
    pub(in crate::meter) fn counted(&self) -> u64 {
        self.counted
    }

    /// Takes a present member out of its namespace; returns for how many ticks it was counted, if it was.
    pub(in crate::meter) fn exit(&mut self, member: MemberId, namespace: &mut Namespace, now: Tick) -> Option<u64> {
        let Member { standing, telling, counted_at, .. } = *self.get_mut(member);
        namespace.note_leaving(member, telling);
        namespace.list.remove(&mut self.table, member);
        *self.get_mut(member) = Member::ABSENT;
        self.discount(standing, namespace, now);
        (standing == Standing::Counted).then(|| low_bits(now).wrapping_sub(counted_at).into())
    }

    /// The member that joined the same namespace just before this present one.
    pub(in crate::meter) fn next(&self, member: MemberId) -> Option<MemberId> {
        List::next(&self.table, member)
    }

    /// The members of a namespace, newest first.
    #[cfg(any(test, debug_assertions))]
    pub(in crate::meter) fn of(&self, namespace: &Namespace) -> impl Iterator<Item = (MemberId, &Member)> {
        namespace.list.iter(&self.table).filter_map(|member| Some((member, self.get(member)?)))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the low bits are what is wanted")]
fn low_bits(tick: Tick) -> u32 {
    tick.0 as u32
}
