//! Walks along members, the naive way: which member is next follows from the order in which they came.

use audience_meter::meter::{MemberId, WalkId};

use super::present::Present;

/// A walk on its way.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    pub(super) id: WalkId,
    pub(super) name: &'static str,
    /// It goes on with the newest of those that came before this one.
    below: u64,
    /// It ends before those that came earlier than this one.
    floor: u64,
    /// At its end it begins anew with this floor.
    again: Option<u64>,
}

impl Walk {
    pub(super) fn new(id: WalkId, name: &'static str, members: &[Present], skip_newest: bool) -> Self {
        let newest = members.last().map_or(0, |present| present.serial);
        Self { id, name, below: newest + u64::from(!skip_newest), floor: 0, again: None }
    }

    /// The walk visits all once more.
    pub(super) fn restart(&mut self) {
        (self.floor, self.again) = (0, Some(self.below));
    }

    /// The member that it visits next, until there is none.
    pub(super) fn step(&mut self, members: &[Present]) -> Option<MemberId> {
        loop {
            let is_ahead = |present: &&Present| (self.floor..self.below).contains(&present.serial);
            if let Some(next) = members.iter().rev().find(is_ahead) {
                self.below = next.serial;
                return Some(next.member);
            }
            let floor = self.again.take()?;
            (self.below, self.floor) = (u64::MAX, floor);
        }
    }
}
