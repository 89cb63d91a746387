//! Who of those who are there is counted.
//!
//! Owns the way from one standing to the next: pending until the increment delay is over, or uncounted until the caller says
//! otherwise. Why somebody is not to be counted is the caller's to know; they are told of here, apart from the members.
//!
//! Invariant: a member has a timer in `pending` exactly while it is pending.

use crate::collections::tick::Now;
use crate::meter::book::members::Standing;
use crate::meter::{MemberId, Meter, NamespaceId};

impl Meter {
    /// A stream opens as in [`join`](Self::join), but is not to be counted before [`count`](Self::count) says so. It hears
    /// what everybody hears.
    pub fn join_uncounted(&mut self, member: MemberId, name: &str, uuid: Option<&str>, now: Now) -> Option<u64> {
        self.admit(member, name, uuid, Standing::Uncounted, now)
    }

    /// A member that is there uncounted is to be counted, as if it had joined now. Anybody else stays as it is.
    pub fn count(&mut self, member: MemberId, now: Now) {
        if self.members.get(member).is_some_and(|member| member.standing == Standing::Uncounted) {
            self.set_standing(member, self.first_standing(), now);
            self.check_invariants();
        }
    }

    /// The standing of somebody who comes and is to be counted.
    pub(in crate::meter) fn first_standing(&self) -> Standing {
        if self.rules.increment_delay.is_zero() { Standing::Counted } else { Standing::Pending }
    }

    /// The present member has this standing from now on.
    pub(in crate::meter) fn set_standing(&mut self, member: MemberId, standing: Standing, now: Now) {
        let Some(id) = self.members.get(member).and_then(|member| member.namespace) else { return };
        self.members.set_standing(member, standing, self.namespaces.at_mut(id), now.tick);
        if standing == Standing::Pending {
            self.wait_to_count(member, now);
            // One less is uncounted.
            self.touch_share(id);
        }
        self.note_standing(id, standing, now);
        self.reschedule(id, now);
    }

    /// One more of this namespace has this standing: the others are to know, if it is to be known.
    pub(in crate::meter) fn note_standing(&mut self, id: NamespaceId, standing: Standing, now: Now) {
        if standing != Standing::Pending {
            self.touch_share(id);
            // With a share of its own, a node sees the peak that it was a bystander of before.
            self.note_total(id, u64::from(standing == Standing::Counted), now);
        }
    }

    /// The pending member is counted when it has stayed for the increment delay.
    pub(in crate::meter) fn wait_to_count(&mut self, member: MemberId, now: Now) {
        self.pending.set(member, now.tick.after(self.rules.increment_delay));
    }
}
