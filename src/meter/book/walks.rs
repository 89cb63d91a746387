//! Walks along the members of a namespace that go on for many turns while members join and leave.
//!
//! Owns where each walk is. A push to 100,000 members takes 0.4 s, far too long for one turn, so it is done in steps, and in
//! between the list changes. A member that leaves takes no walk with it: walks that stand on it move on.
//!
//! Invariant: a walk visits once every member that was there when it began and is still there. Later members enter in front,
//! behind the walk, for their first count is up to date.

use super::keys::{MemberId, NamespaceId, WalkId};
use super::members::Members;
use super::namespace::Namespace;
use crate::collections::sections::{Reader, Writer};
use crate::collections::slab::Slab;

#[derive(Debug)]
struct Walk {
    namespace: NamespaceId,
    /// The member that it visits next; `None` at the end of the list.
    cursor: Option<MemberId>,
    /// Whether it begins again at the newest member after the end of the list, and before which member it then ends.
    lap: Lap,
}

/// How a walk that was restarted comes round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lap {
    /// The walk ends with the list.
    Last,
    /// The walk goes on from the newest member, and ends before this one.
    OnceMore { until: Option<MemberId> },
    /// It has done so, and ends before this member.
    EndsBefore(Option<MemberId>),
}

/// All walks.
#[derive(Default)]
pub(in crate::meter) struct Walks {
    walks: Slab<WalkId, Walk>,
}

impl Walks {
    /// Begins at the newest member, or at the one after it.
    pub(super) fn begin(
        &mut self,
        id: NamespaceId,
        skip_newest: bool,
        namespace: &mut Namespace,
        members: &Members,
    ) -> WalkId {
        let newest = namespace.list.head();
        let cursor = if skip_newest { newest.and_then(|newest| members.next(newest)) } else { newest };
        let walk = self.walks.insert(Walk { namespace: id, cursor, lap: Lap::Last });
        namespace.walks.push(walk);
        walk
    }

    pub(super) fn write(&self, out: &mut Writer) {
        let Self { walks } = self;
        walks.write(out, &mut |&Walk { namespace, cursor, lap }, out| {
            out.key(namespace);
            out.option_key(cursor);
            let (kind, before) = match lap {
                Lap::Last => (0, None),
                Lap::OnceMore { until } => (1, until),
                Lap::EndsBefore(until) => (2, until),
            };
            out.number(kind);
            out.option_key(before);
        });
    }

    /// The walks that were written, along `members` of these namespaces.
    pub(super) fn read(
        namespaces: &mut Slab<NamespaceId, Namespace>,
        members: &Members,
        from: &mut Reader<'_>,
    ) -> Self {
        let walks = Slab::read(from, &mut |id, from| {
            let (namespace, cursor, kind, before) = (from.key(), from.option_key(), from.number(), from.option_key());
            let lap = match kind {
                1 => Lap::OnceMore { until: before },
                2 => Lap::EndsBefore(before),
                _ => Lap::Last,
            };
            let is_there = |member: Option<MemberId>| member.is_none_or(|member| members.get(member).is_some());
            let walked = namespaces.get_mut(namespace);
            let fits = walked.is_some() && is_there(cursor) && is_there(before) && kind < 3;
            from.check(fits, "a walk along members that are not there");
            if let Some(walked) = walked {
                walked.walks.push(id);
            }
            Walk { namespace, cursor, lap }
        });
        Self { walks }
    }

    /// Makes a walk visit all members once more, from where it is: the ones ahead, then the ones behind.
    pub(in crate::meter) fn restart(&mut self, id: WalkId) {
        let walk = self.walks.at_mut(id);
        walk.lap = Lap::OnceMore { until: walk.cursor };
    }

    /// The namespace that a walk is in.
    pub(super) fn namespace_of(&self, id: WalkId) -> NamespaceId {
        self.walks.at(id).namespace
    }

    /// The next member, or `None` at the end, with which the walk is gone.
    pub(super) fn step(
        &mut self,
        id: WalkId,
        namespace: Option<&mut Namespace>,
        members: &Members,
    ) -> Option<MemberId> {
        let walk = self.walks.at_mut(id);
        if let (None, Lap::OnceMore { until }, Some(namespace)) = (walk.cursor, walk.lap, &namespace) {
            walk.cursor = namespace.list.head();
            walk.lap = Lap::EndsBefore(until);
        }
        let Some(member) = walk.cursor.filter(|&member| walk.lap != Lap::EndsBefore(Some(member))) else {
            self.walks.remove(id);
            if let Some(namespace) = namespace {
                namespace.walks.retain(|&other| other != id);
            }
            return None;
        };
        walk.cursor = members.next(member);
        Some(member)
    }

    /// Moves the walks of a namespace off a member that is about to leave its list.
    pub(super) fn step_over(&mut self, member: MemberId, namespace: &Namespace, members: &Members) {
        for &id in &namespace.walks {
            let next = members.next(member);
            let walk = self.walks.at_mut(id);
            if walk.cursor == Some(member) {
                walk.cursor = next;
            }
            // `until` moves back to an older member, which the walk has visited as well; at the end of the list there is
            // none, and the lap ends with the list.
            walk.lap = match walk.lap {
                Lap::OnceMore { until } if until == Some(member) => Lap::OnceMore { until: next },
                Lap::EndsBefore(until) if until == Some(member) => Lap::EndsBefore(next),
                lap => lap,
            };
        }
    }
}
