//! The table of members: which namespace each is in, and their order there.
//!
//! Owns one small record per member, under the key that the caller chose, and keeps the counters of the namespace in step
//! with it. It does not decide when anybody joins or leaves.
//!
//! Invariant: a present member is in exactly its namespace's list, newest first.

use super::{ClaimId, MemberId, Namespace, NamespaceId};
use crate::collections::NONE;
use crate::collections::list::{Link, Linked, List};

/// Whether a member is in the count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
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
    link: Link,
    /// The namespace it is in; `NONE` when nobody is present under this key.
    pub(super) namespace: NamespaceId,
    /// The claim that its uuid makes, or `NONE`.
    pub(super) claim: ClaimId,
    pub(super) standing: Standing,
    /// The telling of its namespace before which it came.
    telling: u16,
}

impl Member {
    /// The memory of one member in bytes.
    pub const BYTES: usize = size_of::<Self>();

    const ABSENT: Self =
        Self { link: Link::UNLINKED, namespace: NONE, claim: NONE, standing: Standing::Pending, telling: 0 };
}

impl Linked for Member {
    fn link(&self) -> &Link {
        &self.link
    }
    fn link_mut(&mut self) -> &mut Link {
        &mut self.link
    }
}

/// All members of all namespaces.
#[derive(Default)]
pub(super) struct Members {
    table: Vec<Member>,
    /// How many are counted.
    counted: u64,
}

impl Members {
    /// The member present under this key.
    pub(super) fn get(&self, member: MemberId) -> Option<&Member> {
        self.table.get(member as usize).filter(|member| member.namespace != NONE)
    }

    /// The member present under this key, to change.
    ///
    /// # Panics
    /// If nobody is present under it.
    pub(super) fn get_mut(&mut self, member: MemberId) -> &mut Member {
        self.table.get_mut(member as usize).filter(|member| member.namespace != NONE).expect("the member is present")
    }

    /// Puts a new member in front of all others of its namespace.
    pub(super) fn enter(&mut self, member: MemberId, id: NamespaceId, standing: Standing, namespace: &mut Namespace) {
        assert!(self.get(member).is_none(), "a member joins once");
        let index = member as usize;
        if index >= self.table.len() {
            self.table.resize(index + 1, Member::ABSENT);
        }
        if let Some(place) = self.table.get_mut(index) {
            *place = Member { namespace: id, standing, telling: namespace.note_arrival(), ..Member::ABSENT };
        }
        namespace.list.push_front(&mut self.table, member);
        self.count(standing, namespace);
    }

    /// From now on the present member has this standing.
    pub(super) fn set_standing(&mut self, member: MemberId, standing: Standing, namespace: &mut Namespace) {
        let before = std::mem::replace(&mut self.get_mut(member).standing, standing);
        self.discount(before, namespace);
        self.count(standing, namespace);
    }

    /// One more of this namespace has this standing.
    fn count(&mut self, standing: Standing, namespace: &mut Namespace) {
        match standing {
            Standing::Counted => {
                self.counted += 1;
                namespace.count_one();
            }
            Standing::Pending => {}
            Standing::Uncounted => namespace.add_uncounted(),
        }
    }

    /// One of this namespace has this standing no more.
    fn discount(&mut self, standing: Standing, namespace: &mut Namespace) {
        match standing {
            Standing::Counted => {
                self.counted -= 1;
                namespace.discount_one();
            }
            Standing::Pending => {}
            Standing::Uncounted => namespace.remove_uncounted(),
        }
    }

    /// How many members are counted, in all namespaces.
    pub(super) fn counted(&self) -> u64 {
        self.counted
    }

    /// Takes a present member out of its namespace.
    pub(super) fn exit(&mut self, member: MemberId, namespace: &mut Namespace) {
        let Member { standing, telling, .. } = *self.get_mut(member);
        namespace.note_leaving(member, telling);
        namespace.list.remove(&mut self.table, member);
        *self.get_mut(member) = Member::ABSENT;
        self.discount(standing, namespace);
    }

    /// The member that joined the same namespace just before this present one.
    pub(super) fn next(&self, member: MemberId) -> Option<MemberId> {
        Some(List::next(&self.table, member)).filter(|&next| next != NONE)
    }

    /// The members of a namespace, newest first.
    #[cfg(any(test, debug_assertions))]
    pub(super) fn of(&self, namespace: &Namespace) -> impl Iterator<Item = (MemberId, &Member)> {
        namespace.list.iter(&self.table).filter_map(|member| Some((member, self.get(member)?)))
    }
}
